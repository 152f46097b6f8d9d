"""Gradient revision, SKD eq. (12)-(14) and Algorithm 1: no lesson may undo the task's own step.

Where the gradient of a distillation loss points against the task's, it is projected onto the
nearest gradient that does not (eq. 14). Projecting takes away a multiple of the task gradient, so
the sum that Algorithm 1 steps with is

    g_T (1 + sum_q max(0, -<g_q, g_T>) / ||g_T||^2) + sum_q g_q

All parameters of the student and of its adaptation layers together are one vector. Several
processes revise the gradients of the whole batch, since revision is not linear.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from skeldistill import processes

Gradient = Sequence[Tensor | None]
"""One tensor a parameter; None where the loss does not touch the parameter, which counts as 0."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Conflict:
    """How a distillation loss stands to the task, at one step; stays on the device.

    conflicted: whether their inner product is below 0, so that the gradient is revised.
    strength: max(0, -<g_q, g_T>) / ||g_T||^2, how much of the task gradient revision adds.
    cosine: of the angle between both gradients, 0 where either vanishes; None where the gradient
        of the loss was never formed by itself.
    """

    conflicted: Bool[Tensor, ""]
    strength: Float[Tensor, ""]
    cosine: Float[Tensor, ""] | None = None


def revise(
    task_gradient: Gradient, distillation_gradients: Sequence[Gradient]
) -> list[Tensor | None]:
    """The gradient to step with: the task's, and every distillation loss's after revision.

    Args:
        task_gradient: of the task loss, a tensor a parameter.
        distillation_gradients: of every distillation loss likewise, each not yet revised.

    Returns:
        A tensor a parameter; None where no loss touches the parameter.

    Raises:
        ValueError: gradients of different lengths.
    """
    return _combine(
        task_gradient, distillation_gradients, conflicts(task_gradient, distillation_gradients)
    )


def conflicts(
    task_gradient: Gradient, distillation_gradients: Sequence[Gradient]
) -> list[Conflict]:
    """How each distillation loss stands to the task; arguments and errors as `revise`."""
    for gradient in distillation_gradients:
        if len(gradient) != len(task_gradient):
            raise ValueError(
                f"gradient revision needs one tensor a parameter in every gradient, got "
                f"{len(task_gradient)} of the task and {len(gradient)} of a distillation loss; "
                "give None for parameters that a loss does not touch"
            )
    task_square = inner(task_gradient, task_gradient)
    return [_compared(gradient, task_gradient, task_square) for gradient in distillation_gradients]


def revised_gradients(
    task_loss: Float[Tensor, ""],
    terms: Mapping[str, Float[Tensor, ""]],
    parameters: Sequence[Tensor],
) -> tuple[list[Tensor | None], dict[str, Conflict]]:
    """Differentiate every loss by itself, and revise: one iteration of Algorithm 1.

    Exact, with one backward pass a loss over the graph that they share; `Reviser` needs fewer.
    Nothing is written to ``.grad``, and the graph is gone afterwards. A term that does not depend
    on the parameters (nobody in the batch to compare with) counts as 0.

    Args:
        task_loss: the loss that must not be made worse.
        terms: the distillation losses by name, each already weighed.
        parameters: of the student and of the losses' adaptation layers.

    Returns:
        The gradient to step with, a tensor a parameter, and a report by the name of the term.
    """
    losses = [*terms.values(), task_loss]  # the task last: it is sure to have a graph to free
    gradients = [
        processes.total_gradients(
            _differentiate(loss, parameters, keep=place + 1 < len(losses)), parameters
        )
        for place, loss in enumerate(losses)
    ]
    task_gradient = gradients.pop()
    report = conflicts(task_gradient, gradients)
    return _combine(task_gradient, gradients, report), dict(zip(terms, report, strict=True))


def _differentiate(
    loss: Tensor, parameters: Sequence[Tensor], *, keep: bool
) -> tuple[Tensor | None, ...]:
    if not loss.requires_grad:
        return (None,) * len(parameters)
    return torch.autograd.grad(loss, parameters, retain_graph=keep, allow_unused=True)


def _combine(
    task_gradient: Gradient,
    distillation_gradients: Sequence[Gradient],
    report: Sequence[Conflict],
) -> list[Tensor | None]:
    scale = 1 + sum(conflict.strength for conflict in report)
    combined: list[Tensor | None] = []
    for parts in zip(task_gradient, *distillation_gradients, strict=True):
        task, *others = parts
        scaled = [] if task is None else [task * scale]
        touched = scaled + [part for part in others if part is not None]
        combined.append(torch.stack(touched).sum(dim=0) if touched else None)
    return combined


def _compared(gradient: Gradient, task_gradient: Gradient, task_square: Tensor) -> Conflict:
    product = inner(gradient, task_gradient)
    lengths = (inner(gradient, gradient) * task_square).sqrt()
    return conflict(product, task_square, torch.where(lengths > 0, product / lengths, 0))


def conflict(
    product: Float[Tensor, ""], task_square: Float[Tensor, ""], cosine: Tensor | None = None
) -> Conflict:
    """What eq. (14) makes of <g_q, g_T> and ||g_T||^2; a task without gradient revises nothing."""
    return Conflict(
        conflicted=product < 0,
        strength=torch.where(task_square > 0, (-product).clamp(min=0) / task_square, 0),
        cosine=cosine,
    )


def inner(left: Gradient, right: Gradient) -> Float[Tensor, ""]:
    """The inner product over all parameters, in double precision: a sum over millions."""
    products = [
        torch.dot(one.detach().flatten().double(), other.detach().flatten().double())
        for one, other in zip(left, right, strict=True)
        if one is not None and other is not None
    ]
    if not products:
        device = next((one.device for one in (*left, *right) if one is not None), None)
        return torch.zeros((), dtype=torch.float64, device=device)
    return torch.stack(products).sum()
