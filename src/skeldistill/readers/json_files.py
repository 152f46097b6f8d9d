"""What readers of JSON share: parsing, and arrays of numbers from lists, with clear errors."""

import json
import reprlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from skeldistill.readers.source_files import line


def load(file: Path) -> Any:
    """What a JSON file holds.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no JSON, or holds a number that is not finite.
    """
    return parse(file.read_bytes(), str(file))


def parse(text: bytes, where: str) -> Any:
    """What a JSON text holds; `where` names it in errors."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is damaged or no JSON ({line(error)})") from error


def numbers(value: Any, shape: tuple[int | None, ...], what: str) -> Float32[np.ndarray, "..."]:
    """Nested lists of numbers as an array.

    Args:
        value: as JSON gives it.
        shape: how long each axis must be, None where any length will do.
        what: names it in errors.

    Raises:
        ValueError: it is no such list.
    """
    # through objects: given a chance, numpy takes text and truth values for numbers
    array = np.array(value, dtype=object)
    fits = array.ndim == len(shape) and all(
        want in (None, have) for want, have in zip(shape, array.shape, strict=True)
    )
    if not fits or not isinstance(value, list) or not set(map(type, array.flat)) <= {int, float}:
        wanted = " x ".join("any" if want is None else str(want) for want in shape)
        raise ValueError(
            f"{what} must be lists of numbers, {wanted} of them, got {reprlib.repr(value)}"
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused by the clip
        return array.astype(np.float64).astype(np.float32)


def field(data: Any, name: str, kind: type, what: str = "it") -> Any:
    """An entry of a JSON object, of the kind it must have; ValueError if it is not there."""
    if not isinstance(data, dict) or type(data.get(name)) is not kind:
        got = reprlib.repr(data.get(name)) if isinstance(data, dict) else reprlib.repr(data)
        raise ValueError(f"{what} needs {name!r} as {kind.__name__}, got {got}")
    return data[name]


def _refuse(constant: str) -> Any:
    raise ValueError(f"it holds {constant} where a number belongs")
