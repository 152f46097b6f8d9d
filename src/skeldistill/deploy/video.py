"""Video: the frames of a file, a camera or a stream, upright, with the time of each."""

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from jaxtyping import Float64, UInt8

from skeldistill.deploy.display import Display
from skeldistill.deploy.newest import Newest
from skeldistill.extras import require

ENDINGS = (
    ".3gp", ".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts",
    ".webm", ".wmv",
)  # fmt: skip
"""What files of video are called."""

CONTAINERS = "mov,avi,matroska,webm,mpegts,mpeg,mpegvideo,flv,asf,ogg,mxf,nut,ivf,m4v,h264,hevc,dv"
"""No playlists, no lists of files: those would open whatever else they name."""

MOST_PIXELS = 2**26
"""Of one frame, twice those of 8K: a header that claims more is damaged, or meant to do damage."""

LIVE = ("rtsp://", "rtsps://", "rtmp://", "rtmps://", "srt://", "udp://", "http://", "https://")
PICTURES = "mpjpeg"
"""What cameras on a network send as single pictures: it has no times but those of its arrival."""

PLAYLISTS = ("hls", "dash")
"""Streams that come in pieces of some seconds, each of them at once."""

RATE = 30.0
"""Frames per second where nothing says how many there are."""

DOUBT = 0.2
"""A claimed rate that differs by a larger share from that of the frames' times is not believed."""

AHEAD = 60
"""Packets whose times are looked at."""

SLIP = 0.2
"""Seconds by which a frame may say that it is earlier than the one before: a slip of who wrote it.
From there on it is the first of another part, joined to this one, that counts from its own 0."""

CLAIMING = ("mov", "avi", "matroska", "flv", "asf")
"""Containers that say in their heads how long a video is; of others FFmpeg tells what it finds."""

WHOLE = 0.9
"""Share of the claimed seconds that the frames of a whole file reach, at least."""

SHORTFALL = 0.25
"""Seconds by which any claim may be wrong: ends are rounded, and a codec loses a frame or two."""

PATIENCE = 10.0
"""Seconds that a camera or stream may stay silent."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One picture of a video.

    image: ``(h, w, 3)``, red, green and blue, turned upright. time: seconds since the first frame,
    as the file tells it, never less than before. number: how many frames were decoded before.
    """

    image: UInt8[np.ndarray, "h w 3"]
    time: float
    number: int


class Video:
    """An open video; made by `open_video`, closed by ``with`` or `close`.

    Attributes:
        name: as it was given.
        size: (height, width) of the upright frames in pixels; those of another size are brought to
            that of the first.
        rate: frames per second, on average, as the file claims, unless its first frames are much
            slower; 0 where nothing tells.
        display: how the stored frames are turned to be upright.
        aspect: how much broader than high a pixel is meant to be shown; coordinates, of estimators
            as of others, are those of pixels.
        duration: seconds, as the file claims; None for a camera, or where it does not.
        live: whether it is a camera or a stream, which has no end of its own.
        waits: whether the next frame comes when it is asked for, as of a file, be it behind an
            address. Others go on meanwhile, and of them only the newest frame is given.
        cut: one line, once all frames were read, if they end well before the file claims; "" else.
    """

    def __init__(self, name: str, container: Any, *, live: bool) -> None:
        self.name = name
        self.live = live
        self._container = container
        with _one_line(name):
            if not container.streams.video:
                raise ValueError(f"{name}: there is no video in it")
            stream = container.streams.video[0]
            _check_size(name, stream.codec_context.width, stream.codec_context.height)
            packets = container.demux(stream)
            # who counted the frames knows their rate; and nobody waits for a camera's next frames
            ahead = [] if live or stream.frames else list(islice(packets, AHEAD))
            self.rate = _rate(float(stream.average_rate or 0), ahead)
            self.duration = _duration(container, stream, live)
            self.waits = not live or _waits(name, container)
            self.aspect = float(stream.sample_aspect_ratio or 1)
            # AVI stores when frames are decoded alone: what is called their time is out of order
            self._by_decoding = container.format.name == "avi"
            self._claimed = 0.0 if live else _claimed(container, stream, self.duration or 0.0)
            self._counted = 0 if live else stream.frames
            self._images = self._decoded(chain(ahead, packets))
            self._first = next(self._images, None)
        if self._first is None:
            raise ValueError(f"{name}: there is not one frame in it that can be decoded")
        self.display = Display.of(self._first)
        self.size = self.display.size(self._first.height, self._first.width)
        if self.display.rotation % 180:
            self.aspect = 1 / self.aspect
        self._stored = (self._first.width, self._first.height)
        self._newest: Newest[tuple[Any, float, int]] | None = None
        self.cut = ""

    def frames(self) -> Iterator[Frame]:
        """The frames in the order in which they are shown; can be asked for once.

        A camera's are decoded in a thread of their own, so that each has the time at which it came.

        Raises:
            ValueError: the file is damaged, or they were asked for before.
        """
        if self._first is None:
            raise ValueError(f"{self.name}: its frames were read already; open it again")
        first, self._first = self._first, None
        pictures = self._timed(first)
        if not self.waits:
            pictures = self._newest = Newest(pictures, self._container.close)
        for picture, time, number in pictures:
            with _one_line(self.name):
                image = self._upright(picture)
            yield Frame(image=image, time=time, number=number)

    def _timed(self, picture: Any) -> Iterator[tuple[Any, float, int]]:
        """From the first on, what was decoded, with its time and number."""
        began, time = self._time(picture) or 0.0, 0.0
        step, number = 1 / (self.rate or RATE), 0
        longest, end = step, 0.0
        while picture is not None:
            # a frame that has no time, or begins another part, comes one step after the one before
            after, told = time + step * (number > 0), self._time(picture)
            told = after if told is None else told - began
            if told < time - SLIP:
                began, told = began + told - after, after
            longest = max(longest, told - time)
            time = max(time, told)
            # a claim may count from 0 or from the first frame
            end = max(time, self._time(picture) or 0.0)
            yield picture, float(time), number
            number += 1
            with _one_line(self.name):
                picture = next(self._images, None)
        # the last frame may stay as long as any other did
        self.cut = self._cut(number, end + longest)

    def _cut(self, number: int, end: float) -> str:
        """What there is to say of so many frames, the last of which ends then."""
        missing = self._claimed - end
        if missing <= max((1 - WHOLE) * self._claimed, SHORTFALL):
            return ""
        if self._counted and number >= WHOLE * self._counted:
            return ""
        return (
            f"only {number} frames could be decoded, {end:.1f} of the {self._claimed:.1f} seconds "
            "that the file claims; it may have been cut off"
        )

    def _time(self, picture: Any) -> float | None:
        """When a frame is shown, in seconds; None where the file does not tell."""
        if not self._by_decoding:
            return picture.time
        return None if picture.dts is None else float(picture.dts * picture.time_base)

    def _upright(self, picture: Any) -> np.ndarray:
        width, height = self._stored
        return self.display.upright(picture.to_ndarray(format="rgb24", width=width, height=height))

    def _decoded(self, packets: Iterator[Any]) -> Iterator[Any]:
        av = require("av", extra="video")
        for packet in packets:
            try:
                pictures = packet.decode()
            except av.error.InvalidDataError:
                if not self.live:
                    raise
                continue  # a stream loses packets; the next whole picture is soon there
            for picture in pictures:
                _check_size(self.name, picture.width, picture.height)
                yield picture

    def close(self) -> None:
        """Let go of the file or the camera."""
        if self._newest is None:
            self._container.close()
        else:
            self._newest.close()

    def __enter__(self) -> "Video":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_video(source: Path | str | int) -> Video:
    """Open a video file, a camera (by number) or a stream (by address).

    Args:
        source: a file; a number, also as text, for a camera where no file is called so, or its
            ``/dev/videoN``; or an address that begins with one of `LIVE`.

    Raises:
        OSError: there is no such file.
        ValueError: it is no video that can be decoded, or PyAV is not installed.
    """
    av = require("av", extra="video")
    name = str(source)
    if name.lower().startswith(LIVE):
        told = without_password(name)
        with _one_line(told):
            options = {"rtsp_transport": "tcp"} if name.lower().startswith("rtsp") else {}
            container = av.open(name, timeout=PATIENCE, options=options)
            if container.format.name == PICTURES:
                container.close()
                options = {"use_wallclock_as_timestamps": "1"}
                container = av.open(name, timeout=PATIENCE, options=options)
            return Video(told, container, live=True)
    number = source if isinstance(source, int) else camera_number(name)
    if number is not None:
        return _camera(number)
    path = Path(name)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; name a video file")
    if not path.exists():
        raise FileNotFoundError(f"no video {path}; name a file, a camera's number or an address")
    if not path.is_file():
        raise ValueError(
            f"{path} is a device or a pipe, no video; name a file, a camera's number or an address"
        )
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the file is empty")
    options = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
    with _one_line(name):
        # "file:", since a name such as "concat:a|b" would be taken for more than a name
        return Video(name, av.open(f"file:{path}", options=options), live=False)


def camera_number(name: str) -> int | None:
    """Which camera is meant: by its number, where no file is called so, or by Linux's device."""
    if name.isdecimal():
        return None if Path(name).exists() else int(name)
    # a camera that is to be found again is named by a link, such as /dev/v4l/by-id/...
    device = re.fullmatch(r"/dev/video([0-9]+)", os.path.realpath(name))
    return int(device[1]) if device else None


def without_password(address: str) -> str:
    """A stream's address as it may be told: without user and password, and the query's values."""
    place, mark, query = address.partition("?")
    scheme, slashes, host = place.partition("://")
    if "@" in query and "/" not in host:  # is the mark part of a password, or is the @ a value's?
        return f"{scheme}{slashes}..."
    place = re.sub(r"(?<=://)[^/]*@", "", place)
    names = [one.partition("=")[:2] for one in query.split("&")]
    hidden = [f"{name}=..." if equals else "..." for name, equals in names]
    return f"{place}?{'&'.join(hidden)}" if mark else place


def frames(source: Path | str | int) -> Iterator[Frame]:
    """The frames of a video file, camera or stream, which is closed at the end."""
    with closing(open_video(source)) as video:
        yield from video.frames()


def _camera(number: int) -> Video:
    av = require("av", extra="video")
    name, kind = {
        "linux": (f"/dev/video{number}", "v4l2"),
        "darwin": (str(number), "avfoundation"),
    }.get(sys.platform, ("", ""))
    if not kind:
        raise ValueError(f"camera {number}: cameras are opened on Linux and macOS only")
    with _one_line(f"camera {number}"):
        return Video(f"camera {number}", av.open(name, format=kind), live=True)


def rate_of(times: Float64[np.ndarray, " t"], claimed: float) -> float:
    """Frames per second: as claimed, unless the times of frames say otherwise; 0 if nothing does.

    A claim is right by the mean step, by the usual one, as there may be pauses, or by that of half
    of the frames.
    """
    steps = np.diff(times)
    steps = steps[steps > 0]
    if not steps.size:
        return claimed
    usual = steps[steps <= 2 * np.median(steps)]
    # of frames that fit a claim, many may have been left out
    short = np.quantile(steps, 0.5, method="lower")
    rates = [1 / float(step) for step in (usual.mean(), steps.mean(), short)]
    if any(abs(claimed - rate) <= DOUBT * rate for rate in rates):
        return claimed
    return rates[0]


def _rate(claimed: float, packets: Sequence[Any]) -> float:
    """A claim may be that of the container's clock; it is not too low.

    What looks faster than claimed may be interlaced, with two packets a frame.
    """
    stamps = [one.pts * one.time_base for one in packets if one.pts is not None]
    found = rate_of(np.sort(np.array(stamps, np.float64)), claimed)
    return min(claimed, found) if claimed > 0 else max(0.0, found)


def _duration(container: Any, stream: Any, live: bool) -> float | None:
    if live:
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None


def _waits(name: str, container: Any) -> bool:
    """Whether a stream is a file behind an address, or comes in pieces."""
    whole = name.lower().startswith("http") and bool(container.duration)
    return whole or container.format.name in PLAYLISTS


def _claimed(container: Any, stream: Any, duration: float) -> float:
    """Seconds that the head of a file claims for its video, not what FFmpeg found; 0: none.

    Of an AVI that was cut, FFmpeg makes the duration smaller, but not the number of frames. In
    others this number says less: it counts what an edit list leaves out.
    """
    if not container.format.name.startswith(CLAIMING):
        return 0.0
    if container.format.name == "avi" and stream.average_rate:
        return float(stream.frames / stream.average_rate)
    # Matroska's own duration is that of its longest track, perhaps the sound
    own = re.fullmatch(r"(\d+):(\d+):(\d+\.?\d*)", stream.metadata.get("DURATION", ""))
    return 3600 * int(own[1]) + 60 * int(own[2]) + float(own[3]) if own else duration


def _check_size(name: str, width: int, height: int) -> None:
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"{name}: a frame is {width} x {height} pixels; at most {MOST_PIXELS:,} are decoded"
        )


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    """What FFmpeg says, in one line that names the video."""
    av = require("av", extra="video")
    try:
        yield
    except (av.error.FFmpegError, MemoryError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ValueError(f"{name}: cannot be decoded as a video ({why})") from error
