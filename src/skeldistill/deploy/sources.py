"""Sources: what a user names, as clips of skeletons or as videos that an estimator looks at."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from skeldistill import estimators, readers
from skeldistill.clip import Clip
from skeldistill.data.pace import told_rate, told_times
from skeldistill.data.store import Store
from skeldistill.deploy import extract_sources, video
from skeldistill.deploy.following import Following, Moment
from skeldistill.deploy.newest import Pace
from skeldistill.deploy.predict import Seen, gathered
from skeldistill.deploy.windows import moments_of
from skeldistill.estimators.at_work import AtWork
from skeldistill.estimators.estimator import Session
from skeldistill.files import readable
from skeldistill.readers import openpifpaf, openpose
from skeldistill.readers.reader import Source, clips_of

RATE = video.RATE
"""Frames per second where nothing says how many there are."""

FOUND_BY_NAME: Mapping[str, str] = {
    openpose.ENDING: "openpose",
    openpifpaf.VIDEO: "openpifpaf",
    openpifpaf.IMAGE: "openpifpaf",
}
"""How files end that one reader alone can mean."""


Watch = Callable[[float], None]
"""Told after every frame of a video which share of it is behind."""

Warn = Callable[[str], None]
"""Told in one line what is doubtful about a video that was read to its end, or left out of one."""

Pictured = tuple[UInt8[np.ndarray, "h w 3"], Moment]
"""A frame's picture, and who is in it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Skeletons:
    """One clip of skeletons that are there already."""

    clip: Clip
    rate: float
    times: Float64[np.ndarray, " t"]
    live: bool = False

    @classmethod
    def of(cls, clip: Clip, rate: float | None) -> "Skeletons":
        """A clip with the times that are given for it, or told by its source, or usual.

        The times tell the rate where the source tells none (or 0, a negative one, no number), or
        one that is far from theirs.
        """
        times = None if rate is not None else told_times(clip.extra, clip.num_frames)
        if rate is None:
            rate = told_rate(clip.extra.get("rate"))
        if times is not None:
            rate = told_rate(video.rate_of(times, rate or 0.0))
        rate = rate or RATE
        if times is None:
            times = np.arange(clip.num_frames) / rate
        return cls(clip=clip, rate=rate, times=times)

    @property
    def name(self) -> str:
        """The clip's id."""
        return self.clip.id

    @contextmanager
    def frames(self, watch: Watch, warn: Warn) -> Iterator[tuple[Seen, Iterator[Moment]]]:
        """What is known of the clip, and its frames."""
        clip = self.clip
        yield (
            Seen(name=clip.id, layout=clip.layout, size=clip.size, rate=self.rate),
            moments_of(clip, self.times),
        )

    def gathered(self, moments: Iterable[Moment], seen: Seen, persons: int) -> Clip:
        """The clip as it is; its frames are gone through for those who keep them."""
        for _ in moments:
            pass
        return self.clip

    def pictures(self) -> Iterator[UInt8[np.ndarray, "h w 3"]] | None:
        """There are none."""
        return None


@dataclass(frozen=True, kw_only=True, eq=False)
class Filmed:
    """One video, camera or stream, with the estimator that finds people in it."""

    name: str
    origin: Path | str
    session: Session
    estimator: estimators.Estimator
    rate: float | None = None

    @property
    def live(self) -> bool:
        """Whether it is a camera or a stream."""
        return not isinstance(self.origin, Path)

    @contextmanager
    def frames(self, watch: Watch, warn: Warn) -> Iterator[tuple[Seen, Iterator[Moment]]]:
        """What is known of the video once it is open, and the people in its frames."""
        with self.pictured(watch, warn) as (seen, pairs):
            yield seen, (moment for _, moment in pairs)

    @contextmanager
    def pictured(self, watch: Watch, warn: Warn) -> Iterator[tuple[Seen, Iterator[Pictured]]]:
        """The same with every frame's picture, for those who cannot see the video twice."""
        with video.open_video(self.origin) as opened:
            path = None if self.live else Path(self.origin)
            self.session.begin(path, self.name)
            seen = Seen(
                name=self.name,
                layout=self.estimator.layout,
                size=opened.size,
                rate=self.rate or told_rate(opened.rate) or RATE,
                aspect=opened.aspect,
                live=self.live,
            )
            yield seen, self._moments(opened, watch, warn)

    def gathered(self, moments: Iterable[Moment], seen: Seen, persons: int) -> Clip:
        """All frames of the video as one clip, with its surest persons.

        Raises:
            ValueError: there are too many frames.
        """
        return gathered(moments, persons, seen)

    def pictures(self) -> Iterator[UInt8[np.ndarray, "h w 3"]] | None:
        """The video's frames once more."""
        return (frame.image for frame in video.frames(self.origin))

    def _moments(self, opened: video.Video, watch: Watch, warn: Warn) -> Iterator[Pictured]:
        following, pace = Following(), Pace()
        for frame in opened.frames():
            if left_out := pace.told(frame.time, frame.number):
                warn(f"{self.name}: {left_out}")
            found = self.session(frame.image, frame.time)
            time = frame.number / self.rate if self.rate else frame.time
            yield frame.image, following.step(frame.number, time, found)
            if opened.duration:
                watch(min(1.0, frame.time / opened.duration))
        if opened.cut:
            warn(f"{self.name}: {opened.cut}")


Origin = Skeletons | Filmed


@dataclass(frozen=True, kw_only=True, eq=False)
class Sources:
    """All clips or videos that were named.

    path: their file or folder; None for a camera or a stream. about: what holds for all of them.
    several: whether there may be more than one. each: one after the other. videos: the files that
    are watched, by name; none where there are skeletons or a camera. store: it, where one
    was named.
    """

    path: Path | None
    about: Source
    several: bool
    each: Iterator[Origin] = field(repr=False)
    videos: Mapping[str, Path] = field(default_factory=dict)
    store: Store | None = None

    @property
    def live(self) -> bool:
        """Whether it is a camera or a stream."""
        return self.path is None


@contextmanager
def opened(
    named: str,
    *,
    estimator: str | None = None,
    reader: str | None = None,
    options: Mapping[str, Any] | None = None,
    rate: float | None = None,
) -> Iterator[Sources]:
    """What a user names, ready to be gone through once.

    Args:
        named: a video, a folder of videos, a camera's number or ``/dev/videoN``, a stream's
            address, a store, or what `reader` reads.
        estimator: for videos, as ``name:option=value`` (see `skeldistill.estimators.parse`).
        reader: the format of skeleton files; found by name for OpenPose and OpenPifPaf.
        options: of the reader.
        rate: frames per second, where the source does not tell or is wrong.

    Raises:
        OSError: there is no such file.
        ValueError: it is nothing that is known, or lacks an estimator; or something was given that
            it has no use for.
    """
    path = Path(named)
    if rate is not None and told_rate(rate) is None:
        raise ValueError(f"--rate {rate}: give frames per second, more than 0")
    if reader is None and _live(named):
        _no_options(video.without_password(named), options)
        with _filmed({video.without_password(named): named}, None, estimator, rate) as sources:
            yield sources
        return
    reader = reader or _reader_of(path)
    if reader is not None:
        _no_estimator(path, estimator)
        yield _read(reader, path, options or {}, rate)
    elif path.suffix == ".arrow":
        _no_estimator(path, estimator)
        _no_options(named, options)
        yield _stored(path, rate)
    else:
        _no_options(named, options)
        videos = {one.id: one.path for one in extract_sources.find(path)}
        with _filmed(videos, path, estimator, rate) as sources:
            yield sources


def _no_options(named: str, options: Mapping[str, Any] | None) -> None:
    if options:
        raise ValueError(
            f"--option {next(iter(options))} is of a reader, and {named} needs none; leave it out, "
            "or name a --reader"
        )


def _no_estimator(path: Path, estimator: str | None) -> None:
    if estimator is not None:
        raise ValueError(f"{path} has skeletons, not pictures; leave out --estimator {estimator}")


def _live(named: str) -> bool:
    address = named.lower().startswith(video.LIVE) and not Path(named).exists()
    return address or video.camera_number(named) is not None


def _reader_of(path: Path) -> str | None:
    """The reader of files or folders that are called as one program calls them."""
    folders = [path] if path.is_dir() else []
    if folders:
        folders += sorted(one for one in path.iterdir() if one.is_dir())[:1]
    names = [one.name for folder in folders for one in folder.iterdir()] or [path.name]
    for ending, reader in FOUND_BY_NAME.items():
        if any(name.endswith(ending) for name in names):
            return reader
    if path.suffix in (".json", ".pkl", ".mat", ".npz", ".npy", ".skeleton", ".csv"):
        raise ValueError(
            f"{path} may be of several formats; name its --reader ({', '.join(readers.SHELF)})"
        )
    return None


def _read(name: str, path: Path, options: Mapping[str, Any], rate: float | None) -> Sources:
    reader = readers.find(name, **options)
    about = reader.describe(path)
    clips = (Skeletons.of(clip, rate) for clip in clips_of(reader, path))
    return Sources(path=path, about=about, several=about.num_clips != 1, each=clips)


def _stored(path: Path, rate: float | None) -> Sources:
    store = Store.open(path)
    about = Source(
        layout=store.layout,
        channels=store.channels,
        units=store.units,
        classes=store.classes,
        num_clips=len(store),
    )
    clips = (store.clip(row) for row in range(len(store)))
    each = (Skeletons.of(clip, rate) for clip in clips)
    return Sources(path=path, about=about, several=len(store) != 1, each=each, store=store)


@contextmanager
def _filmed(
    origins: Mapping[str, Path | str], path: Path | None, text: str | None, rate: float | None
) -> Iterator[Sources]:
    if text is None:
        raise ValueError(
            f"{path or 'a camera'} needs an estimator to find people; add --estimator, such as "
            "mediapipe:model=FILE"
        )
    estimator = estimators.parse(text)
    about = Source(layout=estimator.layout, channels=2, units="pixels", num_clips=len(origins))
    several = len(origins) > 1 or (path is not None and path.is_dir())
    with closing(AtWork(estimator)) as session:
        each = (
            Filmed(
                name=readable(name),
                origin=origin,
                session=session,
                estimator=estimator,
                rate=rate,
            )
            for name, origin in origins.items()
        )
        videos = {name: one for name, one in origins.items() if isinstance(one, Path)}
        yield Sources(path=path, about=about, several=several, each=each, videos=videos)
