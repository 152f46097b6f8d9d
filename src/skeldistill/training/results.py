"""From finished tasks to the results that a report shows: one dictionary of plain values."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from skeldistill import __version__, checkpoint, cost
from skeldistill.data.store import Store
from skeldistill.data.views import open_views
from skeldistill.distillation.knowledge import ask
from skeldistill.recipe import Recipe
from skeldistill.training.answers import Answers
from skeldistill.training.examples import teacher_examples
from skeldistill.training.gap import between_views
from skeldistill.training.machine import machine
from skeldistill.training.perform import class_names, number_of_classes
from skeldistill.training.quality import by_quality
from skeldistill.training.samples import sample_clips
from skeldistill.training.statistics import accuracy, compare
from skeldistill.training.task import NETWORK, Task, mark_of, require_same_views

NO_SCORES: dict[str, Any] = dict.fromkeys(("top1", "top5", "confusion", "per_class"))
"""Of a method that was tested on no clip."""

INTERVALS = (
    "95 % intervals over seeds and clips, by Student's t (Welch and Satterthwaite), of the share "
    "of the gap by bootstrap; comparisons and the share of the gap on the same clips for all "
    "methods. A clip that several folds test is one clip: all answers about it count as one. With "
    "one seed, intervals of accuracies are Student's t over folds, or over clips where that is "
    "longer. p by a sign-flip test by clip, which knows nothing of training's noise."
)


def gather(
    recipe: Recipe, root: Path, tasks: Sequence[Task], *, seconds: float, command: str
) -> dict[str, Any]:
    """Everything measured in an experiment, as results.json holds it."""
    high, low = open_views(recipe.data, root / "views", quiet=True)
    require_same_views(tasks[0].views, mark_of(high, low))
    by_method = {name: [task for task in tasks if task.method == name] for name in recipe.methods}
    measured = {name: mine for name, mine in by_method.items() if all(t.said().ids for t in mine)}
    answers = {name: Answers.of_tasks(mine) for name, mine in measured.items()}
    teacher = recipe.main_teacher
    plain = next(
        (n for n, m in recipe.methods.items() if _kind(recipe, n) == "plain" and _is_bare(m)), None
    )
    ends = (teacher, plain) if teacher in answers and plain in answers else None
    gap = between_views(answers, *ends) if ends else None
    names = class_names(high, low)
    classes = [*names, *map(str, range(len(names), number_of_classes(high, low)))]
    rows = []
    for name, mine in by_method.items():
        row = _row(recipe, name, mine, answers.get(name))
        sees_low = recipe.methods[name].view == "low"
        row["gap_closed"] = gap["closed"].get(name) if gap and sees_low else None
        matrix = _part_matrix(recipe, mine[0], high, low)
        if matrix is not None:
            row["part_matrix"] = matrix
        rows.append(row)
    return {
        "format": 1,
        "name": recipe.name,
        "title": recipe.title or recipe.name,
        "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "machine": machine(),
        "seconds": sum(task.measured()["seconds"] for task in tasks),
        "seconds_now": seconds,
        "command": command,
        "recipe": recipe.model_dump(mode="json"),
        "recipe_yaml": recipe.to_yaml(),
        "evaluated_on": "validation" if recipe.data.validation else "test",
        "classes": classes,
        "folds": [fold.model_dump() for fold in recipe.data.folds],
        "seeds": list(recipe.seeds),
        "interval_note": INTERVALS,
        "methods": rows,
        "comparisons": _comparisons(rows, answers, plain),
        "gap": {key: value for key, value in gap.items() if key != "closed"} if gap else None,
        "by_quality": by_quality(low, measured, ends) if measured else [],
        "clips": sample_clips(recipe, high, low, measured) if measured else [],
    }


def _kind(recipe: Recipe, name: str) -> str:
    method = recipe.methods[name]
    if method.losses:
        return "distilled"
    return "teacher" if method.view == "high" else "plain"


def _is_bare(method) -> bool:
    extras = (method.completion, method.augmentation, method.start_from, method.mix)
    return not any(extras) and method.clips == "all"


def _row(
    recipe: Recipe, name: str, tasks: Sequence[Task], answers: Answers | None
) -> dict[str, Any]:
    """All that is told of a method; no figures of one that was tested on no clip."""
    measured = [task.measured() for task in tasks]
    network, _ = checkpoint.load(tasks[0].folder / NETWORK)
    price = cost.measure(network, recipe.sampling_of(name).frames)
    return {
        "name": name,
        "kind": _kind(recipe, name),
        "view": recipe.methods[name].view,
        "network": type(network).__name__,
        "description": describe(recipe, name) + _anew(measured[0].get("not_carried_over", [])),
        **(_scores(tasks, measured, answers) if answers else NO_SCORES),
        "parameters": price.parameters,
        "multiply_adds": price.multiply_adds,
        "latency_ms": price.latency_ms,
        "seconds": float(np.mean([m["seconds"] for m in measured])),
        "curves": [
            {"fold": task.fold, "seed": task.seed, "epochs": m["history"]}
            for task, m in zip(tasks, measured, strict=True)
        ],
    }


def _scores(
    tasks: Sequence[Task], measured: Sequence[Mapping[str, Any]], answers: Answers
) -> dict[str, Any]:
    confusion = np.sum([task.said().confusion() for task in tasks], axis=0)
    return {
        "top1": _accuracy(answers, [m["top1"] for m in measured]),
        "top5": _accuracy(Answers.of_tasks(tasks, top=5), [m["top5"] for m in measured]),
        "confusion": confusion.tolist(),
        "per_class": [
            100 * row[k] / row.sum() if row.sum() else None for k, row in enumerate(confusion)
        ],
    }


def _anew(names: Sequence[str]) -> str:
    """Which weights a method that starts from another could not take over."""
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f" (begun anew: {', '.join(names[:3])}{more})"


def describe(recipe: Recipe, name: str) -> str:
    """A method in a few plain words."""
    method = recipe.methods[name]
    words = [f"trained and tested on the {method.view} view"]
    if method.completion:
        words.append(f"lost joints filled by {method.completion.name}")
    if method.augmentation:
        parts = " + ".join(part.name for part in method.augmentation)
        words.append(f"{parts} drawn afresh in training")
    if method.mix:
        words.append(f"{method.mix:.0%} of the clips trained on in their high view")
    if method.losses:
        terms = " + ".join(term.name for term in method.losses)
        revised = "with" if method.gradient_revision else "without"
        words.append(
            f"taught by {' and '.join(method.teachers)}: {terms}, {revised} gradient revision"
        )
    if method.start_from:
        words.append(f"starting from {method.start_from}")
    return ", ".join(words)


def _part_matrix(recipe: Recipe, task: Task, high: Store, low: Store) -> list[list[float]] | None:
    """E of PLKD eq. 12 as the method's first teacher has it, for methods that use it."""
    method = recipe.methods[task.method]
    if not any(term.name == "PartContrastive" for term in method.losses):
        return None
    taught_by = task.sibling(method.teachers[0])
    teacher, _ = checkpoint.load(taught_by.folder / NETWORK)
    known = ask(teacher, teacher_examples(taught_by, high, low), taught_by.folder)
    return known["misclassified"].tolist()


def _accuracy(answers: Answers, values: list[float]) -> dict[str, Any]:
    return {**asdict(accuracy(answers.rights, ids=answers.ids)), "values": values}


def _comparisons(
    rows: list[dict[str, Any]],
    answers: dict[str, Answers],
    plain: str | None,
) -> list[dict[str, Any]]:
    """Every low-view method against the plain one, and distilled ones against the best baseline."""
    low = [row for row in rows if row["view"] == "low"]
    if plain is None:
        return []
    pairs = [(row["name"], plain) for row in low if row["name"] != plain]
    baselines = [row for row in low if row["kind"] == "plain"]
    best = max(baselines, key=lambda row: row["top1"]["mean"])["name"]
    if best != plain:
        pairs += [(row["name"], best) for row in low if row["kind"] == "distilled"]
    said = []
    for name, against in pairs:
        mine, other = answers[name], answers[against]
        said.append(compare(mine.rights, other.rights, ids=mine.ids).plain(name, against))
    return said
