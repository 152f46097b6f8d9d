"""Gradient revision at little cost: only inner products with the task gradient are needed.

All that a distillation loss does to the step is its gradient, and how much of the task gradient
revision adds to it (see `gradient_revision`). So a step is that of the weighted sum

    (1 + sum_q max(0, -<g_q, g_T>) / ||g_T||^2) L_T + sum_q L_q

and every loss by itself is needed for <g_q, g_T> alone. A distillation loss sees the student in its
logits and its feature map, y. With J, the Jacobian of y, g_q is J^T times the gradient of L_q by y,
so that

    <g_q, g_T> = <dL_q / dy, J g_T>

which one tangent of y along the task gradient gives for all losses at once. Together with the task
gradient and the step's own backward pass that is three passes for any number of losses.

Of several processes, each with some of the clips, g_T is the sum of their gradients, and so is the
step. The inner products are sums over y, so that each process adds those of its own clips.
"""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skeldistill import processes
from skeldistill.distillation.gradient_revision import (
    Conflict,
    conflict,
    inner,
    revised_gradients,
)
from skeldistill.distillation.tangents import NoTangent, reached_otherwise, tangents


class Reviser:
    """Revised gradients by the cheapest exact way that the graph allows.

    Args:
        compared: the parameters by whose gradients losses are compared with the task; all learn.
            By default all of them, which is exact. `pointwise_weights` cost least: see
            docs/performance.md for the time saved and the error made.
    """

    def __init__(self, compared: Sequence[Tensor] | None = None) -> None:
        self.compared = compared
        self._tangents_exist = True

    def __call__(
        self,
        task_loss: Float[Tensor, ""],
        terms: Mapping[str, Float[Tensor, ""]],
        parameters: Sequence[Tensor],
        seen: Sequence[Float[Tensor, "..."]],
    ) -> tuple[list[Tensor | None], dict[str, Conflict]]:
        """The gradient to step with, a tensor a parameter, and how every term stands to the task.

        Nothing is written to ``.grad``, and the graph is gone afterwards.

        Args:
            task_loss: the loss that must not be made worse.
            terms: the distillation losses by name, each already weighed.
            parameters: of the student and of the losses' adaptation layers.
            seen: the tensors through which the terms depend on the student: logits and features,
                neither of them computed from the other.
        """
        seen = [tensor for tensor in seen if tensor.requires_grad]
        several = sum(term.requires_grad for term in terms.values()) > 1
        if self._tangents_exist and several and task_loss.requires_grad:
            compared = self.compared or parameters
            try:
                return _along_the_task(task_loss, terms, parameters, seen, compared)
            except NoTangent:
                self._tangents_exist = False  # nor will they at the next step
        # with one loss, its own backward pass costs no more than the tangent
        return revised_gradients(task_loss, terms, parameters)


def pointwise_weights(network: nn.Module) -> list[Tensor]:
    """The weights that mix channels alone: of 1x1 convolutions and linear layers.

    Most of a network's time goes to weights that reach over several frames, and most of the rest to
    what there is of normalisation; these lie between them in every block.
    """
    return [
        layer.weight
        for layer in network.modules()
        if isinstance(layer, nn.Linear)
        or (isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1))
        if layer.weight.requires_grad
    ]


def _along_the_task(
    task_loss: Tensor,
    terms: Mapping[str, Tensor],
    parameters: Sequence[Tensor],
    seen: Sequence[Tensor],
    compared: Sequence[Tensor],
) -> tuple[list[Tensor | None], dict[str, Conflict]]:
    report = conflicts_with(task_loss, terms, seen, compared)
    scale = 1 + sum(one.strength for one in report.values())
    total = scale * task_loss + sum(terms.values())
    gradients = torch.autograd.grad(total, parameters, allow_unused=True)
    return processes.total_gradients(gradients, parameters), report


def conflicts_with(
    task_loss: Float[Tensor, ""],
    terms: Mapping[str, Float[Tensor, ""]],
    seen: Sequence[Float[Tensor, "..."]],
    compared: Sequence[Tensor],
) -> dict[str, Conflict]:
    """How every term stands to the task, by one tangent; the graph stays.

    Args:
        task_loss: the loss that must not be made worse.
        terms: the distillation losses by name, each already weighed.
        seen: the tensors through which the terms depend on the student.
        compared: the parameters by whose gradients they are compared.

    Raises:
        NoTangent: an operation cannot be differentiated twice, or a term sees more than `seen`.
    """
    task_gradient = processes.total_gradients(
        torch.autograd.grad(task_loss, compared, retain_graph=True, allow_unused=True), compared
    )
    touched = [
        parameter
        for parameter, gradient in zip(compared, task_gradient, strict=True)
        if gradient is not None
    ]
    learning = [term for term in terms.values() if term.requires_grad]
    if reached_otherwise(learning, seen, touched):
        raise NoTangent("a distillation loss sees more of the student than logits and features")
    moved = tangents(seen, compared, task_gradient)
    square = inner(task_gradient, task_gradient)
    return {
        name: conflict(processes.total(inner(_cotangents(term, seen), moved)), square)
        for name, term in terms.items()
    }


def _cotangents(term: Tensor, seen: Sequence[Tensor]) -> Sequence[Tensor | None]:
    """The gradient of a loss by what it sees of the student."""
    if not term.requires_grad:
        return (None,) * len(seen)
    return torch.autograd.grad(term, seen, retain_graph=True, allow_unused=True)
