"""Folding batch norms: the same network, with fewer layers."""

import copy

import pytest
import torch
from test_networks import batch, made, seasoned
from torch import Tensor, nn

from skeldistill import networks
from skeldistill.deploy.folding import FoldedGraphConvolution, folded
from skeldistill.layouts import PENN13
from skeldistill.networks import Network
from skeldistill.networks.blocks import GraphConvolution
from skeldistill.prediction import Prediction, presence


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


@pytest.mark.parametrize("name", networks.SHELF)
def test_a_folded_network_says_the_same(name):
    torch.manual_seed(0)
    network = made(name)
    if network.closed_form_passes == 0:
        seasoned(network)
    network.double()
    before = copy.deepcopy(network.state_dict())
    training = network.training
    lean = folded(network)
    assert network.training is training
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key
    clips = batch(network).double()
    with torch.no_grad():
        ours, theirs = lean(clips), network.eval()(clips)
    assert not lean.training
    assert type(lean) is type(network)
    torch.testing.assert_close(ours.logits, theirs.logits, rtol=1e-9, atol=1e-9)
    scale = theirs.features.abs().max()
    torch.testing.assert_close(ours.features / scale, theirs.features / scale, rtol=1e-9, atol=1e-9)
    assert norms(lean) <= norms(network)


@pytest.mark.parametrize("name", ["STGCN", "STsGCN", "ST2sGCN", "LiveGCN"])
def test_every_batch_norm_behind_a_convolution_goes(name):
    network = made(name)
    assert norms(network) > 0
    assert norms(folded(network)) == 0


def test_a_folded_graph_convolution_is_the_sum_over_neighbours():
    torch.manual_seed(0)
    layer, adjacency = GraphConvolution(3, 4, 2).double(), torch.rand(2, 5, 5).double()
    factor, shift = torch.randn(4).double(), torch.randn(4).double()
    lean = FoldedGraphConvolution(layer, adjacency)
    lean.scale(factor, shift)
    x = torch.randn(2, 3, 6, 5).double()
    weight = layer.convolution.weight.view(2, 4, 3)
    bias = layer.convolution.bias.view(2, 4)
    expected = torch.zeros(2, 4, 6, 5).double()
    for w in range(5):
        for d in range(4):
            for k in range(2):
                for v in range(5):
                    mixed = (weight[k, d, None, :, None] * x[:, :, :, v][:, None]).sum(dim=2)[:, 0]
                    expected[:, d, :, w] += adjacency[k, v, w] * (mixed + bias[k, d])
    expected = expected * factor[:, None, None] + shift[:, None, None]
    torch.testing.assert_close(lean(x, torch.zeros(2, 5, 5)), expected)


class Small(Network):
    """Convolutions whose batch norms must stay: one is shared, one sees what others see too."""

    temporal_stride = 1

    def __init__(self) -> None:
        super().__init__(PENN13, classes=2, persons=1, channels=3)
        self.plain, self.plain_norm = (
            nn.Conv2d(3, 4, 1, bias=False),
            nn.BatchNorm2d(4, affine=False),
        )
        self.twice, self.twice_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.seen, self.seen_norm, self.other = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.ReLU()
        self.feature_channels = 4
        self.classifier = nn.Linear(4, 2)

    def forward(self, joints: Tensor) -> Prediction:
        x = self.plain_norm(self.plain(joints[:, 0].permute(0, 3, 1, 2)))
        x = self.twice_norm(self.twice(self.twice_norm(self.twice(x))))
        y = self.seen(x)
        x = self.seen_norm(y) + self.other(y)
        logits = self.classifier(x.mean(dim=(2, 3)))
        return Prediction(logits, x[:, None], presence(joints, x.shape[2]))


def test_large_maps_are_compared_by_their_size():
    """A score that was always 1 leaves a batch norm that magnifies whatever is not."""
    torch.manual_seed(0)
    network = networks.find("CTRGCN")(PENN13, classes=5, persons=1, width=0.5)
    joints = torch.randn(4, 1, 16, 13, 3)
    joints[..., 2] = 1
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()(joints)
    was, now = network.eval()(joints).logits, folded(network)(joints).logits
    torch.testing.assert_close(now, was, rtol=1e-3, atol=1e-3 * was.abs().max().item())


def test_what_is_used_twice_is_left_alone():
    torch.manual_seed(0)
    network = Small()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    lean = folded(network)
    assert isinstance(lean.plain_norm, nn.Identity)
    assert isinstance(lean.twice_norm, nn.BatchNorm2d)
    assert isinstance(lean.seen_norm, nn.BatchNorm2d)
    clips = batch(network)
    torch.testing.assert_close(lean(clips).logits, network.eval()(clips).logits)
