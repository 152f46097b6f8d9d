"""Frames that come when they like."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.degradation import Degradation
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class RandomFrames(Degradation):
    """See as many frames as `DroppedFrames`, but at random times.

    The random subsampling of SHARDeg (Malzard et al. 2025): the pace of the motion is lost too.

    Args:
        keep: one frame in so many is seen; of t frames ceil(t / keep) stay, in order.

    Raises:
        ValueError: `keep` below 1.
    """

    keep: int

    severities: ClassVar = (
        {"keep": 2},
        {"keep": 3},
        {"keep": 5},
        {"keep": 10},
        {"keep": 20},
    )

    shortens: ClassVar[bool] = True

    def __post_init__(self) -> None:
        checks.whole("RandomFrames.keep", self.keep, 1)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m s v c"], Float32[np.ndarray, "m s v"]]:
        """The frames that were drawn."""
        t = scores.shape[1]
        kept = np.sort(rng.permutation(t)[: -(-t // self.keep)])
        return joints[:, kept], scores[:, kept]
