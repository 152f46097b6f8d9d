"""Streams: what a network is shown of the joints (joint, bone, velocity of either)."""

import numpy as np
from jaxtyping import Float32, Int

from skeldistill.layouts import Layout


def bones(
    joints: Float32[np.ndarray, "n m t v c"], parents: Int[np.ndarray, " v"]
) -> Float32[np.ndarray, "n m t v c"]:
    """Each joint seen from its parent (2s-AGCN); 0 where either is lost (all zero)."""
    seen = np.any(joints != 0, axis=-1, keepdims=True)
    return (joints - joints[..., parents, :]) * (seen & seen[..., parents, :])


def velocities(joints: Float32[np.ndarray, "n m t v c"]) -> Float32[np.ndarray, "n m t v c"]:
    """How far each joint moves until the next frame; 0 in the last, and where it is lost."""
    seen = np.any(joints != 0, axis=-1, keepdims=True)
    moved = np.zeros_like(joints)
    moved[:, :, :-1] = (joints[:, :, 1:] - joints[:, :, :-1]) * (seen[:, :, 1:] & seen[:, :, :-1])
    return moved


def stream(
    name: str, joints: Float32[np.ndarray, "n m t v c"], layout: Layout
) -> Float32[np.ndarray, "n m t v c"]:
    """The stream that a recipe asks for: "joint", "bone", "velocity" or "bone_velocity"."""
    if name.startswith("bone"):
        joints = bones(joints, layout.parents)
    if name.endswith("velocity"):
        joints = velocities(joints)
    return joints
