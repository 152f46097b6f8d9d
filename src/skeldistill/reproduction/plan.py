"""What reproducing the papers takes: the files, the networks' sizes, and the hours."""

import copy
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from skeldistill import cost, layouts, networks
from skeldistill.data.shown import with_scores
from skeldistill.networks.network import Network
from skeldistill.recipe import Recipe
from skeldistill.reproduction.book import Cell, known
from skeldistill.reproduction.finished import finished
from skeldistill.reproduction.rate import device, training_rate
from skeldistill.reproduction.recipes import (
    Experiment,
    Setting,
    experiments,
    sides,
    views_needed,
)
from skeldistill.reproduction.views import Given
from skeldistill.shelf import build
from skeldistill.training.task import network_part

FORWARD, BACKWARD = 1 / 3, 2 / 3
"""Shares of a training step: going back takes twice as long as going forth."""

EVERYTHING = Given(views={}, divisions={}, all_there=True)
"""For the papers' own views, whatever the user has."""

Fill = Callable[[list[Cell]], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Size:
    """Of a network for one clip: trainable numbers, and multiply-adds of one pass."""

    parameters: int
    multiply_adds: int


def plan(
    cells: Sequence[Cell],
    given: Given,
    setting: Setting,
    *,
    rate: float | None = None,
    root: Path | None = None,
) -> dict[str, Any]:
    """List cells, the views they need, which of these are there, and how long training takes.

    Args:
        cells: of the tables.
        given: the user's views; none need be there.
        setting: family, seeds and changes.
        rate: multiply-adds a second, see `training_rate`; measured if it is left out.
        root: the folder of the reproduction, whose finished trainings need not be done again.

    Returns:
        ``tables`` as `laid_out` makes them, with ``views`` and ``hours`` for every row. The
        ``hours`` of a table, and of all, are those of the trainings that are needed, equal ones
        counted once, one after another; ``hours_left`` those of what is not finished.

    Raises:
        ValueError: a change makes a recipe that cannot be.
    """
    rate = training_rate() if rate is None else rate
    done = finished(cells, given, setting, root, _mark) if root else {}
    counted: dict[str, float] = {}
    there: dict[str, float] = {}
    of_table: dict[str, dict[str, float]] = {}

    def hours(took: dict[str, float], suffix: str = "") -> dict[str, float]:
        left = (one * (1 - done.get(mark, 0.0)) for mark, one in took.items())
        return {f"hours{suffix}": sum(took.values(), 0.0), f"hours_left{suffix}": sum(left, 0.0)}

    def fill(row: list[Cell]) -> dict[str, Any]:
        needed = list(dict.fromkeys(v for cell in row for v in views_needed(cell, setting.family)))
        lacking = {name: given.missing(name) for name in needed}
        wanted = as_if_there(row, given, setting)
        for name in {name for experiment in wanted for name in _in_images(experiment)}:
            if name in lacking and lacking[name] is None:
                lacking[name] = given.unsized(name)
        of_row: dict[str, float] = {}
        for experiment in wanted:
            asked = {method for _, method in experiment.cells}
            for method in experiment.recipe.methods:
                took = seconds(experiment, method, rate) / 3600
                mark = _mark(experiment, method)
                counted[mark] = took
                of_table.setdefault(row[0].table.name, {})[mark] = took
                if method in asked:
                    of_row[mark] = took
                if not any(lacking.values()):
                    there[mark] = took
        return {
            "views": [{"name": name, "missing": why} for name, why in lacking.items()],
            **hours(of_row),
            **costs(row[0], given, setting),
        }

    tables = laid_out(cells, fill)
    return {
        "tables": [one | hours(of_table[one["name"]]) for one in tables],
        **hours(counted),
        **hours(there, "_there"),
        "rate": rate,
        "device": device().type,
        "family": setting.family,
        "seeds": list(setting.seeds),
    }


def laid_out(cells: Iterable[Cell], fill: Fill) -> list[dict[str, Any]]:
    """Cells as the papers print them: tables, blocks, rows; `fill` says more of each row."""
    tables = []
    for _, mine in groupby(cells, key=lambda cell: cell.table.name):
        of_table = list(mine)
        book, table = of_table[0].book, of_table[0].table
        blocks = []
        for block, in_block in groupby(of_table, key=lambda cell: cell.block):
            body = table.blocks[block]
            rows = []
            for place, in_row in groupby(in_block, key=lambda cell: cell.row):
                row, here = body.rows[place], list(in_row)
                rows.append(
                    {
                        "name": row.name,
                        "settings": row.settings,
                        "printed_costs": row.costs.model_dump() if row.costs else None,
                        "cells": [_cell(cell) for cell in here],
                        **fill(here),
                    }
                )
            blocks.append(
                {"title": body.title, "columns": [c.name for c in body.columns], "rows": rows}
            )
        tables.append(
            {
                "name": table.name,
                "title": table.title,
                "paper": f"{book.title} ({book.source})",
                "notes": list(table.notes),
                "blocks": blocks,
            }
        )
    return tables


def _cell(cell: Cell) -> dict[str, Any]:
    _, column = cell.at
    return {"column": column.name, "measure": cell.about.measure, "printed": cell.printed}


def as_if_there(cells: Sequence[Cell], given: Given, setting: Setting) -> list[Experiment]:
    """The experiments of some cells with all views, whether there or not."""
    return experiments(cells, replace(given, all_there=True), setting, Path())


def costs(cell: Cell, given: Given, setting: Setting) -> dict[str, Any]:
    """What the network of a cell costs, on the joints that the paper's view has."""
    experiment = as_if_there([cell], given, setting)[-1]
    found = size(experiment, experiment.cells[-1][1])
    return {"parameters": found.parameters, "multiply_adds": found.multiply_adds}


def size(experiment: Experiment, method: str) -> Size:
    """Of a method's network, without any data: as the known view's joints and classes are."""
    cell, recipe = experiment.cells[0][0], experiment.recipe
    body, sampling = recipe.methods[method], recipe.sampling_of(method)
    high, low = sides(cell, EVERYTHING, recipe.family)
    view = known().views[high if body.view == "high" else low]
    assert cell.about.data is not None
    options = {
        "classes": known().data_sets[cell.about.data].classes,
        "persons": sampling.persons,
        "channels": view.channels + with_scores(sampling, view.channels),
    }
    part = network_part(recipe, body)
    said = {"layout": view.layout, "name": part.name, "options": {**options, **part.options}}
    return _size(json.dumps(said, sort_keys=True), sampling.frames)


@lru_cache(maxsize=256)
def _size(said: str, frames: int) -> Size:
    asked = json.loads(said)
    layout = layouts.find(asked["layout"])
    made = build("network", networks.find(asked["name"]), asked["options"], layout)
    return Size(
        parameters=cost.parameters(made),
        multiply_adds=_without_numbers(made, frames) or cost.multiply_adds(made, frames),
    )


def _without_numbers(network: Network, frames: int) -> int:
    """Multiply-adds from shapes alone, many times as fast; 0 for networks that look at values."""
    if not network.keeps_joints:  # small ones; recurrent layers are slow without numbers
        return 0
    shape = (1, network.persons, frames, network.layout.num_joints, network.channels)
    counter = FlopCounterMode(display=False)
    still = copy.deepcopy(network).eval().to("meta")
    try:
        with torch.no_grad(), counter:
            still(torch.zeros(shape, device="meta"))
    except RuntimeError:  # an operation that knows no shapes alone
        return 0
    return counter.get_total_flops() // 2


def seconds(experiment: Experiment, method: str, rate: float) -> float:
    """How long a method's trainings take one after another, all folds and seeds, teachers apart."""
    recipe, cell = experiment.recipe, experiment.cells[0][0]
    body = recipe.methods[method]
    passes = size(experiment, method).multiply_adds * (1.0 + BACKWARD * _backwards(recipe, method))
    for teacher in body.teachers:
        passes += size(experiment, teacher).multiply_adds * FORWARD
    assert cell.about.data is not None
    assert cell.about.division is not None
    clips = known().data_sets[cell.about.data].divisions[cell.about.division].clips[0]
    share = recipe.data.paired if body.view == "high" or body.clips == "paired" else 1.0
    runs = len(recipe.data.folds) * len(recipe.seeds)
    fitted = networks.find(network_part(recipe, body).name).closed_form_passes
    return runs * (fitted or recipe.training_of(method).epochs) * share * clips * passes / rate


def _in_images(experiment: Experiment) -> set[str]:
    """The views whose joints a recipe places in their images, by name."""
    recipe = experiment.recipe
    high, low = sides(experiment.cells[0][0], EVERYTHING, recipe.family)
    return {
        high if body.view == "high" else low
        for name, body in recipe.methods.items()
        if recipe.sampling_of(name).normalisation == "image"
    }


def _backwards(recipe: Recipe, method: str) -> int:
    """How often a step goes back more than once: gradient revision, once for each loss."""
    body = recipe.methods[method]
    if not body.gradient_revision:
        return 0
    # Graph matching is two losses unless one of them is left out.
    pairs = [term for term in body.losses if term.name == "GraphMatching"]
    both = [t for t in pairs if t.options.get("node", True) and t.options.get("edge", True)]
    return len(body.losses) + len(both)


def _mark(experiment: Experiment, method: str) -> str:
    """Equal for trainings that are the same, as `share` shares them."""
    recipe, body = experiment.recipe, experiment.recipe.methods[method]
    seen = recipe.data.high if body.view == "high" else recipe.data.low
    alone = not (body.losses or body.mix or body.start_from) and recipe.data.paired == 1
    said = {
        "folds": [fold.model_dump() for fold in recipe.data.folds],
        "views": [seen.model_dump(mode="json")]
        if alone
        else recipe.data.model_dump(mode="json", exclude={"folds"}),
        "method": body.model_dump(mode="json"),
        "networks": [
            network_part(recipe, recipe.methods[name]).model_dump()
            for name in (method, *recipe.needs(method))
        ],
        "sampling": recipe.sampling_of(method).model_dump(),
        "training": recipe.training_of(method).model_dump(mode="json", exclude={"compile"}),
        "seeds": recipe.seeds,
    }
    return json.dumps(said, sort_keys=True)
