"""Weights of PYSKL and mmaction2: every tensor finds its place, once, and says what it said."""

from collections import OrderedDict

import golden_networks
import pyskl_names
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from skeldistill.checkpoint import load_official, read_weights
from skeldistill.cost import parameters
from skeldistill.layouts import COCO17, NTU25
from skeldistill.networks import AGCN, CTRGCN, MSG3D, STGCN, STGCNpp

NETWORKS = {
    "ST-GCN": (pyskl_names.stgcn, lambda *a, **k: STGCN(*a, partition="spatial", **k)),
    "AAGCN": (pyskl_names.aagcn, lambda *a, **k: AGCN(*a, gated=True, attention=True, **k)),
    "2s-AGCN of mmaction2": (pyskl_names.agcn, lambda *a, **k: AGCN(*a, gated=True, **k)),
    "ST-GCN++": (pyskl_names.stgcnpp, STGCNpp),
    "CTR-GCN": (pyskl_names.ctrgcn, lambda *a, **k: CTRGCN(*a, pyskl=True, **k)),
    "MS-G3D": (pyskl_names.msg3d, lambda *a, **k: MSG3D(*a, pyskl=True, **k)),
}


@pytest.mark.parametrize("head", ["fc_cls", "fc"], ids=["PYSKL", "mmaction2"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_tensor_finds_its_place_once(name, head):
    theirs, part = NETWORKS[name]
    network = part(COCO17, classes=7, persons=2)
    state = pyskl_names.state_dict(theirs, 17, 2, 7, head)
    report = load_official(network, state)
    assert report.complete, (report.missing, report.unexpected)
    assert len(report.mapped) == len(state)
    names = network.official_names()
    filled = [names[mapped] for mapped in report.mapped]
    shared = {place for place in filled if filled.count(place) > 1}
    assert shared <= {"adjacency"}  # each of ST-GCN's blocks brings the same graph
    own = network.state_dict()
    assert set(filled) == set(own)
    for mapped in report.mapped:
        assert torch.equal(own[names[mapped]].flatten(), state[mapped].flatten()), mapped
    learned = {place for place, _ in network.named_parameters()}
    assert parameters(network) == sum(
        tensor.numel() for mapped, tensor in state.items() if names[mapped] in learned
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_missing_is_named_as_its_codebase_does(name):
    theirs, part = NETWORKS[name]
    network = part(COCO17, classes=7, persons=2)
    state = pyskl_names.state_dict(theirs, 17, 2, 7, "fc_cls")
    lost = next(n for n in state if n.endswith(("3.gcn.bn.bias", "3.gcn1.bn.bias", "3.0.PA")))
    del state[lost], state["cls_head.fc_cls.bias"]
    assert set(load_official(network, state).missing) == {lost, "cls_head.fc_cls.bias"}


def test_reads_a_file_as_their_training_leaves_it(tmp_path):
    state = pyskl_names.state_dict(pyskl_names.stgcn, 25, 2, 60, "fc_cls")
    path = tmp_path / "epoch_24.pth"
    about = {"epoch": 24, "iter": 30000, "config": "model = dict(type='RecognizerGCN')"}
    torch.save({"meta": about, "state_dict": OrderedDict(state), "optimizer": {"state": {}}}, path)
    network = STGCN(NTU25, classes=60, partition="spatial")
    assert load_official(network, read_weights(path)).complete


# ---------------------------------------------------------------- twins in PYSKL's order


def first_map(layers: golden_networks.Layers, joints: Tensor, together: bool) -> Tensor:
    """Normalised joints as maps (n m, c, t, v)."""
    n, m, t, v, c = joints.shape
    rows = joints.permute(0, 1, 3, 4, 2).reshape(n if together else n * m, -1, t)
    x = layers.normalised(rows, "backbone.data_bn").reshape(n * m, v, c, t)
    return x.permute(0, 2, 3, 1).contiguous()


def over_nine_frames(layers: golden_networks.Layers, y: Tensor, x: Tensor, i: int) -> Tensor:
    name, stride = f"backbone.gcn.{i}", 2 if i in (4, 7) else 1
    y = layers.normalised(layers.convolved(y, f"{name}.tcn.conv", stride, 4), f"{name}.tcn.bn")
    return functional.relu(
        y + (layers.down(x, f"{name}.residual", "conv", "bn", stride) if i else 0)
    )


def stgcn_in_order(state: dict[str, Tensor], joints: Tensor) -> Tensor:
    layers = golden_networks.Layers(state)
    x = first_map(layers, joints, together=False)
    for i in range(10):
        name = f"backbone.gcn.{i}.gcn"
        y = layers.convolved(x, f"{name}.conv").unflatten(1, (3, -1))
        y = torch.einsum("nkctv,kvw->nctw", y, state[f"{name}.A"] * state[f"{name}.PA"])
        y = functional.relu(layers.normalised(y, f"{name}.bn"))
        x = over_nine_frames(layers, y, x, i)
    return layers.classified(x, "cls_head.fc_cls", len(joints))


def aagcn_in_order(state: dict[str, Tensor], joints: Tensor) -> Tensor:
    layers = golden_networks.Layers(state)
    x = first_map(layers, joints, together=True)
    for i in range(10):
        name = f"backbone.gcn.{i}.gcn"
        summed = torch.zeros((), dtype=x.dtype)
        for k in range(3):
            query = layers.convolved(x, f"{name}.conv_a.{k}").permute(0, 3, 1, 2).flatten(2)
            key = layers.convolved(x, f"{name}.conv_b.{k}").flatten(1, 2)
            alike = torch.tanh(query @ key / query.shape[-1])
            graph = state[f"{name}.A"][k] + alike * state[f"{name}.alpha"]
            gathered = (x.flatten(1, 2) @ graph).unflatten(1, x.shape[1:3])
            summed = summed + layers.convolved(gathered, f"{name}.conv_d.{k}")
        y = functional.relu(
            layers.normalised(summed, f"{name}.bn") + layers.down(x, f"{name}.down", "0", "1")
        )
        if f"{name}.conv_sa.weight" in state:
            y = attended(state, y, name)
        x = over_nine_frames(layers, y, x, i)
    return layers.classified(x, "cls_head.fc_cls", len(joints))


def attended(state: dict[str, Tensor], y: Tensor, name: str) -> Tensor:
    for axis, kind in ((2, "conv_sa"), (3, "conv_ta")):
        weight, bias = state[f"{name}.{kind}.weight"], state[f"{name}.{kind}.bias"]
        share = functional.conv1d(y.mean(axis), weight, bias, padding=weight.shape[2] // 2)
        y = y * torch.sigmoid(share).unsqueeze(axis) + y
    first, second = (
        (state[f"{name}.{layer}.weight"], state[f"{name}.{layer}.bias"])
        for layer in ("fc1c", "fc2c")
    )
    hidden = functional.relu(functional.linear(y.mean(3).mean(2), *first))
    return y * torch.sigmoid(functional.linear(hidden, *second))[:, :, None, None] + y


@pytest.mark.parametrize(
    ("name", "twin"),
    [
        ("ST-GCN", stgcn_in_order),
        ("AAGCN", aagcn_in_order),
        ("2s-AGCN of mmaction2", aagcn_in_order),
    ],
)
def test_says_what_it_said_there(name, twin):
    theirs, part = NETWORKS[name]
    state = pyskl_names.state_dict(theirs, 17, 2, 7, "fc_cls")
    network = part(COCO17, classes=7, persons=2).double().eval()
    assert load_official(network, state).complete
    joints = torch.randn(2, 2, 6, 17, 3, generator=torch.Generator().manual_seed(1)).double()
    with torch.no_grad():
        said = network(joints).logits
        expected = twin({k: v.double() for k, v in state.items()}, joints)
    torch.testing.assert_close(said, expected, rtol=1e-9, atol=1e-9)
