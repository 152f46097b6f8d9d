"""Clips whose action is not known: whom they teach, and how."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from stores import named, small_experiment, small_store
from torch.nn import functional

from skeldistill import recipe
from skeldistill.clip import UNLABELLED
from skeldistill.data.batch import Batch
from skeldistill.data.comparing import compare
from skeldistill.data.pairing import (
    SOLITARY,
    evaluation_clips,
    match,
    teacher_clips,
    training_clips,
)
from skeldistill.distillation.distill import Distiller
from skeldistill.distillation.knowledge import share_knowledge
from skeldistill.layouts import PENN13
from skeldistill.losses import find as find_loss
from skeldistill.losses.kl import divergence
from skeldistill.losses.part_features import part_features
from skeldistill.networks.stgcn import ST2sGCN
from skeldistill.prediction import Prediction
from skeldistill.recipe import Data, Fold, LossTerm, View
from skeldistill.robustness.sweep import sweep
from skeldistill.training.examples import examples_of, teacher_examples
from skeldistill.training.experiment import list_tasks, run
from skeldistill.training.features import keep
from skeldistill.training.outside import evaluate_run
from skeldistill.training.perform import _losses as losses_of
from skeldistill.training.perform import make_network
from skeldistill.training.tally import Tally
from skeldistill.training.task import _plain, open_views

FOLD = Fold()


def data(**changes):
    return Data(high=View(store="unused"), **changes)


def ids(store, clips):
    return set(store.ids[clips.rows].tolist())


@pytest.fixture
def views(tmp_path):
    low = named(60, "train") + named(30, "test", 60)
    high = low[:50] + low[60:] + [("unmatched/1", 0, "train")]
    return small_store(tmp_path / "high.arrow", high), small_store(tmp_path / "low.arrow", low)


def test_a_share_of_the_labels_is_kept_class_by_class(views):
    high, low = views
    clips = training_clips(low, high, FOLD, data(labelled=0.4))
    known = clips.only_labelled()
    np.testing.assert_array_equal(np.bincount(known.labels), [8, 8, 8])
    np.testing.assert_array_equal(known.labels, low.labels[known.rows])
    again = training_clips(low, high, FOLD, data(labelled=0.4))
    np.testing.assert_array_equal(again.labels, clips.labels)
    other = training_clips(low, high, FOLD, data(labelled=0.4, seed=1))
    assert ids(low, other.only_labelled()) != ids(low, known)


def test_clips_of_one_recording_are_labelled_together(views):
    high, low = views
    clips = training_clips(low, high, FOLD, data(labelled=0.5, group=r"clip\d\d"))
    tens = {}  # clips 10 to 19 are one recording, and so on
    for name, label in zip(low.ids[clips.rows], clips.labels, strict=True):
        tens.setdefault(str(name)[:6], set()).add(label == UNLABELLED)
    assert sorted(map(len, tens.values())) == [1] * 6
    assert {True} in tens.values()
    assert {False} in tens.values()


@pytest.mark.parametrize("seed", range(4))
def test_a_recording_of_several_actions_is_labelled_as_a_whole(tmp_path, seed):
    drawn = np.random.default_rng(0).integers(3, size=80).tolist()
    clips = [(f"video{i // 4:02d}_{i}", label, "train") for i, label in enumerate(drawn)]
    store = small_store(tmp_path / "store.arrow", [*clips, ("tested", 0, "test")])
    asked = data(labelled=0.5, group=r"video\d\d", seed=seed)
    found = training_clips(store, store, FOLD, asked)
    known = {}
    for name, label in zip(store.ids[found.rows], found.labels, strict=True):
        known.setdefault(str(name)[:7], set()).add(label != UNLABELLED)
    assert all(len(one) == 1 for one in known.values())
    assert 0.4 < (found.labels != UNLABELLED).mean() < 0.7


def test_a_clip_without_label_and_without_match_teaches_nothing(views):
    high, low = views
    clips = training_clips(low, high, FOLD, data(labelled=0.4))
    lonely = clips.teacher_rows == SOLITARY
    assert 0 < lonely.sum() < 10  # ten of sixty have no match
    assert (clips.labels[lonely] != UNLABELLED).all()
    assert (clips.labels == UNLABELLED).sum() == 36 - (10 - lonely.sum())


def test_the_teacher_knows_no_label_that_its_student_does_not(views):
    high, low = views
    hidden = data(labelled=0.4)
    known = training_clips(low, high, FOLD, hidden).only_labelled()
    taught = teacher_clips(high, low, FOLD, hidden)
    assert ids(high, taught) == ids(low, known.only_paired())  # of one unmatched clip, 0.4 are none
    assert (taught.labels != UNLABELLED).all()


def test_clips_of_the_high_view_alone_keep_the_same_share_of_labels(tmp_path):
    low = small_store(tmp_path / "low.arrow", named(60, "train") + named(3, "test", 120))
    high = small_store(tmp_path / "high.arrow", named(120, "train"))
    taught = teacher_clips(high, low, FOLD, data(labelled=0.4))
    alone = ids(high, taught) - set(low.ids.tolist())
    np.testing.assert_array_equal(np.bincount(taught.labels), [16, 16, 16])
    assert len(alone) == 24
    assert len(teacher_clips(high, low, FOLD, data())) == 60 + 60
    assert len(teacher_clips(high, low, FOLD, data(paired=0.5))) == 30  # the paired ones alone


def test_clips_of_the_high_view_alone_keep_their_labels_with_their_recording(tmp_path):
    low = small_store(tmp_path / "low.arrow", named(60, "train")[::2] + named(3, "test", 60))
    high = small_store(tmp_path / "high.arrow", named(60, "train"))
    tens = data(labelled=0.4, group=r"clip\d\d")  # clips 10 to 19 are one recording, and so on
    named_low = training_clips(low, high, FOLD, tens).only_labelled()
    recordings = {name[:6] for name in ids(low, named_low)}
    assert 0 < len(recordings) < 6
    taught = teacher_clips(high, low, FOLD, tens)
    assert ids(high, taught) == {one for one in high.ids.tolist() if one[:6] in recordings}


def test_a_label_in_one_view_holds_for_both(tmp_path):
    low = small_store(
        tmp_path / "low.arrow", [("a", -1, "train"), ("b", 1, "train"), ("c", 0, "test")]
    )
    high = small_store(tmp_path / "high.arrow", [("a", 2, "train"), ("b", -1, "train")])
    np.testing.assert_array_equal(training_clips(low, high, FOLD, data()).labels, [2, 1])
    np.testing.assert_array_equal(match(low, np.arange(2), high), [0, 1])
    taught = teacher_clips(high, low, FOLD, data())
    assert ids(high, taught) == {"a", "b"}
    np.testing.assert_array_equal(taught.labels, [2, 1])


def test_the_high_view_is_tested_with_the_low_ones_labels(tmp_path):
    low = small_store(tmp_path / "low.arrow", [("a", 1, "train"), ("b", 2, "test")])
    high = small_store(tmp_path / "high.arrow", [("a", -1, "train"), ("b", -1, "test")])
    np.testing.assert_array_equal(evaluation_clips(high, high, low, FOLD, data()).labels, [2])


def test_the_low_view_is_tested_with_the_high_ones_labels(tmp_path):
    clips = named(12, "train") + named(6, "test", 12)
    high = small_store(tmp_path / "high.arrow", clips)
    low = small_store(tmp_path / "low.arrow", [(name, -1, split) for name, _, split in clips])
    for asked in (data(), data(validation=0.5)):
        judged = [evaluation_clips(view, high, low, FOLD, asked) for view in (high, low)]
        assert ids(low, judged[1]) == ids(high, judged[0]) != set()
        np.testing.assert_array_equal(judged[1].labels, high.labels[judged[1].rows])


@pytest.mark.parametrize("validation", [0.0, 0.5])
def test_everything_measures_by_the_labels_of_the_high_view(tmp_path, validation):
    said = small_experiment(tmp_path, ["teacher", "low"])
    clips = named(24, "train") + named(12, "test", 24)
    lacking = [(name, -1, split) for name, _, split in clips]
    low = small_store(tmp_path / "low.arrow", lacking)
    said["data"] |= {"low": {"store": str(low.path)}, "validation": validation}
    parsed, root = recipe.parse(said), tmp_path / "run"
    results = run(parsed, root)
    assert [len(task.said().ids) for task in list_tasks(parsed, root)] == [12, 12]
    assert results["gap"]["clips"] == 12
    assert {clip["label"] for clip in results["clips"]} == {0, 1, 2}
    assert len(np.load(keep(parsed, root, ["teacher", "low"]))["ids"]) == 12
    assert len(sweep([root], ["Jitter"])["methods"]) == 2
    (task,) = [task for task in list_tasks(parsed, root) if task.method == "low"]
    if not validation:
        again, _ = evaluate_run(task.folder, low.path, "test")
        np.testing.assert_array_equal(again.labels, task.said().labels)
    with pytest.raises(ValueError, match="has clips without a label"):
        evaluate_run(task.folder, low.path, "train")


def test_another_label_of_a_tested_clip_is_refused_where_a_view_lacks_some(tmp_path):
    clips = [("a", 0, "train"), ("b", 1, "test"), ("c", -1, "test")]
    low = small_store(tmp_path / "low.arrow", clips)
    high = small_store(tmp_path / "high.arrow", [("b", 2, "test"), ("c", 2, "test")])
    with pytest.raises(ValueError, match=r"clip 'b' has label 1 in low\.arrow but 2 in high"):
        evaluation_clips(low, high, low, FOLD, data())


def test_a_label_that_one_view_lacks_is_no_other_label(tmp_path):
    clips = named(6, "train") + named(3, "test", 6)
    one = small_store(tmp_path / "one.arrow", clips)
    other = small_store(tmp_path / "other.arrow", [("clip000", -1, "train"), *clips[1:]])
    assert not [found for found in compare(one, other) if "label" in found.line]


def test_nothing_is_measured_on_a_clip_without_label(tmp_path):
    clips = [("a", 0, "train"), ("b", -1, "test")]
    low = small_store(tmp_path / "low.arrow", clips)
    with pytest.raises(ValueError, match=r"clip 'b' in low\.arrow has no label"):
        evaluation_clips(low, low, low, FOLD, data())


@pytest.mark.parametrize("name", ["SoftmaxTask", "BinaryTask"])
def test_the_task_loss_is_the_mean_over_labelled_clips(name):
    logits = torch.randn(5, 3, requires_grad=True)
    labels = torch.tensor([2, -1, 0, -1, 1])
    known = labels >= 0
    loss = find_loss(name)()

    def of(some):
        blank = torch.zeros(len(some), 1, 1, 1, 1)
        said = Prediction(logits[some], blank, blank[:, :, 0, 0].bool())
        return loss(said, said, labels[some])

    everyone, nobody = torch.arange(5), torch.where(~known)[0]
    torch.testing.assert_close(of(everyone), of(torch.where(known)[0]))
    if name == "SoftmaxTask":
        torch.testing.assert_close(
            of(everyone), functional.cross_entropy(logits[known], labels[known])
        )
    (gradient,) = torch.autograd.grad(of(everyone), logits)
    assert (gradient[~known] == 0).all()
    assert (gradient[known] != 0).any(dim=1).all()
    assert of(nobody) == 0
    (gradient,) = torch.autograd.grad(of(nobody), logits)
    assert (gradient == 0).all()


class Listening(find_loss("KL")):
    """KL that remembers the labels it was given."""

    def forward(self, student, teacher, labels):
        self.heard = labels
        return super().forward(student, teacher, labels)


def test_a_clip_without_label_learns_from_the_teacher_alone():
    def network(seed):
        torch.manual_seed(seed)
        return ST2sGCN(PENN13, classes=3, persons=1, width=0.125, dropout=0.0)

    student, teacher, kl = network(0), network(1), Listening()
    distiller = Distiller(
        student, find_loss("SoftmaxTask")(), teacher, {"KL": (LossTerm(name="KL"), kl)}
    )
    joints = torch.randn(4, 1, 8, 13, 3)
    labels = torch.tensor([1, -1, -1, 2])
    batch = Batch(
        joints=joints,
        labels=labels,
        clips=torch.arange(4),
        teacher_joints=joints + 0.1,
        matched=torch.ones(4, dtype=torch.bool),
    )
    student.eval()  # so that clips do not see each other in batch normalisation
    said, task, terms = distiller.eval()(batch, 0)
    with torch.no_grad():
        taught = teacher(batch.teacher_joints)
    known = labels >= 0
    torch.testing.assert_close(task, functional.cross_entropy(said.logits[known], labels[known]))
    torch.testing.assert_close(terms["Listening"], divergence(taught.logits, said.logits).mean())
    named = taught.logits.argmax(dim=1)
    np.testing.assert_array_equal(kl.heard, torch.where(known, labels, named))


def test_accuracy_in_training_counts_labelled_clips():
    tally = Tally()
    logits = torch.eye(3)[[0, 1, 2, 0]]
    blank = torch.zeros(4, 1, 1, 1, 1)
    batch = Batch(joints=blank, labels=torch.tensor([0, -1, 1, -1]), clips=torch.arange(4))
    said = Prediction(logits, blank, blank[:, :, 0, 0].bool())
    tally.add(batch, said, torch.tensor(1.0), {}, {}, 4)
    assert tally.means()["top1"] == 50


def unlabelled(folder, methods):
    said = small_experiment(folder, [])
    said["data"]["labelled"] = 0.5
    return recipe.parse(said | {"methods": methods})


def test_who_has_no_teacher_sees_labelled_clips_alone(tmp_path):
    methods = {
        "teacher": None,
        "low": None,
        "KL": None,
        "KL, labelled": {"losses": [{"name": "KL"}], "clips": "labelled"},
    }
    parsed = unlabelled(tmp_path, methods)
    views = open_views(parsed.data, tmp_path / "run" / "views", quiet=True)
    seen = {}
    for task in list_tasks(parsed, tmp_path / "run"):
        method = parsed.methods[task.method]
        seen[task.method] = examples_of(task, method, *views)[0].clips
    assert {name: len(clips) for name, clips in seen.items()} == {
        "teacher": 12,
        "low": 12,
        "KL": 24,
        "KL, labelled": 12,
    }
    assert (seen["KL"].labels == UNLABELLED).sum() == 12


@pytest.mark.parametrize("loss", ["KL", "GraphMatching", "PartContrastive", "GlobalContrastive"])
def test_every_kind_of_loss_learns_from_unlabelled_clips(tmp_path, loss):
    taught = {"losses": [{"name": loss}, {"name": "ReversedKL"}]}
    results = run(unlabelled(tmp_path, {"teacher": None, "taught": taught}), tmp_path / "run")
    (row,) = [row for row in results["methods"] if row["name"] == "taught"]
    (epoch,) = row["curves"][0]["epochs"]
    assert len(epoch["terms"]) >= 3  # the task's and both losses'
    assert all(0 < value < np.inf for value in epoch["terms"].values())


def test_without_any_label_there_is_nothing_to_train(tmp_path):
    parsed = unlabelled(tmp_path, {"teacher": None, "low": None})
    few = parsed.data.model_copy(update={"labelled": 0.01})
    with pytest.raises(ValueError, match=r"has a label; label some, or raise data\.labelled"):
        run(parsed.model_copy(update={"data": few}), tmp_path / "run")


@pytest.mark.parametrize("method", [{"view": "high"}, {"clips": "paired"}])
def test_too_small_a_share_of_pairs_is_named(tmp_path, method):
    parsed = unlabelled(tmp_path, {"one": method})
    few = parsed.data.model_copy(update={"labelled": 1.0, "paired": 0.001})
    with pytest.raises(ValueError, match=r"is left: data\.paired 0\.001 lets none"):
        run(parsed.model_copy(update={"data": few}), tmp_path / "run")
    none = parsed.data.model_copy(update={"labelled": 0.001, "paired": 0.001})
    with pytest.raises(ValueError, match=r"raise data\.labelled"):
        run(parsed.model_copy(update={"data": none}), tmp_path / "run")


def test_recipes_from_before_keep_their_finished_trainings(tmp_path):
    before = recipe.parse(small_experiment(tmp_path, ["teacher"]))
    said = before.data.model_dump()
    task, other = (
        list_tasks(before.model_copy(update={"data": one}), tmp_path / "run")[0]
        for one in (before.data, Data.model_validate(said | {"labelled": 0.5}))
    )
    assert "labelled" not in _plain(task.recipe.data)
    assert "labelled" in _plain(other.recipe.data)
    assert task.fingerprint != other.fingerprint


def test_a_bank_holds_the_match_of_every_clip_that_has_one(tmp_path):
    bank = {"losses": [{"name": "PartContrastive", "bank": True}]}
    parsed = unlabelled(tmp_path, {"teacher": None, "PLKD": bank})
    root = tmp_path / "run"
    views = open_views(parsed.data, root / "views", quiet=True)
    task = next(one for one in list_tasks(parsed, root) if one.method == "PLKD")
    examples, _ = examples_of(task, parsed.methods["PLKD"], *views)
    high = teacher_examples(task.sibling("teacher"), *views)
    teacher = make_network(parsed, parsed.methods["teacher"], high.student, 3).eval()
    student = make_network(parsed, parsed.methods["PLKD"], examples.student, 3)
    ((_, loss),) = losses_of(parsed.methods["PLKD"], student, teacher).values()
    share_knowledge([loss], teacher, high, examples.clips, folder=tmp_path)
    unnamed = examples.clips.labels == UNLABELLED
    assert unnamed.sum() == 12
    own = loss.rows.bank_row[torch.arange(len(examples.clips))]
    assert (own >= 0).all()
    labels = loss.rows.bank_labels[own]
    np.testing.assert_array_equal(labels[~unnamed], examples.clips.labels[~unnamed])
    # an unlabelled clip stands there as what the teacher takes it for, with its own features
    place = int(np.flatnonzero(unnamed)[0])
    shown = next(iter(replace(examples, teacher=high.student).testing(len(examples))))
    said = teacher(shown.teacher_joints)
    assert labels[place] == said.logits[place].argmax()
    torch.testing.assert_close(
        loss.rows.bank[own[place]], part_features(said, PENN13)[place].detach()
    )
