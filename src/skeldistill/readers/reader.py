"""The contract of a reader: from files of one format to clips."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from skeldistill.clip import Clip
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is known of a source before its clips are read.

    layout: of every clip in it. channels: 2 or 3 coordinates. units: "pixels", "metres",
    "normalised" ... classes: action names by label, or () where the format does not name them.
    num_clips: how many clips will come, for a progress bar, or None where only reading tells.
    """

    layout: Layout
    channels: int
    units: str
    classes: tuple[str, ...] = ()
    num_clips: int | None = None


@dataclass(frozen=True, kw_only=True)
class Division:
    """A published way to divide a data set, by the names of the splits that clips come with.

    train, test: the splits. about: who or what trains. clips: how many clips the whole set has in
    either, or None where nobody says.
    """

    train: str
    test: str
    about: str
    clips: tuple[int, int] | None = None


@runtime_checkable
class Reader(Protocol):
    """Reads one format. Frozen; options (such as the layout) are given when it is made.

    A reader whose clips come with official splits also has a property `divisions`, a tuple of
    `Division` (see `skeldistill.readers.divisions`).

    Both methods raise ValueError or OSError with one clear line that names the file.
    """

    def describe(self, path: Path) -> Source:
        """Look at the source without reading all of it."""
        ...

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips one by one, in a stable order, each with its official splits."""
        ...


def clips_of(reader: Reader, path: Path | None) -> Iterator[Clip]:
    """What a reader reads; ValueError, in one line that names it, where that is no `Clip`.

    Args:
        reader: of ours or of one's own.
        path: what it reads; None for a reader that needs no files.
    """
    for clip in reader.read(path):  # type: ignore[arg-type]
        if not isinstance(clip, Clip):
            raise ValueError(
                f"reader {type(reader).__name__} gives a {type(clip).__name__} where a Clip "
                "belongs; read() must yield skeldistill.clip.Clip"
            )
        yield clip
