"""AGCN: its graph, the official numbers, and a twin in the authors' order."""

import golden_networks
import golden_rule
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from skeldistill.layouts import NTU25, PENN13
from skeldistill.networks import AGCN, adjacency


def authors_order(
    state: dict[str, Tensor], joints: Tensor, training: bool = False, prefix: str = ""
) -> Tensor:
    """2s-AGCN straight from the official state dict, each partition on its own."""
    layers = golden_networks.Layers(state, training)
    matrices = torch.from_numpy(adjacency.directed(NTU25)).to(joints)

    def adapted(x: Tensor, name: str) -> Tensor:
        summed = torch.zeros(())
        for k in range(3):
            query = layers.convolved(x, f"{name}.conv_a.{k}").permute(0, 3, 1, 2).flatten(2)
            key = layers.convolved(x, f"{name}.conv_b.{k}").flatten(1, 2)
            graph = torch.softmax(query @ key / query.shape[-1], dim=-2)
            graph = graph + matrices[k] + state[f"{name}.PA"][k]
            gathered = (x.flatten(1, 2) @ graph).unflatten(1, x.shape[1:3])
            summed = summed + layers.convolved(gathered, f"{name}.conv_d.{k}")
        y = layers.normalised(summed, f"{name}.bn")
        return functional.relu(y + layers.down(x, f"{name}.down", "0", "1"))

    n, m, t, v, c = joints.shape
    x = layers.normalised(
        joints.permute(0, 1, 3, 4, 2).reshape(n, m * v * c, t), f"{prefix}data_bn"
    )
    x = x.view(n, m, v, c, t).permute(0, 1, 3, 4, 2).reshape(n * m, c, t, v)
    for i in range(1, 11):
        name, stride = f"{prefix}l{i}", 2 if i in (5, 8) else 1
        y = layers.convolved(adapted(x, f"{name}.gcn1"), f"{name}.tcn1.conv", stride, 4)
        y = layers.normalised(y, f"{name}.tcn1.bn")
        residual = layers.down(x, f"{name}.residual", "conv", "bn", stride) if i > 1 else 0
        x = functional.relu(y + residual)
    return layers.classified(x, f"{prefix}fc", n)


def test_the_graph_takes_from_the_parent_and_from_the_children():
    itself, parent, children = adjacency.directed(PENN13)
    head, shoulder, elbow, hip = (
        PENN13.index(joint) for joint in ("head", "left_shoulder", "left_elbow", "left_hip")
    )
    np.testing.assert_array_equal(itself, np.eye(13))
    assert parent[shoulder, elbow] == 1  # [from, to]
    assert parent[elbow, shoulder] == 0
    assert children[elbow, shoulder] == children[hip, shoulder] == 1 / 2
    assert parent[:, head].sum() == 0


def test_equals_the_authors_network():
    golden = golden_rule.read("2s-agcn_js")
    network = AGCN(NTU25, classes=60, persons=2)
    golden_networks.is_the_authors_graph(network.adjacency, golden)
    state, clips = golden_networks.weights(golden), golden_networks.joints(golden)
    golden_networks.equals_the_authors(network, golden, state, clips)


def test_training_equals_that_in_the_authors_order():
    golden = golden_rule.read("2s-agcn_js")
    clips = golden_networks.joints(golden)[:, :, :6].double()
    network = AGCN(NTU25, classes=60, persons=2)
    golden_networks.same_gradients(network, golden_networks.weights(golden), clips, authors_order)


def test_a_fresh_network_starts_from_its_residuals():
    torch.manual_seed(0)
    network = AGCN(PENN13, classes=3, width=0.25)
    graph = network.blocks[3].graph
    assert (graph.normalisation.weight == 1e-6).all()
    assert (graph.learned == 1e-6).all()
    x = torch.rand(2, 16, 6, 13)
    torch.testing.assert_close(graph.eval()(x, network.adjacency), x, rtol=1e-3, atol=1e-3)


def test_similarity_is_a_share_of_every_joint():
    torch.manual_seed(0)
    network = AGCN(PENN13, classes=3, width=0.25)
    shares = network.blocks[1].graph.similarity(torch.randn(2, 16, 6, 13))
    torch.testing.assert_close(shares.sum(dim=2), torch.ones(2, 3, 13))
