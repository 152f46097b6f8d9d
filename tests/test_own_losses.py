"""Losses that a network itself adds to the task's: asked for in training alone, and logged."""

import math

import numpy as np
import pytest
import torch
from stores import named, small_store
from torch.nn import functional

from skeldistill import recipe
from skeldistill.data.batch import Batch
from skeldistill.distillation.distill import Distiller
from skeldistill.distillation.gradient_revision import revise
from skeldistill.distillation.reviser import Reviser
from skeldistill.layouts import PENN13
from skeldistill.losses import KL, SoftmaxTask
from skeldistill.losses.loss import LossContext
from skeldistill.networks import ASGCN, PEGCN, RAGCN, STGCN
from skeldistill.networks.network import Network
from skeldistill.recipe import LossTerm
from skeldistill.training.perform import perform
from skeldistill.training.task import Task

OPTIONS = {"classes": 3, "persons": 1, "channels": 2, "width": 0.125}

OWN = {
    "PEGCN": {"clean", "noisy", "coding"},
    "RAGCN": {"stream_1", "stream_2"},
    "ASGCN": {"links"},
    "STGCN": set(),
}


def made(name: str) -> Network:
    torch.manual_seed(0)
    parts = {
        "PEGCN": lambda: PEGCN(PENN13, **OPTIONS),
        "RAGCN": lambda: RAGCN(PENN13, streams=2, frames=8, dropout=0.0, **OPTIONS),
        "ASGCN": lambda: ASGCN(PENN13, link_learning=True, link_frames=4, dropout=0.0, **OPTIONS),
        "STGCN": lambda: STGCN(PENN13, dropout=0.0, **OPTIONS),
    }
    return parts[name]()


def batch() -> Batch:
    generator = torch.Generator().manual_seed(0)
    joints = torch.randn(4, 1, 8, 13, 2, generator=generator)
    return Batch(joints=joints, labels=torch.tensor([0, 1, 2, 1]), clips=torch.arange(4))


@pytest.mark.parametrize("name", OWN)
def test_they_are_part_of_the_task_in_training_alone(name):
    distiller = Distiller(made(name), SoftmaxTask(label_smoothing=0.1))
    torch.manual_seed(1)
    said, task, terms = distiller.train()(batch(), 0)
    own = dict(said.losses)
    assert set(own) == OWN[name]
    assert terms == {}
    plain = functional.cross_entropy(said.logits, batch().labels, label_smoothing=0.1)
    torch.testing.assert_close(task, plain + sum(own.values()))
    assert all(value > 0 for value in own.values())
    said, task, _ = distiller.eval()(batch(), 0)
    assert said.losses == ()
    plain = functional.cross_entropy(said.logits, batch().labels, label_smoothing=0.1)
    torch.testing.assert_close(task, plain)


@pytest.mark.parametrize("name", OWN)
def test_evaluation_knows_nothing_of_them(name):
    network = made(name).eval()
    with torch.no_grad():
        said = network(batch().joints)
        before = {key: value.clone() for key, value in network.state_dict().items()}
        again = network(batch().joints)
    assert said.losses == again.losses == ()
    assert torch.equal(said.logits, again.logits)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_a_teacher_has_none():
    student, teacher = made("STGCN"), made("PEGCN")
    losses = {"KL": (LossTerm(name="KL"), kl())}
    distiller = Distiller(student, SoftmaxTask(), teacher, losses).train()
    one = batch()
    matched = torch.tensor([True, False, True, True])
    some = Batch(
        joints=one.joints,
        labels=one.labels,
        clips=one.clips,
        teacher_joints=one.joints[matched],
        matched=matched,
    )
    taught = distiller.ask_teacher(some)
    assert taught.losses == ()
    assert taught.present.flatten(1).any(dim=1).tolist() == matched.tolist()
    assert set(distiller(some, 0)[2]) == {"KL"}


def kl() -> KL:
    about = LossContext(
        student_layout=PENN13,
        teacher_layout=PENN13,
        student_channels=32,
        teacher_channels=32,
        classes=3,
    )
    return KL(about)


@pytest.mark.parametrize("name", ["PEGCN", "ASGCN", "RAGCN"])
def test_they_count_as_task_when_gradients_are_revised(name):
    student, teacher = made(name).double().train(), made("STGCN").double().eval()
    learned = list(student.parameters())
    joints = batch().joints.double()

    def judge(scores: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(scores, batch().labels)

    torch.manual_seed(1)
    said = student.learn(joints, batch().labels, judge)
    with torch.no_grad():
        taught = teacher(joints)
    task = judge(said.logits) + sum(value for _, value in said.losses)
    terms = {
        "KL": 10 * kl()(said, taught, batch().labels),
        "features": (said.features - taught.features.mean()).square().mean(),
    }
    by_hand = [
        torch.autograd.grad(loss, learned, retain_graph=True, allow_unused=True)
        for loss in (task, *terms.values())
    ]
    expected = revise(by_hand[0], by_hand[1:])
    reviser = Reviser()
    found, _ = reviser(task, terms, learned, (said.logits, said.features))
    for ours, theirs in zip(found, expected, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:
            torch.testing.assert_close(ours, theirs)


# ---------------------------------------------------------------- whole trainings


def history(tmp_path, student: dict, method: str, frames: int = 8) -> list[dict]:
    clips = named(6, "train") + named(3, "test", 6)
    small_store(tmp_path / "high.arrow", clips)
    small_store(tmp_path / "low.arrow", clips, seed=1)
    parsed = recipe.parse(
        {
            "name": "small",
            "data": {
                "high": {"store": str(tmp_path / "high.arrow")},
                "low": {"store": str(tmp_path / "low.arrow")},
            },
            "sampling": {"frames": frames, "persons": 1},
            "training": {"epochs": 1, "batch_size": 6, "warmup": 0, "learning_rate": 0.01},
            "teacher": {"name": "STGCN", "width": 0.125},
            "student": {"width": 0.125, **student},
            "methods": ["teacher", method],
            "seeds": [0],
        }
    )
    task = Task(recipe=parsed, root=tmp_path / "run", method=method, fold=0, seed=0)
    for needed in task.needs:
        perform(needed)
    perform(task)
    columns = (task.folder / "log.csv").read_text(encoding="utf-8").splitlines()[0]
    kept = task.measured()["history"]
    assert all(f"terms.{name}" in columns for name in kept[0]["terms"])
    return kept


@pytest.mark.parametrize(
    ("student", "frames", "own"),
    [
        ({"name": "PEGCN", "backbone": "STGCN"}, 8, {"clean", "noisy", "coding"}),
        (
            {"name": "ASGCN", "reconstruction": True, "link_learning": True, "link_frames": 3},
            267,
            {"reconstruction", "links"},
        ),
        ({"name": "RAGCN", "frames": 8, "streams": 2}, 8, {"stream_1", "stream_2"}),
        ({"name": "STGCN"}, 8, set()),
    ],
    ids=["PEGCN", "ASGCN", "RAGCN", "STGCN"],
)
def test_a_training_shows_them_as_terms_of_their_own(tmp_path, student, frames, own):
    for entry in history(tmp_path, student, "low", frames):
        assert set(entry["terms"]) == {"task"} | own
        assert entry["loss"] == pytest.approx(sum(entry["terms"].values()))
        assert all(value > 0 and math.isfinite(value) for value in entry["terms"].values())
        assert entry["conflicts"] == {}


def test_a_distillation_shows_them_beside_its_own_and_revises_only_those(tmp_path):
    for entry in history(tmp_path, {"name": "PEGCN", "backbone": "STGCN"}, "KL"):
        assert set(entry["terms"]) == {"task", "clean", "noisy", "coding", "KL"}
        assert set(entry["conflicts"]) == {"KL"}
        assert np.isclose(entry["loss"], sum(entry["terms"].values()))
