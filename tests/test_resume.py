"""Nothing lost: runs killed without warning end as if they had not been."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from full_disk import room
from safetensors.torch import load_file
from stores import small_experiment

from skeldistill.training import state


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "recipe.yaml"
    training = {"epochs": 5, "warmup": 1, "learning_rate": 0.05}
    told = small_experiment(tmp_path, ["teacher", "SKD"], test=8, **training)
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    return path


def begin(recipe: Path, out: Path, jobs: int) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "skeldistill", "run", recipe, "--out", out, "--jobs", str(jobs)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def weights(out: Path) -> dict[str, dict[str, torch.Tensor]]:
    found = sorted(out.glob("fold*/*/seed*/network.safetensors"))
    return {str(path.relative_to(out)): load_file(path) for path in found}


def kept(out: Path) -> set[tuple[Path, int]]:
    """The states that there are, and when each was written."""
    found = set()
    for path in out.glob("fold0/*/*/state.pt"):
        with contextlib.suppress(FileNotFoundError):  # it has just made place for the next
            found.add((path, path.stat().st_mtime_ns))
    return found


def kill(recipe: Path, out: Path, jobs: int, moment: float) -> None:
    """Begin, or go on, and kill the whole family `moment` seconds after a state is kept anew."""
    before = kept(out)
    process = begin(recipe, out, jobs)
    until = time.monotonic() + 240
    while kept(out) <= before and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    time.sleep(moment)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def assert_same(recipe: Path, kills: list[float], jobs: int, tmp_path: Path) -> None:
    assert begin(recipe, tmp_path / "whole", jobs).wait() == 0
    for moment in kills:
        kill(recipe, tmp_path / "killed", jobs, moment)
    assert begin(recipe, tmp_path / "killed", jobs).wait() == 0
    whole, killed = weights(tmp_path / "whole"), weights(tmp_path / "killed")
    assert (
        set(whole)
        == set(killed)
        == {
            "fold0/teacher/seed0/network.safetensors",
            "fold0/SKD/seed0/network.safetensors",
        }
    )
    for name, tensors in whole.items():
        for key, tensor in tensors.items():
            assert torch.equal(tensor, killed[name][key]), (name, key)
    left = [path.name for path in (tmp_path / "killed").rglob("*") if "partial" in path.name]
    assert len(left) <= len(kills)  # at most what was being written when the kill came


def test_a_run_killed_without_warning_ends_the_same(recipe, tmp_path):
    assert_same(recipe, [0.0, 0.15], 1, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_however_often_and_whenever_it_is_killed(recipe, tmp_path, jobs):
    rng = random.Random(jobs)
    assert_same(recipe, [rng.uniform(0, 1.5) for _ in range(12)], jobs, tmp_path)


@pytest.mark.skipif(shutil.which("ps") is None, reason="no ps to see other processes with")
def test_no_worker_outlives_a_killed_run(recipe, tmp_path):
    process = begin(recipe, tmp_path / "run", 2)
    until = time.monotonic() + 240
    while not any((tmp_path / "run").glob("fold0/*/*/state.pt")) and process.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    process.kill()  # it alone, as the system does when memory runs out
    process.wait()
    while (left := workers_of(process.pid)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left


def workers_of(session: int) -> list[str]:
    """Processes of a session that are still training."""
    said = subprocess.run(
        ["ps", "-o", "args=", "-s", str(session)], capture_output=True, text=True, check=False
    )
    return [line for line in said.stdout.splitlines() if "spawn_main" in line]


def test_a_full_disk_leaves_the_state_before(tmp_path):
    model = torch.nn.Linear(200, 200)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    entry = {"epoch": 1, "terms": {}, "conflicts": {}, "skipped": {}}
    state.save(tmp_path, model, optimizer, [entry])
    kept = (tmp_path / state.STATE).read_bytes()
    with room(50_000), pytest.raises(OSError, match="File too large") as error:
        state.save(tmp_path, model, optimizer, [entry, {**entry, "epoch": 2}])
    assert error.value.filename == str(tmp_path / state.STATE)
    assert (tmp_path / state.STATE).read_bytes() == kept
    assert not list(tmp_path.glob(".*partial*"))


def test_a_folder_that_cannot_be_written_is_one_line(recipe, tmp_path):
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    said = subprocess.run(
        [sys.executable, "-m", "skeldistill", "run", recipe, "--out", tmp_path / "taken/run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 1
    assert len(said.stderr.strip().splitlines()) == 1, said.stderr


def test_two_broken_states_begin_anew(tmp_path, caplog):
    for name in (state.STATE, state.BEFORE):
        (tmp_path / name).write_bytes(b"PK broken")
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with caplog.at_level("WARNING"):
        assert state.load(tmp_path, model, optimizer) is None
    assert "beginning anew" in caplog.text
