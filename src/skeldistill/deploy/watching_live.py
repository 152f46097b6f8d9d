"""Live: what is done now, told and drawn while it goes on."""

from collections import deque
from collections.abc import Callable

import numpy as np
from jaxtyping import Float64

from skeldistill.deploy.following import Moment
from skeldistill.deploy.predict import Action, Rules, Seen
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.deploy.segments import Hysteresis, Segment, Segmenter, Stretch
from skeldistill.deploy.serve_engines import Streamed, age
from skeldistill.readers.tracking import PATIENCE


class FrameByFrame:
    """Watches frames with a network that runs frame by frame; the counterpart of `Watching`.

    The network pools over the last `Rules.window`, and what it says with every frame takes the
    place of what it says of a window. As there it is about the middle: the frame of `delay` and
    half a window ago, and at the start the middle of those that there are. When somebody leaves,
    or no frame follows, it is told of the frames that are left. A frame is prepared as the newest
    of those so far, so what is said is near to, not the same as, what is said of windows.

    Args:
        recogniser: whose network can run frame by frame.
        rules: the window, and when an action begins and ends.
        seen: where the frames come from.
        listen: told what the network says with each frame, and of whom (None: of everybody).

    Raises:
        ValueError: the network, or the way in which its clips are prepared, needs whole clips.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        rules: Rules,
        seen: Seen,
        *,
        listen: Callable[[int | None, Stretch], None] = lambda who, stretch: None,
    ) -> None:
        self._recogniser, self._hysteresis, self._seen = recogniser, rules.hysteresis, seen
        self._listen = listen
        seconds = rules.window.at(seen.rate) / seen.rate
        try:
            self._streamed = Streamed(recogniser, seconds, converting=rules.converting)
        except ValueError as error:
            raise ValueError(
                f"--live runs a network frame by frame, which this cannot: {error}; leave --live "
                "away, then it is shown windows of frames"
            ) from None
        self._segmenters: dict[int | None, Segmenter] = {}
        self._there: dict[int | None, tuple[Moment, Moment]] = {}  # first and last seen
        self._told: dict[int | None, Stretch] = {}  # the last
        self._moments: deque[Moment] = deque()  # since the first that may be told of now

    def push(self, moment: Moment) -> list[Action]:
        """The next frame; what has become certain with it."""
        here = {None, *moment.people} if moment.people else set()
        gone = [who for who in self._streamed.gone(moment.time) if who not in here]
        found = [action for who in gone for action in self._leave(who)]
        told = self._streamed.push(moment, self._seen.layout, self._seen.size)
        self._moments.append(moment)
        while len(self._moments) > 1 and age(self._moments[1], moment) >= self._streamed.late:
            self._moments.popleft()
        for who in self._streamed.seen(moment.time):
            first, _ = self._there.get(who, (moment, moment))
            self._there[who] = (first, moment)
        for who, (probabilities, _) in told.items():
            stretch = self._upto(who, self._middle(who, moment), probabilities)
            if stretch is not None:
                self._listen(who, stretch)
                found += self._push(who, stretch)
        return found

    def finish(self) -> list[Action]:
        """No frame follows: what is still going on ends."""
        return [action for who in list(self._there) for action in self._leave(who)]

    def _middle(self, who: int | None, moment: Moment) -> Moment:
        """The frame in the middle of those of which the network speaks with this one."""
        time = self._streamed.middle(who, moment.time)
        near = (one for one in reversed(self._moments) if age(one, moment) >= moment.time - time)
        return next(near, self._moments[0])

    def _upto(
        self, who: int | None, moment: Moment, probabilities: Float64[np.ndarray, " k"]
    ) -> Stretch | None:
        """What is said of somebody's frames since those already told of; None if there is none."""
        before, (first, _) = self._told.get(who), self._there[who]
        number = first.number if before is None else before.last + 1
        if moment.number < number:
            return None
        return Stretch(
            first=number,
            last=moment.number,
            start=first.time if before is None else before.end,
            end=moment.time + 1 / self._seen.rate,
            probabilities=probabilities,
        )

    def _push(self, who: int | None, stretch: Stretch) -> list[Action]:
        self._told[who] = stretch
        segmenter = self._segmenters.setdefault(who, Segmenter(self._hysteresis))
        return [self._action(who, one) for one in segmenter.push(stretch)]

    def _leave(self, who: int | None) -> list[Action]:
        _, last = self._there[who]
        rest = self._upto(who, last, self._streamed.finish(who))
        found = self._push(who, rest) if rest is not None else []
        del self._there[who]
        self._told.pop(who, None)
        segmenter = self._segmenters.pop(who, None)
        return found + [self._action(who, one) for one in (segmenter.finish() if segmenter else ())]

    def _action(self, who: int | None, segment: Segment) -> Action:
        labels = self._recogniser.labels
        return Action.of(segment, source=self._seen.name, person=who, labels=labels)


class Now:
    """What everybody does now, by what the network said last: for an overlay drawn meanwhile.

    An action is shown from where its probability reaches `enter` until it falls below `leave`. It
    is not averaged and none is too short, since nobody knows yet what follows. Who has left is
    forgotten once nobody who comes back would be taken for them.
    """

    def __init__(self, recogniser: Recogniser, hysteresis: Hysteresis, seen: Seen) -> None:
        self._recogniser, self._hysteresis, self._seen = recogniser, hysteresis, seen
        self._doing: dict[int | None, tuple[int, Stretch]] = {}
        self._last: dict[int | None, int] = {}  # the frame in which somebody was seen last

    def hear(self, who: int | None, stretch: Stretch) -> None:
        """What the network says of somebody (None: of everybody)."""
        said, going = stretch.probabilities, self._doing.pop(who, None)
        best = int(said.argmax())
        if said[best] >= self._hysteresis.enter and said[best] > 0:
            self._doing[who] = (best, stretch)
        elif going is not None and said[going[0]] >= self._hysteresis.leave:
            self._doing[who] = (going[0], stretch)

    def shown(self, moment: Moment) -> list[Action]:
        """What those who are in a frame do, as an overlay draws it."""
        people = {None, *moment.people} if moment.people else set()
        self._last |= dict.fromkeys(people, moment.number)
        near = {who: last for who, last in self._last.items() if moment.number - last <= PATIENCE}
        self._last = near
        self._doing = {who: doing for who, doing in self._doing.items() if who in near}
        return [
            Action(
                source=self._seen.name,
                person=who,
                label=self._recogniser.labels[label],
                confidence=float(stretch.probabilities[label]),
                start=stretch.start,
                end=moment.time,
                first_frame=stretch.first,
                last_frame=moment.number,
            )
            for who, (label, stretch) in self._doing.items()
            if who in people
        ]
