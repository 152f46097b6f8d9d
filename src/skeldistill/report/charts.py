"""The page's charts as plain numbers: where each dot, bar, cell and line of the page stands."""

import math
from dataclasses import dataclass, field
from typing import Any

from skeldistill.report.reading import (
    Method,
    Results,
    contrasted,
    interval,
    mean,
    methods,
    number,
)
from skeldistill.report.reading import winner as winner_of

LEVELS = 12
"""Shades of a confusion matrix; cells of one shade are one path, so that 400 classes stay small."""

ROWS_AT_ONCE = 40
"""Classes shown without being asked; of more, those that gain and lose most."""


@dataclass(frozen=True)
class Axis:
    """A scale with round ticks that leaves no figure out."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """Where a value stands between the ends, in percent."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


def axis(values: list[float], *, least: float = -math.inf, most: float = math.inf) -> Axis:
    """A scale around the values with three to seven round ticks, kept within two bounds."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    spread = max(high - low, 1e-9 + 1e-3 * max(abs(low), abs(high)))
    rough = spread / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    if first == last:  # between the bounds there is room on one side at least
        first, last = (first - 1, last) if last * step >= most else (first, last + 1)
    ends = max(first * step, least), min(last * step, most)
    ticks = [place * step for place in range(first, last + 1)]
    return Axis(*ends, tuple(tick for tick in ticks if ends[0] <= tick <= ends[1]))


def accuracy(results: Results) -> dict[str, Any] | None:
    """Every run's top-1 as a dot, the mean as a line and the 95 % interval as a bar."""
    scored = [method for method in methods(results) if mean(method) is not None]
    if not scored:
        return None
    best = winner_of(results)
    spans = {id(m): _span(m) for m in scored}
    scale = axis([v for span in spans.values() for v in span], least=0.0, most=100.0)
    rows = []
    for method in scored:
        ends = interval(method.get("top1"))
        rows.append(
            {
                "name": method.get("name", ""),
                "high": method.get("view") == "high",
                "winner": method is best,
                "mean": scale.place(mean(method) or 0.0),
                "told": f"{mean(method):.1f}",
                "bar": ends and [min(max(scale.place(end), 0), 100) for end in ends],
                "dots": [(scale.place(value), f"{value:.1f}") for value in _values(method)],
            }
        )
    rows.sort(key=lambda row: not row["high"])
    return {"rows": rows, "ticks": [(scale.place(t), f"{t:g}") for t in scale.ticks]}


def _values(method: Method) -> list[float]:
    values = (method.get("top1") or {}).get("values") or []
    return [value for value in map(number, values) if value is not None]


def _span(method: Method) -> list[float]:
    """All figures of a method that the scale must hold; long intervals may leave 0 to 100."""
    ends = interval(method.get("top1")) or ()
    return [mean(method) or 0.0, *_values(method), *(min(max(end, 0.0), 100.0) for end in ends)]


@dataclass(frozen=True)
class Matrix:
    """One confusion matrix: shares of each true class, drawn as one path a shade."""

    title: str
    caption: str
    size: int
    signed: bool
    cells: dict[int, dict[int, float]] = field(repr=False)
    totals: list[int] = field(repr=False)

    @property
    def shades(self) -> list[tuple[str, float, str]]:
        """(more or less, opacity, path) of every shade that occurs; one unit a class."""
        paths: dict[tuple[bool, int], list[str]] = {}
        for true, row in self.cells.items():
            for said, share in row.items():
                level = min(LEVELS, math.ceil(abs(share) * LEVELS))
                paths.setdefault((share > 0, level), []).append(f"M{said} {true}h1v1h-1z")
        # Shades rise steeply at first, so that small shares can be seen among many classes.
        return [
            ("more" if more else "less", round((level / LEVELS) ** 0.75, 2), "".join(path))
            for (more, level), path in sorted(paths.items())
        ]

    @property
    def figures(self) -> list[tuple[int, int, str, str]]:
        """(said, true, percent, how dark: ``on``, ``mid`` or not) of the cells worth a figure."""
        return [
            (said, true, f"{100 * share:+.0f}" if self.signed else f"{100 * share:.0f}", shade)
            for true, row in self.cells.items()
            for said, share in row.items()
            if abs(share) >= 0.005
            for shade in ["on" if abs(share) > 0.75 else "mid" if abs(share) > 0.45 else ""]
        ]

    @property
    def data(self) -> dict[str, Any]:
        """What the page's script needs to say what stands under the pointer."""
        rows = {
            true: {said: round(share, 3) for said, share in row.items()}
            for true, row in self.cells.items()
        }
        return {"rows": rows, "totals": self.totals, "signed": self.signed}


def shares(method: Method) -> list[list[float]]:
    """A method's confusion matrix as shares of each true class; rows without clips are 0."""
    counts = method.get("confusion") or []
    return [[count / max(sum(row), 1) for count in row] for row in counts]


def confusions(results: Results) -> list[Matrix]:
    """The confusion matrices of `contrasted`, and the last's change against the one before."""
    chosen = [method for method in contrasted(results) if method.get("confusion")]
    matrices = [_matrix(m.get("name", ""), _sees(m), shares(m), m["confusion"]) for m in chosen]
    if len(chosen) > 1:
        before, after = chosen[-2:]
        change = difference(before, after)
        title = f"{after.get('name')} − {before.get('name')}"  # noqa: RUF001  a minus sign
        caption = "change in percentage points"
        matrices.append(_matrix(title, caption, change, after["confusion"], signed=True))
    return matrices


def difference(before: Method, after: Method) -> list[list[float]]:
    """What `after` says more often (above 0) or less often than `before`, by true class."""
    pairs = zip(shares(before), shares(after), strict=True)
    return [[b - a for a, b in zip(*rows, strict=True)] for rows in pairs]


def _sees(method: Method) -> str:
    return f"sees {method.get('view', 'low')}-quality skeletons"


def _matrix(
    title: str,
    caption: str,
    table: list[list[float]],
    counts: list[list[int]],
    signed: bool = False,
) -> Matrix:
    # A shade below the first level cannot be seen; with hundreds of classes it would fill the page.
    least = 0.02 if len(table) > 100 else 1e-9
    cells = {
        true: {said: share for said, share in enumerate(row) if abs(share) >= least}
        for true, row in enumerate(table)
    }
    totals = [int(sum(row)) for row in counts]
    return Matrix(title, caption, len(table), signed, cells, totals)


def largest_changes(results: Results, count: int = 8) -> dict[str, Any] | None:
    """The cells of the confusion matrix that distillation changed most, in words."""
    chosen = [method for method in contrasted(results) if method.get("confusion")]
    if len(chosen) < 2:
        return None
    before, after = chosen[-2:]
    names = class_names(results)
    was, now = shares(before), shares(after)
    changes = [
        {
            "true": names[true],
            "said": names[said],
            "right": true == said,
            "before": f"{100 * was[true][said]:.0f} %",
            "after": f"{100 * now[true][said]:.0f} %",
            "change": 100 * change,
        }
        for true, row in enumerate(difference(before, after))
        for said, change in enumerate(row)
        if abs(change) >= 0.005
    ]
    changes.sort(key=lambda cell: -abs(cell["change"]))
    return {"before": before["name"], "after": after["name"], "cells": changes[:count]}


def class_names(results: Results) -> list[str]:
    """The names of the classes; numbers where the results name fewer than they hold."""
    names = [str(name) for name in results.get("classes") or []]
    sizes = [len(m.get("confusion") or m.get("per_class") or []) for m in methods(results)]
    return names + [f"class {place}" for place in range(len(names), max(sizes, default=0))]


def class_accuracy(method: Method) -> list[float | None]:
    """Percent right by true class, as told or else from the confusion matrix."""
    told = method.get("per_class")
    if told:
        return [number(value) for value in told]
    counts = method.get("confusion") or []
    return [100 * row[k] / sum(row) if sum(row) else None for k, row in enumerate(counts)]


def per_class(results: Results) -> dict[str, Any] | None:
    """Each class's accuracy under the methods of `contrasted`, the largest gain first."""
    chosen = [method for method in contrasted(results) if class_accuracy(method)]
    if not chosen:
        return None
    names, columns = class_names(results), [class_accuracy(method) for method in chosen]
    rows = [
        {"name": name, "scores": [column[k] if k < len(column) else None for column in columns]}
        for k, name in enumerate(names)
    ]
    for row in rows:
        last = [score for score in row["scores"][-2:] if score is not None]
        row["gain"] = last[1] - last[0] if len(last) == 2 else None
    rows.sort(key=lambda row: -math.inf if row["gain"] is None else row["gain"], reverse=True)
    half = ROWS_AT_ONCE // 2
    cut = len(rows) > ROWS_AT_ONCE
    return {
        "methods": [method["name"] for method in chosen],
        "before": chosen[-2]["name"] if len(chosen) > 1 else "",
        "rows": [*rows[:half], *rows[-half:]] if cut else rows,
        "middle": rows[half:-half] if cut else [],
        "half": half if cut else len(rows),
    }
