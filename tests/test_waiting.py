"""What is shown while one waits: there when one waits, gone with it, silent otherwise."""

import gc
import io
import time

import pytest
from rich.console import Console

from skeldistill import waiting


def test_the_items_come_through_and_nothing_is_said_of_a_short_loop(capsys):
    with waiting.shown(iter("abc"), "letters", total=None) as items:
        assert list(items) == ["a", "b", "c"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("quiet", "said"), [(False, True), (True, False)])
def test_a_bar_goes_to_the_errors_once_it_takes_long(monkeypatch, capsys, quiet, said):
    monkeypatch.setattr(waiting, "PATIENCE", -1.0)
    with waiting.shown(range(3), "counting", total=3, unit="runs", quiet=quiet) as items:
        assert sum(items) == 3
    told = capsys.readouterr()
    assert told.out == ""
    assert ("3/3 runs" in told.err) == said


def test_an_error_in_the_loop_ends_the_bar_at_once(monkeypatch, capsys):
    monkeypatch.setattr(waiting, "PATIENCE", -1.0)

    def stumble():
        with waiting.shown(range(3), "counting", total=3) as items:
            for item in items:
                if item:
                    raise ValueError("the second")

    with pytest.raises(ValueError, match="second"):
        stumble()
    assert "1/3" in capsys.readouterr().err
    gc.collect()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("terminal", "slow", "said"), [(True, 0.0, True), (True, 60.0, False), (False, 0.0, False)]
)
def test_a_terminal_is_told_of_a_library_that_takes_long(monkeypatch, terminal, slow, said):
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=terminal)
    monkeypatch.setattr(waiting.terminal, "console", lambda **_: console)
    monkeypatch.setattr(waiting, "SLOW", slow)
    with waiting.loading("PyTorch"):
        until = time.monotonic() + 20
        while said and not shown.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
    assert ("loading PyTorch" in shown.getvalue()) == said
    assert not console._live_stack


def test_what_cannot_be_loaded_ends_the_word(monkeypatch):
    console = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(waiting.terminal, "console", lambda **_: console)
    monkeypatch.setattr(waiting, "SLOW", 0.0)

    def fail():
        with waiting.loading("nothing"):
            time.sleep(0.05)
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert not console._live_stack
