"""What is put right in a network once its training is over."""

import torch
from torch import nn

NEVER_CHANGED = 1e-10
"""A running variance below this is left by a channel that was the same in a whole long training."""


@torch.no_grad()
def settle(network: nn.Module) -> None:
    """Let channels that never changed in training pass unmagnified if they change later.

    A batch norm divides by the spread that it saw in training. Scores of annotated joints are all
    1 and have none: without this, a detector's score of 0.9 would reach the network 30 standard
    deviations off, and the scores alone would decide what it says. Nothing changes for clips
    like those of the training.
    """
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_var is not None:
            least = max(NEVER_CHANGED, _left_of_the_beginning(module))
            module.running_var[module.running_var < least] = 1.0


def _left_of_the_beginning(module: nn.modules.batchnorm._BatchNorm) -> float:
    """Just above what a running variance of 1 has become that only ever met 0."""
    if module.momentum is None or module.num_batches_tracked is None:
        return 0.0
    return 1.001 * (1 - module.momentum) ** int(module.num_batches_tracked)
