"""Skeletons in matplotlib: many of them in one picture, each in a square of its own."""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from skeldistill.report.clips import SIZE
from skeldistill.report.palette import SIDES

Corner = tuple[float, float]
"""Where a square's upper left corner stands; squares are 1 wide, y grows downwards."""


def places(
    view: dict[str, Any], at: int, corner: Corner
) -> tuple[Float[np.ndarray, "v 2"], Bool[np.ndarray, " v"], Bool[np.ndarray, " v"]]:
    """A frame's joints in the picture, which have a place at all, and which of them are lost."""
    numbers = np.array(view["data"]["frames"][at], dtype=np.float64).reshape(-1, 2)
    lost = np.array([flag == "1" for flag in view["data"]["lost"][at]])
    known = np.all(numbers > -0.9 * SIZE, axis=1)
    return numbers / SIZE + corner, np.asarray(known, dtype=bool), lost


def skeleton(axes: Axes, view: dict[str, Any], at: int, corner: Corner) -> None:
    """Draw one frame of a view; lost joints as rings, where they were last seen."""
    joints, known, lost = places(view, at, corner)
    colours = [SIDES[side] for side in view["sides"]]
    bones = [(c, p) for c, p in view["data"]["bones"] if known[c] and known[p]]
    for faint in (True, False):  # what is seen is drawn over what is not
        chosen = [(c, p) for c, p in bones if bool(lost[c] or lost[p]) is faint]
        axes.add_collection(
            LineCollection(
                [joints[[c, p]] for c, p in chosen],
                colors=[colours[c] for c, _ in chosen],
                linewidths=0.7 if faint else 1.6,
                linestyles="dotted" if faint else "solid",
                capstyle="round",
            )
        )
    seen = known & ~lost
    colour = np.array(colours)
    axes.scatter(*joints[seen].T, s=7, c=colour[seen].tolist(), linewidths=0, zorder=3)
    gone = known & lost
    axes.scatter(
        *joints[gone].T, s=8, c="white", edgecolors=colour[gone].tolist(), linewidths=0.6, zorder=3
    )


def large(
    joints: Float[np.ndarray, "v 2"], known: Bool[np.ndarray, " v"], corner: Corner, free: float
) -> Float[np.ndarray, "v 2"]:
    """A body moved and grown until it fills its square, up to a margin of the share `free`."""
    if not known.any():
        return joints
    low, high = joints[known].min(axis=0), joints[known].max(axis=0)
    size = max(float((high - low).max()), 1e-9)
    return (joints - (low + high) / 2) / size * (1 - 2 * free) + np.array(corner) + 0.5


def bones(
    axes: Axes,
    view: dict[str, Any],
    joints: Float[np.ndarray, "v 2"],
    known: Bool[np.ndarray, " v"],
    colour: str,
) -> None:
    """Draw only the bones between joints that have a place, in one colour."""
    lines = [joints[[c, p]] for c, p in view["data"]["bones"] if known[c] and known[p]]
    axes.add_collection(LineCollection(lines, colors=colour, linewidths=1.4, capstyle="round"))


def square(axes: Axes, width: float, height: float) -> None:
    """A picture of so many squares, without an axis."""
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    axes.set_aspect("equal")
    axes.set_axis_off()
