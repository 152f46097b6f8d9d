"""Answers: which clips a method named rightly, and which clips several were asked about."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skeldistill.training.evaluate import Said
from skeldistill.training.statistics import Ids, Rights
from skeldistill.training.task import Task

Asked = tuple[Sequence[str], np.ndarray]
"""Ids of clips, and for each whether it was named rightly, or how often (0 to 1)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What a method named rightly, and of which clips.

    rights: for each fold ``(seeds, n)``, right or not. ids: for each fold, of its clips.
    """

    rights: Rights
    ids: Ids

    @classmethod
    def of(cls, said: Sequence[Sequence[Said]], top: int = 1) -> "Answers":
        """From what each fold's trainings said, one for each seed.

        Right is a clip whose action is among the `top` most likely.

        Raises:
            ValueError: a clip was evaluated under some of a fold's seeds only.
        """
        return cls.lined_up([[(one.ids, one.in_top(top)) for one in fold] for fold in said])

    @classmethod
    def lined_up(cls, folds: Sequence[Sequence[Asked]]) -> "Answers":
        """From what each fold's trainings made of their clips, one for each seed.

        Raises:
            ValueError: a clip was evaluated under some of a fold's seeds only.
        """
        ids = [fold[0][0] for fold in folds]
        rights = [
            np.stack([_in_order(one, mine) for one in fold])
            for fold, mine in zip(folds, ids, strict=True)
        ]
        return cls(rights=rights, ids=ids)

    @classmethod
    def of_tasks(cls, tasks: Sequence[Task], top: int = 1) -> "Answers":
        """From all finished tasks of a method."""
        folds = sorted({task.fold for task in tasks})
        said = [[task.said() for task in tasks if task.fold == fold] for fold in folds]
        return cls.of(said, top)

    def only(self, ids: Ids) -> "Answers":
        """The same of some clips of each fold, in their order."""
        places = [{one: place for place, one in enumerate(fold)} for fold in self.ids]
        rights = [
            fold[:, [place[one] for one in wanted]]
            for fold, place, wanted in zip(self.rights, places, ids, strict=True)
        ]
        return Answers(rights=rights, ids=ids)

    @property
    def accuracy(self) -> float:
        """Percent right over the clips of all folds, each clip averaged over seeds."""
        return 100 * float(np.concatenate([fold.mean(axis=0) for fold in self.rights]).mean())


def in_common(one: Answers, other: Answers) -> list[list[str]]:
    """For each fold, the ids that both were asked about, in the order of `other`."""
    return [
        [clip_id for clip_id in theirs if clip_id in mine]
        for mine, theirs in zip(map(set, one.ids), other.ids, strict=True)
    ]


def _in_order(asked: Asked, ids: Sequence[str]) -> np.ndarray:
    own, values = asked
    right = dict(zip(own, values.astype(float).tolist(), strict=True))
    if missing := next((clip for clip in ids if clip not in right), None):
        raise ValueError(f"clip {missing!r} was evaluated under some seeds only; run it anew")
    return np.array([right[clip] for clip in ids])
