"""The contract of a network: joints in, Prediction out."""

from typing import ClassVar

from jaxtyping import Float
from torch import Tensor, nn

from skeldistill.layouts import Layout
from skeldistill.prediction import Prediction


class Network(nn.Module):
    """Every network on the shelf is made as ``Name(layout, classes=..., persons=..., **options)``.

    layout: the joints it works on. persons: the length of the axis ``m`` it was made for.
    channels: input channels (2-D joints and their score, or 3-D joints: 3 by default).
    feature_channels: width of ``Prediction.features``. temporal_stride: how many input frames
    one frame of the features stands for.
    """

    layout: Layout
    classes: int
    persons: int
    channels: int
    feature_channels: int
    temporal_stride: ClassVar[int] | int

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        raise AssertionError("every network defines forward")

    def check(self, joints: Float[Tensor, "n m t v c"]) -> None:
        """Refuse a batch of the wrong shape in one line (cheap: looks at sizes only)."""
        _, m, _, v, c = joints.shape
        expected = (self.persons, self.layout.num_joints, self.channels)
        if (m, v, c) != expected:
            raise ValueError(
                f"{type(self).__name__} expects (persons, joints, channels) {expected} for layout "
                f"{self.layout.name!r}, got {(m, v, c)}"
            )
