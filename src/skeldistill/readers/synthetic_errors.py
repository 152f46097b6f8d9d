"""What a cheap pose estimator makes of a body: each way in which it fails is one function.

Functions take joints ``(t, v, c)`` and lengths as shares of `size`, the person's stature in the
units of the joints. They never change what they are given.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float

from skeldistill.layouts import Layout

_LIMB_DIFFICULTY: Mapping[str, float] = {
    "wrist": 3.0,
    "hand": 3.4,
    "hand_tip": 3.8,
    "index": 3.6,
    "pinky": 3.6,
    "thumb": 3.6,
    "ankle": 2.6,
    "heel": 2.8,
    "foot": 3.0,
    "foot_index": 3.0,
    "elbow": 1.8,
    "knee": 1.5,
}
_ARM = ("shoulder", "elbow", "wrist", "hand", "hand_tip", "index", "pinky", "thumb")


def difficulty(layout: Layout) -> Float[np.ndarray, " v"]:
    """How hard each joint is to find, 1 for trunk and head, about 3 for wrists and ankles."""
    names = [joint.partition("_")[2] for joint in layout.joints]
    return np.array([_LIMB_DIFFICULTY.get(name, 1.0) for name in names])


def speed(joints: Float[np.ndarray, "t v c"], size: float) -> Float[np.ndarray, "t v"]:
    """How far each joint moves per frame: fast joints are blurred in the image."""
    return np.sqrt((np.diff(joints, axis=0, prepend=joints[:1]) ** 2).sum(axis=-1)) / size


def lag(joints: Float[np.ndarray, "t v c"], weight: float) -> Float[np.ndarray, "t v c"]:
    """A tracker that smooths: every frame holds on to a share of the two frames before it."""
    one, two = joints[np.maximum(np.arange(len(joints)) - np.array([[1], [2]]), 0)]
    return (1 - weight) * joints + weight * (0.6 * one + 0.4 * two)


def shorten(
    joints: Float[np.ndarray, "t v c"], share: Float[np.ndarray, "t v"], layout: Layout
) -> Float[np.ndarray, "t v c"]:
    """Limbs that are drawn too short: unsure joints are guessed nearer to the trunk."""
    return joints + share[..., None] * (joints[:, layout.parents] - joints)


def jitter(
    joints: Float[np.ndarray, "t v c"],
    spread: Float[np.ndarray, "t v"],
    size: float,
    *,
    rng: np.random.Generator,
) -> Float[np.ndarray, "t v c"]:
    """Joints that tremble, each frame and joint by its own spread, half of it from frame before."""
    noise = rng.standard_normal((len(joints) + 1, *joints.shape[1:]))
    noise = 0.8 * noise[1:] + 0.6 * noise[:-1]
    return joints + noise * (spread * size)[..., None]


def bias(
    joints: Float[np.ndarray, "t v c"],
    spread: Float[np.ndarray, " v"],
    size: float,
    *,
    rng: np.random.Generator,
) -> Float[np.ndarray, "t v c"]:
    """Joints that sit beside where they belong, for the whole clip, slowly changing."""
    first, last = rng.standard_normal((2, *joints.shape[1:])) * (spread * size)[:, None]
    way = np.linspace(0, 1, len(joints))[:, None, None]
    return joints + (1 - way) * first + way * last


def bursts(
    start: Float[np.ndarray, "t v"], length: float, *, rng: np.random.Generator
) -> Bool[np.ndarray, "t v"]:
    """Times at which something goes on, that starts with chance `start` and lasts some frames.

    Lengths are geometric with the mean `length`.
    """
    begins = rng.random(start.shape) < start
    lasts = 1 + np.floor(rng.exponential(length - 0.5, start.shape))
    now = np.arange(len(start))[:, None]
    ends = np.maximum.accumulate(np.where(begins, now + lasts, 0), axis=0)
    return now < ends


def swap_sides(
    joints: Float[np.ndarray, "t v c"],
    layout: Layout,
    chance: float,
    *,
    rng: np.random.Generator,
) -> Float[np.ndarray, "t v c"]:
    """Left taken for right over some frames: both arms, or both legs, or both at once."""
    arms = np.array([joint.partition("_")[2] in _ARM for joint in layout.joints])
    limbs = np.array(
        [joint.partition("_")[2] in {*_LIMB_DIFFICULTY, "hip", *_ARM} for joint in layout.joints]
    )
    arms_now, legs_now = bursts(np.full((len(joints), 2), chance), 5.0, rng=rng).T
    swapped = np.where(arms, arms_now[:, None], legs_now[:, None]) & limbs
    return np.where(swapped[..., None], joints[:, layout.mirrored], joints)


def strays(
    joints: Float[np.ndarray, "t v c"],
    chance: Float[np.ndarray, " v"],
    size: float,
    *,
    rng: np.random.Generator,
) -> Float[np.ndarray, "t v c"]:
    """Outliers: single joints that land on something else nearby, one frame or a few."""
    astray = bursts(np.broadcast_to(chance, joints.shape[:2]), 1.5, rng=rng)
    where = rng.normal(0, 0.22 * size, joints.shape)
    return np.where(astray[..., None], joints + where, joints)


def confidence(
    seen: Float[np.ndarray, "t v c"],
    true: Float[np.ndarray, "t v c"],
    hard: Float[np.ndarray, " v"],
    size: float,
    *,
    rng: np.random.Generator,
) -> Float[np.ndarray, "t v"]:
    """Scores that tell some of the error: falling with it, but noisy, and sure of many mistakes."""
    error = np.sqrt(((seen - true) ** 2).sum(axis=-1)) / size
    told = error * np.exp(rng.normal(-0.3, 0.6, error.shape))
    told *= rng.random(error.shape) < 0.8  # what it does not notice at all
    score = 0.93 - 0.03 * hard - 0.55 * (1 - np.exp(-told / 0.06))
    return np.clip(score + rng.normal(0, 0.07, error.shape), 0.05, 1.0)


def cheaply(
    true: Float[np.ndarray, "t v c"],
    far: Float[np.ndarray, "t v"],
    size: float,
    layout: Layout,
    *,
    rng: np.random.Generator,
) -> tuple[Float[np.ndarray, "t v c"], Float[np.ndarray, "t v"]]:
    """What the cheap estimator says: joints and scores; lost joints are 0 in both.

    Args:
        true: the joints as they are.
        far: 0 to 1, how much of the body stands before a joint.
        size: the person's stature in the units of the joints.
        layout: names the joints.
        rng: chance.
    """
    hard = difficulty(layout)
    severity = float(np.exp(rng.normal(-0.1, 0.35)))  # clips differ in light, clothes, distance
    trouble = severity * hard * (1 + 1.2 * far)
    fast = speed(true, size)
    seen = lag(true, rng.uniform(0.1, 0.5))
    seen = swap_sides(seen, layout, 0.012 * severity, rng=rng)
    seen = shorten(seen, np.minimum(0.035 * trouble * (trouble > 1), 0.45), layout)
    seen = bias(seen, 0.006 * severity * hard, size, rng=rng)
    seen = jitter(seen, trouble * (0.0045 + 0.12 * fast), size, rng=rng)
    seen = strays(seen, 0.004 * severity * hard, size, rng=rng)
    scores = confidence(seen, true, hard, size, rng=rng)
    lost = bursts(0.003 * trouble * (hard + 12 * fast), 6.0, rng=rng)
    lost |= bursts(np.full((len(true), 1), 0.008 * severity), 3.0, rng=rng)  # nobody seen
    if lost.all():
        lost[len(lost) // 2] = False
    return np.where(lost[..., None], 0.0, seen), np.where(lost, 0.0, scores)
