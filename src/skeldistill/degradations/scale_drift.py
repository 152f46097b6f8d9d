"""A person who slowly grows and shrinks."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.body_size import centres
from skeldistill.degradations.degradation import Degradation
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class ScaleDrift(Degradation):
    """Let the size of each person wander over the clip.

    The logarithm of the size walks at random, and each frame is scaled around the mean of its seen
    joints: what an estimator without a sense of depth does.

    Args:
        deviation: standard deviation of the logarithm of the size at the end of the clip.

    Raises:
        ValueError: a negative deviation.
    """

    deviation: float

    severities: ClassVar = (
        {"deviation": 0.05},
        {"deviation": 0.1},
        {"deviation": 0.2},
        {"deviation": 0.35},
        {"deviation": 0.5},
    )

    def __post_init__(self) -> None:
        checks.not_negative("ScaleDrift.deviation", self.deviation)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """The persons at other sizes."""
        m, t, _ = scores.shape
        walk = rng.standard_normal((m, t), dtype=np.float32).cumsum(axis=1) / np.sqrt(t)
        growth = np.exp(self.deviation * walk).astype(np.float32)[..., None, None]
        centre = centres(joints, scores)
        moved = centre + (joints - centre) * growth
        return np.where((scores > 0)[..., None], moved, joints), scores.copy()
