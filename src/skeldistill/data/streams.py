"""Streams: what a network is shown of the joints (joint, bone, velocity of either)."""

import numpy as np
from jaxtyping import Bool, Float32, Int

from skeldistill.layouts import Layout

Joints = Float32[np.ndarray, "n m t v c"]
Seen = Bool[np.ndarray, "n m t v"]
"""Which joints are not lost; one at the origin may be where the clip is centred."""


def bones(joints: Joints, parents: Int[np.ndarray, " v"], seen: Seen) -> Joints:
    """Each joint seen from its parent (2s-AGCN); 0 where either is lost."""
    return (joints - joints[..., parents, :]) * (seen & seen[..., parents])[..., None]


def velocities(joints: Joints, seen: Seen) -> Joints:
    """How far each joint moves until the next frame; 0 in the last, and where it is lost."""
    seen = seen[..., None]
    moved = np.zeros_like(joints)
    moved[:, :, :-1] = (joints[:, :, 1:] - joints[:, :, :-1]) * (seen[:, :, 1:] & seen[:, :, :-1])
    return moved


def stream(name: str, joints: Joints, layout: Layout, seen: Seen) -> Joints:
    """The stream that a recipe asks for: "joint", "bone", "velocity" or "bone_velocity"."""
    if name.startswith("bone"):
        joints = bones(joints, layout.parents, seen)
        seen = seen & seen[..., layout.parents]
    if name.endswith("velocity"):
        joints = velocities(joints, seen)
    return joints
