"""What readers of MATLAB files share: one array of numbers of a shape that is known."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from skeldistill.readers import matlab
from skeldistill.readers.source_files import MOST_FRAMES


def numbers(file: Path, name: str, shape: tuple[int | None, ...]) -> Float32[np.ndarray, "..."]:
    """The array of numbers called `name`.

    Args:
        file: of MATLAB's version 5 to 7.
        name: of the variable.
        shape: how long each axis must be; None, for the axis of frames, where any length will
            do. A last axis of length 1, which MATLAB drops, is put back.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no MATLAB file, or has no such array.
    """
    array = matlab.load(file).get(name)
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{file} has no array {name!r} of numbers")
    whole = (*array.shape, 1) if array.ndim == len(shape) - 1 else array.shape
    fits = len(whole) == len(shape) and all(
        want in (None, have) for have, want in zip(whole, shape, strict=True)
    )
    if not fits or not array.size or max(whole) > MOST_FRAMES:
        wanted = " x ".join("frames" if one is None else str(one) for one in shape)
        raise ValueError(f"{file}: {name} has shape {array.shape}; it must be {wanted}")
    with np.errstate(over="ignore", invalid="ignore"):  # the clip refuses what becomes infinite
        return array.reshape(whole).astype(np.float32)
