"""Robustness curves: a figure, a table and a page of what `training.robustness.sweep` measured."""

import csv
import io
from math import nan
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skeldistill.files import whole, write_text
from skeldistill.report import latex
from skeldistill.report.page import fill
from skeldistill.report.palette import (
    BLUE,
    GOLD,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    STYLES,
    inline,
    plain,
    text_stays_text,
)
from skeldistill.report.reading import interval
from skeldistill.report.tables import score

Robustness = dict[str, Any]
"""What the sweep returns, and ``robustness.json`` holds."""

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, GOLD)


def write(results: Robustness, folder: Path) -> list[Path]:
    """Write the page, the figure (PNG, SVG) and the table (CSV, LaTeX) into a folder; the files.

    Raises:
        OSError: when the folder cannot be written to.
    """
    texts = {
        "robustness.html": fill("robustness.html", content(results)),
        "robustness.csv": as_csv(results),
        "robustness.tex": as_latex(results),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    written = [folder / name for name in texts]
    drawing = figure(results)
    for ending, metadata in (("png", {}), ("svg", {"Date": None})):
        path = folder / f"robustness.{ending}"
        with whole(path) as partial, text_stays_text("robustness"):
            drawing.savefig(partial, format=ending, dpi=200, metadata=metadata)
        written.append(path)
    return written


def figure(results: Robustness) -> Figure:
    """Top-1 over severity, one panel a degradation, one line a method, with 95 % intervals.

    The leftmost point of every line is its clean accuracy.
    """
    shown, methods = results["degradations"], results["methods"]
    columns = min(len(shown), 4)
    rows = -(-len(shown) // columns)
    drawn = Figure(figsize=(2.9 * columns, 2.6 * rows + 0.5), layout="constrained")
    panels = drawn.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes, entry in zip(panels, shown, strict=False):
        _panel(axes, entry, methods)
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    for axes in panels[: len(shown) : columns]:
        axes.set_ylabel("top-1, %")
    handles, labels = panels[0].get_legend_handles_labels()
    drawn.legend(handles, labels, loc="outside upper center", ncols=min(len(methods), 4))
    return drawn


def _panel(axes: Axes, entry: dict[str, Any], methods: list[dict[str, Any]]) -> None:
    teachers = [method["name"] for method in methods if method["view"] == "high"]
    for place, method in enumerate(methods):
        points = [method["clean"], *method["curves"][entry["name"]]]
        if method["view"] == "high":
            colour, style = GREY, teachers.index(method["name"])
        else:  # once all colours are used, they come back with other styles
            colour, style = COLOURS[place % len(COLOURS)], place + place // len(COLOURS)
        axes.plot(
            range(6),
            [point["mean"] for point in points],
            color=colour,
            linestyle=STYLES[style % len(STYLES)],
            marker=".",
            label=plain(method["name"]),
        )
        if method["runs"] > 2:  # of two runs, the interval fills the panel
            ends = [interval(point) or (nan, nan) for point in points]  # all right, all wrong: none
            low, high = zip(*ends, strict=True)
            axes.fill_between(range(6), low, high, color=colour, alpha=0.12, linewidth=0)
    axes.set_title(entry["name"], fontsize=10)
    axes.set_xticks(range(6), ["clean", *_ticks(entry["severities"])], fontsize=7, rotation=35)
    axes.set_ylim(0, 100)
    axes.grid(axis="y", color="#d5dae0", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def _ticks(severities: list[dict[str, Any]]) -> list[str]:
    """The values by which the severities differ."""
    first, *others = severities
    same = {key for key, value in first.items() if all(one[key] == value for one in others)}
    return [options({k: v for k, v in one.items() if k not in same}) for one in severities]


def options(severity: dict[str, Any]) -> str:
    """A severity's options in short: the values alone."""
    return ", ".join(
        f"{value:g}" if isinstance(value, float) else str(value) for value in severity.values()
    )


def as_csv(results: Robustness) -> str:
    """One line a method, degradation and severity (0 is clean), accuracies in percent."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "degradation", "severity", "options", "top1", "low", "high"])
    for method in results["methods"]:
        points = [("", 0, "", method["clean"])]
        points += [
            (entry["name"], place, options(severity), method["curves"][entry["name"]][place - 1])
            for entry in results["degradations"]
            for place, severity in enumerate(entry["severities"], start=1)
        ]
        for name, place, told, top1 in points:
            writer.writerow(
                [method["name"], name, place, told, top1["mean"], top1["low"], top1["high"]]
            )
    return text.getvalue()


def as_latex(results: Robustness) -> str:
    """What each method keeps, for a paper, and below it what the columns are."""
    headings = ["Method", *_headings(results)]
    lines = [list(map(latex.plain, line)) for line in _lines(results)]
    table = latex.tabular(list(map(latex.plain, headings)), [lines])
    told = filter(None, (kept_note(results), shown_note(results), summary(results)))
    notes = map(latex.comment, told)
    return "\n".join([latex.PACKAGE, *table, *notes, ""])


def kept_note(results: Robustness) -> str:
    """What the columns of the table are."""
    return (
        "Kept: mean top-1 over all degradations and severities, relative to the clean accuracy of "
        f"{_reference(results)}, which is taken as known. The columns after it: mean top-1 over "
        "the five severities. 95 % intervals over seeds and clips, with one seed over folds or "
        "clips, whichever is longer, by Student's t."
    )


def shown_note(results: Robustness) -> str:
    """Which degradations act on what networks are shown; nothing where none does."""
    names = [entry["name"] for entry in results["degradations"] if entry["shown"]]
    if not names:
        return ""
    return (
        f"Blanked in what each network is shown, after completion, streams and branches: "
        f"{', '.join(names)}."
    )


def _reference(results: Robustness) -> str:
    """Whose accuracy all methods are told relative to, with the figure."""
    against = results["relative_to"]
    return f"{against['name']} ({against['accuracy']:.1f} %)"


def _headings(results: Robustness) -> list[str]:
    return ["Clean top-1 %", "Kept %", *(entry["name"] for entry in results["degradations"])]


def _lines(results: Robustness) -> list[list[str]]:
    """A line a method, the one that keeps most first: its name and its figures."""
    names = [entry["name"] for entry in results["degradations"]]
    return [
        [
            method["name"],
            score(method["clean"]),
            score(method["kept"]),
            *(f"{_mean(method['curves'][name]):.1f}" for name in names),
        ]
        for method in _ranked(results)
    ]


def _ranked(results: Robustness) -> list[dict[str, Any]]:
    return sorted(results["methods"], key=lambda method: -method["kept"]["mean"])


def _values(method: dict[str, Any]) -> list[float]:
    """The numbers of a method's line, for sorting."""
    return [method["clean"]["mean"], method["kept"]["mean"], *map(_mean, method["curves"].values())]


def content(results: Robustness) -> dict[str, Any]:
    """Everything the page shows, in the words of its template."""
    return {
        "title": results["title"],
        "summary": summary(results),
        "headings": _headings(results),
        "rows": [
            (method["name"], [*zip(line, _values(method), strict=True)])
            for method, (_, *line) in zip(_ranked(results), _lines(results), strict=True)
        ],
        "kept_note": kept_note(results),
        "drawing": inline(figure(results), "robustness"),
        "degradations": [
            (
                entry["name"],
                [", ".join(f"{k} {v}" for k, v in s.items()) for s in entry["severities"]],
            )
            for entry in results["degradations"]
        ],
        "shown_note": shown_note(results),
        "data": {},
    }


def summary(results: Robustness) -> str:
    """Which method keeps most, which least, and whether they can be told apart."""
    students = [method for method in _ranked(results) if method["view"] == "low"]
    ranked = students or _ranked(results)
    best, worst = ranked[0], ranked[-1]
    said = (
        f"Over all degradations and severities {best['name']} keeps {best['kept']['mean']:.1f} % "
        f"of the clean accuracy of {_reference(results)}"
    )
    if worst is best:
        return f"{said}."
    compared = {one["against"]: one for one in results["comparisons"]}
    if all(compared.get(m["name"], {}).get("above_noise") for m in ranked[1:]):
        said += f", the most of {len(ranked)} {'students' if students else 'methods'}"
    said += f"; {worst['name']} keeps {worst['kept']['mean']:.1f} %."
    if worst["name"] not in compared:
        return f"{said} They have other test clips, folds or seeds, and so are not compared."
    return f"{said} In mean top-1 {compared[worst['name']]['sentence']}"


def _mean(points: list[dict[str, Any]]) -> float:
    return sum(point["mean"] for point in points) / len(points)
