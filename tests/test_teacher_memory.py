"""A teacher that sees the same in every epoch is asked once, and nothing else comes out."""

import numpy as np
import pytest
import torch
from stores import named, small_experiment, small_store

from skeldistill import recipe
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import training_clips
from skeldistill.distillation import distill
from skeldistill.distillation.distill import Distiller
from skeldistill.recipe import Data, Fold, Part, Sampling, View
from skeldistill.training.perform import perform
from skeldistill.training.task import Task

STILL = {"frames": 8, "frame_choice": "replay", "rotation": 0.0, "scaling": 0.0}
LOSING = Part(name="JointOcclusion", probability=0.3)
CHANCE = [
    {"frame_choice": "uniform"},
    {"frame_choice": "resize"},
    {"rotation": 10.0},
    {"scaling": 0.1},
    {"shear": 0.1},
    {"mirror": 0.5},
    {"noise": 0.1},
    {"mixup": 0.4},
]


@pytest.mark.parametrize("change", [{}, {"frame_choice": "zeros"}, {"crop": 0.5}, *CHANCE])
def test_tells_whether_the_teacher_sees_the_same(change, tmp_path):
    low = small_store(tmp_path / "low.arrow", named(9, "train") + named(3, "test", 9))
    high = small_store(tmp_path / "high.arrow", named(6, "train"), frames=20, seed=1)
    sampling = Sampling(**{**STILL, **change})
    examples = Examples(
        clips=training_clips(low, high, Fold(), Data(high=View(store="unused"))),
        student=Side(store=low, sampling=sampling, augmentation=(LOSING,)),
        teacher=Side(store=high, sampling=sampling),
    )
    shown = [by_clip(examples.training(9, seed=0, epoch=epoch)) for epoch in range(3)]
    shown.append(by_clip(examples.testing(4)))
    same = all(np.array_equal(one, shown[-1]) for one in shown)
    assert examples.teacher_sees_the_same == same == (change not in CHANCE)


def by_clip(batches):
    found = {}
    for batch in batches:
        clips = batch.clips[batch.matched].tolist()
        found |= dict(zip(clips, batch.teacher_joints.numpy(), strict=True))
    return np.stack([found[clip] for clip in sorted(found)])


@pytest.fixture
def task(tmp_path):
    """Distils on clips of which some are solitary; gives the task for a folder."""
    told = small_experiment(tmp_path, ["teacher", "SKD"], epochs=3)
    told["sampling"] = STILL
    told["data"]["paired"] = 0.7

    def in_folder(name):
        return Task(recipe=recipe.parse(told), root=tmp_path / name, method="SKD", fold=0, seed=0)

    return in_folder


def asked(monkeypatch):
    """The number of clips of every time that a teacher is asked."""
    counts = []
    ask = Distiller.ask_teacher

    def counting(self, batch):
        counts.append(0 if batch.matched is None else int(batch.matched.sum()))
        return ask(self, batch)

    monkeypatch.setattr(Distiller, "ask_teacher", counting)
    return counts


def trained(task, watch=lambda _: None):
    for needed in task.needs:
        perform(needed)
    perform(task, watch)
    return task


def test_what_is_learned_is_the_same(task, monkeypatch):
    counts = asked(monkeypatch)
    once = trained(task("once"))
    assert sum(counts) == 18  # of 24, and no more than once
    monkeypatch.setattr(distill, "MEMORY", 0)
    always = trained(task("always"))
    assert sum(counts) > 18 + 3 * 18
    for mine, other in zip(*(one.measured()["history"] for one in (once, always)), strict=True):
        assert mine["terms"] == pytest.approx(other["terms"], rel=1e-4)
    torch.testing.assert_close(once.said().logits, always.said().logits, rtol=1e-3, atol=1e-4)


class Killed(Exception):
    pass


def test_an_interrupted_run_goes_on_exactly(task):
    def kill(step):
        if step.epoch == 2:
            raise Killed

    whole, broken = trained(task("whole")), task("broken")
    with pytest.raises(Killed):
        trained(broken, kill)
    perform(broken)
    np.testing.assert_array_equal(whole.said().logits, broken.said().logits)
