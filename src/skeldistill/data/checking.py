"""Checking: what is in a store, and what is wrong with it, before an hour is lost on it."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from skeldistill import readers
from skeldistill.data import bodies, findings
from skeldistill.data.comparing import compare
from skeldistill.data.findings import Finding
from skeldistill.data.store import UNKNOWN, Store, checksum
from skeldistill.readers.reader import Division
from skeldistill.shelf import build

__all__ = ["Finding", "check", "describe"]

IMBALANCE = 10
"""A class with this many times the clips of another is told of."""
MOST_UNNAMED = 10_000
"""So many classes without a name are believed to be some, however few of them occur."""
CUT = "cut"
"""Of a clip's `extra`: that its video ended before its file claimed."""
MOSTLY = 0.9
"""A clip with this share of its joints lost is told of."""


def describe(store: Store) -> dict[str, Any]:
    """All that `skeldistill data info` tells of a store, in plain containers."""
    members = {name: store.in_split(name) for name in store.split_names}
    labels = store.labels
    named = dict(enumerate(store.classes)) or {
        int(label): str(label) for label in np.unique(labels[labels >= 0])
    }
    return {
        "path": str(store.path),
        "clips": len(store),
        "unlabelled": int((labels < 0).sum()),
        "classes": [
            {
                "label": label,
                "name": name,
                "clips": int((labels == label).sum()),
                "splits": {
                    split: int((labels[places] == label).sum()) for split, places in members.items()
                },
            }
            for label, name in named.items()
        ],
        "splits": {split: len(places) for split, places in members.items()},
        "layout": store.layout.name,
        "joints": store.layout.num_joints,
        "channels": store.channels,
        "units": store.units,
        "frames": _spread(store.num_frames),
        "persons": _spread(store.num_persons),
        "lost_joints": _lost_share(store),
        "bytes": store.path.stat().st_size,
        "fingerprint": store.fingerprint,
        "provenance": dict(store.provenance),
    }


def check(store: Store, pair: Store | None = None) -> list[Finding]:
    """What is wrong, or may be, with a store, or with two that show the same clips.

    Reads all joints once. Errors come first.
    """
    found = [
        *_ids(store),
        *_labels(store),
        *_splits(store),
        *_published(store),
        *_clips(store),
        *_cut(store),
        *bodies.look(store),
        *_copies(store),
    ]
    if pair is not None:
        found += compare(store, pair)
    return sorted(found, key=lambda finding: finding.level)


def _labels(store: Store) -> Iterator[Finding]:
    labels, classes = store.labels, store.classes
    unknown = np.flatnonzero(labels < 0)
    if len(unknown):
        yield Finding("warning", f"{findings.clips(store, unknown)} without a label")
    if classes:
        beyond = np.flatnonzero(labels >= len(classes))
        if len(beyond):
            line = f"{findings.clips(store, beyond)} with a label beyond the {len(classes)} classes"
            yield Finding("error", line)
    filled, counts = np.unique(labels[labels >= 0], return_counts=True)
    named = len(classes) or (int(filled.max()) + 1 if len(filled) else 0)
    if not classes and named > MOST_UNNAMED:
        line = f"labels go up to {named - 1} though only {len(filled)} occur; number them from 0"
        yield Finding("warning", line)
    elif len(missing := np.setdiff1d(np.arange(named), filled)):
        empty = [findings.action(store, label) for label in missing]
        yield Finding("warning", f"no clip of {findings.some(empty, 'class', 'classes')}")
    if len(filled) and counts.max() >= IMBALANCE * counts.min():
        most, few = (
            findings.action(store, filled[place]) for place in (counts.argmax(), counts.argmin())
        )
        line = f"classes are uneven: {counts.max()} clips of {most}, {counts.min()} of {few}"
        yield Finding("warning", line)


def _splits(store: Store) -> Iterator[Finding]:
    if not store.split_names:
        yield Finding("warning", "no clip is in any split")
    known = np.unique(store.labels[store.labels >= 0])
    for name in store.split_names:
        absent = np.setdiff1d(known, store.labels[store.in_split(name)])
        if len(absent):
            classes = findings.some(
                [findings.action(store, label) for label in absent], "class", "classes"
            )
            yield Finding("warning", f"split {name!r} has no clip of {classes}")
    for train, test in findings.opposites(store):
        both = np.intersect1d(store.in_split(train), store.in_split(test))
        if len(both):
            line = f"{findings.clips(store, both)} in {train!r} and in {test!r} at once"
            yield Finding("error", line)
        subjects = [set(store.subjects[store.in_split(name)].tolist()) for name in (train, test)]
        shared = sorted((subjects[0] & subjects[1]) - {UNKNOWN})
        if shared and "sub" in train:
            people = findings.some([str(one) for one in shared], "subject", "subjects")
            yield Finding("error", f"{people} in {train!r} and in {test!r}")


def _published(store: Store) -> Iterator[Finding]:
    """Whether as many clips are in the official splits as their data set has."""
    for division in _divisions(store):
        for name, count in zip((division.train, division.test), division.clips or (), strict=False):
            have = len(store.in_split(name)) if name in store.split_names else 0
            if have != count:
                line = f"split {name!r} has {have} clips where the whole data set has {count}"
                yield Finding("warning", line)


def _divisions(store: Store) -> tuple[Division, ...]:
    """Those of the reader that made the store, with the options it had; none if it is unknown."""
    made_by = store.provenance.get("reader")
    part = next((one for one in readers.SHELF.values() if one.__name__ == made_by), None)
    if part is None or not store.split_names:
        return ()
    try:
        return readers.divisions(build("reader", part, dict(store.provenance.get("options") or {})))
    except (ValueError, OSError):  # its list or file of splits may be gone
        return ()


def _clips(store: Store) -> Iterator[Finding]:
    found: dict[str, list[int]] = {kind: [] for kind, _, _ in _CLIP_LAWS}
    for index in range(len(store)):
        joints, scores = store.joints(index), store.scores(index)
        if checksum(joints, scores) != store.checksums[index] or not np.isfinite(joints).all():
            found[_DAMAGED].append(index)
            continue
        for kind, _, broken in _CLIP_LAWS[1:]:
            if broken(joints, scores):
                found[kind].append(index)
    for kind, level, _ in _CLIP_LAWS:
        if found[kind]:
            yield Finding(level, f"{findings.clips(store, found[kind])} {kind}")


def _cut(store: Store) -> Iterator[Finding]:
    told = [json.loads(extra or "{}") for extra in store.table["extra"].to_pylist()]
    cut = [place for place, extra in enumerate(told) if CUT in extra]
    if cut:
        yield Finding("warning", f"{findings.clips(store, cut)} of videos that may be cut off")


def _unseen(joints: np.ndarray, scores: np.ndarray) -> bool:
    return not np.any(scores > 0)


def _mostly_lost(joints: np.ndarray, scores: np.ndarray) -> bool:
    seen = float(np.mean(scores > 0))
    return 0 < seen < 1 - MOSTLY


def _one_frame(joints: np.ndarray, scores: np.ndarray) -> bool:
    return joints.shape[1] == 1


def _frozen(joints: np.ndarray, scores: np.ndarray) -> bool:
    twice = (scores[:, 1:] > 0) & (scores[:, :-1] > 0)
    moved = np.any(joints[:, 1:] != joints[:, :-1], axis=-1)
    return bool(twice.any()) and not np.any(moved & twice)


_Law = tuple[str, Literal["error", "warning"], Callable[[np.ndarray, np.ndarray], bool]]
_DAMAGED = "damaged on the disk; import the source again"
_CLIP_LAWS: tuple[_Law, ...] = (
    (_DAMAGED, "error", lambda joints, scores: False),
    ("without any seen joint", "warning", _unseen),
    (f"with {MOSTLY:.0%} of the joints lost", "warning", _mostly_lost),
    ("of a single frame", "warning", _one_frame),
    ("in which nothing moves", "warning", _frozen),
)


def _ids(store: Store) -> Iterator[Finding]:
    names, counts = np.unique(store.ids.astype(str), return_counts=True)
    if (counts > 1).any():
        twice = findings.some([repr(name) for name in names[counts > 1].tolist()], "id", "ids")
        yield Finding("error", f"{twice} of more than one clip")


def same_joints(store: Store, row: int, other: Store, place: int) -> bool:
    """Whether two clips hold the same numbers, and any at all."""
    joints = store.joints(row)
    return bool(joints.any()) and np.array_equal(joints, other.joints(place))


def _copies(store: Store) -> Iterator[Finding]:
    """Clips that hold the same numbers under two ids, and whether one trains for the other."""
    first: dict[tuple[int, int], int] = {}
    copies: list[tuple[int, int]] = []
    for index in range(len(store)):
        key = (int(store.checksums[index]), int(store.num_frames[index]))
        other = first.setdefault(key, index)
        if other != index and same_joints(store, index, store, other):
            copies.append((other, index))
    if not copies:
        return
    pairs = [f"{store.ids[one]!r} = {store.ids[other]!r}" for one, other in copies]
    yield Finding(
        "warning", f"the same joints under two ids: {findings.some(pairs, 'pair', 'pairs')}"
    )
    for train, test in findings.opposites(store):
        training, testing = set(store.in_split(train)), set(store.in_split(test))
        leaks = [
            pairs[place]
            for place, (one, other) in enumerate(copies)
            if (one in training and other in testing) or (other in training and one in testing)
        ]
        if leaks:
            named = findings.some(leaks, "pair", "pairs")
            yield Finding("error", f"the same joints in {train!r} and {test!r}: {named}")


def _spread(numbers: np.ndarray) -> dict[str, int | float]:
    return {
        "min": int(numbers.min()),
        "median": float(np.median(numbers)),
        "max": int(numbers.max()),
    }


def _lost_share(store: Store) -> float:
    lost = total = 0
    for index in range(len(store)):
        scores = store.scores(index)
        lost += int(np.count_nonzero(scores == 0))
        total += scores.size
    return lost / total
