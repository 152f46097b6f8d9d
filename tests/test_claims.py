"""Several runs in one folder share its tasks; what a dead one leaves is taken over."""

import dataclasses
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml
from stores import small_experiment

from skeldistill import recipe as recipes
from skeldistill.training import claims as module
from skeldistill.training import turns
from skeldistill.training.claims import Claims, Owner
from skeldistill.training.experiment import list_tasks
from skeldistill.training.train import Progress
from skeldistill.training.turns import alone_in, in_turn


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*claim*"))


def elsewhere(folder: Path, number: int = 0, **changes) -> Owner:
    """A claim of another machine."""
    owner = dataclasses.replace(Owner.me(), host="other", machine="other", **changes)
    folder.mkdir(parents=True, exist_ok=True)
    told = json.dumps(dataclasses.asdict(owner))
    (folder / f"claim-{number}.json").write_text(told, encoding="utf-8")
    return owner


def a_dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_one_claims_and_the_others_do_not(tmp_path):
    mine = Claims().take(tmp_path / "task")
    assert mine is not None
    others = Claims()
    assert others.take(tmp_path / "task") is None
    owner = others.owner(tmp_path / "task")
    assert owner is not None
    assert str(owner) == f"process {os.getpid()} on {os.uname().nodename}"
    mine.release()
    assert left(tmp_path / "task") == []
    assert others.owner(tmp_path / "task") is None
    again = others.take(tmp_path / "task")
    assert again is not None
    again.release()


def test_of_many_at_once_one_succeeds(tmp_path):
    for first in ("none", "stale"):
        folder = tmp_path / first
        if first == "stale":
            elsewhere(folder, 3)
        begin = threading.Barrier(8)
        found = []

        def try_it(folder=folder, begin=begin, found=found):
            claims = Claims()
            claims._is_stale = lambda _, owner: owner.host == "other"  # type: ignore[method-assign]
            begin.wait()
            found.append(claims.take(folder))

        threads = [threading.Thread(target=try_it) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        taken = [claim for claim in found if claim is not None]
        assert len(taken) == 1
        taken[0].release()
        assert left(folder) == []


def test_a_dead_process_of_this_machine_is_followed_at_once(tmp_path):
    dead = dataclasses.replace(Owner.me(), process=a_dead_process())
    assert dead.surely_dead or not dead.machine
    if not dead.machine:
        pytest.skip("this system does not tell which processes run")
    (tmp_path / "claim-0.json").write_text(json.dumps(dataclasses.asdict(dead)), encoding="utf-8")
    mine = Claims().take(tmp_path)
    assert mine is not None
    assert left(tmp_path) == ["claim-0.json", "claim-1.json"]
    mine.release()
    assert left(tmp_path) == []


def test_a_process_that_took_the_number_of_a_dead_one_is_another():
    assert not Owner.me().surely_dead
    if Owner.me().machine:
        assert dataclasses.replace(Owner.me(), began="long ago").surely_dead
    elsewhere = dataclasses.replace(Owner.me(), machine="another", process=a_dead_process())
    assert not elsewhere.surely_dead


def test_a_claim_that_nobody_touches_grows_stale(tmp_path, monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock) * 100.0)
    elsewhere(tmp_path)
    claims = Claims()
    assert claims.take(tmp_path) is None  # seen for the first time
    assert claims.take(tmp_path) is None  # 100 s
    os.utime(tmp_path / "claim-0.json", (1, 1))  # a sign of life; whose clock it is does not matter
    assert claims.take(tmp_path) is None
    assert claims.take(tmp_path) is None
    mine = claims.take(tmp_path)  # 200 s
    assert mine is not None
    mine.release()


def test_a_claim_released_meanwhile_is_not_taken_over(tmp_path, monkeypatch):
    elsewhere(tmp_path)
    claims = Claims()

    def released(path, owner):
        path.unlink()
        return True

    monkeypatch.setattr(claims, "_is_stale", released)
    assert claims.take(tmp_path) is None
    assert left(tmp_path) == []


def test_a_claim_is_touched_and_hears_that_it_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "HEARTBEAT", 0.01)
    mine = Claims().take(tmp_path)
    assert mine is not None
    path = tmp_path / "claim-0.json"
    os.utime(path, (1, 1))
    until = time.monotonic() + 20
    while path.stat().st_mtime == 1 and time.monotonic() < until:
        time.sleep(0.01)
    assert path.stat().st_mtime > 1
    assert not mine.lost
    elsewhere(tmp_path, 1)
    while not mine.lost and time.monotonic() < until:
        time.sleep(0.01)
    assert mine.lost
    mine.release()
    assert left(tmp_path) == ["claim-1.json"]  # the other's


def test_a_broken_claim_grows_old_like_any(tmp_path, monkeypatch):
    (tmp_path / "claim-0.json").write_text("", encoding="utf-8")
    claims = Claims()
    assert claims.take(tmp_path) is None
    monkeypatch.setattr(module, "STALE", 0.0)
    mine = claims.take(tmp_path)
    assert mine is not None
    mine.release()
    assert left(tmp_path) == []


def test_after_an_error_nothing_is_claimed(tmp_path):
    with pytest.raises(KeyError), alone_in(tmp_path):
        raise KeyError
    assert left(tmp_path) == []


def test_no_folder_is_left_in_which_nothing_was_made(tmp_path):
    with pytest.raises(KeyError), alone_in(tmp_path / "runs" / "mine" / "views"):
        raise KeyError
    assert left(tmp_path) == []


@pytest.fixture
def recipe(tmp_path):
    training = {"warmup": 1, "learning_rate": 0.05}
    told = small_experiment(tmp_path, ["teacher", "low", "KL"], test=8, **training)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    return path


RUN = """
import sys, time
from pathlib import Path
from skeldistill import recipe
from skeldistill.training import claims, perform, turns
from skeldistill.training.experiment import run

def told(task, watch):
    with Path(sys.argv[2], sys.argv[3]).open("a") as file:
        file.write(f"{task.method} {task.seed} {task.done}\\n")
    if sys.argv[3] == "killed":
        time.sleep(1000)
    before(task, watch)

before = turns.perform
turns.perform = told
turns.LOOK = 0.1
run(recipe.load(Path(sys.argv[1])), Path(sys.argv[2]))
"""


def begin(recipe: Path, out: Path, name: str) -> subprocess.Popen:
    """A run that writes down which tasks it did."""
    out.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", RUN, recipe, out, name],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def test_two_runs_share_the_tasks(recipe, tmp_path):
    out = tmp_path / "run"
    both = [begin(recipe, out, name) for name in ("a", "b")]
    said = [process.communicate(timeout=240)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    done = "".join(
        (out / name).read_text(encoding="utf-8") for name in ("a", "b") if (out / name).exists()
    )
    assert sorted(done.splitlines()) == ["KL 0 False", "low 0 False", "teacher 0 False"]
    results = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert [len(row["curves"]) for row in results["methods"]] == [1, 1, 1]
    assert list(out.rglob("*claim*")) == []


def test_what_a_killed_run_was_at_is_taken_over(recipe, tmp_path):
    out = tmp_path / "run"
    killed = begin(recipe, out, "killed")
    until = time.monotonic() + 240
    while not (out / "killed").exists():
        assert time.monotonic() < until
        assert killed.poll() is None
        time.sleep(0.05)
    other = begin(recipe, out, "other")
    while not (out / "other").exists():  # it does what does not need the first's teacher
        assert time.monotonic() < until
        assert other.poll() is None
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    _, said = other.communicate(timeout=240)
    assert other.returncode == 0, said
    done = (out / "other").read_text(encoding="utf-8").splitlines()
    assert done == ["low 0 False", "teacher 0 False", "KL 0 False"]
    assert list(out.rglob("*claim*")) == []
    assert (out / "results.json").exists()


def test_what_another_run_is_at_is_waited_for_and_named(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(turns, "LOOK", 0.0)
    tasks = list_tasks(recipes.load(recipe), tmp_path / "run")
    owner = elsewhere(tasks[0].folder)
    said, performed, finished = [], [], []

    def perform(task, watch):
        performed.append(task.method)
        done.add(task.folder)

    done = set()
    monkeypatch.setattr(turns, "perform", perform)
    monkeypatch.setattr(type(tasks[0]), "done", property(lambda task: task.folder in done))

    def looked(_):
        (tasks[0].folder / "claim-0.json").unlink(missing_ok=True)
        done.add(tasks[0].folder)  # by the other

    monkeypatch.setattr(turns.time, "sleep", looked)
    in_turn(tasks, lambda *_: None, lambda task: finished.append(task.method), said.append)
    assert performed == ["low", "KL"]
    assert finished == ["low", "teacher", "KL"]
    assert said == [f"teacher, seed 0: {owner} is at it"]


def test_a_task_that_is_lost_is_left_to_the_other(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(turns, "LOOK", 0.0)
    tasks = list_tasks(recipes.load(recipe), tmp_path / "run")[:1]
    turn = iter(range(9))
    done = set()

    def perform(task, watch):
        if next(turn) == 0:
            claim_of[0].lost = True
        watch(Progress(epoch=0, epochs=1, step=1, steps=1))
        done.add(task.folder)

    claim_of = []
    take = Claims.take

    def remembered(self, folder):
        claim_of[:] = [take(self, folder)]
        return claim_of[0]

    monkeypatch.setattr(Claims, "take", remembered)
    monkeypatch.setattr(turns, "perform", perform)
    monkeypatch.setattr(type(tasks[0]), "done", property(lambda task: task.folder in done))
    in_turn(tasks, lambda *_: None, lambda _: None)
    assert next(turn) == 2  # begun, left, and done when it was free again
