"""ST-GCN: the graph's partitions, the official numbers, and a twin in the authors' order."""

import golden_rule
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from skeldistill import layouts
from skeldistill.checkpoint import load_official
from skeldistill.cost import parameters
from skeldistill.layouts import COCO17, NTU25, PENN13
from skeldistill.networks import STGCN, STGCN9, ST2sGCN, STsGCN, adjacency
from skeldistill.networks.blocks import GraphConvolution

# ---------------------------------------------------------------- adjacency


def test_partitions_of_a_chain_by_hand():
    between = adjacency.hops(PENN13, 1)
    wrist, elbow, shoulder = (PENN13.index(f"left_{j}") for j in ("wrist", "elbow", "shoulder"))
    assert between[wrist, wrist] == 0
    assert between[wrist, elbow] == between[elbow, wrist] == 1
    assert np.isinf(between[wrist, shoulder])
    distance = adjacency.distance(PENN13)
    # the wrist sees itself and the elbow (1/2 each); the elbow itself and two others (1/3 each)
    np.testing.assert_allclose(distance[0, wrist, wrist], 1 / 2)
    np.testing.assert_allclose(distance[1, elbow, wrist], 1 / 2)
    np.testing.assert_allclose(distance[1, wrist, elbow], 1 / 3)
    np.testing.assert_allclose(adjacency.uniform(PENN13)[0, wrist, elbow], 1 / 3)


@pytest.mark.parametrize("layout", layouts.SHELF.values(), ids=list(layouts.SHELF))
def test_partitions_share_out_the_same_links(layout):
    whole = adjacency.uniform(layout)[0]
    np.testing.assert_allclose(whole.sum(axis=0), 1, rtol=1e-6)
    for partition in adjacency.PARTITIONS:
        matrices = adjacency.partitioned(layout, partition)
        np.testing.assert_allclose(matrices.sum(axis=0), whole)
        assert ((matrices != 0).sum(axis=0) <= 1).all()
    for matrix in (adjacency.distance(layout)[0], adjacency.spatial(layout)[0]):
        assert (matrix == np.diag(np.diag(matrix))).all()


def test_spatial_partition_has_the_authors_unknown_distances():
    matrices = adjacency.spatial(NTU25)
    assert [(matrix != 0).sum() for matrix in matrices] == [25, 40, 8]
    # Only the centre's neighbours have a neighbour known to be nearer: the centre.
    sources, _ = matrices[2].nonzero()
    assert set(sources) <= {NTU25.centre_index, *adjacency.bones(NTU25)[:, 20].nonzero()[0]}


@pytest.mark.parametrize("max_hop", [0, 1, 3])
def test_hops_are_the_length_of_the_shortest_path(max_hop):
    linked = adjacency.bones(COCO17)
    found = adjacency.hops(COCO17, max_hop)
    for start in range(17):
        reached, edge = {start: 0}, [start]
        while edge:
            joint = edge.pop(0)
            for other in linked[joint].nonzero()[0]:
                if other not in reached:
                    reached[other] = reached[joint] + 1
                    edge.append(other)
        expected = [reached[j] if reached[j] <= max_hop else np.inf for j in range(17)]
        np.testing.assert_array_equal(found[start], expected)


def test_an_unknown_partition_gets_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'spatial'"):
        STGCN(PENN13, classes=2, partition="spacial")


# ---------------------------------------------------------------- graph convolution


@pytest.mark.parametrize("channels", [(3, 8), (8, 8), (8, 3)])
@pytest.mark.parametrize("gradients", [True, False])
def test_graph_convolution_is_its_formula_whatever_comes_first(channels, gradients):
    layer = GraphConvolution(*channels, partitions=2).double()
    x, graph = torch.randn(4, channels[0], 6, 5).double(), torch.randn(2, 5, 5).double()
    with torch.set_grad_enabled(gradients):
        mixed = layer.convolution(x).unflatten(1, (2, -1))
        expected = torch.einsum("nkctv,kvw->nctw", mixed, graph)
        torch.testing.assert_close(layer(x, graph), expected)


# ---------------------------------------------------------------- ST-GCN


@pytest.mark.parametrize("golden_name", ["st-gcn", "st-gcn_distance"])
def test_equals_the_authors_network(golden_name):
    golden = golden_rule.read(golden_name)
    network = STGCN(NTU25, classes=60, persons=2, partition=golden["config"]["strategy"]).eval()
    assert parameters(network) == golden["parameter_count"]["trainable"]
    rows = torch.arange(1.0, 26.0).double()
    matrices, constants = network.adjacency.double(), golden["graph_constants"][0]
    assert matrices.sum().item() == pytest.approx(constants["sum"], rel=1e-8)
    assert (matrices * rows[:, None]).sum().item() == pytest.approx(constants["row_moment"])
    assert (matrices * rows).sum().item() == pytest.approx(constants["col_moment"])
    state = {k: torch.from_numpy(v) for k, v in golden_rule.state_dict(golden).items()}
    assert load_official(network, state).complete
    joints = torch.from_numpy(golden_rule.inputs(golden)["x"]).permute(0, 4, 2, 3, 1)
    expected = torch.tensor(golden["outputs"]["logits"], dtype=torch.float64)
    last = golden["last_feature_map"]
    with torch.no_grad():
        single = network(joints)
        double = network.double()(joints.double())
    assert (single.logits - expected).abs().max() < golden["tolerance_fp32"]["logits"]
    torch.testing.assert_close(double.logits, expected, rtol=1e-6, atol=1e-6)
    features = double.features.flatten(0, 1)
    assert features.shape == tuple(last["shape"])
    assert features.std(correction=0).item() == pytest.approx(last["std"], rel=1e-6)
    some = features.flatten()[torch.tensor(last["flat_indices"])]
    torch.testing.assert_close(some, torch.tensor(last["values"]).double(), rtol=1e-6, atol=1e-6)


def authors_order(
    state: dict[str, Tensor], joints: Tensor, matrices: Tensor, statistics: dict[str, Tensor]
) -> Tensor:
    """ST-GCN in training mode, straight from the official state dict, W before A."""

    def normalised(x: Tensor, name: str) -> Tensor:
        mean, var = (statistics[f"{name}.running_{kind}"] for kind in ("mean", "var"))
        return functional.batch_norm(
            x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"], training=True
        )

    def convolved(x: Tensor, name: str, stride=1, padding=0) -> Tensor:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return functional.conv2d(x, weight, bias, (stride, 1), (padding, 0))

    n, m, t, v, c = joints.shape
    x = joints.permute(0, 1, 3, 4, 2).reshape(n * m, v * c, t)
    x = normalised(x, "data_bn").view(n * m, v, c, t).permute(0, 2, 3, 1)
    for i in range(10):
        block, stride, entered = f"st_gcn_networks.{i}", 2 if i in (4, 7) else 1, x
        links = matrices * state[f"edge_importance.{i}"]
        x = convolved(x, f"{block}.gcn.conv").unflatten(1, (len(links), -1))
        x = torch.einsum("bkdtv,kvw->bdtw", x, links)
        x = functional.relu(normalised(x, f"{block}.tcn.0"))
        x = normalised(convolved(x, f"{block}.tcn.2", stride, 4), f"{block}.tcn.3")
        if f"{block}.residual.0.weight" in state:
            entered = convolved(entered, f"{block}.residual.0", stride)
            entered = normalised(entered, f"{block}.residual.1")
        x = functional.relu(x + entered if i else x)
    pooled = x.mean(dim=(2, 3)).view(n, m, -1, 1, 1).mean(dim=1)
    return convolved(pooled, "fcn").flatten(1)


def test_gradients_and_statistics_equal_those_of_the_authors_order():
    golden = golden_rule.read("st-gcn")
    state = {k: torch.from_numpy(v) for k, v in golden_rule.state_dict(golden).items()}
    network = STGCN(NTU25, classes=60, partition="spatial", dropout=0.0)
    load_official(network, state)
    network.double().train()
    joints = torch.from_numpy(golden_rule.inputs(golden)["x"]).permute(0, 4, 2, 3, 1).double()
    labels = torch.tensor([3, 47])
    statistics = {k: v.double() for k, v in state.items() if ".running_" in k}
    weights = {k: v.double().requires_grad_() for k, v in state.items() if k not in statistics}

    said = network(joints[:, :, :12]).logits
    expected = authors_order(weights, joints[:, :, :12], network.adjacency, statistics)
    torch.testing.assert_close(said, expected, rtol=1e-9, atol=1e-9)
    functional.cross_entropy(said, labels).backward()
    functional.cross_entropy(expected, labels).backward()

    names, ours = network.official_names(), dict(network.named_parameters())
    for official, weight in weights.items():
        gradient = ours[names[official]].grad
        assert gradient is not None
        assert weight.grad is not None
        close = gradient.reshape(weight.shape) - weight.grad
        assert close.abs().max() < 1e-9, official
    buffers = network.state_dict()
    for official, value in statistics.items():
        torch.testing.assert_close(buffers[names[official]], value, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("part", "printed"), [(STGCN, 2.80), (STsGCN, 1.89), (ST2sGCN, 0.98)])
def test_sizes_are_those_of_skd_table_2(part, printed):
    adaptation = 256 * 256 + 256
    size = parameters(part(COCO17, classes=60)) + adaptation
    assert round(size / 2**20, 2) == printed


def test_nine_blocks_are_three_of_each_width():
    network = STGCN9(PENN13, classes=2)
    assert [block.channels for block in network.blocks] == [64] * 3 + [128] * 3 + [256] * 3
    strides = [block.temporal.stride[0] for block in network.blocks]
    assert [place for place, stride in enumerate(strides, start=1) if stride == 2] == [4, 7]
    ten = parameters(STGCN(PENN13, classes=2))
    block = 64 * 2 * 64 + 2 * 64 + 9 * 64 * 64 + 64 + 4 * 64 + 2 * 13 * 13
    assert parameters(network) == ten - block


def test_width_scales_the_channels_in_eights():
    network = STGCN(PENN13, classes=2, width=0.3)
    assert [block.channels for block in network.blocks] == [16] * 4 + [40] * 3 + [80] * 3
    assert STGCN(PENN13, classes=2, width=0.001).feature_channels == 8


def test_options_that_make_no_network():
    for options, said in [
        ({"width": 0.0}, "must be positive"),
        ({"persons": 0}, "must be positive"),
        ({"dropout": 1.0}, "dropout must be at least 0"),
    ]:
        with pytest.raises(ValueError, match=said):
            STGCN(PENN13, classes=2, **options)


def test_weights_start_as_in_the_authors_training():
    torch.manual_seed(0)
    network = STGCN(PENN13, classes=60)
    for name, weight in network.named_parameters():
        if name.endswith("bias"):
            assert (weight == 0).all(), name
        elif name.endswith("importance"):
            assert (weight == 1).all(), name
        else:
            centre = 1.0 if "normalisation" in name or name.endswith("residual.1.weight") else 0.0
            assert weight.std().item() == pytest.approx(0.02, rel=0.4), name
            assert weight.mean().item() == pytest.approx(centre, abs=0.01), name
    # as published, nothing is dropped in the first block
    assert [block.dropout.probability for block in network.blocks] == [0.0] + [0.5] * 9


def test_edge_importance_can_be_left_out():
    with_it, without = (STGCN(PENN13, classes=2, edge_importance=on) for on in (True, False))
    assert parameters(with_it) - parameters(without) == 10 * 2 * 13 * 13
    without.load_state_dict(
        {k: v for k, v in with_it.state_dict().items() if "importance" not in k}
    )
    clips = torch.randn(2, 2, 8, 13, 3)
    with torch.no_grad():
        ours, theirs = with_it.eval()(clips).logits, without.eval()(clips).logits
    torch.testing.assert_close(ours, theirs)  # factors start at one
