"""What the tests of networks with three branches share."""

import torch
from torch import Tensor

from skeldistill.networks.branches import ThreeBranchNetwork


def on_branches(network: ThreeBranchNetwork) -> ThreeBranchNetwork:
    """The same network, called with ready branches as the authors' is."""
    network.forward = network.from_branches
    return network


def near_its_own(network: ThreeBranchNetwork) -> dict[str, Tensor]:
    """An official state dict for a network: its own weights, disturbed, in the authors' shapes."""
    state, own = {}, network.state_dict()
    for official, name in network.official_names().items():
        if name == "adjacency" or name.endswith("num_batches_tracked"):
            continue
        value = own[name] + 0.1 * torch.rand_like(own[name])
        is_convolution = value.ndim == 2 and not name.startswith("classifier")
        state[official] = value[:, :, None, None] if is_convolution else value
    return state
