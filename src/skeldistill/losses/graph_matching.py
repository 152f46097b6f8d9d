"""Graph matching, SKD eq. (6)-(11): the student's vertices, and their pairs, as the teacher's."""

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from skeldistill import processes
from skeldistill.losses.adaptation import AdaptationLayer, require_same_width
from skeldistill.losses.loss import (
    Loss,
    LossContext,
    precise,
    require_joints,
    share,
    without_autocast,
)
from skeldistill.losses.vertex_pairs import EPSILON, match_root, match_squared
from skeldistill.prediction import Prediction
from skeldistill.shelf import pick

Form = Literal["paper", "release"]


def node_loss(
    student: Float[Tensor, "n *m c t v"],
    teacher: Float[Tensor, "n *m c t v"],
    form: Form = "paper",
    present: Bool[Tensor, "n ..."] | None = None,
) -> Float[Tensor, ""]:
    """Every vertex where the teacher has it: SKD eq. (7).

    Args:
        student: feature map ``(n, m, c, t, v)``, or with one person a clip ``(n, c, t, v)``;
            already adapted.
        teacher: likewise; receives no gradient.
        form: ``paper`` sums the squares over channels, ``release`` takes their mean.
        present: which persons count; all of them by default.
    """
    pick("form", _FORMS, form)
    return _nodes(*_graphs(student, teacher, present), form)


def edge_loss(
    student: Float[Tensor, "n *m c t v"],
    teacher: Float[Tensor, "n *m d t v"],
    form: Form = "paper",
    present: Bool[Tensor, "n ..."] | None = None,
) -> Float[Tensor, ""]:
    """Every pair of a person's vertices as far apart as the teacher has it: SKD eq. (8)-(11).

    Args:
        student: feature map ``(n, m, c, t, v)``, or with one person a clip ``(n, c, t, v)``;
            all t·v vertices of a person are one graph.
        teacher: likewise, of any width; receives no gradient.
        form: ``paper`` compares squared distances over beta, their mean in the mini-batch;
            ``release`` distances with the root over the mean of each person's positive ones.
        present: which persons count; all of them by default.

    Returns:
        The mean over pairs, then over persons. Finite even for a map of equal vertices.
    """
    pick("form", _FORMS, form)
    return _edges(*_graphs(student, teacher, present), form)


class GraphMatching(Loss):
    """Features as a graph: lambda times node loss plus (1 - lambda) times edge loss, SKD eq. (6).

    Over paired clips and the persons that both views hold. Teacher and student need the same
    joints, frames and persons; for others there are `PartGraphMatching` and `PartContrastive`.

    Args:
        about: the two networks.
        balance: lambda; ``None`` weighs both 1, as the released code does.
        form: ``release`` (values of order one whatever the width) or ``paper``.
        adapt: whether an `AdaptationLayer` stands between the student and the teacher.
        node, edge: which of the two losses to take; `balance` weighs what is left as before.

    Raises:
        ValueError: other joints, other widths without adaptation, options out of range, or
            (when called) maps of other sizes.
    """

    in_shares = True
    compares_vertices = True

    def __init__(
        self,
        about: LossContext,
        *,
        balance: float | None = 0.5,
        form: Form = "release",
        adapt: bool = True,
        node: bool = True,
        edge: bool = True,
    ) -> None:
        super().__init__()
        if len(about.without_joints) == 1:  # both without: their vertices are the frames
            require_joints("GraphMatching", about)
        if about.student_layout.joints != about.teacher_layout.joints:
            raise ValueError(
                f"GraphMatching needs one layout for both, got {about.student_layout.name!r} "
                f"(student) and {about.teacher_layout.name!r} (teacher); {_INSTEAD}"
            )
        require_form(form)
        self.form: Form = form
        self.weights = term_weights(self, balance, node=node, edge=edge)
        if not adapt:
            require_same_width("GraphMatching", about.student_channels, about.teacher_channels)
        self.adaptation = (
            AdaptationLayer(about.student_channels, about.teacher_channels) if adapt else None
        )
        self._expected: Tensor | None = None

    def expect(self, persons: Bool[Tensor, "n m"] | None) -> None:
        """Hear who can be in both views."""
        self._expected = persons

    def terms(
        self, student: Prediction, teacher: Prediction, labels: Int[Tensor, " n"]
    ) -> dict[str, Float[Tensor, ""]]:
        """``node`` and ``edge``, with their weights."""
        require_same_sizes(_size(student.features), _size(teacher.features))
        present = student.present.any(dim=2) & teacher.present.any(dim=2)
        ours, theirs, weights = _graphs(student.features, teacher.features, present, self._expected)
        if self.adaptation is not None:
            ours = self.adaptation(ours)
        return {
            name: weight * _LOSSES[name](ours, theirs, weights, self.form)
            for name, weight in self.weights.items()
        }


def require_form(form: str) -> None:
    """Refuse a form that there is none of; ValueError names the nearest one."""
    pick("form", _FORMS, form)


def term_weights(loss: Loss, balance: float | None, *, node: bool, edge: bool) -> dict[str, float]:
    """What node and edge loss weigh (SKD eq. 6); those that weigh nothing are left out."""
    if balance is None:
        weights = {"node": 1.0, "edge": 1.0}
    else:
        share(loss, "balance", balance)
        weights = {"node": balance, "edge": 1 - balance}
    taken = {"node": node, "edge": edge}
    weights = {name: weight for name, weight in weights.items() if taken[name] and weight > 0}
    if not weights:
        raise ValueError(
            f"{type(loss).__name__} with balance {balance}, node {node} and edge {edge} has "
            "nothing to match; take node or edge, and give it a weight"
        )
    return weights


def _graphs(
    student: Tensor, teacher: Tensor, present: Tensor | None, expected: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The maps of the persons that count, ``(b, c, t, v)``, and what each weighs in the mean.

    Clips weigh the same, and so do the persons of a clip; a clip without anybody weighs nothing.
    Those that do not count are left out as far as can be told without waiting for a device: by
    `expected`, on the host, beside whom nobody counts. The others weigh nothing.
    """
    if student.ndim == 4:
        student, teacher = student.unsqueeze(1), teacher.unsqueeze(1)
    if present is None:
        present = torch.ones(student.shape[:2], dtype=torch.bool, device=student.device)
    present = present.reshape(student.shape[:2])
    persons = present.sum(dim=1, keepdim=True)
    clips = processes.total((persons > 0).sum())
    weights = present.to(torch.promote_types(student.dtype, torch.float32))
    weights = (weights / (persons * clips).clamp(min=1)).flatten()
    student, teacher = student.flatten(0, 1), teacher.detach().flatten(0, 1)
    if expected is None and present.device.type == "cpu":
        expected = present
    # the second person is mostly absent, and not worth its pairs
    if expected is not None and not expected.all():
        chosen = expected.flatten().nonzero().squeeze(1)
        chosen = chosen.to(student.device, non_blocking=True)
        student, teacher, weights = student[chosen], teacher[chosen], weights[chosen]
    return student, teacher, weights


def _nodes(student: Tensor, teacher: Tensor, weights: Tensor, form: Form) -> Tensor:
    squares = (_vertices(student) - _vertices(teacher)).square()
    return (_FORMS[form][1](squares, 1).mean(dim=1) * weights).sum()


def _edges(student: Tensor, teacher: Tensor, weights: Tensor, form: Form) -> Tensor:
    with without_autocast(student):
        return _FORMS[form][0](_centred(_vertices(student)), _centred(_vertices(teacher)), weights)


def _vertices(maps: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c tv"]:
    return precise(maps).flatten(-2)


def _centred(graphs: Float[Tensor, "b c v"]) -> Float[Tensor, "b c v"]:
    """The same distances with fewer digits lost."""
    return graphs - graphs.mean(dim=2, keepdim=True)


def _paper_edges(student: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
    matched = match_squared(_over_beta(student, weights), _over_beta(teacher, weights))
    return (matched * weights).sum()


def _over_beta(centred: Tensor, weights: Tensor) -> Tensor:
    """Vertices divided by the root of beta, so that squared distances are divided by beta.

    The mean squared distance of all pairs (eq. 9), i = j included, is
    2 (mean squared norm - squared norm of the mean), and the mean of centred vertices is 0.
    """
    beta = 2 * (centred.square().sum(dim=1).mean(dim=1) * weights).sum()
    beta = processes.total_with_gradient(beta)
    return centred / beta.clamp(min=EPSILON).sqrt()


def _release_edges(student: Tensor, teacher: Tensor, weights: Tensor) -> Tensor:
    return (match_root(student, teacher) * weights).sum()


def require_same_sizes(student: tuple[int, int, int], teacher: tuple[int, int, int]) -> None:
    """Refuse maps of other (persons, frames, joints); ValueError names both."""
    if student != teacher:
        raise ValueError(
            f"GraphMatching needs maps of the same (persons, frames, joints), got {student} "
            f"(student) and {teacher} (teacher); {_INSTEAD}"
        )


def _size(features: Tensor) -> tuple[int, int, int]:
    _, persons, _, frames, joints = features.shape
    return persons, frames, joints


_INSTEAD = "use PartGraphMatching or PartContrastive, which compare body parts"
_FORMS = {"paper": (_paper_edges, Tensor.sum), "release": (_release_edges, Tensor.mean)}
_LOSSES = {"node": _nodes, "edge": _edges}
