"""Fixing: a new store without what is wrong with the old one, as far as that needs no judgement."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from skeldistill.clip import UNLABELLED, Clip
from skeldistill.data.rewriting import Done, rewrite
from skeldistill.data.store import Store, checksum

DROPPED_DAMAGED = "dropped: damaged on the disk"
DROPPED_EMPTY = "dropped: nobody is seen"
DROPPED_TWICE = "dropped: another clip has the same id"
LOST = "coordinates that are no number: joints lost"
CLEARED = "lost joints that had coordinates: cleared"
UNSEEN = "persons never seen: left out"
UNNAMED = "label beyond the classes: taken off"


def fix(store: Store, path: Path, *, quiet: bool = False) -> tuple[Store, list[str]]:
    """Write a store again without what can safely be put right, and say what was done.

    Dropped are clips whose numbers are not those that were written, clips in which nobody is seen,
    and clips with the id of an earlier one. Coordinates or scores that are no number become lost
    joints, lost joints get coordinates 0, persons who are never seen are left out, and labels
    beyond the classes are taken off. Nothing else changes; what `check` finds beyond that needs
    somebody to decide.

    Args:
        store: what is wrong.
        path: the new store.
        quiet: no progress bar.

    Returns:
        The new store, and one line for everything that was done.

    Raises:
        OSError: the new store cannot be written.
        ValueError: no clip is left, or `path` is the store itself.
    """
    done = Done()
    fixed = rewrite(store, path, _fixed(store, done), {"fixed": str(store.path)}, quiet=quiet)
    return fixed, done.lines(store)


def _fixed(store: Store, done: Done) -> Iterator[Clip]:
    seen: set[str] = set()
    for index in range(len(store)):
        joints, scores = store.joints(index), store.scores(index)
        if checksum(joints, scores) != store.checksums[index]:
            done.note(DROPPED_DAMAGED, index)
            continue
        if store.ids[index] in seen:
            done.note(DROPPED_TWICE, index)
            continue
        joints, scores = _numbers(joints, scores, index, done)
        if not scores.any():
            done.note(DROPPED_EMPTY, index)
            continue
        seen.add(store.ids[index])
        there = scores.any(axis=(1, 2))
        if not there.all():
            done.note(UNSEEN, index)
        about = store.about(index)
        if store.classes and about["label"] >= len(store.classes):
            done.note(UNNAMED, index)
            about["label"] = UNLABELLED
        yield Clip(joints=joints[there], scores=scores[there], layout=store.layout, **about)


def _numbers(
    joints: np.ndarray, scores: np.ndarray, index: int, done: Done
) -> tuple[np.ndarray, np.ndarray]:
    sound = np.isfinite(joints).all(axis=-1) & np.isfinite(scores)
    if not sound.all():
        done.note(LOST, index)
    scores = np.where(sound, np.clip(scores, 0, 1), 0).astype(np.float32)
    lost = scores == 0
    if np.any(joints[lost & sound]):
        done.note(CLEARED, index)
    return np.where(lost[..., None], 0, joints).astype(np.float32), scores
