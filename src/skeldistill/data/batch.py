"""A batch: what networks see of some clips, teacher's and student's view side by side."""

from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Some clips as a network sees them.

    joints: ``(n, m, t, v, c)``. labels: ``(n,)``, -1 where the action is not known. clips: their
    places among the examples, ``(n,)``.
    teacher_joints: the matches' joints, ``(b, l, s, w, d)``, as many persons, frames and joints as
    the teacher sees, and matched: which of the n clips they belong to, ``(n,)``; both None without
    a teacher.
    second_labels: where clips are mixed, the actions of what is mixed in, ``(n,)``. weight: of the
    clips themselves, from 0.5 to 1; 1 where nothing is mixed.
    """

    joints: Float32[Tensor, "n m t v c"]
    labels: Int64[Tensor, " n"]
    clips: Int64[Tensor, " n"]
    teacher_joints: Float32[Tensor, "b l s w d"] | None = None
    matched: Bool[Tensor, " n"] | None = None
    second_labels: Int64[Tensor, " n"] | None = None
    weight: float = 1.0

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        moved = {
            field.name: value.to(device, non_blocking=True)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **moved)

    def some(self, rows: slice) -> "Batch":
        """Some of the clips, with their matches."""
        teacher = self.teacher_joints
        if teacher is not None and self.matched is not None:
            before = self.matched.cumsum(dim=0) - self.matched.long()
            teacher = teacher[before[rows][self.matched[rows]]]
        return replace(
            self,
            joints=self.joints[rows],
            labels=self.labels[rows],
            clips=self.clips[rows],
            teacher_joints=teacher,
            matched=None if self.matched is None else self.matched[rows],
            second_labels=None if self.second_labels is None else self.second_labels[rows],
        )

    def mixed(self, alpha: float, rng: np.random.Generator) -> "Batch":
        """Every clip with another of the batch mixed in, by mixup (Zhang et al. 2018).

        Both views are mixed alike, so that a teacher is asked about what the student sees. Two
        clips of which one has no high-quality match have none together.

        Args:
            alpha: weights are drawn from Beta(alpha, alpha), one for the batch; the larger share is
                the clip's own.
            rng: decides the weight, and who is mixed with whom.
        """
        drawn = rng.beta(alpha, alpha)
        weight = max(drawn, 1 - drawn)
        other = torch.from_numpy(rng.permutation(len(self.labels)))
        teacher, matched = self.teacher_joints, self.matched
        if teacher is not None and matched is not None:
            both = matched & matched[other]
            place = matched.cumsum(dim=0) - 1
            teacher = torch.lerp(teacher[place[other[both]]], teacher[place[both]], weight)
            matched = both
        return replace(
            self,
            joints=torch.lerp(self.joints[other], self.joints, weight),
            teacher_joints=teacher,
            matched=matched,
            second_labels=self.labels[other],
            weight=weight,
        )
