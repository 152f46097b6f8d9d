"""Learning curves as lines: the mean over a method's runs, and the band from least to most."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from skeldistill.report.charts import Axis, axis
from skeldistill.report.reading import Method, Results, methods, number

WIDTH, HEIGHT = 300, 170
"""Size of one small chart, in the units of its picture."""

LEFT, RIGHT, TOP, BOTTOM = 38, 6, 8, 22
"""Room around the lines, for the figures on the axes."""

MOST_POINTS = 120
"""More epochs than this are thinned: a small chart cannot show them."""


@dataclass(frozen=True)
class Line:
    """One quantity over epochs: mean, least and most over the runs."""

    name: str
    epochs: tuple[int, ...]
    mean: tuple[float, ...]
    least: tuple[float, ...]
    most: tuple[float, ...]


def has_curves(method: Method) -> bool:
    """Whether a method kept the figures of its epochs."""
    return any(run.get("epochs") for run in method.get("curves") or [])


def term_names(results: Results) -> list[str]:
    """Every loss term of the results, task loss first, so that a colour means one thing."""
    found: dict[str, None] = {}
    for method in methods(results):
        for run in method.get("curves") or []:
            for epoch in run.get("epochs") or []:
                found |= dict.fromkeys(
                    [*(epoch.get("terms") or {}), *(epoch.get("conflicts") or {})]
                )
    return sorted(found, key=lambda name: name != "task")


def line(method: Method, name: str, read: Callable[[dict[str, Any]], Any]) -> Line | None:
    """What `read` finds in each epoch, over all runs of a method; None if it finds nothing."""
    table: dict[int, list[float]] = {}
    for run in method.get("curves") or []:
        for place, epoch in enumerate(run.get("epochs") or [], start=1):
            value = number(read(epoch))
            if value is not None:
                table.setdefault(int(epoch.get("epoch", place)), []).append(value)
    if not table:
        return None
    epochs = sorted(table)
    step = math.ceil(len(epochs) / MOST_POINTS)
    kept = [*epochs[:-1:step], epochs[-1]]
    return Line(
        name,
        tuple(kept),
        tuple(sum(table[epoch]) / len(table[epoch]) for epoch in kept),
        tuple(min(table[epoch]) for epoch in kept),
        tuple(max(table[epoch]) for epoch in kept),
    )


def accuracy_lines(method: Method) -> list[Line]:
    """Top-1 on the training clips, in percent."""
    found = line(method, "training top-1", lambda epoch: epoch.get("top1"))
    return [found] if found else []


def loss_lines(method: Method, names: list[str]) -> list[Line]:
    """Every loss term, or the whole loss where the terms were not kept."""
    found = [
        line(method, name, lambda epoch, name=name: (epoch.get("terms") or {}).get(name))
        for name in names
    ]
    kept = [entry for entry in found if entry]
    whole = line(method, "loss", lambda epoch: epoch.get("loss"))
    return kept or ([whole] if whole else [])


def conflict_lines(method: Method, names: list[str]) -> list[Line]:
    """In how many steps, in percent, a distillation loss pulled against the task loss."""
    return _shares(method, "conflicts", names)


def strength_lines(method: Method, names: list[str]) -> list[Line]:
    """How much of the task's gradient revision added for each loss in a step, in percent."""
    return _shares(method, "strengths", names)


def _shares(method: Method, kept: str, names: list[str]) -> list[Line]:
    def share(epoch: dict[str, Any], name: str) -> float | None:
        told = number((epoch.get(kept) or {}).get(name))
        return None if told is None else 100 * told

    found = [line(method, name, lambda epoch, name=name: share(epoch, name)) for name in names]
    return [entry for entry in found if entry]


def groups(results: Results) -> list[dict[str, Any]]:
    """For every method with curves its small charts: accuracy, losses, conflicts."""
    names = term_names(results)
    colours = {name: place for place, name in enumerate(names)}
    found = []
    for method in methods(results):
        if has_curves(method):
            charts = [
                _chart("Top-1 on training clips, %", accuracy_lines(method), colours, percent=True),
                _chart("Loss terms", loss_lines(method, names), colours),
                _chart(
                    "Steps in conflict, %", conflict_lines(method, names), colours, percent=True
                ),
                _chart("Added by revision, %", strength_lines(method, names), colours),
            ]
            charts = [chart for chart in charts if chart]
            found.append({"name": method.get("name", ""), "charts": charts})
    return found


def logarithmic(lines: list[Line]) -> bool:
    """Whether the lines span so much that only a logarithmic scale shows them all."""
    least, most = min(min(x.least) for x in lines), max(max(x.most) for x in lines)
    return least > 0 and most / least > 30


def _chart(
    title: str, lines: list[Line], colours: dict[str, int], *, percent: bool = False
) -> dict[str, Any] | None:
    if not lines:
        return None
    by_decade = not percent and logarithmic(lines)
    scale = _decades(lines) if by_decade else _even(lines, percent)
    first, last = min(x.epochs[0] for x in lines), max(x.epochs[-1] for x in lines)

    def across(epoch: int) -> float:
        share = (epoch - first) / max(last - first, 1)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def down(value: float) -> float:
        value = math.log10(value) if by_decade else value
        return round(TOP + (1 - scale.place(value) / 100) * (HEIGHT - TOP - BOTTOM), 1)

    def path(entry: Line, values: tuple[float, ...]) -> list[str]:
        return [f"{across(e)},{down(v)}" for e, v in zip(entry.epochs, values, strict=True)]

    drawn = [
        {
            "name": entry.name,
            "colour": colours.get(entry.name, 0) % 6,
            "points": " ".join(path(entry, entry.mean)),
            "band": " ".join([*path(entry, entry.least), *reversed(path(entry, entry.most))])
            if entry.least != entry.most
            else "",
            "last": f"{entry.mean[-1]:.3g}",
        }
        for entry in lines
    ]
    ticks = [10.0**tick if by_decade else tick for tick in scale.ticks]
    return {
        "title": f"{title} (logarithmic)" if by_decade else title,
        "lines": drawn,
        "ticks": [(down(tick), f"{tick:g}") for tick in ticks],
        "epochs": [(across(first), str(first)), (across(last), str(last))][: 1 + (last > first)],
    }


def _even(lines: list[Line], percent: bool) -> Axis:
    values = [value for entry in lines for value in (*entry.least, *entry.most)]
    return axis([*values, 0.0], most=100.0 if percent else math.inf)


def _decades(lines: list[Line]) -> Axis:
    low = math.log10(min(min(entry.least) for entry in lines))
    high = math.log10(max(max(entry.most) for entry in lines))
    ticks = tuple(float(power) for power in range(math.ceil(low), math.floor(high) + 1))
    return Axis(low, high, ticks)
