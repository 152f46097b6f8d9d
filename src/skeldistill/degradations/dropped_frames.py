"""A low frame rate, the clip being shorter for it."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.degradation import Degradation
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class DroppedFrames(Degradation):
    """See only every k-th frame, and know of no other.

    Args:
        keep: one frame in so many is seen, the first one always; of t frames ceil(t / keep) stay.

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
        checks.whole("DroppedFrames.keep", self.keep, 1)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m s v c"], Float32[np.ndarray, "m s v"]]:
        """The frames that were seen."""
        return joints[:, :: self.keep].copy(), scores[:, :: self.keep].copy()
