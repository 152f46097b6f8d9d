"""A stored clip as a page draws it: one person, from the front, in picture coordinates."""

from typing import Any

import numpy as np

from skeldistill import layouts
from skeldistill.clip import Clip
from skeldistill.layouts import Layout

MOST_FRAMES = 60
"""A longer clip is shown with every second, third ... frame."""


def drawn(clip: Clip, caption: str = "") -> dict[str, Any]:
    """The most certain person of a clip; y points downwards, lost joints are marked."""
    person = int(clip.scores.mean(axis=(1, 2)).argmax())
    step = max(1, -(-clip.num_frames // MOST_FRAMES))
    joints = clip.joints[person, ::step, :, :2].astype(float)
    lost = clip.scores[person, ::step] == 0
    if clip.joints.shape[-1] == 3:
        joints[..., 1] *= -1  # 3-D sources have y upwards
    seen = joints[~lost]
    if len(seen):
        low, high = seen.min(axis=0), seen.max(axis=0)
        joints = (joints - low) / max(float((high - low).max()), 1e-9) + 1  # never exactly 0
    joints[lost] = 0
    # layouts of the shelf are known to the page; of one from a file the sides go along
    known = layouts.SHELF.get(clip.layout.name)
    own = {} if known is not None and known.same_as(clip.layout) else {"sides": sides(clip.layout)}
    return {
        **own,
        "layout": clip.layout.name,
        "bones": [list(bone) for bone in clip.layout.bone_indices],
        "joints": np.round(joints, 4).tolist(),
        "lost": lost.astype(int).tolist(),
        "fps": 30 / step,
        "caption": caption,
    }


def sides(layout: Layout) -> list[str]:
    """Which side of the body each joint is on: left, right or middle."""
    lefts, rights = set(layout.mirror), set(layout.mirror.values())
    return [
        "left" if joint in lefts else "right" if joint in rights else "middle"
        for joint in layout.joints
    ]
