"""A person who slowly slides away."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.body_size import body_size
from skeldistill.degradations.degradation import Degradation
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class TranslationDrift(Degradation):
    """Let the place of each person wander over the clip.

    Args:
        deviation: standard deviation, along each axis, of the way made by the end of the clip, in
            body sizes (see `body_size`).

    Raises:
        ValueError: a negative deviation.
    """

    deviation: float

    severities: ClassVar = (
        {"deviation": 0.1},
        {"deviation": 0.25},
        {"deviation": 0.5},
        {"deviation": 1.0},
        {"deviation": 2.0},
    )

    def __post_init__(self) -> None:
        checks.not_negative("TranslationDrift.deviation", self.deviation)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """The persons at other places."""
        m, t, _, c = joints.shape
        walk = rng.standard_normal((m, t, 1, c), dtype=np.float32).cumsum(axis=1) / np.sqrt(t)
        reach = self.deviation * body_size(joints, scores)[:, None, None, None]
        moved = joints + (reach * walk).astype(np.float32)
        return np.where((scores > 0)[..., None], moved, joints), scores.copy()
