"""EfficientGCN B0, B2 and B4 (Song, Zhang, Shan and Wang, TPAMI 2022)."""

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks.adjacency import distance
from skeldistill.networks.blocks import GraphConvolution
from skeldistill.networks.branches import BRANCHES, Branches, ThreeBranchNetwork, initialise
from skeldistill.networks.network import renamed
from skeldistill.shelf import pick

STEM = 64
"""Channels of each branch's stem."""

STAGES = ((48, 1, 0.5), (24, 1, 0.5), (64, 2, 1.0), (128, 2, 1.0))
"""(channels, stride in time, depth) before scaling: two stages in each branch, two after them."""

KERNEL = 5
"""Frames that a convolution over time sees."""


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
        super().__init__()
        self.layout, self.classes, self.persons, self.channels = layout, classes, persons, channels
        self.score, self.layer, self.width, self.dropout = score, layer, width, dropout
        if min(classes, persons, channels - score) < 1 or not width > 0 or not 0 <= dropout < 1:
            raise ValueError(
                "classes, persons, channels and width must be positive and dropout below 1, got "
                f"{classes}, {persons}, {channels}, {width} and {dropout}"
            )
        over_time, reduction = pick("layer", LAYERS, layer)
        self.register_buffer("adjacency", torch.from_numpy(distance(layout, 10)[:3].copy()))
        self.branches = Branches(layout, channels, score=score)
        stem = _rounded(STEM * width)
        scaled = [self._scaled(*stage) for stage in STAGES]
        widths = [stem] + [stage[0] for stage in scaled]

        def stage(number: int, channels_in: int) -> Stage:
            channels_out, stride, depth = scaled[number]
            layers = [over_time(channels_out, stride if i == 0 else 1) for i in range(depth)]
            return Stage(channels_in, channels_out, layout.num_joints, layers, reduction)

        self.stems = nn.ModuleList(
            Stem(self.branches.channels, stem, layout.num_joints) for _ in BRANCHES
        )
        self.apart = nn.ModuleList(
            nn.ModuleList([stage(0, widths[0]), stage(1, widths[1])]) for _ in BRANCHES
        )
        self.joined = nn.ModuleList([stage(2, len(BRANCHES) * widths[2]), stage(3, widths[3])])
        self.feature_channels = widths[4]
        self.classifier = nn.Linear(self.feature_channels, classes)
        initialise(self, self.classifier)

    adjacency: Tensor

    def extract(self, branches: list[Float[Tensor, "b c t v"]]) -> Float[Tensor, "b d s v"]:
        """Each branch through its own stem and stages, then all of them together."""
        ends = []
        for x, stem, stages in zip(branches, self.stems, self.apart, strict=True):
            x = stem(x, self.adjacency)
            for stage in stages:
                x = stage(x, self.adjacency)
            ends.append(x)
        x = torch.cat(ends, dim=1)
        for stage in self.joined:
            x = stage(x, self.adjacency)
        return x

    def _scaled(self, channels: int, stride: int, depth: float) -> tuple[int, int, int]:
        full = max(16 * round(channels * 1.2**self.coefficient / 16), 16)
        return _rounded(full * self.width), stride, round(depth * 1.35**self.coefficient)

    def official_names(self) -> dict[str, str]:
        """The names of EfficientGCNv1, the same for both kinds of layers."""
        modules = {"classifier.fc": "classifier"}
        for i in range(len(BRANCHES)):
            official = f"input_branches.{i}"
            modules |= {
                f"{official}.init_bn": f"stems.{i}.normalisation",
                f"{official}.stem_tcn.conv": f"stems.{i}.temporal",
                f"{official}.stem_tcn.bn": f"stems.{i}.temporal_normalisation",
                **_spatial_names(f"{official}.stem_scn", f"stems.{i}.spatial"),
            }
            for j in range(2):
                modules |= self._stage_names(f"{official}.block-{j}", f"apart.{i}.{j}")
        for j in range(2):
            modules |= self._stage_names(f"main_stream.block-{j}", f"joined.{j}")
        return renamed(self.state_dict(), modules)

    def _stage_names(self, official: str, own: str) -> dict[str, str]:
        modules = _spatial_names(f"{official}_scn", f"{own}.spatial")
        stage = self.get_submodule(own)
        assert isinstance(stage, Stage)
        for i, layer in enumerate(stage.temporal):
            modules |= {
                f"{official}_tcn-{i}.{part}": f"{own}.temporal.{i}.{name}"
                for part, name in layer.official.items()
            }
        return modules | {
            f"{official}_att.att.fcn.0": f"{own}.attention.squeeze",
            f"{official}_att.att.fcn.1": f"{own}.attention.squeeze_normalisation",
            f"{official}_att.att.conv_t": f"{own}.attention.of_frames",
            f"{official}_att.att.conv_v": f"{own}.attention.of_joints",
            f"{official}_att.bn": f"{own}.attention.normalisation",
        }
