"""Padding: what readers of arrays share, where clips of any length are filled up with zeros."""

import numpy as np
from jaxtyping import Float32, Real

from skeldistill import layouts
from skeldistill.layouts import Layout
from skeldistill.readers.source_files import MOST_FRAMES

MOST_PERSONS = 100
"""More in one clip is a sign of axes in another order."""

IN_SPACE = ("ntu25", "kinect20")
"""Layouts whose sensor measures three coordinates; elsewhere a third channel is the score."""


def layout_of(num_joints: int, name: str | None) -> Layout:
    """The layout called `name`, or that with so many joints; ValueError if it does not fit."""
    try:
        layout = layouts.with_joints(num_joints) if name is None else layouts.find(name)
    except ValueError as error:
        raise ValueError(f"{error}, as option `layout`") from error
    if layout.num_joints != num_joints:
        raise ValueError(
            f"it has {num_joints} joints, layout {layout.name!r} has {layout.num_joints}; pass "
            "another as option `layout`"
        )
    return layout


def refuse_scores(clip: Real[np.ndarray, "c t v m"], layout: Layout) -> None:
    """ValueError if the third of a first clip's channels can be no depth, but is a score.

    Depths in metres are not all below 1, nor 0 just where x and y are, in frames with others seen.
    """
    x, y, third = clip
    lost = (x == 0) & (y == 0)
    in_part = (lost.any(axis=1) & ~lost.all(axis=1)).any()  # frames that are padding tell nothing
    likely = in_part and np.array_equal(third == 0, lost)
    if likely and third.min() >= 0 and third.max() <= 1:
        raise ValueError(
            f"its third channel looks like scores, not like the depths of {layout.name}; pass "
            f"option layout=body25 for OpenPose's 25 joints, or layout={layout.name}"
        )


def check_sizes(persons: int, frames: int) -> None:
    """ValueError if there cannot be so many persons or frames in a clip."""
    if not (1 <= persons <= MOST_PERSONS and 1 <= frames <= MOST_FRAMES):
        raise ValueError(
            f"it has clips of {persons} persons and {frames} frames; 1 to {MOST_PERSONS} and 1 to "
            f"{MOST_FRAMES} are possible"
        )


def without(
    values: Float32[np.ndarray, "m t v c"], *, scored: bool
) -> tuple[Float32[np.ndarray, "people frames v d"], Float32[np.ndarray, "people frames v"]]:
    """A clip's joints and scores without the zeros at its end, and without absent persons.

    One person and one frame stay. With scores, a joint at the origin is lost; without, all joints
    of a person who is there are sure, since a body may be centred on one of them.

    Args:
        values: the coordinates, and the score as last channel if `scored`.
        scored: whether there are scores.

    Raises:
        ValueError: a score that is no number.
    """
    there = np.any(values != 0, axis=(2, 3))
    persons = max(1, int(np.flatnonzero(there.any(axis=1)).max(initial=0)) + 1)
    frames = max(1, int(np.flatnonzero(there.any(axis=0)).max(initial=0)) + 1)
    values = values[:persons, :frames]
    if not scored:
        seen = there[:persons, :frames, None]
        return values, np.broadcast_to(seen, values.shape[:3]).astype(np.float32)
    scores = np.clip(values[..., -1], 0, 1)
    if np.isnan(scores).any():
        raise ValueError("a score is no number")
    joints = values[..., :-1] * (scores > 0)[..., None]
    return joints, scores
