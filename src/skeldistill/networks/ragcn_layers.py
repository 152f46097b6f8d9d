"""What RA-GCN is built from: its streams, ST-GCNs with a shorter kernel, and their classifiers."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.networks.blocks import (
    Dropout,
    GraphConvolution,
    Pointwise,
    normalised_persons,
)

BLOCKS = ((64, 1),) * 4 + ((128, 2),) + ((128, 1),) * 2 + ((256, 2),) + ((256, 1),) * 2
"""(channels, stride in time) of the ten blocks."""

FRAMES = 5
"""Frames of a kernel."""


class Stream(nn.Module):
    """One ST-GCN up to its last map, with a kernel of five frames."""

    def __init__(
        self,
        channels: int,
        shown: int,
        adjacency: Float[Tensor, "k v v"],
        *,
        width: float,
        dropout: float,
    ) -> None:
        super().__init__()
        self.normalisation = nn.BatchNorm1d(shown * channels)
        blocks: list[Block] = []
        for full, stride in BLOCKS:
            before = blocks[-1].channels if blocks else channels
            block = Block(
                before,
                narrowed(full, width),
                adjacency,
                stride=stride,
                dropout=dropout,
                residual=bool(blocks),
            )
            blocks.append(block)
        self.blocks = nn.ModuleList(blocks)
        self.channels = blocks[-1].channels

    def forward(
        self, x: Float[Tensor, "n m t v c"], adjacency: Float[Tensor, "k v v"]
    ) -> Float[Tensor, "n m d s v"]:
        """The features of some clips."""
        n, m = x.shape[:2]
        y = normalised_persons(x.flatten(0, 1).permute(0, 3, 1, 2), self.normalisation, m)
        for block in self.blocks:
            y = block(y, adjacency)
        return y.unflatten(0, (n, m))


class Block(nn.Module):
    """Graph convolution over joints, convolution over five frames, and what came in added."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        adjacency: Float[Tensor, "k v v"],
        *,
        stride: int,
        dropout: float,
        residual: bool,
    ) -> None:
        super().__init__()
        self.channels = channels_out
        self.importance = nn.Parameter(torch.ones_like(adjacency))
        self.graph = GraphConvolution(channels_in, channels_out, len(adjacency))
        self.graph_normalisation = nn.BatchNorm2d(channels_out)
        self.dropout = Dropout(dropout)
        self.temporal = nn.Conv2d(
            channels_out, channels_out, (FRAMES, 1), (stride, 1), (FRAMES // 2, 0)
        )
        self.temporal_normalisation = nn.BatchNorm2d(channels_out)
        self.residual: nn.Module | None = None
        if residual and stride == 1 and channels_in == channels_out:
            self.residual = nn.Identity()
        elif residual:
            self.residual = nn.Sequential(
                Pointwise(channels_in, channels_out, stride), nn.BatchNorm2d(channels_out)
            )

    def forward(
        self, x: Float[Tensor, "b c t v"], adjacency: Float[Tensor, "k v v"]
    ) -> Float[Tensor, "b d s v"]:
        """One block; a stride of 2 halves the frames."""
        y = functional.relu(self.graph_normalisation(self.graph(x, adjacency * self.importance)))
        y = self.temporal_normalisation(self.temporal(self.dropout(y)))
        return functional.relu(y if self.residual is None else y + self.residual(x))


class Classifiers(nn.ModuleList):
    """A linear layer for every stream, each on its own part of the features."""

    def __init__(self, channels: int, streams: int, classes: int) -> None:
        super().__init__(nn.Linear(channels // streams, classes) for _ in range(streams))

    def weights(self, stream: int) -> Float[Tensor, "k c"]:
        """The weights of one stream's layer."""
        layer = self[stream]
        assert isinstance(layer, nn.Linear)
        return layer.weight

    def each(self, pooled: Float[Tensor, "n c"]) -> list[Float[Tensor, "n k"]]:
        """The scores of every stream."""
        parts = pooled.chunk(len(self), dim=1)
        return [layer(part) for layer, part in zip(self, parts, strict=True)]

    def forward(self, pooled: Float[Tensor, "n c"]) -> Float[Tensor, "n k"]:
        """The sum of the scores of all streams."""
        return torch.stack(self.each(pooled)).sum(dim=0)


def pooled(features: Float[Tensor, "n m c s v"]) -> Float[Tensor, "n c"]:
    """The mean over frames and joints, then persons."""
    return features.mean(dim=(1, 3, 4))


def narrowed(channels: int, width: float) -> int:
    """A number of channels by a factor, a multiple of 8."""
    return max(8, 8 * round(channels * width / 8))
