"""Part-level multi-sample contrastive loss, PLKD eq. (6)-(11): like its own class, part by part."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from skeldistill import processes
from skeldistill.clip import UNLABELLED
from skeldistill.layouts import PARTS
from skeldistill.losses.adaptation import require_same_width
from skeldistill.losses.loss import (
    Loss,
    LossContext,
    positive,
    precise,
    require_joints,
    share,
    without_autocast,
)
from skeldistill.losses.part_features import part_features
from skeldistill.losses.teacher_rows import TeacherRows
from skeldistill.prediction import Prediction


def part_contrastive_loss(
    student_parts: Float[Tensor, "n p c"],
    teacher_parts: Float[Tensor, "b p c"],
    labels: Int[Tensor, " n"],
    teacher_labels: Int[Tensor, " b"],
    pair_index: Int[Tensor, " n"],
    part_weights: Float[Tensor, "k p"],
    positive_weight: float = 0.5,
    temperature: float = 1.0,
) -> Float[Tensor, ""]:
    """Be near high-quality clips of the same class and far from all others: PLKD eq. (6)-(11).

    An anchor without other positives learns from its own high-quality clip alone; one without
    that either is skipped; one without negatives has nothing to be told from and counts as 0.

    Args:
        student_parts: part features of the anchors, ``(n, p, c)``.
        teacher_parts: part features of high-quality clips, ``(b, p, c)``; receive no gradient.
        labels: classes of the anchors.
        teacher_labels: classes of the high-quality clips; rows of class -1 count as none.
        pair_index: the row of each anchor's own high-quality clip, -1 for a solitary anchor.
            That row is not among its other positives.
        part_weights: E of eq. (13), how much each part tells of each class, ``(k, p)``.
        positive_weight: w of eq. (8), the weight of the other positives.
        temperature: divides the similarity of eq. (7); 1 as printed.

    Returns:
        The mean over the anchors that are not skipped; 0 if all are.
    """
    own, positives, negatives = _sets(labels, teacher_labels, pair_index)
    taught = _taught(own, positives, positive_weight)
    compared = taught & negatives.any(dim=1)
    similarity = _similarity(student_parts, teacher_parts, part_weights[labels])
    similarity = similarity / temperature
    # eq. (8)-(10) as weighted sums of e^similarity, whose weights join the exponents as logarithms
    others, strangers = _shares(positives, similarity), _shares(negatives, similarity)
    liked = own + positive_weight * others
    # of nothing at all there is no logarithm: anchors that are not compared get weights of 1
    liked, strangers = (torch.where(compared[:, None], one, 1) for one in (liked, strangers))
    attracting = torch.logsumexp(similarity + liked.log(), dim=1)
    repelling = torch.logsumexp(similarity + strangers.log(), dim=1)
    # -log(a / (a + r)) = log(1 + e^(log r - log a))
    each = torch.logaddexp(repelling - attracting, torch.zeros_like(attracting))
    return torch.where(compared, each, 0).sum() / processes.total(taught.sum()).clamp(min=1)


def skipped_anchors(
    labels: Int[Tensor, " n"],
    teacher_labels: Int[Tensor, " b"],
    pair_index: Int[Tensor, " n"],
    positive_weight: float = 0.5,
) -> Int[Tensor, ""]:
    """How many anchors `part_contrastive_loss` skips: no own high-quality clip, no positives."""
    own, positives, _ = _sets(labels, teacher_labels, pair_index)
    return (~_taught(own, positives, positive_weight)).sum()


class PartContrastive(Loss):
    """Learn from many high-quality clips at once, part by part: PLKD's loss.

    Works for any two layouts, networks and frame counts, and for solitary clips. Anchors are
    compared with the high-quality clips of the batch, or with a bank of them (`set_bank`).

    Args:
        about: the two networks.
        positive_weight: w of eq. (8).
        temperature: divides the similarity of eq. (7); 1 as printed, below 1 is stricter.
        adapt: whether a linear layer brings the student's parts to the teacher's width; by
            default only where the widths differ.
        part_matrix: whether to ask for the part matrix E; without it all parts weigh alike.
        bank: whether to ask for a bank of all high-quality clips; until one is set, and without
            it, anchors are compared with those of the batch.

    Attributes:
        part_weights: E of eq. (13), ``(k, p)``; all alike until `set_part_weights`.
        rows: the high-quality clips that anchors are compared with.
        skipped: how many anchors of the last batch had nothing to learn from.
    """

    in_shares = True
    compares_classes = True
    part_weights: Tensor

    def __init__(
        self,
        about: LossContext,
        *,
        positive_weight: float = 0.5,
        temperature: float = 1.0,
        adapt: bool | None = None,
        part_matrix: bool = True,
        bank: bool = False,
    ) -> None:
        super().__init__()
        require_joints("PartContrastive", about)
        self.part_matrix = part_matrix
        self.bank = bank
        self.positive_weight = share(self, "positive_weight", positive_weight)
        self.temperature = positive(self, "temperature", temperature)
        self.layouts = (about.student_layout, about.teacher_layout)
        self.adaptation = linear_adaptation("PartContrastive", about, adapt)
        self.rows = TeacherRows((len(PARTS), about.teacher_channels))
        uniform = torch.full((about.classes, len(PARTS)), 1 / len(PARTS))
        self.register_buffer("part_weights", uniform)
        self.skipped: Tensor | int = 0

    def set_part_weights(self, part_weights: Float[Tensor, "k p"]) -> None:
        """Take the action-specific part matrix E; raises ValueError if its shape does not fit."""
        if part_weights.shape != self.part_weights.shape:
            raise ValueError(
                f"PartContrastive needs part weights of (classes, parts) "
                f"{tuple(self.part_weights.shape)}, got {tuple(part_weights.shape)}"
            )
        self.part_weights.copy_(part_weights)

    def set_bank(
        self,
        parts: Float[Tensor, "b p c"],
        labels: Int[Tensor, " b"],
        clips: Int[Tensor, " b"],
    ) -> None:
        """Compare with these high-quality clips from now on, instead of those of the batch.

        Args:
            parts: the teacher's part features.
            labels: their classes.
            clips: their places in the training set, as `observe` is told them.
        """
        self.rows.set_bank(parts, labels, clips)

    def observe(self, clips: Int[Tensor, " n"]) -> None:
        """Hear which clips come, to find each one's own row in the bank."""
        self.rows.observe(clips)

    def forward(
        self, student: Prediction, teacher: Prediction, labels: Int[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """The mean over anchors that have something to learn from."""
        anchors = part_features(student, self.layouts[0])
        if self.adaptation is not None:
            anchors = precise(self.adaptation(anchors))
        parts, teacher_labels, pair_index = self.rows(
            part_features(teacher, self.layouts[1]), teacher.present, labels
        )
        self.skipped = skipped_anchors(labels, teacher_labels, pair_index, self.positive_weight)
        return part_contrastive_loss(
            anchors,
            parts,
            labels,
            teacher_labels,
            pair_index,
            self.part_weights,
            self.positive_weight,
            self.temperature,
        )


def linear_adaptation(loss: str, about: LossContext, adapt: bool | None) -> nn.Linear | None:
    """A layer from the student's width to the teacher's, where it is asked for or needed."""
    if adapt is None:
        adapt = about.student_channels != about.teacher_channels
    if not adapt:
        require_same_width(loss, about.student_channels, about.teacher_channels)
        return None
    return nn.Linear(about.student_channels, about.teacher_channels)


def _sets(
    labels: Tensor, teacher_labels: Tensor, pair_index: Tensor
) -> tuple[Bool[Tensor, "n b"], Bool[Tensor, "n b"], Bool[Tensor, "n b"]]:
    """Each anchor's own clip, its other positives B^P, and its negatives B^N."""
    rows = torch.arange(teacher_labels.shape[0], device=teacher_labels.device)
    own = pair_index.unsqueeze(1) == rows
    alike = labels.unsqueeze(1) == teacher_labels
    others = ~own & (teacher_labels != UNLABELLED)
    return own, alike & others, ~alike & others


def _shares(members: Bool[Tensor, "n b"], similarity: Tensor) -> Float[Tensor, "n b"]:
    """What each member of a set weighs in its mean, as precise as the similarities."""
    counted = members.to(similarity.dtype)
    return counted / counted.sum(dim=1, keepdim=True).clamp(min=1)


def _taught(own: Tensor, positives: Tensor, positive_weight: float) -> Bool[Tensor, " n"]:
    """Which anchors have anything to be like."""
    taught = own.any(dim=1)
    return taught | positives.any(dim=1) if positive_weight > 0 else taught


def _similarity(
    student_parts: Tensor, teacher_parts: Tensor, weights: Float[Tensor, "n p"]
) -> Float[Tensor, "n b"]:
    """Cosines of the parts, weighed by what each part tells of the anchor's class: eq. (7)."""
    student = _directions(precise(student_parts)) * weights.unsqueeze(2)
    teacher = _directions(precise(teacher_parts.detach()))
    with without_autocast(student):
        return student.flatten(1) @ teacher.flatten(1).T


def _directions(vectors: Float[Tensor, "n p c"]) -> Float[Tensor, "n p c"]:
    """Vectors of length 1; those of length 0 stay so, without gradient."""
    lengths = vectors.norm(dim=2, keepdim=True)
    return torch.where(lengths > 0, vectors / lengths.clamp(min=1e-30), 0)
