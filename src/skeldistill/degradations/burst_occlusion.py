"""Joints hidden for a while, wrists and ankles most."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32, Int

from skeldistill.degradations import checks
from skeldistill.degradations.bursts import bursts
from skeldistill.degradations.degradation import Degradation
from skeldistill.degradations.losing import lose
from skeldistill.layouts import PARTS, Layout


@dataclass(frozen=True, kw_only=True)
class BurstOcclusion(Degradation):
    """Lose joints in bursts, the more often the farther out on a limb they are.

    Elbows and knees are lost twice as often as shoulders, hips, head and torso; wrists, ankles
    and what hangs on them three times as often.

    Args:
        probability: share of all joints that is lost, on average. Where the joint's own share would
            pass 1 (from 0.6 on, depending on the layout), it is always lost.
        burst: mean number of frames for which a lost joint stays lost.

    Raises:
        ValueError: a probability outside 0 to 1, or a burst below one frame.
    """

    probability: float
    burst: float = 10.0

    severities: ClassVar = (
        {"probability": 0.1},
        {"probability": 0.2},
        {"probability": 0.3},
        {"probability": 0.4},
        {"probability": 0.5},
    )

    def __post_init__(self) -> None:
        checks.share("BurstOcclusion.probability", self.probability)
        checks.burst("BurstOcclusion.burst", self.burst)

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """Without the joints that were hidden."""
        weights = 1.0 + np.minimum(_bones_out(layout), 2)
        own = np.minimum(self.probability * weights / weights.mean(), 1)
        return lose(joints, scores, bursts(own, self.burst, scores.shape, rng))


def _bones_out(layout: Layout) -> Int[np.ndarray, " v"]:
    """How many bones lie between a joint and the root of its arm or leg; 0 elsewhere."""
    parents, out = layout.parents, np.zeros(layout.num_joints, int)
    for part, members in zip(PARTS, layout.part_members, strict=True):
        for joint in np.flatnonzero(members) if part != "head" else ():
            place = joint
            while members[parents[place]] and parents[place] != place:
                place = parents[place]
                out[joint] += 1
    return out
