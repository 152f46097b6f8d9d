"""Watching: a video or a clip, from its first frame to what every network says of it."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skeldistill.clip import Clip
from skeldistill.deploy import outputs, video
from skeldistill.deploy.following import Moment
from skeldistill.deploy.predict import Action, Rules, Seen, Watching, gathered
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.deploy.segments import Hysteresis, Stretch
from skeldistill.deploy.serve_answers import (
    Around,
    Body,
    Followed,
    Moving,
    Segment,
    Watched,
    said,
)
from skeldistill.deploy.serve_guard import Limits, Refused, Stop, in_one_line
from skeldistill.deploy.sources import Filmed
from skeldistill.deploy.windows import Span, moments_of
from skeldistill.estimators import Estimator
from skeldistill.estimators.at_work import AtWork
from skeldistill.layouts import Layout
from skeldistill.readers.reader import Source


@dataclass(frozen=True, kw_only=True, eq=False)
class Serving:
    """What is served: some networks, who finds people for them, and how actions are found.

    Args:
        models: the networks by name; the first one's layout is that of joints without a name.
        estimator: finds people in videos; None: only skeletons are taken.
        window: what a network sees at once; None: as long as its training clips were.
        hysteresis: when an action begins and ends.
        converting: joints of another layout are converted where that is well defined.
        limits: how much is taken.

    Raises:
        ValueError: there is no network, or one cannot take the estimator's joints.
    """

    models: Mapping[str, Recogniser]
    estimator: Estimator | None = None
    window: Span | None = None
    hysteresis: Hysteresis = field(default_factory=lambda: Hysteresis(shortest=0.5))
    converting: bool = False
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("nothing to serve; name a network at least")
        if self.estimator is not None:
            about = Source(layout=self.estimator.layout, channels=2, units="pixels")
            for name, recogniser in self.models.items():
                try:
                    recogniser.check(about, converting=self.converting)
                except ValueError as error:
                    raise ValueError(f"{name}: {error}") from None

    @property
    def layout(self) -> Layout:
        """That of joints whose layout nobody tells."""
        return next(iter(self.models.values())).layout

    def rules(self, recogniser: Recogniser) -> Rules:
        """How actions are found with a network."""
        return Rules(
            window=self.span(recogniser), hysteresis=self.hysteresis, converting=self.converting
        )

    def span(self, recogniser: Recogniser) -> Span:
        """What a network sees at once."""
        return self.window or recogniser.usual

    def check(
        self,
        layout: Layout,
        coordinates: int,
        size: tuple[int, int] | None,
        units: str | None = None,
    ) -> None:
        """Refuse skeletons that a network cannot take.

        Args:
            layout: of the joints.
            coordinates: of each.
            size: (height, width) of the picture.
            units: None: they are taken to be those of the network.

        Raises:
            Refused: the line names the network.
        """
        for name, recogniser in self.models.items():
            source = Source(
                layout=layout,
                channels=coordinates,
                units=recogniser.units if units is None else units,
            )
            try:
                recogniser.check(source, converting=self.converting)
            except ValueError as error:
                raise Refused(422, f"{name}: {error}") from None
            if recogniser.sampling.normalisation == "image" and size is None:
                raise Refused(422, f"{name} needs size, the (height, width) of the picture")


Tell = Callable[[float], None]
"""Told which share of the frames is done."""


def watch_clip(serving: Serving, clip: Clip, rate: float, stop: Stop) -> Watched:
    """Skeletons frame by frame, and what every network says of them."""
    moments = moments_of(clip, np.arange(clip.num_frames) / rate)
    seen = Seen(name=clip.id, layout=clip.layout, size=clip.size, rate=rate)
    return _watch(serving, seen, moments, stop, clip)


def watch_video(serving: Serving, path: Path, name: str, stop: Stop, tell: Tell) -> Watched:
    """A video with the people that the estimator finds, and what every network says of them.

    Args:
        serving: with an estimator.
        path: of the video; nobody is told it.
        name: what the video is called, which is never a path.
        stop: looked at after every frame.
        tell: told which share is done.

    Raises:
        Refused: it is no video, or too long.
    """
    assert serving.estimator is not None
    with in_one_line(name, path):
        with video.open_video(path) as opened:
            _check_seconds(opened.duration or 0.0, serving.limits)
        with closing(AtWork(serving.estimator)) as session:
            filmed = Filmed(
                name=outputs.file_name(Path(name).stem),
                origin=path,
                session=session,
                estimator=serving.estimator,
            )
            warnings: list[str] = []
            with filmed.frames(tell, warnings.append) as (seen, moments):
                watched = _watch(serving, seen, moments, stop)
            return watched.model_copy(update={"warnings": warnings})


def _watch(
    serving: Serving,
    seen: Seen,
    moments: Iterable[Moment],
    stop: Stop,
    clip: Clip | None = None,
) -> Watched:
    watching = {
        name: _Answering(name, recogniser, serving.rules(recogniser), seen)
        for name, recogniser in serving.models.items()
    }
    kept: list[Moment] = []
    for moment in moments:
        stop.look()
        _check_seconds(moment.time, serving.limits)
        kept.append(moment)
        for one in watching.values():
            one.push(moment)
    return Watched(
        name=seen.name,
        body=Body.of(seen.layout),
        size=seen.size,
        rate=round(seen.rate, 4),
        seconds=round(kept[-1].time + 1 / seen.rate, 4),
        frames=[Moving.of(moment) for moment in kept],
        models=[
            one.finish(
                clip or gathered(kept, one.recogniser.sampling.persons, seen), serving.converting
            )
            for one in watching.values()
        ],
    )


class _Answering:
    """One network, and what it has said so far."""

    def __init__(self, name: str, recogniser: Recogniser, rules: Rules, seen: Seen) -> None:
        self.recogniser, self._name = recogniser, name
        self._watching = Watching(recogniser, rules, seen, listen=self._listen)
        self._found: list[Action] = []
        self._windows: list[Around] = []

    def push(self, moment: Moment) -> None:
        """The next frame."""
        self._found += self._watching.push(moment)

    def finish(self, whole: Clip, converting: bool) -> Followed:
        """No frame follows; all that was said, and what is said of the whole clip."""
        self._found += self._watching.finish()
        answer = said([(self._name, self.recogniser)], whole, converting=converting)[0]
        return Followed(
            **answer.model_dump(),
            segments=[Segment.of(one) for one in outputs.ordered(self._found)],
            windows=self._windows,
        )

    def _listen(self, who: int | None, stretch: Stretch) -> None:
        self._windows.append(Around.of(self.recogniser, who, stretch))


def _check_seconds(seconds: float, limits: Limits) -> None:
    if seconds > limits.seconds:
        raise Refused(
            413, f"it is longer than {limits.seconds:g} seconds, the most that is taken here"
        )
