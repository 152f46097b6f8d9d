"""A lost joint from the joints that it hangs on, frame by frame."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from skeldistill.completions.completion import Completion
from skeldistill.completions.guess import GUESS
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class NeighbourAverage(Completion):
    """Fill a lost joint with what its neighbours in the body graph say of the same frame.

    Each neighbour that is seen says: where I am, plus the mean way from me to you in the frames
    of this clip that show us both (none: just where I am). The answers are averaged. It is the one
    completion that can do something about a joint that is lost for a whole clip.

    A joint without a seen neighbour stays lost, unless `hops` lets the filling spread. A filled
    joint's score is half the mean score of those it was made from (see `GUESS`).

    Args:
        hops: how often joints that were just filled may fill their own neighbours, plus one.

    Raises:
        ValueError: `hops` below 1.
    """

    hops: int = 1

    def __post_init__(self) -> None:
        if self.hops < 1:
            raise ValueError(f"NeighbourAverage.hops must be at least 1, got {self.hops}")

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """The joints with those filled that have a neighbour to ask."""
        here, there = np.array(layout.bone_indices).reshape(-1, 2).T
        asked, answered = np.concatenate([here, there]), np.concatenate([there, here])
        both = ((scores[..., asked] > 0) & (scores[..., answered] > 0))[..., None]
        ways = (joints[:, :, answered] - joints[:, :, asked]) * both
        ways = ways.sum(axis=1, keepdims=True) / np.maximum(both.sum(axis=1, keepdims=True), 1)
        gather = np.zeros((len(answered), layout.num_joints))
        gather[np.arange(len(answered)), answered] = 1
        joints, scores = joints.copy(), scores.copy()
        for _ in range(self.hops):
            known = scores[..., asked] > 0
            count = known @ gather
            answers = np.where(known[..., None], joints[:, :, asked] + ways, 0)
            place = gather.T @ answers
            lost = (scores == 0) & (count > 0)
            score = GUESS * (scores[..., asked] @ gather)[lost] / count[lost]
            joints[lost] = place[lost] / count[lost][:, None]
            scores[lost] = score
        return joints, scores
