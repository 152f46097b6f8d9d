"""PE-GCN: the official numbers before and after the GRU, its losses and its noise."""

from functools import partial

import golden_networks
import golden_rule
import pytest
import torch
from torch.nn import functional

from skeldistill.checkpoint import freeze_all_but_head, load_official
from skeldistill.cost import parameters
from skeldistill.layouts import NTU25, PENN13
from skeldistill.networks import PEGCN
from skeldistill.networks.pegcn import coding_loss, pooled, with_noisy_joints


@pytest.fixture(scope="module")
def official() -> PEGCN:
    network = PEGCN(NTU25, classes=60, persons=2, across_batch=True).eval()
    state = golden_networks.weights(golden_rule.read("pegcn"))
    assert load_official(network, state).complete
    return network.double()


def small(**options) -> PEGCN:
    torch.manual_seed(0)
    return PEGCN(PENN13, classes=4, width=0.125, **options).eval()


def test_equals_the_authors_network():
    golden = golden_rule.read("pegcn")
    network = PEGCN(NTU25, classes=60, persons=2, across_batch=True)
    golden_networks.is_the_authors_graph(network.encoder.adjacency, golden)
    assert parameters(network) == golden["parameter_count"]["trainable"]
    state, clips = golden_networks.weights(golden), golden_networks.joints(golden)
    after = {**golden, "outputs": {"logits": golden["outputs"]["logits_after_gru"]}}
    after["tolerance_fp32"] = {"logits": golden["tolerance_fp32"]["logits_after_gru"]}
    golden_networks.equals_the_authors(network, after, state, clips)
    expected = torch.tensor(golden["outputs"]["logits"], dtype=torch.float64)
    with torch.no_grad():
        before = network.encoder(clips.double())
        torch.testing.assert_close(before.logits, expected, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(network.score(pooled(before)), expected, rtol=1e-6, atol=1e-6)
        single = network.float().encoder(clips).logits
    assert (single - expected).abs().max() < golden["tolerance_fp32"]["logits"]


def test_takes_the_authors_two_files():
    golden = golden_rule.read("pegcn")
    state = golden_networks.weights(golden)
    files = {name.split(".", 1)[1]: tensor for name, tensor in state.items()}
    network = PEGCN(NTU25, classes=60)
    assert load_official(network, files).complete


def test_one_person_alone_is_as_the_authors_see_a_clip_alone(official):
    features = torch.randn(3, 1, 256, dtype=torch.float64)
    alone = [official.predict(clip[None]) for clip in features]
    official.across_batch = False
    whole = official.predict(features)
    official.across_batch = True
    torch.testing.assert_close(whole, torch.cat(alone))


@pytest.mark.parametrize("across_batch", [True, False])
def test_clips_depend_on_those_before_them_only_if_asked(across_batch):
    network = small(across_batch=across_batch).double()
    clips = torch.randn(3, 2, 4, 13, 3, dtype=torch.float64)
    with torch.no_grad():
        whole, last = network(clips).logits[2], network(clips[2:]).logits[0]
    assert torch.allclose(whole, last, rtol=1e-9, atol=1e-12) is not across_batch


def test_runs_over_stgcn_too():
    network = small(backbone="STGCN")
    said = network(torch.randn(2, 2, 8, 13, 3))
    assert said.logits.shape == (2, 4)
    with pytest.raises(ValueError, match="did you mean 'STGCN'"):
        PEGCN(PENN13, classes=2, backbone="STGNC")


def test_only_the_head_learns_when_the_rest_is_frozen():
    network = small()
    freeze_all_but_head(network)
    learned = [name for name, weight in network.named_parameters() if weight.requires_grad]
    assert learned == ["encoder.classifier.weight", "encoder.classifier.bias"]


def test_coding_loss_by_naive_loops():
    predicted, encoded = torch.randn(3, 2, 5), torch.randn(3, 2, 5)
    total = 0.0
    for m in range(2):
        for i in range(3):
            for j in range(3):
                score = torch.sigmoid(predicted[i, m] @ encoded[j, m])
                total += -torch.log(score if i == j else 1 - score).item()
    assert coding_loss(predicted, encoded).item() == pytest.approx(total / 18, rel=1e-5)


def test_its_losses_are_the_authors_four():
    network = small().double()
    clean = torch.randn(3, 2, 4, 13, 3, dtype=torch.float64)
    noisy = with_noisy_joints(clean, torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 3, 1])
    judge = partial(functional.cross_entropy, target=labels)
    said = network.denoise(clean, noisy, judge)
    losses = dict(said.losses)
    assert list(losses) == ["clean", "noisy", "coding"]
    for ours, alone in zip(said[:3], network(noisy)[:3], strict=True):
        torch.testing.assert_close(ours, alone)
    torch.testing.assert_close(losses["clean"], judge(network.encoder(clean).logits))
    torch.testing.assert_close(losses["noisy"], judge(network.encoder(noisy).logits))
    features = (pooled(network.encoder(clips)) for clips in (noisy, clean))
    coding = 0.1 * coding_loss(network.predict(next(features)), next(features))
    torch.testing.assert_close(losses["coding"], coding)
    (judge(said.logits) + sum(losses.values())).backward()
    assert all(weight.grad is not None for weight in network.parameters())


def test_learns_from_noise_that_the_seed_decides():
    network, clips = small(), torch.randn(2, 2, 4, 13, 3)
    said = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        said.append(network.learn(clips, torch.tensor([0, 1]), torch.sum))
    assert torch.equal(said[0].logits, said[1].logits)
    assert not torch.equal(said[0].logits, said[2].logits)
    assert torch.equal(said[0].losses[0][1], said[2].losses[0][1])  # of the clean clips


def test_without_noise_it_has_no_losses():
    network, clips = small(noisy_joints=0), torch.randn(2, 2, 4, 13, 3)
    said = network.learn(clips, torch.tensor([0, 1]), torch.sum)
    assert said.losses == ()
    assert torch.equal(said.logits, network(clips).logits)
    for wrong in ({"noisy_joints": 14}, {"noisy_joints": -1}, {"coding_weight": -0.1}):
        with pytest.raises(ValueError, match=r"noisy_joints from 0 to 13 and coding_weight"):
            small(**wrong)


def test_noise_moves_one_to_five_joints_within_the_persons_range():
    clips = torch.randn(200, 2, 4, 13, 3, generator=torch.Generator().manual_seed(1))
    clips[:, 1, 2:] = 0
    noisy = with_noisy_joints(clips, torch.Generator().manual_seed(0))
    moved = (noisy != clips).flatten(4).any(dim=4)
    assert not moved[:, 1, 2:].any()
    assert torch.equal(moved[:, 0, 0], moved[:, 0, 3])
    assert set(moved[:, 0, 0].sum(dim=1).tolist()) == {1, 2, 3, 4, 5}
    assert (noisy <= clips.amax(dim=3, keepdim=True)).all()
    assert (noisy >= clips.amin(dim=3, keepdim=True)).all()
    again = with_noisy_joints(clips, torch.Generator().manual_seed(0))
    assert torch.equal(noisy, again)
    with pytest.raises(ValueError, match="between 1 and the 13 joints"):
        with_noisy_joints(clips, torch.Generator(), most=14)
