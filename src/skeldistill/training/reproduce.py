"""Reproduce the papers' tables: run what the user's views allow, beside what is printed."""

import datetime
import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from skeldistill import __version__
from skeldistill.files import write_text
from skeldistill.training.experiment import list_tasks, run
from skeldistill.training.machine import machine
from skeldistill.training.reproduce_book import Cell
from skeldistill.training.reproduce_plan import costs, laid_out
from skeldistill.training.reproduce_recipes import (
    Experiment,
    Setting,
    experiments,
    place,
    sides,
    views_needed,
)
from skeldistill.training.reproduce_share import Shared
from skeldistill.training.reproduce_views import Given, imported
from skeldistill.training.statistics import over_runs
from skeldistill.training.task import Task

RESULTS = "reproduce.json"
VIEWS = "views"
INTERVALS = (
    "Ours: mean and 95 % interval by Student's t over all folds and seeds. Difference: ours less "
    "printed, with the same interval; what is printed has none. It knows how much another training "
    "would differ, and of the chance in the choice of clips only what folds tell."
)


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
    shared, failed = Shared(root), {}
    rows: dict[str, dict[str, Any]] = {}

    def results() -> dict[str, Any]:
        found = _gathered(cells, given, setting, lacking, made, rows, failed)
        written = {**found, "command": command, "failed": failed}
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
) -> dict[str, Any]:
    """What is known by now, laid out as the papers print it."""
    asked: dict[tuple[str, int, int, int], list[tuple[Experiment, str]]] = {}
    for experiment in made:
        for cell, method in experiment.cells:
            asked.setdefault(place(cell), []).append((experiment, method))

    def fill(row: list[Cell]) -> dict[str, Any]:
        said = []
        for cell in row:
            missing = _missing(cell, setting, lacking)
            here = asked.get(place(cell), [])
            broken = [failed[one.folder.name] for one, _ in here if one.folder.name in failed]
            why = [*(lacking[name] for name in missing), *broken]
            said.append({**_said(cell, here, why), "missing": missing})
        measured = [
            rows[one.folder.name][method]
            for cell in row
            for one, method in asked.get(place(cell), [])
            if method in rows.get(one.folder.name, {})
        ]
        own = _costs(row[0], given, setting) | {"latency_ms": None, "seconds": None}
        if measured:
            own = {key: measured[0][key] for key in own}
            own["seconds"] = float(np.mean([one["seconds"] for one in measured]))
        return {"cells": said, **own, "stand_ins": _stand_ins(row, given, setting)}

    return {
        "format": 1,
        "title": "Printed and reproduced",
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "machine": machine(),
        "family": setting.family,
        "seeds": list(setting.seeds),
        "changes": list(setting.changes),
        "interval_note": INTERVALS,
        "tables": laid_out(cells, fill),
    }


def _costs(cell: Cell, given: Given, setting: Setting) -> dict[str, int | None]:
    """What a cell's network costs; nothing where a change does not suit it, as its ``why`` says."""
    try:
        return costs(cell, given, setting)
    except ValueError:
        return {"parameters": None, "multiply_adds": None}


def _said(cell: Cell, here: list[tuple[Experiment, str]], why: list[str]) -> dict[str, Any]:
    """A cell: what is printed, what was measured, the difference; or why it was not measured."""
    _, column = cell.at
    measure = cell.about.measure
    assert measure is not None
    values = [
        value(task, measure)
        for experiment, method in here
        for task in experiment.tasks(method)
        if task.done and not why
    ]
    wanted = sum(len(experiment.tasks(method)) for experiment, method in here)
    ours = over_runs(values) if values and len(values) == wanted else None
    difference = None
    if ours is not None and cell.printed is not None:
        ends = [None if end is None else end - cell.printed for end in (ours.low, ours.high)]
        difference = {"mean": ours.mean - cell.printed, "low": ends[0], "high": ends[1]}
    return {
        "column": column.name,
        "measure": measure,
        "printed": cell.printed,
        "ours": asdict(ours) | {"values": values} if ours else None,
        "difference": difference,
        "why": why,
    }


def value(task: Task, measure: str) -> float:
    """An accuracy in percent, or one of the two losses of graph matching, before its weight."""
    measured = task.measured()
    if measure in ("top1", "top5"):
        return float(measured[measure])
    term = next(
        one for one in task.recipe.methods[task.method].losses if one.name == "GraphMatching"
    )
    balance = term.options.get("balance", 0.5)
    weight = 1.0 if balance is None else balance if measure == "node" else 1 - balance
    return float(measured["history"][-1]["terms"][measure]) / (term.weight * weight)


def _stand_ins(row: Sequence[Cell], given: Given, setting: Setting) -> list[str]:
    """In what the views of a row are not the paper's, in the user's words."""
    names = dict.fromkeys(name for cell in row for name in views_needed(cell, setting.family))
    notes = {name: given.views[name].note for name in names if name in given.views}
    return [f"{name}: {note}" for name, note in notes.items() if note]
