"""Segments: from what is said of overlapping windows to who did what from when to when."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, kw_only=True, eq=False)
class Stretch:
    """A stretch of time, and what the window in whose middle it lies says of it.

    first, last: frames, both included. start, end: seconds. probabilities: of all actions,
    ``(k,)``; all 0 where nobody is to be seen, and so nothing goes on.
    """

    first: int
    last: int
    start: float
    end: float
    probabilities: Float64[np.ndarray, " k"]


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One action from when to when.

    label: the action's place among the classes. confidence: its mean probability. first, last:
    frames, both included. start, end: seconds. windows: how many said so.
    """

    label: int
    confidence: float
    first: int
    last: int
    start: float
    end: float
    windows: int = 1


@dataclass(frozen=True, kw_only=True)
class Hysteresis:
    """When an action begins and when it is over.

    Args:
        enter: an action begins where its probability reaches this.
        leave: it goes on as long as its probability is not below this; at most `enter`.
        shortest: seconds; what lasts less is left out, and as short a gap in one action is closed.
        smoothing: windows, an odd number, over which probabilities are averaged; 1: none.

    Raises:
        ValueError: one of them is out of range.
    """

    enter: float = 0.5
    leave: float = 0.35
    shortest: float = 0.0
    smoothing: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.leave <= self.enter <= 1:
            raise ValueError(
                f"an action is left at {self.leave} and entered at {self.enter}; probabilities "
                "with 0 <= leave <= enter <= 1 are needed"
            )
        if not 0 <= self.shortest < float("inf"):
            raise ValueError(f"the shortest segment is {self.shortest} s; give 0 or more")
        if self.smoothing < 1 or self.smoothing % 2 == 0:
            raise ValueError(f"smoothing is over {self.smoothing} windows; give an odd number")


class Segmenter:
    """Turns stretches into segments as they come, in order, with memory of a few stretches.

    Each call gives the segments that have become final.
    """

    def __init__(self, hysteresis: Hysteresis) -> None:
        self.hysteresis = hysteresis
        self._around: deque[Stretch] = deque(maxlen=hysteresis.smoothing)
        self._unsaid = 0  # of those around, how many at the end were not judged yet
        self._current: Segment | None = None
        self._held: Segment | None = None  # over and long enough, but it may yet be gone on with

    def push(self, stretch: Stretch) -> list[Segment]:
        """Go on by one stretch."""
        self._around.append(stretch)
        self._unsaid += 1
        if self._unsaid <= self.hysteresis.smoothing // 2:
            return []
        return self._judge()

    def finish(self) -> list[Segment]:
        """No stretch will follow: what is still open ends."""
        final = []
        while self._unsaid:
            final += self._judge()
        final += self._close()
        if self._held is not None:
            final.append(self._held)
        self._current = self._held = None
        self._around.clear()
        return final

    def _judge(self) -> list[Segment]:
        """Decide about the first stretch that was not judged yet."""
        around = list(self._around)
        place = len(around) - self._unsaid
        reach = self.hysteresis.smoothing // 2
        near = around[max(0, place - reach) : place + reach + 1]
        said = np.mean([stretch.probabilities for stretch in near], axis=0)
        self._unsaid -= 1
        return self._go_on(around[place], said)

    def _go_on(self, stretch: Stretch, said: Float64[np.ndarray, " k"]) -> list[Segment]:
        best = int(said.argmax())
        somebody = bool(said[best] > 0)
        entered = somebody and float(said[best]) >= self.hysteresis.enter
        current = self._current
        if current is not None and somebody:
            stays = float(said[current.label]) >= self.hysteresis.leave
            if stays and not (entered and best != current.label):
                self._current = _joined(current, _segment(stretch, current.label, said))
                return self._release(stretch.end)
        final = self._close()
        if entered:
            self._current = _segment(stretch, best, said)
        return final + self._release(stretch.end)

    def _close(self) -> list[Segment]:
        """End the current segment; it is dropped, joined to the one held, or held in its place."""
        current, self._current = self._current, None
        if current is None or current.end - current.start < self.hysteresis.shortest:
            return []
        held, self._held = self._held, current
        if held is None:
            return []
        if self._continues(held, current):
            self._held = _joined(held, current)
            return []
        return [held]

    def _release(self, now: float) -> list[Segment]:
        """Give the held segment away once nothing can go on with it."""
        held, current = self._held, self._current
        if held is None:
            return []
        since = now if current is None else current.start
        over = since - held.end >= self.hysteresis.shortest and since > held.end
        if current is not None and current.label != held.label:
            over = over or current.end - current.start >= self.hysteresis.shortest
        if not over:
            return []
        self._held = None
        return [held]

    def _continues(self, held: Segment, current: Segment) -> bool:
        gap = current.start - held.end
        return held.label == current.label and (gap < self.hysteresis.shortest or gap <= 0)


def segments(stretches: Iterable[Stretch], hysteresis: Hysteresis) -> Iterator[Segment]:
    """The segments of successive stretches, in order; they never overlap."""
    segmenter = Segmenter(hysteresis)
    for stretch in stretches:
        yield from segmenter.push(stretch)
    yield from segmenter.finish()


def _segment(stretch: Stretch, label: int, said: Float64[np.ndarray, " k"]) -> Segment:
    return Segment(
        label=label,
        confidence=float(said[label]),
        first=stretch.first,
        last=stretch.last,
        start=stretch.start,
        end=stretch.end,
    )


def _joined(before: Segment, after: Segment) -> Segment:
    windows = before.windows + after.windows
    summed = before.confidence * before.windows + after.confidence * after.windows
    return replace(
        before, confidence=summed / windows, last=after.last, end=after.end, windows=windows
    )
