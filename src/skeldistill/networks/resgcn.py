"""ResGCN-B19 and PA-ResGCN-B19 (Song, Zhang, Shan and Wang, ACM MM 2020)."""

from functools import partial
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import PARTS, Layout
from skeldistill.networks.adjacency import distance
from skeldistill.networks.blocks import GraphConvolution, Pointwise
from skeldistill.networks.branches import (
    BRANCHES,
    Branches,
    Chain,
    ThreeBranchNetwork,
    initialise,
    narrowed,
)
from skeldistill.networks.network import Network, renamed
from skeldistill.networks.through_time import (
    EachFrame,
    InTurn,
    Path,
    Together,
    path,
    residual,
)

BRANCH = (64, 64, 32)
"""Channels of the modules of each branch."""

MAIN = ((128, 2), (128, 1), (128, 1), (256, 2), (256, 1), (256, 1))
"""(channels, stride in time) of the modules after the branches are joined."""

PART_ORDER = ("left_arm", "right_arm", "left_leg", "right_leg", "head")
"""The five parts in the authors' order; the last one is their torso, see `parts_of`."""


class ResGCNB19(ThreeBranchNetwork):
    """ResGCN-B19: ST-GCN's layers in three branches that are joined early.

    Equal to the authors' network, whose weights it loads. Pooling is theirs: the mean over frames,
    joints and persons, padded frames and absent persons included. As in theirs, the learned factors
    of the adjacency have a fourth partition that nothing uses.

    Args:
        layout: the joints and bones.
        classes: how many actions.
        persons: how many persons of a clip it sees.
        channels: input channels of a joint.
        score: the last channel is a score and not a coordinate (see `Branches`).
        width: factor of all channels, rounded to multiples of 8.
    """

    attention: ClassVar[bool] = False
    """Whether attention to body parts follows every module after the branches."""

    temporal_stride = 4

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        score: bool = False,
        width: float = 1.0,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        self.score = score
        if min(classes, persons, channels - score) < 1 or not width > 0:
            raise ValueError(
                f"classes, persons, channels and width must be positive, got {classes}, {persons}, "
                f"{channels} and {width}"
            )
        self.register_buffer("adjacency", torch.from_numpy(distance(layout, 3)))
        self.branches = Branches(layout, channels, score=score)
        self.normalisations = nn.ModuleList(
            nn.BatchNorm2d(self.branches.channels) for _ in BRANCHES
        )
        first, second, third = (narrowed(full * width) for full in BRANCH)
        self.apart = nn.ModuleList(
            Chain(
                [
                    Module(self.branches.channels, first, layout, residual=False),
                    Module(first, second, layout),
                    Module(second, third, layout),
                ]
            )
            for _ in BRANCHES
        )
        self.joined = Chain()
        self.feature_channels = len(BRANCHES) * third
        for full, stride in MAIN:
            channels_in, self.feature_channels = self.feature_channels, narrowed(full * width)
            self.joined.append(
                Module(
                    channels_in,
                    self.feature_channels,
                    layout,
                    stride=stride,
                    attention=self.attention,
                )
            )
        self.classifier = nn.Linear(self.feature_channels, classes)
        initialise(self, self.classifier)

    adjacency: Tensor

    def extract(self, branches: list[Float[Tensor, "b c t v"]]) -> Float[Tensor, "b d s v"]:
        """Each branch through its own modules, then all of them together."""
        ends = [
            modules(normalisation(x), self.adjacency)
            for x, normalisation, modules in zip(
                branches, self.normalisations, self.apart, strict=True
            )
        ]
        return self.joined(torch.cat(ends, dim=1), self.adjacency)

    def through_time(self) -> Path:
        """Each branch through its own modules, then all of them together."""
        ends = [
            InTurn(branch, path(normalisation), _in_turn(modules, self.adjacency))
            for branch, normalisation, modules in zip(
                self.branches.through_time(), self.normalisations, self.apart, strict=True
            )
        ]
        beside = Together(*ends, combine=partial(torch.cat, dim=1))
        return InTurn(beside, _in_turn(self.joined, self.adjacency))

    def official_names(self) -> dict[str, str]:
        """The names of ResGCNv1."""
        modules = {"A": "adjacency", "fcn": "classifier"}
        for i in range(len(BRANCHES)):
            modules |= {
                f"input_branches.{i}.A": "adjacency",
                f"input_branches.{i}.bn": f"normalisations.{i}",
            }
            for j in range(len(BRANCH)):
                modules |= _module_names(f"input_branches.{i}.layers.{j}", f"apart.{i}.{j}")
        for i in range(len(MAIN)):
            modules |= _module_names(f"main_stream.{i}", f"joined.{i}")
        return renamed(self.state_dict(), modules)


class PAResGCNB19(ResGCNB19):
    """PA-ResGCN-B19: ResGCN-B19 with attention to the five body parts.

    In training a batch needs two persons (of whatever clip) at least: the attention normalises
    one value for each person.
    """

    attention = True

    def through_time(self) -> Path:
        """ValueError: how much a body part matters is decided by all frames."""
        return Network.through_time(self)


class Module(nn.Module):
    """Graph convolution over joints, convolution over nine frames, and what came in added.

    Attention to body parts may follow.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        layout: Layout,
        *,
        stride: int = 1,
        residual: bool = True,
        attention: bool = False,
    ) -> None:
        super().__init__()
        self.importance = nn.Parameter(torch.ones(4, layout.num_joints, layout.num_joints))
        self.graph = GraphConvolution(channels_in, channels_out, partitions=3)
        self.graph_normalisation = nn.BatchNorm2d(channels_out)
        self.temporal = nn.Conv2d(channels_out, channels_out, (9, 1), (stride, 1), (4, 0))
        self.temporal_normalisation = nn.BatchNorm2d(channels_out)
        self.residual: nn.Module | None = None
        if residual and stride == 1 and channels_in == channels_out:
            self.residual = nn.Identity()
        elif residual:
            self.residual = nn.Sequential(
                Pointwise(channels_in, channels_out, stride), nn.BatchNorm2d(channels_out)
            )
        self.attention = PartAttention(channels_out, parts_of(layout)) if attention else None

    def forward(
        self, x: Float[Tensor, "b c t v"], adjacency: Float[Tensor, "4 v v"]
    ) -> Float[Tensor, "b d s v"]:
        """One module; a stride of 2 halves the frames."""
        y = self.temporal_normalisation(self.temporal(self.over_joints(x, adjacency)))
        y = functional.relu(y if self.residual is None else y + self.residual(x))
        return y if self.attention is None else self.attention(y)

    def over_joints(
        self, x: Float[Tensor, "b c t v"], adjacency: Float[Tensor, "4 v v"]
    ) -> Float[Tensor, "b d t v"]:
        """The part that treats every frame alone."""
        used = adjacency[:3] * self.importance[:3]
        return functional.relu(self.graph_normalisation(self.graph(x, used)))

    def through_time(self, adjacency: Float[Tensor, "4 v v"]) -> Path:
        """The module, frame by frame; without attention, which looks at whole clips."""
        over_joints = EachFrame(partial(self.over_joints, adjacency=adjacency))
        over_time = InTurn(over_joints, path(self.temporal), path(self.temporal_normalisation))
        return residual(over_time, self.residual)


class PartAttention(nn.Module):
    """PartAtt: how much each body part matters, for every channel of a person.

    ``out = relu(BN(x * a) + x)``; a is one for all joints of a part, and sums to 1 over the parts.
    """

    def __init__(self, channels: int, parts: Int[np.ndarray, " v"]) -> None:
        super().__init__()
        narrow = channels // 4
        self.squeeze = nn.Sequential(nn.Linear(channels, narrow), nn.BatchNorm1d(narrow), nn.ReLU())
        self.of_parts = nn.Linear(narrow, channels * len(PARTS))
        self.normalisation = nn.BatchNorm2d(channels)
        self.register_buffer("parts", torch.from_numpy(parts), persistent=False)

    parts: Tensor

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c t v"]:
        """Weigh body parts."""
        b, c, _, _ = x.shape
        scores = self.of_parts(self.squeeze(x.mean(dim=(2, 3)))).view(b, c, len(PARTS))
        # Channels last, as x lies in memory.
        weights = scores.softmax(dim=2).transpose(1, 2)[:, self.parts].transpose(1, 2)
        return functional.relu(self.normalisation(x * weights[:, :, None]) + x)


def parts_of(layout: Layout) -> Int[np.ndarray, " v"]:
    """The part of every joint, as a place in `PART_ORDER`.

    The authors' torso holds the head and the middle of the body: the layout's head, and all joints
    that it puts in no part.
    """
    members = layout.part_members[[PARTS.index(part) for part in PART_ORDER]]
    return np.where(members.any(axis=0), members.argmax(axis=0), PART_ORDER.index("head"))


def _in_turn(modules: nn.Module, adjacency: Float[Tensor, "4 v v"]) -> Path:
    chain = (module for module in modules.children() if isinstance(module, Module))
    return InTurn(*(module.through_time(adjacency) for module in chain))


def _module_names(official: str, own: str) -> dict[str, str]:
    return {
        f"{official}.edge": f"{own}.importance",
        f"{official}.residual": f"{own}.residual",
        f"{official}.scn.conv.gcn": f"{own}.graph.convolution",
        f"{official}.scn.bn": f"{own}.graph_normalisation",
        f"{official}.tcn.conv": f"{own}.temporal",
        f"{official}.tcn.bn": f"{own}.temporal_normalisation",
        f"{official}.att.fcn.1": f"{own}.attention.squeeze.0",
        f"{official}.att.fcn.2": f"{own}.attention.squeeze.1",
        f"{official}.att.fcn.4": f"{own}.attention.of_parts",
        f"{official}.att.bn": f"{own}.attention.normalisation",
    }
