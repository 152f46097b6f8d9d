"""Sliding-window average: the completion that both papers compare with (SWA)."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64

from skeldistill.completions.completion import Completion
from skeldistill.completions.guess import GUESS
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class SlidingWindowAverage(Completion):
    """Fill a lost joint with the mean of where it was seen in the frames around.

    SKD IV-A 4 sets "the sliding window size" to 3, which can be read in two ways: a window of 3
    frames, one on each side (`window=3`, the default), or 3 frames on each side, as the released
    code has it (`window=7`). SKD IV-A 3 fills missing values "and denoises": `smooth=True` gives
    joints that were seen the mean over their window too; the released code does not.

    At both ends of the clip the window is cut off. A joint not seen within it stays lost. A filled
    joint's score is half the mean score of those it was made from (see `GUESS`); seen joints keep
    theirs.

    Args:
        window: frames in the window, the frame itself in the middle; odd.
        smooth: also average the joints that were seen.

    Raises:
        ValueError: a window that is even or below 1.
    """

    window: int = 3
    smooth: bool = False

    def __post_init__(self) -> None:
        if self.window < 1 or self.window % 2 != 1:
            raise ValueError(
                f"SlidingWindowAverage.window must be odd and at least 1, got {self.window}; "
                "1 frame on each side is window 3, 3 on each side are window 7"
            )

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """The joints with short gaps filled."""
        seen = scores > 0
        count = self._sum(seen)
        share = np.divide(1, count, out=np.zeros_like(count), where=count > 0)
        mean = self._sum(np.where(seen[..., None], joints, 0)) * share[..., None]
        score = GUESS * (self._sum(scores) * share)
        changed = count > 0 if self.smooth else (count > 0) & ~seen
        filled = (count > 0) & ~seen
        return (
            np.where(changed[..., None], mean.astype(np.float32), joints),
            np.where(filled, score.astype(np.float32), scores),
        )

    def _sum(self, values: np.ndarray) -> Float64[np.ndarray, "m t *rest"]:
        """The sum over each frame's window, as the difference of two running sums."""
        t = values.shape[1]
        running = np.zeros((values.shape[0], t + 1, *values.shape[2:]))
        np.cumsum(values, axis=1, dtype=np.float64, out=running[:, 1:])
        time, reach = np.arange(t), self.window // 2
        last, first = np.minimum(time + reach + 1, t), np.maximum(time - reach, 0)
        return running[:, last] - running[:, first]
