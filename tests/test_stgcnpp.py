"""ST-GCN++: its graph, PYSKL's numbers, and a twin in PYSKL's order."""

import copy
from collections.abc import Mapping
from typing import Any

import golden_networks
import golden_rule
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from skeldistill.checkpoint import load_official
from skeldistill.layouts import NTU25, PENN13
from skeldistill.networks import STGCNpp, adjacency
from skeldistill.networks.stgcnpp import MultiScaleConvolution, with_tips_on_hands


def starts(golden: Mapping[str, Any]) -> dict[str, np.ndarray]:
    graph = adjacency.directed(with_tips_on_hands(NTU25))
    return {name: graph for name, kind, _ in golden["tensors"] if kind == "graph_plus"}


def clips_of(golden: Mapping[str, Any]) -> Tensor:
    return torch.from_numpy(golden_rule.inputs(golden)["x"])


def authors_order(state: dict[str, Tensor], joints: Tensor, training: bool = False) -> Tensor:
    """ST-GCN++ straight from PYSKL's state dict, W before A."""
    layers = golden_networks.Layers(state, training)
    n, m, t, v, c = joints.shape
    x = joints.permute(0, 1, 3, 4, 2).reshape(n * m, v * c, t)
    x = layers.normalised(x, "backbone.data_bn").view(n * m, v, c, t).permute(0, 2, 3, 1)
    for i in range(10):
        name, stride = f"backbone.gcn.{i}", 2 if i in (4, 7) else 1
        graph = state[f"{name}.gcn.A"]
        y = layers.convolved(x.contiguous(), f"{name}.gcn.conv").unflatten(1, (3, -1))
        y = layers.normalised(torch.einsum("nkctv,kvw->nctw", y, graph), f"{name}.gcn.bn")
        y = functional.relu(y + layers.down(x, f"{name}.gcn.down", "0", "1"))
        y = layers.normalised(over_time(layers, y, f"{name}.tcn", stride), f"{name}.tcn.bn")
        residual = layers.down(x, f"{name}.residual", "conv", "bn", stride) if i else 0
        x = functional.relu(y + residual)
    return layers.classified(x, "fc_cls", n)


def over_time(layers: golden_networks.Layers, x: Tensor, name: str, stride: int) -> Tensor:
    branches = []
    for j in range(5):
        y = layers.convolved(x, f"{name}.branches.{j}.0")
        y = functional.relu(layers.normalised(y, f"{name}.branches.{j}.1"))
        if j < 4:
            y = layers.convolved(y, f"{name}.branches.{j}.3.conv", stride, j + 1, j + 1)
        else:
            y = functional.max_pool2d(y, (3, 1), (stride, 1), (1, 0))
        branches.append(y)
    y = torch.cat([*branches, layers.convolved(x, f"{name}.branches.5", stride)], dim=1)
    y = functional.relu(layers.normalised(y, f"{name}.transform.0"))
    return layers.convolved(y, f"{name}.transform.2")


def test_equals_the_authors_network():
    golden = golden_rule.read("pyskl_stgcnpp")
    network = STGCNpp(NTU25, classes=60, persons=2)
    golden_networks.is_the_authors_graph(network.blocks[0].learned, golden)
    state = golden_networks.weights(golden, starts(golden))
    golden_networks.equals_the_authors(network, golden, state, clips_of(golden))


def test_training_equals_that_in_the_authors_order():
    golden = golden_rule.read("pyskl_stgcnpp")
    network = STGCNpp(NTU25, classes=60, persons=2)
    clips = clips_of(golden)[:, :, :6].double()
    state = golden_networks.weights(golden, starts(golden))
    golden_networks.same_gradients(network, state, clips, authors_order)


@pytest.mark.parametrize("head", ["cls_head.fc_cls", "cls_head.fc"])
def test_takes_the_heads_of_pyskl_and_mmaction2(head):
    network = STGCNpp(NTU25, classes=3, width=0.1)
    shapes = {name: network.state_dict()[own] for name, own in network.official_names().items()}
    theirs = {
        name: torch.full_like(tensor, 2)
        for name, tensor in shapes.items()
        if name.startswith(("backbone.", head + "."))
    }
    assert load_official(network, theirs).complete
    assert (network.classifier.weight == 2).all()


def test_hand_tips_hang_on_hands_or_thumbs():
    tip, thumb, hand = (NTU25.index(f"left_{j}") for j in ("hand_tip", "thumb", "hand"))
    for tips_on_hands, parent in ((True, hand), (False, thumb)):
        network = STGCNpp(NTU25, classes=2, width=0.1, tips_on_hands=tips_on_hands)
        from_parent = network.blocks[0].learned[1]
        assert from_parent[:, tip].nonzero().tolist() == [[parent]]
    assert with_tips_on_hands(PENN13).same_as(PENN13)


def test_six_branches_share_the_channels():
    branches = STGCNpp(PENN13, classes=2).blocks[0].temporal.branches
    assert [branch[0].out_channels for branch in branches[:5]] == [14, 10, 10, 10, 10]
    assert branches[5].out_channels == 10


def test_branches_together_are_branches_one_by_one():
    together = MultiScaleConvolution(16, stride=2).double()
    for branch in together.branches[:5]:
        branch[1].momentum = 0.5
    alone, x = copy.deepcopy(together), torch.randn(3, 16, 8, 5).double()
    expected = alone.transform(torch.cat([branch(x) for branch in alone.branches], dim=1))
    torch.testing.assert_close(together(x), expected)
    for name, statistic in alone.named_buffers():  # of training
        torch.testing.assert_close(together.get_buffer(name), statistic)
