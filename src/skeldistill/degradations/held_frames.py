"""A low frame rate, each frame shown until the next."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.degradation import Degradation
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class HeldFrames(Degradation):
    """See only every k-th frame, and hold it until the next one.

    The reduced frame rate of SKD (k = 1/10 is `keep=10`), at the clip's own length.

    Args:
        keep: one frame in so many is seen, the first one always.

    Raises:
        ValueError: `keep` below 1.
    """

    keep: int

    severities: ClassVar = (
        {"keep": 2},
        {"keep": 3},
        {"keep": 5},
        {"keep": 10},
        {"keep": 20},
    )

    def __post_init__(self) -> None:
        checks.whole("HeldFrames.keep", self.keep, 1)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """Every frame as the last one that was seen."""
        time = np.arange(scores.shape[1])
        seen_last = time - time % self.keep
        return joints[:, seen_last], scores[:, seen_last]
