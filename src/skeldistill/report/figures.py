"""The report's figures for a paper: matplotlib, no window, no global state.

Every function takes the dictionary of ``results.json`` and returns a new `Figure`, or raises
ValueError in one line where the results hold nothing to draw.
"""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skeldistill.files import whole
from skeldistill.layouts import PARTS
from skeldistill.report import charts, embeddings, overlap, responses, strips
from skeldistill.report.curves import (
    Line,
    accuracy_lines,
    conflict_lines,
    has_curves,
    logarithmic,
    loss_lines,
    term_names,
)
from skeldistill.report.palette import (
    BLUE,
    GOLD,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    STYLES,
    brief,
    plain,
    text_stays_text,
)
from skeldistill.report.reading import Method, Results, contrasted, interval, mean, methods
from skeldistill.report.reading import winner as winner_of


def accuracy(results: Results) -> Figure:
    """Top-1 of every method: a dot for each run, the mean, and its 95 % interval."""
    scored = [method for method in methods(results) if mean(method) is not None]
    _need(scored, "no method has a top-1 score")
    figure, axes = _figure(7.0, 0.9 + 0.38 * len(scored))
    best = winner_of(results)
    for row, method in enumerate(scored):
        colour = GREY if method.get("view") == "high" else GREEN if method is best else BLUE
        ends, middle = interval(method.get("top1")), mean(method) or 0.0
        if ends:
            axes.plot(
                ends, [row, row], color=colour, linewidth=7, alpha=0.35, solid_capstyle="butt"
            )
        axes.plot([middle], [row], marker="|", markersize=15, markeredgewidth=2.5, color=colour)
        values = [v for v in (method.get("top1") or {}).get("values") or [] if v is not None]
        axes.plot(values, [row] * len(values), ".", color="#222222", alpha=0.6)
    axes.set_yticks(range(len(scored)), [_name(method) for method in scored])
    axes.set_ylim(len(scored) - 0.5, -0.5)
    axes.set_xlabel("top-1 accuracy, %")
    axes.grid(axis="x", color="#d5dae0", linewidth=0.6)
    _open(axes)
    return figure


def confusion(results: Results) -> Figure:
    """Confusion matrices of teacher, plain and distilled student, and what changed (SKD Fig. 4)."""
    chosen = [method for method in contrasted(results) if method.get("confusion")]
    _need(chosen, "no method has a confusion matrix")
    changed = len(chosen) > 1
    names = charts.class_names(results)
    size = 3.2 + min(len(names), 60) * 0.05
    count = len(chosen) + changed
    figure = Figure(figsize=(size * count, size + 0.6), layout="constrained")
    panels = figure.subplots(1, count, squeeze=False)[0]
    for axes, method in zip(panels, chosen, strict=False):
        _shades(axes, 100 * np.array(charts.shares(method)), "Blues", 0.0, 100.0)
        _classes(axes, names, _name(method), first=axes is panels[0])
    figure.colorbar(
        panels[0].images[0],
        ax=panels[: len(chosen)].tolist(),
        label="% of true class",
        shrink=0.75,
    )
    if changed:
        change = 100 * np.array(charts.difference(*chosen[-2:]))
        most = max(float(np.abs(change).max()), 1.0)
        _shades(panels[-1], change, "PuOr", -most, most)
        title = f"{_name(chosen[-1])}\nagainst {_name(chosen[-2])}"
        _classes(panels[-1], names, title, first=False)
        figure.colorbar(panels[-1].images[0], ax=panels[-1], label="change, points", shrink=0.75)
    return figure


def per_class(results: Results) -> Figure:
    """Accuracy of each class for the same methods, the largest gain on top (SKD Fig. 5)."""
    found = charts.per_class(results)
    if found is None:
        raise ValueError("nothing to draw: no method has accuracies by class; evaluate it first")
    half = found["half"]
    rows = [*found["rows"][:half], *found["middle"], *found["rows"][half:]]
    count = len(found["methods"])
    figure, axes = _figure(7.0, 1.0 + len(rows) * (0.08 + 0.09 * count))
    colours = (GREY, ORANGE, BLUE)[3 - count :]
    height = 0.84 / count
    for place, (method, colour) in enumerate(zip(found["methods"], colours, strict=True)):
        values = [np.nan if row["scores"][place] is None else row["scores"][place] for row in rows]
        offsets = np.arange(len(rows)) + (place - (count - 1) / 2) * height
        axes.barh(offsets, values, height=height, color=colour, label=plain(method))
    for row, entry in enumerate(rows):
        if entry["gain"] is not None:
            axes.text(101, row, f"{entry['gain']:+.1f}", va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [brief(entry["name"]) for entry in rows], fontsize=8)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("accuracy, %")
    figure.legend(loc="outside upper center", ncols=count, frameon=False)
    _open(axes)
    return figure


def curves(results: Results) -> Figure:
    """Training accuracy, loss terms and conflict rates of every method over its epochs."""
    chosen = [method for method in methods(results) if has_curves(method)]
    _need(chosen, "no method has learning curves")
    names = term_names(results)
    figure = Figure(figsize=(10.0, 0.6 + 2.0 * len(chosen)), layout="constrained")
    panels = figure.subplots(len(chosen), 3, squeeze=False, sharex="col")
    colours = {name: place for place, name in enumerate(names)}
    for row, method in zip(panels, chosen, strict=True):
        loss = loss_lines(method, names)
        for axes, lines in zip(
            row,
            (accuracy_lines(method), loss, conflict_lines(method, names)),
            strict=True,
        ):
            _lines(axes, lines, colours)
        if loss and logarithmic(loss):
            row[1].set_yscale("log")
        row[0].set_ylabel(_name(method))
    for axes, title in zip(
        panels[0], ("training top-1, %", "loss terms", "steps in conflict, %"), strict=True
    ):
        axes.set_title(title, fontsize=10)
    for axes in panels[-1]:
        axes.set_xlabel("epoch")
    return figure


def part_matrix(results: Results) -> Figure:
    """How much each class depends on each body part: eq. 12, whose softmax is PLKD's Fig. 5."""
    chosen = [method for method in methods(results) if method.get("part_matrix")]
    _need(chosen, "no method has a part matrix")
    table = np.array(chosen[0]["part_matrix"], dtype=float)
    names = charts.class_names(results)[: len(table)]
    figure, axes = _figure(max(4.0, 1.6 + 0.24 * len(table)), 3.6)
    image = axes.imshow(table.T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_yticks(range(len(PARTS)), [part.replace("_", " ") for part in PARTS])
    axes.set_xticks(range(len(names)), [brief(name) for name in names], rotation=90, fontsize=8)
    figure.colorbar(image, ax=axes, label="share missed without the part")
    return figure


FIGURES = {
    "accuracy": accuracy,
    "confusion": confusion,
    "per_class": per_class,
    "curves": curves,
    "part_matrix": part_matrix,
    "features": embeddings.figure,
    "overlap": overlap.figure,
    "responses": responses.figure,
    "strips": strips.figure,
}
"""Every figure by the name of its file."""


def save(results: Results, folder: Path) -> list[Path]:
    """Write every figure that the results allow into a folder, as PNG and as SVG.

    Text stays text in the SVG files, so that a paper's typesetter can change its font.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in FIGURES.items():
        try:
            figure = draw(results)
        except ValueError:
            continue
        for ending, metadata in (("png", {}), ("svg", {"Date": None})):
            path = folder / f"{name}.{ending}"
            with whole(path) as partial, text_stays_text(name):
                figure.savefig(partial, format=ending, dpi=200, metadata=metadata)
            written.append(path)
    return written


def _need(found: list[Method], complaint: str) -> None:
    if not found:
        raise ValueError(f"nothing to draw: {complaint}; run the comparison to its end first")


def _name(method: Method) -> str:
    return plain(method.get("name", ""))


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _open(axes: Axes) -> None:
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _shades(axes: Axes, table: np.ndarray, colours: str, least: float, most: float) -> None:
    axes.imshow(table, cmap=colours, vmin=least, vmax=most, interpolation="nearest")


def _classes(axes: Axes, names: list[str], title: str, *, first: bool) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("said")
    if len(names) > 70:  # too small to read at any size a page allows
        return
    size = 8 if len(names) <= 25 else 5
    ticks = [brief(name) for name in names]
    axes.set_xticks(range(len(names)), ticks, rotation=90, fontsize=size)
    axes.set_yticks(range(len(names)) if first else [], ticks if first else [], fontsize=size)
    if first:
        axes.set_ylabel("true class")


def _lines(axes: Axes, lines: list[Line], colours: dict[str, int]) -> None:
    if not lines:
        axes.set_axis_off()
        return
    palette = (BLUE, ORANGE, GREEN, PURPLE, GOLD)
    for entry in lines:
        place = colours.get(entry.name, 0) % len(palette)
        axes.plot(
            entry.epochs,
            entry.mean,
            color=palette[place],
            linestyle=STYLES[place],
            label=plain(entry.name),
        )
        axes.fill_between(entry.epochs, entry.least, entry.most, color=palette[place], alpha=0.18)
    if len(lines) > 1:
        axes.legend(fontsize=7, frameon=False)
    _open(axes)
