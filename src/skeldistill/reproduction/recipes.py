"""From cells of the papers' tables to experiments: one recipe for cells that share a setting."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skeldistill.recipe import Part, Recipe, View, changed, parse
from skeldistill.reproduction.book import Cell, NamedNetwork, known
from skeldistill.reproduction.views import Given
from skeldistill.shelf import pick
from skeldistill.training.task import NETWORK, Task

TEACHER = "teacher"
UNMARKED = ("title", "methods", "seeds")
"""What may change without another folder: each training knows its own."""
EXPERIMENTS = "experiments"
"""The folder of the experiments, below that of the whole reproduction."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How all cells are run. family: of the recipes. changes: as ``--set`` takes them."""

    family: str
    seeds: tuple[int, ...]
    changes: tuple[str, ...] = ()


@dataclass(kw_only=True)
class Experiment:
    """A recipe, its folder, and which of its methods answers for which cells.

    after: experiments that this one starts from.
    """

    recipe: Recipe
    folder: Path
    cells: list[tuple[Cell, str]] = field(default_factory=list)
    after: list["Experiment"] = field(default_factory=list)

    def tasks(self, method: str) -> list[Task]:
        """All trainings of a method."""
        return [
            Task(recipe=self.recipe, root=self.folder, method=method, fold=fold, seed=seed)
            for seed in self.recipe.seeds
            for fold in range(len(self.recipe.data.folds))
        ]


def views_needed(cell: Cell, family: str) -> tuple[str, ...]:
    """The names of the views without which a cell cannot be run, its start's included."""
    about = cell.about
    names: list[str | None] = []
    for body in methods(cell, family).values():
        if body.get("view") == "high" or body.get("losses") or body.get("mix"):
            names.append(about.high)
        if body.get("view") != "high":
            names.append(about.low)
    start = cell.started_by
    found = dict.fromkeys(name for name in names if name is not None)
    return (*found, *(views_needed(start, family) if start else ()))


def methods(cell: Cell, family: str) -> dict[str, dict[str, Any]]:
    """A cell's method and those that it needs, by their names in the recipe, itself last."""
    return _with_needs(cell, _method(cell), family)


def _method(cell: Cell) -> str:
    assert cell.about.method is not None  # every cell has one: the tests ask all of them
    return cell.about.method


def _with_needs(cell: Cell, name: str, family: str) -> dict[str, dict[str, Any]]:
    body = pick("method of the book", cell.book.methods, name).body(family)
    found: dict[str, dict[str, Any]] = {}
    if body.get("losses"):
        found |= _with_needs(cell, TEACHER, family)
    if body.get("start_from") in cell.book.methods:
        found |= _with_needs(cell, body["start_from"], family)
    return {**found, name: body}


def plain(cell: Cell, given: Given, setting: Setting) -> tuple[dict[str, Any], dict[str, Any]]:
    """A cell's recipe as plain containers, and what tells its folder from others.

    Views that the user did not give are taken from the example, so that a plan can be made
    without any data.
    """
    about, family = cell.about, setting.family
    assert about.data is not None
    assert about.division is not None
    high, low = sides(cell, given, family)
    worse = about.degradations or () if low == about.low else ()
    data = {
        "high": _view(given, high, ()),
        "low": _view(given, low, worse),
        "folds": given.division(about.data, about.division).folds(),
        "paired": about.paired or 1.0,
    }
    bodies = methods(cell, family)
    taught = any(body.get("view") == "high" for body in bodies.values())
    recipe: dict[str, Any] = {
        "title": f"{cell.table.title}: {cell.at[0].name}",
        "family": family,
        "data": data,
        "teacher": _network(cell.about.teacher, cell, high if taught else low, family),
        "student": _network(cell.about.student, cell, low, family),
        "methods": bodies,
        "seeds": list(setting.seeds),
        **(_as_printed(cell, low) if family == "paper" else _strong(cell)),
    }
    if family == "paper":
        recipe["methods"] = _with_own_normalisation(bodies, high, low)
    for change in setting.changes:
        recipe = changed(recipe, change)
    mark = {key: value for key, value in recipe.items() if key not in UNMARKED}
    named = {"high": high, "low": low}
    # Where a view is kept is no matter, what it is and what is done to it are.
    mark["data"] = recipe["data"] | {
        side: [name, recipe["data"][side]["degradations"]] for side, name in named.items()
    }
    return recipe, mark


def sides(cell: Cell, given: Given, family: str) -> tuple[str, str]:
    """The two views of a cell's recipe, by name.

    A view that is neither there nor needed is replaced by the other: a teacher alone needs no low
    view, and a plain student no high one.
    """
    about, needed = cell.about, views_needed(cell, family)
    asked = [name for name in (about.high, about.low) if name is not None]
    had = [name for name in asked if name in needed or given.missing(name) is None]
    high = about.high if about.high in had else had[0]
    low = about.low if about.low in had else had[-1]
    assert high is not None
    assert low is not None
    return high, low


def _as_printed(cell: Cell, low: str) -> dict[str, Any]:
    printed = cell.book.paper
    normalisation = {"normalisation": known().views[low].normalisation}
    return {
        "sampling": printed.get("sampling", {}) | normalisation,
        "training": printed.get("training", {}),
    }


def _strong(cell: Cell) -> dict[str, Any]:
    assert cell.about.data is not None
    networks = [_named(cell, name) for name in (cell.about.teacher, cell.about.student)]
    frames = [named.strong_frames for named in networks if named.strong_frames]
    sampling = {"persons": known().data_sets[cell.about.data].persons}
    return {"sampling": sampling | ({"frames": min(frames)} if frames else {}), "training": {}}


def _with_own_normalisation(
    bodies: Mapping[str, dict[str, Any]], high: str, low: str
) -> dict[str, dict[str, Any]]:
    """Metres are not centred as pixels are: a teacher in the other unit has its own way."""
    own = known().views[high].normalisation
    if own == known().views[low].normalisation:
        return dict(bodies)
    return {
        name: body | ({"sampling": {"normalisation": own}} if body.get("view") == "high" else {})
        for name, body in bodies.items()
    }


def _named(cell: Cell, name: str | None) -> NamedNetwork:
    assert name is not None
    return pick("network of the book", cell.book.networks, name)


def _network(name: str | None, cell: Cell, view: str, family: str) -> dict[str, Any]:
    named = _named(cell, name)
    flat = named.flat if known().views[view].channels == 2 else {}
    return named.part.model_dump() | flat | (named.paper if family == "paper" else {})


def _view(given: Given, name: str, worse: Sequence[Part]) -> dict[str, Any]:
    """A view as a recipe spells it: the user's, with what makes it worse, after what he does."""
    body = given.views[name].view if name in given.views else known().views[name].example
    view = View.model_validate(body)
    return view.model_copy(update={"degradations": (*view.degradations, *worse)}).model_dump(
        mode="json"
    )


def experiments(
    cells: Iterable[Cell], given: Given, setting: Setting, root: Path
) -> list[Experiment]:
    """All that must be run for some cells, those that others start from first.

    Raises:
        ValueError: a change makes a recipe that cannot be.
    """
    made: dict[str, Experiment] = {}
    for cell in cells:
        _add(cell, given, setting, root, made)
    return list(made.values())


def _add(
    cell: Cell, given: Given, setting: Setting, root: Path, made: dict[str, Experiment]
) -> list[Experiment]:
    start = cell.started_by
    if start is None:
        return [_joined(cell, *plain(cell, given, setting), root, made)]
    joined: list[Experiment] = []
    for before in _add(start, given, setting, root, made):
        method = _method(start)
        # Every seed goes on from its own network, so every seed has a recipe of its own.
        for task in [task for task in before.tasks(method) if task.fold == 0]:
            recipe, mark = plain(cell, given, setting)
            weights = task.folder / NETWORK
            body = recipe["methods"][_method(cell)] | {"start_from": str(weights)}
            recipe |= {"methods": {_method(cell): body}, "seeds": [task.seed]}
            mark["start"] = str(weights.relative_to(root))
            joined.append(_joined(cell, recipe, mark, root, made))
            joined[-1].after.append(before)
    return joined


def _joined(
    cell: Cell,
    recipe: dict[str, Any],
    mark: dict[str, Any],
    root: Path,
    made: dict[str, Experiment],
) -> Experiment:
    """The cell's methods in the experiment that has its setting, which is made if there is none."""
    name = folder_name(cell, mark)
    known_methods = made[name].recipe.model_dump(mode="json")["methods"] if name in made else {}
    title = made[name].recipe.title if name in made else recipe["title"]
    whole = recipe | {"name": name, "title": title, "methods": known_methods | recipe["methods"]}
    parsed = parse(whole, where=f"{cell.table.name}, {cell.at[0].name}")
    if name not in made:
        made[name] = Experiment(recipe=parsed, folder=root / EXPERIMENTS / name)
    made[name].recipe = parsed
    made[name].cells.append((cell, _method(cell)))
    return made[name]


def folder_name(cell: Cell, mark: Mapping[str, Any]) -> str:
    """The data set, and a hash of all but the methods: cells that may share a teacher share it."""
    digest = hashlib.sha256(json.dumps(mark, sort_keys=True, default=str).encode()).hexdigest()
    return f"{cell.book.name}-{cell.about.data}-{digest[:8]}"


def place(cell: Cell) -> tuple[str, int, int, int]:
    """What tells a cell from all others."""
    return cell.table.name, cell.block, cell.row, cell.column
