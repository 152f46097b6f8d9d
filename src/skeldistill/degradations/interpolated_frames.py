"""A low frame rate, the gaps drawn as straight lines."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.degradation import Degradation
from skeldistill.degradations.losing import lose
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class InterpolatedFrames(Degradation):
    """See only every k-th frame, and draw a straight line in between.

    A line needs both ends: where a joint is lost in one of the two frames around, the other is
    held; where it is lost in both, it is lost in between. In a frame that is seen nothing changes.
    After the last frame that is seen, it is held.

    Args:
        keep: one frame in so many is seen, the first one always.

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

    def __post_init__(self) -> None:
        checks.whole("InterpolatedFrames.keep", self.keep, 1)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """Every frame between the two that were seen around it."""
        t = scores.shape[1]
        time = np.arange(t)
        before = time - time % self.keep
        after = np.where(before + self.keep < t, before + self.keep, before)
        way = (time % self.keep / np.float32(self.keep)).astype(np.float32)[:, None]
        first, second = scores[:, before], scores[:, after]
        # A lost end weighs nothing: its zeros must not pull the line to the origin.
        first_weight = np.where(first > 0, 1 - way, np.float32(0))
        second_weight = np.where(second > 0, way, np.float32(0))
        weight = first_weight + second_weight
        share = np.divide(second_weight, weight, out=np.zeros_like(weight), where=weight > 0)
        between = joints[:, before] * (1 - share)[..., None] + joints[:, after] * share[..., None]
        score = first * (1 - share) + second * share
        return lose(between, score, weight == 0)
