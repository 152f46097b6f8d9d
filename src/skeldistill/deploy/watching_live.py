"""Live: what is done now, told and drawn while it goes on."""

from collections.abc import Callable

from skeldistill.deploy.following import Moment
from skeldistill.deploy.predict import Action, Rules, Seen
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.deploy.segments import Hysteresis, Segment, Segmenter, Stretch
from skeldistill.deploy.serve_engines import Streamed
from skeldistill.deploy.sources import RATE
from skeldistill.readers.tracking import PATIENCE


class FrameByFrame:
    """Watches frames with a network that runs frame by frame; the counterpart of `Watching`.

    The network pools over the last `Rules.window`, and what it says with every frame, `delay`
    frames late, takes the place of what it says of a window. A frame is prepared as the newest of
    those so far, so what is said is near to, not the same as, what is said of whole windows.

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
        self._last: dict[int | None, float] = {}

    def push(self, moment: Moment) -> list[Action]:
        """The next frame; what has become certain with it."""
        found: list[Action] = []
        told = self._streamed.push(moment, self._seen.layout, self._seen.size)
        for who, (probabilities, _) in told.items():
            segmenter = self._segmenters.setdefault(who, Segmenter(self._hysteresis))
            stretch = Stretch(
                first=moment.number,
                last=moment.number,
                start=moment.time,
                end=moment.time + 1 / self._seen.rate,
                probabilities=probabilities,
            )
            self._listen(who, stretch)
            self._last[who] = moment.time
            found += [self._action(who, one) for one in segmenter.push(stretch)]
        for who, last in list(self._last.items()):
            if moment.time - last > PATIENCE / RATE:  # the stream forgets them then, too
                found += self._leave(who)
        return found

    def finish(self) -> list[Action]:
        """No frame follows: what is still going on ends."""
        return [action for who in list(self._segmenters) for action in self._leave(who)]

    def _leave(self, who: int | None) -> list[Action]:
        del self._last[who]
        return [self._action(who, one) for one in self._segmenters.pop(who).finish()]

    def _action(self, who: int | None, segment: Segment) -> Action:
        labels = self._recogniser.labels
        return Action.of(segment, source=self._seen.name, person=who, labels=labels)


class Now:
    """What everybody does now, by what the network said last: for an overlay drawn meanwhile.

    An action is shown from where its probability reaches `enter` until it falls below `leave`. It
    is not averaged and none is too short, since nobody knows yet what follows.
    """

    def __init__(self, recogniser: Recogniser, hysteresis: Hysteresis, seen: Seen) -> None:
        self._recogniser, self._hysteresis, self._seen = recogniser, hysteresis, seen
        self._doing: dict[int | None, tuple[int, Stretch]] = {}

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
