"""Settings that change and change back: nothing of one training is taken for another's."""

import errno
from dataclasses import replace

import numpy as np
import pytest
from stores import small_experiment
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from skeldistill import recipe
from skeldistill.training import state
from skeldistill.training.events import PREFIX
from skeldistill.training.experiment import list_tasks, run
from skeldistill.training.turns import in_turn


@pytest.fixture
def trained(tmp_path):
    """A finished training of two epochs, and the same task with three."""
    told = small_experiment(tmp_path, ["low"], epochs=2)
    before = recipe.parse(told)
    told["training"] |= {"epochs": 3, "learning_rate": 0.02}
    run(before, tmp_path / "run")
    (task,) = list_tasks(before, tmp_path / "run")
    return task, replace(task, recipe=recipe.parse(told))


def test_a_network_that_could_not_be_kept_is_not_taken_for_the_one_before(trained, monkeypatch):
    task, other = trained

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        run(other.recipe, other.root)
    monkeypatch.undo()
    assert not task.done
    assert not other.done
    run(task.recipe, task.root)
    assert task.done


@pytest.fixture
def changed_back(trained):
    """The finished task, after the other was interrupted in its second epoch."""
    task, other = trained

    def interrupt(_, step):
        if step.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_turn([other], interrupt, lambda _: None)
    assert task.done
    assert len(list(task.folder.glob(f"{PREFIX}*"))) == 1  # the other's alone
    return task


def rates(task):
    (file,) = task.folder.glob(f"{PREFIX}*")
    return [one.value for one in EventAccumulator(str(file)).Reload().Scalars("learning_rate")]


def test_what_other_settings_have_begun_is_put_right(changed_back):
    task = changed_back
    log = task.folder / state.LOG_FILE
    history = [entry["learning_rate"] for entry in task.measured()["history"]]
    assert (task.folder / state.STATE).exists()
    assert len(log.read_text(encoding="utf-8").splitlines()) == 2
    run(task.recipe, task.root)
    assert not (task.folder / state.STATE).exists()
    rows = [line.split(",") for line in log.read_text(encoding="utf-8").splitlines()]
    assert [float(row[rows[0].index("learning_rate")]) for row in rows[1:]] == history
    assert rates(task) == pytest.approx(history)


def test_what_another_run_is_at_is_left_to_it(changed_back, monkeypatch):
    task = changed_back
    monkeypatch.setattr("skeldistill.training.claims.Claims.take", lambda *_: None)
    in_turn([task], lambda *_: None, lambda _: None)
    assert (task.folder / state.STATE).exists()
