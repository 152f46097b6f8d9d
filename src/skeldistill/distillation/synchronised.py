"""Batch normalisation over the clips of all processes: what a network learns is the same then.

Statistics of a share alone would make every result depend on the number of processes.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from skeldistill import processes


def synchronised(wanted: bool = True) -> AbstractContextManager:
    """A context in which every batch normalisation that learns sees the clips of all processes.

    Modules stay as they are, and so do their names and states. Alone, or unless it is `wanted`, it
    does nothing.
    """
    return _Synchronised() if wanted and processes.several() else nullcontext()


class _Synchronised(TorchFunctionMode):
    """Stands in for ``torch.nn.functional.batch_norm`` in training."""

    def __torch_function__(
        self,
        func: Callable,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is functional.batch_norm:
            return _batch_norm(*args, **kwargs)
        return func(*args, **kwargs)


def _batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    if not training:
        return functional.batch_norm(
            input, running_mean, running_var, weight, bias, False, momentum, eps
        )
    with torch.no_grad():
        mean, variance, values = _statistics(input)
        if running_mean is not None and running_var is not None:
            running_mean.lerp_(mean.to(running_mean), momentum)
            unbiased = variance * (values / (values - 1).clamp(min=1))
            running_var.lerp_(unbiased.to(running_var), momentum)
    weight = torch.ones_like(mean) if weight is None else weight
    bias = torch.zeros_like(mean) if bias is None else bias
    return SynchronisedNormalisation.apply(input, weight, bias, mean, variance, values, eps)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and variance of every channel, and of how many values, over all processes."""
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    # the kernel of torch's own normalisation: var_mean takes 25 times as long over channels last
    mean, variance = torch.ops.aten.batch_norm_update_stats(x, None, None, 0.0)
    own = x.numel() // x.shape[1]
    every = processes.stacked(torch.cat([mean, variance, mean.new_full((1,), own)]))
    channels = len(mean)
    means, variances, counts = every.split([channels, channels, 1], dim=1)
    values = counts.sum()
    mean = (means * counts).sum(dim=0) / values
    # around the common mean, so that nothing is lost where it is far from 0
    variance = ((variances + (means - mean).square()) * counts).sum(dim=0) / values
    return mean, variance, values


class SynchronisedNormalisation(torch.autograd.Function):
    """(x - mean) / sqrt(variance + eps) * weight + bias, mean and variance being of all processes'.

    Every process must go backwards through it as often as the others.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        values: Tensor,
        eps: float,
    ) -> Tensor:
        """Normalise as by running statistics."""
        ctx.save_for_backward(x, weight, mean, variance, values)
        ctx.eps = eps
        return functional.batch_norm(x, mean, variance, weight, bias, False, 0.0, eps)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *cotangents: Tensor
    ) -> tuple[Tensor | None, ...]:
        """The gradients; those by weight and bias are this process's share."""
        found = transposed(ctx.saved_tensors, ctx.eps, cotangents[0])
        return (*found, None, None, None, None)


def transposed(
    saved: Sequence[Tensor], eps: float, cotangent: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The transposed Jacobian times a cotangent: by x, and this process's share by weight and bias.

    The Jacobian by x, over the values of all processes, is symmetric up to the weight, which is one
    number a channel and so commutes with it: the same function gives tangents.
    """
    x, weight, mean, variance, values = saved
    if cotangent.dtype != x.dtype:
        cotangent = cotangent.to(x.dtype)
    by_x, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
        cotangent, x, weight, mean, variance, None, None, False, eps, [True, True, True]
    )
    sums = processes.summed(torch.stack([by_weight, by_bias])) / values
    # what moving all values alike, and all of them apart, does to none of them
    scale = weight * (variance + eps).rsqrt()
    by_x -= functional.batch_norm(
        x, mean, variance, sums[0] * scale, sums[1] * scale, False, 0.0, eps
    )
    return by_x, by_weight, by_bias


def moved(
    node: Any, x: Tensor | None, weight: Tensor | None, bias: Tensor | None, *rest: Tensor | None
) -> Tensor:
    """How what the normalisation gave moves as x, weight and bias do: a rule of `tangent_rules`."""
    saved = node.saved_tensors
    # processes exchange what moves here even where nothing does: all do the same
    through, _, _ = transposed(saved, node.eps, torch.zeros_like(saved[0]) if x is None else x)
    if weight is None and bias is None:
        return through
    values, mean, variance = saved[0], saved[2], saved[3]
    weight = torch.zeros_like(mean) if weight is None else weight
    return functional.batch_norm(values, mean, variance, weight, bias, False, 0.0, node.eps).add_(
        through
    )
