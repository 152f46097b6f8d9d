"""Checking: what is in a store, and what is wrong with it, before an hour is lost on it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from skeldistill.data.store import Store, checksum

IMBALANCE = 10
"""A class with this many times the clips of another is told of."""
SHOWN = 3
TRAINING = ("train",)
TESTING = ("test", "val")


@dataclass(frozen=True)
class Finding:
    """Something to know about a store. An error spoils results; a warning may be meant so."""

    level: Literal["error", "warning"]
    line: str


def describe(store: Store) -> dict[str, Any]:
    """All that `skeldistill data info` tells of a store, in plain containers."""
    members = {name: store.in_split(name) for name in store.split_names}
    labels = store.labels
    names = store.classes or tuple(str(label) for label in range(int(labels.max()) + 1))
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
            for label, name in enumerate(names)
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
    findings = [*_labels(store), *_splits(store), *_clips(store), *_copies(store)]
    if pair is not None:
        findings += _pair(store, pair)
    return sorted(findings, key=lambda finding: finding.level)


def _labels(store: Store) -> Iterator[Finding]:
    labels, classes = store.labels, store.classes
    unknown = np.flatnonzero(labels < 0)
    if len(unknown):
        yield Finding("warning", f"{_clips_named(store, unknown)} without a label")
    if classes:
        beyond = np.flatnonzero(labels >= len(classes))
        if len(beyond):
            line = f"{_clips_named(store, beyond)} with a label beyond the {len(classes)} classes"
            yield Finding("error", line)
    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    empty = [_class(store, label) for label in np.flatnonzero(counts == 0)]
    if empty:
        yield Finding("warning", f"no clip of {_some(empty, 'class', 'classes')}")
    filled = np.flatnonzero(counts)
    if len(filled) and counts.max() >= IMBALANCE * counts[filled].min():
        least = filled[counts[filled].argmin()]
        line = (
            f"classes are uneven: {counts.max()} clips of {_class(store, counts.argmax())}, "
            f"{counts[least]} of {_class(store, least)}"
        )
        yield Finding("warning", line)


def _splits(store: Store) -> Iterator[Finding]:
    if not store.split_names:
        yield Finding("warning", "no clip is in any split")
    known = np.unique(store.labels[store.labels >= 0])
    for name in store.split_names:
        absent = np.setdiff1d(known, store.labels[store.in_split(name)])
        if len(absent):
            classes = _some([_class(store, label) for label in absent], "class", "classes")
            yield Finding("warning", f"split {name!r} has no clip of {classes}")
    for train, test in _opposites(store):
        both = np.intersect1d(store.in_split(train), store.in_split(test))
        if len(both):
            line = f"{_clips_named(store, both)} in {train!r} and in {test!r} at once"
            yield Finding("error", line)


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
            yield Finding(level, f"{_clips_named(store, found[kind])} {kind}")
    yield from _axes(store)


def _unseen(joints: np.ndarray, scores: np.ndarray) -> bool:
    return not np.any(scores > 0)


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
    ("of a single frame", "warning", _one_frame),
    ("in which nothing moves", "warning", _frozen),
)


def _axes(store: Store) -> Iterator[Finding]:
    """Bodies stand upright more often than not: shoulders and ankles differ most in height."""
    ends = [("left_shoulder", "left_ankle"), ("right_shoulder", "right_ankle")]
    places = [
        (store.layout.joints.index(top), store.layout.joints.index(bottom))
        for top, bottom in ends
        if top in store.layout.joints and bottom in store.layout.joints
    ]
    lengths = np.zeros((len(store), store.channels))
    for index in range(len(store)):
        joints, scores = store.joints(index), store.scores(index)
        for top, bottom in places:
            seen = (scores[..., top] > 0) & (scores[..., bottom] > 0)
            lengths[index] += np.abs((joints[..., top, :] - joints[..., bottom, :])[seen].sum(0))
    lengths = lengths[np.any(lengths > 0, axis=1)]
    if not len(lengths):
        return
    share = float(np.mean(lengths.argmax(axis=1) != 1))
    if share > 0.5:
        line = (
            f"in {share:.0%} of the clips the body is not upright along the second axis; "
            "are the coordinates in the order x, y(, z)?"
        )
        yield Finding("warning", line)


def _copies(store: Store) -> Iterator[Finding]:
    """Clips that hold the same numbers under two ids, and whether one trains for the other."""
    first: dict[tuple[int, int], int] = {}
    copies: list[tuple[int, int]] = []
    for index in range(len(store)):
        key = (int(store.checksums[index]), int(store.num_frames[index]))
        other = first.setdefault(key, index)
        same = other != index and np.array_equal(store.joints(other), store.joints(index))
        if same and np.any(store.joints(index)):
            copies.append((other, index))
    if not copies:
        return
    pairs = [f"{store.ids[one]!r} = {store.ids[other]!r}" for one, other in copies]
    yield Finding("warning", f"the same joints under two ids: {_some(pairs, 'pair', 'pairs')}")
    for train, test in _opposites(store):
        training, testing = set(store.in_split(train)), set(store.in_split(test))
        leaks = [
            pairs[place]
            for place, (one, other) in enumerate(copies)
            if (one in training and other in testing) or (other in training and one in testing)
        ]
        if leaks:
            line = f"the same joints in {train!r} and {test!r}: {_some(leaks, 'pair', 'pairs')}"
            yield Finding("error", line)


def _pair(store: Store, pair: Store) -> Iterator[Finding]:
    if store.classes and pair.classes and store.classes != pair.classes:
        line = f"{store.path.name} and {pair.path.name} name different classes, or in another order"
        yield Finding("error", line)
    common, here, there = np.intersect1d(store.ids, pair.ids, return_indices=True)
    if not len(common):
        yield Finding("error", f"{store.path.name} and {pair.path.name} have no id in common")
        return
    for one, other in ((store, pair), (pair, store)):
        alone = np.flatnonzero(~np.isin(one.ids, common))
        if len(alone):
            line = f"{_clips_named(one, alone)} only in {one.path.name}, not in {other.path.name}"
            yield Finding("warning", line)
    unlike = store.labels[here] != pair.labels[there]
    if unlike.any():
        line = f"{_clips_named(store, here[unlike])} with another label in {pair.path.name}"
        yield Finding("error", line)
    unlike = store.num_frames[here] != pair.num_frames[there]
    if unlike.any():
        line = f"{_clips_named(store, here[unlike])} with another length in {pair.path.name}"
        yield Finding("warning", line)
    unlike = np.array(
        [set(store.splits[i]) != set(pair.splits[j]) for i, j in zip(here, there, strict=True)]
    )
    if unlike.any():
        line = f"{_clips_named(store, here[unlike])} in other splits in {pair.path.name}"
        yield Finding("warning", line)
    yield from _sides(store, pair, here, there)


def _sides(store: Store, pair: Store, here: np.ndarray, there: np.ndarray) -> Iterator[Finding]:
    """Whether the left shoulder is on the same side of the right one in both views."""
    if not {"left_shoulder", "right_shoulder"} <= {*store.layout.joints} & {*pair.layout.joints}:
        return
    sides = [(_side(store, int(i)), _side(pair, int(j))) for i, j in zip(here, there, strict=True)]
    told = [one == other for one, other in sides if one and other]
    if told and np.mean(told) < 0.3:
        line = (
            f"left and right seem to be swapped between {store.path.name} and {pair.path.name}: "
            f"shoulders agree in {np.mean(told):.0%} of the clips"
        )
        yield Finding("warning", line)


def _side(store: Store, index: int) -> float:
    left, right = (store.layout.index(f"{side}_shoulder") for side in ("left", "right"))
    joints, scores = store.joints(index), store.scores(index)
    seen = (scores[..., left] > 0) & (scores[..., right] > 0)
    return float(np.sign((joints[..., left, 0] - joints[..., right, 0])[seen].sum()))


def _opposites(store: Store) -> Iterator[tuple[str, str]]:
    """Names of splits that train and test the same thing."""
    for train in store.split_names:
        for word in TRAINING:
            for test in {train.replace(word, other) for other in TESTING} - {train}:
                if test in store.split_names:
                    yield train, test


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


def _class(store: Store, label: int | np.intp) -> str:
    return repr(store.classes[int(label)]) if label < len(store.classes) else str(label)


def _clips_named(store: Store, places: list[int] | np.ndarray) -> str:
    return _some([repr(store.ids[place]) for place in places], "clip", "clips")


def _some(names: list[str], one: str, many: str) -> str:
    more = ", ..." if len(names) > SHOWN else ""
    return f"{len(names)} {one if len(names) == 1 else many} ({', '.join(names[:SHOWN])}{more})"
