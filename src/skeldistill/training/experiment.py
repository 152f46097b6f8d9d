"""An experiment: every method, fold and seed of a recipe, then one table of results."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from skeldistill import processes
from skeldistill.data.pairing import evaluation_clips
from skeldistill.data.views import derived, open_views
from skeldistill.files import write_text
from skeldistill.recipe import Recipe
from skeldistill.training.bars import shown
from skeldistill.training.comparable import copies_note, unseen_note
from skeldistill.training.examples import completed_views, examples_of
from skeldistill.training.perform import check
from skeldistill.training.pool import at_once
from skeldistill.training.results import gather
from skeldistill.training.task import MEASURED, Task, look_again
from skeldistill.training.turns import Say, alone_in, in_turn


def run(
    recipe: Recipe,
    root: Path,
    *,
    jobs: int = 1,
    command: str = "",
    console: Console | None = None,
) -> dict[str, Any]:
    """Do everything a recipe asks for, skip what is done, and write results.json.

    Several runs, on any machines that share the folder, share its tasks. Of several processes that
    torchrun has started, all train every network together.

    Args:
        recipe: what to do.
        root: the folder of the experiment; made if it does not exist.
        jobs: how many trainings run at once, each with its share of the processor's threads.
        command: what the user typed, for the report.
        console: where progress is shown; None shows none.

    Returns:
        The results, as results.json holds them; nothing in all processes but the first.

    Raises:
        OSError, ValueError: one line; what was finished stays finished.
    """
    began = time.perf_counter()
    if jobs > 1 and processes.count() > 1:
        raise ValueError("either torchrun or --jobs: several processes train one network at a time")
    look_again()
    console = console if processes.first() else None
    say = _say(console)
    with processes.joined():
        with processes.first_goes_ahead():
            if processes.first():
                with alone_in(root / "views", say):
                    _prepare(recipe, root, say, quiet=console is None)
                write_text(root / "recipe.yaml", recipe.to_yaml())  # of what is not refused
        tasks = list_tasks(recipe, root)
        if processes.first():
            _tell_of_changes(tasks, say)
        with shown(tasks, console) as (watch, finished):
            if jobs > 1:
                at_once(tasks, jobs, watch, finished, say)
            else:
                in_turn(tasks, watch, finished, say)
    if not processes.first():
        return {}
    results = gather(recipe, root, tasks, seconds=time.perf_counter() - began, command=command)
    write_text(root / "results.json", json.dumps(results))
    return results


def run_one(
    recipe: Recipe, root: Path, method: str, fold: int, seed: int, *, console: Console | None = None
) -> Task:
    """Train one method on one fold under one seed, and first what it needs; the finished task."""
    look_again()
    console = console if processes.first() else None
    say = _say(console)
    last = Task(recipe=recipe, root=root, method=method, fold=fold, seed=seed)
    with processes.joined():
        with processes.first_goes_ahead():
            if processes.first():
                with alone_in(root / "views", say):
                    open_views(recipe.data, root / "views", quiet=console is None)
                    for note in check(last):
                        say(f"{method}: {note}")
                write_text(root / "recipe.yaml", recipe.to_yaml())
        tasks = _with_needs(last)
        with shown(tasks, console) as (watch, finished):
            in_turn(tasks, watch, finished, say)
    return last


def _tell_of_changes(tasks: list[Task], say: Say) -> None:
    """Say which finished trainings are not those that are asked for now."""
    others = [task for task in tasks if (task.folder / MEASURED).is_file() and not task.done]
    if others:
        names = ", ".join(dict.fromkeys(task.method for task in others))
        say(
            f"{len(others)} finished trainings had other settings or data and are done anew "
            f"(another --out keeps them): {names}"
        )


def _say(console: Console | None) -> Say:
    return (lambda _: None) if console is None else console.print


def _with_needs(task: Task) -> list[Task]:
    return [needed for need in task.needs for needed in _with_needs(need)] + [task]


def list_tasks(recipe: Recipe, root: Path) -> list[Task]:
    """All tasks, each after those it needs; seeds come last, so that a first table comes early."""
    ordered: list[Task] = []
    names: set[tuple[str, int, int]] = set()

    for seed in recipe.seeds:
        for fold in range(len(recipe.data.folds)):
            for method in recipe.methods:
                last = Task(recipe=recipe, root=root, method=method, fold=fold, seed=seed)
                for task in _with_needs(last):
                    key = (task.method, task.fold, task.seed)
                    if key not in names:
                        names.add(key)
                        ordered.append(task)
    return ordered


def check_all(recipe: Recipe, root: Path) -> list[str]:
    """Refuse what cannot work, in any fold; what is allowed but better known before, a line each.

    Raises:
        OSError, ValueError: one line.
    """
    views = open_views(recipe.data, root / "views", quiet=True)
    notes: dict[str, list[str]] = {}
    for name, method in recipe.methods.items():
        task = Task(recipe=recipe, root=root, method=name, fold=0, seed=recipe.seeds[0])
        said = check(task)
        for fold in range(1, len(recipe.data.folds)):  # networks and losses are the same there
            examples = examples_of(replace(task, fold=fold), method, *views)
            told = unseen_note(*examples, recipe.data.folds[fold]), copies_note(*examples)
            said += [note for note in told if note]
        for note in dict.fromkeys(said):
            notes.setdefault(note, []).append(name)
    return [f"{', '.join(names)}: {note}" for note, names in notes.items()]


def _prepare(recipe: Recipe, root: Path, say: Say, *, quiet: bool) -> None:
    """Make every view, and refuse what cannot work before an hour is lost; say what is odd."""
    high, low = open_views(recipe.data, root / "views", quiet=quiet)
    for fold in recipe.data.folds:
        high.in_split(fold.train)
        evaluation_clips(low, high, low, fold, recipe.data)
    for name, completion in completed_views(recipe):
        view = high if name == "high" else low
        derived(view, (), completion, recipe.data.seed, root / "views", quiet=quiet)
    for note in check_all(recipe, root):
        say(note)
