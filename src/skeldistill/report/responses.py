"""How strongly each network answers at each joint, drawn on the skeleton (SKD Fig. 7)."""

from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from skeldistill.report import clips, poses
from skeldistill.report.palette import GREY, plain
from skeldistill.report.reading import Method, Results, methods

SHOWN = 5
COLOURS = "YlOrRd"
AREA = 80
"""Of the strongest joint's dot, in square points."""
WORDS = 1.3
"""Width of the methods' names, in squares."""


def figure(results: Results) -> Figure:
    """Each joint as a dot whose area and colour are its response, of each network on some clips.

    A response is told in means over the joints of the same network and clip: features of networks
    that were trained apart differ in size as a whole, which says nothing of joints. On this scale,
    one for all networks and clips, they can be compared: a network that hears all joints alike has
    dots of 1, one that hears few of them has large and small dots. The teacher's are drawn on the
    high view, the students' on the low one; the frame is the middle one.

    Raises:
        ValueError: the run kept no features, or no network keeps joints.
    """
    maps = results.get("maps") or {}
    rows = {clip_id: row for row, clip_id in enumerate(maps.get("ids") or [])}
    shown = [clip for clip in clips.clips(results) if clip["id"] in rows][:SHOWN]
    networks = [one for one in maps.get("methods") or [] if one.get("responses")]
    if not shown or not networks:
        raise ValueError(
            "nothing to draw: no responses of joints; `skeldistill report RUN --features` asks "
            "the networks (those that mix all joints at once have none)"
        )
    strengths = [
        _relative(network["responses"], [rows[clip["id"]] for clip in shown])
        for network in networks
    ]
    most = max(float(strength.max()) for strength in strengths)
    width, height = WORDS + len(shown), len(networks) + 0.3
    drawn = Figure(figsize=(1.45 * width + 0.7, 1.45 * height), layout="constrained")
    axes = drawn.subplots()
    by_name = {method["name"]: method for method in methods(results)}
    for column, clip in enumerate(shown):
        axes.text(WORDS + column + 0.5, 0.2, plain(clip["true"]), ha="center", fontsize=9)
    for row, (network, strength) in enumerate(zip(networks, strengths, strict=True)):
        method = by_name.get(network["name"], {})
        seen = f"{plain(network['name'])}\n({method.get('view', 'low')} view)"
        axes.text(0.02, row + 0.8, seen, va="center", fontsize=9)
        for column, clip in enumerate(shown):
            view = _view(clip, method)
            if view is not None and len(strength[column]) == len(view["sides"]):
                _body(axes, view, strength[column], most, (WORDS + column, row + 0.3))
    poses.square(axes, width, height)
    scale = ScalarMappable(Normalize(0, most), COLOURS)
    drawn.colorbar(scale, ax=axes, shrink=0.6, label="response, mean over joints = 1", pad=0.01)
    return drawn


def without_joints(results: Results) -> list[str]:
    """Methods whose networks keep no joints, so that none of theirs can be drawn."""
    entries = (results.get("maps") or {}).get("methods") or []
    return [one["name"] for one in entries if one.get("responses") is None]


def _view(clip: dict[str, Any], method: Method) -> dict[str, Any] | None:
    quality = method.get("view", "low")
    return next((view for view in clip["views"] if view["quality"] == quality), None)


def _relative(responses: list[list[float]], rows: list[int]) -> Float[np.ndarray, "n v"]:
    """Responses on some clips, over their mean over joints."""
    table = np.array(responses, dtype=np.float64)[rows]
    return table / np.maximum(table.mean(axis=1, keepdims=True), 1e-12)


def _body(
    axes: Axes,
    view: dict[str, Any],
    strength: Float[np.ndarray, " v"],
    most: float,
    corner: poses.Corner,
) -> None:
    at = len(view["data"]["frames"]) // 2
    joints, known, _ = poses.places(view, at, corner)
    joints = poses.large(joints, known, corner, 0.1)
    poses.bones(axes, view, joints, known, GREY)
    order = np.argsort(strength)[known[np.argsort(strength)]]  # the strongest on top
    axes.scatter(
        *joints[order].T,
        s=AREA * strength[order] / most,
        c=strength[order],
        cmap=COLOURS,
        vmin=0,
        vmax=most,
        edgecolors="#4a545e",
        linewidths=0.4,
        zorder=3,
    )
