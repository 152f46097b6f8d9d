"""Where a body is and how it must turn to stand upright, wherever the camera stood.

As in 2s-AGCN and PYSKL: the middle of the first person's spine goes to the origin, the spine's line
onto the z axis, and then that of the shoulders, from left to right, onto the x axis; all persons
and frames move alike. Each of the three is taken in the first frame in which its joints are seen,
which in both codebases is the clip's first frame.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from skeldistill.layouts import Layout
from skeldistill.layouts.trunk import trunk

ACROSS, UP = 0, 2
"""The axes of a body that stands upright."""

SHORT = 1e-6
"""Lines of no more metres have no direction."""


def spine(joints: np.ndarray, scores: np.ndarray, layout: Layout) -> Float[np.ndarray, "n c"]:
    """The middle of the first person's spine, of clips ``(n, m, t, v, c)``; 0 where never seen."""
    return _first_seen(joints, scores, trunk(layout).origin).mean(axis=1)


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
    up = _turns(_line(joints, scores, body.bottom, body.top), UP)
    across = np.zeros((len(joints), 3))
    for left, right in reversed(body.across):
        line = _line(joints, scores, (left,), (right,))
        across = np.where(line.any(axis=1, keepdims=True), line, across)
    return _turns(np.einsum("nij,nj->ni", up, across), ACROSS) @ up


def _first_seen(
    joints: np.ndarray, scores: np.ndarray, members: Sequence[int]
) -> Float[np.ndarray, "n members c"]:
    """The first person's joints in the first frame in which all of them are seen, else 0."""
    places = list(members)
    seen = np.all(scores[:, 0][:, :, places] > 0, axis=2)
    at = joints[np.arange(len(joints)), 0, seen.argmax(axis=1)][:, places]
    return np.where(np.any(seen, axis=1)[:, None, None], at, 0).astype(np.float64)


def _line(
    joints: np.ndarray, scores: np.ndarray, start: Sequence[int], end: Sequence[int]
) -> Float[np.ndarray, "n 3"]:
    """From the middle of some joints to that of others; 0 where they are never seen together."""
    ends = _first_seen(joints, scores, (*start, *end))
    return ends[:, len(start) :].mean(axis=1) - ends[:, : len(start)].mean(axis=1)


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
