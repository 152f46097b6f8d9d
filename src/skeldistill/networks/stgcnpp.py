"""ST-GCN++ (Duan, Wang, Chen and Lin, ACM Multimedia 2022), the simple strong network of PYSKL."""

from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks.adjacency import directed
from skeldistill.networks.blocks import (
    GraphConvolution,
    Pointwise,
    normalised,
    normalised_together,
    pointwise,
    side_by_side,
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
from skeldistill.prediction import Prediction, presence

BLOCKS = ((64, 1),) * 4 + ((128, 2),) + ((128, 1),) * 2 + ((256, 2),) + ((256, 1),) * 2
"""(channels, stride in time) of the ten blocks."""


class STGCNpp(Network):
    """ST-GCN++: ST-GCN with a learned graph and six kinds of looking at the frames around.

    Equal to PYSKL's network, whose weights it loads, and mmaction2's. Pooling is theirs: the mean
    over frames and joints, then over persons, absent ones included.

    Args:
        layout: the joints and bones, from which the learned graph starts.
        classes: how many actions.
        persons: how many persons of a clip it sees.
        channels: input channels of a joint.
        width: factor of the channels 64, 128 and 256, rounded to multiples of 8.
        tips_on_hands: the graph starts with the hand tips on the hands, as PYSKL has it, and not
            on the thumbs; makes no difference to layouts without either.
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
        tips_on_hands: bool = True,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        self.tips_on_hands = tips_on_hands
        start = torch.from_numpy(directed(with_tips_on_hands(layout) if tips_on_hands else layout))
        self.normalisation = nn.BatchNorm1d(layout.num_joints * channels)
        blocks: list[Block] = []
        for full, stride in BLOCKS:
            channels_in = blocks[-1].channels if blocks else channels
            channels_out = max(8, 8 * round(full * width / 8))
            blocks.append(
                Block(channels_in, channels_out, stride=stride, start=start, residual=bool(blocks))
            )
        self.blocks = nn.ModuleList(blocks)
        self.feature_channels = blocks[-1].channels
        self.classifier = nn.Linear(self.feature_channels, classes)
        nn.init.normal_(self.classifier.weight, 0.0, 0.01)
        nn.init.zeros_(self.classifier.bias)

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        n, m = joints.shape[:2]
        x = normalised(joints.flatten(0, 1).permute(0, 3, 1, 2), self.normalisation)
        for block in self.blocks:
            x = block(x)
        pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
        return Prediction(
            logits=self.classifier(pooled),
            features=x.unflatten(0, (n, m)),
            present=presence(joints, x.shape[2]),
        )

    def through_time(self) -> Path:
        """Normalisation, then block after block."""
        entry = EachFrame(partial(normalised, normalisation=self.normalisation))
        return InTurn(entry, *(path(block) for block in self.blocks))

    def official_names(self) -> dict[str, str]:
        """The names of PYSKL, and mmaction2's of the last layer."""
        modules = {
            "backbone.data_bn": "normalisation",
            "cls_head.fc_cls": "classifier",
            "cls_head.fc": "classifier",
            "fc_cls": "classifier",
        }
        for i in range(len(self.blocks)):
            official, own = f"backbone.gcn.{i}", f"blocks.{i}"
            modules |= {
                f"{official}.gcn.A": f"{own}.learned",
                f"{official}.gcn.conv": f"{own}.graph.convolution",
                f"{official}.gcn.bn": f"{own}.graph_normalisation",
                f"{official}.gcn.down": f"{own}.graph_residual",
                f"{official}.tcn.transform": f"{own}.temporal.transform",
                f"{official}.tcn.bn": f"{own}.temporal_normalisation",
                f"{official}.residual.conv": f"{own}.residual.0",
                f"{official}.residual.bn": f"{own}.residual.1",
            }
            for j in range(6):
                theirs, ours = f"{official}.tcn.branches.{j}", f"{own}.temporal.branches.{j}"
                modules |= {f"{theirs}.0": f"{ours}.0", f"{theirs}.1": f"{ours}.1"}
                modules |= {f"{theirs}.3.conv": f"{ours}.3"} if j < 4 else {}
            modules[f"{official}.tcn.branches.5"] = f"{own}.temporal.branches.5"
        return renamed(self.state_dict(), modules)


class Block(nn.Module):
    """Graph convolution over joints with a learned graph, then convolutions over frames."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        stride: int,
        start: Float[Tensor, "k v v"],
        residual: bool,
    ) -> None:
        super().__init__()
        self.channels = channels_out
        self.learned = nn.Parameter(start.clone())
        self.graph = GraphConvolution(channels_in, channels_out, len(start))
        self.graph_normalisation = nn.BatchNorm2d(channels_out)
        self.graph_residual = _residual(channels_in, channels_out)
        self.temporal = MultiScaleConvolution(channels_out, stride)
        self.temporal_normalisation = nn.BatchNorm2d(channels_out)
        self.residual = _residual(channels_in, channels_out, stride) if residual else None

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d s v"]:
        """One block; a stride of 2 halves the frames."""
        y = self.temporal_normalisation(self.temporal(self.over_joints(x)))
        return functional.relu(y if self.residual is None else y + self.residual(x))

    def over_joints(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d t v"]:
        """The part that treats every frame alone."""
        y = self.graph_normalisation(self.graph(x, self.learned))
        return functional.relu(y + self.graph_residual(x))

    def through_time(self) -> Path:
        """The block, frame by frame."""
        over_time = InTurn(
            EachFrame(self.over_joints), path(self.temporal), path(self.temporal_normalisation)
        )
        return residual(over_time, self.residual)


class MultiScaleConvolution(nn.Module):
    """Six kinds of looking at the frames around, a sixth of the channels each, then mixed.

    Three frames, one to four apart; the largest of three; the frame alone.
    """

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        sixth = channels // 6
        branches: list[nn.Module] = []
        for apart in (1, 2, 3, 4):
            share = channels - 5 * sixth if apart == 1 else sixth
            three = nn.Conv2d(
                share, share, (3, 1), (stride, 1), padding=(apart, 0), dilation=(apart, 1)
            )
            branches.append(_narrowed(channels, share, three))
        branches.append(_narrowed(channels, sixth, nn.MaxPool2d((3, 1), (stride, 1), (1, 0))))
        branches.append(Pointwise(channels, sixth, stride))
        self.branches = nn.ModuleList(branches)
        self.transform = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(), Pointwise(channels, channels)
        )

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c s v"]:
        """All kinds, side by side on the channels, then mixed; five enter through one product."""
        *five, alone = self.branches
        entries, norms, _, over_time = zip(*five, strict=True)
        weight, bias = (side_by_side(entries, name) for name in ("weight", "bias"))
        entered = normalised_together(pointwise(x, weight, bias), norms).relu_()
        parts = entered.split([len(entry.weight) for entry in entries], dim=1)
        seen = [layer(part) for layer, part in zip(over_time, parts, strict=True)]
        return self.transform(torch.cat([*seen, alone(x)], dim=1))

    def through_time(self) -> Path:
        """All kinds, frame by frame."""
        branches = (path(branch) for branch in self.branches)
        beside = Together(*branches, combine=partial(torch.cat, dim=1))
        return InTurn(beside, path(self.transform))


def with_tips_on_hands(layout: Layout) -> Layout:
    """The same joints, the hand tips being children of the hands."""
    bones = {
        f"{side}_hand_tip": f"{side}_hand"
        for side in ("left", "right")
        if {f"{side}_hand_tip", f"{side}_hand"} <= set(layout.joints)
    }
    return replace(layout, bones={**layout.bones, **bones})


def _narrowed(channels: int, share: int, over_time: nn.Module) -> nn.Sequential:
    return nn.Sequential(Pointwise(channels, share), nn.BatchNorm2d(share), nn.ReLU(), over_time)


def _residual(channels_in: int, channels_out: int, stride: int = 1) -> nn.Module:
    if stride == 1 and channels_in == channels_out:
        return nn.Identity()
    return nn.Sequential(Pointwise(channels_in, channels_out, stride), nn.BatchNorm2d(channels_out))
