"""Prediction: all that a network says about a batch of clips, and all that a loss may see."""

from typing import NamedTuple

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


class Prediction(NamedTuple):
    """What a network returns.

    logits: class scores before the softmax, ``(n, k)``.
    features: the last map before pooling, ``(n, m, c, t', v)``.
    present: which persons and (strided) frames hold anybody, ``(n, m, t')``. A clip without any
        is absent: as a teacher's prediction it says that this clip has no high-quality match.
    """

    logits: Float[Tensor, "n k"]
    features: Float[Tensor, "n m c s v"]
    present: Bool[Tensor, "n m s"]

    def rows(self, index: Tensor) -> "Prediction":
        """The prediction for some of the clips of the batch."""
        return Prediction(self.logits[index], self.features[index], self.present[index])


def presence(joints: Float[Tensor, "n m t v c"], frames: int) -> Bool[Tensor, "n m s"]:
    """Which persons are in which of `frames` strided frames: those with any joint that is not 0.

    A strided frame holds somebody if any of the frames that it stands for does.
    """
    present = (joints != 0).flatten(3).any(dim=3)
    pooled = functional.adaptive_max_pool1d(present.to(joints.dtype), frames)
    return pooled > 0
