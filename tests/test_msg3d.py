"""MS-G3D: its graphs by hand, the official numbers, and a twin in the authors' order."""

from dataclasses import dataclass

import golden_networks
import golden_rule
import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.checkpoint import load_official
from skeldistill.layouts import COCO17, NTU25, PENN13
from skeldistill.networks import MSG3D, adjacency
from skeldistill.networks.msg3d_layers import (
    MultiScaleGraph,
    Window,
    disentangled,
    normalised_together,
    over_frames,
)

LINKED = adjacency.bones(NTU25).astype(float)


def power_graph(linked: np.ndarray, scales: int) -> np.ndarray:
    """The authors' way: what a step more reaches, by matrix powers."""
    itself = np.eye(len(linked))
    matrices = [itself]
    for k in range(1, scales):
        reached, before = (np.linalg.matrix_power(linked + itself, i) > 0 for i in (k, k - 1))
        links = reached.astype(float) - before + itself
        root = np.diag(links.sum(axis=1) ** -0.5)
        matrices.append(root @ links @ root)
    return np.stack(matrices[:scales]).astype(np.float32)


# ---------------------------------------------------------------- graphs


@pytest.mark.parametrize("layout", [NTU25, PENN13], ids=lambda layout: layout.name)
def test_scales_are_what_another_step_reaches(layout):
    linked = adjacency.bones(layout).astype(float)
    between = adjacency.hops(layout, layout.num_joints)
    np.testing.assert_allclose(
        disentangled(between, 13, by_column=False), power_graph(linked, 13), rtol=1e-6
    )
    for frames in (3, 5):
        tiled = np.tile(linked + np.eye(len(linked)), (frames, frames))
        np.testing.assert_allclose(
            disentangled(over_frames(between, frames), 6, by_column=False),
            power_graph(tiled, 6),
            rtol=1e-6,
        )


def test_scales_are_the_authors():
    network = MSG3D(NTU25, classes=60)
    stage = network.stages[0]
    graphs = (stage.graph, *stage.windows)
    constants = golden_rule.read("ms-g3d")["graph_constants"]
    for graph, constant in zip(graphs, constants, strict=True):
        matrices = graph.adjacency.flatten(0, 1)
        rows = torch.arange(1.0, len(matrices) + 1).double()[:, None]
        columns = torch.arange(1.0, matrices.shape[1] + 1).double()
        assert list(matrices.shape) == constant["shape"]
        assert int((matrices != 0).sum()) == constant["nonzero"]
        assert matrices.sum().item() == pytest.approx(constant["sum"])
        assert (matrices * rows).sum().item() == pytest.approx(constant["row_moment"])
        assert (matrices * columns).sum().item() == pytest.approx(constant["col_moment"])


def test_columns_sum_to_one_as_in_pyskl():
    between = adjacency.hops(PENN13, 13)
    np.testing.assert_allclose(disentangled(between, 5, by_column=True).sum(axis=1), 1, rtol=1e-6)


# ---------------------------------------------------------------- layers


@pytest.mark.parametrize("pyskl", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("channels", [2, 5])  # mixed after and before gathering
def test_windows_joint_by_joint(channels, stride, pyskl):
    generator = torch.Generator().manual_seed(0)
    frames, inner, v, t, k = 3, 4, 3, 5, 2
    matrices = np.random.default_rng(0).random((k, frames * v, frames * v)).astype(np.float32)
    window = Window(channels, inner, 6, matrices, pyskl, frames=frames, stride=stride).double()
    nn.init.normal_(window.learned, generator=generator)
    x = torch.randn(2, channels, t, v, generator=generator, dtype=torch.float64)
    window.eval()
    graph = window.matrices().detach()
    if pyskl:
        assert graph[1, 2, 3] == (window.adjacency + window.learned)[1, 3, 2]
    weight = window.mixing.weight.detach().view(inner, k, channels)
    centres = range(0, t, stride)
    expected = torch.zeros(2, 6, len(centres), v, dtype=torch.float64)
    for place, centre in enumerate(centres):
        inside = torch.zeros(2, channels, frames * v, dtype=torch.float64)
        for w in range(frames):
            if 0 <= centre + w - 1 < t:
                inside[:, :, w * v : (w + 1) * v] = x[:, :, centre + w - 1]
        mixed = torch.einsum("dkc,kvu,bcu->bdv", weight, graph, inside)
        mixed = window.normalisation((mixed + window.mixing.bias[:, None])[:, :, None]).relu()
        per_frame = mixed.view(2, inner, frames, v)
        expected[:, :, place] = torch.einsum(
            "edw,bdwv->bev", window.collapse.weight[:, :, 0, :, 0], per_frame
        )
    expected = window.collapse_normalisation(expected + window.collapse.bias[:, None, None])
    torch.testing.assert_close(window(x), expected)


def test_graph_joint_by_joint():
    generator = torch.Generator().manual_seed(0)
    matrices = np.random.default_rng(0).random((4, 3, 3)).astype(np.float32)
    graph = MultiScaleGraph(2, 5, matrices, pyskl=False).double().eval()
    x = torch.randn(2, 2, 4, 3, generator=generator, dtype=torch.float64)
    weight = graph.mixing.weight.view(5, 4, 2)
    gathered = torch.einsum("dkc,kvu,bctu->bdtv", weight, graph.matrices(), x)
    expected = graph.normalisation(gathered + graph.mixing.bias[:, None, None]).relu()
    torch.testing.assert_close(graph(x), expected)


@pytest.mark.parametrize("training", [True, False])
def test_normalising_together_is_normalising_apart(training):
    torch.manual_seed(0)
    together, apart = (nn.ModuleList(nn.BatchNorm2d(2) for _ in range(3)) for _ in range(2))
    for norms in (together, apart):
        norms.train(training)
        nn.init.constant_(norms[1].weight, 3.0)
        nn.init.constant_(norms[2].running_mean, 0.5)
    for _ in range(2):
        x = torch.randn(4, 6, 5, 3)
        expected = torch.cat([n(c) for n, c in zip(apart, x.chunk(3, dim=1), strict=True)], dim=1)
        torch.testing.assert_close(normalised_together(x, together), expected)
    for name, value in apart.state_dict().items():
        torch.testing.assert_close(together.state_dict()[name], value)


# ---------------------------------------------------------------- the network


@dataclass(frozen=True)
class Authors:
    """MS-G3D straight from the official state dict: windows unfolded, branches one by one."""

    state: dict[str, Tensor]
    training: bool

    def normalised(self, x: Tensor, name: str) -> Tensor:
        kinds = ("running_mean", "running_var", "weight", "bias")
        mean, var, weight, bias = (self.state[f"{name}.{kind}"] for kind in kinds)
        return functional.batch_norm(x, mean, var, weight, bias, training=self.training)

    def convolved(self, x: Tensor, name: str, stride=1, padding=0, dilation=1) -> Tensor:
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        return functional.conv2d(x, weight, bias, (stride, 1), (padding, 0), (dilation, 1))

    def aggregated(self, x: Tensor, name: str, matrices: np.ndarray) -> Tensor:
        n, c, t, v = x.shape
        graph = torch.from_numpy(matrices).to(x).flatten(0, 1) + self.state[f"{name}.A_res"]
        y = torch.einsum("vu,nctu->nctv", graph, x).view(n, c, t, -1, v)
        y = y.permute(0, 3, 1, 2, 4).contiguous().view(n, -1, t, v)
        y = self.convolved(y, f"{name}.mlp.layers.0")
        return functional.relu(self.normalised(y, f"{name}.mlp.layers.1"))

    def windowed(self, x: Tensor, name: str, frames: int, stride: int) -> Tensor:
        n, c, _, v = x.shape
        y = functional.unfold(x, (frames, 1), 1, (frames // 2, 0), (stride, 1))
        y = y.view(n, c, frames, -1, v).permute(0, 1, 3, 2, 4).contiguous()
        tiled = np.tile(LINKED + np.eye(len(LINKED)), (frames, frames))
        y = self.aggregated(y.view(n, c, -1, frames * v), f"{name}.gcn3d.1", power_graph(tiled, 6))
        y = y.view(n, y.shape[1], -1, frames, v)
        weight, bias = self.state[f"{name}.out_conv.weight"], self.state[f"{name}.out_conv.bias"]
        return self.normalised(functional.conv3d(y, weight, bias).squeeze(3), f"{name}.out_bn")

    def temporal(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        branches = []
        for i in range(5):
            branch = f"{name}.branches.{i}"
            y = functional.relu(self.normalised(self.convolved(x, f"{branch}.0"), f"{branch}.1"))
            if i < 4:
                y = self.convolved(y, f"{branch}.3.conv", stride, i + 1, i + 1)
                branches.append(self.normalised(y, f"{branch}.3.bn"))
        y = functional.max_pool2d(y, (3, 1), (stride, 1), (1, 0))
        branches.append(self.normalised(y, f"{name}.branches.4.4"))
        plain = self.convolved(x, f"{name}.branches.5.0", stride)
        branches.append(self.normalised(plain, f"{name}.branches.5.1"))
        if f"{name}.residual.conv.weight" in self.state:
            x = self.convolved(x, f"{name}.residual.conv", stride)
            x = self.normalised(x, f"{name}.residual.bn")
        return torch.cat(branches, dim=1) + x


def authors_order(state: dict[str, Tensor], joints: Tensor, training: bool = False) -> Tensor:
    authors = Authors(state, training)
    n, m, t, v, c = joints.shape
    x = authors.normalised(joints.permute(0, 1, 3, 4, 2).reshape(n, m * v * c, t), "data_bn")
    x = x.view(n, m, v, c, t).permute(0, 1, 3, 4, 2).reshape(n * m, c, t, v)
    for i, stride in ((1, 1), (2, 2), (3, 2)):
        y = authors.aggregated(x, f"sgcn{i}.0", power_graph(LINKED, 13))
        y = functional.relu(authors.temporal(y, f"sgcn{i}.1", stride))
        y = authors.temporal(y, f"sgcn{i}.2")
        for w, frames in enumerate((3, 5)):
            y = y + authors.windowed(x, f"gcn3d{i}.gcn3d.{w}", frames, stride)
        x = functional.relu(authors.temporal(functional.relu(y), f"tcn{i}"))
    pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
    return functional.linear(pooled, state["fc.weight"], state["fc.bias"])


def test_equals_the_authors_network():
    golden = golden_rule.read("ms-g3d")
    state, clips = golden_networks.weights(golden), golden_networks.joints(golden)
    golden_networks.equals_the_authors(MSG3D(NTU25, classes=60), golden, state, clips)


@pytest.mark.parametrize(("layout", "count"), [(COCO17, 2_975_763), (PENN13, 2_897_595)])
def test_has_the_authors_size_on_other_layouts(layout, count):
    assert sum(weight.numel() for weight in MSG3D(layout, classes=60).parameters()) == count


def test_training_equals_that_in_the_authors_order():
    torch.manual_seed(0)
    narrow = MSG3D(NTU25, classes=60, width=0.125)
    own = narrow.state_dict()
    state = {official: own[name].clone() for official, name in narrow.official_names().items()}
    state = {name: tensor for name, tensor in state.items() if not name.endswith("tracked")}
    for name, tensor in state.items():
        if name.endswith("A_res"):
            nn.init.normal_(tensor, std=0.1)
    clips = torch.randn(2, 2, 5, 25, 3, dtype=torch.float64)
    golden_networks.same_gradients(narrow, state, clips, authors_order)


def test_pyskl_weights_bring_their_graph():
    torch.manual_seed(0)
    network, other = (MSG3D(COCO17, classes=3, width=0.125, pyskl=True) for _ in range(2))
    names, own = other.official_names(), other.state_dict()
    state = {official: own[name].clone() for official, name in names.items()}
    for name in (
        "backbone.A",
        "backbone.data_bn.running_var",
        "backbone.sgcn1.0.A",
        "backbone.sgcn3.0.PA",
        "backbone.gcn3d2.gcn3d.1.gcn3d.1.A",
        "backbone.gcn3d2.gcn3d.1.gcn3d.1.mlp.layers.1.weight",
        "backbone.gcn3d1.gcn3d.0.out_conv.bias",
        "backbone.tcn1.branches.3.3.conv.weight",
        "backbone.sgcn2.1.residual.bn.running_mean",
        "cls_head.fc_cls.weight",
    ):
        assert name in state
    assert state["backbone.sgcn1.0.A"].shape == state["backbone.sgcn1.0.PA"].shape == (13, 17, 17)
    state["backbone.sgcn1.0.A"] += 1
    assert load_official(network, state).complete
    assert torch.equal(network.stages[0].graph.adjacency, state["backbone.sgcn1.0.A"])
