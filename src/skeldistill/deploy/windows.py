"""Windows: what slides over the frames of one person, or of everybody, as they come."""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64

from skeldistill.clip import Clip
from skeldistill.deploy.following import Moment, Pose
from skeldistill.layouts import Layout

MOST_FRAMES = 108_000
"""An hour: a longer window, or clip, is a slip of the pen and would fill the memory."""

HAIR = 1e-6
"""Seconds by which a frame may seem too early: times are sums of fractions."""


@dataclass(frozen=True, kw_only=True)
class Span:
    """A time in frames, or in seconds.

    Raises:
        ValueError: it is no time, or none that fits into memory.
    """

    length: float
    seconds: bool

    def __post_init__(self) -> None:
        if not 0 < self.length <= MOST_FRAMES:
            unit = "seconds" if self.seconds else "frames"
            raise ValueError(
                f"{self.length:g} {unit} are no length; give more than 0, less than 1 h"
            )

    @classmethod
    def parse(cls, text: str) -> "Span":
        """From the command line: ``2s``, ``1.5`` (seconds too) or ``48f`` (frames)."""
        found = re.fullmatch(r"([0-9]+|[0-9]*\.[0-9]+)(s?)|([0-9]+)f", text.strip())
        if found is None:
            raise ValueError(f"{text!r} is no length; write seconds (2.5) or frames (48f)")
        return cls(length=float(found[1] or found[3]), seconds=found[3] is None)

    def at(self, rate: float) -> int:
        """As frames, `rate` of them a second; one at least."""
        frames = self.length * rate if self.seconds else self.length
        return max(1, round(frames))


@dataclass(frozen=True, kw_only=True)
class Sliding:
    """How long a window is and how far it moves, in frames.

    Raises:
        ValueError: frames would be left out, or a window is empty.
    """

    length: int
    stride: int

    def __post_init__(self) -> None:
        if self.length > MOST_FRAMES:
            raise ValueError(f"a window of {self.length} frames is too long; {MOST_FRAMES} at most")
        if not 1 <= self.stride <= self.length:
            raise ValueError(
                f"a window of {self.length} frames that moves by {self.stride} makes no sense; "
                "the stride must be at least 1 frame and no longer than the window"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class Window:
    """Some frames, and the stretch in their middle of which they tell.

    moments: all frames of the window. first, last: frames of the stretch, both included. start,
    end: its seconds, up to the next stretch.
    """

    moments: tuple[Moment, ...]
    first: int
    last: int
    start: float
    end: float

    @property
    def empty(self) -> bool:
        """Whether nobody is in it."""
        return not any(moment.people for moment in self.moments)

    def clip(self, name: str, layout: Layout, size: tuple[int, int] | None) -> Clip:
        """Everybody in the window, in the order of training, for a network to be shown."""
        people = as_trained(self.moments, surest(self.moments))
        return clip_of(self.moments, people, name, layout, size)


class Windows:
    """Slides a window over successive frames, of which it remembers one window.

    Stretches of successive windows touch: none overlaps, and together they are all frames. A
    window is given when the frame after it is known, since the last one tells of its end, too.
    """

    def __init__(self, sliding: Sliding) -> None:
        self._sliding = sliding
        self._moments: deque[Moment] = deque(maxlen=sliding.length)
        self._count = 0
        self._told = 0  # frames of which a window told already
        self._ready = False

    def push(self, moment: Moment) -> list[Window]:
        """Go on by one frame; the windows that are ready, one at most."""
        ready = []
        if self._ready:
            after = (self._sliding.stride - self._sliding.length) // 2  # frames before its end
            ready = [self._window(self._count + after, moment.time)]
        self._moments.append(moment)
        self._count += 1
        beyond = self._count - self._sliding.length
        self._ready = beyond >= 0 and beyond % self._sliding.stride == 0
        return ready

    def finish(self, end: float) -> list[Window]:
        """No frame follows the last, which ends at `end` seconds; what has not been told of yet."""
        self._ready = False
        return [self._window(self._count, end)] if self._told < self._count else []

    def _window(self, upto: int, end: float) -> Window:
        """The frames remembered, telling of those after the last stretch up to one of them."""
        moments = tuple(self._moments)
        before = self._count - len(moments)
        upto = min(max(upto, self._told + 1), self._count)
        first, last = moments[self._told - before], moments[upto - 1 - before]
        if upto < self._count:
            end = moments[upto - before].time
        self._told = upto
        return Window(
            moments=moments, first=first.number, last=last.number, start=first.time, end=end
        )


class TimedWindows:
    """Slides a window of seconds, for frames whose rate nobody knows: a camera's.

    As `Windows` otherwise, which gives the same at a steady rate. After a pause one window is
    given, not as many as fit into it.

    Args:
        seconds: the length of a window.
        stride: seconds to the next one, at most a window's.
    """

    def __init__(self, seconds: float, stride: float) -> None:
        self._seconds, self._stride = seconds, stride
        self._moments: deque[Moment] = deque()
        self._untold: deque[Moment] = deque()  # no window told of them yet
        self._due: float | None = None  # when the next window ends

    def push(self, moment: Moment) -> list[Window]:
        """Go on by one frame; the window that is ready, if one is."""
        self._forget(moment.time)
        now, ready = moment.time + HAIR, []
        if self._due is None:
            self._due = moment.time + self._seconds
        elif now >= self._due:
            middle = now - (self._seconds - self._stride) / 2
            upto = sum(one.time < middle - 2 * HAIR for one in self._untold)
            ready = [self._window(max(1, upto), moment.time)]
            self._due += self._stride * (1 + (now - self._due) // self._stride)
        self._moments.append(moment)
        self._untold.append(moment)
        return ready

    def finish(self, end: float) -> list[Window]:
        """No frame follows the last, which ends at `end` seconds; what has not been told of yet."""
        self._forget(end)
        return [self._window(len(self._untold), end)] if self._untold else []

    def _forget(self, end: float) -> None:
        """Keep the frames of a window that ends then, the last one at least."""
        while len(self._moments) > 1 and end - self._moments[0].time > self._seconds + HAIR:
            self._moments.popleft()

    def _window(self, upto: int, end: float) -> Window:
        """The frames remembered, telling of so many that no window told of."""
        told = [self._untold.popleft() for _ in range(upto)]
        return Window(
            moments=tuple(self._moments),
            first=told[0].number,
            last=told[-1].number,
            start=told[0].time,
            end=self._untold[0].time if self._untold else end,
        )


def clip_of(
    moments: Sequence[Moment],
    people: Sequence[int | None],
    name: str,
    layout: Layout,
    size: tuple[int, int] | None,
) -> Clip:
    """Some of the people in some frames, of whom one at least is in one of them, as a clip.

    None among the people is a place that stays empty.
    """
    shape = next(pose.joints.shape for one in moments for pose in one.people.values())
    joints = np.zeros((len(people), len(moments), *shape), np.float32)
    scores = np.zeros(joints.shape[:3], np.float32)
    for row, who in enumerate(people):
        for t, moment in enumerate(moments):
            if who is not None and who in moment.people:
                pose = moment.people[who]
                joints[row, t], scores[row, t] = pose.joints, pose.scores
    joints[scores == 0] = 0
    return Clip(id=name, joints=joints, scores=scores, layout=layout, size=size)


def surest(moments: Sequence[Moment], persons: int | None = None) -> list[int]:
    """The persons of the highest summed confidence, the surest first, as `tracking.surest`.

    All of them, unless it is said how many.
    """
    summed: dict[int, float] = {}
    for moment in moments:
        for who, pose in moment.people.items():
            summed[who] = summed.get(who, 0.0) + float(pose.scores.sum())
    return sorted(summed, key=lambda who: (-summed[who], who))[:persons]


def as_trained(moments: Sequence[Moment], people: Sequence[int]) -> list[int]:
    """Some persons, the surest first, in the order in which training shows such people.

    A store of videos has them the surest first (`tracking.surest`); skeletons of another source
    keep its order there, and so they do here.
    """
    return list(people) if any(one.tracked for one in moments) else sorted(people)


def alone(moment: Moment, who: int) -> Moment:
    """The same frame with one person, or nobody, in it."""
    kept = {who: moment.people[who]} if who in moment.people else {}
    return replace(moment, people=kept)


def moments_of(clip: Clip, times: Float64[np.ndarray, " t"]) -> Iterator[Moment]:
    """The frames of a clip, at some seconds; who has no joint in one is not in it."""
    there = np.any(clip.scores > 0, axis=2)
    for t in range(clip.num_frames):
        people = {
            int(who): Pose(joints=clip.joints[who, t], scores=clip.scores[who, t])
            for who in np.flatnonzero(there[:, t])
        }
        yield Moment(number=t, time=float(times[t]), people=people, tracked=False)
