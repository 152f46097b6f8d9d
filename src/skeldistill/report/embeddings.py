"""The features of several networks on the same clips, each network in a plane of its own."""

import numpy as np
from matplotlib.figure import Figure

from skeldistill.report import charts
from skeldistill.report.palette import (
    BLUE,
    GOLD,
    GREEN,
    MARKS,
    ORANGE,
    PURPLE,
    brief,
    plain,
)
from skeldistill.report.reading import Results

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, GOLD, "#4a545e", "#4bb3d8", "#e0a100")
SHOWN = 8


def figure(results: Results) -> Figure:
    """One panel a network, one dot a clip; how well the classes stand apart stands above.

    Where a dot lies in one panel says nothing of another panel; `overlap` has networks in common
    planes. Classes are told apart by colour and shape. The silhouette is of the features
    themselves, not of the plane: 1 when every clip is close to its own class only, 0 when classes
    overlap.

    Raises:
        ValueError: the run kept no features, or of too few clips.
    """
    maps = results.get("maps") or {}
    networks = [one for one in maps.get("methods") or [] if one.get("points")]
    if not networks:
        raise ValueError(
            "nothing to draw: no features; `skeldistill report RUN --features` asks the networks"
        )
    names, labels = charts.class_names(results), np.array(maps["labels"])
    drawn = Figure(figsize=(3.3 * len(networks), 4.5), layout="constrained")
    panels = drawn.subplots(1, len(networks), squeeze=False)[0]
    chosen = frequent(labels[networks[0]["rows"]])
    for axes, network in zip(panels, networks, strict=True):
        points, own = np.array(network["points"]), labels[network["rows"]]
        for place, k in enumerate(chosen):
            axes.scatter(
                *points[own == k].T,
                s=24,
                c=COLOURS[place],
                marker=MARKS[place],
                linewidths=0.3,
                edgecolors="white",
                label=brief(names[k]),
            )
        apart = network.get("silhouette")
        told = "" if apart is None else f"\nsilhouette {apart:.2f}"
        axes.set_title(f"{plain(network['name'])}{told}", fontsize=10)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_box_aspect(1)
    handles, words = panels[0].get_legend_handles_labels()
    drawn.legend(handles, words, loc="outside lower center", ncols=4, frameon=False, fontsize=8)
    return drawn


def frequent(labels: np.ndarray) -> list[int]:
    """The classes that are drawn, as many as there are colours, of ties the first."""
    counts = np.bincount(labels)
    most = np.argsort(-counts, kind="stable")[:SHOWN]
    return sorted(k for k in most.tolist() if counts[k])
