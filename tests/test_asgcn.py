"""AS-GCN: the official numbers of all three of its parts, its links, and a twin."""

from dataclasses import dataclass

import golden_networks
import golden_rule
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from skeldistill.checkpoint import load_official
from skeldistill.layouts import NTU25, PENN13
from skeldistill.networks import ASGCN, adjacency
from skeldistill.networks.asgcn_links import LinkEncoder, LinkLearner, Pairs, choose


def some_links(persons: int) -> Tensor:
    """Actional links of some persons, as if an encoder had found them."""
    generator = torch.Generator().manual_seed(1)
    return 0.08 * torch.rand(persons, 2, 25, 25, generator=generator, dtype=torch.float64)


class WithGivenLinks(ASGCN):
    def actional_links(self, joints: Tensor) -> Tensor:
        return some_links(joints.shape[0] * joints.shape[1]).to(joints)


# ---------------------------------------------------------------- official numbers


def test_equals_the_authors_network():
    golden = golden_rule.read("as-gcn")
    network = ASGCN(NTU25, classes=60, reconstruction=True).eval()
    golden_networks.is_the_authors_graph(network.adjacency, golden)
    links_size = sum(weight.numel() for weight in network.links.parameters())
    unused = 2 * network.adjacency.numel()  # the authors count them, but use them nowhere
    size = sum(weight.numel() for weight in network.parameters()) - links_size + unused
    assert size == golden["parameter_count"]["trainable"]
    state = golden_networks.weights(golden) | golden_networks.weights(
        golden_rule.read("as-gcn_adjlearn")
    )
    loaded = load_official(network, state)
    assert not loaded.missing
    assert all(name.startswith("decoder.") for name in loaded.unexpected)
    inputs = {name: torch.from_numpy(value) for name, value in golden_rule.inputs(golden).items()}
    clips = inputs["x"].permute(0, 4, 2, 3, 1).contiguous()
    assert torch.equal(inputs["x_last"][:, :, 0].permute(0, 3, 2, 1), clips[:, :, -1])
    expected = torch.tensor(golden["outputs"]["logits"], dtype=torch.float64)
    for precision, allowed in (
        (torch.float32, {"logits": 3.3e-4, "pred": 1.4e-3, "features": 5.5e-4}),
        (torch.float64, {"logits": 1.6e-5, "pred": 5e-5, "features": 1.4e-5}),  # 1e-6 of the most
    ):
        network.to(precision)
        links = inputs["A_act"].to(precision)
        with torch.no_grad():
            said = network.with_links(clips.to(precision), links)
            last = clips[:, :, -1].to(precision)
            future = network.reconstructed(said.features, last, links)
        assert (said.logits - expected).abs().max() < allowed["logits"]
        future = future[:, 0].permute(0, 3, 1, 2)  # of the first person, (n, c, f, v)
        is_stored(future, golden["outputs"]["pred"], allowed["pred"])
        features = said.features.flatten(0, 1)
        is_stored(features, golden["last_feature_map"], allowed["features"])


def is_stored(tensor: Tensor, golden: dict, allowed: float) -> None:
    assert list(tensor.shape) == golden["shape"]
    assert tensor.mean().item() == pytest.approx(golden["mean"], rel=1e-5)
    assert tensor.double().std(correction=0).item() == pytest.approx(golden["std"], rel=1e-5)
    some = torch.tensor(golden["flat_indices"])
    values = torch.tensor(golden["values"], dtype=torch.float64)
    assert (tensor.flatten()[some] - values).abs().max() < allowed


@pytest.mark.parametrize("precision", [torch.float32, torch.float64])
def test_equals_the_authors_link_learner(precision):
    golden = golden_rule.read("as-gcn_adjlearn")
    learner = LinkLearner(LinkEncoder(25, 150)).eval()
    size = sum(weight.numel() for weight in learner.parameters())
    assert size == golden["parameter_count"]["trainable"]
    names = learner.official_names()
    assert set(names.values()) == set(learner.state_dict())
    state = {names[k]: v for k, v in golden_networks.weights(golden).items()}
    assert all(
        name.endswith("tracked")
        for name in learner.load_state_dict(state, strict=False).missing_keys
    )
    learner.to(precision)
    inputs = {k: torch.from_numpy(v).to(precision) for k, v in golden_rule.inputs(golden).items()}
    joints = inputs["x"].permute(0, 4, 3, 2, 1).flatten(0, 1)
    with torch.no_grad():
        scores = learner.encoder(joints.flatten(2))
        chosen = choose(scores, inputs["gumbel_uniform"].view_as(scores))
        said = {
            "logits": scores,
            "prob": scores.softmax(dim=2),
            "A_batch": learner.encoder.pairs.graphs(chosen),
            "decoder": learner.decoder(joints, chosen),
        }
    assert chosen.sum(dim=(0, 1)).round().int().tolist() == golden["hard_sample"]["counts"]
    for name, tensor in said.items():
        exact = 1e-6 * golden["outputs"][name]["l2"] / 10
        allowed = exact if precision == torch.float64 else golden["tolerance_fp32"][name]
        is_stored(tensor, golden["outputs"][name], allowed)


# ---------------------------------------------------------------- links


def test_graphs_of_links_by_hand():
    pairs = Pairs(3)
    order = list(zip(pairs.senders.tolist(), pairs.receivers.tolist(), strict=True))
    assert order == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]
    types = torch.tensor([[1, 0, 2, 2, 0, 1]])
    graphs = pairs.graphs(functional.one_hot(types, 3).float())
    first = torch.tensor([[1.0, 1, 0], [0, 1, 0], [0, 1, 1]])  # [from, to], and the joint itself
    second = torch.tensor([[1.0, 0, 0], [1, 1, 1], [0, 0, 1]])
    expected = torch.stack([first / first.sum(dim=0), second / second.sum(dim=0)]) * 0.1
    torch.testing.assert_close(graphs[0], expected)


def test_pairs_join_and_receive_as_matrices_would():
    pairs, generator = Pairs(4), torch.Generator().manual_seed(0)
    joints = torch.randn(2, 4, 3, generator=generator)
    weight = torch.randn(5, 6, generator=generator)
    joined, received = pairs.joined(joints, weight), torch.zeros(2, 4, 5)
    place = 0
    for sender in range(4):
        for receiver in range(4):
            if sender != receiver:
                both = torch.cat([joints[:, receiver], joints[:, sender]], dim=1)
                torch.testing.assert_close(joined[:, place], both @ weight.t())
                received[:, receiver] += joined[:, place]
                place += 1
    torch.testing.assert_close(pairs.received(joined), received)


def test_types_are_drawn_as_often_as_their_scores_say():
    generator = torch.Generator().manual_seed(0)
    shares = torch.tensor([0.7, 0.2, 0.1])
    scores = shares.log().expand(4, 2000, 3)
    drawn = choose(scores, torch.rand(scores.shape, generator=generator))
    torch.testing.assert_close(drawn.mean(dim=(0, 1)), shares, atol=0.02, rtol=0)
    likeliest = choose(scores, None)
    assert (likeliest[..., 0] - 1).abs().max() < 1e-6
    scores = scores.clone().requires_grad_()
    choose(scores, None)[..., 1].sum().backward()  # chosen hard, learned softly
    assert (scores.grad[..., 1] > 0).all()


def test_evaluation_is_not_left_to_chance_but_training_is():
    torch.manual_seed(0)
    network = ASGCN(PENN13, classes=3, width=0.125, dropout=0.0)
    clips = torch.randn(2, 2, 8, 13, 3)
    with torch.no_grad():
        drawn = [network.train().actional_links(clips) for _ in range(2)]
        found = [network.eval().actional_links(clips) for _ in range(2)]
    assert not torch.equal(*drawn)
    assert torch.equal(*found)


def test_the_learner_teaches_the_networks_own_encoder():
    torch.manual_seed(0)
    network = ASGCN(PENN13, classes=3, width=0.25, link_frames=6, channels=2)
    learner = LinkLearner(network.links, channels=2, dropout=0.0)
    before = network.links.types.weight.clone()
    phase = torch.rand(8, 13, 1, 1)
    joints = torch.sin(torch.arange(6).view(1, 1, 6, 1) + phase).expand(-1, -1, -1, 2)
    losses = []
    for _ in range(10):
        loss = learner(joints)
        weights = [weight for weight in learner.parameters() if weight.requires_grad]
        gradients = torch.autograd.grad(loss, weights, allow_unused=True)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                if gradient is not None:  # of a message that is never told
                    weight -= 0.01 * gradient.sign()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    assert not torch.equal(before, network.links.types.weight)


def test_the_learners_loss_by_hand():
    torch.manual_seed(0)
    learner = LinkLearner(LinkEncoder(3, 8), channels=2).double().eval()
    joints = torch.randn(2, 3, 4, 2, dtype=torch.float64)
    uniform = torch.rand(2, 6, 3, dtype=torch.float64)
    scores = learner.encoder(joints.flatten(2))
    foretold = learner.decoder(joints, choose(scores, uniform))
    expected = ((foretold - joints[:, :, 1:]) ** 2 / (2 * 5e-4)).sum() / (2 * 3)
    for probability, prior in zip(scores.softmax(2).unbind(2), (0.95, 0.025, 0.025), strict=True):
        expected = expected + (probability * (probability / prior).log()).sum() / (2 * 3)
    torch.testing.assert_close(learner(joints, uniform), expected)


# ---------------------------------------------------------------- the network


@dataclass(frozen=True)
class Authors:
    """AS-GCN's recognition straight from the official state dict."""

    state: dict[str, Tensor]
    links: Tensor
    training: bool

    def normalised(self, x: Tensor, name: str) -> Tensor:
        kinds = ("running_mean", "running_var", "weight", "bias")
        mean, var, weight, bias = (self.state[f"{name}.{kind}"] for kind in kinds)
        return functional.batch_norm(x, mean, var, weight, bias, training=self.training)

    def convolved(self, x: Tensor, name: str, stride: int = 1, padding: int = 0) -> Tensor:
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        return functional.conv2d(x, weight, bias, (stride, 1), (padding, 0))

    def block(self, x: Tensor, i: int, stride: int) -> Tensor:
        name = f"class_layer_{i}"
        structure = torch.from_numpy(adjacency.spatial(NTU25, 4)).to(x)
        structure = structure * self.state[f"edge_importance.{i}"]
        y = self.convolved(x, f"{name}.gcn.conv").unflatten(1, (11, -1))
        y = torch.einsum("nkctv,kvw->nctw", y[:, :9], structure) + 0.5 * torch.einsum(
            "nkctv,nkvw->nctw", y[:, 9:], self.links
        )
        y = functional.relu(self.normalised(y.contiguous(), f"{name}.tcn.0"))
        y = self.normalised(self.convolved(y, f"{name}.tcn.2", stride, 4), f"{name}.tcn.3")
        if f"{name}.residual.0.weight" in self.state:
            x = self.convolved(x, f"{name}.residual.0", stride)
            x = self.normalised(x, f"{name}.residual.1")
        return functional.relu(y + x if i > 0 else y)


def authors_order(state: dict[str, Tensor], joints: Tensor, training: bool = False) -> Tensor:
    n, m, t, v, c = joints.shape
    authors = Authors(state, some_links(n * m).to(joints), training)
    x = joints.permute(0, 1, 3, 4, 2).reshape(n * m, v * c, t)
    x = authors.normalised(x, "data_bn").view(n * m, v, c, t).permute(0, 2, 3, 1).contiguous()
    for i in range(9):
        if i == 1:
            authors.block(x, i, 1)
        x = authors.block(x, i, 2 if i in (3, 6) else 1)
    pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
    weight = state["fcn.weight"].flatten(1)
    return functional.linear(pooled, weight, state["fcn.bias"])


def test_training_equals_that_in_the_authors_order():
    torch.manual_seed(0)
    network = WithGivenLinks(NTU25, classes=60, width=0.125, dropout=0.0)
    own = network.state_dict()
    state = {
        official: own[name].clone()
        for official, name in network.official_names().items()
        if not name.startswith("links.") and not name.endswith(("tracked", "adjacency"))
    }
    clips = torch.randn(2, 2, 9, 25, 3, dtype=torch.float64)
    golden_networks.same_gradients(network, state, clips, authors_order)


def test_recognises_clips_of_any_length_but_foretells_few():
    network = ASGCN(PENN13, classes=3, width=0.125, reconstruction=True).eval()
    assert network.frame_counts == range(257, 321)
    for frames in (256, 321):
        with pytest.raises(ValueError, match=f"needs 257 to 320 frames, got {frames}"):
            network(torch.zeros(1, 2, frames, 13, 3))
    clips = torch.randn(1, 2, 260, 13, 3)
    with torch.no_grad():
        said, future = network.forecast(clips)
        torch.testing.assert_close(said.logits, network(clips).logits)
    assert future.shape == (1, 2, 10, 13, 3)
    plain = ASGCN(PENN13, classes=3, width=0.125).eval()
    assert plain(clips[:, :, :7]).features.shape[3] == 2
    with pytest.raises(ValueError, match="make it reconstruction=True"):
        plain.forecast(clips)


def test_every_weight_of_the_head_learns():
    torch.manual_seed(0)
    network = ASGCN(PENN13, classes=3, width=0.125, reconstruction=True).eval()
    _, future = network.forecast(torch.randn(1, 2, 257, 13, 3))
    future.square().mean().backward()
    for name, weight in network.head.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.abs().max() > 0, name
    assert set(network.official_names().values()) == set(network.state_dict())


def never(scores: Tensor) -> Tensor:
    raise AssertionError("its own losses need no labels")


def test_learns_to_foretell_the_last_ten_frames_of_the_first_person():
    torch.manual_seed(0)
    network = ASGCN(PENN13, classes=3, width=0.125, reconstruction=True).eval()
    clips = torch.randn(2, 2, 270, 13, 3)
    labels = torch.tensor([0, 2])
    said = network.learn(clips, labels, never)
    past, foretold = network.forecast(clips[:, :, :260])
    torch.testing.assert_close(said.logits, past.logits)
    expected, count = 0.0, 0
    for n in range(2):
        for frame in range(10):
            error = foretold[n, 0, frame] - clips[n, 0, 260 + frame]
            expected, count = expected + error.square().sum().item(), count + 13 * 3
    assert said.losses[0][0] == "reconstruction"
    assert said.losses[0][1].item() == pytest.approx(0.01 * expected / count, rel=1e-4)
    for frames in (5, 266, 331):
        with pytest.raises(ValueError, match=f"267 to 330 frames in training.*got {frames};"):
            network.learn(torch.zeros(1, 2, frames, 13, 3), labels[:1], never)


def test_learns_its_links_beside_the_task_if_asked():
    torch.manual_seed(0)
    options = {"classes": 3, "width": 0.125, "link_frames": 6, "dropout": 0.0}
    network = ASGCN(PENN13, link_learning=True, **options).eval()
    assert set(network.official_names().values()) == set(network.state_dict())
    learner = LinkLearner(network.links).eval()
    learner.decoder = network.decoder
    clips = torch.randn(2, 2, 12, 13, 3)
    torch.manual_seed(1)
    said = network.learn(clips, torch.tensor([0, 2]), never)
    torch.manual_seed(1)
    expected = learner(clips[:, :, ::2].flatten(0, 1).transpose(1, 2))
    ((name, value),) = said.losses
    assert name == "links"
    torch.testing.assert_close(value, 0.001 * expected)
    value.backward()
    learned = {part.split(".")[0] for part, w in network.named_parameters() if w.grad is not None}
    assert learned == {"links", "decoder"}
    plain = ASGCN(PENN13, **options).eval()
    assert plain.learn(clips, torch.tensor([0, 2]), never).losses == ()
    with pytest.raises(ValueError, match="link_frames of at least 2 and"):
        ASGCN(PENN13, link_learning=True, **{**options, "link_frames": 1})
