"""What is put right in a network once its training is over."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

NEVER_CHANGED = 1e-10
"""A running variance below this is left by a channel that was the same in a whole long training."""


def spreads(network: nn.Module) -> dict[str, Tensor]:
    """The running variances before training, which tell `settle` what training did to them."""
    return {name: variance.clone() for name, variance, _ in _spreads(network)}


@torch.no_grad()
def settle(network: nn.Module, begun: dict[str, Tensor]) -> None:
    """Let channels that never changed in training pass unmagnified if they change later.

    A batch norm divides by the spread that it saw in training. Scores of annotated joints are all
    1 and have none: without this, a detector's score of 0.9 would reach the network 30 standard
    deviations off, and the scores alone would decide what it says. Nothing changes for clips
    like those of the training, nor in what was frozen.

    Args:
        network: trained, from scratch or from another's weights.
        begun: its `spreads` before.
    """
    for name, variance, share in _spreads(network):
        if share < 1:
            # 1.001: just above what is left of the beginning where only 0 was met since
            left = 1.001 * share * begun[name].to(variance)
            variance[variance < left.clamp(min=NEVER_CHANGED)] = 1.0


def _spreads(network: nn.Module) -> Iterator[tuple[str, Tensor, float]]:
    """Every running variance, and the share that its steps have left of the beginning."""
    for name, module in network.named_modules():
        if not isinstance(module, nn.modules.batchnorm._BatchNorm):
            continue
        variance, steps = module.running_var, module.num_batches_tracked
        if variance is not None and steps is not None and module.momentum is not None:
            yield name, variance, (1 - module.momentum) ** int(steps)
