"""The articulated body of the synthetic clips: rigid segments, joint angles with limits, people.

Axes of a standing body: x to its left, y up, z ahead; the origin is on the ground between its
ankles. Every joint of every layout is a fixed point of one segment, so bone lengths cannot change.
Lengths are shares of the stature (Drillis and Contini 1966, as in Winter, Biomechanics and Motor
Control of Human Movement, fig. 4.1), rounded, measured between joint centres.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from skeldistill.layouts import Layout

Place = tuple[float | int, float | int, float | int]

# segment -> (parent, where its own joint sits in the parent's frame)
_TREE: Mapping[str, tuple[str, Place]] = {
    "pelvis": ("pelvis", (0, 0, 0)),
    "chest": ("pelvis", (0, 0.06, 0)),
    "head": ("chest", (0, 0.25, 0)),
    "left_upper_arm": ("chest", (0.105, 0.228, 0)),
    "right_upper_arm": ("chest", (-0.105, 0.228, 0)),
    "left_forearm": ("left_upper_arm", (0, -0.175, 0)),
    "right_forearm": ("right_upper_arm", (0, -0.175, 0)),
    "left_thigh": ("pelvis", (0.055, 0, 0)),
    "right_thigh": ("pelvis", (-0.055, 0, 0)),
    "left_shank": ("left_thigh", (0, -0.245, 0)),
    "right_shank": ("right_thigh", (0, -0.245, 0)),
    "left_foot": ("left_shank", (0, -0.246, 0)),
    "right_foot": ("right_shank", (0, -0.246, 0)),
}
SEGMENTS = tuple(_TREE)
"""The segments, in the order of the axis of every angle array; parents come before children."""

_PARENTS = np.array([SEGMENTS.index(parent) for parent, _ in _TREE.values()])
_ATTACHMENTS = np.array([place for _, place in _TREE.values()])
_GENERATIONS = tuple(
    np.array([SEGMENTS.index(name) for name in names])
    for names in (
        ("chest", "left_thigh", "right_thigh"),
        ("head", "left_upper_arm", "right_upper_arm", "left_shank", "right_shank"),
        ("left_forearm", "right_forearm", "left_foot", "right_foot"),
    )
)
_LEFT_FOOT, _RIGHT_FOOT = SEGMENTS.index("left_foot"), SEGMENTS.index("right_foot")
_ANKLE_HEIGHT = 0.039

# joint in the middle of the body -> (segment, place in its frame)
_MIDDLE: Mapping[str, tuple[str, Place]] = {
    "hip_centre": ("pelvis", (0, 0, 0)),
    "spine_base": ("pelvis", (0, 0, 0)),
    "belly": ("chest", (0, 0.03, 0)),
    "spine": ("chest", (0, 0.05, 0)),
    "spine_mid": ("chest", (0, 0.09, 0)),
    "spine_shoulder": ("chest", (0, 0.225, 0)),
    "shoulder_centre": ("chest", (0, 0.235, 0)),
    "neck": ("chest", (0, 0.24, 0)),
    "head": ("head", (0, 0.09, 0.01)),
    "nose": ("head", (0, 0.065, 0.055)),
}
# joint of the left side, without its "left_"; the right side is its mirror image
_SIDED: Mapping[str, tuple[str, Place]] = {
    "eye": ("head", (0.018, 0.088, 0.048)),
    "eye_inner": ("head", (0.010, 0.088, 0.050)),
    "eye_outer": ("head", (0.026, 0.088, 0.042)),
    "ear": ("head", (0.043, 0.078, 0)),
    "mouth": ("head", (0.014, 0.040, 0.048)),
    "shoulder": ("upper_arm", (0, 0, 0)),
    "elbow": ("forearm", (0, 0, 0)),
    "wrist": ("forearm", (0, -0.150, 0)),
    "hand": ("forearm", (0, -0.195, 0)),
    "hand_tip": ("forearm", (0, -0.250, 0.005)),
    "index": ("forearm", (0, -0.235, 0.015)),
    "pinky": ("forearm", (0, -0.220, -0.025)),
    "thumb": ("forearm", (-0.008, -0.195, 0.030)),
    "hip": ("thigh", (0, 0, 0)),
    "knee": ("shank", (0, 0, 0)),
    "ankle": ("foot", (0, 0, 0)),
    "heel": ("foot", (0, -0.030, -0.035)),
    "foot": ("foot", (0, -0.020, 0.060)),
    "foot_index": ("foot", (0, -0.033, 0.100)),
}

# Anatomical angles -> turns about x, z and y. Anatomical: flexion (arm, thigh ahead; elbow, knee
# bent; trunk, head down), abduction (limb away from the body; trunk to the left), inward twist
# (trunk: turn to the left). Limits in degrees follow: one row a segment, low and high.
_ANGLES: Mapping[str, tuple[tuple[int, int, int], tuple[tuple[int, int], ...]]] = {
    "pelvis": ((1, 1, 1), ((-10, 10), (-10, 10), (-180, 180))),
    "chest": ((1, -1, 1), ((-25, 100), (-35, 35), (-50, 50))),
    "head": ((1, -1, 1), ((-45, 50), (-35, 35), (-70, 70))),
    "upper_arm": ((-1, 1, -1), ((-60, 185), (-40, 185), (-90, 90))),
    "forearm": ((-1, 1, -1), ((0, 150), (0, 0), (0, 0))),
    "thigh": ((-1, 1, -1), ((-25, 125), (-25, 50), (-30, 30))),
    "shank": ((1, 1, 1), ((0, 145), (0, 0), (0, 0))),
    "foot": ((-1, 1, -1), ((-45, 35), (0, 0), (0, 0))),
}


def _kind(segment: str) -> str:
    return segment.removeprefix("left_").removeprefix("right_")


# a right limb turns the other way about z and y
_SIGNS = np.array(
    [
        np.multiply(_ANGLES[_kind(name)][0], (1, -1, -1) if name.startswith("right_") else 1)
        for name in SEGMENTS
    ]
)
_LOW, _HIGH = np.moveaxis(np.array([_ANGLES[_kind(name)][1] for name in SEGMENTS]), -1, 0)
_MIRRORED_SEGMENTS = np.array(
    [
        SEGMENTS.index(
            name.replace("left_", "right_")
            if name.startswith("left_")
            else name.replace("right_", "left_")
        )
        for name in SEGMENTS
    ]
)
_MIRROR_SIGNS = np.array([(1, 1, 1) if "_" in name else (1, -1, -1) for name in SEGMENTS])


def mirrored(angles: Float[np.ndarray, "*t s 3"]) -> Float[np.ndarray, "*t s 3"]:
    """The same movement by somebody who uses the other hand."""
    return angles[..., _MIRRORED_SEGMENTS, :] * _MIRROR_SIGNS


@dataclass(frozen=True, kw_only=True, eq=False)
class Person:
    """Somebody who performs: how large, how proportioned, and how they move.

    Args:
        stature: metres.
        proportions: factors on every segment's lengths.
        left_handed: does one-handed actions with the left hand as a rule.
        tempo: factor on how long actions take.
        amplitude: factor on how far each angle moves.
        posture: degrees that each angle is always off.
        delay: how much later each segment moves than the action asks, as a share of the action.
    """

    stature: float
    proportions: Float[np.ndarray, "s 3"]
    left_handed: bool
    tempo: float
    amplitude: Float[np.ndarray, "s 3"]
    posture: Float[np.ndarray, "s 3"]
    delay: Float[np.ndarray, " s"]


def born(rng: np.random.Generator) -> Person:
    """Somebody drawn by chance: 1.5 to 1.95 m tall, limbs within some 5 % of the mean."""
    arms, legs, trunk, width = np.clip(rng.normal(1, (0.05, 0.03, 0.03, 0.07)), 0.85, 1.15)
    lengths = {"upper_arm": arms, "forearm": arms, "thigh": legs, "shank": legs, "chest": trunk}
    proportions = np.array([[lengths.get(_kind(name), 1.0)] * 3 for name in SEGMENTS])
    proportions[: SEGMENTS.index("head"), 0] = width
    shape = (len(SEGMENTS), 3)
    return Person(
        stature=float(np.clip(rng.normal(1.71, 0.1), 1.5, 1.95)),
        proportions=proportions,
        left_handed=bool(rng.random() < 0.07),
        tempo=float(np.exp(rng.normal(0, 0.12))),
        amplitude=rng.normal(1, 0.10) * rng.normal(1, 0.06, shape),
        posture=rng.normal(0, 2.5, shape),
        delay=np.abs(rng.normal(0, 0.012, shape[0])),
    )


def perform(
    person: Person,
    angles: Float[np.ndarray, "t s 3"],
    lift: Float[np.ndarray, " t"],
    layout: Layout,
) -> Float[np.ndarray, "t v 3"]:
    """The joints in metres of a person whose body takes these angles, frame by frame.

    Args:
        person: whose body it is.
        angles: degrees, per segment (flexion, abduction, inward twist); cut to human limits.
        lift: how high the lower foot is above its standing height, as a share of the stature.
        layout: which joints are wanted.

    Raises:
        ValueError: a joint of the layout is not on this body.
    """
    angles = np.clip(angles, _LOW, _HIGH)
    turns = _rotations(np.radians(angles * _SIGNS))
    attachments = _ATTACHMENTS * person.proportions[_PARENTS] * person.stature
    places = np.zeros((*angles.shape[:2], 3))
    for generation in _GENERATIONS:
        parents = _PARENTS[generation]
        at_parent = turns[:, parents]
        turns[:, generation] = at_parent @ turns[:, generation]
        places[:, generation] = places[:, parents] + _turned(at_parent, attachments[generation])
    places += _standing(places, attachments, lift * person.stature, person.stature)[:, None]
    segments, offsets = _points(layout)
    offsets = offsets * person.proportions[segments] * person.stature
    return places[:, segments] + _turned(turns[:, segments], offsets)


def _standing(
    places: Float[np.ndarray, "t s 3"],
    attachments: Float[np.ndarray, "s 3"],
    lift: Float[np.ndarray, " t"],
    stature: float,
) -> Float[np.ndarray, "t 3"]:
    """Where the pelvis must be for the lower foot to stay where it stands."""
    feet = places[:, [_LEFT_FOOT, _RIGHT_FOOT]]
    above = feet[..., 1] - feet[..., 1].min(axis=1, keepdims=True)
    weights = np.exp(-above / (0.03 * stature))
    weights /= weights.sum(axis=1, keepdims=True)
    hips = attachments[[SEGMENTS.index("left_thigh"), SEGMENTS.index("right_thigh")]]
    shift = -(weights[..., None] * (feet - hips)).sum(axis=1)
    shift[:, 1] = lift + _ANKLE_HEIGHT * stature - feet[..., 1].min(axis=1)
    return shift


@lru_cache
def _points(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    found = [_point(layout, joint) for joint in layout.joints]
    segments = np.array([SEGMENTS.index(segment) for segment, _ in found])
    return segments, np.array([offset for _, offset in found], float)


def _point(layout: Layout, joint: str) -> tuple[str, Place]:
    if joint in _MIDDLE:
        return _MIDDLE[joint]
    side, _, name = joint.partition("_")
    if side not in ("left", "right") or name not in _SIDED:
        raise ValueError(
            f"the synthetic body has no joint {joint!r}, which layout {layout.name!r} needs; "
            "take another layout"
        )
    segment, (x, y, z) = _SIDED[name]
    segment = segment if segment == "head" else f"{side}_{segment}"
    return segment, (x if side == "left" else -x, y, z)


def _turned(
    turns: Float[np.ndarray, "t s 3 3"], vectors: Float[np.ndarray, "s 3"]
) -> Float[np.ndarray, "t s 3"]:
    x, y, z = vectors.T[..., None]  # written out: far faster than a sum over axes of length 3
    return turns[..., 0] * x + turns[..., 1] * y + turns[..., 2] * z


def _rotations(angles: Float[np.ndarray, "t s 3"]) -> Float[np.ndarray, "t s 3 3"]:
    """Turn about y, then z, then x, by the angles (x, z, y) in radians."""
    (sa, sb, sc), (ca, cb, cc) = (
        np.moveaxis(np.sin(angles), -1, 0),
        np.moveaxis(np.cos(angles), -1, 0),
    )
    turns = np.empty((*angles.shape, 3))
    turns[..., 0, 0], turns[..., 0, 1], turns[..., 0, 2] = cb * cc, -sb, cb * sc
    turns[..., 1, 0] = ca * sb * cc + sa * sc
    turns[..., 1, 1] = ca * cb
    turns[..., 1, 2] = ca * sb * sc - sa * cc
    turns[..., 2, 0] = sa * sb * cc - ca * sc
    turns[..., 2, 1] = sa * cb
    turns[..., 2, 2] = sa * sb * sc + ca * cc
    return turns
