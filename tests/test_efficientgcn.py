"""EfficientGCN: its scaling, the official numbers, and a twin in the authors' order."""

from dataclasses import dataclass

import golden_networks
import golden_rule
import pytest
import torch
from branch_networks import near_its_own, on_branches
from torch import Tensor
from torch.nn import functional

from skeldistill import networks
from skeldistill.checkpoint import load_official
from skeldistill.cost import parameters
from skeldistill.layouts import COCO17, NTU25, PENN13
from skeldistill.networks import EfficientGCNB0, EfficientGCNB2, EfficientGCNB4, adjacency


@dataclass
class Official:
    """EfficientGCN straight from the official state dict; its names tell which layers it has."""

    state: dict[str, Tensor]
    training: bool

    def normalised(self, x: Tensor, name: str) -> Tensor:
        mean, var = (self.state[f"{name}.running_{kind}"] for kind in ("mean", "var"))
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        return functional.batch_norm(x, mean, var, weight, bias, training=self.training)

    def convolved(self, x: Tensor, name: str, stride=1) -> Tensor:
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        padding, groups = weight.shape[2] // 2, x.shape[1] // weight.shape[1]
        return functional.conv2d(x, weight, bias, (stride, 1), (padding, 0), groups=groups)

    def both(self, x: Tensor, name: str, stride=1) -> Tensor:
        return self.normalised(self.convolved(x, f"{name}.0", stride), f"{name}.1")

    def entered(self, x: Tensor, name: str, stride=1) -> Tensor:
        return self.both(x, name, stride) if f"{name}.0.weight" in self.state else x

    def spatial(self, x: Tensor, name: str) -> Tensor:
        matrices = torch.from_numpy(adjacency.distance(NTU25, 10)[:3]).to(x)
        y = self.convolved(x, f"{name}.conv.gcn").unflatten(1, (3, -1))
        y = torch.einsum("nkctv,kvw->nctw", y, matrices * self.state[f"{name}.conv.edge"])
        return swish(self.normalised(y, f"{name}.bn") + self.entered(x, f"{name}.residual"))

    def sandglass(self, x: Tensor, name: str, stride: int) -> Tensor:
        y = self.both(swish(self.both(x, f"{name}.depth_conv1")), f"{name}.point_conv1")
        y = self.both(swish(self.both(y, f"{name}.point_conv2")), f"{name}.depth_conv2", stride)
        return y + self.entered(x, f"{name}.residual", stride)

    def separable(self, x: Tensor, name: str, stride: int) -> Tensor:
        y = swish(self.both(x, f"{name}.expand_conv"))
        y = self.both(swish(self.both(y, f"{name}.depth_conv", stride)), f"{name}.point_conv")
        return y + self.entered(x, f"{name}.residual", stride)

    def attention(self, x: Tensor, name: str) -> Tensor:
        frames, joints = x.mean(dim=3, keepdim=True), x.mean(dim=2, keepdim=True).transpose(2, 3)
        y = self.both(torch.cat([frames, joints], dim=2), f"{name}.att.fcn")
        of_frames, of_joints = functional.hardswish(y).split([x.shape[2], x.shape[3]], dim=2)
        of_frames = torch.sigmoid(self.convolved(of_frames, f"{name}.att.conv_t"))
        of_joints = torch.sigmoid(self.convolved(of_joints.transpose(2, 3), f"{name}.att.conv_v"))
        return swish(self.normalised(x * (of_frames * of_joints), f"{name}.bn") + x)

    def stage(self, x: Tensor, name: str, stride: int) -> Tensor:
        x, i = self.spatial(x, f"{name}_scn"), 0
        while any(key.startswith(f"{name}_tcn-{i}.") for key in self.state):
            kind = f"{name}_tcn-{i}.point_conv.0.weight" in self.state
            layer = self.separable if kind else self.sandglass
            x, i = layer(x, f"{name}_tcn-{i}", 1 if i else stride), i + 1
        return self.attention(x, f"{name}_att")

    def branch(self, x: Tensor, name: str) -> Tensor:
        x = self.spatial(self.normalised(x, f"{name}.init_bn"), f"{name}.stem_scn")
        y = self.convolved(x, f"{name}.stem_tcn.conv")
        x = swish(self.normalised(y, f"{name}.stem_tcn.bn") + x)
        return self.stage(self.stage(x, f"{name}.block-0", 1), f"{name}.block-1", 1)


def swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def authors_order(state: dict[str, Tensor], branches: Tensor, training: bool = False) -> Tensor:
    n, _, _, _, _, m = branches.shape
    network = Official(state, training)
    x = branches.permute(1, 0, 5, 2, 3, 4).flatten(1, 2).contiguous()
    x = torch.cat([network.branch(x[i], f"input_branches.{i}") for i in range(3)], dim=1)
    x = network.stage(x, "main_stream.block-0", 2)
    x = network.stage(x, "main_stream.block-1", 2)
    pooled = x.unflatten(0, (n, m)).mean(dim=(1, 3, 4))
    return pooled @ state["classifier.fc.weight"].flatten(1).t() + state["classifier.fc.bias"]


@pytest.mark.parametrize(
    ("golden_name", "part"),
    [("efficientgcn_b0_sg", EfficientGCNB0), ("efficientgcn_b4_sg", EfficientGCNB4)],
)
def test_equals_the_authors_network(golden_name, part):
    golden = golden_rule.read(golden_name)
    network = on_branches(part(NTU25, classes=60))
    golden_networks.is_the_authors_graph(network.adjacency, golden)
    state = golden_networks.weights(golden)
    clips = torch.from_numpy(golden_rule.inputs(golden)["x"])
    golden_networks.equals_the_authors(network, golden, state, clips)


@pytest.mark.parametrize("part", [EfficientGCNB0, EfficientGCNB2])
@pytest.mark.parametrize("layer", ["SG", "EpSep"])
def test_training_equals_that_in_the_authors_order(part, layer):
    golden = golden_rule.read("efficientgcn_b0_sg")
    clips = torch.from_numpy(golden_rule.inputs(golden)["x"])[:, :, :, :9].double()
    torch.manual_seed(0)
    network = on_branches(part(NTU25, classes=60, layer=layer, width=0.25, dropout=0.0))
    state = near_its_own(network)
    golden_networks.same_gradients(network, state, clips, authors_order)


@pytest.mark.parametrize(
    ("part", "channels", "depths"),
    [
        (EfficientGCNB0, [48, 32, 64, 128], [0, 0, 1, 1]),
        (EfficientGCNB2, [64, 32, 96, 192], [1, 1, 2, 2]),
        (EfficientGCNB4, [96, 48, 128, 272], [2, 2, 3, 3]),
    ],
)
def test_scaling_is_the_authors(part, channels, depths):
    network = part(PENN13, classes=2)
    stages = [*network.apart[1], *network.joined]
    assert [stage.attention.of_frames.out_features for stage in stages] == channels
    assert [len(stage.temporal) for stage in stages] == depths


@pytest.mark.parametrize(
    ("part", "layer", "layout", "size"),
    [
        (EfficientGCNB0, "SG", COCO17, 295_113),
        (EfficientGCNB0, "SG", PENN13, 291_153),
        (EfficientGCNB2, "SG", NTU25, 534_465),
        (EfficientGCNB4, "SG", COCO17, 1_108_857),
        (EfficientGCNB4, "SG", PENN13, 1_104_897),
        (EfficientGCNB0, "EpSep", NTU25, 345_333),
        (EfficientGCNB2, "EpSep", NTU25, 814_401),
        (EfficientGCNB4, "EpSep", NTU25, 2_055_585),
    ],
)
def test_has_as_many_parameters_as_the_authors_network(part, layer, layout, size):
    assert parameters(part(layout, classes=60, layer=layer)) == size


def test_official_graphs_of_every_layer_fill_the_one_graph():
    network = networks.find("EfficientGCNB0")(PENN13, classes=2, width=0.125)
    own = network.state_dict()
    state = {name: own[here].clone() for name, here in network.official_names().items()}
    graphs = [name for name in state if name.endswith(".conv.A")]
    assert len(graphs) == 11
    loaded = load_official(network, {f"module.{name}": value for name, value in state.items()})
    assert loaded.complete
    assert set(graphs) <= set(loaded.mapped)


def test_an_unknown_layer_gets_the_nearest():
    with pytest.raises(ValueError, match="no layer called 'EpSap'; did you mean 'EpSep'"):
        EfficientGCNB0(PENN13, classes=2, layer="EpSap")


def test_features_fall_no_lower_than_their_activation():
    x = torch.linspace(-3, 0, 1000)
    least = functional.silu(x).min().item()
    assert EfficientGCNB0.lowest_feature <= least
    assert EfficientGCNB0.lowest_feature == pytest.approx(least, abs=1e-3)
