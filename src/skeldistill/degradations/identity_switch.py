"""A tracker that takes one person for another."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.bursts import bursts
from skeldistill.degradations.degradation import Degradation
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class IdentitySwitch(Degradation):
    """Give each person the track of the next one, in bursts of frames.

    Two persons are swapped, more change places in a ring; one alone stays who they are.

    Args:
        probability: share of the frames in which tracks are switched.
        burst: mean number of frames for which the switch lasts.

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
        checks.share("IdentitySwitch.probability", self.probability)
        checks.burst("IdentitySwitch.burst", self.burst)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """The persons in each other's place, where it was drawn."""
        switched = bursts(self.probability, self.burst, (1, scores.shape[1], 1), rng)
        return (
            np.where(switched[..., None], np.roll(joints, 1, axis=0), joints),
            np.where(switched, np.roll(scores, 1, axis=0), scores),
        )
