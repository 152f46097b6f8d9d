"""Compiled networks train as others do, and a compiler that fails is done without."""

import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from stores import named, small_store

from skeldistill import recipe
from skeldistill.training import compiling
from skeldistill.training.perform import perform
from skeldistill.training.task import Task, said_in

pytestmark = pytest.mark.filterwarnings("ignore")  # what torch's compiler says of torch
SMALL = {"name": "ST2sGCN", "width": 0.125}


@pytest.fixture
def told(tmp_path) -> dict:
    """A recipe in which some clips have no match."""
    high = named(26, "train") + named(6, "test", 26)
    small_store(tmp_path / "high.arrow", high)
    small_store(tmp_path / "low.arrow", high[3:], seed=1)
    return {
        "name": "small",
        "data": {
            "high": {"store": str(tmp_path / "high.arrow")},
            "low": {"store": str(tmp_path / "low.arrow")},
            "paired": 0.7,
        },
        "sampling": {"frames": 8},
        "training": {"epochs": 2, "batch_size": 8, "warmup": 0, "learning_rate": 0.01},
        "teacher": SMALL,
        "student": SMALL,
        "methods": {
            "teacher": {},
            "summed": {"losses": ["KL"], "gradient_revision": False},
            "revised": {"losses": ["KL", "GraphMatching"]},
        },
        "seeds": [0],
    }


@pytest.fixture
def made(told, tmp_path) -> Callable[[str, str, bool], Task]:
    """Makes the task of a method in a folder, compiled or not; its teacher is done."""

    def task(method: str, folder: str, compiled: bool) -> Task:
        training = told["training"] | {"compile": compiled}
        parsed = recipe.parse(told | {"training": training})
        one = Task(recipe=parsed, root=tmp_path / folder, method=method, fold=0, seed=0)
        for needed in one.needs:
            perform(needed)
        return one

    return task


def logits_of(task: Task) -> np.ndarray:
    perform(task)
    return task.said().logits


def fails(*_, **__):
    raise RuntimeError("no compiler here\nand a long story")


def fails_when_called(*_, **__):
    return fails


@pytest.mark.parametrize("compiler", [fails, fails_when_called])
@pytest.mark.parametrize("method", ["teacher", "summed"])
def test_what_fails_to_compile_is_computed_as_ever(made, monkeypatch, caplog, compiler, method):
    expected = logits_of(made(method, "eager", False))
    monkeypatch.setattr(torch, "compile", compiler)
    task = made(method, "tried", True)
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(logits_of(task), expected)
    (record,) = caplog.records
    said = "torch.compile fails, so all is computed without: no compiler here"
    assert record.getMessage() == said


def test_an_error_without_words_is_named(monkeypatch, caplog):
    def silent(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr(torch, "compile", silent)
    network = torch.nn.Linear(2, 2)
    assert not compiling.compile_networks([network], lambda: None, [])
    assert "NotImplementedError" in caplog.text
    assert network._compiled_call_impl is None


@pytest.fixture
def stood_in(monkeypatch) -> dict[int, int]:
    """Counts the calls of each network that is compiled, instead of compiling it."""
    calls = {}

    def count(call, **_):
        place = len(calls)
        calls[place] = 0

        def counted(*arguments):
            calls[place] += 1
            return call(*arguments)

        return counted

    monkeypatch.setattr(torch, "compile", count)
    return calls


def test_a_trial_leaves_no_trace_in_statistics(stood_in):
    network = torch.nn.BatchNorm1d(2)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}

    def trial():
        network(torch.randn(4, 2))

    assert compiling.compile_networks([network], trial, network.buffers())
    assert stood_in == {0: 1}
    for name, buffer in network.named_buffers():
        assert torch.equal(buffer, before[name])


@pytest.mark.parametrize(
    ("method", "compiled", "steps"),
    [("teacher", 1, 2), ("summed", 2, 3), ("revised", 1, 3)],
)
def test_networks_are_compiled_but_for_a_revised_student(made, stood_in, method, compiled, steps):
    expected = logits_of(made(method, "eager", False))
    task = made(method, "compiled", True)
    stood_in.clear()
    np.testing.assert_array_equal(logits_of(task), expected)
    # two steps to try it out, then two epochs; evaluation is not compiled
    assert stood_in == dict.fromkeys(range(compiled), 2 + 2 * steps)


def test_a_trial_leaves_no_trace_in_weights_that_a_step_makes_anew(told, made, stood_in):
    own = {"streams": 2, "frames": 8, "binary": False}
    told["teacher"] = {"name": "RAGCN", "width": 0.125, **own}
    expected = logits_of(made("teacher", "eager", False))
    assert not stood_in
    np.testing.assert_array_equal(logits_of(made("teacher", "compiled", True)), expected)
    assert stood_in


class Killed(Exception):
    pass


def test_a_run_goes_on_whether_or_not_it_is_compiled(made, stood_in):
    whole, broken = made("teacher", "whole", False), made("teacher", "broken", True)
    assert whole.fingerprint == broken.fingerprint

    def kill(step):
        if step.epoch == 1:
            raise Killed

    with pytest.raises(Killed):
        perform(broken, kill)
    assert stood_in.popitem()[1] > 0
    again = made("teacher", "broken", False)
    np.testing.assert_array_equal(logits_of(again), logits_of(whole))
    assert not stood_in


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++, which torch.compile needs here")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_compiled_for_real(told, tmp_path, precision):
    del told["methods"]["revised"]
    found = []
    for compiled in (False, True):
        path, out = tmp_path / "recipe.yaml", tmp_path / str(compiled)
        training = told["training"] | {"compile": compiled, "precision": precision}
        path.write_text(yaml.safe_dump(told | {"training": training}), encoding="utf-8")
        # by itself: annotations that are checked cannot be compiled
        words = [sys.executable, "-m", "skeldistill", "run", str(path), "--out", str(out)]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        assert "torch.compile fails" not in done.stderr, done.stderr
        found.append(answers(out))
    for plain, quick in zip(*found, strict=True):
        assert 0 < np.abs(plain - quick).max() < (1e-3 if precision == "32-true" else 0.05)


def answers(out: Path) -> list[np.ndarray]:
    return [said_in(out / "fold0" / method / "seed0").logits for method in ("teacher", "summed")]
