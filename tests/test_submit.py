"""Runs that a queue starts: submitit's own executor for one machine stands in for SLURM's."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml
from stores import small_experiment

from skeldistill.training import queueing


@pytest.fixture
def recipe(tmp_path):
    told = small_experiment(tmp_path, ["teacher", "low", "KL"], test=8)
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    return path


def skeldistill(*words) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "skeldistill", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_jobs_share_an_experiment(recipe, tmp_path):
    runs = tmp_path / "runs"
    said = skeldistill("submit", recipe, "--queue", "local", "--runs", runs)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("2 jobs: ")
    results = json.loads((runs / "small" / "results.json").read_text(encoding="utf-8"))
    assert [row["name"] for row in results["methods"]] == ["teacher", "low", "KL"]
    assert (runs / "small" / "report.html").exists()
    assert list(runs.rglob("*claim*")) == []
    logs = "".join(path.read_text(encoding="utf-8") for path in (runs / "jobs").glob("*.err"))
    assert "teacher, seed 0: top-1" in logs


@pytest.mark.slow
def test_what_fails_in_a_job_is_named(recipe, tmp_path):
    runs = tmp_path / "runs"
    words = ["--queue", "local", "--workers", 1, "--runs", runs, "--set", "data.low.store=gone"]
    said = skeldistill("submit", recipe, *words)
    assert said.returncode == 1
    line = said.stderr.strip().splitlines()[-1]
    assert "3 of 3 trainings are not done" in line
    log = next((runs / "jobs").glob("*.err"))
    assert log.name in line
    assert "gone" in log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("queue", "options", "said"),
    [
        ("nowhere", {}, "nowhere"),
        ("local", {"hours": 3}, "hours"),
        ("local", {"timeout_min": "long"}, "timeout_min"),
    ],
)
def test_what_a_queue_does_not_know_is_refused(queue, options, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        queueing.submit([["true"]], tmp_path, queue=queue, options=options)


@pytest.mark.skipif(shutil.which("ps") is None, reason="no ps to see other processes with")
def test_a_run_whose_time_is_over_is_queued_again(tmp_path):
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    program = f"test -e {begun} && touch {ended} || {{ touch {begun}; sleep 600; }}"
    (job,) = queueing.submit([["sh", "-c", program]], tmp_path, queue="local")
    until = time.monotonic() + 240
    while not begun.exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    (task,) = children(job._process.pid)
    os.kill(task, signal.SIGUSR2)  # as SLURM does
    queueing.wait_for([job])
    assert ended.exists()


def children(process: int) -> list[int]:
    listed = ["ps", "-o", "pid=", "--ppid", str(process)]
    said = subprocess.run(listed, capture_output=True, text=True, check=True)
    return [int(word) for word in said.stdout.split()]


def test_an_interrupt_cancels_what_waits(monkeypatch):
    class Job:
        cancelled = False

        def done(self):
            raise KeyboardInterrupt

        def cancel(self, check):
            self.cancelled = True

    jobs = [Job(), Job()]
    with pytest.raises(KeyboardInterrupt):
        queueing.wait_for(jobs)
    assert all(job.cancelled for job in jobs)


def test_two_recipes_of_one_name_are_refused(recipe, tmp_path):
    other = tmp_path / "other.yaml"
    other.write_text(recipe.read_text(encoding="utf-8"), encoding="utf-8")
    said = skeldistill("submit", recipe, other, "--queue", "local", "--runs", tmp_path / "runs")
    assert (said.returncode, said.stderr.count("\n")) == (1, 1)
    assert "two recipes are called small" in said.stderr
    assert not (tmp_path / "runs").exists()
