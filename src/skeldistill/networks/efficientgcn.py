"""EfficientGCN B0, B2 and B4 (Song, Zhang, Shan and Wang, TPAMI 2022)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skeldistill.layouts import Layout
from skeldistill.networks.adjacency import distance
from skeldistill.networks.branches import (
    BRANCHES,
    Branches,
    Chain,
    ThreeBranchNetwork,
    initialise,
    narrowed,
)
from skeldistill.networks.efficientgcn_layers import Attention, Basic, SandGlass, Separable, Spatial
from skeldistill.networks.network import renamed
from skeldistill.shelf import pick

STEM = 64
"""Channels of each branch's stem."""

STAGES = ((48, 1, 0.5), (24, 1, 0.5), (64, 2, 1.0), (128, 2, 1.0))
"""(channels, stride in time, depth) before scaling: two stages in each branch, two after them."""

REACH = 10
"""Bones within which a joint's neighbours share a weight of 1, although only 2 bones are used.

So the weights that are used add up to far less than 1 (0.12 to 0.36 on NTU RGB+D).
"""

PLACES = {
    "stems": "input_branches.{}.",
    "apart": "input_branches.{}.block-{}_",
    "joined": "main_stream.block-{}_",
}
"""Where stems and stages stand here -> what comes before their parts in the authors' names."""

LAYERS = {"SG": (SandGlass, 2), "EpSep": (Separable, 4)}
"""Layers over time, with how much the attention beside them narrows the channels."""


class EfficientGCN(ThreeBranchNetwork):
    """EfficientGCN: three slim branches that are joined early, with attention to frames and joints.

    Equal to the authors' network, whose weights it loads. Pooling is theirs: the mean over frames,
    joints and persons, padded frames and absent persons included. B0's stages within the branches
    have depth 0, so only the stem's convolution sees other frames there.

    Args:
        layout: the joints and bones.
        classes: how many actions.
        persons: how many persons of a clip it sees.
        channels: input channels of a joint.
        score: the last channel is a score and not a coordinate (see `Branches`).
        layer: the layers over time: "SG" (sandglass, the authors' best) or "EpSep" (expanded
            separable).
        width: factor of all channels, rounded to multiples of 8.
        dropout: probability before the classifier.
    """

    coefficient: ClassVar[int]
    """The compound coefficient: channels grow with 1.2, depths with 1.35 to its power."""

    temporal_stride = 4
    lowest_feature = -0.2785  # the least of x * sigmoid(x)

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        score: bool = False,
        layer: str = "SG",
        width: float = 1.0,
        dropout: float = 0.25,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        self.score, self.layer, self.dropout = score, layer, dropout
        if min(classes, persons, channels - score) < 1 or not width > 0 or not 0 <= dropout < 1:
            raise ValueError(
                "classes, persons, channels and width must be positive and dropout below 1, got "
                f"{classes}, {persons}, {channels}, {width} and {dropout}"
            )
        self.register_buffer("adjacency", torch.from_numpy(distance(layout, REACH)[:3].copy()))
        self.branches = Branches(layout, channels, score=score)
        stem = narrowed(STEM * width)
        first, second, third, fourth = (self._scaled(*stage) for stage in STAGES)
        over_time, reduction = pick("layer", LAYERS, layer)
        kind = (layout.num_joints, over_time, reduction)
        self.stems = nn.ModuleList(
            Stem(self.branches.channels, stem, layout.num_joints) for _ in BRANCHES
        )
        self.apart = nn.ModuleList(
            Chain([Stage(stem, first, *kind), Stage(first.channels, second, *kind)])
            for _ in BRANCHES
        )
        self.joined = Chain(
            [
                Stage(len(BRANCHES) * second.channels, third, *kind),
                Stage(third.channels, fourth, *kind),
            ]
        )
        self.feature_channels = fourth.channels
        self.classifier = nn.Linear(self.feature_channels, classes)
        initialise(self, self.classifier)

    adjacency: Tensor

    def extract(self, branches: list[Float[Tensor, "b c t v"]]) -> Float[Tensor, "b d s v"]:
        """Each branch through its own stem and stages, then all of them together."""
        ends = [
            stages(stem(x, self.adjacency), self.adjacency)
            for x, stem, stages in zip(branches, self.stems, self.apart, strict=True)
        ]
        return self.joined(torch.cat(ends, dim=1), self.adjacency)

    def official_names(self) -> dict[str, str]:
        """The names of EfficientGCNv1, the same for both kinds of layers."""
        modules = {"classifier.fc": "classifier"}
        for own, module in self.named_modules():
            if isinstance(module, Stem | Stage):
                place, *numbers = own.split(".")
                modules |= module.official_names(PLACES[place].format(*numbers), f"{own}.")
        return renamed(self.state_dict(), modules)

    def _scaled(self, channels: int, stride: int, depth: float) -> "Scale":
        full = max(16 * round(channels * 1.2**self.coefficient / 16), 16)
        return Scale(
            channels=narrowed(full * self.width),
            stride=stride,
            depth=round(depth * 1.35**self.coefficient),
        )


class EfficientGCNB0(EfficientGCN):
    """EfficientGCN-B0, the smallest: 0.3 M parameters on 25 joints."""

    coefficient = 0


class EfficientGCNB2(EfficientGCN):
    """EfficientGCN-B2: 0.5 M parameters on 25 joints."""

    coefficient = 2


class EfficientGCNB4(EfficientGCN):
    """EfficientGCN-B4, PLKD's strongest network: 1.1 M parameters on 25 joints."""

    coefficient = 4


@dataclass(frozen=True)
class Scale:
    """How large a stage is: its channels, its stride in time, and its layers over time."""

    channels: int
    stride: int
    depth: int


class Stem(nn.Module):
    """Normalisation of the input, and the first layers over joints and over time."""

    def __init__(self, channels_in: int, channels_out: int, joints: int) -> None:
        super().__init__()
        self.normalisation = nn.BatchNorm2d(channels_in)
        self.spatial = Spatial(channels_in, channels_out, joints)
        self.temporal = Basic(channels_out)

    def forward(
        self, x: Float[Tensor, "b c t v"], adjacency: Float[Tensor, "3 v v"]
    ) -> Float[Tensor, "b d t v"]:
        """Mix joints, then frames."""
        return self.temporal(self.spatial(self.normalisation(x), adjacency))

    def official_names(self, official: str, own: str) -> dict[str, str]:
        """The authors' names of the modules -> the names here, behind what stands before both."""
        return {
            f"{official}init_bn": f"{own}normalisation",
            f"{official}stem_scn.conv.A": "adjacency",
            **_behind(f"{official}stem_scn.", f"{own}spatial.", self.spatial.official),
            **_behind(f"{official}stem_tcn.", f"{own}temporal.", self.temporal.official),
        }


class Stage(nn.Module):
    """A spatial layer, layers over time (none at depth 0), and attention."""

    def __init__(
        self,
        channels_in: int,
        scale: Scale,
        joints: int,
        over_time: type[SandGlass] | type[Separable],
        reduction: int,
    ) -> None:
        super().__init__()
        self.spatial = Spatial(channels_in, scale.channels, joints)
        self.temporal = nn.Sequential(
            *(over_time(scale.channels, 1 if i else scale.stride) for i in range(scale.depth))
        )
        self.attention = Attention(scale.channels, reduction)

    def forward(
        self, x: Float[Tensor, "b c t v"], adjacency: Float[Tensor, "3 v v"]
    ) -> Float[Tensor, "b d s v"]:
        """Mix joints, then frames; a stride of 2 halves the frames."""
        return self.attention(self.temporal(self.spatial(x, adjacency)))

    def official_names(self, official: str, own: str) -> dict[str, str]:
        """The authors' names of the modules -> the names here, behind what stands before both."""
        names = {f"{official}scn.conv.A": "adjacency"}
        names |= _behind(f"{official}scn.", f"{own}spatial.", self.spatial.official)
        for i, layer in enumerate(self.temporal):
            assert isinstance(layer, SandGlass | Separable)
            names |= _behind(f"{official}tcn-{i}.", f"{own}temporal.{i}.", layer.official)
        return names | _behind(f"{official}att.", f"{own}attention.", self.attention.official)


def _behind(official: str, own: str, names: Mapping[str, str]) -> dict[str, str]:
    return {f"{official}{theirs}": f"{own}{ours}" for theirs, ours in names.items()}
