"""The figure of a cell: what is printed, what was measured here, and how far both are apart."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from skeldistill.reproduction.book import Cell
from skeldistill.reproduction.recipes import Experiment, place
from skeldistill.training.answers import Answers
from skeldistill.training.statistics import Interval, accuracy, over_runs
from skeldistill.training.task import Task

TOP = {"top1": 1, "top5": 5}


def figure(cell: Cell, here: list[tuple[Experiment, str]], why: list[str]) -> dict[str, Any]:
    """A cell: what is printed, what was measured, the difference; or why it was not measured."""
    _, column = cell.at
    measure = cell.about.measure
    assert measure is not None
    tasks = [task for experiment, method in here for task in experiment.tasks(method)]
    ours = values = None
    if tasks and not why and all(task.done and _is_told(task, measure) for task in tasks):
        values = [value(task, measure) for task in tasks]
        ours = interval(tasks, measure, values)
    difference = None
    if ours is not None and cell.printed is not None:
        ends = [None if end is None else end - cell.printed for end in (ours.low, ours.high)]
        difference = {"mean": ours.mean - cell.printed, "low": ends[0], "high": ends[1]}
    return {
        "at": list(place(cell)[1:]),
        "column": column.name,
        "measure": measure,
        "printed": cell.printed,
        "ours": asdict(ours) | {"values": values} if ours else None,
        "difference": difference,
        "why": why,
    }


def _is_told(task: Task, measure: str) -> bool:
    """Whether there is a figure; there is no accuracy of one that was tested on no clip."""
    return measure not in TOP or task.measured()[measure] is not None


def interval(tasks: Sequence[Task], measure: str, values: Sequence[float]) -> Interval:
    """Of an accuracy over seeds and clips; of a loss, which is no clip's own, over trainings."""
    if measure not in TOP:
        return over_runs(values)
    answers = Answers.of_tasks(tasks, TOP[measure])
    return accuracy(answers.rights, ids=answers.ids)


def value(task: Task, measure: str) -> float:
    """An accuracy in percent, or one of the two losses of graph matching, before its weight."""
    measured = task.measured()
    if measure in TOP:
        return float(measured[measure])
    term = next(
        one for one in task.recipe.methods[task.method].losses if one.name == "GraphMatching"
    )
    balance = term.options.get("balance", 0.5)
    weight = 1.0 if balance is None else balance if measure == "node" else 1 - balance
    return float(measured["history"][-1]["terms"][measure]) / (term.weight * weight)
