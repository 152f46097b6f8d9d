"""The bodies in a .skeleton file of NTU RGB+D: parsing, and who of them are people."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from skeldistill.layouts import NTU25
from skeldistill.readers.source_files import MOST_FRAMES

COLUMNS = (0, 1, 2, 5, 6, 11)
"""Of a joint's line: x y z in metres, x y in the colour image, tracking state."""

SHORTEST = 11
"""A body seen in no more frames than this is noise."""
WIDEST = 0.8
"""A body is too wide in a frame if its width exceeds this part of its height."""
MOST_WIDE = 0.69754
"""A body that is too wide in this share of its frames is a table or a seat."""

NOT_A_NUMBER = re.compile(r"-?1\.#[A-Z]+\d*")
"""How Kinect's software, built with an old compiler, wrote infinities and the like."""


@dataclass(frozen=True, eq=False)
class Body:
    """What the sensor took for one body: the frames it was seen in, and its joints there.

    `values` are `COLUMNS`; what is not finite in the file is NaN.
    """

    frames: Int[np.ndarray, " t"]
    values: Float[np.ndarray, "t 25 6"]

    @property
    def joints(self) -> Float[np.ndarray, "t 25 3"]:
        """Metres from the sensor."""
        return self.values[..., :3]


def parse(text: str) -> tuple[int, list[Body]]:
    """The number of frames and the bodies in a .skeleton file, in order of appearance.

    Raises:
        ValueError: the text is no such file, or stops too early.
    """
    lines = [line for line in text.splitlines() if line and not line.isspace()]
    num_frames = _count(lines, 0, "the number of frames")
    if not 1 <= num_frames <= MOST_FRAMES:
        raise ValueError(
            f"it has {num_frames} frames, not 1 to {MOST_FRAMES}; leave it out, for instance by "
            "the official list of missing skeletons as option `missing`"
        )
    at = 1
    seen: dict[str, dict[int, int]] = {}
    joint_lines: list[str] = []
    for frame in range(num_frames):
        bodies, at = _count(lines, at, f"the number of bodies in frame {frame}"), at + 1
        for _ in range(bodies):
            name = _line(lines, at, f"a body in frame {frame}").split()[0]
            joints = _count(lines, at + 1, f"the number of joints in frame {frame}")
            if joints != NTU25.num_joints or at + 2 + joints > len(lines):
                raise ValueError(
                    f"frame {frame} has a body of {joints} joints, of which "
                    f"{len(lines) - at - 2} lines are left; it needs {NTU25.num_joints}"
                )
            if frame in seen.setdefault(name, {}):
                raise ValueError(f"frame {frame} has body {name[:40]!r} twice")
            seen[name][frame] = len(joint_lines)
            joint_lines += lines[at + 2 : at + 2 + joints]
            at += 2 + joints
    values = _values(joint_lines)
    return num_frames, [
        Body(np.array(list(rows)), np.stack([values[row : row + 25] for row in rows.values()]))
        for rows in seen.values()
    ]


def _line(lines: Sequence[str], at: int, what: str) -> str:
    if at >= len(lines):
        raise ValueError(f"it ends before {what}; fetch it again")
    return lines[at]


def _count(lines: Sequence[str], at: int, what: str) -> int:
    text = _line(lines, at, what).strip()
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ValueError(f"{what} is {text[:40]!r}, no whole number; it is no .skeleton file")
    return int(text)


def _values(lines: list[str]) -> Float[np.ndarray, "rows 6"]:
    if not lines:
        return np.zeros((0, len(COLUMNS)))
    plain = NOT_A_NUMBER.sub("nan", "\n".join(lines)).split("\n")
    values = np.loadtxt(plain, comments=None, usecols=COLUMNS, ndmin=2)
    values[~np.isfinite(values)] = np.nan
    if np.nanmax(np.abs(values), initial=0) > np.finfo(np.float32).max:
        raise ValueError("it has a coordinate that no float32 can hold")
    return values


def motion(body: Body) -> float:
    """How much a body moves: the variances of x, y and z over all its joints and frames, summed.

    By this NTU RGB+D's authors choose the main subject (their FAQ, "How did you choose ...").
    """
    return _variance(body.joints)


def people(bodies: Sequence[Body]) -> list[Body]:
    """The bodies that are no noise, the one that moves most first.

    Noise is what is seen in too few frames, or is too wide for its height in too many of them
    (the denoising used by VA-NN, MS-G3D and CTR-GCN). A single body is kept as it is, and so
    are all if all of them look like noise. Whoever stays moves as much as in the frames where
    he is not too wide, if that is less.
    """
    remaining = [body for body in bodies if len(body.frames) > SHORTEST] or list(bodies)
    moves = [motion(body) for body in remaining]
    if len(remaining) > 1:
        wide = [_wide(body) for body in remaining]
        kept = [i for i in range(len(wide)) if wide[i].mean() < MOST_WIDE] or range(len(wide))
        moves = [min(moves[i], _variance(remaining[i].joints[~wide[i]])) for i in kept]
        remaining = [remaining[i] for i in kept]
    order = sorted(range(len(remaining)), key=lambda i: -moves[i])
    return [remaining[i] for i in order]


def seats(bodies: Sequence[Body], persons: int) -> list[list[Body]]:
    """Bodies to places on the axis ``m``: each takes the first where nobody is seen at its time.

    The sensor gives a person who was lost and found again another number; so tracks that do not
    overlap share a place, as in PYSKL and CTR-GCN. Who finds no place is left out.
    """
    places: list[list[Body]] = []
    taken: list[set[int]] = []
    for body in bodies:
        frames = set(body.frames.tolist())
        free = [place for place, times in enumerate(taken) if times.isdisjoint(frames)]
        if free:
            places[free[0]].append(body)
            taken[free[0]] |= frames
        elif len(places) < persons:
            places.append([body])
            taken.append(frames)
    return places


def _variance(joints: Float[np.ndarray, "t 25 3"]) -> float:
    points = joints.reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=1)]
    return float(points.var(axis=0).sum()) if len(points) else 0.0


def _wide(body: Body) -> np.ndarray:
    """In which of its frames a body is too wide for its height."""
    known = np.isfinite(body.joints)
    highest = np.where(known, body.joints, -np.inf).max(axis=1)
    lowest = np.where(known, body.joints, np.inf).min(axis=1)
    with np.errstate(invalid="ignore"):
        width, height = np.moveaxis((highest - lowest)[:, :2], 1, 0)
    return width > WIDEST * height
