"""What networks answered about worse skeletons: which clips each named rightly, kept beside it."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skeldistill.files import write_text
from skeldistill.training.answers import Answers, Asked
from skeldistill.training.task import Task

CACHE = "robustness.json"
"""Beside each network: what was measured already."""


class Kept:
    """Which clips a trained network named rightly under the settings it was asked about.

    Args:
        task: its training. What is kept of another one in the same folder counts for nothing.
        on: the view that was made worse; another one may have other clips.
        seed: what drew the degradations.
    """

    def __init__(self, task: Task, on: str, seed: int) -> None:
        self.path = task.folder / CACHE
        self.on = on
        self.drawn = f"{on} {seed}"
        self.held = self._read(task.fingerprint)

    def __contains__(self, place: str) -> bool:
        return place in self.held["right"].get(self.drawn, {})

    def __getitem__(self, place: str) -> Asked:
        ids = self.held["clips"][self.on]
        bits = np.frombuffer(bytes.fromhex(self.held["right"][self.drawn][place]), np.uint8)
        return ids, np.unpackbits(bits, count=len(ids))

    def keep(self, place: str, ids: Sequence[str], right: np.ndarray) -> None:
        """Add a setting; a bit a clip, so that the file stays small where clips are many."""
        self.held["clips"][self.on] = list(ids)
        bits = np.packbits(right.astype(bool)).tobytes().hex()
        self.held["right"].setdefault(self.drawn, {})[place] = bits
        write_text(self.path, json.dumps(self.held))

    def _read(self, mark: str) -> dict[str, Any]:
        try:
            held = json.loads(self.path.read_text(encoding="utf-8"))
            if held["mark"] == mark:
                return {key: held[key] for key in ("mark", "clips", "right")}
        except (OSError, ValueError, KeyError, TypeError):
            pass  # as if nothing was measured: by a version that kept accuracies alone, too
        return {"mark": mark, "clips": {}, "right": {}}


@dataclass(frozen=True, kw_only=True, eq=False)
class Swept:
    """A trained network, and by the setting's key what it answered."""

    task: Task
    asked: dict[str, Asked]

    def worse(self) -> Asked:
        """For each clip, over how many of the settings that are not clean it was named rightly."""
        found = [asked for key, asked in self.asked.items() if key != "clean"]
        return found[0][0], np.mean([right for _, right in found], axis=0)


def together(swept: Sequence[Swept], of: Callable[[Swept], Asked]) -> Answers:
    """The answers of a method's networks, seed by seed in every fold."""
    ordered = sorted(swept, key=lambda one: (one.task.fold, one.task.seed))
    folds = dict.fromkeys(one.task.fold for one in ordered)
    return Answers.lined_up([[of(one) for one in ordered if one.task.fold == f] for f in folds])


def alike(one: Sequence[Swept], other: Sequence[Swept]) -> bool:
    """Whether two methods were asked about the same clips, in the same folds under the same seeds.

    Only then their answers make pairs.
    """
    mine, others = ({(s.task.fold, s.task.seed): s for s in swept} for swept in (one, other))
    return mine.keys() == others.keys() and all(
        set(swept.worse()[0]) == set(others[place].worse()[0]) for place, swept in mine.items()
    )
