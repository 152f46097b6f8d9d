"""Keeping only what the estimator is sure of."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.degradation import Degradation
from skeldistill.degradations.losing import lose
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class ConfidenceOcclusion(Degradation):
    """Lose the joints whose score is below a threshold.

    No chance in it: joints that an estimator doubts are those that a careful user throws away.

    Args:
        threshold: the least score that is kept.

    Raises:
        ValueError: a threshold outside 0 to 1.
    """

    threshold: float

    severities: ClassVar = (
        {"threshold": 0.1},
        {"threshold": 0.2},
        {"threshold": 0.3},
        {"threshold": 0.45},
        {"threshold": 0.6},
    )

    def __post_init__(self) -> None:
        checks.share("ConfidenceOcclusion.threshold", self.threshold)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """Without the joints of low score."""
        return lose(joints, scores, scores < self.threshold)
