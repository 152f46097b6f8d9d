"""What estimators share: pictures made smaller, cut into pieces, and people found twice."""

import math

import numpy as np
from jaxtyping import Float, Float32, UInt8

OVERLAP = 0.25
"""Of neighbouring tiles, so that who stands on the border of one is whole in the other."""
SAME = 0.15
"""People whose joints are no further apart than this, in sizes of the larger one, are the same."""


def resized(image: UInt8[np.ndarray, "h w 3"], height: int, width: int) -> np.ndarray:
    """The picture with that many rows and columns, bilinear, averaged where it gets smaller."""
    halved = image
    while halved.shape[0] >= 2 * height and halved.shape[1] >= 2 * width:
        h, w = halved.shape[0] // 2 * 2, halved.shape[1] // 2 * 2
        pairs = halved[:h, :w].reshape(h // 2, 2, w // 2, 2, 3)
        halved = pairs.mean(axis=(1, 3), dtype=np.float32)
    box = np.array([0, 0, halved.shape[1], halved.shape[0]], np.float64)
    return np.rint(crop(halved, box, height, width)).astype(np.uint8)


def shrunk(image: UInt8[np.ndarray, "h w 3"], short_side: int | None) -> np.ndarray:
    """The picture with its shorter side so long, unless it is as small already."""
    h, w = image.shape[:2]
    if short_side is None or min(h, w) <= short_side:
        return image
    factor = short_side / min(h, w)
    return resized(image, max(1, round(h * factor)), max(1, round(w * factor)))


def crop(
    image: np.ndarray,
    box: Float[np.ndarray, " 4"],
    height: int,
    width: int,
    *,
    outside: float | None = None,
) -> Float32[np.ndarray, "height width 3"]:
    """What is in a box (left, top, right, bottom) of a picture, at another size, bilinear.

    Args:
        image: ``(h, w, 3)``.
        box: in pixels; it may reach beyond the picture.
        height: rows of what comes out.
        width: columns of what comes out.
        outside: the colour beyond the picture; None repeats its border.
    """
    left, top, right, bottom = box
    # the middle of the first new pixel is half a new pixel into the box
    ys = top + (np.arange(height) + 0.5) * (bottom - top) / height - 0.5
    xs = left + (np.arange(width) + 0.5) * (right - left) / width - 0.5
    rows, below = _between(ys, image.shape[0])
    columns, beside = _between(xs, image.shape[1])
    upper, lower = image[rows[0]].astype(np.float32), image[rows[1]].astype(np.float32)
    lines = upper + (lower - upper) * below[:, None, None]
    made = lines[:, columns[0]]
    made = made + (lines[:, columns[1]] - made) * beside[None, :, None]
    if outside is not None:
        made[(ys < -0.5) | (ys > image.shape[0] - 0.5)] = outside
        made[:, (xs < -0.5) | (xs > image.shape[1] - 0.5)] = outside
    return made.astype(np.float32)


def _between(places: np.ndarray, length: int) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
    """The two neighbours of every place, and how far it is from the first to the second."""
    inside = np.clip(places, 0, length - 1)
    first = np.floor(inside).astype(np.int64)
    return (first, np.minimum(first + 1, length - 1)), (inside - first).astype(np.float32)


def tiles(height: int, width: int, count: int) -> list[tuple[slice, slice]]:
    """The whole picture, then `count` times `count` pieces of it that overlap."""
    whole = (slice(0, height), slice(0, width))
    if count == 1:
        return [whole]
    return [whole, *[(y, x) for y in _pieces(height, count) for x in _pieces(width, count)]]


def _pieces(length: int, count: int) -> list[slice]:
    # rounded up: of a small picture, rounding down would leave rows out
    size = min(length, math.ceil(length / (count - (count - 1) * OVERLAP)))
    starts = np.rint(np.linspace(0, length - size, count)).astype(int).tolist()
    return [slice(start, start + size) for start in starts]


def distinct(people: Float32[np.ndarray, "people v 3"]) -> Float32[np.ndarray, "some v 3"]:
    """Each person once: of those who lie on each other, the one with the highest mean score.

    Not by boxes: where a tile cuts a person, half of the box is guessed, with low scores.

    Args:
        people: x, y and score of every joint.
    """
    order = np.argsort(-people[..., 2].mean(axis=1), kind="stable") if len(people) else []
    kept: list[int] = []
    for place in order:
        if all(_apart(people[place], people[other]) > SAME for other in kept):
            kept.append(int(place))
    return people[kept]


def _apart(one: Float32[np.ndarray, "v 3"], other: Float32[np.ndarray, "v 3"]) -> float:
    """Mean distance of the joints, in sizes of the larger person; sure joints count more."""
    weight = np.minimum(one[:, 2], other[:, 2]).astype(np.float64)
    size = max(float(np.ptp(body[:, :2], axis=0).max()) for body in (one, other))
    if weight.sum() <= 0 or size <= 0:
        return np.inf
    moved = np.sqrt(((one[:, :2] - other[:, :2]).astype(np.float64) ** 2).sum(axis=1))
    return float((weight * moved).sum() / weight.sum() / size)


def overlap(one: Float[np.ndarray, " 4"], other: Float[np.ndarray, " 4"]) -> float:
    """Intersection over union of two boxes (left, top, right, bottom)."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    areas = np.prod(np.maximum(one[2:] - one[:2], 0)) + np.prod(
        np.maximum(other[2:] - other[:2], 0)
    )
    return shared / float(areas - shared) if areas > shared else 0.0
