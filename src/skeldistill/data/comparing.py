"""Comparing: whether two stores show the same clips, as the two views of an experiment must."""

from collections.abc import Iterator

import numpy as np

from skeldistill.clip import UNLABELLED
from skeldistill.data import findings
from skeldistill.data.findings import Finding
from skeldistill.data.store import Store

AGREE = 0.3
"""Where shoulders stand alike in fewer clips, one view calls left what the other calls right."""


def compare(store: Store, pair: Store) -> Iterator[Finding]:
    """What is wrong between two views of the same clips."""
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
            line = f"{findings.clips(one, alone)} only in {one.path.name}, not in {other.path.name}"
            yield Finding("warning", line)
    own, theirs = store.labels[here], pair.labels[there]
    unlike = (own != theirs) & (own != UNLABELLED) & (theirs != UNLABELLED)
    if unlike.any():
        line = f"{findings.clips(store, here[unlike])} with another label in {pair.path.name}"
        yield Finding("error", line)
    unlike = store.num_frames[here] != pair.num_frames[there]
    if unlike.any():
        line = f"{findings.clips(store, here[unlike])} with another length in {pair.path.name}"
        yield Finding("warning", line)
    yield from _splits(store, pair, here, there)
    yield from _copies(store, pair, here, there)
    yield from _sides(store, pair, here, there)
    yield from _people(store, pair, here, there)


def _splits(store: Store, pair: Store, here: np.ndarray, there: np.ndarray) -> Iterator[Finding]:
    unlike = np.array(
        [set(store.splits[i]) != set(pair.splits[j]) for i, j in zip(here, there, strict=True)]
    )
    if unlike.any():
        line = f"{findings.clips(store, here[unlike])} in other splits in {pair.path.name}"
        yield Finding("warning", line)
    for one, other in ((store, pair), (pair, store)):
        for train, test in findings.opposites(one):
            if train not in other.split_names:
                continue
            trained = set(other.ids[other.in_split(train)].tolist())
            tested = one.in_split(test)
            both = tested[[clip_id in trained for clip_id in one.ids[tested].tolist()]]
            if len(both):
                line = (
                    f"{findings.clips(one, both)} in {test!r} of {one.path.name} and in {train!r} "
                    f"of {other.path.name}"
                )
                yield Finding("error", line)


def _copies(store: Store, pair: Store, here: np.ndarray, there: np.ndarray) -> Iterator[Finding]:
    same = store.checksums[here] == pair.checksums[there]
    if same.mean() > 0.5 and store.layout.same_as(pair.layout):
        line = (
            f"{store.path.name} and {pair.path.name} hold the same joints in {same.mean():.0%} of "
            "the clips; is one of them the other view?"
        )
        yield Finding("warning", line)


def _sides(store: Store, pair: Store, here: np.ndarray, there: np.ndarray) -> Iterator[Finding]:
    """Whether the left shoulder is on the same side of the right one in both views."""
    if not {"left_shoulder", "right_shoulder"} <= {*store.layout.joints} & {*pair.layout.joints}:
        return
    sides = [(_side(store, int(i)), _side(pair, int(j))) for i, j in zip(here, there, strict=True)]
    told = [one == other for one, other in sides if one and other]
    if told and np.mean(told) < AGREE:
        line = (
            f"left and right seem to be swapped between {store.path.name} and {pair.path.name}: "
            f"shoulders agree in {np.mean(told):.0%} of the clips"
        )
        yield Finding("warning", line)


def _people(store: Store, pair: Store, here: np.ndarray, there: np.ndarray) -> Iterator[Finding]:
    """Whether both views list people in one order: networks and losses know them by their place."""
    both = (store.num_persons[here] > 1) & (pair.num_persons[there] > 1)
    swapped = [
        int(i)
        for i, j in zip(here[both], there[both], strict=True)
        if _first_is_left(store, int(i)) * _first_is_left(pair, int(j)) < 0
    ]
    if swapped:
        line = (
            f"{findings.clips(store, np.array(swapped))} list the first two people in another "
            f"order than {pair.path.name}; graph matching compares people by their order, and "
            "`skeldistill data order` brings them into one"
        )
        yield Finding("warning", line)


def _first_is_left(store: Store, index: int) -> float:
    """1 if the first person is to the left of the second in most frames, -1 if to the right.

    Left is so in any units, and in space as in the image.
    """
    joints, scores = store.joints(index)[:2, ..., 0], store.scores(index)[:2]
    count = (scores > 0).sum(axis=2)
    places = np.where(scores > 0, joints, 0).sum(axis=2) / np.maximum(count, 1)
    seen = (count > 0).all(axis=0)
    return float(np.sign(np.sign(places[1] - places[0])[seen].sum()))


def _side(store: Store, index: int) -> float:
    left, right = (store.layout.index(f"{side}_shoulder") for side in ("left", "right"))
    joints, scores = store.joints(index), store.scores(index)
    seen = (scores[..., left] > 0) & (scores[..., right] > 0)
    return float(np.sign((joints[..., left, 0] - joints[..., right, 0])[seen].sum()))
