"""RA-GCN's published protocol of occluded parts."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float32

from skeldistill.degradations.degradation import Degradation
from skeldistill.degradations.losing import lose
from skeldistill.layouts import Layout

HANDS = (("hand_tip", "thumb", "index", "pinky"), ("hand",), ("wrist",))
"""What layouts call the end of an arm, the outermost first."""


@dataclass(frozen=True, kw_only=True)
class RAGCNParts(Degradation):
    """Lose one of RA-GCN's five parts for the whole clip (Song et al. 2019, for NTU's 25 joints).

    The joints are those of the authors' released code (RA-GCNv1, ``Occlusion_part``): counted from
    1 as Kinect does, left arm 5-8, 22, 23; right arm 9-12, 24, 25; hands 22-25; legs 13-20; trunk
    1-4, 21, the head with it. On other layouts the hands are the outermost joints of the arms that
    there are, and the trunk is whatever belongs to no arm and no leg. The severities follow the
    number of joints lost on `ntu25`, not the protocol's numbers.

    The authors occlude what their network is shown, all nine channels of it: velocities, and joints
    seen from the centre, stay the true ones for joints that are left, and are 0 for lost ones.

    Args:
        part: the protocol's number: 1 left arm, 2 right arm, 3 two hands, 4 two legs, 5 trunk.
        shown: blank what the network is shown, as the authors do; without, the clip loses the
            joints before anything is computed of them, which is harder.

    Raises:
        ValueError: another number.
    """

    part: int
    shown: bool = True

    severities: ClassVar = (
        {"part": 3},
        {"part": 5},
        {"part": 1},
        {"part": 2},
        {"part": 4},
    )

    def __post_init__(self) -> None:
        if self.part not in (1, 2, 3, 4, 5):
            raise ValueError(
                "RAGCNParts.part must be 1 (left arm), 2 (right arm), 3 (two hands), "
                f"4 (two legs) or 5 (trunk), got {self.part!r}"
            )

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """Without the joints of the part."""
        return lose(joints, scores, self.blanked(scores.shape[1], layout)[None])

    def blanked(self, frames: int, layout: Layout) -> Bool[np.ndarray, "t v"]:
        """The joints of the part, in every frame."""
        _, *limbs = layout.part_members
        left_arm, right_arm, left_leg, right_leg = limbs
        hands = _hands(layout, left_arm | right_arm)
        trunk = ~np.any(limbs, axis=0)
        lost = (left_arm, right_arm, hands, left_leg | right_leg, trunk)[self.part - 1]
        return np.tile(lost, (frames, 1))


def _hands(layout: Layout, arms: Bool[np.ndarray, " v"]) -> Bool[np.ndarray, " v"]:
    for names in HANDS:
        hands = np.array([joint.endswith(names) for joint in layout.joints]) & arms
        if hands.any():
            return hands
    return np.zeros_like(arms)
