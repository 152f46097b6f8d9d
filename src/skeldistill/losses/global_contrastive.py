"""Global MSC, the rival of PLKD Table 4: the contrastive loss on the body as a whole."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from skeldistill.losses.loss import Loss, LossContext, positive, precise, share
from skeldistill.losses.part_contrastive import (
    linear_adaptation,
    part_contrastive_loss,
    skipped_anchors,
)
from skeldistill.losses.part_features import global_features
from skeldistill.losses.teacher_rows import TeacherRows
from skeldistill.prediction import Prediction


class GlobalContrastive(Loss):
    """`PartContrastive` with one part, the whole body: what the parts are measured against.

    Args:
        about: the two networks.
        positive_weight: w of eq. (8).
        temperature: divides the cosine; 1 as printed, below 1 is stricter.
        adapt: whether a linear layer brings the student to the teacher's width; by default only
            where the widths differ.
        bank: whether to ask for a bank of all high-quality clips; until one is set, and without
            it, anchors are compared with those of the batch.

    Attributes:
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
        bank: bool = False,
    ) -> None:
        super().__init__()
        self.bank = bank
        self.positive_weight = share(self, "positive_weight", positive_weight)
        self.temperature = positive(self, "temperature", temperature)
        self.adaptation = linear_adaptation("GlobalContrastive", about, adapt)
        self.rows = TeacherRows((1, about.teacher_channels))
        self.register_buffer("part_weights", torch.ones(about.classes, 1), persistent=False)
        self.skipped: Tensor | int = 0

    def set_bank(
        self,
        features: Float[Tensor, "b c"],
        labels: Int[Tensor, " b"],
        clips: Int[Tensor, " b"],
    ) -> None:
        """Compare with these high-quality clips from now on; see `PartContrastive.set_bank`."""
        self.rows.set_bank(features.unsqueeze(1), labels, clips)

    def observe(self, clips: Int[Tensor, " n"]) -> None:
        """Hear which clips come, to find each one's own row in the bank."""
        self.rows.observe(clips)

    def forward(
        self, student: Prediction, teacher: Prediction, labels: Int[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """The mean over anchors that have something to learn from."""
        anchors = global_features(student).unsqueeze(1)
        if self.adaptation is not None:
            anchors = precise(self.adaptation(anchors))
        bodies, teacher_labels, pair_index = self.rows(
            global_features(teacher).unsqueeze(1), teacher.present, labels
        )
        self.skipped = skipped_anchors(labels, teacher_labels, pair_index, self.positive_weight)
        return part_contrastive_loss(
            anchors,
            bodies,
            labels,
            teacher_labels,
            pair_index,
            self.part_weights,
            self.positive_weight,
            self.temperature,
        )
