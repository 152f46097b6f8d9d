"""2s-AGCN (Shi, Zhang, Cheng and Lu, CVPR 2019): one of its two streams, and its later form."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks.adjacency import directed
from skeldistill.networks.agcn_attention import Attention
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


class AGCN(Network):
    """AGCN: the graph is the skeleton, plus what is learned, plus what each clip's joints suggest.

    Equal to the authors' network, whose weights it loads. Which of their two streams it is
    depends on what it is shown (the recipe's ``sampling.stream``: joint or bone); the scores of
    two such networks are added in evaluation. Pooling is theirs: the mean over frames and joints,
    then over persons, absent ones included.

    With `gated` and `attention` it is their later AAGCN (Shi et al., IEEE TIP 2020), whose weights
    it loads from their code, PYSKL and mmaction2; with `gated` alone, mmaction2's 2s-AGCN.

    Args:
        layout: the joints and bones.
        classes: how many actions.
        persons: how many persons of a clip it sees; each has its own input normalisation.
        channels: input channels of a joint.
        width: factor of the channels 64, 128 and 256, rounded to multiples of 8.
        gated: see `GatedGraphConvolution`.
        attention: see `Attention`, after every graph convolution.
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
        gated: bool = False,
        attention: bool = False,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        self.gated, self.attention = gated, attention
        self.register_buffer("adjacency", torch.from_numpy(directed(layout)))
        self.normalisation = nn.BatchNorm1d(persons * layout.num_joints * channels)
        blocks: list[Block] = []
        for full, stride in BLOCKS:
            channels_in = blocks[-1].channels if blocks else channels
            channels_out = max(8, 8 * round(full * width / 8))
            blocks.append(
                Block(
                    channels_in,
                    channels_out,
                    self.adjacency,
                    stride=stride,
                    residual=bool(blocks),
                    gated=gated,
                    attention=attention,
                )
            )
        self.blocks = nn.ModuleList(blocks)
        self.feature_channels = blocks[-1].channels
        self.classifier = nn.Linear(self.feature_channels, classes)
        nn.init.normal_(self.classifier.weight, 0.0, math.sqrt(2 / classes))

    adjacency: Tensor

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        n, m = joints.shape[:2]
        x = joints.flatten(0, 1).permute(0, 3, 1, 2)
        x = normalised_persons(x, self.normalisation, m)
        for block in self.blocks:
            x = block(x, self.adjacency)
        pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
        return Prediction(
            logits=self.classifier(pooled),
            features=x.unflatten(0, (n, m)),
            present=presence(joints, x.shape[2]),
        )

    def official_names(self) -> dict[str, str]:
        """The names of lshiwjx/2s-AGCN; with `gated`, those of PYSKL and mmaction2 as well."""
        modules = {"graph.A": "adjacency", "data_bn": "normalisation", "fc": "classifier"}
        codebases = [(1, "l{}", "gcn1", "tcn1", "PA")]
        if self.gated:
            modules |= {"backbone.A": "adjacency", "backbone.data_bn": "normalisation"}
            modules |= {"cls_head.fc_cls": "classifier", "cls_head.fc": "classifier"}
            codebases.append((0, "backbone.gcn.{}", "gcn", "tcn", "A"))
        for first, block, graph, temporal, learned in codebases:
            for i in range(len(self.blocks)):
                official, own = block.format(first + i), f"blocks.{i}"
                modules |= {
                    f"{official}.{graph}.{learned}": f"{own}.graph.learned",
                    f"{official}.{graph}.alpha": f"{own}.graph.gate",
                    f"{official}.{graph}.conv_a": f"{own}.graph.queries",
                    f"{official}.{graph}.conv_b": f"{own}.graph.keys",
                    f"{official}.{graph}.conv_d": f"{own}.graph.values",
                    f"{official}.{graph}.bn": f"{own}.graph.normalisation",
                    f"{official}.{graph}.down": f"{own}.graph.residual",
                    f"{official}.{graph}.conv_sa": f"{own}.attention.joints",
                    f"{official}.{graph}.conv_ta": f"{own}.attention.frames",
                    f"{official}.{graph}.fc1c": f"{own}.attention.narrowing",
                    f"{official}.{graph}.fc2c": f"{own}.attention.widening",
                    f"{official}.{temporal}.conv": f"{own}.temporal.0",
                    f"{official}.{temporal}.bn": f"{own}.temporal.1",
                    f"{official}.residual.conv": f"{own}.residual.0",
                    f"{official}.residual.bn": f"{own}.residual.1",
                }
        return renamed(self.state_dict(), modules)


class Block(nn.Module):
    """Adaptive graph convolution over joints, then convolution over nine frames."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        start: Float[Tensor, "k v v"],
        *,
        stride: int,
        residual: bool,
        gated: bool,
        attention: bool,
    ) -> None:
        super().__init__()
        self.channels = channels_out
        graph = GatedGraphConvolution if gated else AdaptiveGraphConvolution
        self.graph = graph(channels_in, channels_out, start)
        self.attention: nn.Module = nn.Identity()
        if attention:
            self.attention = Attention(channels_out, joints=start.shape[-1])
        self.temporal = convolution(channels_out, channels_out, frames=9, stride=stride)
        self.residual: nn.Module | None = None
        if residual and stride == 1 and channels_in == channels_out:
            self.residual = nn.Identity()
        elif residual:
            self.residual = convolution(channels_in, channels_out, stride=stride)

    def forward(
        self, x: Float[Tensor, "b c t v"], adjacency: Float[Tensor, "k v v"]
    ) -> Float[Tensor, "b d s v"]:
        """One block; a stride of 2 halves the frames."""
        y = self.temporal(self.attention(self.graph(x, adjacency)))
        return functional.relu(y if self.residual is None else y + self.residual(x))


class AdaptiveGraphConvolution(nn.Module):
    """A graph for each person of each clip (eq. 3).

    ``out = relu(BN(sum_k W_k x (A_k + B_k + C_k)) + residual(x))``, where A is the skeleton, B is
    learned (the authors' code calls it PA) and C compares the joints of the person, eq. (2):
    ``C_k[v, w] = softmax_v(theta_k(x)[v] . phi_k(x)[w] / (c' t))``.
    """

    partitions = 3

    def __init__(self, channels_in: int, channels_out: int, start: Float[Tensor, "k v v"]) -> None:
        super().__init__()
        self.learned = nn.Parameter(torch.full_like(start, 1e-6))
        self.queries = self._for_each_partition(channels_in, channels_out // 4)
        self.keys = self._for_each_partition(channels_in, channels_out // 4)
        self.values = self._for_each_partition(channels_in, channels_out)
        self.normalisation = nn.BatchNorm2d(channels_out)
        self.residual: nn.Module = nn.Identity()
        if channels_in != channels_out:
            self.residual = convolution(channels_in, channels_out)
        values_size = channels_in * channels_out * self.partitions
        for weight in weights(self.values):
            nn.init.normal_(weight, 0.0, math.sqrt(2 / values_size))
        nn.init.constant_(self.normalisation.weight, 1e-6)

    def forward(
        self, x: Float[Tensor, "b c t v"], adjacency: Float[Tensor, "k v v"]
    ) -> Float[Tensor, "b d t v"]:
        """Gather from the neighbours, then mix channels."""
        b, _, t, v = x.shape
        gather = self.neighbours(x, adjacency)
        gather = gather.permute(0, 3, 1, 2).reshape(b, 1, -1, v)  # rows (w, k)
        gathered = (gather @ x.permute(0, 2, 3, 1)).view(b, t, v, -1)  # channels (k, c)
        # One product for all partitions; their biases add the same to every joint.
        weight = torch.cat(weights(self.values), dim=1)
        bias = torch.stack(biases(self.values)).sum(dim=0)
        y = pointwise(gathered.permute(0, 3, 1, 2), weight, bias)
        return functional.relu(self.normalisation(y) + self.residual(x))

    def neighbours(
        self, x: Float[Tensor, "b c t v"], adjacency: Float[Tensor, "k v v"]
    ) -> Float[Tensor, "b k v v"]:
        """What each joint takes from each other one, in every partition."""
        return adjacency + self.learned + self.similarity(x)

    def similarity(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b k v v"]:
        """How much joint w should take from joint v: eq. (2), over all frames of the person."""
        return torch.softmax(self.alikeness(x), dim=2)

    def alikeness(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b k v v"]:
        """How alike two joints are: ``theta_k(x)[v] . phi_k(x)[w] / (c' t)``."""
        b, _, t, v = x.shape
        weight = torch.cat([*weights(self.queries), *weights(self.keys)])
        bias = torch.cat([*biases(self.queries), *biases(self.keys)])
        embedded = pointwise(x, weight, bias).permute(0, 2, 3, 1)
        embedded = embedded.reshape(b, t, v, 2, self.partitions, -1).permute(3, 0, 4, 2, 1, 5)
        theta, phi = embedded.flatten(4)  # (b, k, v, t c')
        return theta @ phi.transpose(2, 3) / theta.shape[-1]

    def _for_each_partition(self, channels_in: int, channels_out: int) -> nn.ModuleList:
        return nn.ModuleList(
            fan_out(Pointwise(channels_in, channels_out)) for _ in range(self.partitions)
        )


class GatedGraphConvolution(AdaptiveGraphConvolution):
    """AAGCN's graph: all of it is learned, from the skeleton on, and the clip comes in by a gate.

    ``A_k + gate * tanh(theta_k(x)[v] . phi_k(x)[w] / (c' t))``; the gate starts at 0.
    """

    def __init__(self, channels_in: int, channels_out: int, start: Float[Tensor, "k v v"]) -> None:
        super().__init__(channels_in, channels_out, start)
        self.learned = nn.Parameter(start.clone())
        self.gate = nn.Parameter(torch.zeros(1))

    def neighbours(
        self, x: Float[Tensor, "b c t v"], adjacency: Float[Tensor, "k v v"]
    ) -> Float[Tensor, "b k v v"]:
        """What each joint takes from each other one; the skeleton was but the start."""
        return self.learned + self.gate * torch.tanh(self.alikeness(x))


def convolution(
    channels_in: int, channels_out: int, *, frames: int = 1, stride: int = 1
) -> nn.Sequential:
    """A convolution over frames with its normalisation."""
    layer = (
        Pointwise(channels_in, channels_out, stride)
        if frames == 1
        else nn.Conv2d(channels_in, channels_out, (frames, 1), (stride, 1), (frames // 2, 0))
    )
    return nn.Sequential(fan_out(layer), nn.BatchNorm2d(channels_out))
