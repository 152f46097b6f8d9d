"""Ordering: the people of one view, in the order in which another view of the clips has them."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float64
from scipy.optimize import linear_sum_assignment

from skeldistill.clip import Clip
from skeldistill.data.rewriting import Done, rewrite
from skeldistill.data.store import Store

FAR = 2.0
"""People farther apart than so many spreads of a body (about a metre) are not the same one."""

FEWEST = 4
"""Joints that two layouts need in common for bodies to be compared."""

ORDERED = "with people in another order: brought into the other view's"
BEHIND = "with people whom the other view lacks: placed behind the others"
LEFT_OUT = "with people whom the other view lacks: left out"
EMPTY = "without somebody of the other view: that place is kept empty"
NOBODY = "with nobody of the other view: left as they are"
SOLITARY = "not in the other view: left as they are"

Match = list[int | None]
"""Which person of one view each person of the other is; None where nobody is."""


def order(
    store: Store, like: Store, path: Path, *, only_matched: bool = False, quiet: bool = False
) -> tuple[Store, list[str]]:
    """Write a store again with the people of each clip in the order of another view.

    Node and edge losses compare the first person of one view with the first of the other, but an
    estimator lists people as it finds them. `match_people` says who is taken for whom.

    Args:
        store: whose people are ordered, the low view as a rule.
        like: the view that has the order; clips are matched by id.
        path: the new store.
        only_matched: leave out people who are not in `like`, such as passers-by; else they stand
            behind the others.
        quiet: no progress bar.

    Returns:
        The new store, and one line for everything that was done.

    Raises:
        OSError: the new store cannot be written.
        ValueError: the layouts have too few joints in common, the views no clip, or `path` is one
            of the stores.
    """
    common = [joint for joint in store.layout.joints if joint in like.layout.joints]
    if len(common) < FEWEST:
        raise ValueError(
            f"layouts {store.layout.name!r} and {like.layout.name!r} have {len(common)} joints in "
            f"common, and {FEWEST} are needed to tell people apart; "
            "`skeldistill data convert` may bring one to the joints of the other"
        )
    rows = {clip_id: row for row, clip_id in enumerate(like.ids.tolist())}
    if not any(clip_id in rows for clip_id in store.ids.tolist()):
        raise ValueError(f"{store.path.name} and {like.path.name} have no id in common")
    if path.exists() and path.samefile(like.path):
        raise ValueError(f"{path} is the store that has the order; name another file to write")
    done = Done()
    clips = _ordered(store, like, rows, only_matched, done)
    told = {"ordered": {"like": str(like.path), "only_matched": only_matched}}
    made = rewrite(store, path, clips, told, quiet=quiet)
    return made, done.lines(store)


def match_people(clip: Clip, other: Clip, *, same_space: bool) -> Match:
    """Which person of `clip` each person of `other` is: the nearest, one to one.

    People are compared by the joints that both layouts name, in the frames in which both are seen
    (at the same share of the clips, if their lengths differ): how far the joints are from each
    other within their bodies, and the bodies from each other, the median over frames, measured in
    spreads of a body. Where coordinates do not mean the same places in both clips, bodies are
    compared after the shift under which most people match, and best.

    Args:
        clip: whose people are named.
        other: whose people are looked for.
        same_space: whether coordinates mean the same places in both.
    """
    poses, places = _apart(clip, other, same_space)
    both_seen = np.logical_or.reduce(np.isfinite(poses), axis=2)
    shifts = [np.zeros(places.shape[-1])] if same_space else []
    found = _nearest(poses, places, both_seen, shifts)
    if not any(person is not None for person in found):
        pairs = np.argwhere(both_seen)
        shifts = [np.nanmedian(places[one, another], axis=0) for one, another in pairs]
        found = _nearest(poses, places, both_seen, shifts)
    return found


def _nearest(
    poses: Float64[np.ndarray, "m p t"],
    places: Float64[np.ndarray, "m p t d"],
    both_seen: Bool[np.ndarray, "m p"],
    shifts: list[np.ndarray],
) -> Match:
    """The best one-to-one match under any of some shifts."""
    best: Match = [None] * poses.shape[1]
    best_of = (-1, 0.0)
    for shift in shifts:
        apart = poses + np.linalg.norm(places - shift, axis=-1)
        cost = np.full(both_seen.shape, np.inf)
        cost[both_seen] = np.nanmedian(apart[both_seen], axis=1)
        # far pairs cost so much that as few as possible are chosen; then they are undone
        chosen = linear_sum_assignment(np.where(cost <= FAR, cost, 1e6))
        match: Match = [None] * poses.shape[1]
        total = 0.0
        for one, another in zip(*chosen, strict=True):
            if cost[one, another] <= FAR:
                match[another] = int(one)
                total += cost[one, another]
        count = sum(person is not None for person in match)
        if (count, -total) > best_of:
            best, best_of = match, (count, -total)
    return best


def _apart(
    clip: Clip, other: Clip, same_space: bool
) -> tuple[Float64[np.ndarray, "m p t"], Float64[np.ndarray, "m p t d"]]:
    """How far joints are from each other in their bodies, and which way body is from body.

    NaN in frames in which not both are seen.
    """
    names = [joint for joint in clip.layout.joints if joint in other.layout.joints]
    frames = (np.arange(clip.num_frames) + 0.5) * other.num_frames / clip.num_frames
    alike = clip.joints.shape[-1] == other.joints.shape[-1]
    own, own_seen = _bodies(clip, names, np.arange(clip.num_frames), whole=alike)
    theirs, their_seen = _bodies(other, names, frames.astype(np.int64), whole=alike)
    own_spread, their_spread = _spread(own, own_seen), _spread(theirs, their_seen)
    if same_space:
        own_spread = their_spread
    seen = own_seen[:, None] & their_seen[None]
    apart = (own / own_spread)[:, None] - (theirs / their_spread)[None]
    with np.errstate(invalid="ignore"):  # 0 of 0 joints are seen
        places = (apart * seen[..., None]).sum(axis=-2) / seen.sum(axis=-1)[..., None]
        within = np.linalg.norm(apart - places[..., None, :], axis=-1)
        return (within * seen).sum(axis=-1) / seen.sum(axis=-1), places


def _bodies(
    clip: Clip, names: list[str], frames: np.ndarray, *, whole: bool
) -> tuple[Float64[np.ndarray, "m t k d"], Bool[np.ndarray, "m t k"]]:
    """Some joints in some frames; not whole: as an image has them, y downwards."""
    joints = [clip.layout.index(name) for name in names]
    chosen = clip.joints[:, frames][:, :, joints].astype(np.float64)
    if not whole:
        upwards = chosen.shape[-1] == 3
        chosen = chosen[..., :2] * ((1, -1) if upwards else 1)
    return chosen, clip.scores[:, frames][:, :, joints] > 0


def _spread(joints: Float64[np.ndarray, "m t k d"], seen: Bool[np.ndarray, "m t k"]) -> float:
    """How far joints are from the middle of their body, the root of the mean square."""
    count = np.maximum(seen.sum(axis=-1), 1)[..., None]
    middle = (joints * seen[..., None]).sum(axis=2) / count
    square = (np.square(joints - middle[:, :, None]).sum(axis=-1) * seen).sum()
    return float(np.sqrt(square / max(seen.sum(), 1))) or 1.0


def _ordered(
    store: Store, like: Store, rows: Mapping[str, int], only_matched: bool, done: Done
) -> Iterator[Clip]:
    same_space = store.units == like.units and store.channels == like.channels
    for index in range(len(store)):
        clip = store.clip(index)
        if clip.id not in rows:
            done.note(SOLITARY, index)
            yield clip
            continue
        other = like.clip(rows[clip.id])
        looked_at = _scaled(clip, other) if same_space and store.units == "pixels" else clip
        match = match_people(looked_at, other, same_space=same_space)
        named = [person for person in match if person is not None]
        if not named:
            done.note(NOBODY, index)
            yield clip
            continue
        others = [person for person in range(clip.num_persons) if person not in named]
        if others:
            done.note(LEFT_OUT if only_matched else BEHIND, index)
        if only_matched:
            others = []
        while not others and match[-1] is None:
            match.pop()
        if None in match:
            done.note(EMPTY, index)
        if named != sorted(named):
            done.note(ORDERED, index)
        yield _chosen(clip, [*match, *others])


def _scaled(clip: Clip, other: Clip) -> Clip:
    """The clip in the pixels of the other's images, where both know their size."""
    if clip.size == other.size or clip.size is None or other.size is None:
        return clip
    scale = np.ones(clip.joints.shape[-1], np.float32)
    scale[:2] = np.array(other.size[::-1]) / np.array(clip.size[::-1])
    return clip.with_joints(clip.joints * scale, clip.scores)


def _chosen(clip: Clip, persons: Match) -> Clip:
    """Some persons of a clip in this order, with nobody where None stands."""
    joints = np.zeros((len(persons), *clip.joints.shape[1:]), np.float32)
    scores = np.zeros((len(persons), *clip.scores.shape[1:]), np.float32)
    for place, person in enumerate(persons):
        if person is not None:
            joints[place], scores[place] = clip.joints[person], clip.scores[person]
    return clip.with_joints(joints, scores)
