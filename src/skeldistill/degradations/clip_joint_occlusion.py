"""Random occlusion: a joint is gone for the whole clip."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.degradation import Degradation
from skeldistill.degradations.losing import lose
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class ClipJointOcclusion(Degradation):
    """Lose each joint of each person with the same probability, for the whole clip.

    The literal reading of SKD III-D 4 ("every joint is set to be occluded with a certain
    probability", as by a broken sensor); no completion in time can bring such a joint back.

    Args:
        probability: of a joint to be lost.

    Raises:
        ValueError: a probability outside 0 to 1.
    """

    probability: float

    severities: ClassVar = (
        {"probability": 0.1},
        {"probability": 0.2},
        {"probability": 0.3},
        {"probability": 0.45},
        {"probability": 0.6},
    )

    def __post_init__(self) -> None:
        checks.share("ClipJointOcclusion.probability", self.probability)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """Without the joints that were drawn."""
        m, _, v = scores.shape
        return lose(joints, scores, rng.random((m, 1, v), dtype=np.float32) < self.probability)
