"""The bar of long loops: there when one waits, gone with the loop, silent otherwise."""

import gc

import pytest

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
