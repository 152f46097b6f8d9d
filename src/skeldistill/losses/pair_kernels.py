"""Triton kernels of `vertex_pairs`, for GPUs: the same sums, a few launches instead of hundreds.

A program takes a block of one graph's vertices and walks over the others, so that no pair is ever
written to memory, sums need no atomics, and the same vertices always give the same numbers.
"""

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from jaxtyping import Float
from torch import Tensor

from skeldistill.losses.vertex_pairs import EPSILON

SIDE, STEP = 32, 32
"""Vertices of a block, and channels that are multiplied at a time."""

Vertices = Float[Tensor, "b v c"]


def squared(
    student: Vertices, teacher: Float[Tensor, "b v d"], needed: bool
) -> tuple[Tensor, Tensor]:
    """As `vertex_pairs.match_squared`: its values, and its gradient if needed."""
    vertices = student.shape[1]
    pairs = max(vertices**2, 1)
    values, weights, pulls = _made(student, needed)
    _launch(
        _squared_pairs, student, teacher, _lengths(student), _lengths(teacher),
        values, weights, pulls, vertices, student.shape[2], teacher.shape[2],
        SIDE=SIDE, STEP=STEP, WIDTH=_width(student), NEEDED=needed,
    )  # fmt: skip
    if needed:
        pulls = (weights.unsqueeze(2) * student - pulls).mul_(4 / pairs)
    return values.sum(dim=1) / pairs, pulls


def root(student: Vertices, teacher: Float[Tensor, "b v d"], needed: bool) -> tuple[Tensor, Tensor]:
    """As `vertex_pairs.match_root`: its values, and its gradient if needed."""
    vertices = student.shape[1]
    pairs, others = max(vertices**2, 1), max(vertices * (vertices - 1), 1)
    beta, taught = _mean_distance(student, others), _mean_distance(teacher, others)
    values, weights, pulls = _made(student, needed)
    moments, inverses, straight = _made(student, needed)
    _launch(
        _root_pairs, student, teacher, _lengths(student), _lengths(teacher), beta, taught,
        values, moments, weights, pulls, inverses, straight,
        vertices, student.shape[2], teacher.shape[2],
        SIDE=SIDE, STEP=STEP, WIDTH=_width(student), NEEDED=needed, SMALL=EPSILON,
    )  # fmt: skip
    if needed:
        # beta, too, depends on the student: moving all distances alike changes nothing
        through_beta = (moments.sum(dim=1) / others)[:, None]
        weights -= through_beta * inverses
        pulls -= through_beta.unsqueeze(2) * straight
        pulls = (weights.unsqueeze(2) * student - pulls).mul_(2 / (beta[:, None, None] * pairs))
    return values.sum(dim=1) / pairs, pulls


def _mean_distance(vertices: Vertices, others: int) -> Float[Tensor, " b"]:
    sums, _, _ = _made(vertices, False)
    _launch(
        _distance_sums, vertices, _lengths(vertices), sums, vertices.shape[1], vertices.shape[2],
        SIDE=SIDE, STEP=STEP, SMALL=EPSILON,
    )  # fmt: skip
    return (sums.sum(dim=1) / others).clamp_(min=EPSILON)


def _made(student: Vertices, needed: bool) -> tuple[Tensor, Tensor, Tensor]:
    """A number a block, one a vertex, and one a coordinate: filled by a kernel."""
    b, v, _ = student.shape
    blocks = student.new_empty(b, triton.cdiv(v, SIDE))
    if not needed:
        return blocks, student.new_empty(0), student.new_empty(0)
    return blocks, student.new_empty(b, v), torch.empty_like(student)


def _lengths(vertices: Vertices) -> Float[Tensor, "b v"]:
    return vertices.square().sum(dim=2)


def _width(student: Vertices) -> int:
    return max(triton.next_power_of_2(student.shape[2]), 16)


def _launch(kernel: Any, vertices: Vertices, *rest: Any, **constants: Any) -> None:
    b, v, _ = vertices.shape
    kernel[(triton.cdiv(v, SIDE), b)](vertices, *rest, **constants, num_warps=8, num_stages=1)


@triton.jit
def _cut(pointer, rows, columns, vertices, channels):
    """Some coordinates of some vertices, 0 beyond the last."""
    there = (rows < vertices)[:, None] & (columns < channels)[None, :]
    return tl.load(pointer + rows[:, None] * channels + columns[None, :], mask=there, other=0.0)


@triton.jit
def _apart(
    pointer, lengths, rows, columns, vertices, channels, SIDE: tl.constexpr, STEP: tl.constexpr
):
    """|x_i|^2 + |x_j|^2 - 2 <x_i, x_j>, 0 beyond the last vertex."""
    products = tl.zeros((SIDE, SIDE), tl.float32)
    for first in range(0, channels, STEP):
        some = first + tl.arange(0, STEP)
        ours = _cut(pointer, rows, some, vertices, channels)
        others = _cut(pointer, columns, some, vertices, channels)
        # distances of near vertices are what large numbers leave, so no fewer digits than float32's
        products += tl.dot(ours, tl.trans(others), input_precision="ieee")
    left = tl.load(lengths + rows, mask=rows < vertices, other=0.0)
    right = tl.load(lengths + columns, mask=columns < vertices, other=0.0)
    there = (rows < vertices)[:, None] & (columns < vertices)[None, :]
    return tl.where(there, left[:, None] + right[None, :] - 2 * products, 0.0)


@triton.jit
def _distances(squares, rows, columns, vertices, SMALL: tl.constexpr):
    """The root, and 1 over it; equal vertices have no direction, and so weigh nothing."""
    there = (rows < vertices)[:, None] & (columns < vertices)[None, :]
    pairs = there & (rows[:, None] != columns[None, :])
    distances = tl.where(pairs, tl.sqrt(tl.maximum(squares, SMALL)), 0.0)
    inverses = tl.where(pairs & (squares > SMALL), 1 / tl.sqrt(tl.maximum(squares, SMALL)), 0.0)
    return distances, inverses


@triton.jit
def _huber(difference):
    """SKD eq. (11) and its slope."""
    slope = tl.minimum(tl.maximum(difference, -1.0), 1.0)
    return slope * (difference - 0.5 * slope), slope


@triton.jit
def _distance_sums(
    student,
    lengths,
    sums,
    vertices,
    channels,
    SIDE: tl.constexpr,
    STEP: tl.constexpr,
    SMALL: tl.constexpr,
):
    block, graph = tl.program_id(0), tl.program_id(1).to(tl.int64)
    student += graph * vertices * channels
    lengths += graph * vertices
    rows = block * SIDE + tl.arange(0, SIDE)
    total = tl.zeros((SIDE,), tl.float32)
    for first in range(0, vertices, SIDE):
        columns = first + tl.arange(0, SIDE)
        squares = _apart(student, lengths, rows, columns, vertices, channels, SIDE, STEP)
        distances, _ = _distances(squares, rows, columns, vertices, SMALL)
        total += tl.sum(distances, axis=1)
    tl.store(sums + graph * tl.num_programs(0) + block, tl.sum(total, axis=0))


@triton.jit
def _squared_pairs(
    student, teacher, ours, theirs, values, weights, pulls, vertices, channels, taught,
    SIDE: tl.constexpr, STEP: tl.constexpr, WIDTH: tl.constexpr, NEEDED: tl.constexpr,
):  # fmt: skip
    block, graph = tl.program_id(0), tl.program_id(1).to(tl.int64)
    student += graph * vertices * channels
    teacher += graph * vertices * taught
    ours += graph * vertices
    theirs += graph * vertices
    rows, every = block * SIDE + tl.arange(0, SIDE), tl.arange(0, WIDTH)
    value, weight = tl.zeros((SIDE,), tl.float32), tl.zeros((SIDE,), tl.float32)
    pull = tl.zeros((SIDE, WIDTH), tl.float32)
    for first in range(0, vertices, SIDE):
        columns = first + tl.arange(0, SIDE)
        difference = _apart(student, ours, rows, columns, vertices, channels, SIDE, STEP)
        difference -= _apart(teacher, theirs, rows, columns, vertices, taught, SIDE, STEP)
        found, slope = _huber(difference)
        value += tl.sum(found, axis=1)
        if NEEDED:
            weight += tl.sum(slope, axis=1)
            others = _cut(student, columns, every, vertices, channels)
            pull += tl.dot(slope, others, input_precision="ieee")
    tl.store(values + graph * tl.num_programs(0) + block, tl.sum(value, axis=0))
    if NEEDED:
        _keep(weights, pulls, weight, pull, graph, rows, every, vertices, channels)


@triton.jit
def _root_pairs(
    student, teacher, ours, theirs, beta, taught_beta,
    values, moments, weights, pulls, inverses, straight, vertices, channels, taught,
    SIDE: tl.constexpr, STEP: tl.constexpr, WIDTH: tl.constexpr, NEEDED: tl.constexpr,
    SMALL: tl.constexpr,
):  # fmt: skip
    block, graph = tl.program_id(0), tl.program_id(1).to(tl.int64)
    student += graph * vertices * channels
    teacher += graph * vertices * taught
    ours += graph * vertices
    theirs += graph * vertices
    mean, taught_mean = tl.load(beta + graph), tl.load(taught_beta + graph)
    rows, every = block * SIDE + tl.arange(0, SIDE), tl.arange(0, WIDTH)
    value, moment = tl.zeros((SIDE,), tl.float32), tl.zeros((SIDE,), tl.float32)
    weight, inverse = tl.zeros((SIDE,), tl.float32), tl.zeros((SIDE,), tl.float32)
    pull = tl.zeros((SIDE, WIDTH), tl.float32)
    straightly = tl.zeros((SIDE, WIDTH), tl.float32)
    for first in range(0, vertices, SIDE):
        columns = first + tl.arange(0, SIDE)
        squares = _apart(student, ours, rows, columns, vertices, channels, SIDE, STEP)
        distances, over = _distances(squares, rows, columns, vertices, SMALL)
        squares = _apart(teacher, theirs, rows, columns, vertices, taught, SIDE, STEP)
        targets, _ = _distances(squares, rows, columns, vertices, SMALL)
        found, slope = _huber(distances / mean - targets / taught_mean)
        value += tl.sum(found, axis=1)
        moment += tl.sum(slope * distances / mean, axis=1)
        if NEEDED:
            slope *= over
            weight += tl.sum(slope, axis=1)
            inverse += tl.sum(over, axis=1)
            others = _cut(student, columns, every, vertices, channels)
            pull += tl.dot(slope, others, input_precision="ieee")
            straightly += tl.dot(over, others, input_precision="ieee")
    place = graph * tl.num_programs(0) + block
    tl.store(values + place, tl.sum(value, axis=0))
    tl.store(moments + place, tl.sum(moment, axis=0))
    if NEEDED:
        _keep(weights, pulls, weight, pull, graph, rows, every, vertices, channels)
        _keep(inverses, straight, inverse, straightly, graph, rows, every, vertices, channels)


@triton.jit
def _keep(weights, pulls, weight, pull, graph, rows, every, vertices, channels):
    """Write what a block has summed."""
    weights += graph * vertices
    pulls += graph * vertices * channels
    there = (rows < vertices)[:, None] & (every < channels)[None, :]
    tl.store(weights + rows, weight, mask=rows < vertices)
    tl.store(pulls + rows[:, None] * channels + every[None, :], pull, mask=there)
