"""Straight lines through the frames in which a joint was lost."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from skeldistill.completions.completion import Completion
from skeldistill.completions.guess import GUESS
from skeldistill.completions.neighbours_in_time import at, seen_last, seen_next
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class LinearInterpolation(Completion):
    """Fill a lost joint on the straight line between where it was last and is next seen.

    Before it is first seen and after it was last seen, that place is held. A joint that is never
    seen stays lost. A filled joint's score is half of its two ends' score, mixed alike.
    """

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """The joints with all gaps in time filled."""
        seen, t = scores > 0, scores.shape[1]
        last, following = seen_last(seen), seen_next(seen)
        fillable = ~seen & ((last >= 0) | (following < t))
        before = np.where(last >= 0, last, following)
        after = np.where(following < t, following, last)
        gap = np.maximum(after - before, 1)
        way = (np.arange(t)[:, None] - before) / gap
        line = at(joints, before) * (1 - way)[..., None] + at(joints, after) * way[..., None]
        score = GUESS * (at(scores, before) * (1 - way) + at(scores, after) * way)
        return (
            np.where(fillable[..., None], line.astype(np.float32), joints),
            np.where(fillable, score.astype(np.float32), scores),
        )
