"""Where a body is and how it must turn to stand upright, wherever the camera stood.

As in 2s-AGCN and PYSKL: the middle of the first person's spine goes to the origin, the spine's line
onto the z axis, and then that of the shoulders, from left to right, onto the x axis; all persons
and frames move alike. The first person is the first who is ever seen. Each of the three is taken in
the first frame in which its joints are seen, which in both codebases is the clip's first frame.
What is never seen has a stand-in, so that a clip with an occluded trunk still looks like one of
training.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from skeldistill.layouts import Layout
from skeldistill.layouts.trunk import Line, trunk

ACROSS, UP = 0, 2
"""The axes of a body that stands upright."""

SHORT = 1e-6
"""Lines of no more metres have no direction."""


def place_of(
    joints: np.ndarray, scores: np.ndarray, members: Sequence[int]
) -> Float[np.ndarray, "n c"]:
    """Where the first person's joints first are, their mean, in clips ``(n, m, t, v, c)``.

    Where they are never seen together: the mean of all joints that are seen in the first frame in
    which any is; 0 where nobody is ever seen.
    """
    found, at = _first_seen(joints, scores, members)
    if found.all():
        return at.mean(axis=1)
    clips, who = np.arange(len(joints)), _first_person(scores)
    seen = scores[clips, who] > 0
    frames = np.any(seen, axis=2).argmax(axis=1)
    weights = seen[clips, frames][..., None]
    others = (joints[clips, who, frames] * weights).sum(axis=1, dtype=np.float64)
    others /= np.maximum(weights.sum(axis=1), 1)
    return np.where(found[:, None], at.mean(axis=1), others)


def standing(joints: np.ndarray, scores: np.ndarray, layout: Layout) -> Float[np.ndarray, "n 3 3"]:
    """The turn that makes each clip's 3-D bodies stand; a line that is never seen turns nothing.

    Raises:
        ValueError: joints are not 3-D.
    """
    if joints.shape[-1] != 3:
        raise ValueError(
            f"sampling.normalisation 'body' turns 3-D bodies, and these joints have "
            f"{joints.shape[-1]} coordinates; use 'clip' or 'image'"
        )
    body = trunk(layout)
    up = _turns(_first_line(joints, scores, body.up), UP)
    across = _first_line(joints, scores, body.across)
    return _turns(np.einsum("nij,nj->ni", up, across), ACROSS) @ up


def _first_line(
    joints: np.ndarray, scores: np.ndarray, lines: Sequence[Line]
) -> Float[np.ndarray, "n 3"]:
    """The first of some lines that is seen; 0 where none is."""
    chosen = np.zeros((len(joints), 3))
    for start, end in reversed(lines):
        found, ends = _first_seen(joints, scores, (*start, *end))
        line = ends[:, len(start) :].mean(axis=1) - ends[:, : len(start)].mean(axis=1)
        chosen = np.where(found[:, None], line, chosen)
    return chosen


def _first_seen(
    joints: np.ndarray, scores: np.ndarray, members: Sequence[int]
) -> tuple[Bool[np.ndarray, " n"], Float64[np.ndarray, "n members c"]]:
    """Whether the first person's joints are ever seen together, and where they first are."""
    places = list(members)
    clips, who = np.arange(len(joints)), _first_person(scores)
    seen = np.all(scores[clips, who][:, :, places] > 0, axis=2)
    at = joints[clips, who, np.argmax(seen, axis=1)][:, places]
    return np.any(seen, axis=1), at.astype(np.float64)


def _first_person(scores: np.ndarray) -> Int64[np.ndarray, " n"]:
    """The first person of every clip who is ever seen; 0 where nobody is."""
    return np.argmax(np.any(scores > 0, axis=(2, 3)), axis=1)


def _turns(lines: Float[np.ndarray, "n 3"], axis: int) -> Float[np.ndarray, "n 3 3"]:
    """The shortest turns that bring lines onto an axis."""
    aim = np.eye(3)[axis]
    lengths = np.linalg.norm(lines, axis=1, keepdims=True)
    units = np.where(lengths > SHORT, lines / np.maximum(lengths, SHORT), aim)
    # Rodrigues' formula with the sine and cosine that a cross and an inner product give
    skew = np.cross(np.eye(3), np.cross(units, aim)[:, None])
    cosine = units[:, axis, None, None]
    opposite = cosine < -1 + 1e-9
    turned = np.eye(3) + skew + skew @ skew / np.where(opposite, 1, 1 + cosine)
    half = -np.eye(3)  # half a turn: around y if it must stand up, around z if it must turn round
    half[axis - 1, axis - 1] = 1
    return np.where(opposite, half, turned)
