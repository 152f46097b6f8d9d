"""One hole in the recording."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.degradation import Degradation
from skeldistill.degradations.losing import lose
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class BlockDropout(Degradation):
    """Lose one stretch of frames, all persons at once; the clip keeps its length.

    The single-block dropout of SHARDeg (Malzard et al. 2025); what is done about the hole is
    left to a completion.

    Args:
        share: of the clip's frames that is lost in one stretch.

    Raises:
        ValueError: a share outside 0 to 1.
    """

    share: float

    severities: ClassVar = (
        {"share": 0.2},
        {"share": 0.35},
        {"share": 0.5},
        {"share": 0.65},
        {"share": 0.8},
    )

    def __post_init__(self) -> None:
        checks.share("BlockDropout.share", self.share)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """Without the stretch, which begins at a frame that is drawn."""
        t = scores.shape[1]
        length = math.ceil(self.share * t)
        start = rng.integers(t - length, endpoint=True)
        time = np.arange(t)
        return lose(joints, scores, ((time >= start) & (time < start + length))[None, :, None])
