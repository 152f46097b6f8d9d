"""What a training counts: losses, hits and conflicts of an epoch, kept on the device."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skeldistill import processes
from skeldistill.clip import UNLABELLED
from skeldistill.data.batch import Batch
from skeldistill.distillation.gradient_revision import Conflict
from skeldistill.prediction import Prediction


class Tally:
    """Sums over an epoch, kept on the device until its end.

    Of several processes each keeps its own; asked, they add them up, and all say the same.
    """

    def __init__(self) -> None:
        self.clips = 0
        self.labelled: Tensor | float = 0.0
        self.right: Tensor | float = 0.0
        self.sums: dict[str, Tensor] = {}
        self.conflicts: dict[str, Tensor | int] = {}
        self.strengths: dict[str, Tensor | float] = {}
        self.skipped: dict[str, Tensor | int] = {}
        self.steps = 0
        self.losses: list[Tensor] = []
        self.places: list[Tensor] = []

    def add(
        self,
        batch: Batch,
        said: Prediction,
        task: Tensor,
        terms: dict[str, Tensor],
        conflicts: Mapping[str, Conflict],
        clips: int,
    ) -> None:
        """Count a step: what was seen and said, and how many clips all processes saw."""
        self.clips += clips
        self.steps += 1
        self.labelled = self.labelled + (batch.labels != UNLABELLED).sum()
        self.right = self.right + (said.logits.argmax(dim=1) == batch.labels).sum()
        self.losses.append(sum(terms.values(), task).detach())
        self.places.append(batch.clips)
        own = dict(said.losses)
        for name, value in {"task": task - sum(own.values()), **own, **terms}.items():
            self.sums[name] = self.sums.get(name, 0.0) + clips * value.detach()
        for name, conflict in conflicts.items():
            self.conflicts[name] = self.conflicts.get(name, 0) + conflict.conflicted
            self.strengths[name] = self.strengths.get(name, 0.0) + conflict.strength

    def add_skipped(self, skipped: dict[str, Tensor | int]) -> None:
        """Count the clips that a contrastive loss could learn nothing from."""
        for name, count in skipped.items():
            self.skipped[name] = self.skipped.get(name, 0) + count

    def first_without_number(self) -> tuple[int, float, np.ndarray] | None:
        """The first step whose loss is nan or infinite: its number, the loss, and its clips."""
        with processes.together(self.clips):
            losses = processes.total(torch.stack(self.losses))
        broken = (~losses.isfinite()).nonzero()
        return self._step(int(broken[0]), losses) if len(broken) else None

    def last(self) -> tuple[int, float, np.ndarray]:
        """The last step in the same words."""
        with processes.together(self.clips):
            losses = processes.total(torch.stack(self.losses))
        return self._step(len(losses) - 1, losses)

    def _step(self, step: int, losses: Tensor) -> tuple[int, float, np.ndarray]:
        with processes.together(self.clips):
            places, _ = processes.rows(self.places[step])
        return step, float(losses[step]), places.cpu().numpy()

    def means(self) -> dict[str, Any]:
        """The epoch's part of the history."""
        with processes.together(self.clips):
            device = self.losses[0].device
            sums, skipped = _totals(self.sums, device), _totals(self.skipped, device)
            hits = _totals({"right": self.right, "labelled": self.labelled}, device)
        terms = {name: value / self.clips for name, value in sums.items()}
        return {
            "loss": sum(terms.values()),
            "top1": 100 * hits["right"] / max(hits["labelled"], 1),
            "terms": terms,
            "conflicts": {
                name: float(total) / self.steps for name, total in self.conflicts.items()
            },
            "strengths": {
                name: float(total) / self.steps for name, total in self.strengths.items()
            },
            "skipped": {name: total / self.clips for name, total in skipped.items()},
        }


def _totals(sums: Mapping[str, Tensor | float], device: torch.device) -> dict[str, float]:
    """Of all processes."""
    if not processes.several():
        return {name: float(one) for name, one in sums.items()}
    mine = torch.tensor([float(one) for one in sums.values()], device=device)
    return dict(zip(sums, processes.total(mine).tolist(), strict=True))
