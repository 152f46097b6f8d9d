"""What readers share: finding a source's files, and naming the file in every error."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
Found = TypeVar("Found")

First = int | str | None
"""Option of readers whose files leave out frames without anybody: the number of a clip's first
frame, or `LOWEST`: the lowest that it has; None: what is likely (see `beginning`)."""
LOWEST = "lowest"

Size = tuple[int, int] | None
"""Option of readers whose files say nothing of the images: (height, width) in pixels."""

MOST_FRAMES = 108_000
"""An hour of video: what claims to be longer is a damaged file, and would fill the memory."""


def find(path: Path, ending: str, what: str) -> list[Path]:
    """The file that `path` is, or the files directly in that folder, by name.

    Args:
        path: a file, taken as it is, or a folder.
        ending: of the files looked for in a folder, such as ``".json"``.
        what: tells the user what to name, such as "NW-UCLA's folder `all_sqe`".

    Raises:
        OSError: there is nothing called `path`, or it cannot be read.
        ValueError: the folder has no such file.
    """
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"no file or folder {path}; name {what}")
    # not glob: it would hide that a folder cannot be read
    with os.scandir(path) as inside:
        found = [one.name for one in inside if one.name.endswith(ending) and one.is_file()]
    names = sorted(name for name in found if not name.startswith("."))
    if not names:
        raise ValueError(f"{path} has no file *{ending}; name {what}")
    return [path / name for name in names]


def with_files(path: Path, ending: str, what: str) -> list[Path]:
    """The folder and those directly in it that hold such files; a file is taken as it is.

    Raises:
        OSError: there is nothing called `path`, or it cannot be read.
        ValueError: none of them has such a file.
    """
    if not path.is_dir():
        return [path]
    inside = sorted(folder for folder in path.iterdir() if folder.is_dir())
    found = [one for one in (path, *inside) if any(one.glob(f"*{ending}"))]
    if not found:
        raise ValueError(f"{path} has no file *{ending}; name {what}")
    return found


def by_name(clips: Mapping[tuple[str, str], Found]) -> dict[str, Found]:
    """Clips by their names, and as ``folder/name`` where two folders have one of a name.

    Args:
        clips: by (folder, name).
    """
    alone = len({name for _, name in clips}) == len(clips)
    return {name if alone else f"{folder}/{name}": one for (folder, name), one in clips.items()}


def beginning(found: Mapping[int, object], first: First, counted_from: int) -> int:
    """The number of a clip's first frame, in which there may be nobody.

    Likely is that a clip begins where its source counts from. One of which as much or more would
    then be missing at its start as it has is cut from the middle of a longer video: it begins
    with its own lowest number.

    Args:
        found: the frames that are there, by their numbers.
        first: what the user says.
        counted_from: the number with which the source counts (see `counted_from`).
    """
    lowest, last = min(found), max(found)
    if isinstance(first, str):
        return lowest
    if first is not None:
        return first
    missing, known = lowest - counted_from, last - lowest + 1
    return counted_from if missing < known and missing + known <= MOST_FRAMES else lowest


def counted_from(lowest: int) -> int:
    """Where a source counts from, by the lowest number in all its clips: 0, or 1 if it is 1."""
    return 1 if lowest == 1 else min(lowest, 0)


def check_first(reader: str, first: First) -> None:
    """Refuse what is no number of a first frame."""
    if first not in (None, LOWEST) and (isinstance(first, str) or first < 0):
        raise ValueError(f"{reader}: first must be a number from 0, or {LOWEST}, got {first!r}")


def check_size(reader: str, size: Size) -> None:
    """Refuse what is no size of an image."""
    if size is not None and min(size) < 1:
        raise ValueError(f"{reader}: size must be (height, width) in pixels, got {list(size)}")


def in_order(found: Mapping[int, T], nobody: T, first: int | None = None) -> list[T]:
    """Frames by their numbers, from the first to the last; `nobody` stands for what is missing.

    Args:
        found: those that are there.
        nobody: a frame without anybody.
        first: the number of the first frame; None: the lowest of those that are there.

    Raises:
        ValueError: there is none, or one before the first, or the first and the last are too far
            apart for one clip.
    """
    if not found:
        raise ValueError("it has no frame")
    lowest, last = min(found), max(found)
    first = lowest if first is None else first
    if lowest < first:
        raise ValueError(f"it has frame {lowest}, before the first by option `first`, {first}")
    if last - first >= MOST_FRAMES:
        raise ValueError(
            f"frames count from {str(first)[:40]} to {str(last)[:40]}; a clip has at most "
            f"{MOST_FRAMES}, so these are no frames of one clip"
        )
    return [found.get(number, nobody) for number in range(first, last + 1)]


@contextmanager
def naming(where: object) -> Iterator[None]:
    """Errors of the block say where they happened, in one line."""
    try:
        yield
    except OSError:
        raise
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{where}: {line(error)}") from error


def line(error: object) -> str:
    """An error's text as one line that is not too long."""
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else f"{text[:300]} ..."
