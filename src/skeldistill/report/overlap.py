"""What two networks say of the same clips, in one plane (SKD Fig. 6)."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from skeldistill.report import charts
from skeldistill.report.embeddings import COLOURS, frequent
from skeldistill.report.palette import brief, plain
from skeldistill.report.reading import Results

DARK = "#222222"


def figure(results: Results) -> Figure:
    """The distilled student with the plain one, and with the teacher; two marks a clip.

    A full dot is the student's, a ring the other network's, colours are classes: where rings lie
    around dots, both networks say the same. Above stands how far they are apart (`maps.apart`), of
    the logits themselves, not of the plane.

    Raises:
        ValueError: the run kept no logits, of too few clips, or has no distilled student.
    """
    maps = results.get("maps") or {}
    pairs = maps.get("pairs") or []
    if not pairs:
        raise ValueError(
            "nothing to draw: no logits of a distilled student and another network; "
            "`skeldistill report RUN --features` keeps them"
        )
    names, labels = charts.class_names(results), np.array(maps["labels"])[pairs[0]["rows"]]
    chosen = frequent(labels)
    drawn = Figure(figsize=(4.4 * len(pairs), 5.4), layout="constrained")
    panels = drawn.subplots(1, len(pairs), squeeze=False)[0]
    for axes, pair in zip(panels, pairs, strict=True):
        student, other = (np.array(points) for points in pair["points"])
        for place, k in enumerate(chosen):
            own, colour = labels == k, COLOURS[place]
            axes.scatter(
                *other[own].T, s=52, c="none", edgecolors=colour, linewidths=0.9, alpha=0.6
            )
            axes.scatter(*student[own].T, s=13, c=colour, linewidths=0)
        first, second = map(plain, pair["names"])
        told = "" if pair["apart"] is None else f"\napart {pair['apart']:.2f}"
        axes.set_title(f"{first} and {second}{told}", fontsize=10)
        _marks(axes, first, second)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_box_aspect(1)
    classes = [
        Line2D([], [], color=COLOURS[place], marker="o", linestyle="", label=brief(names[k]))
        for place, k in enumerate(chosen)
    ]
    drawn.legend(handles=classes, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return drawn


def _marks(axes: Axes, student: str, other: str) -> None:
    """Which mark is whose, under the panel."""
    dot = Line2D([], [], color=DARK, marker="o", markersize=4, linestyle="", label=student)
    ring = Line2D(
        [], [], color=DARK, marker="o", markersize=8, fillstyle="none", linestyle="", label=other
    )
    axes.legend(
        handles=[dot, ring],
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=2,
        frameon=False,
        fontsize=8,
    )
