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
    state: dict[str, Tensor],
    joints: Tensor,
    training: bool = False,
    prefix: str = "",
) -> Tensor:
    """2s-AGCN straight from the official state dict, each partition on its own."""
    matrices = torch.from_numpy(adjacency.directed(NTU25)).to(joints)

    def normalised(x: Tensor, name: str) -> Tensor:
        mean, var = (state[f"{prefix}{name}.running_{kind}"] for kind in ("mean", "var"))
        weight, bias = state[f"{prefix}{name}.weight"], state[f"{prefix}{name}.bias"]
        return functional.batch_norm(x, mean, var, weight, bias, training=training)

    def convolved(x: Tensor, name: str, stride=1, padding=0) -> Tensor:
        weight, bias = state[f"{prefix}{name}.weight"], state[f"{prefix}{name}.bias"]
        return functional.conv2d(x, weight, bias, (stride, 1), (padding, 0))

    n, m, t, v, c = joints.shape
    x = normalised(joints.permute(0, 1, 3, 4, 2).reshape(n, m * v * c, t), "data_bn")
    x = x.view(n, m, v, c, t).permute(0, 1, 3, 4, 2).reshape(n * m, c, t, v)
    for i in range(1, 11):
        gcn, stride, entered = f"l{i}.gcn1", 2 if i in (5, 8) else 1, x
        summed = torch.zeros(())
        for k in range(3):
            query = convolved(x, f"{gcn}.conv_a.{k}").permute(0, 3, 1, 2).flatten(2)
            key = convolved(x, f"{gcn}.conv_b.{k}").flatten(1, 2)
            own = torch.softmax(query @ key / query.shape[-1], dim=-2)
            graph = own + matrices[k] + state[f"{prefix}{gcn}.PA"][k]
            gathered = (x.flatten(1, 2) @ graph).unflatten(1, x.shape[1:3])
            summed = summed + convolved(gathered, f"{gcn}.conv_d.{k}")
        down = x
        if f"{prefix}{gcn}.down.0.weight" in state:
            down = normalised(convolved(x, f"{gcn}.down.0"), f"{gcn}.down.1")
        x = functional.relu(normalised(summed, f"{gcn}.bn") + down)
        x = normalised(convolved(x, f"l{i}.tcn1.conv", stride, 4), f"l{i}.tcn1.bn")
        if f"{prefix}l{i}.residual.conv.weight" in state:
            entered = convolved(entered, f"l{i}.residual.conv", stride)
            entered = normalised(entered, f"l{i}.residual.bn")
        x = functional.relu(x + entered if i > 1 else x)
    pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
    return functional.linear(pooled, state[f"{prefix}fc.weight"], state[f"{prefix}fc.bias"])


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
    clips = golden_networks.joints(golden)[:, :, :12].double()
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
