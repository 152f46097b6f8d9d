"""Coordinates on a coarse grid."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.body_size import body_size
from skeldistill.degradations.degradation import Degradation
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class Quantisation(Degradation):
    """Round every coordinate to a grid, as a small heat map does.

    Args:
        step: width of the grid in body sizes (see `body_size`), each person by their own.

    Raises:
        ValueError: a negative step.
    """

    step: float

    severities: ClassVar = (
        {"step": 0.05},
        {"step": 0.1},
        {"step": 0.2},
        {"step": 0.4},
        {"step": 0.8},
    )

    def __post_init__(self) -> None:
        checks.not_negative("Quantisation.step", self.step)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """The joints at the nearest points of the grid."""
        width = (self.step * body_size(joints, scores).astype(np.float64))[:, None, None, None]
        safe = np.where(width > 0, width, 1)
        rounded = (np.round(joints / safe) * safe).astype(np.float32)
        return np.where(width > 0, rounded, joints), scores.copy()
