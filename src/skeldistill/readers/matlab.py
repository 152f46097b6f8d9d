"""MATLAB files of version 5 (all that MATLAB saves by default): arrays of numbers, and text.

Written here, although SciPy reads them too, since a damaged file can bring SciPy's reader, and
Python with it, to a crash; this one ends in one clear line whatever the file holds.
Source: MathWorks, "MAT-File Format" (level 5).
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

HEADER_BYTES = 128
LARGEST_VARIABLE = 2**28
"""Bytes; what unpacks to more is refused, as a small file may unpack to anything."""

COMPRESSED, MATRIX = 15, 14
CHARACTERS = 4
STORED = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
    16: "u1", 17: "u2", 18: "u4",
}  # fmt: skip
TEXT = {16: "utf-8", 17: "utf-16", 18: "utf-32"}
CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip


class _DamagedError(Exception):
    """Says what does not hold."""


def load(path: Path) -> dict[str, np.ndarray | str]:
    """The variables of a file that are arrays of numbers (of any axes) or one line of text.

    Cells, structures, objects, sparse and complex variables are passed over.

    Raises:
        OSError: the file cannot be read.
        ValueError: one line; the file is damaged, or of another version.
    """
    raw = path.read_bytes()
    if raw.startswith(b"MATLAB 7.3"):
        raise ValueError(f"{path} is a MATLAB file of version 7.3; save it again with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(raw[126:HEADER_BYTES])
    if order is None:
        raise ValueError(f"{path} is no MATLAB file of version 5 to 7, or is truncated")
    variables = {}
    try:
        for kind, body in _elements(raw[HEADER_BYTES:], order):
            if kind == COMPRESSED:
                kind, body = next(_elements(_unpacked(body), order))
            if kind == MATRIX and body:
                name, value = _variable(body, order)
                if value is not None:
                    variables[name] = value
    except (_DamagedError, zlib.error, struct.error, UnicodeDecodeError, ValueError) as error:
        why = " ".join(str(error).split())
        raise ValueError(f"{path} is damaged or truncated ({why}); fetch it again") from error
    except StopIteration as error:
        raise ValueError(f"{path} is damaged or truncated; fetch it again") from error
    return variables


def _elements(raw: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """The data elements, each its type and its bytes."""
    place = 0
    while place < len(raw):
        kind, count = struct.unpack_from(f"{order}2I", raw, place)
        if kind >> 16:  # a small element: its count and bytes share the first eight
            kind, count, start, end = kind & 0xFFFF, kind >> 16, place + 4, place + 8
        else:
            start = place + 8
            end = start + count if kind == COMPRESSED else start + count + -count % 8
        if count > len(raw) - start or start + count > end:
            raise _DamagedError("an element is longer than the file")
        yield kind, raw[start : start + count]
        place = end


def _unpacked(packed: bytes) -> bytes:
    machine = zlib.decompressobj()
    raw = machine.decompress(packed, LARGEST_VARIABLE)
    if len(raw) == LARGEST_VARIABLE:  # one that ends too early shows by its own element's length
        raise _DamagedError(f"a variable takes {LARGEST_VARIABLE} bytes or more")
    return raw


def _variable(body: bytes, order: str) -> tuple[str, np.ndarray | str | None]:
    elements = _elements(body, order)
    (_, flags), (_, sides), (_, name) = next(elements), next(elements), next(elements)
    (word,) = struct.unpack_from(f"{order}I", flags)
    kind, is_complex = word & 0xFF, bool(word & 0x800)
    title = name.decode("ascii")
    if is_complex or (kind not in CLASSES and kind != CHARACTERS):
        return title, None
    shape = tuple(int(side) for side in np.frombuffer(sides, f"{order}i4"))
    if len(shape) < 2 or min(shape) < 0:
        raise _DamagedError(f"{title!r} has shape {shape}")
    stored, numbers = next(elements, (2, b""))
    if kind == CHARACTERS:
        return title, _text(stored, numbers, order)
    if stored not in STORED:
        raise _DamagedError(f"{title!r} has numbers of kind {stored}")
    values = np.frombuffer(numbers, order + STORED[stored])
    with np.errstate(invalid="ignore", over="ignore"):
        return title, values.reshape(shape, order="F").astype(CLASSES[kind])


def _text(stored: int, raw: bytes, order: str) -> str:
    if stored in TEXT:
        by_order = {"<": "-le", ">": "-be"}[order] if stored != 16 else ""
        return raw.decode(TEXT[stored] + by_order)
    if stored not in STORED or STORED[stored][0] == "f":
        raise _DamagedError(f"text of kind {stored}")
    codes = np.frombuffer(raw, order + STORED[stored])
    return "".join(chr(code) if 0 <= code < 0x110000 else "\ufffd" for code in codes.tolist())
