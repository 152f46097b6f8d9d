"""Joints that tremble."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.body_size import body_size
from skeldistill.degradations.degradation import Degradation
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class Jitter(Degradation):
    """Move every seen joint by white noise, in every frame anew.

    Args:
        deviation: standard deviation along each axis, in body sizes (see `body_size`: about a third
            of a standing person's height), each person by their own.

    Raises:
        ValueError: a negative deviation.
    """

    deviation: float

    severities: ClassVar = (
        {"deviation": 0.02},
        {"deviation": 0.05},
        {"deviation": 0.1},
        {"deviation": 0.2},
        {"deviation": 0.4},
    )

    def __post_init__(self) -> None:
        checks.not_negative("Jitter.deviation", self.deviation)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """The joints beside where they were."""
        reach = np.float32(self.deviation) * body_size(joints, scores)[:, None, None]
        reach = np.where(scores > 0, reach, np.float32(0))[..., None]
        return joints + reach * rng.standard_normal(joints.shape, dtype=np.float32), scores.copy()
