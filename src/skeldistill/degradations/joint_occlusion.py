"""Random occlusion: every joint of every frame on its own."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.degradation import Degradation
from skeldistill.degradations.losing import lose
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class JointOcclusion(Degradation):
    """Lose every joint of every frame with the same probability.

    Each (person, frame, joint) is drawn on its own, as SKD's released code does; SKD IV-B 4 and
    PLKD use probabilities 0.3 and 0.6. `ClipJointOcclusion` is the other reading of the papers.

    Args:
        probability: of a joint to be lost in a frame.

    Raises:
        ValueError: a probability outside 0 to 1.
    """

    probability: float

    severities: ClassVar = (
        {"probability": 0.15},
        {"probability": 0.3},
        {"probability": 0.45},
        {"probability": 0.6},
        {"probability": 0.75},
    )

    def __post_init__(self) -> None:
        checks.share("JointOcclusion.probability", self.probability)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """Without the joints that were drawn."""
        return lose(joints, scores, rng.random(scores.shape, dtype=np.float32) < self.probability)
