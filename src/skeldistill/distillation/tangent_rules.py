"""How a tangent passes the commonest nodes of a graph, from what each node keeps.

A node is what autograd holds of one operation for its backward pass: called with a cotangent, it
multiplies with the transposed Jacobian of the operation. A rule multiplies with the Jacobian.
Rules are there to be fast; `tangents` finds its way through every other node without one.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from skeldistill.distillation import synchronised

Node = Any
"""A node of autograd's graph; no class of torch names all of them."""

Rule = Callable[..., Tensor]
"""Called with a node and the tangent of each of its inputs, None where one does not move.

What comes out may be broadcast to the shape of the node's output, and cast to its type.
"""


def shape_of(node: Node) -> tuple[int, ...]:
    """The shape of what the operation gave."""
    return tuple(node._input_metadata[0].shape)


def _as_it_is(node: Node, moved: Tensor) -> Tensor:
    return moved


def _reshaped(node: Node, moved: Tensor) -> Tensor:
    return moved.reshape(shape_of(node))


def _turned(node: Node, moved: Tensor) -> Tensor:
    return moved.t()


def _transposed(node: Node, moved: Tensor) -> Tensor:
    return moved.transpose(_signed(node._saved_dim0), _signed(node._saved_dim1))


def _permuted(node: Node, moved: Tensor) -> Tensor:
    return moved.permute([_signed(axis) for axis in node._saved_dims])


def _summed(node: Node, moved: Tensor) -> Tensor:
    axes = [_signed(axis) for axis in node._saved_dim]
    return moved.sum(dim=axes, keepdim=node._saved_keepdim)


def _symmetric(node: Node, moved: Tensor) -> Tensor:
    """The Jacobian is its own transpose, so the backward pass is the forward one."""
    return node(moved)


def _added(node: Node, left: Tensor | None, right: Tensor | None) -> Tensor:
    if right is None:
        assert left is not None
        return left
    if left is None:
        return right * node._saved_alpha
    return torch.add(left, right, alpha=node._saved_alpha)


def _multiplied(node: Node, left: Tensor | None, right: Tensor | None) -> Tensor:
    if right is None:
        return left * node._saved_other
    if left is None:
        return node._saved_self * right
    return left * node._saved_other + node._saved_self * right


def _matrices(node: Node, left: Tensor | None, right: Tensor | None) -> Tensor:
    if right is None:
        assert left is not None
        return left @ node._saved_mat2
    if left is None:
        return node._saved_self @ right
    return (left @ node._saved_mat2).add_(node._saved_self @ right)


def _affine(node: Node, bias: Tensor | None, left: Tensor | None, right: Tensor | None) -> Tensor:
    """(b + x W)' = b' + x' W + x W', as linear layers are: neither part is scaled."""
    through = [] if bias is None else [bias]
    if left is not None:
        through.append(left @ node._saved_mat2)
    if right is not None:
        through.append(node._saved_mat1 @ right)
    return sum(through[1:], through[0])


def _convolution(
    node: Node, moved: Tensor | None, weight: Tensor | None, bias: Tensor | None
) -> Tensor:
    """(W x + b)' = W x' + W' x + b'."""
    options = (
        node._saved_stride,
        node._saved_padding,
        node._saved_dilation,
        node._saved_transposed,
        node._saved_output_padding,
        node._saved_groups,
    )
    if moved is not None:
        through = torch.convolution(moved, node._saved_weight, None, *options)
    else:
        through = torch.zeros((), dtype=node._saved_input.dtype, device=node._saved_input.device)
    if weight is not None:
        return torch.convolution(node._saved_input, weight, bias, *options).add_(through)
    if bias is not None:
        return through + bias.reshape(-1, *(1,) * (len(shape_of(node)) - 2))
    return through


def _batch_normalisation(
    node: Node, moved: Tensor | None, weight: Tensor | None, bias: Tensor | None
) -> Tensor:
    """The Jacobian by x is symmetric, by scale and shift it is what they do to normalised x."""
    through = None if moved is None else node(moved)[0]
    if weight is None and bias is None:
        assert through is not None
        return through
    x, small = node._saved_input, node._saved_eps
    if node._saved_training:
        mean, variance = node._saved_result1, node._saved_result2.pow(-2) - small
    else:
        mean, variance = node._saved_running_mean, node._saved_running_var
    if weight is None:
        weight = torch.zeros_like(mean)
    own = functional.batch_norm(x, mean, variance, weight, bias, training=False, eps=small)
    return own if through is None else own.add_(through)


def _signed(axis: int) -> int:
    """Axes counted from behind are kept as unsigned numbers."""
    return axis if axis < 2**63 else axis - 2**64


_RULES: dict[Rule, tuple[str, ...]] = {
    _as_it_is: ("Clone", "Expand", "ToCopy", "Alias"),
    _reshaped: ("View", "UnsafeView", "ReshapeAlias", "Unsqueeze", "Squeeze"),
    _turned: ("T",),
    _transposed: ("Transpose",),
    _permuted: ("Permute",),
    _symmetric: (
        *("Relu", "LeakyRelu", "Elu", "Hardswish", "Silu", "Gelu", "Sigmoid", "Tanh"),
        *("Softmax", "Abs", "Neg", "Exp", "Sqrt"),
    ),
    _added: ("Add",),
    _multiplied: ("Mul",),
    _matrices: ("Mm", "Bmm"),
    _affine: ("Addmm",),
    _convolution: ("Convolution",),
    _batch_normalisation: ("NativeBatchNorm",),
}

RULES: Mapping[str, Rule] = {
    f"{name}Backward0": rule for rule, names in _RULES.items() for name in names
} | {
    "SumBackward1": _summed,
    f"{synchronised.SynchronisedNormalisation.__name__}Backward": synchronised.moved,
}
"""The rule of a node by its name."""
