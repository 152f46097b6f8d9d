"""CTR-GCN (Chen, Zhang, Yuan, Li, Deng and Hu, ICCV 2021)."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks.adjacency import directed
from skeldistill.networks.blocks import (
    Pointwise,
    biases,
    fan_out,
    normalised_persons,
    pointwise,
    weights,
)
from skeldistill.networks.network import Network, renamed
from skeldistill.prediction import Prediction, presence

BLOCKS = ((64, 1),) * 4 + ((128, 2),) + ((128, 1),) * 2 + ((256, 2),) + ((256, 1),) * 2
"""(channels, stride in time) of the ten blocks."""


class CTRGCN(Network):
    """CTR-GCN: a learned graph that each clip refines, differently for every channel.

    Equal to the authors' network, whose weights it loads. Pooling is theirs: the mean over frames
    and joints, then over persons, absent ones included.

    Args:
        layout: the joints and bones, from which the learned graph starts.
        classes: how many actions.
        persons: how many persons of a clip it sees; each has its own input normalisation.
        channels: input channels of a joint.
        width: factor of the channels 64, 128 and 256, rounded to multiples of 8.
        pyskl: as PYSKL and mmaction2 build it, and not the authors: every graph is read the other
            way round, and a ReLU follows the convolutions over time. Needed for their weights.
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
        pyskl: bool = False,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        self.pyskl = pyskl
        start = torch.from_numpy(directed(layout))
        if pyskl:
            self.register_buffer("adjacency", start.clone())  # their weights carry it, unused
        self.normalisation = nn.BatchNorm1d(persons * layout.num_joints * channels)
        blocks: list[Block] = []
        for full, stride in BLOCKS:
            channels_in = blocks[-1].channels if blocks else channels
            channels_out = max(8, 8 * round(full * width / 8))
            blocks.append(
                Block(
                    channels_in,
                    channels_out,
                    stride=stride,
                    start=start,
                    residual=bool(blocks),
                    pyskl=pyskl,
                )
            )
        self.blocks = nn.ModuleList(blocks)
        self.feature_channels = blocks[-1].channels
        self.classifier = nn.Linear(self.feature_channels, classes)
        nn.init.normal_(self.classifier.weight, 0.0, math.sqrt(2 / classes))

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        n, m = joints.shape[:2]
        x = joints.flatten(0, 1).permute(0, 3, 1, 2)
        x = normalised_persons(x, self.normalisation, m)
        for block in self.blocks:
            x = block(x)
        pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
        return Prediction(
            logits=self.classifier(pooled),
            features=x.unflatten(0, (n, m)),
            present=presence(joints, x.shape[2]),
        )

    def official_names(self) -> dict[str, str]:
        """The names of Uason-Chen/CTR-GCN; with `pyskl`, those of PYSKL and mmaction2."""
        modules = {"data_bn": "normalisation", "fc": "classifier"}
        if self.pyskl:
            modules = {
                "backbone.A": "adjacency",
                "backbone.data_bn": "normalisation",
                "cls_head.fc_cls": "classifier",
                "cls_head.fc": "classifier",
            }
        for i in range(len(self.blocks)):
            official, own = (f"backbone.net.{i}" if self.pyskl else f"l{i + 1}"), f"blocks.{i}"
            modules |= {
                f"{official}.gcn1.{'A' if self.pyskl else 'PA'}": f"{own}.graph.learned",
                f"{official}.gcn1.alpha": f"{own}.graph.gate",
                f"{official}.gcn1.bn": f"{own}.graph.normalisation",
                f"{official}.gcn1.down": f"{own}.graph.residual",
                f"{official}.residual.conv": f"{own}.residual.0",
                f"{official}.residual.bn": f"{own}.residual.1",
            }
            layers = ("targets", "sources", "values", "relations")
            for k in range(ChannelwiseGraphConvolution.partitions):
                for number, layer in enumerate(layers, start=1):
                    modules[f"{official}.gcn1.convs.{k}.conv{number}"] = f"{own}.graph.{layer}.{k}"
            branches = f"{official}.tcn1.branches"
            for j, places in enumerate(MultiScaleConvolution.official_places):
                for theirs, ours in places.items():
                    modules[f"{branches}.{j}.{theirs}"] = f"{own}.temporal.branches.{j}.{ours}"
        return renamed(self.state_dict(), modules)


class Block(nn.Module):
    """Channel-wise graph convolution over joints, then convolutions over frames at four scales."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        stride: int,
        start: Float[Tensor, "k v v"],
        residual: bool,
        pyskl: bool,
    ) -> None:
        super().__init__()
        self.channels = channels_out
        self.rectified = pyskl
        self.graph = ChannelwiseGraphConvolution(channels_in, channels_out, start, transposed=pyskl)
        self.temporal = MultiScaleConvolution(channels_out, stride)
        self.residual: nn.Module | None = None
        if residual and stride == 1 and channels_in == channels_out:
            self.residual = nn.Identity()
        elif residual:
            self.residual = mixing(channels_in, channels_out, stride)

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d s v"]:
        """One block; a stride of 2 halves the frames."""
        y = self.temporal(self.graph(x))
        if self.rectified:
            y = functional.relu(y)
        return functional.relu(y if self.residual is None else y + self.residual(x))


class ChannelwiseGraphConvolution(nn.Module):
    """Channel-wise topology refinement graph convolution (section 3.2, eq. 4-7).

    ``out = relu(BN(sum_k R_k (W_k x)) + residual(x))``, each channel with its own graph
    ``R_k = A_k + gate * relations_k(tanh(targets_k(x)[w] - sources_k(x)[v]))`` from joint v to
    joint w, x being the mean over frames there. `gate` starts at 0: the refinement fades in.
    """

    partitions = 3

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        start: Float[Tensor, "k v v"],
        *,
        transposed: bool,
    ) -> None:
        super().__init__()
        self.transposed = transposed
        related = max(8, channels_in // 8)
        self.learned = nn.Parameter(start.clone())
        self.gate = nn.Parameter(torch.zeros(1))
        self.targets = self._for_each_partition(channels_in, related)
        self.sources = self._for_each_partition(channels_in, related)
        self.values = self._for_each_partition(channels_in, channels_out)
        self.relations = self._for_each_partition(related, channels_out)
        self.normalisation = nn.BatchNorm2d(channels_out)
        nn.init.constant_(self.normalisation.weight, 1e-6)
        self.residual: nn.Module = nn.Identity()
        if channels_in != channels_out:
            self.residual = mixing(channels_in, channels_out)

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d t v"]:
        """Mix channels, then gather from the neighbours, channel by channel."""
        b, _, t, v = x.shape
        mixed = pointwise(x, torch.cat(weights(self.values)), torch.cat(biases(self.values)))
        # Channels first for the gathering: as transposed matrices, which PyTorch copies fast.
        values = mixed.permute(0, 2, 3, 1).reshape(b * t * v, -1).t().contiguous()
        values = values.view(self.partitions, -1, t, v)
        graphs = self.topology(x).flatten(1, 2)
        gathered = torch.bmm(values[0], graphs[0])
        for k in range(1, self.partitions):
            gathered = gathered.baddbmm_(values[k], graphs[k])
        y = gathered.view(-1, b * t * v).t().contiguous().view(b, t, v, -1).permute(0, 3, 1, 2)
        return functional.relu(self.normalisation(y) + self.residual(x))

    def topology(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "k d b v w"]:
        """The graph of every channel; joint w takes from joint v."""
        # The mean over frames comes before the channels are mixed: the same, and cheaper.
        weight = torch.cat([*weights(self.targets), *weights(self.sources)]).flatten(1)
        bias = torch.cat([*biases(self.targets), *biases(self.sources)])
        b, v = x.shape[0], x.shape[3]
        embedded = weight @ x.mean(dim=2).transpose(0, 1).flatten(1) + bias[:, None]
        first, second = embedded.view(2, self.partitions, -1, b, v)
        learned = self.learned
        if self.transposed:
            differences = first[..., :, None] - second[..., None, :]
        else:
            differences = first[..., None, :] - second[..., :, None]
            learned = learned.transpose(1, 2)  # the authors' rows are the joints that take
        weight = torch.stack(weights(self.relations)).flatten(2) * self.gate  # (k, d, r)
        bias = torch.stack(biases(self.relations)) * self.gate
        constant = bias[..., None, None, None] + learned[:, None, None]
        refined = torch.bmm(weight, torch.tanh(differences).flatten(2))
        return refined.view(*bias.shape, b, v, v).add_(constant)

    def _for_each_partition(self, channels_in: int, channels_out: int) -> nn.ModuleList:
        return nn.ModuleList(
            fan_out(Pointwise(channels_in, channels_out)) for _ in range(self.partitions)
        )


class MultiScaleConvolution(nn.Module):
    """Four kinds of looking at the frames around, a quarter of the channels each.

    Five frames, five frames two apart, the largest of three, and the frame alone.
    """

    official_places = (
        {"0": "0", "1": "1", "3.conv": "3", "3.bn": "4"},
        {"0": "0", "1": "1", "3.conv": "3", "3.bn": "4"},
        {"0": "0", "1": "1", "4": "4"},
        {"0": "0", "1": "1"},
    )

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        quarter = channels // 4

        def narrowed(over_time: nn.Module) -> nn.Sequential:
            entry = mixing(channels, quarter)
            return nn.Sequential(*entry, nn.ReLU(), over_time, nn.BatchNorm2d(quarter))

        self.branches = nn.ModuleList(
            [
                *(narrowed(_five_frames(quarter, stride, apart)) for apart in (1, 2)),
                narrowed(nn.MaxPool2d((3, 1), (stride, 1), (1, 0))),
                mixing(channels, quarter, stride),
            ]
        )
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.normal_(module.weight, 1.0, 0.02)

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c s v"]:
        """All kinds, side by side on the channels."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


def mixing(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    """A 1x1 convolution with its normalisation."""
    layer = fan_out(Pointwise(channels_in, channels_out, stride))
    return nn.Sequential(layer, nn.BatchNorm2d(channels_out))


def _five_frames(channels: int, stride: int, apart: int) -> nn.Conv2d:
    return fan_out(
        nn.Conv2d(channels, channels, (5, 1), (stride, 1), (2 * apart, 0), dilation=(apart, 1))
    )
