"""Bodies: what proportions tell of a store, whose numbers may be right and mean something else.

Axes in another order, units that are not those stated, joints in the order of another layout, and
left for right all leave sound numbers. But no body has them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from skeldistill.data.findings import Finding
from skeldistill.data.store import Store
from skeldistill.layouts import Layout

LOOKED_AT = 16
"""Frames of a clip, spread over it; proportions do not change from one to the next."""

SIZES = {
    "metres": (0.2, 4.0, "millimetres, or shares of an image"),
    "pixels": (4.0, 20_000.0, "shares of an image, or metres"),
    "normalised": (0.01, 20.0, "pixels"),
}
"""By the units: how long a body is at least and at most, and what it may be if it is not."""

UNITS = (*SIZES, "body")
"""All that are known; a body's own size is 1 in the last."""

LONGEST_BONE = 0.5
"""No bone of a body is longer than this part of it; in real data sets none is above 0.36."""
CROSSED = 0.6
"""A joint that is nearer to the other side's limb in so many frames is on the wrong side."""


@dataclass(frozen=True, kw_only=True)
class Proportions:
    """Of the clips in which anybody is seen, one row each; NaN where there is nothing to measure.

    sizes: the longest side of a body. heights: from shoulders to ankles along each axis. bones:
    their lengths in sizes of the body. crossed: the share of frames in which a joint is nearer to
    the other side's limb than to its own, in the order of `limbs`.
    """

    sizes: Float[np.ndarray, " n"]
    heights: Float[np.ndarray, "n c"]
    bones: Float[np.ndarray, "n bones"]
    crossed: Float[np.ndarray, "n limbs"]


def limbs(layout: Layout) -> list[tuple[int, int]]:
    """Pairs of joints on one side of the body, of which either has a partner on the other side."""
    pairs = list(layout.bone_indices)
    for side in ("left", "right"):
        ends = (f"{side}_hip", f"{side}_shoulder")
        if set(ends) <= set(layout.joints):
            pairs.append((layout.index(ends[0]), layout.index(ends[1])))
    other = layout.mirrored
    return [(a, b) for a, b in dict.fromkeys(pairs) if other[a] != a and other[b] != b]


def proportions(store: Store) -> Proportions:
    """Measure the most certain person of every clip, in some of the frames."""
    measured = [one for index in range(len(store)) if (one := _measure(store, index)) is not None]
    columns = list(zip(*measured, strict=True)) or [[]] * 4
    shapes = ((), (store.channels,), (len(store.layout.bones),), (len(limbs(store.layout)),))
    sizes, heights, bones, crossed = (
        np.array(column, np.float64).reshape(-1, *shape)
        for column, shape in zip(columns, shapes, strict=True)
    )
    return Proportions(sizes=sizes, heights=heights, bones=bones, crossed=crossed)


def look(store: Store) -> Iterator[Finding]:
    """What the proportions say against the store's units, axes, layout and sides."""
    found = proportions(store)
    if not len(found.sizes):
        return
    yield from _units(store, float(np.median(found.sizes)))
    yield from _axes(found)
    yield from _bones(store.layout, found)
    yield from _sides(store.layout, found)


def _measure(store: Store, index: int) -> tuple[float, np.ndarray, np.ndarray, np.ndarray] | None:
    scores = store.scores(index)
    person = int(scores.mean(axis=(1, 2)).argmax())
    some = np.unique(np.linspace(0, scores.shape[1] - 1, LOOKED_AT).astype(int))
    seen = scores[person, some] > 0
    joints = store.joints(index)[person, some].astype(np.float64)
    there = seen.any(axis=1)
    joints, seen = joints[there], seen[there]
    if not len(joints) or not np.isfinite(joints).all():
        return None
    hidden = ~seen[..., None]
    box = np.where(hidden, -np.inf, joints).max(axis=1) - np.where(hidden, np.inf, joints).min(1)
    size = float(np.median(box.max(axis=-1)))
    if size <= 0:
        return None
    children, parents = np.array(store.layout.bone_indices, int).reshape(-1, 2).T
    lengths = _apart(joints, seen, children, parents)
    bones = _median(lengths) / size
    ends, starts = np.array(limbs(store.layout), int).reshape(-1, 2).T
    own = _apart(joints, seen, ends, starts)
    other = _apart(joints, seen, ends, store.layout.mirrored[starts])
    known = np.isfinite(own) & np.isfinite(other)
    share = np.where(known.any(axis=0), (known & (own > other)).sum(0), np.nan)
    return size, _heights(store.layout, joints, seen), bones, share / np.maximum(known.sum(0), 1)


def _apart(joints: np.ndarray, seen: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Distances of joints, ``(t, pairs)``, NaN where one of both is lost."""
    distances = np.linalg.norm(joints[:, one] - joints[:, other], axis=-1)
    return np.where(seen[:, one] & seen[:, other], distances, np.nan)


def _median(values: np.ndarray) -> np.ndarray:
    """Over the first axis, of what is a number; NaN where nothing is."""
    known = np.isfinite(values).any(axis=0)
    medians = np.full(values.shape[1:], np.nan)
    medians[known] = np.nanmedian(values[:, known], axis=0)
    return medians


def _heights(layout: Layout, joints: np.ndarray, seen: np.ndarray) -> np.ndarray:
    heights = np.zeros(joints.shape[-1])
    for side in ("left", "right"):
        ends = (f"{side}_shoulder", f"{side}_ankle")
        if set(ends) <= set(layout.joints):
            top, bottom = (layout.index(end) for end in ends)
            both = seen[:, top] & seen[:, bottom]
            heights += np.abs((joints[both, top] - joints[both, bottom]).sum(axis=0))
    return heights


def _units(store: Store, size: float) -> Iterator[Finding]:
    if store.units not in SIZES:
        if store.units not in UNITS:
            line = (
                f"units {store.units!r} are none that are known ({', '.join(UNITS)}); networks "
                "take no other clips than in these very units"
            )
            yield Finding("warning", line)
        return
    least, most, else_ = SIZES[store.units]
    if not least <= size <= most:
        line = (
            f"a body is {size:.3g} long, which is strange for {store.units}; are these {else_}? "
            f"Name the units when you import (--option units=..., of {', '.join(UNITS)})"
        )
        yield Finding("warning", line)


def _axes(found: Proportions) -> Iterator[Finding]:
    """Bodies stand upright more often than not: shoulders and ankles differ most in height."""
    heights = found.heights[np.any(found.heights > 0, axis=1)]
    if not len(heights):
        return
    share = float(np.mean(heights.argmax(axis=1) != 1))
    if share > 0.5:
        line = (
            f"in {share:.0%} of the clips the body is not upright along the second axis; "
            "are the coordinates in the order x, y(, z)?"
        )
        yield Finding("warning", line)


def _bones(layout: Layout, found: Proportions) -> Iterator[Finding]:
    lengths = _median(found.bones)
    for (child, parent), length in zip(layout.bone_indices, lengths, strict=True):
        if length > LONGEST_BONE:
            line = (
                f"{layout.joints[child]} and {layout.joints[parent]} are {length:.0%} of the body "
                f"apart; are the joints in the order of layout {layout.name!r}?"
            )
            yield Finding("warning", line)
            return


def _sides(layout: Layout, found: Proportions) -> Iterator[Finding]:
    known = np.isfinite(found.crossed)
    total = np.where(known, found.crossed, 0).sum(axis=0)
    shares = total / np.maximum(known.sum(axis=0), 1)
    wrong = np.flatnonzero(shares > CROSSED)
    if len(wrong):
        end, start = limbs(layout)[wrong[shares[wrong].argmax()]]
        line = (
            f"in {shares[wrong].max():.0%} of the frames {layout.joints[end]} is nearer to "
            f"{layout.joints[layout.mirrored[start]]} than to {layout.joints[start]}; are left and "
            "right swapped in some joints?"
        )
        yield Finding("warning", line)
