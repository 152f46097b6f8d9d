"""Command: any program that leaves skeletons which one of the readers knows."""

import os
import re
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from skeldistill import layouts, readers
from skeldistill.estimators.replay import frame_by_frame
from skeldistill.layouts import Layout
from skeldistill.readers import tracking
from skeldistill.readers.reader import Reader
from skeldistill.readers.source_files import line
from skeldistill.readers.tracking import People
from skeldistill.shelf import pick, take


@dataclass(frozen=True)
class Template:
    """A program's command line, the reader of what it leaves, and the joints it finds."""

    program: str
    reader: str
    joints: str


TEMPLATES: Mapping[str, Template] = {
    "openpifpaf": Template(
        # else version 0.11, the last with the papers' ResNet152, sees a tenth of the size
        "python -m openpifpaf.video --source {video} --scale 1 "
        "--json-output {out}/video.openpifpaf.json",
        "openpifpaf",
        "coco17",
    ),
    "openpose": Template(
        "openpose.bin --video {video} --write_json {out} --display 0 --render_pose 0",
        "openpose",
        "body25",
    ),
}
"""Programs that users install themselves; their licences are theirs."""

EVERYBODY = 1000
"""All tracks that a reader found: none is chosen here."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A program that the user installed is run on every video file, and its results are read.

    Its frames are taken to be those of the video, from the first one on. It is started without a
    shell. Example: ``command:template=openpifpaf,arguments=--checkpoint mobilenetv3small``.

    Args:
        template: "openpifpaf" (JSON lines) or "openpose" (a folder of files): sets the other
            three, each of which may be given besides.
        program: the command line; in it ``{video}`` becomes the file, ``{out}`` an empty folder.
        arguments: added at its end.
        reader: of what the program leaves in ``{out}``.
        joints: the layout of that.
        limit: seconds for one video; None waits as long as it takes.

    Raises:
        ValueError: an option is missing, or nothing is called so.
    """

    template: str | None = None
    program: str | None = None
    arguments: str = ""
    reader: str | None = None
    joints: str | None = None
    limit: float | int | None = None

    def __post_init__(self) -> None:
        if self.template is not None:
            ready = pick("template", TEMPLATES, self.template)
            for name in ("program", "reader", "joints"):
                if getattr(self, name) is None:
                    object.__setattr__(self, name, getattr(ready, name))
        for name in ("program", "reader", "joints"):
            if getattr(self, name) is None:
                raise ValueError(f"command needs {name}, or template={' or '.join(TEMPLATES)}")
        if "{video}" not in self._program:
            raise ValueError(f"command: program {self._program!r} lacks {{video}}")
        if self.limit is not None and self.limit <= 0:
            raise ValueError(f"command: limit must be above 0 seconds, got {self.limit}")
        self.words(Path("video"), Path("out"))
        self.reads()
        layouts.find(str(self.joints))

    @property
    def _program(self) -> str:
        return str(self.program)

    @property
    def layout(self) -> Layout:
        """The joints that the program finds."""
        return layouts.find(str(self.joints))

    def about(self) -> Mapping[str, Any]:
        """The options; what version the program has, it alone knows."""
        options = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"estimator": "Command", **options}

    def open(self) -> "Running":
        """Nothing is loaded before a video is begun."""
        return Running(self)

    def words(self, video: Path, out: Path) -> list[str]:
        """The command line for a video, word by word."""
        try:
            words = shlex.split(f"{self._program} {self.arguments}")
        except ValueError as error:
            raise ValueError(f"command: program {self._program!r}: {error}") from error
        places = {"{video}": str(video), "{out}": str(out)}  # in one pass: paths have braces, too
        return [re.sub(r"\{video\}|\{out\}", lambda at: places[at[0]], word) for word in words]

    def reads(self) -> Reader:
        """The reader of the results, told to keep everybody."""
        name = str(self.reader)
        part = take("reader", readers.SHELF, name.lower())
        known = {field.name for field in fields(part)}
        wanted = {"persons": EVERYBODY, "layout": self.joints}
        return readers.find(name, **{key: wanted[key] for key in wanted if key in known})


class Running:
    """Runs the program when a video is begun, then tells its results frame by frame."""

    def __init__(self, options: Command) -> None:
        self._options = options
        self._frames: list[People] = []
        self._next = 0

    def begin(self, path: Path | None, name: str) -> None:
        """Run the program on the video."""
        if path is None:
            raise ValueError("command: a program reads files; it cannot look at a camera")
        self._next = 0
        # not beginning with "-": a file of that name would be taken for an option
        with tempfile.TemporaryDirectory(prefix="skeldistill-") as folder:
            self._run(path.absolute(), Path(folder))
            self._frames = self._results(Path(folder))

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], time: float) -> People:
        """The people whom the program found in the next frame."""
        number, self._next = self._next, self._next + 1
        if number >= len(self._frames):
            return tracking.nobody(self._options.layout)
        return self._frames[number]

    def close(self) -> None:
        """Nothing is held."""

    def _run(self, video: Path, out: Path) -> None:
        words = self._options.words(video, out)
        try:
            status, said = _run(words, self._options.limit)
        except subprocess.TimeoutExpired as error:
            raise ValueError(
                f"{words[0]} took more than {self._options.limit} seconds for {video}"
            ) from error
        if status != 0:
            last = said.decode(errors="replace").strip().splitlines() or ["nothing said"]
            raise ValueError(f"{words[0]} failed on {video} (status {status}: {line(last[-1])})")

    def _results(self, out: Path) -> list[People]:
        """All people of every frame."""
        program = self._options.words(Path(), out)[0]
        if not any(out.iterdir()):
            raise ValueError(f"{program} left nothing in {{out}}; does its command line name it?")
        files = [out, *sorted(one for one in out.iterdir() if one.is_file())]
        # some readers take a folder, others the one file in it
        source = files[1] if len(files) == 2 else out
        clips = list(self._options.reads().read(source))
        if len(clips) != 1:
            raise ValueError(f"{program} left {len(clips)} clips for one video")
        if not clips[0].layout.same_as(self._options.layout):
            raise ValueError(
                f"{program} found {clips[0].layout.name}, not {self._options.joints}; set joints"
            )
        return frame_by_frame(clips[0].joints, clips[0].scores)


def _run(words: list[str], limit: float | int | None) -> tuple[int, bytes]:
    """The status of a program and its errors; whatever ends the wait ends all that it started."""
    with subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as program:
        try:
            _, said = program.communicate(timeout=limit)
        except BaseException:
            program.kill()
            with suppress(ProcessLookupError, AttributeError):  # Windows has no groups
                os.killpg(program.pid, signal.SIGKILL)
            raise
    return program.returncode, said
