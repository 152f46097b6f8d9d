"""CTR-GCN: the official numbers, a twin in the authors' order, and PYSKL's form of it."""

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import golden_networks
import golden_rule
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from skeldistill.checkpoint import load_official
from skeldistill.layouts import NTU25, PENN13
from skeldistill.networks import CTRGCN, adjacency


def starts(golden: Mapping[str, Any]) -> dict[str, np.ndarray]:
    graph = adjacency.directed(NTU25)
    return {name: graph for name, kind, _ in golden["tensors"] if kind == "graph_plus"}


def authors_order(
    state: dict[str, Tensor], joints: Tensor, training: bool = False, pyskl: bool = False
) -> Tensor:
    """CTR-GCN straight from the official state dict, each partition on its own.

    pyskl: with the two differences of PYSKL's code.
    """
    layers = golden_networks.Layers(state, training)

    def adapted(x: Tensor, name: str) -> Tensor:
        y = 0
        for k in range(3):
            one = f"{name}.convs.{k}"
            x1, x2 = (layers.convolved(x, f"{one}.conv{j}").mean(-2) for j in (1, 2))
            x3 = layers.convolved(x, f"{one}.conv3")
            relations = torch.tanh(x1.unsqueeze(-1) - x2.unsqueeze(-2))
            graphs = layers.convolved(relations, f"{one}.conv4") * state[f"{name}.alpha"]
            graphs = graphs + state[f"{name}.PA"][k]
            y = y + torch.einsum("ncuv,nctu->nctv" if pyskl else "ncuv,nctv->nctu", graphs, x3)
        assert isinstance(y, Tensor)
        y = layers.normalised(y, f"{name}.bn")
        return functional.relu(y + layers.down(x, f"{name}.down", "0", "1"))

    n, m, t, v, c = joints.shape
    x = layers.normalised(joints.permute(0, 1, 3, 4, 2).reshape(n, m * v * c, t), "data_bn")
    x = x.view(n, m, v, c, t).permute(0, 1, 3, 4, 2).reshape(n * m, c, t, v)
    for i in range(1, 11):
        stride = 2 if i in (5, 8) else 1
        y = over_time(layers, adapted(x, f"l{i}.gcn1"), f"l{i}.tcn1.branches", stride)
        if pyskl:
            y = functional.relu(y)
        residual = layers.down(x, f"l{i}.residual", "conv", "bn", stride) if i > 1 else 0
        x = functional.relu(y + residual)
    return layers.classified(x, "fc", n)


def over_time(layers: golden_networks.Layers, x: Tensor, name: str, stride: int) -> Tensor:
    def entered(j: int) -> Tensor:
        return layers.normalised(layers.convolved(x, f"{name}.{j}.0"), f"{name}.{j}.1")

    branches = []
    for j in (0, 1):
        y = functional.relu(entered(j))
        y = layers.convolved(y, f"{name}.{j}.3.conv", stride, 2 * (j + 1), j + 1)
        branches.append(layers.normalised(y, f"{name}.{j}.3.bn"))
    y = functional.max_pool2d(functional.relu(entered(2)), (3, 1), (stride, 1), (1, 0))
    branches.append(layers.normalised(y, f"{name}.2.4"))
    y = layers.convolved(x, f"{name}.3.0", stride)
    return torch.cat([*branches, layers.normalised(y, f"{name}.3.1")], dim=1)


def in_pyskl(name: str, head: str) -> str:
    """PYSKL's name of one of the authors' tensors."""
    if name.startswith("fc."):
        return name.replace("fc.", f"cls_head.{head}.")
    name = re.sub(r"^l(\d+)\.", lambda found: f"net.{int(found[1]) - 1}.", name)
    return "backbone." + name.replace(".PA", ".A")


def test_equals_the_authors_network():
    golden = golden_rule.read("ctr-gcn")
    network = CTRGCN(NTU25, classes=60, persons=2)
    golden_networks.is_the_authors_graph(network.blocks[0].graph.learned, golden)
    state, clips = golden_networks.weights(golden, starts(golden)), golden_networks.joints(golden)
    golden_networks.equals_the_authors(network, golden, state, clips)


def test_training_equals_that_in_the_authors_order():
    golden = golden_rule.read("ctr-gcn")
    clips = golden_networks.joints(golden)[:, :, :6].double()
    network = CTRGCN(NTU25, classes=60, persons=2)
    state = golden_networks.weights(golden, starts(golden))
    golden_networks.same_gradients(network, state, clips, authors_order)


def test_takes_the_weights_of_pyskl_and_mmaction2():
    golden = golden_rule.read("ctr-gcn")
    clips = golden_networks.joints(golden)[:, :, :6].double()
    state = golden_networks.weights(golden, starts(golden))
    with torch.no_grad():
        twin = partial(authors_order, pyskl=True)
        expected = twin({k: v.double() for k, v in state.items()}, clips)
    graph = {"backbone.A": torch.from_numpy(adjacency.directed(NTU25))}
    for head in ("fc_cls", "fc"):
        network = CTRGCN(NTU25, classes=60, pyskl=True).eval()
        theirs = {in_pyskl(name, head): tensor for name, tensor in state.items()}
        assert load_official(network, {**theirs, **graph}).complete
        with torch.no_grad():
            said = network.double()(clips).logits
        torch.testing.assert_close(said, expected, rtol=1e-9, atol=1e-9)


def test_weights_of_the_one_are_not_taken_for_the_other():
    ours, theirs = (CTRGCN(PENN13, classes=3, width=0.1, pyskl=pyskl) for pyskl in (False, True))
    assert not set(ours.official_names()) & set(theirs.official_names())


def test_a_fresh_network_knows_only_the_skeleton():
    torch.manual_seed(0)
    network = CTRGCN(PENN13, classes=3, width=0.25)
    graph = network.blocks[1].graph
    topology = graph.topology(torch.randn(2, 16, 6, 13))
    skeleton = torch.from_numpy(adjacency.directed(PENN13)).transpose(1, 2)  # rows take
    torch.testing.assert_close(topology, skeleton[:, None, None].expand_as(topology))
    torch.nn.init.ones_(graph.gate)
    refined = graph.topology(torch.randn(2, 16, 6, 13))
    assert (refined[:, :, 0] != refined[:, :, 1]).any()  # differs between persons
    assert (refined[:, 0] != refined[:, 1]).any()  # and between channels
