"""A whole body part out of sight."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations import checks
from skeldistill.degradations.degradation import Degradation
from skeldistill.degradations.losing import lose
from skeldistill.layouts import PARTS, Layout
from skeldistill.shelf import nearest


@dataclass(frozen=True, kw_only=True)
class PartOcclusion(Degradation):
    """Lose one of the five body parts for a stretch of the clip.

    Args:
        part: one of `skeldistill.layouts.PARTS`; `None` draws one for each person.
        share: of the clip's frames that the stretch takes, at least one frame if above 0.

    Raises:
        ValueError: no such part, or a share outside 0 to 1.
    """

    part: str | None = None
    share: float = 1.0

    severities: ClassVar = (
        {"share": 0.2},
        {"share": 0.4},
        {"share": 0.6},
        {"share": 0.8},
        {"share": 1.0},
    )

    def __post_init__(self) -> None:
        checks.share("PartOcclusion.share", self.share)
        if self.part is not None and self.part not in PARTS:
            raise ValueError(f"PartOcclusion.part is {self.part!r}; {nearest(self.part, PARTS)}")

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """Without the part, from a frame that is drawn on."""
        m, t, _ = scores.shape
        length = math.ceil(self.share * t)
        starts = rng.integers(t - length, endpoint=True, size=(m, 1))
        rows = (
            rng.integers(len(PARTS), size=m) if self.part is None else [PARTS.index(self.part)] * m
        )
        time = np.arange(t)
        hidden = (time >= starts) & (time < starts + length)
        return lose(joints, scores, hidden[..., None] & layout.part_members[rows][:, None])
