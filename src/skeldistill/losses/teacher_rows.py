"""Teacher rows: the high-quality clips that a contrastive loss compares its anchors with."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from skeldistill import processes
from skeldistill.clip import UNLABELLED


class TeacherRows(nn.Module):
    """The high-quality clips of the batch (of all processes), or a bank of them once one is set.

    The teacher is frozen, so its features can be kept: a bank gives every anchor positives, which
    a small batch does not.

    Args:
        shape: the shape of one clip's features, ``(p, c)``.
    """

    bank: Tensor
    bank_labels: Tensor
    bank_row: Tensor

    def __init__(self, shape: tuple[int, int]) -> None:
        super().__init__()
        # not part of the saved state: a bank is made anew from the teacher
        self.register_buffer("bank", torch.zeros(0, *shape), persistent=False)
        self.register_buffer("bank_labels", torch.zeros(0, dtype=torch.long), persistent=False)
        self.register_buffer("bank_row", torch.zeros(0, dtype=torch.long), persistent=False)
        self._clips: Tensor | None = None

    def set_bank(
        self,
        features: Float[Tensor, "b p c"],
        labels: Int[Tensor, " b"],
        clips: Int[Tensor, " b"],
    ) -> None:
        """Keep these clips; raises ValueError if their features do not fit.

        Args:
            features: the teacher's features.
            labels: classes; rows of class -1 count as none, and are nobody's own.
            clips: places in the training set, 0 or above.
        """
        if features.shape[0] == 0 or features.shape[1:] != self.bank.shape[1:]:
            raise ValueError(
                f"a bank needs clips with features of (parts, channels) "
                f"{tuple(self.bank.shape[1:])}, got {tuple(features.shape)}"
            )
        device = self.bank.device
        rows = torch.full((int(clips.max()) + 1,), -1, device=device)
        known = labels != UNLABELLED
        rows[clips[known].to(device)] = torch.arange(len(clips), device=device)[known.to(device)]
        # not cloned if it need not be: a memory-mapped bank stays one. What was computed in
        # inference mode could not be saved for a backward pass.
        kept = features.detach().clone() if features.is_inference() else features.detach()
        self.bank = kept.to(self.bank)
        self.bank_labels = labels.clone().to(device)
        self.bank_row = rows

    def observe(self, clips: Int[Tensor, " n"]) -> None:
        """Hear which training clips the next batch holds."""
        self._clips = clips

    def forward(
        self,
        features: Float[Tensor, "n p c"],
        present: Bool[Tensor, "n m s"],
        labels: Int[Tensor, " n"],
    ) -> tuple[Float[Tensor, "b p c"], Int[Tensor, " b"], Int[Tensor, " n"]]:
        """The rows' features and classes, and for every clip of the batch its own row or -1.

        Rows of clips without a high-quality match stand there with class -1.

        Args:
            features: the teacher's, of the batch.
            present: whom the teacher sees; a clip without anybody has no high-quality match.
            labels: classes of the batch.
        """
        if self.bank.shape[0] > 0:
            return self.bank, self.bank_labels, self._bank_rows(labels)
        # all clips are rows: how many have a match is not known without waiting for the device
        there = present.flatten(1).any(dim=1)
        rows, first = processes.rows(features.detach())
        own = first + torch.arange(len(labels), device=labels.device, dtype=labels.dtype)
        row_labels, _ = processes.rows(torch.where(there, labels, UNLABELLED))
        return rows, row_labels, torch.where(there, own, -1)

    def _bank_rows(self, labels: Tensor) -> Tensor:
        if self._clips is None or self._clips.shape != labels.shape:
            raise ValueError(
                f"a bank is set, but which {len(labels)} training clips the batch holds is not "
                "known; call observe(clips) before every batch"
            )
        clips = self._clips.to(labels.device)
        known = clips < len(self.bank_row)
        return torch.where(known, self.bank_row[clips.clamp(max=len(self.bank_row) - 1)], -1)
