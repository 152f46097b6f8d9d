"""Which trainings of a reproduction are finished in its folder, without making or writing any."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from skeldistill.data.planned import planned
from skeldistill.reproduction.book import Cell
from skeldistill.reproduction.recipes import Experiment, Setting, experiments, views_needed
from skeldistill.reproduction.views import VIEWS, Given, if_made
from skeldistill.training.task import MEASURED, Task, look_again

Mark = Callable[[Experiment, str], str]


def finished(
    cells: Sequence[Cell], given: Given, setting: Setting, root: Path, mark: Mark
) -> dict[str, float]:
    """The share of a method's trainings that is finished, by the mark of the method in a plan.

    A plan's recipes name the views as the user does and lie nowhere, a run's name stores and lie
    below `root`; both are made of every cell, its experiments in the same order.
    """
    shares: dict[str, float] = {}
    if not root.exists():
        return shares
    look_again()
    made = {name: if_made(view, root / VIEWS) for name, view in given.views.items()}
    stores = replace(given, views={name: view for name, view in made.items() if view is not None})
    for cell in cells:
        if any(stores.missing(name) for name in views_needed(cell, setting.family)):
            continue
        wanted = experiments([cell], replace(given, all_there=True), setting, Path())
        held = experiments([cell], stores, setting, root)
        for one, other in zip(wanted, held, strict=True):
            for method in one.recipe.methods:
                share = _share(other.tasks(method))
                shares[mark(one, method)] = max(share, shares.get(mark(one, method), 0.0))
    return shares


def _share(tasks: Sequence[Task]) -> float:
    return sum(map(_is_finished, tasks)) / len(tasks)


def _is_finished(task: Task) -> bool:
    if not (task.folder / MEASURED).is_file():
        return False
    try:
        views = planned(task.recipe.data, (), task.root / "views")
    except (OSError, ValueError):
        return False
    # Whether it is done depends on what the views hold, and to ask for that would make them.
    return not views.to_make and task.done
