"""What a joint's name tells: which joint mirrors it, and which of the five parts it is in.

Joints are called alike on every layout (``left_wrist``), so both follow from one rule each.
"""

from collections.abc import Sequence

ARM = ("shoulder", "elbow", "wrist", "hand", "hand_tip", "thumb", "pinky", "index")
LEG = ("hip", "knee", "ankle", "foot", "heel", "foot_index", "big_toe", "small_toe")
TORSO = ("spine_base", "spine_mid", "spine", "hip_centre", "mid_hip", "hip", "belly")
"""Joints in the middle of the torso, which are in no part."""

HEAD = ("head", "neck", "nose", "shoulder_centre", "spine_shoulder")
FACE = ("eye", "eye_inner", "eye_outer", "ear", "mouth")


def mirror(joints: Sequence[str]) -> dict[str, str]:
    """Every left joint with its right one."""
    lefts = [joint for joint in joints if joint.startswith("left_")]
    return {joint: joint.replace("left_", "right_", 1) for joint in lefts}


def parts(joints: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The five parts: shoulders with the arms, hips with the legs, neck and face with the head."""
    limbs = {"arm": ARM, "leg": LEG}
    named = {
        f"{side}_{limb}": tuple(joint for joint in joints if joint in _sided(side, ends))
        for limb, ends in limbs.items()
        for side in ("left", "right")
    }
    taken = {joint for members in named.values() for joint in members} | set(TORSO)
    return {"head": tuple(joint for joint in joints if joint not in taken), **named}


def has_place(joint: str) -> bool:
    """Whether the joint is one that `parts` knows; others it would put into the head."""
    sided = [_sided(side, (*ARM, *LEG, *FACE)) for side in ("left", "right")]
    return joint in {*HEAD, *TORSO}.union(*sided)


def _sided(side: str, ends: Sequence[str]) -> set[str]:
    return {f"{side}_{end}" for end in ends}
