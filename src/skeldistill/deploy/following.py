"""Following: who is who from frame to frame, as the frames come."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from skeldistill.readers.tracking import MOST_PEOPLE, PATIENCE, People, link


@dataclass(frozen=True, kw_only=True, eq=False)
class Pose:
    """One person in one frame: joints ``(v, c)``, and scores ``(v,)`` of which 0 is lost."""

    joints: Float32[np.ndarray, "v c"]
    scores: Float32[np.ndarray, " v"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Moment:
    """One frame: its number, its time in seconds, and who is in it, by the person's number.

    tracked: the numbers are those of tracks, in order of appearance; else they are the places that
    the clip has the persons in, as training shows them.
    """

    number: int
    time: float
    people: Mapping[int, Pose]
    tracked: bool = True


class Following:
    """Gives everybody in a video a number that stays, counted from 0 in order of appearance.

    Follows as `skeldistill.readers.tracking.link` does, but with memory of one pose a person.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[Pose, int]] = {}
        self._next = self._before = 0

    def step(self, number: int, time: float, found: People) -> Moment:
        """The next frame, with the people that an estimator found in it."""
        # of a camera many frames may be left out: who was in the last one was not away
        since = min(number - PATIENCE, self._before)
        self._before = number
        near = {who: one for who, one in self._known.items() if one[1] >= since}
        # those seen last come last; of too many, the others are let go
        known = sorted(near, key=lambda who: near[who][1])[-MOST_PEOPLE:]
        self._known = {who: near[who] for who in known}
        people: dict[int, Pose] = {}
        for track in link([self._remembered(known, found), People(found.joints, found.scores)]):
            if track.frames[-1] == 0:
                continue  # known, and not seen now
            place = track.places[-1]
            who = known[track.places[0]] if len(track.places) == 2 else self._new()
            people[who] = Pose(
                joints=found.joints[place].astype(np.float32),
                scores=found.scores[place].astype(np.float32),
            )
        for who, pose in people.items():
            self._known[who] = (pose, number)
        return Moment(number=number, time=time, people=people)

    def _new(self) -> int:
        who, self._next = self._next, self._next + 1
        return who

    def _remembered(self, known: list[int], like: People) -> People:
        """Where everybody was last."""
        if not known:
            return People(like.joints[:0], like.scores[:0])
        poses = [self._known[who][0] for who in known]
        return People(
            np.stack([pose.joints for pose in poses]), np.stack([pose.scores for pose in poses])
        )
