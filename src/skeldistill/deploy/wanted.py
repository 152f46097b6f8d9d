"""What a user wants of a prediction, refused before anything is read where it cannot be had."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skeldistill.deploy import outputs, overlay
from skeldistill.deploy.predict import Rules, Seen
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.deploy.sources import RATE, Sources
from skeldistill.deploy.watching_live import FrameByFrame


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a user wants to have of it.

    rules: how actions are found. cut: every clip is one action, from its start to its end. format:
    of the text (see `outputs.FORMATS`). out: its file, or a folder with a file for each clip; None
    says it line by line. film: a video with everything drawn, or a folder of them. seconds: after
    which a camera is left. live: the network runs frame by frame instead of over windows.

    Raises:
        ValueError: the overlay cannot have such a name, or what is wanted cannot be together.
    """

    rules: Rules
    cut: bool = False
    format: str = "jsonl"
    out: Path | None = None
    film: Path | None = None
    seconds: float | None = None
    live: bool = False

    def __post_init__(self) -> None:
        if self.live and self.cut:
            raise ValueError("--live goes frame by frame, --whole looks at a clip once; take one")
        if self.live and self.rules.stride is not None:
            raise ValueError("--live goes frame by frame, with no --stride; leave one out")
        if self.film is not None and not is_folder(self.film):
            overlay.check(self.film)


def check(recogniser: Recogniser, sources: Sources, wanted: Wanted) -> None:
    """Refuse what would be found out after an hour."""
    if wanted.live:
        like = Seen(name="", layout=sources.about.layout, size=None, rate=RATE)
        FrameByFrame(recogniser, wanted.rules, like)
    if sources.several and wanted.format == "srt" and not (wanted.out and is_folder(wanted.out)):
        raise ValueError(
            "subtitles belong to one video, and these may be several; give --out a folder, or "
            "take --format jsonl"
        )
    if sources.several and wanted.film is not None and not is_folder(wanted.film):
        raise ValueError(
            f"an overlay belongs to one clip, and these may be several; {wanted.film} must be a "
            "folder"
        )
    if sources.live and wanted.cut:
        raise ValueError("a camera has no end; predict without --whole")
    if wanted.seconds is not None and not sources.live:
        raise ValueError(f"--seconds leaves a camera, which {sources.path} is not; leave it out")
    _check_places(sources, wanted)


def check_growing(path: Path, format: str) -> None:
    """Refuse a file with which a camera's words cannot be joined: they are kept, and go on.

    Raises:
        OSError: it cannot be read.
        ValueError: its format has an end, or it holds something else.
    """
    if not path.is_file() or path.stat().st_size == 0:
        return
    if format not in outputs.GROWING:
        raise ValueError(
            f"{path} is there already, and {format} cannot be gone on with; name another --out"
        )
    head = outputs.FORMATS[format](outputs.LiveAction).head.encode()
    with path.open("rb") as file:
        if file.read(len(head)) != head:
            raise ValueError(
                f"{path} is there already, with other columns than those of a camera; name "
                "another --out"
            )


def is_folder(path: Path) -> bool:
    """Whether a path names a folder: it is one, or has no suffix."""
    return path.is_dir() or not path.suffix


def file_of(path: Path, name: str, ending: str) -> Path:
    """The file of a clip's text or overlay."""
    return path / f"{name}.{ending}" if is_folder(path) else path


def unused(name: str, used: set[str]) -> str:
    """The name, with a number if there was the same before; case does not tell names apart."""
    free, count = name, 1
    while free.lower() in used:
        count += 1
        free = f"{name}-{count}"
    used.add(free.lower())
    return free


def _check_places(sources: Sources, wanted: Wanted) -> None:
    """Refuse outputs that cannot be written, or that would lie on what is read."""
    for path in (wanted.out, wanted.film):
        if path is not None:
            _check_writable(path)
    if sources.path is not None and sources.path.is_dir() and wanted.film is not None:
        film, videos = wanted.film.resolve(), sources.path.resolve()
        if videos in (film, *film.parents):
            raise ValueError(
                f"overlays in {wanted.film} could be written over the videos in {sources.path}; "
                "give --overlay another folder"
            )
    skeletons = None if sources.videos else sources.path
    if skeletons is not None and wanted.out is not None and _same_folder(skeletons, wanted.out):
        raise ValueError(
            f"what is said could be written over the skeletons in {skeletons}; give --out another "
            "folder"
        )
    named = (sources.path, *sources.videos.values())
    read = {_identity(one) for one in named if one is not None and one.exists()}
    for path in _written(sources, wanted):
        if path.is_file() and _identity(path) in read:
            raise ValueError(f"{path} is the source itself; give the output another name")


def _check_writable(path: Path) -> None:
    """Refuse what no file can be made of; nothing is made yet."""
    folder = path if is_folder(path) else path.parent
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"{path} cannot be written, since {there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"{path} cannot be written: {there} is not open to you")


def _written(sources: Sources, wanted: Wanted) -> Iterator[Path]:
    """The files of outputs, as far as their names are known before."""
    used: set[str] = set()
    names = [unused(outputs.file_name(name), used) for name in sources.videos]
    for path, ending in ((wanted.out, wanted.format), (wanted.film, "mp4")):
        if path is not None:
            yield from (
                [file_of(path, name, ending) for name in names] if is_folder(path) else [path]
            )


def _same_folder(one: Path, other: Path) -> bool:
    return one.is_dir() and other.is_dir() and one.samefile(other)


def _identity(path: Path) -> tuple[int, int]:
    """Tells files apart however they are called."""
    found = path.stat()
    return found.st_dev, found.st_ino
