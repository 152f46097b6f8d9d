"""For every frame, the frames before and after it in which a joint was seen."""

import numpy as np
from jaxtyping import Bool, Int, Shaped


def seen_last(seen: Bool[np.ndarray, "m t v"]) -> Int[np.ndarray, "m t v"]:
    """The last frame up to this one in which each joint was seen; -1 where there is none."""
    time = np.arange(seen.shape[1])[:, None]
    return np.maximum.accumulate(np.where(seen, time, -1), axis=1)


def seen_next(seen: Bool[np.ndarray, "m t v"]) -> Int[np.ndarray, "m t v"]:
    """The first frame from this one on in which each joint is seen; t where there is none."""
    t = seen.shape[1]
    time = np.arange(t)[:, None]
    return np.minimum.accumulate(np.where(seen, time, t)[:, ::-1], axis=1)[:, ::-1]


def at(values: Shaped[np.ndarray, "m t v *c"], frames: Int[np.ndarray, "m t v"]) -> np.ndarray:
    """The values of other frames, one frame chosen for each joint; outside frames are clamped."""
    frames = np.clip(frames, 0, values.shape[1] - 1)
    return np.take_along_axis(values, frames[..., None] if values.ndim == 4 else frames, axis=1)
