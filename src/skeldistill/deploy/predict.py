"""Prediction: from skeletons frame by frame to who does what from when to when."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from skeldistill.clip import Clip
from skeldistill.deploy.following import Moment
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.deploy.segments import Hysteresis, Segment, Segmenter, Stretch
from skeldistill.deploy.windows import (
    MOST_FRAMES,
    Sliding,
    Span,
    TimedWindows,
    Window,
    Windows,
    alone,
    clip_of,
    surest,
)
from skeldistill.layouts import Layout
from skeldistill.readers.tracking import PATIENCE

BATCH = 16
"""Windows that are recognised at once where nobody waits for them."""


@dataclass(frozen=True, kw_only=True)
class Action:
    """What was recognised: a line of the output.

    source: the clip's or video's name. person: counted from 0 in order of appearance; None where
    the network looks at everybody at once. label: None where nobody was to be seen. confidence: 0
    to 1. start, end: seconds. first_frame, last_frame: both included.
    """

    source: str
    person: int | None
    label: str | None
    confidence: float
    start: float
    end: float
    first_frame: int
    last_frame: int

    @classmethod
    def of(
        cls, segment: Segment, *, source: str, person: int | None, labels: Sequence[str]
    ) -> "Action":
        """A segment of somebody in a source, its label by name."""
        return cls(
            source=source,
            person=person,
            label=labels[segment.label],
            confidence=segment.confidence,
            start=segment.start,
            end=segment.end,
            first_frame=segment.first,
            last_frame=segment.last,
        )


@dataclass(frozen=True, kw_only=True)
class Rules:
    """How actions are found in what has not been cut to one action.

    window: what the network is shown at once. stride: how far the next one is; None: a quarter of
    the window. hysteresis: when an action begins and ends. converting: joints of another layout
    are converted where that is well defined.

    Raises:
        ValueError: at any rate frames would be left out.
    """

    window: Span
    stride: Span | None = None
    hysteresis: Hysteresis = field(default_factory=Hysteresis)
    converting: bool = False

    def __post_init__(self) -> None:
        window, stride = self.window, self.stride
        if stride is None or stride.seconds != window.seconds:
            return  # what it is in frames depends on the rate
        if stride.length > window.length:
            unit = "seconds" if window.seconds else "frames"
            raise ValueError(
                f"a stride of {stride.length:g} {unit} must be no longer than the window, which "
                f"is {window.length:g}"
            )

    def sliding(self, rate: float) -> Sliding:
        """The windows at so many frames per second."""
        length = self.window.at(rate)
        stride = max(1, length // 4) if self.stride is None else self.stride.at(rate)
        return Sliding(length=length, stride=stride)

    def windows(self, seen: "Seen") -> Windows | TimedWindows:
        """What slides over the frames of somebody.

        A camera's rate is claimed, or none is, and some of its frames are left out: windows that
        are asked for in seconds go by the times of its frames.
        """
        sliding = self.sliding(seen.rate)
        if not (seen.live and self.window.seconds):
            return Windows(sliding)
        seconds, stride = self.window.length, self.stride
        if stride is None:
            return TimedWindows(seconds, seconds / 4)
        return TimedWindows(seconds, stride.length / (1 if stride.seconds else seen.rate))


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """What is known of the skeletons of a clip or video before its frames come.

    name: of the clip. layout: of its joints. size: (height, width) in pixels, where it is known.
    rate: frames per second. aspect: how much broader than high a pixel is meant to be shown. live:
    whether it is a camera, whose frames have the times at which they came.
    """

    name: str
    layout: Layout
    size: tuple[int, int] | None
    rate: float
    aspect: float = 1.0
    live: bool = False


class Watching:
    """Watches the frames of one clip or video, and names actions as soon as they are certain.

    A network for one person is asked about everybody on their own; one for several looks at the
    surest of them together, as in its training.

    Args:
        recogniser: names what is in a window.
        rules: windows and thresholds.
        seen: where the frames come from.
        batch: windows that are recognised at once; 1 where somebody waits for them.
        listen: told what the network says of each stretch, and of whom (None: of everybody).
    """

    def __init__(
        self,
        recogniser: Recogniser,
        rules: Rules,
        seen: Seen,
        *,
        batch: int = BATCH,
        listen: Callable[[int | None, Stretch], None] = lambda who, stretch: None,
    ) -> None:
        self._listen = listen
        self._recogniser, self._rules, self._seen, self._batch = recogniser, rules, seen, batch
        rules.windows(seen)  # says what is wrong before the first frame
        self._together = recogniser.sampling.persons > 1
        self._subjects: dict[int | None, _Subject] = {}
        self._asked: list[tuple[_Subject, Window]] = []
        self._last: Moment | None = None

    def push(self, moment: Moment) -> list[Action]:
        """The next frame; what has become certain with it."""
        self._last = moment
        for who in [None] if self._together else list(moment.people):
            if who not in self._subjects:
                windows = self._rules.windows(self._seen)
                self._subjects[who] = _Subject(who, windows, self._rules.hysteresis)
        found = []
        for who, subject in list(self._subjects.items()):
            subject.push(moment if who is None else alone(moment, who), self._asked)
            if subject.gone:
                found += self._leave(who, moment.time)
        if len(self._asked) >= self._batch:
            found += self._ask()
        return found

    def finish(self) -> list[Action]:
        """No frame follows: what is still going on ends."""
        if self._last is None:
            return []
        end = self._last.time + 1 / self._seen.rate
        return [action for who in list(self._subjects) for action in self._leave(who, end)]

    def _leave(self, who: int | None, end: float) -> list[Action]:
        subject = self._subjects.pop(who)
        subject.finish(end, self._asked)
        found = self._ask()
        return found + [self._action(subject, one) for one in subject.segmenter.finish()]

    def _ask(self) -> list[Action]:
        """What the network says of the windows that wait."""
        asked, self._asked = self._asked, []
        clips = [
            window.clip(self._seen.name, self._seen.layout, self._seen.size)
            for _, window in asked
            if not window.empty
        ]
        said = iter(_probabilities(self._recogniser, clips, self._rules.converting))
        nothing = np.zeros(self._recogniser.network.classes)  # of a window without anybody
        found = []
        for subject, window in asked:
            stretch = Stretch(
                first=window.first,
                last=window.last,
                start=window.start,
                end=window.end,
                probabilities=nothing if window.empty else next(said),
            )
            self._listen(subject.who, stretch)
            found += [self._action(subject, one) for one in subject.segmenter.push(stretch)]
        return found

    def _action(self, subject: "_Subject", segment: Segment) -> Action:
        labels = self._recogniser.labels
        return Action.of(segment, source=self._seen.name, person=subject.who, labels=labels)


class _Subject:
    """One person, or everybody: the windows over them and the segments that come of it."""

    def __init__(
        self, who: int | None, windows: Windows | TimedWindows, hysteresis: Hysteresis
    ) -> None:
        self.who = who
        self.segmenter = Segmenter(hysteresis)
        self._windows = windows
        self._unseen: list[Moment] = []  # they count only if somebody comes back
        self._begun = False

    @property
    def gone(self) -> bool:
        """Whether who comes back now begins anew."""
        if not self._unseen:
            return False
        # counted in frames of the camera, as in `Following`: some of them may be left out
        return self._unseen[-1].number - self._unseen[0].number + 1 >= PATIENCE

    def push(self, moment: Moment, asked: list[tuple["_Subject", Window]]) -> None:
        """The next frame; windows that are ready join those that wait for the network."""
        if not moment.people:
            if self._begun:
                self._unseen.append(moment)
            return
        self._begun = True
        for one in (*self._unseen, moment):
            asked += [(self, window) for window in self._windows.push(one)]
        self._unseen.clear()

    def finish(self, end: float, asked: list[tuple["_Subject", Window]]) -> None:
        """Who was not seen at the end was gone by then."""
        end = self._unseen[0].time if self._unseen else end
        asked += [(self, window) for window in self._windows.finish(end)]


def actions(
    recogniser: Recogniser,
    moments: Iterable[Moment],
    rules: Rules,
    seen: Seen,
    *,
    batch: int = BATCH,
) -> Iterator[Action]:
    """The actions in the frames of a clip or video, each as soon as it is certain.

    Raises:
        ValueError: the joints are not those that the network was trained on.
    """
    watching = Watching(recogniser, rules, seen, batch=batch)
    for moment in moments:
        yield from watching.push(moment)
    yield from watching.finish()


def trimmed(
    recogniser: Recogniser,
    clip: Clip,
    times: Sequence[float],
    *,
    rate: float,
    converting: bool = False,
) -> Action:
    """The one action of a clip that has been cut to it: from its first frame to after its last.

    Raises:
        ValueError: the joints are not those that the network was trained on.
    """
    label, confidence = None, 0.0
    if clip.scores.any():
        named = recogniser.recognise(clip, converting=converting)
        label, confidence = named.label, named.confidence
    return Action(
        source=clip.id,
        person=None,
        label=label,
        confidence=confidence,
        start=times[0],
        end=times[-1] + 1 / rate,
        first_frame=0,
        last_frame=clip.num_frames - 1,
    )


def gathered(moments: Iterable[Moment], persons: int, seen: Seen) -> Clip:
    """All frames of a video as one clip, with its surest persons.

    Raises:
        ValueError: there are too many frames.
    """
    kept: list[Moment] = []
    for moment in moments:
        kept.append(moment)
        if len(kept) > MOST_FRAMES:
            raise ValueError(
                f"{seen.name}: more than {MOST_FRAMES} frames are no trimmed clip; "
                "predict without --whole"
            )
    people = surest(kept, persons)
    if people:
        return clip_of(kept, people, seen.name, seen.layout, seen.size)
    nobody = np.zeros((1, max(1, len(kept)), seen.layout.num_joints, 2), np.float32)
    return Clip(id=seen.name, joints=nobody, layout=seen.layout, size=seen.size)


def _probabilities(
    recogniser: Recogniser, clips: Sequence[Clip], converting: bool
) -> list[np.ndarray]:
    if not clips:
        return []
    logits = recogniser.logits(clips, converting=converting)
    return [recogniser.named(row).probabilities for row in logits]
