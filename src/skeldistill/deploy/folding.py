"""Batch norms folded into the convolutions before them: an equal network with fewer layers."""

import copy
from collections import Counter
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skeldistill.networks.blocks import GraphConvolution, affine
from skeldistill.networks.network import Network

AnyNetwork = TypeVar("AnyNetwork", bound=Network)


def folded(network: AnyNetwork) -> AnyNetwork:
    """An equal network in evaluation mode whose batch norms are part of the layers before them.

    The network itself is left as it was. The graphs of graph convolutions are fixed. Which batch
    norm follows which layer is seen by running two short clips; those that follow something else
    (an addition, the input) stay as they are. In float32 the scores differ by rounding alone.
    """
    still = copy.deepcopy(network).eval().requires_grad_(False)
    clips = _clips(still)
    with torch.no_grad():
        before = [still(clip) for clip in clips]
        for layer, normalisation, adjacency in _pairs(still, clips):
            factor, shift = affine(normalisation)
            if isinstance(layer, GraphConvolution):
                fixed = FoldedGraphConvolution(layer, adjacency)
                fixed.scale(factor, shift)
                _replace(still, layer, fixed)
            else:
                _scale(layer, factor, shift)
            _replace(still, normalisation, nn.Identity())
        for weight in still.parameters():
            if weight.ndim == 4:  # as the maps lie, or every call would lay them out anew
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        after = [still(clip) for clip in clips]
    for was, now in zip(before, after, strict=True):
        # A layer whose result is used twice, once without its batch norm, would show here.
        if not (_close(now.logits, was.logits) and _close(now.features, was.features)):
            raise ValueError(
                f"{type(network).__name__} says something else with its batch norms folded; one of "
                "its layers is used both with and without a batch norm"
            )
    return still.requires_grad_(False)


def _close(now: Tensor, was: Tensor) -> bool:
    """Equal but for rounding, which grows with the largest value of a map."""
    largest = was.abs().nan_to_num(0).max().clamp(min=1)
    return torch.allclose(now, was, rtol=1e-3, atol=1e-3 * float(largest), equal_nan=True)


class FoldedGraphConvolution(nn.Module):
    """A graph convolution whose graph is fixed, with what its batch norm did.

    ``out[d, w] = sum_k sum_c W[k, c, d] sum_v A[k, v, w] x[c, v] + offset[w, d]``

    It takes and ignores an adjacency, in whose place it holds its own.
    """

    def __init__(self, layer: GraphConvolution, adjacency: Float[Tensor, "k v v"]) -> None:
        super().__init__()
        k, v, _ = adjacency.shape
        weight, bias = layer.convolution.weight, layer.convolution.bias
        assert bias is not None
        gather = adjacency.detach().permute(2, 0, 1).reshape(v * k, v)  # rows (w, k)
        self.register_buffer("gather", gather)
        # Rows (k, c), the order of what is gathered.
        by_partition = weight.detach().view(k, -1, weight.shape[1]).transpose(1, 2)
        self.weight = nn.Parameter(by_partition.flatten(0, 1).clone())
        self.offset = nn.Parameter((adjacency.sum(dim=1).t() @ bias.view(k, -1)).detach())

    gather: Tensor

    def forward(
        self, x: Float[Tensor, "b c t v"], adjacency: Tensor | None = None
    ) -> Float[Tensor, "b d t v"]:
        """Gather from the neighbours, mix channels, normalise."""
        b, c, t, v = x.shape
        frames = x.permute(0, 2, 3, 1).reshape(b * t, v, c)
        gathered = torch.matmul(self.gather, frames).view(b * t * v, -1)
        mixed = (gathered @ self.weight).view(b, t, v, -1) + self.offset
        return mixed.permute(0, 3, 1, 2)

    def scale(self, factor: Float[Tensor, " d"], shift: Float[Tensor, " d"]) -> None:
        """From now on, ``factor * out + shift`` comes out."""
        self.weight.data = self.weight * factor
        self.offset.data = self.offset * factor + shift


Foldable = nn.Conv2d | GraphConvolution


def _clips(network: Network) -> list[Float[Tensor, "1 m t v c"]]:
    """Two short clips, different in all places."""
    t = next(count for count in network.frame_counts if count >= 2 * network.temporal_stride)
    like = next(network.parameters())
    shape = (2, 1, network.persons, t, network.layout.num_joints, network.channels)
    drawn = torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return list((2 * drawn - 1).to(like))


def _pairs(
    network: Network, clips: list[Float[Tensor, "1 m t v c"]]
) -> list[tuple[Foldable, nn.BatchNorm2d, Tensor]]:
    """Every layer whose result goes to one batch norm alone, that norm, and the layer's graph.

    Left out are layers and norms that are used more than once, and layers whose graph is not the
    same for every clip.
    """
    runs = [_watched(network, clip) for clip in clips]
    pairs = []
    for (layer, normalisation, graph), (_, _, other) in zip(*runs, strict=True):
        if torch.equal(graph, other):
            pairs.append((layer, normalisation, graph))
    return pairs


def _watched(
    network: Network, clip: Float[Tensor, "1 m t v c"]
) -> list[tuple[Foldable, nn.BatchNorm2d, Tensor]]:
    made: dict[int, tuple[Foldable, Tensor]] = {}
    taken: dict[int, nn.BatchNorm2d] = {}
    calls: Counter[nn.Module] = Counter()
    uses: Counter[int] = Counter()
    alive: list[object] = []  # so that no two tensors have the same id

    def watch(module: nn.Module, given: tuple, result: object) -> None:
        calls[module] += 1
        alive.extend((given, result))
        if given and isinstance(given[0], Tensor) and not list(module.children()):
            uses[id(given[0])] += 1
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            taken[id(given[0])] = module
        elif isinstance(module, nn.Conv2d | GraphConvolution) and isinstance(result, Tensor):
            graph = given[1] if isinstance(module, GraphConvolution) else torch.empty(0)
            made[id(result)] = (module, graph)

    hooks = [module.register_forward_hook(watch) for module in network.modules()]
    try:
        network(clip)
    finally:
        for hook in hooks:
            hook.remove()
    return [
        (layer, taken[place], graph)
        for place, (layer, graph) in made.items()
        if place in taken and uses[place] == calls[layer] == calls[taken[place]] == 1
    ]


def _scale(layer: nn.Conv2d, factor: Float[Tensor, " d"], shift: Float[Tensor, " d"]) -> None:
    layer.weight.data = layer.weight * factor[:, None, None, None]
    bias = shift if layer.bias is None else layer.bias * factor + shift
    layer.bias = nn.Parameter(bias)


def _replace(network: nn.Module, layer: nn.Module, by: nn.Module) -> None:
    for parent in network.modules():
        for name, child in parent.named_children():
            if child is layer:
                setattr(parent, name, by)
