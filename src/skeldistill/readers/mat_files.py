"""What readers of MATLAB files share: one array of numbers, checked before it is loaded."""

import math
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from scipy.io import loadmat, whosmat

from skeldistill.readers.source_files import MOST_FRAMES, line

KINDS = frozenset(
    ("double", "single", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
)


def load(file: Path, name: str, shape: tuple[int | None, ...]) -> Float32[np.ndarray, "..."]:
    """The array called `name`.

    Args:
        file: of MATLAB's version 7 or older.
        name: of the variable.
        shape: how long each axis must be; None, for the axis of frames, where any length will
            do. A last axis of length 1, which MATLAB drops, is put back.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no MATLAB file, or has no such array.
    """
    with file.open("rb"):  # a file that cannot be read is told from one that is damaged
        pass
    try:
        # sizes first: a damaged file may ask for more memory than there is
        about = [(kind, tuple(have)) for it, have, kind in whosmat(str(file)) if it == name]
        for kind, have in about:
            _check(name, kind, have, shape)
        found = loadmat(str(file), variable_names=[name]) if about else {}
    except OSError:
        raise
    except NotImplementedError as error:
        raise ValueError(f"{file} is of MATLAB 7.3; save it again with `-v7`") from error
    except Exception as error:  # a damaged file may provoke any of them
        raise ValueError(f"{file} is damaged or not as it should be ({line(error)})") from error
    if not isinstance(found.get(name), np.ndarray) or found[name].dtype.kind not in "fiu":
        raise ValueError(f"{file} has no array {name!r} of numbers")
    with np.errstate(over="ignore", invalid="ignore"):  # the clip refuses what becomes infinite
        array = found[name].astype(np.float32)
    array = array.reshape((*array.shape, 1)) if array.ndim == len(shape) - 1 else array
    _check(name, "double", array.shape, shape)
    return array


def _check(name: str, kind: str, have: tuple[int, ...], want: tuple[int | None, ...]) -> None:
    whole = (*have, 1) if len(have) == len(want) - 1 else have
    fits = len(whole) == len(want) and all(b in (None, a) for a, b in zip(whole, want, strict=True))
    if kind not in KINDS or not fits or math.prod(whole) == 0:
        wanted = " x ".join("frames" if one is None else str(one) for one in want)
        raise ValueError(f"{name} is {kind} of shape {have}; it must be numbers, {wanted}")
    if max(whole) > MOST_FRAMES:
        raise ValueError(f"{name} has shape {have}; a clip has at most {MOST_FRAMES} frames")
