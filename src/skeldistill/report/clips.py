"""Clips to play: joints as whole numbers in a square picture, small enough to carry along.

Joints are points of a picture: x grows to the right and y downwards.
"""

from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from skeldistill import layouts
from skeldistill.clip import UNLABELLED
from skeldistill.report.charts import class_names
from skeldistill.report.reading import Results, methods, number

SIZE = 1000
"""Side of the square picture, in its own units."""

MARGIN = 0.08
"""Share of the side that stays free around the skeleton."""

MOST_FIGURES = 400_000
"""Coordinates that a page may carry over all clips; beyond, frames are left out evenly."""

View = dict[str, Any]


def clips(results: Results) -> list[dict[str, Any]]:
    """Every clip that has both views, ready for the page: pictures, frames, and what was said."""
    shown = [clip for clip in results.get("clips") or [] if _views(clip)]
    views = [clip[quality] for clip in shown for quality in _views(clip)]
    figures = sum(2 * len(view["joints"]) * len(view["joints"][0]) for view in views)
    step = max(1, -(-figures // MOST_FIGURES))
    names = class_names(results)
    return [_clip(clip, results, names, step) for clip in shown]


def _views(clip: dict[str, Any]) -> list[str]:
    found = [quality for quality in ("high", "low") if (clip.get(quality) or {}).get("joints")]
    return [quality for quality in found if clip[quality]["joints"][0]]


def _clip(clip: dict[str, Any], results: Results, names: list[str], step: int) -> dict[str, Any]:
    qualities = _views(clip)
    arrays = {quality: arrange(clip[quality]) for quality in qualities}
    boxes = common_boxes({quality: joints for quality, (joints, _) in arrays.items()})
    label, said = clip.get("label"), clip.get("said") or {}
    seconds = max(len(clip[q]["joints"]) / (number(clip[q].get("fps")) or 15) for q in qualities)
    return {
        "id": str(clip.get("id", "")),
        "true": _class(names, label),
        "seconds": round(seconds, 2),
        "views": [
            _picture(quality, clip[quality], *arrays[quality], boxes[quality], step)
            for quality in qualities
        ],
        "said": [
            {
                "method": method["name"],
                "view": method.get("view"),
                "class": _class(names, said[method["name"]]),
                "right": said[method["name"]] == label,
            }
            for method in methods(results)
            if method.get("name") in said
        ],
    }


def _class(names: list[str], label: Any) -> str:
    known = isinstance(label, int) and 0 <= label < len(names)
    if label == UNLABELLED:
        return "no label"
    return names[label] if known else f"class {label}"


def arrange(view: View) -> tuple[Float[np.ndarray, "t v 2"], Bool[np.ndarray, "t v"]]:
    """A view's joints and which of them are lost, lost ones where they were last seen.

    A joint is lost if the view says so or its place is missing; one that an estimator puts at
    exactly (0, 0) has no place either. Before it is first seen a joint stands where it will be;
    one that is never seen is not a number.
    """
    frames = [[(xy or (None, None))[:2] for xy in frame] for frame in view["joints"]]
    joints = np.array(frames, dtype=np.float64)
    missing = ~np.isfinite(joints).all(-1) | (joints == 0).all(-1)
    lost = missing.copy()
    if view.get("lost"):
        lost |= np.asarray(view["lost"], dtype=bool)
    order = np.arange(len(joints))[:, None]
    last = np.maximum.accumulate(np.where(missing, -1, order), axis=0)
    following = np.where(missing, len(joints), order)[::-1]
    following = np.minimum.accumulate(following, axis=0)[::-1]
    source = np.where(last >= 0, last, np.minimum(following, len(joints) - 1))
    placed = np.take_along_axis(joints, source[..., None], axis=0)
    placed[:, missing.all(0)] = np.nan
    return placed, lost


def common_boxes(
    arrays: dict[str, Float[np.ndarray, "_ _ 2"]],
) -> dict[str, Float[np.ndarray, "2 2"]]:
    """The square each view is drawn in: one for both if they stand in the same picture.

    Views in other units (pixels and metres, say) each get their own.
    """
    own = {quality: _box(joints) for quality, joints in arrays.items()}
    if len(own) == 2:
        one, other = own.values()
        overlap = np.clip(np.minimum(one[1], other[1]) - np.maximum(one[0], other[0]), 0, None)
        smaller = min(float(np.prod(one[1] - one[0])), float(np.prod(other[1] - other[0])))
        larger = max(float(np.prod(one[1] - one[0])), float(np.prod(other[1] - other[0])))
        if np.prod(overlap) > 0.5 * smaller and larger < 9 * smaller:
            shared = np.stack([np.minimum(one[0], other[0]), np.maximum(one[1], other[1])])
            own = dict.fromkeys(own, shared)
    return {quality: _square(box) for quality, box in own.items()}


def _box(joints: Float[np.ndarray, "t v 2"]) -> Float[np.ndarray, "2 2"]:
    """Corners around nearly all joints: one wild guess must not shrink the body to a dot."""
    seen = joints[np.isfinite(joints).all(-1)]
    if not len(seen):
        return np.array([[0.0, 0.0], [1.0, 1.0]])
    return np.quantile(seen, [0.005, 0.995], axis=0)


def _square(box: Float[np.ndarray, "2 2"]) -> Float[np.ndarray, "2 2"]:
    half = max(float((box[1] - box[0]).max()) / 2, 1e-9) / (1 - 2 * MARGIN)
    return np.stack([box.mean(0) - half, box.mean(0) + half])


def _picture(
    quality: str,
    view: View,
    joints: Float[np.ndarray, "t v 2"],
    lost: Bool[np.ndarray, "t v"],
    box: Float[np.ndarray, "2 2"],
    step: int,
) -> dict[str, Any]:
    places = SIZE * (joints - box[0]) / (box[1] - box[0])
    whole = np.clip(np.nan_to_num(places, nan=-SIZE), -SIZE, 2 * SIZE).round().astype(int)
    whole, lost = whole[::step], lost[::step]
    sides, bones = joint_sides(view), [tuple(bone) for bone in view.get("bones") or []]
    middle = len(whole) // 2
    return {
        "quality": quality,
        "caption": str(view.get("caption") or f"{quality} quality"),
        "bones": [(child, parent, sides[child]) for child, parent in bones],
        "sides": sides,
        "poster": whole[middle].tolist(),
        "poster_lost": lost[middle].tolist(),
        "lost_share": float(lost.mean()),
        "data": {
            "bones": bones,
            "frames": whole.reshape(len(whole), -1).tolist(),
            "lost": ["".join("1" if gone else "0" for gone in frame) for frame in lost],
        },
    }


def joint_sides(view: View) -> list[str]:
    """Which side of the body each joint is on: left, right or middle.

    As the view says, or from its ``layout`` if it names one, or from the one layout with the same
    bones.
    """
    count = len(view["joints"][0])
    if len(view.get("sides") or []) == count:
        return [str(side) for side in view["sides"]]
    bones = {tuple(bone) for bone in view.get("bones") or []}
    for layout in layouts.SHELF.values():
        named = str(view.get("layout", "")).lower() == layout.name
        if layout.num_joints == count and (named or bones == set(layout.bone_indices)):
            words = [joint.split("_")[0] for joint in layout.joints]
            return [word if word in ("left", "right") else "middle" for word in words]
    return ["middle"] * count
