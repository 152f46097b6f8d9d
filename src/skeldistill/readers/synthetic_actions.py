"""What the synthetic people do: sixteen actions as poses to pass through, and how one is performed.

Several pairs differ only in what cheap skeletons lose, the motion of wrists and ankles and the
timing: wave and raise hand, drink and phone call, clap and rub hands, point and punch, punch and
throw, kick and march, sit down and squat, bow and pick up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from skeldistill.readers.synthetic_body import SEGMENTS, Person, mirrored

Degrees = Sequence[float | int]
Step = tuple[float | int, np.ndarray]
"""Frames that it takes to reach a pose, and the pose: a row of angles a segment, then the lift."""

_STANDING_ARM = (3, 7, 5, 14)
_STANDING_LEG = (1, 2, 4)


def pose(
    trunk: Degrees = (0, 0, 0),
    head: Degrees = (0, 0, 0),
    arm: Degrees = _STANDING_ARM,
    other_arm: Degrees = _STANDING_ARM,
    leg: Degrees = _STANDING_LEG,
    other_leg: Degrees = _STANDING_LEG,
    lift: float = 0.0,
) -> np.ndarray:
    """A pose in degrees, by a right-handed person: `arm` and `leg` are the right ones.

    Trunk and head: (forward, to the left, turned left); arms: (flexion, abduction, inward twist,
    elbow); legs: (flexion, abduction, knee); lift: of the feet, a share of the stature.
    """
    rows = np.zeros((len(SEGMENTS) + 1, 3))
    at = SEGMENTS.index
    rows[at("chest")], rows[at("head")], rows[-1, 0] = trunk, head, lift
    for side, (flexion, abduction, twist, elbow) in (("right", arm), ("left", other_arm)):
        rows[at(f"{side}_upper_arm")] = flexion, abduction, twist
        rows[at(f"{side}_forearm"), 0] = elbow
    for side, (flexion, abduction, knee) in (("right", leg), ("left", other_leg)):
        rows[at(f"{side}_thigh"), :2] = flexion, abduction
        rows[at(f"{side}_shank"), 0] = knee
        rows[at(f"{side}_foot"), 0] = knee - flexion  # the sole stays level where it can
    return rows


STANDING = pose()


@dataclass(frozen=True, kw_only=True, eq=False)
class Action:
    """One action: steps before, steps to repeat, and steps after (to standing, if none given)."""

    name: str
    before: tuple[Step, ...] = ()
    cycle: tuple[Step, ...]
    after: tuple[Step, ...] = ((10, STANDING),)
    repeats: tuple[int, int] = (1, 1)

    def steps(self, frames: float) -> list[Step]:
        """The steps, with as many repeats as come nearest to this number of frames."""
        around = sum(time for time, _ in self.before + self.after)
        repeats = (frames - around) / sum(time for time, _ in self.cycle)
        return [
            *self.before,
            *(self.cycle * int(np.clip(round(repeats), *self.repeats))),
            *self.after,
        ]


def _both(arm: Degrees, leg: Degrees = _STANDING_LEG, lift: float = 0.0) -> np.ndarray:
    return pose(arm=arm, other_arm=arm, leg=leg, other_leg=leg, lift=lift)


def _bent(leg: Degrees, trunk: Degrees, arm: Degrees, other: Degrees) -> np.ndarray:
    return pose(trunk, (-0.5 * trunk[0], 0, 0), arm, other, leg, leg)


_RAISED = pose(arm=(108, 36, 0, 66))
_POINTING = pose(arm=(80, 8, 8, 12), head=(0, 0, -6))
_GUARD = (22, 9, 20, 122)
_GUARDING = pose((6, 0, -12), arm=_GUARD, other_arm=_GUARD, leg=(-6, 4, 10), other_leg=(10, 4, 12))
_PUNCHING = pose(
    (10, 0, 24), arm=(80, 6, 20, 14), other_arm=_GUARD, leg=(-12, 4, 10), other_leg=(14, 4, 16)
)
_PHONING = pose(arm=(66, 42, 10, 148), head=(2, -10, 0))
_DRINKING = pose(arm=(55, 18, 40, 134), head=(4, 0, 0))
_SEATED = _bent((84, 8, 88), (8, 0, 0), (22, 4, 20, 50), (22, 4, 20, 50))

ACTIONS: tuple[Action, ...] = (
    Action(
        name="wave",
        before=((10, _RAISED),),
        cycle=((5, pose(arm=(112, 34, 28, 94))), (5, pose(arm=(102, 40, -32, 44)))),
        repeats=(2, 6),
    ),
    Action(name="raise_hand", before=((10, _RAISED),), cycle=((10, _RAISED),), repeats=(1, 6)),
    Action(name="point", before=((9, _POINTING),), cycle=((10, _POINTING),), repeats=(1, 6)),
    Action(
        name="punch",
        before=((8, _GUARDING),),
        cycle=((4, _PUNCHING), (6, _GUARDING)),
        repeats=(1, 5),
    ),
    Action(
        name="throw",
        before=((11, pose((-8, 0, -28), arm=(96, 88, -34, 112), leg=(-8, 4, 12))),),
        cycle=(
            (4, pose((4, 0, 6), arm=(128, 30, 0, 62), other_leg=(16, 3, 14))),
            (5, pose((18, 0, 26), arm=(44, -8, 34, 26), other_leg=(18, 3, 16))),
        ),
        after=((12, STANDING),),
    ),
    Action(
        name="drink",
        before=((12, _DRINKING),),
        cycle=((10, pose(arm=(84, 30, 46, 142), head=(-30, 0, 0))), (8, _DRINKING)),
        after=((12, STANDING),),
        repeats=(1, 3),
    ),
    Action(
        name="phone_call",
        before=((12, _PHONING),),
        cycle=((10, _PHONING),),
        after=((12, STANDING),),
        repeats=(1, 4),
    ),
    Action(
        name="clap",
        before=((9, _both((12, 28, 8, 100))),),
        cycle=((4, _both((26, 9, 40, 94))), (5, _both((8, 36, -2, 98)))),
        repeats=(2, 6),
    ),
    Action(
        name="rub_hands",
        before=((9, _both((25, 10, 40, 94))),),
        cycle=(
            (4, pose(arm=(34, 6, 38, 82), other_arm=(16, 13, 42, 103))),
            (4, pose(arm=(16, 13, 42, 103), other_arm=(34, 6, 38, 82))),
        ),
        repeats=(2, 7),
    ),
    Action(
        name="kick",
        before=((8, pose((4, 0, 6), leg=(-18, 4, 50), other_arm=(24, 12, 5, 20))),),
        cycle=(
            (5, pose((-8, 0, -8), leg=(80, 2, 8), arm=(-14, 16, 5, 18), other_leg=(2, 2, 10))),
            (9, pose((2, 0, 0), leg=(-6, 3, 24))),
        ),
        repeats=(1, 3),
    ),
    Action(
        name="march",
        cycle=(
            (6, pose(leg=(66, 3, 84), arm=(-10, 8, 5, 18), other_arm=(26, 6, 5, 34))),
            (5, STANDING),
            (6, pose(other_leg=(66, 3, 84), other_arm=(-10, 8, 5, 18), arm=(26, 6, 5, 34))),
            (5, STANDING),
        ),
        after=((3, STANDING),),
        repeats=(1, 3),
    ),
    Action(
        name="squat",
        cycle=(
            (13, _bent((98, 12, 104), (34, 0, 0), (58, 6, 10, 24), (58, 6, 10, 24))),
            (12, STANDING),
        ),
        after=((3, STANDING),),
        repeats=(1, 2),
    ),
    Action(
        name="sit_down",
        before=(
            (9, _bent((56, 6, 56), (34, 0, 0), (14, 8, 10, 26), (14, 8, 10, 26))),
            (8, _SEATED),
        ),
        cycle=((8, _SEATED),),
        after=((2, _SEATED),),  # and stays there
        repeats=(1, 4),
    ),
    Action(
        name="pick_up",
        before=((12, _bent((62, 6, 54), (64, 0, 6), (66, 4, 6, 8), (20, 6, 10, 26))),),
        cycle=((4, _bent((64, 6, 56), (66, 0, 6), (68, 4, 6, 14), (20, 6, 10, 26))),),
        after=((12, pose(arm=(18, 8, 24, 74))), (8, pose(arm=(12, 8, 20, 60)))),
    ),
    Action(
        name="bow",
        before=((12, _bent((16, 2, 6), (58, 0, 0), (22, 4, 6, 10), (22, 4, 6, 10))),),
        cycle=((5, _bent((18, 2, 6), (62, 0, 0), (24, 4, 6, 10), (24, 4, 6, 10))),),
        after=((12, STANDING),),
        repeats=(1, 2),
    ),
    Action(
        name="jumping_jack",
        cycle=(
            (3, _both((6, 85, 0, 16), (2, 14, 8), lift=0.05)),
            (4, _both((8, 158, 0, 26), (2, 24, 8))),
            (3, _both((6, 85, 0, 16), (2, 14, 8), lift=0.05)),
            (4, STANDING),
        ),
        after=((3, STANDING),),
        repeats=(2, 5),
    ),
)


def act(
    action: Action, person: Person, frames: int, *, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "t s 3"], Float[np.ndarray, " t"]]:
    """One performance: the angles of every segment in degrees, and the lift of the feet.

    The action begins and ends somewhere within the clip; before and after the person only stands
    about. Each performance differs in pace, in how far it goes and in where it passes through.
    """
    share, beginning = rng.uniform(0.65, 0.95), rng.random()
    tempo = person.tempo * np.exp(rng.normal(0, 0.10))
    steps = action.steps(share * frames / tempo)
    times = np.array([time for time, _ in steps]) * tempo * np.exp(rng.normal(0, 0.14, len(steps)))
    times = np.concatenate([[0.0], np.cumsum(times)])
    times *= min(1.0, 0.92 * frames / times[-1])
    keys = np.array([STANDING, *(key for _, key in steps)])
    moved = (keys - STANDING) * rng.normal(1, 0.03, keys.shape) * rng.normal(1, 0.06, keys[0].shape)
    moved[:, :-1] *= person.amplitude
    moved[:, :-1] += rng.normal(0, 2.5, moved[0, :-1].shape) * (moved[:, :-1] != 0)
    moved[:, -1] = np.maximum(moved[:, -1], 0)
    start = beginning * (frames - times[-1])
    late = np.append(person.delay, 0) * times[-1]
    track = _through(times, moved, np.arange(frames)[:, None] - start - late)
    angles = STANDING[:-1] + person.posture + rng.normal(0, 1.5, person.posture.shape)
    angles = angles + track[:, :-1] + _swaying(frames, rng)
    left_handed = person.left_handed != (rng.random() < 0.06)
    return mirrored(angles) if left_handed else angles, track[:, -1, 0]


def _swaying(frames: int, rng: np.random.Generator) -> Float[np.ndarray, "t s 3"]:
    """Nobody stands still: two slow waves on every angle, each at its own phase."""
    shape = (2, len(SEGMENTS) * 3)
    size, phase = rng.normal(0, 0.9, shape), rng.uniform(0, 2 * np.pi, shape)
    now = np.arange(frames)[:, None] * (2 * np.pi / rng.uniform(22, 70, 2))
    waves = np.sin(now) @ (size * np.cos(phase)) + np.cos(now) @ (size * np.sin(phase))
    return waves.reshape(frames, len(SEGMENTS), 3)


def _through(
    times: Float[np.ndarray, " k"],
    keys: Float[np.ndarray, "k r 3"],
    at: Float[np.ndarray, "t r"],
) -> Float[np.ndarray, "t r 3"]:
    """A smooth way through all keys that never overshoots them, held before and after.

    Cubic Hermite pieces with the harmonic mean of neighbouring slopes as tangents (Fritsch and
    Butland 1984).
    """
    slopes = np.diff(keys, axis=0) / np.diff(times)[:, None, None]
    product, total = slopes[1:] * slopes[:-1], slopes[1:] + slopes[:-1]
    tangents = np.zeros_like(keys)
    np.divide(2 * product, total, out=tangents[1:-1], where=product > 0)
    at = np.clip(at, 0, times[-1])
    piece = np.clip(np.searchsorted(times, at, side="right") - 1, 0, len(times) - 2)
    length = (times[piece + 1] - times[piece])[..., None]
    u = (at - times[piece])[..., None] / length
    row = np.arange(keys.shape[1])
    low, high = keys[piece, row], keys[piece + 1, row]
    bend = (1 - u) * tangents[piece, row] - u * tangents[piece + 1, row]
    return low + (high - low) * (u * u * (3 - 2 * u)) + u * (1 - u) * length * bend
