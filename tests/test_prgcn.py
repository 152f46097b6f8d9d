"""PR-GCN: the official numbers, a twin in the authors' order, refinement and persons."""

from collections.abc import Mapping
from typing import Any

import golden_networks
import golden_rule
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from skeldistill.layouts import COCO17, NTU25, PENN13
from skeldistill.networks import PRGCN, adjacency
from skeldistill.networks.prgcn import shortened, since_the_frame_before


def starts(golden: Mapping[str, Any]) -> dict[str, np.ndarray]:
    graph = (adjacency.spatial(NTU25) + np.float32(1e-4)).astype(np.float32)
    return {name: graph for name, kind, _ in golden["tensors"] if kind == "graph_plus"}


class Authors(golden_networks.Layers):
    """PR-GCN's layers straight from the official state dict."""

    def over_joints(self, x: Tensor, name: str) -> Tensor:
        y = self.convolved(x, f"{name}.gcn.conv").unflatten(1, (3, -1))
        y = torch.einsum("nkctv,kvw->nctw", y, self.state[f"{name}.A"])
        residual = self.down(x, f"{name}.residual", "0", "1")
        return functional.relu(self.normalised(y.contiguous(), f"{name}.bn") + residual)

    def over_frames(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        x = self.convolved(self.normalised(x, f"{name}.tcn.0"), f"{name}.tcn.1", stride, 1)
        return functional.relu(self.normalised(x, f"{name}.tcn.2"))

    def refined(self, x: Tensor) -> Tensor:
        shift = self.over_joints(self.convolved(x, "conv_shift_1"), "gcn_shift_1")
        shift = self.over_joints(self.over_frames(shift, "tcn_shift"), "gcn_shift_2")
        shift = self.convolved(shift, "conv_shift_2")
        return x + shift * torch.tensor([1.0, 1, 0]).to(x).view(1, 3, 1, 1)

    def attended(self, x: Tensor) -> Tensor:
        weights = x.mean(dim=(2, 3), keepdim=True)
        weights = functional.relu(self.convolved(weights, "cSE_t.conv1"))
        return x * self.convolved(weights, "cSE_t.conv2").sigmoid()


def authors_order(state: dict[str, Tensor], joints: Tensor, training: bool = False) -> Tensor:
    layers = Authors(state, training)
    n, m, t, v, c = joints.shape
    x = joints.permute(0, 1, 3, 4, 2).reshape(n * m, v * c, t)
    x = layers.normalised(x, "data_bn").view(n * m, v, c, t).permute(0, 2, 3, 1).contiguous()
    x = layers.refined(x)
    motion = torch.zeros_like(x)
    for frame in range(1, t):
        motion[:, :, frame] = x[:, :, frame] - x[:, :, frame - 1]
    motion, x = layers.over_frames(motion, "tcn_motion_in"), layers.over_frames(x, "tcn_pos_in")
    for i, stride in enumerate((1, 2, None, 1, 3)):
        if stride is None:
            motion = layers.over_joints(motion, f"tcn.{i}")
        else:
            motion = layers.over_frames(motion, f"tcn.{i}", stride)
        size = x.shape[2] // motion.shape[2]
        x = functional.max_pool2d(x, (size, 1))
        x = layers.over_joints(torch.cat([x, motion], dim=1), f"gcn.{i}")
    x = layers.over_joints(layers.attended(functional.avg_pool2d(x, (5, 1))), "gcn_end")
    persons = x.mean(dim=(2, 3)).view(n, m, -1)
    pooled = torch.stack([clip.max(dim=0).values for clip in persons])
    return functional.linear(pooled, state["fcn.weight"].flatten(1), state["fcn.bias"])


def small(layout=PENN13, **options) -> PRGCN:
    torch.manual_seed(0)
    return PRGCN(layout, **{"classes": 4, "width": 0.25, **options}).eval()


def test_equals_the_authors_network():
    golden = golden_rule.read("pr-gcn")
    network = PRGCN(NTU25, classes=60)
    golden_networks.is_the_authors_graph(network.adjacency, golden)
    initial = {"graph_constants": golden["graph_constants"][1:]}
    golden_networks.is_the_authors_graph(network.last.adjacency, initial)
    state = golden_networks.weights(golden, starts(golden))
    golden_networks.equals_the_authors(network, golden, state, golden_networks.joints(golden))


@pytest.mark.parametrize(("layout", "size"), [(COCO17, 492428), (PENN13, 489164)])
def test_has_the_size_of_the_authors_on_other_layouts(layout, size):
    network = PRGCN(layout, classes=60)
    assert sum(weight.numel() for weight in network.parameters()) == size


def test_training_equals_that_in_the_authors_order():
    golden = golden_rule.read("pr-gcn")
    state = golden_networks.weights(golden, starts(golden))
    clips = golden_networks.joints(golden)[:, :, :30]
    golden_networks.same_gradients(PRGCN(NTU25, classes=60), state, clips.double(), authors_order)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_refines_the_first_two_coordinates(channels):
    x = torch.randn(2, channels, 6, 13)
    moved = (small(channels=channels).refined(x) != x).flatten(2).any(dim=2).all(dim=0)
    assert moved.tolist() == [True, True, False][:channels]


def test_motion_and_groups_by_hand():
    x = torch.tensor([3.0, 5, 4, 4, 1, 9]).view(1, 1, 6, 1)
    assert since_the_frame_before(x).flatten().tolist() == [0, 2, -1, 0, -3, 8]
    assert shortened(x, 2).flatten().tolist() == [5, 9]
    assert shortened(x, 3).flatten().tolist() == [5, 4, 9]
    assert shortened(x, 6) is x


def test_the_order_of_persons_does_not_matter():
    network, clips = small().double(), torch.randn(2, 2, 30, 13, 3, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network(clips).logits, network(clips.flip(1)).logits)


@pytest.mark.parametrize("frames", [1, 29, 45, 64])
def test_says_how_many_frames_it_needs(frames):
    with pytest.raises(ValueError, match=f"^PRGCN needs a multiple of 30 frames, got {frames};"):
        small()(torch.zeros(1, 2, frames, 13, 3))
