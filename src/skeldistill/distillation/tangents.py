"""Tangents: how outputs move when parameters do, over the graph that autograd has kept.

Forward-mode differentiation would run the network again. But all that it needs hangs on the nodes
that wait for the backward pass, so we walk them from the parameters to the outputs. Nothing has to
be known before the network runs, and no network has to know.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.graph import get_gradient_edge

from skeldistill.distillation.tangent_rules import RULES, Node, shape_of

Edge = tuple[Node, int]
"""An output of a node: what a tensor with a gradient hangs on."""


class NoTangent(Exception):
    """The graph holds a node that no tangent can pass, or its outputs do not tell all."""


@torch.no_grad()
def tangents(
    outputs: Sequence[Float[Tensor, "..."]],
    parameters: Sequence[Float[Tensor, "..."]],
    directions: Sequence[Float[Tensor, "..."] | None],
) -> list[Float[Tensor, "..."] | None]:
    """The derivative of the outputs as the parameters move: J d, exact.

    Costs about a backward pass. The graph must not have been freed, and is not touched.

    Args:
        outputs: tensors of one graph.
        parameters: its leaves.
        directions: how each parameter moves; None where it does not.

    Returns:
        A tensor an output; None where it does not move.

    Raises:
        NoTangent: an operation cannot be differentiated twice.
    """
    # Edges are kept in hand: torch makes the Python side of a node anew when nobody holds it.
    ends = [_edge(output) for output in outputs]
    moved: dict[Node, tuple[Tensor | None, ...]] = {
        _edge(parameter)[0]: (direction,)
        for parameter, direction in zip(parameters, directions, strict=True)
        if direction is not None
    }
    nodes = _inputs_first(node for node, _ in ends)
    readers = Counter(below for node in nodes for below, _ in node.next_functions)
    readers.update(node for node, _ in ends)
    for node in nodes:
        incoming = [_tangent(moved, edge) for edge in node.next_functions]
        if any(tangent is not None for tangent in incoming):
            moved[node] = _passed(node, incoming)
        for below, _ in node.next_functions:
            readers[below] -= 1
            if not readers[below]:
                moved.pop(below, None)
    return [_tangent(moved, end) for end in ends]


def reached_otherwise(
    losses: Iterable[Float[Tensor, ""]],
    outputs: Sequence[Float[Tensor, "..."]],
    parameters: Sequence[Float[Tensor, "..."]],
) -> bool:
    """Whether any of the losses hangs on any of the parameters not through the outputs alone."""
    ends = {_edge(output) for output in outputs}
    leaves = {_edge(parameter)[0] for parameter in parameters}
    waiting = [_edge(loss) for loss in losses]
    seen = set()
    while waiting:
        edge = waiting.pop()
        if edge in ends or edge in seen or edge[0] is None:
            continue
        seen.add(edge)
        if edge[0] in leaves:
            return True
        waiting.extend(edge[0].next_functions)
    return False


def _edge(tensor: Tensor) -> Edge:
    edge = get_gradient_edge(tensor)
    return edge.node, edge.output_nr


def _inputs_first(roots: Iterable[Node]) -> list[Node]:
    """All nodes below the roots, every one after those that it hangs on."""
    order, entered = [], {None}
    waiting = [(root, False) for root in roots]
    while waiting:
        node, left = waiting.pop()
        if left:
            order.append(node)
        elif node not in entered:
            entered.add(node)
            waiting.append((node, True))
            waiting.extend((below, False) for below, _ in node.next_functions)
    return order


def _tangent(moved: dict[Node, tuple[Tensor | None, ...]], edge: Edge) -> Tensor | None:
    node, place = edge
    return moved[node][place] if node in moved else None


def _passed(node: Node, incoming: list[Tensor | None]) -> tuple[Tensor | None, ...]:
    """The tangents of what a node gave."""
    rule = RULES.get(node.name())
    try:
        if rule is None:
            return _by_differentiation(node, incoming)
        kind = node._input_metadata[0].dtype
        return (rule(node, *incoming).to(kind).expand(shape_of(node)),)
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AttributeError) as error:
        raise NoTangent(f"{node.name()}: {error}") from error


def _by_differentiation(node: Node, incoming: list[Tensor | None]) -> tuple[Tensor | None, ...]:
    """The tangents of any node that can be differentiated twice.

    The backward pass u -> J^T u is linear, so the gradient of <J^T u, d> by u is J d for any u.
    """
    name = node.name()
    kinds = node._input_metadata
    if not callable(node):  # torch.autograd.Function
        raise NoTangent(f"{name} is written in Python, and may give what is no derivative")
    with torch.enable_grad():
        blank = [
            torch.zeros((), dtype=kind.dtype, device=kind.device)
            .expand(tuple(kind.shape))
            .requires_grad_()
            for kind in kinds
        ]
        back: Any = node(*blank)
        pairs = [
            (gradient, tangent.to(gradient.dtype).expand_as(gradient))
            for gradient, tangent in zip(
                back if isinstance(back, tuple) else (back,), incoming, strict=False
            )
            if tangent is not None and gradient is not None and gradient.requires_grad
        ]
        if not pairs:
            return (None,) * len(blank)
        gradients, directions = zip(*pairs, strict=True)
        found = torch.autograd.grad(gradients, blank, directions, allow_unused=True)
    if all(one is None for one in found):
        raise NoTangent(f"{name} can be differentiated once only")
    return found
