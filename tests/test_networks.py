"""Laws of the shelf of networks, and what they are built from."""

import inspect

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from skeldistill import layouts, networks
from skeldistill.layouts import PENN13
from skeldistill.networks import Network
from skeldistill.networks.blocks import Dropout, Pointwise, pointwise

shelf = pytest.mark.parametrize("name", networks.SHELF)


def made(name: str, layout=PENN13, **options) -> Network:
    """A network of the shelf, as narrow as it can be."""
    part = networks.find(name)
    if "width" in inspect.signature(part).parameters:
        options = {"width": 0.125, **options}
    return part(layout, **{"classes": 5, "persons": 2, **options})


def seasoned(network: Network) -> Network:
    """Not quite as it starts, where gates may be closed and ReLUs of few channels dead."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = 1.0  # normalise by these very clips
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.1 * (weight.numel() == 1)
        network.train()(batch(network))
    return network


def batch(network: Network, n=2, t=8) -> Tensor:
    """Clips of t frames, or of the next number that the network takes."""
    t = next(count for count in network.frame_counts if count >= t)
    shape = (n, network.persons, t, network.layout.num_joints, network.channels)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


# ---------------------------------------------------------------- laws of every network


@pytest.mark.parametrize("layout", layouts.SHELF.values(), ids=list(layouts.SHELF))
@pytest.mark.parametrize(("persons", "channels"), [(1, 2), (2, 3)])
@shelf
def test_works_on_every_layout(name, layout, persons, channels):
    network = made(name, layout, persons=persons, channels=channels).eval()
    with torch.no_grad():
        clips = batch(network)
        said = network(clips)
    frames = -(-clips.shape[2] // network.temporal_stride)
    assert said.logits.shape == (2, 5)
    assert said.features.shape == (
        2,
        persons,
        network.feature_channels,
        frames,
        layout.num_joints if network.keeps_joints else 1,
    )
    assert said.present.shape == (2, persons, frames)
    assert said.present.all()
    assert said.logits.isfinite().all()
    assert (said.features >= network.lowest_feature).all()


@shelf
def test_blanks_are_nothing_but_blanks(name):
    network = seasoned(made(name)).eval()
    clips = batch(network)
    before, nothing = clips.clone(), torch.zeros(clips.shape[2:4], dtype=torch.bool)
    with torch.no_grad():
        whole, empty = network(clips), network.with_blanks(clips, ~nothing)
        torch.testing.assert_close(network.with_blanks(clips, nothing).logits, whole.logits)
    assert torch.equal(clips, before)
    assert empty.logits.isfinite().all()
    assert not empty.present.any()


@pytest.mark.parametrize("t", [1, 2, 5, 12])
@shelf
def test_any_number_of_frames(name, t):
    network = made(name).eval()
    with torch.no_grad():
        clips = batch(network, t=t)
        said = network(clips)
    assert said.features.shape[3] == -(-clips.shape[2] // network.temporal_stride)


@shelf
def test_a_wrong_number_of_frames_is_one_clear_line(name):
    network = made(name)
    counts = network.frame_counts
    for t in {counts.start - 1, counts.start + counts.step - 1} - {0, *counts[:2]}:
        with pytest.raises(ValueError, match=rf"{name} needs .* frames, got {t}") as error:
            network.check(torch.zeros(1, 2, t, 13, 3))
        assert "\n" not in str(error.value)


@shelf
def test_every_parameter_gets_a_gradient(name):
    torch.manual_seed(1)
    network = seasoned(made(name)).eval()  # in training, normalisation takes away what biases add
    said = network(batch(network))
    functional.cross_entropy(said.logits, torch.tensor([1, 3])).backward()
    for parameter, weight in network.named_parameters():
        assert weight.grad is not None, parameter
        assert weight.grad.isfinite().all(), parameter
        assert weight.grad.abs().max() > 0, parameter
    network.zero_grad()
    made_again = network.train()(batch(network))
    functional.cross_entropy(made_again.logits, torch.tensor([1, 3])).backward()
    assert all(weight.grad is not None for weight in network.parameters())


@shelf
def test_clips_of_a_batch_do_not_see_each_other(name):
    network = made(name).double().eval()
    clips = batch(network, n=3).double()
    with torch.no_grad():
        whole, alone = network(clips), network(clips[1:2])
    for ours, theirs in zip(whole, alone, strict=True):
        torch.testing.assert_close(ours[1:2], theirs)


@shelf
def test_absent_persons_are_said_to_be_absent(name):
    network = made(name).eval()
    clips = batch(network, t=4 * network.temporal_stride)
    clips[0, 1] = 0
    clips[1, :, clips.shape[2] // 2 :] = 0
    present = network(clips).present
    assert present[0, 0].all()
    assert not present[0, 1].any()
    assert not present[1, :, -1].any()


@shelf
def test_the_seed_decides_the_weights(name):
    networks_made = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        networks_made.append(made(name).state_dict())
    first, again, other = networks_made
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        ((2, 1, 8, 13, 3), "(persons, joints, channels) (2, 13, 3) for layout 'penn13', got (1,"),
        ((2, 2, 8, 17, 3), "got (2, 17, 3)"),
        ((2, 2, 8, 13, 2), "got (2, 13, 2)"),
        ((2, 8, 13, 3), "got shape (2, 8, 13, 3)"),
        ((0, 2, 8, 13, 3), "0 clips"),
        ((2, 2, 0, 13, 3), "0 frames"),
    ],
)
@shelf
def test_a_wrong_shape_is_one_clear_line(name, shape, said):
    network = made(name)
    with pytest.raises(ValueError, match=r"expects|got") as error:
        network.check(torch.zeros(shape))
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    if len(shape) == 5:
        with pytest.raises(ValueError, match=r"expects|got"):
            network(torch.zeros(shape))


@shelf
def test_tells_how_it_was_made(name):
    network = made(name)
    again = networks.find(name)(network.layout, **network.options())
    assert again.options() == network.options()
    ours, theirs = network.state_dict(), again.state_dict()
    assert {k: v.shape for k, v in ours.items()} == {k: v.shape for k, v in theirs.items()}


@shelf
def test_official_names_lead_to_every_tensor(name):
    network = made(name)
    assert set(network.official_names().values()) == set(network.state_dict())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@shelf
def test_can_be_exported(name):
    network = made(name).double().eval()  # an export may order its sums otherwise
    clips = batch(network).double()
    exported = torch.export.export(network, (clips,)).module()
    with torch.no_grad():
        for ours, theirs in zip(network(clips), exported(clips), strict=True):
            torch.testing.assert_close(ours, theirs)


@shelf
def test_half_precision_stays_near(name):
    torch.manual_seed(0)
    network = made(name).eval()
    clips = batch(network)
    with torch.no_grad():
        exact = network(clips).features
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(clips).features
    if name == "ResTCN" and not convolves_eight_channels_in_bfloat16():
        pytest.skip("PyTorch computes (1, 8) convolutions of 8 channels wrongly here in bfloat16")
    assert (exact - rough).abs().max() < 0.05 * exact.abs().max()


def convolves_eight_channels_in_bfloat16() -> bool:
    """Not so where a processor has AMX (PyTorch 2.13, oneDNN): it is not a matter of rounding."""
    layer, x = nn.Conv2d(8, 8, (1, 8)), torch.randn(2, 8, 1, 15)
    with torch.no_grad():
        exact = layer(x)
        with torch.autocast("cpu", torch.bfloat16):
            return bool((layer(x) - exact).abs().max() < 0.1 * exact.abs().max())


def test_a_frozen_part_stays_in_evaluation_mode():
    network = made("STGCN")
    network.blocks.requires_grad_(False)
    network.train()
    assert network.training
    assert network.normalisation.training
    assert not any(module.training for module in network.blocks.modules())
    network.blocks.requires_grad_(True)
    assert network.train().blocks.training


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'STGCN'"):
        networks.find("stgc")


# ---------------------------------------------------------------- blocks


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_pointwise_layer_mixes_the_channels_of_every_stride_th_frame(stride):
    torch.manual_seed(0)
    layer = Pointwise(8, 16, stride)  # of 3 images: where PyTorch's own stride breaks memory
    x = torch.randn(3, 8, 13, 8).permute(0, 3, 1, 2).requires_grad_()
    mixed = layer(x)
    for frame in range(0, 8, stride):
        expected = torch.einsum("bcv,dc->bdv", x[:, :, frame], layer.weight[:, :, 0, 0])
        torch.testing.assert_close(mixed[:, :, frame // stride], expected + layer.bias[:, None])
    mixed.sum().backward()
    expected = layer.weight.sum(dim=(0, 2, 3))[:, None] * (torch.arange(8) % stride == 0)
    torch.testing.assert_close(x.grad, expected[None, :, :, None].expand_as(x))


@pytest.mark.parametrize("shape", [(2, 9, 8, 5), (9, 2, 8, 5)], ids=["frames", "persons"])
def test_pointwise_is_one_function_in_training_and_evaluation(shape):
    """Whatever is fastest: a matrix product, frames as images, persons as images."""
    torch.manual_seed(0)
    x = torch.randn(shape).permute(0, 3, 1, 2)
    weight, bias = torch.randn(7, 5, 1, 1), torch.randn(7)
    expected = functional.conv2d(x.contiguous(), weight, bias)
    torch.testing.assert_close(pointwise(x, weight, bias), expected)
    with torch.inference_mode():
        torch.testing.assert_close(pointwise(x, weight, bias), expected)


# ---------------------------------------------------------------- dropout


@pytest.mark.parametrize("probability", [0.2, 0.5, 0.9])
def test_dropout_loses_the_share_and_keeps_the_mean(probability):
    torch.manual_seed(0)
    dropout = Dropout(probability)
    x = torch.ones(4, 32, 25, 33)
    lost = dropout(x)
    kept = (lost != 0).float().mean().item()
    assert kept == pytest.approx(1 - probability, abs=0.01)
    assert lost.mean().item() == pytest.approx(1, abs=0.02)
    assert lost.unique().numel() == 2
    for axis in range(4):  # no axis decides alone
        others = [a for a in range(4) if a != axis]
        assert (lost.mean(dim=others) - 1).abs().max() < 0.5
    assert not torch.equal(lost, dropout(x))


def test_dropout_repeats_under_a_seed_and_rests_in_evaluation():
    dropout, x = Dropout(0.5), torch.randn(2, 3, 5, 7)
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        drawn.append(dropout(x))
    assert torch.equal(*drawn)
    assert dropout.eval()(x) is x
    assert Dropout(0.0)(x) is x
