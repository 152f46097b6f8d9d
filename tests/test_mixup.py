"""Clips mixed in pairs: both views alike, judged by both actions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from stores import named, small_experiment, small_store
from torch.nn import functional

from skeldistill import networks, recipe
from skeldistill.data.batch import Batch
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import Clips
from skeldistill.distillation.distill import Distiller
from skeldistill.layouts import PENN13
from skeldistill.losses import KL, SoftmaxTask
from skeldistill.recipe import LossTerm, Sampling
from skeldistill.training.experiment import run


@pytest.fixture
def batch():
    """Five clips, the third and the fifth without a match; all values tell the clip."""
    clips = torch.arange(5)
    matched = torch.tensor([True, True, False, True, False])
    return Batch(
        joints=(10.0**clips).view(5, 1, 1, 1, 1).expand(5, 1, 4, 13, 3),
        labels=clips % 3,
        clips=clips,
        teacher_joints=(-(10.0 ** clips[matched])).view(3, 1, 1, 1, 1).expand(3, 1, 4, 13, 3),
        matched=matched,
    )


@pytest.mark.parametrize("seed", range(5))
def test_both_views_are_mixed_alike(batch, seed):
    mixed = batch.mixed(0.4, np.random.default_rng(seed))
    rng = np.random.default_rng(seed)
    drawn, other = rng.beta(0.4, 0.4), rng.permutation(5)
    weight = max(drawn, 1 - drawn)
    assert mixed.weight == weight >= 0.5
    values = 10.0 ** torch.arange(5)
    wanted = weight * values + (1 - weight) * values[other]
    torch.testing.assert_close(mixed.joints[:, 0, 0, 0, 0], wanted)
    assert mixed.second_labels.tolist() == [o % 3 for o in other]
    pairs = [i for i in range(5) if batch.matched[i] and batch.matched[other[i]]]
    assert mixed.matched.tolist() == [i in pairs for i in range(5)]
    torch.testing.assert_close(mixed.teacher_joints[:, 0, 0, 0, 0], -wanted[pairs])
    assert torch.equal(mixed.labels, batch.labels)


def test_some_of_a_mixed_batch_keep_their_second_actions_and_matches(batch):
    mixed = batch.mixed(0.4, np.random.default_rng(1))
    parts = [mixed.some(slice(0, 2)), mixed.some(slice(2, 5))]
    for name in ("joints", "second_labels", "matched", "teacher_joints"):
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined, getattr(mixed, name))
    assert all(part.weight == mixed.weight for part in parts)


def test_the_task_is_both_actions_each_by_its_share(batch):
    network = networks.find("STGCN")(PENN13, classes=3, persons=1, width=0.125, dropout=0.0)
    teacher = networks.find("STGCN")(PENN13, classes=3, persons=1, width=0.125)
    terms = {"KL": (LossTerm(name="KL"), KL())}
    distiller = Distiller(network, SoftmaxTask(), teacher, terms)
    mixed = replace(batch.mixed(0.4, np.random.default_rng(0)), weight=0.7)
    said, task, said_by = distiller(mixed, 0)
    each = functional.cross_entropy(said.logits, mixed.labels)
    second = functional.cross_entropy(said.logits, mixed.second_labels)
    torch.testing.assert_close(task, 0.7 * each + 0.3 * second)
    with torch.no_grad():
        target = teacher(mixed.teacher_joints).logits.log_softmax(dim=1)
    estimate = said.logits[mixed.matched].log_softmax(dim=1)
    by_hand = (target.exp() * (target - estimate)).sum(dim=1).mean()
    torch.testing.assert_close(said_by["KL"], by_hand)


def examples(tmp_path, **sampling):
    store = small_store(tmp_path / "s.arrow", named(10, "train"))
    rows = np.arange(10)
    side = Side(store=store, sampling=Sampling(frames=4, **sampling))
    clips = Clips(rows=rows, teacher_rows=rows, labels=store.labels[rows])
    return Examples(clips=clips, student=side, teacher=side)


def test_an_epoch_is_mixed_by_its_seed_and_testing_never(tmp_path):
    mixing = examples(tmp_path, mixup=0.4)
    first, again = (list(mixing.training(4, seed=1, epoch=2)) for _ in range(2))
    assert all(
        torch.equal(a.joints, b.joints) and a.weight == b.weight
        for a, b in zip(first, again, strict=True)
    )
    assert len({one.weight for one in first}) == len(first)
    assert all(torch.equal(one.joints, one.teacher_joints) for one in first)
    assert all(one.second_labels is None and one.weight == 1 for one in mixing.testing(4))


def test_processes_share_a_mixed_batch(tmp_path):
    mixing = examples(tmp_path, mixup=0.4, noise=0.1)
    whole = next(mixing.training(8, seed=0, epoch=0))
    halves = [
        next(mixing.training(8, seed=0, epoch=0, share=lambda _, half=half: half))
        for half in (slice(0, 4), slice(4, 8))
    ]
    assert torch.equal(torch.cat([half.joints for half in halves]), whole.joints)
    assert torch.equal(torch.cat([half.second_labels for half in halves]), whole.second_labels)


def test_a_student_learns_from_mixed_clips(tmp_path):
    said = small_experiment(tmp_path, ["teacher", "SKD"])
    said["sampling"]["mixup"] = 0.4
    results = run(recipe.parse(said), tmp_path / "run")
    terms = results["methods"][1]["curves"][0]["epochs"][0]["terms"]
    assert set(terms) == {"task", "KL", "node", "edge"}


@pytest.mark.parametrize(
    ("methods", "student", "refused"),
    [
        (["teacher", "PLKD"], "STGCN", "PartContrastive must know one; .*method 'PLKD'"),
        (["teacher", "GlobalMSC"], "STGCN", "GlobalContrastive must know one"),
        (["low"], "RankPooling", "RankPooling must know one; .*method 'low'"),
    ],
)
def test_who_must_know_one_action_refuses_mixed_clips(tmp_path, methods, student, refused):
    said = small_experiment(tmp_path, methods)
    said["sampling"]["mixup"] = 0.4
    said["student"] = {"name": student}
    with pytest.raises(ValueError, match=refused):
        run(recipe.parse(said), tmp_path / "run")
    assert not (tmp_path / "run" / "results.json").exists()
