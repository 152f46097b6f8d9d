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
    host: the same batch before it was moved to another device: what is asked of it waits for none.
    """

    joints: Float32[Tensor, "n m t v c"]
    labels: Int64[Tensor, " n"]
    clips: Int64[Tensor, " n"]
    teacher_joints: Float32[Tensor, "b l s w d"] | None = None
    matched: Bool[Tensor, " n"] | None = None
    second_labels: Int64[Tensor, " n"] | None = None
    weight: float = 1.0
    host: "Batch | None" = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        moved = {
            field.name: value.to(device, non_blocking=True)
            for field in fields(self)
            if isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **moved, host=None if device.type == "cpu" else self.host or self)

    @property
    def matches(self) -> Int64[Tensor, " b"]:
        """Which clips have a match, one after the other, without waiting for the device."""
        return self.matches_on_host.to(self.labels.device, non_blocking=True)

    @property
    def matches_on_host(self) -> Int64[Tensor, " b"]:
        """The same, where it is known."""
        matched = (self.host or self).matched
        assert matched is not None
        return matched.nonzero().squeeze(1)

    def persons_in_both(
        self, remembered: Bool[Tensor, "every l"] | None = None
    ) -> Bool[Tensor, "n m"] | None:
        """Who is in any frame of both views, on the host; None where the host does not know.

        It does not before the batch was moved, nor where views differ in their persons.

        Args:
            remembered: whom the teacher sees in each of the examples, on the host, for batches
                without its joints.
        """
        if self.host is None:
            return None
        ours = _anywhere(self.host.joints)
        if self.host.teacher_joints is not None and self.host.matched is not None:
            found = _anywhere(self.host.teacher_joints)
            theirs = found.new_zeros(len(ours), found.shape[1])
            theirs[self.host.matched] = found
        elif remembered is not None:
            theirs = remembered[self.host.clips]
        else:
            return None
        return ours & theirs if ours.shape == theirs.shape else None

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


def _anywhere(joints: Float32[Tensor, "n m t v c"]) -> Bool[Tensor, "n m"]:
    """Who has any joint that is not 0 in any frame."""
    return (joints != 0).flatten(2).any(dim=2)
