"""Huber losses over all pairs of vertices of a graph: the costly inside of the edge loss.

A graph of 1,875 vertices has 3.5 million pairs. What comes out is one number a graph, so its
gradient is formed beside it, a few graphs at a time, and nothing of the size of the pairs is kept
for the backward pass. With the Gram matrix a step costs three products: two for the distances of
both networks, one for the gradient.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

EPSILON = 1e-12
"""Squared distances below this count as this (SKD's released code)."""

PAIRS_AT_ONCE = 2**24
"""How many pairs of vertices may be held at a time: 64 MB in single precision."""

Graphs = Float[Tensor, "b c v"]
Matching = Callable[[Tensor, Tensor, bool], tuple[Tensor, Tensor]]


def match_squared(student: Graphs, teacher: Float[Tensor, "b d v"]) -> Float[Tensor, " b"]:
    """Mean Huber loss between squared pair distances: the inside of SKD eq. (10).

    Args:
        student: vertices of every graph, ``(b, c, v)``, already divided by the root of beta.
        teacher: likewise ``(b, d, v)``; receives no gradient.
    """
    return _Pairs.apply(student, teacher, _squared)


def match_root(student: Graphs, teacher: Float[Tensor, "b d v"]) -> Float[Tensor, " b"]:
    """Mean Huber loss between pair distances over their mean, each graph by itself.

    As in SKD's released code: distances with the root, divided by the mean of those above 0.

    Args:
        student: vertices of every graph, ``(b, c, v)``, as they are.
        teacher: likewise ``(b, d, v)``; receives no gradient.
    """
    return _Pairs.apply(student, teacher, _root)


class _Pairs(torch.autograd.Function):
    """Runs a matching over a few graphs at a time and keeps its gradient."""

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor, matching: Matching) -> Tensor:
        needed = ctx.needs_input_grad[0]
        at_once = max(1, PAIRS_AT_ONCE // max(student.shape[2] ** 2, 1))
        values = student.new_empty(student.shape[0])
        gradient = torch.empty_like(student) if needed else student.new_empty(0)
        for start in range(0, student.shape[0], at_once):
            some = slice(start, start + at_once)
            value, slope = matching(student[some], teacher[some], needed)
            values[some] = value
            if needed:
                gradient[some] = slope
        ctx.save_for_backward(gradient)
        return values

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *cotangents: Tensor
    ) -> tuple[Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * cotangents[0][:, None, None], None, None


def _squared(student: Tensor, teacher: Tensor, needed: bool) -> tuple[Tensor, Tensor]:
    pairs = max(student.shape[2] ** 2, 1)
    values, slope = _huber(squared_distances(student).sub_(squared_distances(teacher)))
    if not needed:
        return values, slope
    # d|x_i - x_j|^2 / dx_i = 2 (x_i - x_j), and every pair stands twice
    return values, _pull(student, slope).mul_(4 / pairs)


def _root(student: Tensor, teacher: Tensor, needed: bool) -> tuple[Tensor, Tensor]:
    vertices = student.shape[2]
    others = max(vertices * (vertices - 1), 1)
    relative, inverse, beta = _relative(student)
    values, slope = _huber(relative - _relative(teacher)[0])
    if not needed:
        return values, slope
    # beta, too, depends on the student: moving all distances alike changes nothing
    through_beta = (slope * relative).sum(dim=(1, 2), keepdim=True) / others
    weights = slope.sub_(through_beta).mul_(inverse)
    return values, _pull(student, weights).mul_(2 / (beta * max(vertices, 1) ** 2))


def squared_distances(vertices: Graphs) -> Float[Tensor, "b v v"]:
    """Squared distances of all pairs, through one Gram matrix a graph."""
    lengths = vertices.square().sum(dim=1)
    sums = lengths.unsqueeze(2) + lengths.unsqueeze(1)
    return torch.baddbmm(sums, vertices.transpose(1, 2), vertices, alpha=-2)


def _relative(vertices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Distances over their mean; what 1 / distance weighs in the gradient; and the mean."""
    count = vertices.shape[2]
    squared = squared_distances(vertices)
    squared.diagonal(dim1=1, dim2=2).zero_()
    clamped = squared <= EPSILON
    distances = squared.clamp_(min=EPSILON).sqrt_()
    inverse = distances.reciprocal().masked_fill_(clamped, 0)  # no direction, so no pull
    distances.diagonal(dim1=1, dim2=2).zero_()
    # all but the diagonal are above 0, so this is the mean of the positive ones
    beta = distances.sum(dim=(1, 2), keepdim=True) / max(count * (count - 1), 1)
    return distances / beta.clamp(min=EPSILON), inverse, beta.clamp(min=EPSILON)


def _huber(difference: Float[Tensor, "b v v"]) -> tuple[Tensor, Tensor]:
    """SKD eq. (11): its mean over pairs, and its slope at every pair."""
    slope = difference.clamp(-1, 1)
    return (slope * (difference - slope / 2)).mean(dim=(1, 2)), slope


def _pull(vertices: Tensor, weights: Tensor) -> Tensor:
    """sum_j weights_ij (x_i - x_j) for every vertex, with symmetric weights."""
    return vertices * weights.sum(dim=1, keepdim=True) - torch.bmm(vertices, weights)
