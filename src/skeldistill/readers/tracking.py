"""Tracking: people found frame by frame, followed over the frames of a clip, the surest first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int64

from skeldistill.layouts import Layout

MOST_PEOPLE = 100
"""In one frame; of more, the surest are looked at."""
PATIENCE = 30
"""Frames after which somebody who is not seen any more would be taken for somebody else."""
UNTRACKED = -1
"""The id of somebody whom the source does not follow; OpenPose writes the same number."""
FOUND = "people"
"""In a clip's `extra`: how many people its source has, where not all of them are kept."""
REACH = 0.5
"""How far the joints of a person may move between two frames, in sizes of the person."""


@dataclass(frozen=True, eq=False)
class People:
    """Everybody found in one frame. A joint of score 0 is lost.

    `ids` are those of the source's own tracker, `UNTRACKED` where it gives none.

    Raises:
        ValueError: coordinates or scores that are not finite.
    """

    joints: Float32[np.ndarray, "people v c"]
    scores: Float32[np.ndarray, "people v"]
    ids: Int64[np.ndarray, " people"] | None = None

    def __post_init__(self) -> None:
        if not (np.isfinite(self.joints).all() and np.isfinite(self.scores).all()):
            raise ValueError("a coordinate or score is no finite number")


def seen(triples: Float32[np.ndarray, "people v 3"], ids: Sequence[Any] = ()) -> People:
    """People from x, y and confidence; what is above 1 counts as 1, below 0 as lost.

    Args:
        triples: of every person and joint.
        ids: of the persons, as a file gives them (see `identity`); none if it has none.
    """
    known = np.array([identity(one) for one in ids], np.int64) if len(ids) else None
    return People(triples[..., :2], np.clip(triples[..., 2], 0, 1), known)


def identity(value: Any) -> int:
    """A tracker's id as JSON gives it: a whole number, or a list of one; else `UNTRACKED`."""
    one = value[0] if isinstance(value, list) and len(value) == 1 else value
    if isinstance(one, bool) or not isinstance(one, int | float):
        return UNTRACKED
    return int(one) if 0 <= one < 2**62 and one == int(one) else UNTRACKED


def nobody(layout: Layout) -> People:
    """A frame without anybody, in two dimensions."""
    return seen(np.zeros((0, layout.num_joints, 3), np.float32))


@dataclass
class Track:
    """One person, as the frames (by number) and the place among the people of each."""

    frames: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)


def follow(frames: Sequence[People]) -> list[Track]:
    """Who is who: by the source's own ids where they tell everybody apart, else by `link`.

    The ids count only if every person of every frame has one and no two of a frame share one.
    """
    tracks: dict[int, Track] = {}
    for number, people in enumerate(frames):
        if not len(people.joints):
            continue
        ids = [] if people.ids is None else people.ids.tolist()
        if UNTRACKED in ids or len(set(ids)) != len(people.joints):
            return link(frames)
        for place, one in enumerate(ids):
            track = tracks.setdefault(one, Track())
            track.frames.append(number)
            track.places.append(place)
    return list(tracks.values())


def link(frames: Sequence[People]) -> list[Track]:
    """Who is who: people of successive frames whose joints are near each other are the same.

    Pairs are chosen frame by frame so that the mean distance over the joints that both have,
    in sizes of the person, is least in sum (Hungarian method). Nobody moves further than
    `REACH` from one frame to the next, or returns after `PATIENCE` frames.

    Args:
        frames: one entry for each frame of the clip, in order.

    Returns:
        The tracks in order of appearance; every person of every frame is in exactly one, but
        for those beyond `MOST_PEOPLE` in a frame.
    """
    tracks: list[Track] = []
    alive: list[Track] = []
    for number, people in enumerate(frames):
        found = _surest(people)
        alive = [track for track in alive if number - track.frames[-1] <= PATIENCE]
        alive = sorted(alive, key=lambda track: track.frames[-1])[-2 * MOST_PEOPLE :]
        distances = np.array([_distances(frames, track, people, found) for track in alive])
        paired = dict[int, Track]()
        if distances.size:
            from scipy.optimize import linear_sum_assignment  # half of what `data info` would load

            # far pairs cost so much that as few as possible are chosen; then they are undone
            cost = np.where(distances <= REACH, distances, 1e6)
            for row, column in zip(*linear_sum_assignment(cost), strict=True):
                if distances[row, column] <= REACH:
                    paired[int(found[column])] = alive[row]
        for place in found.tolist():
            track = paired.get(place) or Track()
            if not track.frames:
                tracks.append(track)
                alive.append(track)
            track.frames.append(number)
            track.places.append(place)
    return tracks


def surest(
    frames: Sequence[People], tracks: Sequence[Track], persons: int
) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
    """The `persons` tracks of the highest mean confidence, as a clip's joints and scores.

    The mean is over all joints and all frames of the clip, those without the person counting 0
    (ST-GCN: "2 people with the highest average joint confidence in each clip"), so that a long
    sure track is before a short surer one. Where nobody is found, one place stays empty.
    """
    confidence = [
        sum(float(frames[t].scores[place].sum()) for t, place in zip(*_places(one), strict=True))
        for one in tracks
    ]
    return _filled(frames, _highest(tracks, confidence, persons))


def largest(
    frames: Sequence[People], tracks: Sequence[Track], persons: int
) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
    """The `persons` tracks that fill most of the picture, as a clip's joints and scores.

    The longest side of the box around a person's joints, summed over the frames: who stands in
    front and stays is before those who pass in the background.
    """
    height = [
        sum(
            float(_sizes(frames[t].joints[[place]], frames[t].scores[[place]] > 0)[0])
            for t, place in zip(*_places(one), strict=True)
            if np.any(frames[t].scores[place] > 0)
        )
        for one in tracks
    ]
    return _filled(frames, _highest(tracks, height, persons))


def left_out(frames: Sequence[People], tracks: Sequence[Track], persons: int) -> dict[str, int]:
    """For a clip's `extra`: how many people there are, if more than the `persons` who are kept.

    Who was lost for too long and found again counts twice, as it is kept twice.
    """
    people = sum(
        any(frames[t].scores[place].any() for t, place in zip(*_places(one), strict=True))
        for one in tracks
    )
    return {FOUND: people} if people > persons else {}


def _highest(tracks: Sequence[Track], worth: Sequence[float], persons: int) -> list[Track]:
    order = sorted(range(len(tracks)), key=lambda i: -worth[i])[:persons]
    return [tracks[i] for i in order]


def _filled(
    frames: Sequence[People], tracks: Sequence[Track]
) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
    """These tracks, in this order; one empty place if there is none."""
    _, v, c = frames[0].joints.shape
    joints = np.zeros((max(1, len(tracks)), len(frames), v, c), np.float32)
    scores = np.zeros(joints.shape[:3], np.float32)
    for row, track in enumerate(tracks):
        for t, place in zip(*_places(track), strict=True):
            joints[row, t] = frames[t].joints[place]
            scores[row, t] = frames[t].scores[place]
    joints[scores == 0] = 0
    return joints, scores


def _places(track: Track) -> tuple[list[int], list[int]]:
    return track.frames, track.places


def _surest(people: People) -> np.ndarray:
    """The places of those who have any joint at all, `MOST_PEOPLE` at most."""
    confidence = people.scores.sum(axis=1)
    order = np.argsort(-confidence, kind="stable")[:MOST_PEOPLE]
    return np.sort(order[confidence[order] > 0])


def _distances(
    frames: Sequence[People], track: Track, people: People, found: np.ndarray
) -> Float[np.ndarray, " found"]:
    """How far everybody is from where the track was last, in sizes of its person."""
    last = frames[track.frames[-1]]
    before = last.joints[track.places[-1]].astype(np.float64)
    known = last.scores[track.places[-1]] > 0
    now, seen = people.joints[found].astype(np.float64), people.scores[found] > 0
    shared = seen & known
    # the larger of both: of somebody half hidden little is known but that he is larger
    size = np.maximum(_sizes(before[None], known[None]), _sizes(now, seen))
    moved = np.sqrt(((now - before) ** 2).sum(axis=-1))
    common = shared.sum(axis=1)
    mean = np.where(shared, moved, 0).sum(axis=1) / np.maximum(common, 1)
    return np.where((common > 0) & (size > 0), mean / np.maximum(size, 1e-12), np.inf)


def _sizes(
    joints: Float[np.ndarray, "people v c"], seen: Bool[np.ndarray, "people v"]
) -> Float[np.ndarray, " people"]:
    """The longest side of the box around each person's joints."""
    highest = np.where(seen[..., None], joints, -np.inf).max(axis=1)
    lowest = np.where(seen[..., None], joints, np.inf).min(axis=1)
    return (highest - lowest).max(axis=-1)
