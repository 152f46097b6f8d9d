"""Shift-GCN: both shifts by hand, the official numbers, and a twin in the authors' order."""

import math

import golden_networks
import golden_rule
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from skeldistill.checkpoint import load_official
from skeldistill.layouts import NTU25, PENN13
from skeldistill.networks import ShiftGCN
from skeldistill.networks.shiftgcn import (
    SignedGradient,
    round_the_joints,
    shifted_by_convolution,
    shifted_by_gathering,
)


def shifted_by_hand(x: Tensor, position: Tensor, stride: int) -> Tensor:
    """Frame by frame and channel by channel."""
    b, c, t, v = x.shape
    out = torch.zeros(b, c, -(-t // stride), v, dtype=x.dtype)
    for channel in range(c):
        for frame in range(out.shape[2]):
            place = frame * stride + position[channel].item()
            for source in (math.floor(place), math.floor(place) + 1):
                if 0 <= source < t:
                    share = 1 - abs(place - source)
                    out[:, channel, frame] += share * x[:, channel, source]
    return out


# ---------------------------------------------------------------- the shifts


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("frames", [1, 4, 9])
def test_temporal_shift_interpolates_between_frames(stride, frames):
    generator = torch.Generator().manual_seed(0)
    position = torch.tensor([0.0, 1.0, -1.0, 0.3, -0.7, 2.5, -3.2, 11.4], dtype=torch.float64)
    x = torch.randn(2, 8, frames, 3, generator=generator, dtype=torch.float64)
    expected = shifted_by_hand(x, position, stride)
    for reach in (12, 15):
        torch.testing.assert_close(shifted_by_convolution(x, position, stride, reach), expected)
    torch.testing.assert_close(shifted_by_gathering(x, position, stride), expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_both_forms_of_the_temporal_shift_learn_alike(stride):
    generator = torch.Generator().manual_seed(0)
    position = torch.tensor([0.3, -0.7, 1.6, -2.9], dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, 4, 6, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    for form in (
        lambda x, position: shifted_by_convolution(x, position, stride, 3),
        lambda x, position: shifted_by_gathering(x, position, stride),
    ):
        assert torch.autograd.gradcheck(form, (x, position), fast_mode=True)


def test_spatial_shift_goes_round_the_joints():
    joints, channels = 5, 12
    x = torch.arange(joints * channels)
    there = x[round_the_joints(joints, channels, 1)].view(joints, channels)
    for joint in range(joints):
        for channel in range(channels):
            assert there[joint, channel] == ((joint + channel) % joints) * channels + channel
    back = there.flatten()[round_the_joints(joints, channels, -1)]
    assert torch.equal(back, x)


def test_official_gradient_keeps_the_sign_alone():
    position = torch.zeros(3, requires_grad=True)
    (SignedGradient.apply(position) * torch.tensor([5.0, -0.001, 0.0])).sum().backward()
    torch.testing.assert_close(position.grad, torch.tensor([0.01, -0.01, 1e-4]))


def test_official_gradient_is_an_option_and_changes_nothing_else():
    clips = torch.randn(2, 2, 8, 13, 3, generator=torch.Generator().manual_seed(0))
    gradients = []
    for official in (False, True):
        torch.manual_seed(0)
        network = ShiftGCN(PENN13, classes=5, width=0.125, official_gradient=official)
        network.double().train()(clips.double()).logits[:, 3].sum().backward()
        gradients.append({name: weight.grad for name, weight in network.named_parameters()})
    plain, signed = gradients
    for name, gradient in plain.items():
        if name.endswith("position"):
            gradient = torch.where(gradient == 0, 1e-4, 0.01 * gradient.sign())
        torch.testing.assert_close(signed[name], gradient)


# ---------------------------------------------------------------- the network


def authors_order(state: dict[str, Tensor], joints: Tensor, training: bool = False) -> Tensor:
    """Shift-GCN straight from the official state dict."""

    def normalised(x: Tensor, name: str) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        return functional.batch_norm(x, mean, var, weight, bias, training=training)

    def convolved(x: Tensor, name: str, stride: int = 1) -> Tensor:
        return functional.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], (stride, 1))

    def shifted(x: Tensor, name: str, stride: int = 1) -> Tensor:
        place = torch.arange(0, x.shape[2], stride)[:, None] + state[f"{name}.ypos"]
        place = place + (0.5 if stride > 1 else 0)
        padded = functional.pad(x, (0, 0, 3, 3)).transpose(1, 2)  # three zeros on either side
        index = (place.floor().long() + 3)[None, :, :, None].expand(len(x), -1, -1, x.shape[3])
        share = (place - place.floor())[..., None]
        mixed = padded.gather(1, index) * (1 - share) + padded.gather(1, index + 1) * share
        return mixed.transpose(1, 2)

    def spatial(x: Tensor, name: str) -> Tensor:
        b, c, t, v = x.shape
        y = x.permute(0, 2, 3, 1).reshape(b * t, v * c)
        y = y.index_select(1, round_the_joints(v, c, 1)).view(b * t, v, c)
        y = y * (torch.tanh(state[f"{name}.Feature_Mask"]) + 1)
        y = torch.einsum("nwc,cd->nwd", y, state[f"{name}.Linear_weight"]).contiguous()
        y = (y + state[f"{name}.Linear_bias"]).view(b * t, -1)
        d = y.shape[1] // v
        y = normalised(y.index_select(1, round_the_joints(v, d, -1)), f"{name}.bn")
        y = y.view(b, t, v, d).permute(0, 3, 1, 2)
        down = x
        if f"{name}.down.0.weight" in state:
            down = normalised(convolved(x, f"{name}.down.0"), f"{name}.down.1")
        return functional.relu(y + down)

    n, m, t, v, c = joints.shape
    x = normalised(joints.permute(0, 1, 3, 4, 2).reshape(n, m * v * c, t), "data_bn")
    x = x.view(n, m, v, c, t).permute(0, 1, 3, 4, 2).reshape(n * m, c, t, v)
    for i in range(1, 11):
        tcn, stride = f"l{i}.tcn1", 2 if i in (5, 8) else 1
        y = normalised(spatial(x, f"l{i}.gcn1"), f"{tcn}.bn")
        y = convolved(shifted(y, f"{tcn}.shift_in"), f"{tcn}.temporal_linear")
        y = normalised(shifted(functional.relu(y), f"{tcn}.shift_out", stride), f"{tcn}.bn2")
        if f"l{i}.residual.conv.weight" in state:
            x = normalised(convolved(x, f"l{i}.residual.conv", stride), f"l{i}.residual.bn")
        x = functional.relu(y + x if i > 1 else y)
    pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
    return functional.linear(pooled, state["fc.weight"], state["fc.bias"])


def test_equals_the_authors_network():
    golden = golden_rule.read("shift-gcn")
    network = ShiftGCN(NTU25, classes=60, persons=2)
    unlearned = sum(buffer.numel() for name, buffer in network.named_buffers() if "across" in name)
    assert unlearned == 2816  # shifts across joints, which the authors count as learned
    golden["parameter_count"] = {"trainable": 693107 - unlearned}
    state, clips = golden_networks.weights(golden), golden_networks.joints(golden)
    golden_networks.equals_the_authors(network, golden, state, clips)


def test_shifts_are_the_authors():
    golden = golden_rule.read("shift-gcn")
    network = ShiftGCN(NTU25, classes=60)
    own, names = network.state_dict(), network.official_names()
    for constant in golden["graph_constants"]:
        for official in constant["names"]:
            index = own[names[official]]
            assert list(index.shape) == constant["shape"]
            assert index[:6].tolist() == constant["first"]
            assert (index * torch.arange(1, len(index) + 1)).sum() == constant["weighted"]


def test_training_equals_that_in_the_authors_order():
    torch.manual_seed(0)
    network = ShiftGCN(NTU25, classes=60, width=0.25)
    own = network.state_dict()
    state = {
        official: own[name].clone()
        for official, name in network.official_names().items()
        if own[name].is_floating_point() and not official.endswith("xpos")
    }
    clips = torch.randn(2, 2, 12, 25, 3, dtype=torch.float64)
    golden_networks.same_gradients(network, state, clips, authors_order)


def test_official_shifts_replace_its_own():
    network = ShiftGCN(PENN13, classes=3, width=0.125)
    other = torch.arange(13 * 8).flip(0)
    loaded = load_official(network, {"l2.gcn1.shift_in": other})
    assert loaded.mapped == ("l2.gcn1.shift_in",)
    assert torch.equal(network.blocks[1].spatial.shift_in, other)


@pytest.mark.parametrize("position", [float("nan"), float("inf")])
def test_positions_that_are_no_numbers_come_as_far_as_training_looks(position):
    network = ShiftGCN(PENN13, classes=3, width=0.125)
    with torch.no_grad():
        network.get_parameter("blocks.1.temporal.shift_in.position")[3] = position
    network(torch.randn(2, 2, 16, 13, 3))  # whoever trains looks at weights and losses


@pytest.mark.parametrize(
    ("shift", "position"),
    [
        ("blocks.4.temporal.shift_out", -7.3),
        # beyond the clip, where nothing is seen
        ("blocks.1.temporal.shift_in", 16.0),
        ("blocks.1.temporal.shift_in", -40.5),
        ("blocks.1.temporal.shift_in", 1e9),
    ],
)
def test_shifts_that_learned_to_be_long_reach_as_far(shift, position):
    torch.manual_seed(0)
    network = ShiftGCN(PENN13, classes=3, width=0.125).double().eval()
    clips = torch.randn(1, 2, 16, 13, 3, dtype=torch.float64)
    exported = torch.export.export(network, (clips,)).module()  # gathers, whatever the reach
    with torch.no_grad():
        for module in (network, exported):
            module.get_parameter(f"{shift}.position")[3] = position
        torch.testing.assert_close(network(clips).logits, exported(clips).logits)


@pytest.mark.parametrize("frames", [6, 30])
def test_frames_come_in_fours(frames):
    network = ShiftGCN(PENN13, classes=3, width=0.125)
    with pytest.raises(ValueError, match=f"needs a multiple of 4 frames, got {frames}"):
        network(torch.zeros(1, 2, frames, 13, 3))
