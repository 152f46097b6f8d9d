"""Prediction: all that a network says about a batch of clips, and all that a loss may see."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from skeldistill.clip import UNLABELLED


class Prediction(NamedTuple):
    """What a network returns.

    Attributes:
        logits: class scores before the softmax, ``(n, k)``.
        features: the last map before pooling, ``(n, m, c, t', v)``.
        present: which persons and (strided) frames hold anybody, ``(n, m, t')``. A clip without
            any is absent: as a teacher's prediction it says that this clip has no high-quality
            match.
        losses: (name, value) of what the network itself adds to the task loss, already weighted;
            only in training (`Network.learn`), and only of networks that have such losses.
    """

    logits: Float[Tensor, "n k"]
    features: Float[Tensor, "n m c s v"]
    present: Bool[Tensor, "n m s"]
    losses: tuple[tuple[str, Float[Tensor, ""]], ...] = ()

    def named(self, labels: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """The labels, and of clips that have none what they are taken for, if anybody is there."""
        unnamed = (labels == UNLABELLED) & self.present.flatten(1).any(dim=1)
        return torch.where(unnamed, self.logits.argmax(dim=1), labels)

    def rows(self, index: Tensor) -> "Prediction":
        """The prediction for some of the clips of the batch; `losses`, of all of them, is left."""
        return Prediction(self.logits[index], self.features[index], self.present[index])


def presence(joints: Float[Tensor, "n m t v c"], frames: int) -> Bool[Tensor, "n m s"]:
    """Which persons are in which of `frames` strided frames: those with any joint that is not 0.

    A strided frame holds somebody if any of the frames that it stands for does.
    """
    present = (joints != 0).flatten(3).any(dim=3)
    t = present.shape[2]
    place = torch.arange(frames + 1, device=joints.device) * t
    first = place[:-1].div(frames, rounding_mode="floor")
    last = (place[1:] + frames - 1).div(frames, rounding_mode="floor")  # the one after it
    # By running counts and not by adaptive pooling, which an export ties to one number of frames.
    counts = functional.pad(present.long().cumsum(dim=2), (1, 0))
    return counts[:, :, last] > counts[:, :, first]
