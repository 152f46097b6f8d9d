"""Part-level graph matching: SKD's graph loss for skeletons that share no joint order."""

from jaxtyping import Float, Int
from torch import Tensor

from skeldistill.losses.adaptation import AdaptationLayer, require_same_width
from skeldistill.losses.graph_matching import Form, edge_loss, node_loss, require_form, term_weights
from skeldistill.losses.loss import Loss, LossContext, matched, precise, require_joints
from skeldistill.losses.part_features import part_map
from skeldistill.prediction import Prediction


class PartGraphMatching(Loss):
    """Node and edge losses on the graph of the five parts, over a few stretches of time.

    In neither paper: SKD eq. (6)-(11) on the part features of PLKD 3.3.1, so that teacher and
    student may have other layouts, frame counts and networks. Over paired clips.

    Args:
        about: the two networks.
        segments: stretches of time; the graph has five vertices in each.
        balance: lambda of eq. (6); ``None`` weighs both losses 1.
        form: ``release`` (values of order one whatever the width) or ``paper``.
        adapt: whether an `AdaptationLayer` stands between the student and the teacher.
        node, edge: which of the two losses to take; `balance` weighs what is left as before.

    Raises:
        ValueError: other widths without adaptation, or options out of range.
    """

    in_shares = True

    def __init__(
        self,
        about: LossContext,
        *,
        segments: int = 1,
        balance: float | None = 0.5,
        form: Form = "release",
        adapt: bool = True,
        node: bool = True,
        edge: bool = True,
    ) -> None:
        super().__init__()
        require_joints("PartGraphMatching", about)
        if segments < 1:
            raise ValueError(f"PartGraphMatching needs at least 1 segment, got {segments}")
        require_form(form)
        self.segments = segments
        self.form: Form = form
        self.weights = term_weights(self, balance, node=node, edge=edge)
        self.layouts = (about.student_layout, about.teacher_layout)
        if not adapt:
            require_same_width("PartGraphMatching", about.student_channels, about.teacher_channels)
        self.adaptation = (
            AdaptationLayer(about.student_channels, about.teacher_channels) if adapt else None
        )

    def terms(
        self, student: Prediction, teacher: Prediction, labels: Int[Tensor, " n"]
    ) -> dict[str, Float[Tensor, ""]]:
        """``part_node`` and ``part_edge``, with their weights."""
        ours = part_map(student, self.layouts[0], self.segments)
        theirs = part_map(teacher, self.layouts[1], self.segments)
        if self.adaptation is not None:
            ours = precise(self.adaptation(ours))
        somebody = student.present.flatten(1).any(dim=1) & matched(teacher)
        losses = {"node": node_loss, "edge": edge_loss}
        return {
            f"part_{name}": weight * losses[name](ours, theirs, self.form, somebody)
            for name, weight in self.weights.items()
        }
