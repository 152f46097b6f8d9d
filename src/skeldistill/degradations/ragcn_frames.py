"""RA-GCN's published protocol of occluded frames."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.degradation import Degradation
from skeldistill.degradations.losing import lose
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class RAGCNFrames(Degradation):
    """Lose the frames around the 50th, as RA-GCN's tests do (Song et al. 2019; 10 to 50 frames).

    Half of them lie before frame 50 and half from it on, counted from 0; a clip that ends sooner
    loses fewer. The authors occlude what their network is shown, so that the last velocity before
    the hole stays the true one; here all of it is computed of the joints that are left.
    `BlockDropout` is the like for clips of any length.

    Args:
        frames: how many are lost, an even number.

    Raises:
        ValueError: an odd number, or one below 0 or above 100.
    """

    frames: int

    severities: ClassVar = (
        {"frames": 10},
        {"frames": 20},
        {"frames": 30},
        {"frames": 40},
        {"frames": 50},
    )

    def __post_init__(self) -> None:
        checks.whole("RAGCNFrames.frames", self.frames, 0)
        if self.frames % 2 or self.frames > 100:
            raise ValueError(f"RAGCNFrames.frames must be even and at most 100, got {self.frames}")

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """Without the frames of the protocol."""
        distance = np.arange(scores.shape[1]) - 50
        lost = (distance >= -(self.frames // 2)) & (distance < self.frames // 2)
        return lose(joints, scores, lost[None, :, None])
