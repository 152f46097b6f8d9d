"""RA-GCN: the official numbers, a twin in the authors' order, its masks and how it begins."""

from functools import partial

import golden_networks
import golden_rule
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from skeldistill.checkpoint import carry_over, load_official
from skeldistill.layouts import NTU25, PENN13
from skeldistill.networks import RAGCN, adjacency
from skeldistill.networks.ragcn import activation, unseen

FRAMES = 32
"""Of the masks of the official numbers."""


def small(**options) -> RAGCN:
    torch.manual_seed(0)
    return RAGCN(PENN13, **{"classes": 4, "width": 0.125, "frames": 8, "dropout": 0.0} | options)


def official(streams: int) -> RAGCN:
    """Shown ready branches, and saying the features that are stored: those of the first stream."""
    network = RAGCN(NTU25, classes=60, frames=FRAMES, streams=streams, dropout=0.0)

    def first_stream(branches: Tensor):
        said = network.from_branches(branches)
        return said._replace(features=said.features[:, :, :256])

    network.forward = first_stream
    return network


def branches() -> Tensor:
    x = golden_rule.inputs(golden_rule.read("ra-gcn_3s"))["x"]
    return torch.from_numpy(x).unflatten(1, (3, 3))


def of_streams(state: dict[str, Tensor], streams: int) -> dict[str, Tensor]:
    """The first streams of an official state dict."""
    return {
        name: value
        for name, value in state.items()
        if not name[0].isalpha() or int(name.split(".")[1]) < streams
    }


# ---------------------------------------------------------------- official numbers


def test_equals_the_authors_network():
    golden, network = golden_rule.read("ra-gcn_3s"), official(3)
    golden_networks.is_the_authors_graph(network.adjacency, golden)
    state = golden_networks.weights(golden)
    golden_networks.equals_the_authors(network, golden, state, branches())
    with torch.no_grad():
        features = network.from_branches(branches().double()).features
        each = network.heads.each(features.mean(dim=(1, 3, 4)))
    for i, scores in enumerate(each):
        expected = torch.tensor(golden["outputs"][f"stream{i}"], dtype=torch.float64)
        torch.testing.assert_close(scores, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("streams", [1, 2])
def test_fewer_streams_say_what_they_say_among_three(streams):
    golden = golden_rule.read("ra-gcn_3s")
    network = official(streams).double().eval()
    state = of_streams(golden_networks.weights(golden), streams)
    assert load_official(network, state).complete
    with torch.no_grad():
        said = network(branches().double()).logits
    expected = sum(torch.tensor(golden["outputs"][f"stream{i}"]).double() for i in range(streams))
    torch.testing.assert_close(said, expected, rtol=1e-6, atol=2e-6)


@pytest.mark.parametrize(("streams", "size"), [(1, 2067158), (2, 4134316), (3, 6201474)])
def test_has_the_size_of_the_authors(streams, size):
    network = RAGCN(NTU25, classes=60, streams=streams)
    assert sum(weight.numel() for weight in network.parameters()) == size


def authors_order(state: dict[str, Tensor], x: Tensor, training: bool = False) -> Tensor:
    """The sum of the streams straight from the official state dict, without dropout."""
    layers = golden_networks.Layers(state, training)
    graph = torch.from_numpy(adjacency.distance(NTU25, 2)).to(x)
    x = x.flatten(1, 2)  # (n, c, t, v, m)
    n, c, t, v, m = x.shape
    total: Tensor | float = 0.0
    for stream in range(sum(name.endswith("fcn.bias") for name in state)):
        name = f"stgcn_stream.{stream}"
        y = x * state[f"mask_stream.{stream}"].view(t, v, m)
        y = layers.normalised(y.permute(0, 4, 3, 1, 2).reshape(n, m * v * c, t), f"{name}.data_bn")
        y = y.view(n, m, v, c, t).permute(0, 1, 3, 4, 2).reshape(n * m, c, t, v)
        for j in range(10):
            block, stride = f"{name}.st_gcn_networks.{j}", 2 if j in (4, 7) else 1
            links = graph * state[f"{name}.edge_importance.{j}"]
            z = layers.convolved(y, f"{block}.gcn.conv").unflatten(1, (3, -1))
            z = torch.einsum("nkctv,kvw->nctw", z, links).contiguous()
            z = functional.relu(layers.normalised(z, f"{block}.tcn.0"))
            z = layers.convolved(z, f"{block}.tcn.3", stride, 2)
            z = layers.normalised(z, f"{block}.tcn.4")
            y = functional.relu(z if j == 0 else z + residual(layers, y, block, stride))
        total = total + layers.classified(y, f"{name}.fcn", n)
    assert isinstance(total, Tensor)
    return total


def residual(layers: golden_networks.Layers, x: Tensor, block: str, stride: int) -> Tensor:
    return layers.down(x, f"{block}.residual", "0", "1", stride)


def test_training_equals_that_in_the_authors_order():
    torch.manual_seed(0)
    network = RAGCN(NTU25, classes=60, frames=8, streams=2, width=0.125, dropout=0.0)
    own = network.state_dict()
    state = {
        name: own[here] + 0.1 * torch.rand_like(own[here])
        for name, here in network.official_names().items()
        if here != "adjacency" and not here.endswith("tracked")
    }
    for name in state:  # the authors' classifier is a convolution
        if name.endswith("fcn.weight"):
            state[name] = state[name][:, :, None, None]
    network.forward = network.from_branches
    clips = branches()[:, :, :, :8].double()
    golden_networks.same_gradients(network, state, clips, classified_flat)


def classified_flat(state: dict[str, Tensor], x: Tensor, training: bool = False) -> Tensor:
    flat = {k: v.flatten(1) if k.endswith("fcn.weight") else v for k, v in state.items()}
    return authors_order(flat, x, training)


# ---------------------------------------------------------------- what it is shown


def test_branches_by_hand():
    network = small(persons=1)
    joints = torch.randn(2, 1, 4, 13, 3)
    shown = network.branches(joints)
    back = network.branches(joints).unflatten(4, (3, 3)).permute(0, 4, 5, 2, 3, 1)
    centre = network.layout.centre_index
    for t in range(4):
        for v in range(13):
            own = joints[:, 0, t, v]
            moved = joints[:, 0, t + 1, v] - own if t < 3 else torch.zeros(2, 3)
            expected = torch.cat([own, moved, own - joints[:, 0, t, centre]], dim=1)
            torch.testing.assert_close(shown[:, 0, t, v], expected)
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(network.from_branches(back).logits, network(joints).logits)
    with pytest.raises(ValueError, match=r"expects branches of shape .* \(3, 3, 13, 1\)"):
        network.from_branches(back[:, :2])
    assert RAGCN(NTU25, classes=2, width=0.125).centre == NTU25.index("spine_mid")


def test_masks_multiply_what_is_shown_at_their_frame_joint_and_person():
    network = small(streams=2).eval()
    clips = torch.randn(1, 2, 8, 13, 3)
    with torch.no_grad():
        for mask in network.masks:
            mask.view(8, 13, 2)[5, 7, 1] = 0
    assert torch.equal((network.mask(0, 8) == 0).nonzero(), torch.tensor([[1, 5, 7, 0]]))
    shown = network.branches(clips) * network.mask(0, 8)
    assert (shown == 0).all(dim=4).nonzero().tolist() == [[0, 1, 5, 7]]
    longer = (network.mask(0, 20) == 0).nonzero()  # frames 12.5 to 15 of 20
    assert longer[:, 1].tolist() == [13, 14]
    assert network(torch.randn(1, 2, 20, 13, 3)).logits.isfinite().all()


# ---------------------------------------------------------------- how it learns


def looked_at(features: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A softmax over all places of the mean activation, one after another."""
    n, m, c, s, v = features.shape
    seen = np.zeros((s, v, m))
    for place in np.ndindex(s, v, m):
        t, joint, person = place
        for clip in range(n):
            for channel in range(c):
                value = features[clip, person, channel, t, joint]
                seen[place] += weights[clip, channel] * value / n
    return np.exp(seen) / np.exp(seen).sum()


def test_activation_by_naive_loops():
    rng = np.random.default_rng(0)
    features, weights = rng.normal(size=(2, 2, 3, 2, 4)), rng.normal(size=(2, 3))
    seen = activation(torch.from_numpy(features), torch.from_numpy(weights))
    np.testing.assert_allclose(seen.numpy(), looked_at(features, weights), rtol=1e-10)


def test_what_is_looked_at_is_hidden_by_hand():
    seen = torch.tensor([0.75, 0.2, 0.05]).view(3, 1, 1)
    assert unseen(seen, 0.3, binary=True).flatten().tolist() == [0, 1, 1]
    expected = torch.tensor([0.25, 0.8, 0.95])
    torch.testing.assert_close(unseen(seen, 0.1, binary=False).flatten(), expected)
    torch.testing.assert_close(
        unseen(seen, 0.3, binary=False).flatten(), expected * seen.lt(0.7).flatten()
    )


@pytest.mark.parametrize(("threshold", "binary"), [(0.3, True), (0.1, False)])
def test_masks_hide_what_earlier_streams_look_at(threshold, binary):
    network = small(threshold=threshold, binary=binary).double()
    features = torch.randn(2, 2, network.feature_channels, 2, 13, dtype=torch.float64)
    parts = features.chunk(3, dim=2)
    for stream, place in ((0, (0, 5, 1)), (1, (1, 7, 0))):  # look hard at one place each
        weights = network.heads.weights(stream)[[1, 3]].detach()
        t, v, m = place
        parts[stream][:, m, :, t, v] = 30 * weights / weights.square().sum(dim=1, keepdim=True)
    network.renew_masks(features, torch.tensor([1, 3]), 8)
    assert (network.masks[0] == 1).all()
    expected = np.ones((2, 13, 2))
    for stream in (1, 2):
        weights = network.heads.weights(stream - 1)[[1, 3]].detach().numpy()
        rest = 1 - looked_at(parts[stream - 1].detach().numpy(), weights)
        expected = expected * np.where(rest > threshold, 1 if binary else rest, 0)
        found = network.masks[stream].detach().view(8, 13, 2).numpy()
        np.testing.assert_allclose(found, expected.repeat(4, axis=0), rtol=1e-9)
        assert (found == 0).sum() == 4 * stream  # one place of a strided frame each


def test_a_step_of_training_judges_every_stream_and_renews_the_masks():
    network = small(threshold=1.0)  # hides all that is looked at in the least
    clips, labels = torch.randn(3, 2, 8, 13, 3), torch.tensor([0, 3, 1])
    judge = partial(functional.cross_entropy, target=labels)
    network.train()(clips)
    assert all((mask == 1).all() for mask in network.masks)
    said = network.learn(clips, labels, judge)
    assert [name for name, _ in said.losses] == ["stream_1", "stream_2", "stream_3"]
    each = network.heads.each(said.features.mean(dim=(1, 3, 4)))
    torch.testing.assert_close(sum(each), said.logits)
    for (_, value), scores in zip(said.losses, each, strict=True):
        torch.testing.assert_close(value, judge(scores))
    assert [int((mask == 1).sum()) for mask in network.masks] == [208, 0, 0]
    (judge(said.logits) + sum(value for _, value in said.losses)).backward()  # with the old masks
    assert all(weight.grad is not None for weight in network.parameters())
    assert small(stream_losses=False).learn(clips, labels, judge).losses == ()
    assert len(small(streams=1).learn(clips, labels, judge).losses) == 1


def test_all_streams_begin_as_copies_of_a_trained_one():
    one, three = small(streams=1), small(streams=3, frames=8)
    with torch.no_grad():
        for weight in one.parameters():
            weight += 1
    assert carry_over(one, three) == ("masks.1", "masks.2")
    names = [name for name in one.state_dict() if name.startswith(("networks.0.", "heads.0."))]
    ours, theirs = three.state_dict(), one.state_dict()
    for name in names:
        for stream in range(3):
            assert torch.equal(ours[name.replace(".0.", f".{stream}.", 1)], theirs[name]), name
    assert (three.masks[0] == 2).all()
    assert (three.masks[1] == 1).all()
    assert carry_over(three, small(streams=3)) == ()


@pytest.mark.parametrize("wrong", [{"streams": 0}, {"frames": 0}, {"threshold": 1.5}])
def test_wrong_options_are_one_line(wrong):
    with pytest.raises(ValueError, match=r"^RAGCN needs streams and frames of at least 1 and thre"):
        small(**wrong)
