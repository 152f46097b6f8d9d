"""Reproduce the papers' tables: run what the user's views allow, beside what is printed."""

import datetime
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.text import Text

from skeldistill import __version__
from skeldistill.files import write_text
from skeldistill.reproduction.book import Cell
from skeldistill.reproduction.earlier import (
    RESULTS,
    Earlier,
    earlier,
    set_aside,
    settings,
)
from skeldistill.reproduction.figures import figure
from skeldistill.reproduction.plan import costs, laid_out
from skeldistill.reproduction.recipes import (
    Experiment,
    Setting,
    experiments,
    place,
    sides,
    views_needed,
)
from skeldistill.reproduction.share import Shared
from skeldistill.reproduction.views import VIEWS, Given, imported
from skeldistill.training.experiment import list_tasks, run
from skeldistill.training.machine import machine

INTERVALS = (
    "Ours: mean and 95 % interval over seeds and clips, by Student's t; a clip that several folds "
    "test is one clip. With one seed it is over folds, or over clips where that is longer; of "
    "losses it is over all folds and seeds. "
    "Difference: ours less printed, with the same interval; what is printed has none."
)
OF_A_ROW = ("parameters", "multiply_adds", "latency_ms", "seconds")


def reproduce(
    cells: Sequence[Cell],
    given: Given,
    setting: Setting,
    root: Path,
    *,
    jobs: int = 1,
    command: str = "",
    console: Console | None = None,
) -> dict[str, Any]:
    """Run all cells whose views are there, skip what is done, and write ``reproduce.json``.

    Tables that stand there under the same settings stay; those under others are set aside.

    Args:
        cells: of the tables.
        given: the user's views.
        setting: family, seeds and changes.
        root: the folder of the reproduction. Cells that share views, networks and training share
            an experiment below it, which is one as `skeldistill run` makes them.
        jobs: how many trainings run at once.
        command: what the user typed, for the report.
        console: where progress is shown; None shows none.

    Returns:
        The results, as ``reproduce.json`` holds them. A cell without ``ours`` says ``why``, and
        which views are ``missing``;
        ``failed`` names the experiments that could not be run although their views are there.

    Raises:
        OSError: the folder cannot be written to.
        ValueError: a change makes a recipe that cannot be.
    """
    stores, lacking = _stores(cells, given, setting, root, quiet=console is None)
    able = [cell for cell in cells if not _missing(cell, setting, lacking)]
    made = experiments(able, stores, setting, root)
    moved = set_aside(root, setting)
    if moved and console is not None:
        console.print(Text(moved, style="bold"))
    shared, failed = Shared(root), {}
    rows: dict[str, dict[str, Any]] = {}

    def results() -> dict[str, Any]:
        # Read anew, as another process may have written tables of its own meanwhile.
        before = earlier(root, setting)
        found = _gathered(cells, given, setting, lacking, made, rows, failed, before)
        commands = [one for one in before.commands if one != command]
        written = {**found, "commands": [*commands, *filter(None, [command])], "failed": failed}
        write_text(root / RESULTS, json.dumps(written))
        return written

    for number, experiment in enumerate(made, start=1):
        name = experiment.folder.name
        if console is not None:
            told = f"{number} of {len(made)} {name}: {experiment.recipe.title}"
            console.print(told, style="bold")
        try:
            _refuse_lost_start(experiment, failed)
            found = _perform(experiment, shared, jobs, command, console)
            rows[name] = {row["name"]: row for row in found["methods"]}
        except (OSError, ValueError) as error:
            # One experiment that cannot be must not take hours of others with it.
            failed[name] = " ".join(str(error).split())
            if console is not None:
                console.print(f"{name}: {failed[name]}", style="red")
        results()
    return results()


def _stores(
    cells: Sequence[Cell], given: Given, setting: Setting, root: Path, *, quiet: bool
) -> tuple[Given, dict[str, str]]:
    """All views that are used, as stores; and for those that cannot be had, why."""
    lacking: dict[str, str] = {}
    names: dict[str, None] = {}
    for cell in cells:
        for one in (cell, cell.started_by):
            if one is not None:
                names |= dict.fromkeys(sides(one, given, setting.family))
                names |= dict.fromkeys(views_needed(one, setting.family))
    views = {}
    for name in names:
        why = given.missing(name)
        if why is None:
            try:
                views[name] = imported(given.views[name], root / VIEWS, quiet=quiet)
                continue
            except (OSError, ValueError) as error:
                why = f"{name}: {' '.join(str(error).split())}"
        lacking[name] = why
    return replace(given, views=views), lacking


def _missing(cell: Cell, setting: Setting, lacking: dict[str, str]) -> list[str]:
    """The views that a cell needs and that cannot be had."""
    needed = dict.fromkeys(views_needed(cell, setting.family))
    return [name for name in needed if name in lacking]


def _refuse_lost_start(experiment: Experiment, failed: dict[str, str]) -> None:
    for before in experiment.after:
        if before.folder.name in failed:
            raise ValueError(f"it starts from {before.folder.name}, which could not be run")


def _perform(
    experiment: Experiment, shared: Shared, jobs: int, command: str, console: Console | None
) -> dict[str, Any]:
    tasks = list_tasks(experiment.recipe, experiment.folder)
    for task in tasks:
        shared.adopt(task)
    try:
        return run(
            experiment.recipe, experiment.folder, jobs=jobs, command=command, console=console
        )
    finally:
        for task in tasks:
            shared.offer(task)


def _gathered(
    cells: Sequence[Cell],
    given: Given,
    setting: Setting,
    lacking: dict[str, str],
    made: Sequence[Experiment],
    rows: dict[str, dict[str, Any]],
    failed: dict[str, str],
    before: Earlier,
) -> dict[str, Any]:
    """What is known by now, laid out as the papers print it."""
    wanted = {place(cell) for cell in cells}
    asked: dict[tuple[str, int, int, int], list[tuple[Experiment, str]]] = {}
    for experiment in made:
        for cell, method in experiment.cells:
            asked.setdefault(place(cell), []).append((experiment, method))

    def said_of(cell: Cell) -> dict[str, Any]:
        old = before.cells.get(place(cell))
        if old and place(cell) not in wanted:
            return old
        missing = _missing(cell, setting, lacking)
        here = asked.get(place(cell), [])
        broken = [failed[one.folder.name] for one, _ in here if one.folder.name in failed]
        said = figure(cell, here, [*(lacking[name] for name in missing), *broken])
        # A figure stands until it is measured anew, or its training fails: an interrupt on the way,
        # or views that are not at hand today, do not take it away.
        if old and old["ours"] and not said["ours"] and not broken:
            return old
        return {**said, "missing": missing}

    def fill(row: list[Cell]) -> dict[str, Any]:
        said = [said_of(cell) for cell in row]
        new = [
            cell
            for cell, now in zip(row, said, strict=True)
            if now is not before.cells.get(place(cell))
        ]
        measured = [
            rows[one.folder.name][method]
            for cell in new
            for one, method in asked.get(place(cell), [])
            if method in rows.get(one.folder.name, {})
        ]
        old = before.rows.get((*place(row[0])[:3], 0))
        own = _of_row(measured, old) or _costs(row[0], given, setting)
        stand_ins = dict.fromkeys(old["stand_ins"] if old and len(new) < len(row) else ())
        stand_ins |= dict.fromkeys(_stand_ins(new, given, setting))
        return {"cells": said, **own, "stand_ins": list(stand_ins)}

    return {
        **settings(setting),
        "title": "Printed and reproduced",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "machine": machine(),
        "interval_note": INTERVALS,
        "tables": laid_out(before.with_others(cells), fill),
    }


def _of_row(
    measured: Sequence[dict[str, Any]], old: dict[str, Any] | None
) -> dict[str, Any] | None:
    """What the trainings of a row took, now or before; None where there was none."""
    if not measured:
        return {key: old[key] for key in OF_A_ROW} if old else None
    seconds = float(np.mean([one["seconds"] for one in measured]))
    return {key: measured[0][key] for key in OF_A_ROW} | {"seconds": seconds}


def _costs(cell: Cell, given: Given, setting: Setting) -> dict[str, Any]:
    """What a cell's network costs; nothing where a change does not suit it, as its ``why`` says."""
    nothing: dict[str, Any] = dict.fromkeys(OF_A_ROW)
    try:
        return nothing | costs(cell, given, setting)
    except ValueError:
        return nothing


def _stand_ins(row: Sequence[Cell], given: Given, setting: Setting) -> list[str]:
    """In what the views of a row are not the paper's, in the user's words."""
    names = dict.fromkeys(name for cell in row for name in views_needed(cell, setting.family))
    notes = {name: given.views[name].note for name in names if name in given.views}
    return [f"{name}: {note}" for name, note in notes.items() if note]
