"""What AS-GCN is built from: graphs of the body and of the action, and the head on top."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skeldistill.networks.asgcn_links import TYPES
from skeldistill.networks.blocks import Dropout, Pointwise, pointwise

HEAD = ((9, 1), (9, 2), (9, 2), (9, 2), (3, 2))
"""(frames of the kernel, stride in time) of the blocks of the head that reconstructs."""

LAST = 5
"""Frames that must be left after them, of which one more block makes one."""

FUTURE = 10
"""Frames that are reconstructed: those after the clip."""


class Reconstruction(nn.Module):
    """From the features to the frames after the clip: frames are halved until one is left."""

    def __init__(
        self,
        channels_in: int,
        inner: int,
        coordinates: int,
        structure: Float[Tensor, "k v v"],
        *,
        dropout: float,
    ) -> None:
        super().__init__()
        blocks: list[Block] = []
        for frames, stride in HEAD:
            before = blocks[-1].channels if blocks else channels_in
            block = Block(before, inner, structure, stride=stride, frames=frames, dropout=dropout)
            blocks.append(block)
        blocks.append(
            Block(
                inner, inner, structure, frames=LAST, padded=False, dropout=dropout, residual=False
            )
        )
        self.blocks = nn.ModuleList(blocks)
        told = FUTURE * coordinates
        self.graph = ActionalStructural(inner + coordinates, told, structure, transposed=True)
        self.graph_normalisation = nn.BatchNorm2d(told)
        self.temporal = nn.ConvTranspose2d(told, told, 1)
        self.temporal_normalisation = nn.BatchNorm2d(told)
        self.dropout = Dropout(dropout)
        # Official files hold nine of these, but the head has seven blocks.
        self.register_buffer("unused_importance_7", torch.ones_like(structure))
        self.register_buffer("unused_importance_8", torch.ones_like(structure))

    @staticmethod
    def frame_counts(temporal_stride: int) -> range:
        """Of which clips exactly `LAST` frames are left, if features come every so many frames."""
        for _, stride in HEAD:
            temporal_stride *= stride
        return range(temporal_stride * (LAST - 1) + 1, temporal_stride * LAST + 1)

    def forward(
        self,
        x: Float[Tensor, "b d s v"],
        last: Float[Tensor, "b v c"],
        structure: Float[Tensor, "k v v"],
        links: Float[Tensor, "b l v v"],
    ) -> Float[Tensor, "b f v c"]:
        """All coming frames at once, as differences from the last one (eq. 12)."""
        for block in self.blocks:
            x = block(x, structure, links)
        last = last.transpose(1, 2)  # (b, c, v)
        x = self.graph(torch.cat([x, last[:, :, None]], dim=1), structure, links)
        x = self.temporal(self.graph_normalisation(x).relu_())
        x = self.dropout(self.temporal_normalisation(x))
        # The authors repeat the last frame as (frame, coordinate), but read (coordinate, frame).
        # Their weights are trained with it.
        future = x.squeeze(2) + last.repeat(1, FUTURE, 1)
        return future.unflatten(1, (-1, FUTURE)).permute(0, 2, 3, 1)

    def official_names(self, own: str) -> dict[str, str]:
        """The authors' names of its modules."""
        official = f"recon_layer_{len(self.blocks)}"
        modules = {
            f"{official}.gcn_recon.deconv": f"{own}.graph.mixing",
            f"{official}.tcn_recon.0": f"{own}.graph_normalisation",
            f"{official}.tcn_recon.2": f"{own}.temporal",
            f"{official}.tcn_recon.3": f"{own}.temporal_normalisation",
            f"edge_importance_recon.{len(self.blocks)}": f"{own}.graph.importance",
            "edge_importance_recon.7": f"{own}.unused_importance_7",
            "edge_importance_recon.8": f"{own}.unused_importance_8",
        }
        for i in range(len(self.blocks)):
            modules |= Block.official_names(f"recon_layer_{i}", f"{own}.blocks.{i}")
            modules[f"edge_importance_recon.{i}"] = f"{own}.blocks.{i}.graph.importance"
        return modules


class Block(nn.Module):
    """One AS-GCN block (section 3.3): graphs, a convolution over frames, and what came in added."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        structure: Float[Tensor, "k v v"],
        *,
        stride: int = 1,
        frames: int = 9,
        padded: bool = True,
        dropout: float,
        residual: bool = True,
    ) -> None:
        super().__init__()
        self.channels = channels_out
        self.graph = ActionalStructural(channels_in, channels_out, structure)
        self.graph_normalisation = nn.BatchNorm2d(channels_out)
        padding = (frames // 2 if padded else 0, 0)
        self.temporal = nn.Conv2d(channels_out, channels_out, (frames, 1), (stride, 1), padding)
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
        self,
        x: Float[Tensor, "b c t v"],
        structure: Float[Tensor, "k v v"],
        links: Float[Tensor, "b l v v"],
    ) -> Float[Tensor, "b d s v"]:
        """One block; a stride of 2 halves the frames."""
        y = self.temporal(self.graph_normalisation(self.graph(x, structure, links)).relu_())
        y = self.dropout(self.temporal_normalisation(y))
        return (y if self.residual is None else y + self.residual(x)).relu_()

    @staticmethod
    def official_names(official: str, own: str) -> dict[str, str]:
        """The authors' names of its modules."""
        return {
            f"{official}.gcn.conv": f"{own}.graph.mixing",
            f"{official}.tcn.0": f"{own}.graph_normalisation",
            f"{official}.tcn.2": f"{own}.temporal",
            f"{official}.tcn.3": f"{own}.temporal_normalisation",
            f"{official}.residual": f"{own}.residual",
        }


class ActionalStructural(nn.Module):
    """Links of the body and of the action, each graph with its own weights (eq. 9 and 11).

    ``out[w] = sum_k sum_v (A[k, v, w] E[k, v, w]) (W[k] x[v] + b[k])`` and the same over the
    person's own actional graphs; E is learned. The neighbours are summed first, see
    `GraphConvolution`.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        structure: Float[Tensor, "k v v"],
        *,
        transposed: bool = False,
    ) -> None:
        super().__init__()
        self.importance = nn.Parameter(torch.ones_like(structure))
        self.graphs = len(structure) + TYPES - 1
        # Holds weights in the authors' shape: (k d, c, 1, 1), in the last block (c, k d, 1, 1).
        kind = nn.ConvTranspose2d if transposed else nn.Conv2d
        self.mixing = kind(channels_in, self.graphs * channels_out, 1)

    def forward(
        self,
        x: Float[Tensor, "b c t v"],
        structure: Float[Tensor, "k v v"],
        links: Float[Tensor, "b l v v"],
    ) -> Float[Tensor, "b d t v"]:
        """Gather over all graphs, then mix channels."""
        b, c, t, v = x.shape
        structure = (structure * self.importance).expand(b, -1, -1, -1)
        graphs = torch.cat([structure, links], dim=1)
        gather = graphs.permute(0, 3, 1, 2).reshape(b, 1, -1, v)  # rows (w, k)
        gathered = (gather @ x.permute(0, 2, 3, 1)).view(b, t, v, -1)  # channels (k, c)
        weight, bias = self.mixing.weight, self.mixing.bias
        assert bias is not None
        weight = weight.transpose(0, 1) if isinstance(self.mixing, nn.ConvTranspose2d) else weight
        weight = (
            weight.reshape(self.graphs, -1, c).transpose(0, 1).reshape(-1, self.graphs * c, 1, 1)
        )
        # What the biases add depends on the joint alone.
        added = bias.view(self.graphs, -1).t() @ graphs.sum(dim=2)  # (b, d, w)
        return pointwise(gathered.permute(0, 3, 1, 2), weight, None) + added[:, :, None]
