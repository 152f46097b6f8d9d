"""RA-GCN's published protocol of occluded frames."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float32

from skeldistill.degradations import checks
from skeldistill.degradations.degradation import Degradation
from skeldistill.degradations.losing import lose
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class RAGCNFrames(Degradation):
    """Lose the frames around the 50th, as RA-GCN's tests do (Song et al. 2019; 10 to 50 frames).

    Half of them lie before frame 50 and half from it on, counted from 0, as in the authors'
    released code (RA-GCNv1, ``Occlusion_time``). They occlude what their network is shown, 300
    frames of every clip, all nine channels of them: the last velocity before the hole stays the
    true one. Where fewer frames are shown than the hole reaches to, fewer are lost, or none;
    `BlockDropout` is the like for clips of any length.

    Args:
        frames: how many are lost, an even number.
        shown: blank the frames that the network is shown, as the authors do; without, the clip
            loses its own frames before any are chosen or anything is computed of them, which is
            harder.

    Raises:
        ValueError: an odd number, or one below 0 or above 100.
    """

    frames: int
    shown: bool = True

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
        return lose(joints, scores, self.blanked(scores.shape[1], layout)[None])

    def blanked(self, frames: int, layout: Layout) -> Bool[np.ndarray, "t v"]:
        """The frames of the protocol, with all joints."""
        distance = np.arange(frames) - 50
        lost = (distance >= -(self.frames // 2)) & (distance < self.frames // 2)
        return np.repeat(lost[:, None], layout.num_joints, axis=1)
