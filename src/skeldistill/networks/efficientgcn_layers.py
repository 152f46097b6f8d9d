"""What EfficientGCN is made of: spatial layers, two kinds of layers over time, and attention."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.networks.blocks import GraphConvolution

KERNEL = 5
"""Frames that a convolution over time sees."""


def convolution(
    channels_in: int, channels_out: int, *, frames: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A convolution over time, or of single joints, and its normalisation."""
    return nn.Sequential(
        nn.Conv2d(
            channels_in,
            channels_out,
            (frames, 1),
            (stride, 1),
            (frames // 2, 0),
            groups=groups,
        ),
        nn.BatchNorm2d(channels_out),
    )


def shortcut(channels_in: int, channels_out: int, stride: int = 1) -> nn.Module:
    """What came in, brought to the shape of what is added to it."""
    if channels_in == channels_out and stride == 1:
        return nn.Identity()
    return convolution(channels_in, channels_out, stride=stride)


class Spatial(nn.Module):
    """Graph convolution over the joint itself, its neighbours and theirs."""

    official: ClassVar[dict[str, str]] = {
        "conv.gcn": "graph.convolution",
        "conv.edge": "importance",
        "bn": "normalisation",
        "residual": "residual",
    }
    """The authors' names of its parts -> the names here."""

    def __init__(self, channels_in: int, channels_out: int, joints: int) -> None:
        super().__init__()
        self.graph = GraphConvolution(channels_in, channels_out, partitions=3)
        self.importance = nn.Parameter(torch.ones(3, joints, joints))
        self.normalisation = nn.BatchNorm2d(channels_out)
        self.residual = shortcut(channels_in, channels_out)

    def forward(
        self, x: Float[Tensor, "b c t v"], adjacency: Float[Tensor, "3 v v"]
    ) -> Float[Tensor, "b d t v"]:
        """Mix joints and channels."""
        y = self.normalisation(self.graph(x, adjacency * self.importance))
        return functional.silu(y + self.residual(x))


class Basic(nn.Module):
    """The stem's layer over time: one plain convolution."""

    official: ClassVar[dict[str, str]] = {"conv": "convolution.0", "bn": "convolution.1"}
    """The authors' names of its parts -> the names here."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = convolution(channels, channels, frames=KERNEL)

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c t v"]:
        """Mix frames and channels."""
        return functional.silu(self.convolution(x) + x)


class SandGlass(nn.Module):
    """Depthwise convolution over time on both sides of a bottleneck of half the channels."""

    official: ClassVar[dict[str, str]] = {
        "depth_conv1": "before",
        "point_conv1": "squeeze",
        "point_conv2": "expand",
        "depth_conv2": "after",
        "residual": "residual",
    }
    """The authors' names of its parts -> the names here."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        half = channels // 2
        self.before = convolution(channels, channels, frames=KERNEL, groups=channels)
        self.squeeze = convolution(channels, half)
        self.expand = convolution(half, channels)
        self.after = convolution(channels, channels, frames=KERNEL, stride=stride, groups=channels)
        self.residual = shortcut(channels, channels, stride)

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c s v"]:
        """Mix frames and channels; a stride of 2 halves the frames."""
        y = self.squeeze(functional.silu(self.before(x)))
        return self.after(functional.silu(self.expand(y))) + self.residual(x)


class Separable(nn.Module):
    """Depthwise convolution over time between widening to twice the channels and narrowing."""

    official: ClassVar[dict[str, str]] = {
        "expand_conv": "expand",
        "depth_conv": "over_time",
        "point_conv": "squeeze",
        "residual": "residual",
    }
    """The authors' names of its parts -> the names here."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        wide = 2 * channels
        self.expand = convolution(channels, wide)
        self.over_time = convolution(wide, wide, frames=KERNEL, stride=stride, groups=wide)
        self.squeeze = convolution(wide, channels)
        self.residual = shortcut(channels, channels, stride)

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c s v"]:
        """Mix frames and channels; a stride of 2 halves the frames."""
        y = functional.silu(self.over_time(functional.silu(self.expand(x))))
        return self.squeeze(y) + self.residual(x)


class Attention(nn.Module):
    """ST-JointAtt: how much each frame and each joint matters, for every channel.

    ``out = silu(BN(x * sigmoid(W_t h_t) * sigmoid(W_v h_v)) + x)`` with h the squeezed means over
    joints (h_t, one a frame) and over frames (h_v, one a joint).
    """

    official: ClassVar[dict[str, str]] = {
        "att.fcn.0": "squeeze.0",
        "att.fcn.1": "squeeze.1",
        "att.conv_t": "of_frames",
        "att.conv_v": "of_joints",
        "bn": "normalisation",
    }
    """The authors' names of its parts -> the names here."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        narrow = channels // reduction
        self.squeeze = nn.Sequential(
            nn.Linear(channels, narrow), nn.BatchNorm1d(narrow), nn.Hardswish()
        )
        self.of_frames = nn.Linear(narrow, channels)
        self.of_joints = nn.Linear(narrow, channels)
        self.normalisation = nn.BatchNorm2d(channels)

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c t v"]:
        """Weigh frames and joints."""
        b, _, t, v = x.shape
        means = torch.cat([x.mean(dim=3), x.mean(dim=2)], dim=2).transpose(1, 2)
        squeezed = self.squeeze(means.flatten(0, 1)).unflatten(0, (b, t + v))
        frames, joints = squeezed.split([t, v], dim=1)
        # Channels last, as x lies in memory.
        frames = torch.sigmoid(self.of_frames(frames)).permute(0, 2, 1)[..., None]
        joints = torch.sigmoid(self.of_joints(joints)).permute(0, 2, 1)[:, :, None]
        return functional.silu(self.normalisation(x * frames * joints) + x)
