"""What goes to the terminal stands there as it was written."""

import pytest
from rich.table import Table
from stores import named, small_store

from skeldistill import terminal

AWKWARD = "[/left] wave [bold] :car:"


def test_no_name_is_taken_for_a_style(capsys):
    table = Table(AWKWARD, title=AWKWARD, caption=AWKWARD)
    table.add_row(AWKWARD)
    told = terminal.console(narrowest=60)
    told.print(table)
    told.print(AWKWARD)
    assert capsys.readouterr().out.count(AWKWARD) == 5


@pytest.mark.parametrize("columns", ["20", "300"])
def test_a_narrow_terminal_is_taken_to_be_wider(columns, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert terminal.console(narrowest=120).width == max(120, int(columns))


def test_a_store_with_brackets_in_its_names(skeldistill, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / "new [v2]"
    folder.mkdir()
    store = folder / "low.arrow"
    small_store(store, named(4, "train"), classes=(AWKWARD, "sit", "kick [right]"))
    code, out, _ = skeldistill("data", "info", store)
    assert code == 0
    assert all(name in out for name in (AWKWARD, "kick [right]", str(store)))


@pytest.mark.parametrize(("count", "said"), [(0, "0 clips"), (1, "1 clip"), (2, "2 clips")])
def test_one_is_said_as_one(count, said):
    assert terminal.counted(count, "clip") == said
