"""ResGCN and PA-ResGCN: parts, the official numbers, and a twin in the authors' order."""

import golden_networks
import golden_rule
import numpy as np
import pytest
import torch
from branch_networks import near_its_own, on_branches
from torch import Tensor
from torch.nn import functional

from skeldistill import layouts
from skeldistill.cost import parameters
from skeldistill.layouts import COCO17, NTU25, PENN13
from skeldistill.networks import PAResGCNB19, ResGCNB19, adjacency
from skeldistill.networks.resgcn import PART_ORDER, PartAttention, parts_of


def authors_order(state: dict[str, Tensor], branches: Tensor, training: bool = False) -> Tensor:
    """(PA-)ResGCN straight from the official state dict; its names tell whether it attends."""
    matrices = torch.from_numpy(adjacency.distance(NTU25, 3)).to(branches)

    def normalised(x: Tensor, name: str) -> Tensor:
        mean, var = (state[f"{name}.running_{kind}"] for kind in ("mean", "var"))
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return functional.batch_norm(x, mean, var, weight, bias, training=training)

    def convolved(x: Tensor, name: str, stride=1) -> Tensor:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return functional.conv2d(x, weight, bias, (stride, 1), (weight.shape[2] // 2, 0))

    def attention(x: Tensor, name: str) -> Tensor:
        y = convolved(x.mean(dim=(2, 3), keepdim=True), f"{name}.fcn.1")
        y = convolved(functional.relu(normalised(y, f"{name}.fcn.2")), f"{name}.fcn.4")
        shares = y.view(*x.shape[:2], 5).softmax(dim=2)
        weights = torch.stack([shares[:, :, part] for part in parts_of(NTU25)], dim=2)
        return functional.relu(normalised(x * weights[:, :, None], f"{name}.bn") + x)

    def module(x: Tensor, name: str, stride=1, residual=True) -> Tensor:
        entered = x if residual else 0
        if f"{name}.residual.0.weight" in state:
            entered = convolved(x, f"{name}.residual.0", stride)
            entered = normalised(entered, f"{name}.residual.1")
        links = (matrices * state[f"{name}.edge"])[:3]
        y = convolved(x, f"{name}.scn.conv.gcn").unflatten(1, (3, -1))
        y = torch.einsum("nkctv,kvw->nctw", y, links)
        y = functional.relu(normalised(y, f"{name}.scn.bn"))
        y = normalised(convolved(y, f"{name}.tcn.conv", stride), f"{name}.tcn.bn")
        y = functional.relu(y + entered)
        return attention(y, f"{name}.att") if f"{name}.att.fcn.1.weight" in state else y

    n, _, _, _, _, m = branches.shape
    ends = []
    for i in range(3):
        branch = f"input_branches.{i}"
        x = branches[:, i].permute(0, 4, 1, 2, 3).flatten(0, 1).contiguous()
        x = normalised(x, f"{branch}.bn")
        for j in range(3):
            x = module(x, f"{branch}.layers.{j}", residual=j > 0)
        ends.append(x)
    x = torch.cat(ends, dim=1)
    for i in range(6):
        x = module(x, f"main_stream.{i}", stride=2 if i in (0, 3) else 1)
    pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
    return functional.linear(pooled, state["fcn.weight"], state["fcn.bias"])


def test_equals_the_authors_network():
    golden = golden_rule.read("pa-resgcn-b19")
    network = on_branches(PAResGCNB19(NTU25, classes=60))
    golden_networks.is_the_authors_graph(network.adjacency, golden)
    state = golden_networks.weights(golden)
    clips = torch.from_numpy(golden_rule.inputs(golden)["x"])
    golden_networks.equals_the_authors(network, golden, state, clips)


@pytest.mark.parametrize("part", [ResGCNB19, PAResGCNB19])
def test_training_equals_that_in_the_authors_order(part):
    golden = golden_rule.read("pa-resgcn-b19")
    clips = torch.from_numpy(golden_rule.inputs(golden)["x"])[:, :, :, :9].double()
    torch.manual_seed(0)
    network = on_branches(part(NTU25, classes=60, width=0.25))
    state = near_its_own(network)
    golden_networks.same_gradients(network, state, clips, authors_order)


@pytest.mark.parametrize(
    ("part", "layout", "size"),
    [
        (ResGCNB19, NTU25, 3_264_764),
        (PAResGCNB19, COCO17, 3_622_172),
        (PAResGCNB19, PENN13, 3_614_972),
    ],
)
def test_has_as_many_parameters_as_the_authors_network(part, layout, size):
    assert parameters(part(layout, classes=60)) == size


def test_parts_are_the_authors():
    expected = golden_rule.read("pa-resgcn-b19")["config"]["parts"]
    parts = parts_of(NTU25)
    assert [np.flatnonzero(parts == part).tolist() for part in range(5)] == expected
    expected = [[5, 7, 9], [6, 8, 10], [11, 13, 15], [12, 14, 16], [0, 1, 2, 3, 4]]
    parts = parts_of(COCO17)
    assert [np.flatnonzero(parts == part).tolist() for part in range(5)] == expected


@pytest.mark.parametrize("layout", layouts.SHELF.values(), ids=list(layouts.SHELF))
def test_every_part_has_its_joints_and_the_torso_the_rest(layout):
    parts = parts_of(layout)
    for number, part in enumerate(PART_ORDER):
        for joint in layout.parts[part]:
            assert parts[layout.index(joint)] == number
    free = ~layout.part_members.any(axis=0)
    assert (parts[free] == PART_ORDER.index("head")).all()


def test_attention_shares_one_among_the_parts():
    torch.manual_seed(0)
    attention = PartAttention(16, parts_of(PENN13)).eval()
    x = torch.rand(3, 16, 4, 13)
    weights = (attention(x) - x) / x  # positive x: nothing is cut off
    one_a_part = weights[:, :, 0, [PENN13.index(PENN13.parts[part][0]) for part in PART_ORDER]]
    torch.testing.assert_close(one_a_part.sum(dim=2), torch.ones(3, 16), rtol=1e-3, atol=1e-3)


def test_without_attention_the_rest_is_the_same_network():
    torch.manual_seed(0)
    plain, attending = (part(PENN13, classes=3, width=0.125) for part in (ResGCNB19, PAResGCNB19))
    names, more = plain.official_names(), attending.official_names()
    assert names.items() <= more.items()
    assert all(".att." in name for name in more.keys() - names.keys())
