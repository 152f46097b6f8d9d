"""The contract of a pose estimator: from a picture to the people in it."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from skeldistill.layouts import Layout
from skeldistill.readers.tracking import People


@runtime_checkable
class Session(Protocol):
    """An estimator at work, its weights loaded; one video after the other."""

    def begin(self, path: Path | None, name: str) -> None:
        """Forget the last video.

        Args:
            path: the new one's file; None if it is a camera or a stream.
            name: the clip's id.

        Raises:
            OSError, ValueError: one line, if it cannot look at this one.
        """
        ...

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], time: float) -> People:
        """Everybody in the next frame (red, green, blue), `time` seconds after the first one.

        Joints are in pixels of the image; those of score 0 are lost. Every frame of a video is
        shown, in order.
        """
        ...

    def close(self) -> None:
        """Let go of the weights."""
        ...


@runtime_checkable
class Estimator(Protocol):
    """What finds people in pictures. Frozen; options are given when it is made."""

    @property
    def layout(self) -> Layout:
        """The joints it finds."""
        ...

    def about(self) -> Mapping[str, Any]:
        """Its name, options, version and checksums of weights: all that its answers depend on.

        Equal answers mean that what was extracted with one need not be done again with the other.

        Raises:
            OSError, ValueError: one line, if its files or its package are not there.
        """
        ...

    def open(self) -> Session:
        """Load the weights.

        Raises:
            OSError, ValueError: one line, if its files or its package are not there.
        """
        ...


def weights(path: str | None, what: str, option: str) -> Path:
    """A file of weights that is there; else one line that says how to get it.

    Args:
        path: as the option has it; None if it was not given.
        what: the estimator's name on the shelf.
        option: the name of the option.

    Raises:
        ValueError: the option was not given.
        OSError: there is no such file.
    """
    get = "`skeldistill fetch-weights` lists what there is"
    if path is None:
        raise ValueError(f"{what} needs {option}=FILE, its weights; {get}")
    if not Path(path).is_file():
        raise FileNotFoundError(f"{what}: no file {path} (option {option}); {get}")
    return Path(path)


def sha256(path: Path) -> str:
    """The checksum of a file, as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
