"""Trouble that comes in bursts, as real trouble does: an arm stays hidden for a while."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float


def bursts(
    probability: float | Float[np.ndarray, "..."],
    burst: float,
    shape: Sequence[int],
    rng: np.random.Generator,
) -> Bool[np.ndarray, "m t *rest"]:
    """Which frames are in trouble, for every entry of `shape`, whose second axis is time.

    In each frame the state is either kept or drawn anew, so that the share of troubled frames is
    `probability` from the first frame to the last, and a burst lasts `burst` frames on average.
    Independent frames already make bursts of 1 / (1 - probability); shorter ones cannot be had.

    Args:
        probability: of trouble, a number or an array that broadcasts against `shape`.
        burst: mean length of a burst in frames.
        shape: (m, t, ...) of the result.
        rng: chance.
    """
    calm = np.maximum(1 - np.asarray(probability, np.float32), np.float32(1e-6))
    anew = rng.random(shape, dtype=np.float32) < 1 / (burst * calm)
    trouble = rng.random(shape, dtype=np.float32) < probability
    time = np.arange(shape[1]).reshape(-1, *[1] * (len(shape) - 2))
    last_drawn = np.maximum.accumulate(np.where(anew, time, 0), axis=1)
    return np.take_along_axis(trouble, last_drawn, axis=1)
