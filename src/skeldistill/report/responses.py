"""How strongly each network answers at each joint, drawn on the skeleton (SKD Fig. 7)."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from skeldistill.report import clips, poses
from skeldistill.report.palette import GREY, plain
from skeldistill.report.reading import Method, Results, methods

SHOWN = 5
COLOURS = "YlOrRd"
WORDS = 1.3
"""Width of the methods' names, in squares."""


def figure(results: Results) -> Figure:
    """Each joint as a dot whose size and colour are its response, of each network on some clips.

    A response is relative to the strongest joint's of the same network and clip. The teacher's is
    drawn on the high view, the students' on the low one; the frame is the middle one.

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
    width, height = WORDS + len(shown), len(networks) + 0.3
    drawn = Figure(figsize=(1.45 * width + 0.7, 1.45 * height), layout="constrained")
    axes = drawn.subplots()
    by_name = {method["name"]: method for method in methods(results)}
    for column, clip in enumerate(shown):
        axes.text(WORDS + column + 0.5, 0.2, plain(clip["true"]), ha="center", fontsize=9)
    for row, network in enumerate(networks):
        method = by_name.get(network["name"], {})
        seen = f"{plain(network['name'])}\n({method.get('view', 'low')} view)"
        axes.text(0.02, row + 0.8, seen, va="center", fontsize=9)
        for column, clip in enumerate(shown):
            view = _view(clip, method)
            strength = np.array(network["responses"][rows[clip["id"]]], dtype=np.float64)
            if view is not None and len(strength) == len(view["sides"]):
                _body(axes, view, strength, (WORDS + column, row + 0.3))
    poses.square(axes, width, height)
    scale = ScalarMappable(Normalize(0, 1), COLOURS)
    drawn.colorbar(scale, ax=axes, shrink=0.6, label="response, strongest joint = 1", pad=0.01)
    return drawn


def without_joints(results: Results) -> list[str]:
    """Methods whose networks keep no joints, so that none of theirs can be drawn."""
    entries = (results.get("maps") or {}).get("methods") or []
    return [one["name"] for one in entries if one.get("responses") is None]


def _view(clip: dict[str, Any], method: Method) -> dict[str, Any] | None:
    quality = method.get("view", "low")
    return next((view for view in clip["views"] if view["quality"] == quality), None)


def _body(axes: Axes, view: dict[str, Any], strength: np.ndarray, corner: poses.Corner) -> None:
    at = len(view["data"]["frames"]) // 2
    joints, known, _ = poses.places(view, at, corner)
    joints = poses.large(joints, known, corner, 0.1)
    poses.bones(axes, view, joints, known, GREY)
    share = strength / max(float(strength.max()), 1e-12)
    order = np.argsort(share)[known[np.argsort(share)]]  # the strongest on top
    axes.scatter(
        *joints[order].T,
        s=6 + 75 * share[order],
        c=share[order],
        cmap=COLOURS,
        vmin=0,
        vmax=1,
        edgecolors="#4a545e",
        linewidths=0.4,
        zorder=3,
    )
