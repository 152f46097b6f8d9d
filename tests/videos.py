"""Small videos for tests, and an estimator that finds what is painted in them."""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skeldistill.deploy import extract_parts
from skeldistill.deploy.extract import Extracted, View
from skeldistill.deploy.extract import extract as extract_videos
from skeldistill.deploy.extract_parts import Task
from skeldistill.deploy.extract_sources import find
from skeldistill.deploy.extract_workers import Event, extract
from skeldistill.estimators import Estimator
from skeldistill.layouts import COCO17, Layout
from skeldistill.readers import tracking
from skeldistill.readers.tracking import People

HEIGHT, WIDTH = 48, 64


def painted(frames: int) -> list[np.ndarray]:
    """Dark pictures; in row 8 and column 4 t begins a bright square that goes to the right."""
    pictures = []
    for t in range(frames):
        picture = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
        left = 4 * t % (WIDTH - 16)
        picture[8:24, left : left + 16] = 230
        pictures.append(picture)
    return pictures


def write_video(
    path: Path,
    pictures: Sequence[np.ndarray],
    *,
    times: Sequence[int] | None = None,
    rotation: int = 0,
    matrix: Sequence[int] | None = None,
) -> Path:
    """A video of 10 frames a second; `times` are in tenths of a second."""
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    # its index first, so that what is left of a file that was cut can be read
    options = {"movflags": "faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 2_000_000
        stream.codec_context.time_base = Fraction(1, 10)
        if rotation:
            if not hasattr(stream, "set_display_rotation"):
                pytest.skip("this PyAV cannot tag a rotation")
            stream.set_display_rotation(rotation)
        if matrix is not None:
            if not hasattr(stream, "set_display_matrix"):
                pytest.skip("this PyAV cannot write a display matrix")
            stream.set_display_matrix(matrix)
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number if times is None else times[number]
            frame.time_base = Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut_off(path: Path, name: str, frames: int) -> Path:
    """A video of `write_video` whose file ends after so many frames, as when a copy broke off."""
    import av

    with av.open(str(path)) as container:
        packets = [one for one in container.demux(video=0) if one.size]
    end = packets[frames].pos
    cut = path.with_name(name)
    cut.write_bytes(path.read_bytes()[:end])
    return cut


@dataclass(frozen=True, kw_only=True)
class Squares:
    """Finds one person whose joints surround the bright square; notes each video that it begins.

    log: the file to note it in. deadly: the id of a video that kills the process. broken: the id
    of one that raises an error. pause: seconds that a frame takes at least.
    """

    log: str | None = None
    deadly: str | None = None
    broken: str | None = None
    pause: float = 0.0
    name: str = "squares"

    @property
    def layout(self) -> Layout:
        return COCO17

    def about(self) -> Mapping[str, Any]:
        return {"estimator": self.name}

    def open(self) -> "Seeing":
        return Seeing(self)


class Seeing:
    def __init__(self, options: Squares) -> None:
        self._options, self._name = options, ""

    def begin(self, path: Path | None, name: str) -> None:
        self._name = name
        if self._options.log:
            with Path(self._options.log).open("a", encoding="utf-8") as file:
                file.write(f"{name}\n")

    def __call__(self, image: np.ndarray, time: float) -> People:
        if self._options.pause:
            import time as clock

            clock.sleep(self._options.pause)
        if self._name == self._options.deadly and time > 0.15:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._name == self._options.broken:
            raise RuntimeError("the graph\nis broken")
        rows, columns = np.nonzero(image[..., 0] > 128)
        if not len(rows):
            return tracking.nobody(COCO17)
        corner = np.array([columns.min(), rows.min()], np.float32)
        joints = corner + np.arange(34, dtype=np.float32).reshape(17, 2)
        return People(joints[None], np.full((1, 17), 0.75, np.float32))

    def close(self) -> None:
        pass


def here(tasks: Sequence[Task], views: Mapping[str, Estimator]) -> Iterator[Event]:
    """An engine without processes."""
    sessions = extract_parts.open_all(views)
    for task in tasks:
        yield extract(task, sessions, lambda frames: None)
    extract_parts.close_all(sessions)


def four_videos(folder: Path) -> Path:
    """Videos of 5, 6, 7 and 8 frames, of two classes."""
    for number, name in enumerate(("clap/a", "clap/b", "run/c", "run/d")):
        write_video(folder / f"{name}.mp4", painted(5 + number))
    return folder


def made(
    folder: Path, tmp_path: Path, estimator: Any = None, engine: Any = here, **options: Any
) -> Extracted:
    """The store ``out.arrow`` of a folder's videos."""
    view = View(estimator=estimator or Squares(), store=tmp_path / "out.arrow")
    return extract_videos(
        find(folder), {"low": view}, tmp_path / "work", engine=engine, quiet=True, **options
    )


def refuse(tasks: Sequence[Task], views: Mapping[str, Estimator]) -> Iterator[Event]:
    """An engine for when nothing is left to do."""
    raise AssertionError(f"these are done already: {tasks}")
