"""A body taken the wrong way round."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.bursts import bursts
from skeldistill.degradations.degradation import Degradation
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class LeftRightSwap(Degradation):
    """Swap left and right in bursts of frames, each person on their own.

    Args:
        probability: share of a person's frames that is swapped; 0.5 is the worst, since beyond it
            the body is merely mirrored.
        burst: mean number of frames for which the swap lasts.

    Raises:
        ValueError: a probability outside 0 to 1, or a burst below one frame.
    """

    probability: float
    burst: float = 8.0

    severities: ClassVar = (
        {"probability": 0.05},
        {"probability": 0.1},
        {"probability": 0.2},
        {"probability": 0.35},
        {"probability": 0.5},
    )

    def __post_init__(self) -> None:
        checks.share("LeftRightSwap.probability", self.probability)
        checks.burst("LeftRightSwap.burst", self.burst)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """The joints under their partners' names, where it was drawn."""
        m, t, _ = scores.shape
        swapped = bursts(self.probability, self.burst, (m, t, 1), rng)
        there = layout.mirrored
        return (
            np.where(swapped[..., None], joints[:, :, there], joints),
            np.where(swapped, scores[:, :, there], scores),
        )
