"""Huber losses over all pairs of vertices of a graph: the costly inside of the edge loss.

A graph of 1,875 vertices has 3.5 million pairs. What comes out is one number a graph, so its
gradient is formed beside it, a tile of pairs at a time, and no more than a tile is ever held. Pairs
are symmetric: only tiles on and above the diagonal are formed. Tiles fit into the cache, which
saves more than it costs to compute distances anew.
"""

import functools
import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

LOG = logging.getLogger(__name__)

EPSILON = 1e-12
"""Squared distances below this count as this (SKD's released code)."""

PAIRS_AT_ONCE = 2**18
"""How many pairs of vertices are held at a time: 1 MB in single precision."""

KERNEL_CHANNELS = 256
"""A wider student's gradient does not fit into the registers of a GPU: it takes tiles there too."""

Vertices = Float[Tensor, "b v c"]
Matching = Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor]]


def match_squared(
    student: Float[Tensor, "b c v"], teacher: Float[Tensor, "b d v"]
) -> Float[Tensor, " b"]:
    """Mean Huber loss between squared pair distances: the inside of SKD eq. (10).

    Args:
        student: vertices of every graph, ``(b, c, v)``, already divided by the root of beta.
        teacher: likewise ``(b, d, v)``; receives no gradient.
    """
    return _Pairs.apply(student, teacher, _squared)


def match_root(
    student: Float[Tensor, "b c v"], teacher: Float[Tensor, "b d v"]
) -> Float[Tensor, " b"]:
    """Mean Huber loss between pair distances over their mean, each graph by itself.

    As in SKD's released code: distances with the root, divided by the mean of those above 0.

    Args:
        student: vertices of every graph, ``(b, c, v)``, as they are.
        teacher: likewise ``(b, d, v)``; receives no gradient.
    """
    return _Pairs.apply(student, teacher, _root)


class _Pairs(torch.autograd.Function):
    """Runs a matching, and keeps its gradient."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, matching: Matching) -> Tensor:
        needed = ctx.needs_input_grad[0]
        # channels last is how maps lie in memory, and what tiles are cut from in one piece
        student, teacher = student.transpose(1, 2).contiguous(), teacher.transpose(1, 2)
        kernels = _kernels(student.device) if _suits_kernels(student) else {}
        if matching in kernels:
            values, gradient = kernels[matching](student, teacher.contiguous(), needed)
        else:
            values, gradient = _some_at_a_time(matching, student, teacher, needed)
        ctx.save_for_backward(gradient)
        return values

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *cotangents: Tensor
    ) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return (gradient * cotangents[0][:, None, None]).transpose(1, 2), None, None


def _some_at_a_time(
    matching: Matching, student: Vertices, teacher: Float[Tensor, "b v d"], needed: bool
) -> tuple[Tensor, Tensor]:
    """A matching over as many graphs at a time as fit."""
    at_once = max(1, PAIRS_AT_ONCE // max(student.shape[1] ** 2, 1))
    values = student.new_empty(student.shape[0])
    gradient = torch.empty_like(student) if needed else student.new_empty(0)
    for start in range(0, student.shape[0], at_once):
        some = slice(start, start + at_once)
        value, slope = matching(student[some], teacher[some].contiguous(), needed)
        values[some] = value
        if needed:
            gradient[some] = slope
    return values, gradient


def _suits_kernels(student: Vertices) -> bool:
    narrow = student.shape[2] <= KERNEL_CHANNELS
    return student.is_cuda and student.dtype == torch.float32 and narrow


@functools.cache
def _kernels(device: torch.device) -> Mapping[Matching, Matching]:
    """The matchings that Triton does in one go on this device; none if it does not work here."""
    try:
        from skeldistill.losses import pair_kernels

        two = torch.zeros(1, 2, 1, device=device)
        pair_kernels.squared(two, two, True)
    except ImportError:
        return {}
    except Exception as error:  # of many kinds: it compiles here, and may lack what it needs
        LOG.warning("edge loss in tiles, since Triton fails: %s", error)
        return {}
    return {_squared: pair_kernels.squared, _root: pair_kernels.root}


class _Tile(NamedTuple):
    """Some pairs: those of the first vertices with the second."""

    first: slice
    second: slice

    @property
    def times(self) -> int:
        """How often its pairs stand among all: those above the diagonal again below it."""
        return 1 if self.first == self.second else 2


def _tiles(vertices: int) -> list[_Tile]:
    side = max(1, math.isqrt(PAIRS_AT_ONCE))
    blocks = max(1, math.ceil(vertices / side))
    bounds = [vertices * block // blocks for block in range(blocks + 1)]
    parts = [slice(*bounds[block : block + 2]) for block in range(blocks)]
    return [_Tile(first, second) for place, first in enumerate(parts) for second in parts[place:]]


def _squared(student: Tensor, teacher: Tensor, needed: bool) -> tuple[Tensor, Tensor]:
    pairs = max(student.shape[1] ** 2, 1)
    # |x_i - x_j|^2 - |y_i - y_j|^2 in one product, as if x + iy were the vertices
    left, right = torch.cat([student, teacher], dim=2), torch.cat([student, -teacher], dim=2)
    lengths = (left * right).sum(dim=2)
    values, gradient = student.new_zeros(student.shape[0]), torch.zeros_like(student)
    for tile in _tiles(student.shape[1]):
        value, slope = _huber(_from_products(left, right, lengths, tile))
        values += tile.times * value
        if needed:
            _pull(gradient, student, slope, tile)
    # d|x_i - x_j|^2 / dx_i = 2 (x_i - x_j), and every pair stands twice
    return values / pairs, gradient.mul_(4 / pairs)


def _root(student: Tensor, teacher: Tensor, needed: bool) -> tuple[Tensor, Tensor]:
    vertices = max(student.shape[1], 1)
    others = max(vertices * (vertices - 1), 1)
    tiles = _tiles(student.shape[1])
    ours, theirs = _Relative(student, tiles), _Relative(teacher, tiles)
    values, moment = student.new_zeros(2, student.shape[0])
    for tile in tiles:
        relative = ours(tile)[0]
        value, slope = _huber(relative - theirs(tile)[0])
        values += tile.times * value
        moment += tile.times * torch.linalg.vecdot(slope, relative).sum(dim=1)
    gradient = torch.zeros_like(student)
    # beta, too, depends on the student: moving all distances alike changes nothing
    through_beta = (moment / others)[:, None, None]
    for tile in tiles if needed else ():
        relative, inverse = ours(tile)
        slope = (relative - theirs(tile)[0]).clamp_(-1, 1)
        _pull(gradient, student, slope.sub_(through_beta).mul_(inverse), tile)
    return values / vertices**2, gradient.mul_(2 / (ours.beta * vertices**2))


class _Relative:
    """Distances of the pairs of a tile over their mean, and what 1 / distance weighs in gradients.

    Formed anew whenever they are asked for, unless all pairs are one tile.
    """

    def __init__(self, vertices: Vertices, tiles: list[_Tile]) -> None:
        self._vertices, self._lengths = vertices, vertices.square().sum(dim=2)
        self._kept = self._distances(tiles[0]) if len(tiles) == 1 else None
        total = vertices.new_zeros(vertices.shape[0])
        for tile in tiles:
            total += tile.times * self._find(tile)[0].sum(dim=(1, 2))
        # all but the diagonal are above 0, so this is the mean of the positive ones
        others = max(vertices.shape[1] * (vertices.shape[1] - 1), 1)
        self.beta = (total / others).clamp_(min=EPSILON)[:, None, None]

    def __call__(self, tile: _Tile) -> tuple[Tensor, Tensor]:
        distances, inverse = self._find(tile)
        return distances / self.beta, inverse

    def _find(self, tile: _Tile) -> tuple[Tensor, Tensor]:
        return self._kept or self._distances(tile)

    def _distances(self, tile: _Tile) -> tuple[Tensor, Tensor]:
        squared = _from_products(self._vertices, self._vertices, self._lengths, tile)
        if tile.first == tile.second:
            squared.diagonal(dim1=1, dim2=2).zero_()
        # equal vertices have no direction, so no pull; thresholds are vectorised, masks are not
        inverse = functional.threshold(squared, EPSILON, math.inf).rsqrt_()
        distances = squared.clamp_(min=EPSILON).sqrt_()
        if tile.first == tile.second:
            distances.diagonal(dim1=1, dim2=2).zero_()
        return distances, inverse


def _from_products(left: Vertices, right: Vertices, lengths: Tensor, tile: _Tile) -> Tensor:
    """|x_i|^2 + |x_j|^2 - 2 <x_i, x_j> for the pairs of a tile."""
    sums = lengths[:, tile.first, None] + lengths[:, None, tile.second]
    return sums.baddbmm_(left[:, tile.first], right[:, tile.second].transpose(1, 2), alpha=-2)


def _huber(difference: Float[Tensor, "b i j"]) -> tuple[Tensor, Tensor]:
    """SKD eq. (11): its sum over pairs, and its slope at every pair."""
    slope = difference.clamp(-1, 1)
    rest = difference.sub_(slope, alpha=0.5)
    return torch.linalg.vecdot(slope, rest).sum(dim=1), slope


def _pull(into: Vertices, vertices: Vertices, weights: Float[Tensor, "b i j"], tile: _Tile) -> None:
    """Add sum_j w_ij (x_i - x_j) for every vertex, with symmetric weights."""
    first, second = vertices[:, tile.first], vertices[:, tile.second]
    into[:, tile.first] += first * weights.sum(dim=2, keepdim=True)
    into[:, tile.first].baddbmm_(weights, second, alpha=-1)
    if tile.times == 1:
        return
    weights = weights.transpose(1, 2)
    into[:, tile.second] += second * weights.sum(dim=2, keepdim=True)
    into[:, tile.second].baddbmm_(weights, first, alpha=-1)
