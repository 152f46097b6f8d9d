"""Frames that never came through."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.bursts import bursts
from skeldistill.degradations.degradation import Degradation
from skeldistill.degradations.losing import lose
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class LostFrames(Degradation):
    """Lose whole frames in bursts, all persons at once; the clip keeps its length.

    Args:
        probability: share of the frames that is lost, on average.
        burst: mean number of frames for which trouble lasts.

    Raises:
        ValueError: a probability outside 0 to 1, or a burst below one frame.
    """

    probability: float
    burst: float = 8.0

    severities: ClassVar = (
        {"probability": 0.1},
        {"probability": 0.2},
        {"probability": 0.3},
        {"probability": 0.45},
        {"probability": 0.6},
    )

    def __post_init__(self) -> None:
        checks.share("LostFrames.probability", self.probability)
        checks.burst("LostFrames.burst", self.burst)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """Without the frames that were drawn."""
        shape = (1, scores.shape[1], 1)
        return lose(joints, scores, bursts(self.probability, self.burst, shape, rng))
