"""Files that are whole or absent: written under a temporary name, then renamed."""

import hashlib
import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LONGEST_STEM = 100
"""Bytes of a file's name that its temporary one keeps; systems take 255 in all."""


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; it takes its name only if the block ends well.

    The folder is made if it does not exist. After an error or an interrupt nothing remains, nor a
    folder made for it, and what the system says of the temporary file, it says of `path`.

    Raises:
        ValueError: something is there that no file may take the place of.
    """
    path = destination(path)
    made = folders_to_make(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: some writers choose the format, or add a suffix, by it.
    partial = path.with_name(f".{_brief(path.stem)}.{own_mark()}.partial{path.suffix}")
    try:
        yield partial
        _settled(partial)
        partial.replace(path)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        remove_empty(made)
        if isinstance(error, OSError) and error.errno and error.filename in (None, str(partial)):
            error.filename = str(path)
        raise


def cut(name: str, most: int) -> str:
    """A name of at most so many bytes, as file systems count; no letter of it is halved."""
    return os.fsencode(name)[:most].decode("utf-8", "ignore")


def readable(name: str) -> str:
    """A file's name as text that can be written: what is no letter in it becomes ``?``."""
    return name.encode("utf-8", "replace").decode("utf-8")


def _brief(stem: str) -> str:
    """What leaves room for more in the name of a file, and for no other's temporary one."""
    if len(os.fsencode(stem)) <= LONGEST_STEM:
        return stem
    return f"{cut(stem, LONGEST_STEM)}.{hashlib.sha256(os.fsencode(stem)).hexdigest()[:8]}"


def destination(path: Path) -> Path:
    """Where a file of this name belongs: for a link, where it leads.

    Raises:
        ValueError: it is a device or a pipe, which a file that takes its name would put away.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise ValueError(
            f"{path} is a device or a pipe, which cannot be written whole; name a file"
        )
    return path.resolve() if path.is_symlink() else path


def own_mark() -> str:
    """What keeps the temporary files of two machines, or two processes, apart."""
    return f"{platform.node()}.{os.getpid()}"


def _settled(path: Path) -> None:
    """Wait until the content is on the disk: a name that comes first stands for zeros after a cut.

    Writers that make no file, or a folder, are left alone.
    """
    if path.is_file():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def folders_to_make(folder: Path) -> list[Path]:
    """The folder and those it would lie in, as far as there are none yet; the deepest first."""
    return [place for place in (folder, *folder.parents) if not place.exists()]


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders in turn, up to the first that holds something or is gone."""
    with suppress(OSError):
        for folder in folders:
            folder.rmdir()


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file whole or not at all.

    For what libraries would write by themselves: of a full disk only Python says that it is full.
    """
    with whole(path) as partial:
        partial.write_bytes(content)
