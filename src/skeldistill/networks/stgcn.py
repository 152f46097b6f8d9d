"""ST-GCN (Yan, Xiong and Lin, AAAI 2018), as released and as printed, and SKD's compact forms."""

from functools import partial
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks.adjacency import partitioned
from skeldistill.networks.blocks import Dropout, GraphConvolution, Pointwise, initialise, normalised
from skeldistill.networks.network import Network, renamed
from skeldistill.networks.through_time import EachFrame, InTurn, Path, path, residual
from skeldistill.prediction import Prediction, presence

BLOCKS = ((64, 1),) * 4 + ((128, 2),) + ((128, 1),) * 2 + ((256, 2),) + ((256, 1),) * 2
"""(channels, stride in time) of the ten blocks."""


class STGCN(Network):
    """ST-GCN: ten blocks of graph convolution over joints and convolution over nine frames.

    Equal to the authors' network, whose weights it loads, and PYSKL's and mmaction2's (partition
    "spatial"). Pooling is theirs: the mean over frames and joints, then over persons, padded frames
    and absent persons included.

    Args:
        layout: the joints and bones.
        classes: how many actions.
        persons: how many persons of a clip it sees.
        channels: input channels of a joint.
        partition: how neighbours are divided: "distance" (as SKD uses it), "spatial" (the best
            of the ST-GCN paper, see `adjacency.spatial`) or "uniform".
        width: factor of the channels 64, 128 and 256, rounded to multiples of 8.
        dropout: probability after each block's convolution over time, but the first block's.
        edge_importance: learn a factor for every entry of the adjacency, in every block.
    """

    dropped: ClassVar[tuple[int, ...]] = ()
    """Blocks left out, counted from 1. Those that widen or halve the frames (5, 8) never are."""

    temporal_stride = 4

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        partition: str = "distance",
        width: float = 1.0,
        dropout: float = 0.5,
        edge_importance: bool = True,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        self.partition = partition
        self.dropout, self.edge_importance = dropout, edge_importance
        # In the state: an official file brings its own graph, which is the one it was trained on.
        self.register_buffer("adjacency", torch.from_numpy(partitioned(layout, partition)))
        self.normalisation = nn.BatchNorm1d(layout.num_joints * channels)
        blocks: list[Block] = []
        for number, (full, stride) in enumerate(BLOCKS, start=1):
            if number in self.dropped:
                continue
            channels_in = blocks[-1].channels if blocks else channels
            channels_out = max(8, 8 * round(full * width / 8))
            blocks.append(
                Block(
                    channels_in,
                    channels_out,
                    stride=stride,
                    importance=torch.ones_like(self.adjacency) if edge_importance else None,
                    partitions=len(self.adjacency),
                    dropout=dropout if blocks else 0.0,
                    residual=bool(blocks),
                )
            )
        self.blocks = nn.ModuleList(blocks)
        self.feature_channels = blocks[-1].channels
        self.classifier = nn.Linear(self.feature_channels, classes)
        initialise(self)

    adjacency: Tensor

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        n, m = joints.shape[:2]
        x = normalised(joints.flatten(0, 1).permute(0, 3, 1, 2), self.normalisation)
        for block in self.blocks:
            x = block(x, self.adjacency)
        pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
        return Prediction(
            logits=self.classifier(pooled),
            features=x.unflatten(0, (n, m)),
            present=presence(joints, x.shape[2]),
        )

    def through_time(self) -> Path:
        """Normalisation, then block after block."""
        entry = EachFrame(partial(normalised, normalisation=self.normalisation))
        blocks = (block for block in self.blocks if isinstance(block, Block))
        return InTurn(entry, *(block.through_time(self.adjacency) for block in blocks))

    def official_names(self) -> dict[str, str]:
        """The names of yysijie/st-gcn, and those of PYSKL and mmaction2."""
        modules = {
            "A": "adjacency",
            "data_bn": "normalisation",
            "fcn": "classifier",
            "backbone.data_bn": "normalisation",
            "cls_head.fc_cls": "classifier",
            "cls_head.fc": "classifier",
        }
        for i in range(len(self.blocks)):
            official, own = f"st_gcn_networks.{i}", f"blocks.{i}"
            modules |= {
                f"edge_importance.{i}": f"{own}.importance",
                f"{official}.gcn.conv": f"{own}.graph.convolution",
                f"{official}.tcn.0": f"{own}.graph_normalisation",
                f"{official}.tcn.2": f"{own}.temporal",
                f"{official}.tcn.3": f"{own}.temporal_normalisation",
                f"{official}.residual": f"{own}.residual",
            }
            official = f"backbone.gcn.{i}"
            modules |= {
                f"{official}.gcn.A": "adjacency",  # the same graph in every block
                f"{official}.gcn.PA": f"{own}.importance",
                f"{official}.gcn.conv": f"{own}.graph.convolution",
                f"{official}.gcn.bn": f"{own}.graph_normalisation",
                f"{official}.tcn.conv": f"{own}.temporal",
                f"{official}.tcn.bn": f"{own}.temporal_normalisation",
                f"{official}.residual.conv": f"{own}.residual.0",
                f"{official}.residual.bn": f"{own}.residual.1",
            }
        return renamed(self.state_dict(), modules)


class STGCN9(STGCN):
    """ST-GCN of nine blocks, three of each width: as its paper prints it, and as PLKD uses it.

    The authors' code, which `STGCN` follows, has a fourth block of 64 channels. PLKD says "nine
    blocks" (section 3.2) and no more; the ST-GCN paper says which: three of 64, of 128 and of 256
    channels, the fourth and the seventh of which halve the frames.
    """

    dropped = (4,)


class STsGCN(STGCN):
    """ST-sGCN of SKD (Table II): ST-GCN without blocks 2, 6 and 9."""

    dropped = (2, 6, 9)


class ST2sGCN(STGCN):
    """ST-2sGCN of SKD (Table II): ST-GCN without blocks 2, 3, 6, 7, 9 and 10."""

    dropped = (2, 3, 6, 7, 9, 10)


class Block(nn.Module):
    """Graph convolution over joints, convolution over nine frames, and what came in added."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        stride: int,
        importance: Float[Tensor, "k v v"] | None,
        partitions: int,
        dropout: float,
        residual: bool,
    ) -> None:
        super().__init__()
        self.channels = channels_out
        self.importance = None if importance is None else nn.Parameter(importance)
        self.graph = GraphConvolution(channels_in, channels_out, partitions)
        self.graph_normalisation = nn.BatchNorm2d(channels_out)
        self.temporal = nn.Conv2d(channels_out, channels_out, (9, 1), (stride, 1), (4, 0))
        self.temporal_normalisation = nn.BatchNorm2d(channels_out)
        self.dropout = Dropout(dropout)
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
        y = self.temporal(self.over_joints(x, adjacency))
        y = self.dropout(self.temporal_normalisation(y))
        return functional.relu_(y if self.residual is None else y + self.residual(x))

    def over_joints(
        self, x: Float[Tensor, "b c t v"], adjacency: Float[Tensor, "k v v"]
    ) -> Float[Tensor, "b d t v"]:
        """The part that treats every frame alone."""
        if self.importance is not None:
            adjacency = adjacency * self.importance
        return functional.relu_(self.graph_normalisation(self.graph(x, adjacency)))

    def through_time(self, adjacency: Float[Tensor, "k v v"]) -> Path:
        """The block, frame by frame."""
        over_joints = EachFrame(partial(self.over_joints, adjacency=adjacency))
        over_time = InTurn(over_joints, path(self.temporal), path(self.temporal_normalisation))
        return residual(over_time, self.residual)
