"""Engines: how a network is asked about a camera's frames, by windows of them or one by one."""

from collections import deque
from copy import copy
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float64

from skeldistill.clip import Clip
from skeldistill.deploy.following import Moment
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.deploy.sources import RATE
from skeldistill.deploy.streaming import Stream
from skeldistill.deploy.windows import alone, as_trained, clip_of, surest
from skeldistill.layouts import Layout
from skeldistill.networks.through_time import ENDLESS
from skeldistill.readers.tracking import PATIENCE

MOST_PEOPLE = 4
"""Whose actions a page tells, the surest; everybody is drawn."""

Told = dict[int | None, tuple[Float64[np.ndarray, " k"], float]]
"""Of everybody (None: of all together): probabilities, and how much of a window was seen."""


class Windowed:
    """Shows a network the last seconds as one clip, prepared exactly as in training."""

    def __init__(self, recogniser: Recogniser, seconds: float, *, converting: bool) -> None:
        self._recogniser, self._seconds, self._converting = recogniser, seconds, converting
        self._moments: deque[Moment] = deque()

    def push(self, moment: Moment, layout: Layout, size: tuple[int, int] | None) -> Told:
        """The newest frame; what is seen in the last seconds."""
        self._moments.append(moment)
        # the frame at its beginning stays, so that the frames of a slow camera fill a window too
        while len(self._moments) > 1 and age(self._moments[1], moment) >= self._seconds:
            self._moments.popleft()
        together = self._recogniser.sampling.persons > 1
        clips: dict[int | None, Clip] = {}
        shares: dict[int | None, float] = {}
        there = [who for who in surest(self._moments) if who in moment.people]
        for who in [None] if together and there else there[:MOST_PEOPLE]:
            past = [one if who is None else alone(one, who) for one in self._moments]
            first = next(i for i, one in enumerate(past) if one.people)
            people = as_trained(past, surest(past)) if who is None else [who]
            clips[who] = clip_of(past[first:], people, "live", layout, size)
            shares[who] = min(1.0, age(past[first], moment) / (0.9 * self._seconds))
        if not clips:
            return {}
        logits = self._recogniser.logits(list(clips.values()), converting=self._converting)
        return {
            who: (self._recogniser.named(row).probabilities, shares[who])
            for who, row in zip(clips, logits, strict=True)
        }


class Streamed:
    """Runs a network frame by frame, at the rate at which it saw its training clips.

    Each frame is prepared as the newest one of a clip: what is centred and scaled by the whole
    clip in training, is so by the last frames here. So what is said is near to, not the same as,
    what a network says of the clip.

    Args:
        recogniser: whose network can run frame by frame.
        seconds: of what it pools over.
        converting: joints of another layout are converted.
        most: of so many people it is told at the same time what they do, those who came first;
            None: of all.

    Raises:
        ValueError: the network cannot run frame by frame, would tell of what is long over, or
            never forgets.
    """

    def __init__(
        self, recogniser: Recogniser, seconds: float, *, converting: bool, most: int | None = None
    ) -> None:
        sampling = recogniser.sampling
        if sampling.frame_choice not in ("uniform", "resize") or "velocity" in sampling.stream:
            raise ValueError("these frames cannot be prepared before the next one is there")
        self._stream = Stream(recogniser.network, sampling.frames, features=False)
        if self._stream.receptive_field == ENDLESS:
            raise ValueError(
                "it remembers all since somebody came, which is longer than clips of its training"
            )
        late = self._stream.delay
        if late > sampling.frames:
            raise ValueError(
                f"it speaks {late} frames late but looks at {sampling.frames} at once; train it "
                f"with sampling.frames of {late} or more"
            )
        # of several choices of frames, "resize" mixes the newest with the one before
        once = sampling.model_copy(update={"test_clips": 1})
        self._recogniser = replace(recogniser, sampling=once)
        self._converting, self._most = converting, most
        self._seconds, self._rate = seconds, sampling.frames / seconds
        self._streams: dict[int | None, _Row] = {}

    def push(self, moment: Moment, layout: Layout, size: tuple[int, int] | None) -> Told:
        """The newest frame; what is known by now."""
        for who in self._new(moment):
            self._streams[who] = _Row(self._recogniser, self._stream, moment.time)
        told: Told = {}
        for who, row in self._streams.items():
            one = moment if who is None else alone(moment, who)
            row.push(one, self._rate, layout, size, self._converting)
            if one.people and row.logits is not None:
                told[who] = (self._recogniser.named(row.logits).probabilities, row.share)
        for who in self.gone(moment.time):
            del self._streams[who]
        return told

    @property
    def late(self) -> float:
        """So many seconds after a frame, at most, the network speaks of those around it."""
        return self._stream.delay / self._rate + self._seconds / 2

    def middle(self, who: int | None, now: float) -> float:
        """The time in the middle of the frames of which the network speaks now."""
        end = now - self._stream.delay / self._rate
        return (max(self._streams[who].begun, end - self._seconds) + end) / 2

    def seen(self, now: float) -> list[int | None]:
        """Who was in the frame of this moment."""
        return [who for who, row in self._streams.items() if row.last == now]

    def gone(self, now: float) -> list[int | None]:
        """Who has not been seen for too long, so that a new stream begins with the next frame."""
        return [who for who, row in self._streams.items() if now - row.last > PATIENCE / RATE]

    def finish(self, who: int | None) -> Float64[np.ndarray, " k"]:
        """End somebody's stream: what the network says at its very end."""
        return self._recogniser.named(self._streams.pop(who).finish()).probabilities

    def _new(self, moment: Moment) -> list[int | None]:
        """Of whom a stream begins with this frame: all together, or the surest who came."""
        if self._recogniser.sampling.persons > 1:
            return [None] if moment.people and None not in self._streams else []
        new = [who for who in surest([moment]) if who not in self._streams]
        return [*new[: None if self._most is None else max(0, self._most - len(self._streams))]]


class _Row:
    """One person's stream, or that of everybody together."""

    def __init__(self, recogniser: Recogniser, stream: Stream, time: float) -> None:
        self._recogniser = recogniser
        self._stream = copy(stream)  # the weights are shared; nothing was ever pushed there
        self._stream.reset()
        self._past: deque[Moment] = deque(maxlen=recogniser.sampling.frames)
        self._places: list[int | None] = [None] * recogniser.sampling.persons
        self._unseen: list[Moment] = []  # they count only if somebody comes back
        self.begun, self._done = time, 0
        self.last = time
        self.logits: np.ndarray | None = None

    @property
    def share(self) -> float:
        """Of the first frames and the delay, how much is over."""
        return min(1.0, self._done / (self._past.maxlen or 1))

    def push(
        self,
        moment: Moment,
        rate: float,
        layout: Layout,
        size: tuple[int, int] | None,
        converting: bool,
    ) -> None:
        """Go on to a frame, at so many frames a second, with the same one again if it came late."""
        if not moment.people:
            self._unseen.append(moment)
            return
        self.last = moment.time
        for one in (*self._unseen, moment):
            # times are sums of fractions: a frame that is due now must not seem a hair too early
            due = int((one.time - self.begun) * rate + 1e-6) + 1 - self._done
            self._done += due
            for _ in range(min(due, self._past.maxlen or 1)):
                self._past.append(one)
                self._step(layout, size, converting)
        self._unseen.clear()

    def finish(self) -> np.ndarray:
        """The logits once no frame follows."""
        return self._stream.finish().logits[0].cpu().numpy()

    def _step(self, layout: Layout, size: tuple[int, int] | None, converting: bool) -> None:
        """Show the network the newest frame."""
        self._seat()
        network = self._recogniser.network
        seen = np.zeros((1, network.persons, network.layout.num_joints, network.channels))
        if any(who is not None for who in self._places):
            clip = clip_of(self._past, self._places, "live", layout, size)
            seen = next(self._recogniser.shown([clip], converting=converting))[:, :, -1]
        frame = torch.from_numpy(seen.astype(np.float32)).to(self._recogniser.device)
        said = self._stream.push(frame)
        if said is not None:
            self.logits = said.logits[0].cpu().numpy()

    def _seat(self) -> None:
        """Who has a place keeps it as long as the past has them: a layer remembers by places."""
        there = surest(self._past)
        self._places = [who if who in there else None for who in self._places]
        new = [who for who in there if who not in self._places][: self._places.count(None)]
        waiting = iter(as_trained(self._past, new))
        self._places = [next(waiting, None) if who is None else who for who in self._places]
        if self._places[0] is None:  # clips are centred on the first
            at = next((i for i, who in enumerate(self._places) if who is not None), 0)
            self._places[0], self._places[at] = self._places[at], None


Engine = Windowed | Streamed


def engine(recogniser: Recogniser, seconds: float, *, converting: bool) -> Engine:
    """Frame by frame where the network can and its delay is worth it, else windows of frames."""
    try:
        return Streamed(recogniser, seconds, converting=converting, most=MOST_PEOPLE)
    except ValueError:
        return Windowed(recogniser, seconds, converting=converting)


def age(past: Moment, now: Moment) -> float:
    """Seconds since a frame. Times are sums of fractions: it must not seem a hair too young."""
    return now.time - past.time + 1e-6
