"""Clips as strips of frames: what both views show, and what each model said."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skeldistill.report import clips, poses
from skeldistill.report.palette import GREEN, ORANGE, plain
from skeldistill.report.reading import Results, contrasted

SHOWN, FRAMES = 3, 6
CAPTION, WORDS = 0.2, 3.0
"""Widths of the words left and right of a strip, in squares."""


SMALL: Any = {"fontsize": 7.5, "color": "#4a545e"}


def figure(results: Results) -> Figure:
    """Some clips frame by frame, both views one above the other, and what each model said.

    Raises:
        ValueError: the results hold no clips.
    """
    shown = clips.clips(results)[:SHOWN]
    if not shown:
        raise ValueError("nothing to draw: there are no clips; run the comparison to its end first")
    names = [method["name"] for method in contrasted(results)]
    heights = [len(clip["views"]) + 0.45 for clip in shown]
    width, height = CAPTION + FRAMES + WORDS, sum(heights)
    drawn = Figure(figsize=(8.4, 8.4 * height / width))
    axes = drawn.add_axes((0, 0, 1, 1))
    top = 0.0
    for clip, tall in zip(shown, heights, strict=True):
        _clip(axes, clip, names, top)
        top += tall
    poses.square(axes, width, height)
    return drawn


def _clip(axes: Axes, clip: dict[str, Any], names: list[str], top: float) -> None:
    title = plain(clip["true"])
    axes.text(0.05, top + 0.3, title, fontsize=10, fontweight="bold", va="bottom")
    for row, view in enumerate(clip["views"]):
        count = len(view["data"]["frames"])
        corner = top + 0.4 + row
        for column in range(FRAMES):
            at = min(count - 1, int((column + 0.5) * count / FRAMES))
            poses.skeleton(axes, view, at, (CAPTION + column, corner))
        words = plain(view["caption"])
        axes.text(0.1, corner + 0.5, words, rotation=90, **SMALL, ha="center", va="center")
    said = [entry for entry in clip["said"] if entry["method"] in names]
    left = CAPTION + FRAMES
    for row, entry in enumerate(said):
        y = top + 0.55 + 0.55 * row
        colour = GREEN if entry["right"] else ORANGE
        axes.text(left + 0.1, y, "✓" if entry["right"] else "✗", fontsize=11, color=colour)
        sees = " (sees high)" if entry["view"] == "high" else ""
        axes.text(left + 0.4, y, plain(f"{entry['method']}{sees}:"), **SMALL)
        axes.text(left + 0.4, y + 0.22, plain(entry["class"]), fontsize=9)
