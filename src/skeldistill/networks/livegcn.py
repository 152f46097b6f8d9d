"""LiveGCN, our own small student for running live, frame by frame, on one CPU core."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks.adjacency import directed
from skeldistill.networks.blocks import (
    Dropout,
    GraphConvolution,
    Pointwise,
    every,
    fan_out,
    normalised,
)
from skeldistill.networks.network import Network
from skeldistill.networks.through_time import (
    EachFrame,
    InTurn,
    Path,
    Together,
    Window,
    convolved,
    path,
    residual,
)
from skeldistill.prediction import Prediction, presence

BLOCKS = ((48, 1), (64, 2), (64, 1), (64, 1), (96, 2), (96, 1))
"""(channels, stride in time) of the six blocks."""


class LiveGCN(Network):
    """LiveGCN: six blocks over a learned graph, whose layers over time touch half of the channels.

    Less than 0.3 M parameters and a tenth of ST-GCN's multiply-adds. It sees joints, bones and
    movements at once; bones and movements of joints that were not found (all channels 0) count as
    none. No layer pools over time or looks at whole clips, so that it runs frame by frame with a
    delay of 12 times its reach (`skeldistill.deploy.streaming`). Pooling is the mean over frames,
    joints and persons.

    Args:
        layout: the joints and bones, from which the learned graphs start.
        classes: how many actions.
        persons: how many persons of a clip it sees.
        channels: input channels of a joint; a score is one of them.
        width: factor of the channels 48, 64 and 96, rounded to multiples of 8.
        dropout: probability at the end of each block, but for what came in.
        reach: frames of its own that each block sees on either side, an even number. 4 was chosen
            on JHMDB; 2 halves the delay.
    """

    temporal_stride = 4

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.1,
        reach: int = 4,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        if reach < 2 or reach % 2:
            raise ValueError(f"reach must be an even number of frames, at least 2, got {reach}")
        self.dropout, self.reach = dropout, reach
        parents = torch.from_numpy(layout.parents.copy())
        self.register_buffer("parents", parents, persistent=False)
        self.normalisation = nn.BatchNorm1d(layout.num_joints * 3 * channels)
        graph = torch.from_numpy(directed(layout))
        blocks: list[Block] = []
        for full, stride in BLOCKS:
            channels_in = blocks[-1].channels if blocks else 3 * channels
            channels_out = max(8, 8 * round(full * width / 8))
            blocks.append(
                Block(
                    channels_in,
                    channels_out,
                    stride=stride,
                    reach=reach,
                    graph=graph,
                    dropout=dropout,
                    residual=bool(blocks),
                )
            )
        self.blocks = nn.ModuleList(blocks)
        self.feature_channels = blocks[-1].channels
        self.classifier = nn.Linear(self.feature_channels, classes)
        nn.init.normal_(self.classifier.weight, 0.0, 0.02)
        nn.init.zeros_(self.classifier.bias)
        self._initialise()

    parents: Tensor

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        n, m = joints.shape[:2]
        x = joints.flatten(0, 1).permute(0, 3, 1, 2)
        moved = movements(functional.pad(x, (0, 0, 1, 0)))
        x = normalised(torch.cat([self._joints_and_bones(x), moved], dim=1), self.normalisation)
        for block in self.blocks:
            x = block(x)
        pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
        return Prediction(
            logits=self.classifier(pooled),
            features=x.unflatten(0, (n, m)),
            present=presence(joints, x.shape[2]),
        )

    def through_time(self) -> Path:
        """What it is shown, normalisation, then block after block."""
        shown = Together(
            EachFrame(self._joints_and_bones),
            Window(movements, before=1, after=0),
            combine=partial(torch.cat, dim=1),
        )
        entry = EachFrame(partial(normalised, normalisation=self.normalisation))
        return InTurn(shown, entry, *(path(block) for block in self.blocks))

    def _joints_and_bones(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d t v"]:
        found = seen(x)
        bones = (x - x[..., self.parents]) * (found * found[..., self.parents])
        return torch.cat([x, bones], dim=1)

    def _initialise(self) -> None:
        """Convolutions keep the size of gradients."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out(module)


class Block(nn.Module):
    """Graph convolution over joints with a learned graph, then nine frames, then a mix."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        stride: int,
        reach: int,
        graph: Float[Tensor, "k v v"],
        dropout: float,
        residual: bool,
    ) -> None:
        super().__init__()
        self.channels = channels_out
        self.learned = nn.Parameter(graph.clone())
        self.graph = GraphConvolution(channels_in, channels_out, len(graph))
        self.graph_normalisation = nn.BatchNorm2d(channels_out)
        self.graph_residual = _shortcut(channels_in, channels_out, 1) if residual else None
        self.frames = FramesAround(channels_out, stride, reach)
        self.mix = nn.Sequential(
            Pointwise(channels_out, channels_out), nn.BatchNorm2d(channels_out), Dropout(dropout)
        )
        self.residual = _shortcut(channels_in, channels_out, stride) if residual else None

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d s v"]:
        """One block; a stride of 2 halves the frames."""
        y = self.graph_normalisation(self.graph(x, self.learned))
        y = functional.relu_(y if self.graph_residual is None else y + self.graph_residual(x))
        y = self.mix(self.frames(y))
        return functional.relu_(y if self.residual is None else y + self.residual(x))

    def through_time(self) -> Path:
        """The block, frame by frame."""
        graph = EachFrame(partial(self.graph, adjacency=self.learned))
        over_joints = residual(InTurn(graph, path(self.graph_normalisation)), self.graph_residual)
        return residual(InTurn(over_joints, path(self.frames), path(self.mix)), self.residual)


class FramesAround(nn.Module):
    """Four quarters of the channels, each with its own look at the frames around.

    With a reach of 4: five frames side by side; five frames two apart; the largest of three; the
    frame alone. What comes in must not be negative, so that zeros around the clip are never the
    largest.
    """

    def __init__(self, channels: int, stride: int, reach: int) -> None:
        super().__init__()
        quarter, kernel = channels // 4, (reach + 1, 1)
        self.quarter, self.stride, self.reach = quarter, stride, reach
        self.near = nn.Conv2d(quarter, quarter, kernel, (stride, 1), (reach // 2, 0))
        self.far = nn.Conv2d(quarter, quarter, kernel, (stride, 1), (reach, 0), (2, 1))

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c s v"]:
        """Look around; a stride of 2 halves the frames."""
        near, far, largest, alone = x.split(self.quarter, dim=1)
        largest = functional.max_pool2d(largest, (3, 1), (self.stride, 1), (1, 0))
        quarters = [self.near(near), self.far(far), largest, every(self.stride, alone)]
        return functional.relu_(torch.cat(quarters, dim=1))

    def inside(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c s v"]:
        """The same for frames that have all others around them: all but `reach` at each end."""
        reach, half = self.reach, self.reach // 2
        near, far, largest, alone = x.split(self.quarter, dim=1)
        largest = functional.max_pool2d(
            largest[:, :, reach - 1 : 1 - reach], (3, 1), (self.stride, 1)
        )
        quarters = [
            convolved(self.near, near[:, :, half:-half]),
            convolved(self.far, far),
            largest,
            alone[:, :, reach : -reach : self.stride],
        ]
        return functional.relu_(torch.cat(quarters, dim=1))

    def through_time(self) -> Path:
        """A window."""
        return Window(self.inside, before=self.reach, after=self.reach, stride=self.stride)


def seen(x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b 1 t v"]:
    """1 where a joint was found, 0 where all its channels are 0."""
    return (x != 0).any(dim=1, keepdim=True).to(x.dtype)


def movements(x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c s v"]:
    """How far each joint has moved since the frame before, for all frames but the first.

    0 where the joint was not found in one of the two, so also after the zeros before a clip.
    """
    found = seen(x)
    return (x[:, :, 1:] - x[:, :, :-1]) * (found[:, :, 1:] * found[:, :, :-1])


def _shortcut(channels_in: int, channels_out: int, stride: int) -> nn.Module:
    if channels_in == channels_out and stride == 1:
        return nn.Identity()
    return nn.Sequential(Pointwise(channels_in, channels_out, stride), nn.BatchNorm2d(channels_out))
