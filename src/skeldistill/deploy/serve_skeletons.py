"""Skeletons that were sent, as JSON or as a file of NumPy (.npz), as a clip; nothing is trusted."""

import io
import math
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float32
from pydantic import BaseModel, ValidationError

from skeldistill import layouts
from skeldistill.clip import Clip
from skeldistill.deploy.following import Pose
from skeldistill.deploy.serve_asked import MOST_PERSONS, LiveFrame, Skeletons
from skeldistill.deploy.serve_guard import Limits, Refused
from skeldistill.deploy.sources import RATE
from skeldistill.layouts import Layout
from skeldistill.shelf import nearest

MOST_TEXT = 8 * 10**6
"""Bytes of JSON, which needs many times as much memory."""

MOST_FILE = 32 * 10**6
"""Bytes of a file of NumPy, which may be packed."""

MOST_NUMBERS = 16 * 10**6
"""In an array of a file of NumPy."""

HEAD = 2**16
"""Bytes of such an array in which its shape stands."""

MOST_RATE = 120
"""Frames a second: what is longer than so many times the most seconds is no clip."""

FARTHEST = 1e7
"""Beyond it single precision overflows on the way to the network."""

LARGEST_SIDE = 2**16
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,  # with a password, or packed in an unknown way
    ValueError,  # a directory that claims to begin before the file
)
"""What reading an archive fails with."""

ZIP = b"PK\x03\x04"

S = TypeVar("S", bound=BaseModel)


def skeletons(content: bytes) -> Skeletons | dict[str, Any]:
    """What was sent, JSON or a file of NumPy, before it is looked at closely.

    Raises:
        Refused: it is neither, or larger than it may be.
    """
    if content.startswith(ZIP):
        return _arrays(content)
    return parsed(Skeletons, content)


def parsed(kind: type[S], content: bytes) -> S:
    """JSON as what it should be.

    Raises:
        Refused: it is no JSON, or something else; the line says where.
    """
    if len(content) > MOST_TEXT:
        raise Refused(413, f"JSON of more than {MOST_TEXT / 1e6:g} MB; send a file of NumPy (.npz)")
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        why = " ".join(first["msg"].split())
        if first["type"] == "extra_forbidden":
            why = nearest(place, kind.model_fields)
        if first["type"] == "json_invalid":
            raise Refused(400, f"neither JSON nor a file of NumPy (.npz): {why[:200]}") from None
        raise Refused(422, f"{place[:100] or 'the whole'}: {why[:200]}") from None


def clip(sent: Skeletons | Mapping[str, Any], layout: Layout, limits: Limits) -> tuple[Clip, float]:
    """A clip and its frames per second.

    Args:
        sent: of `skeletons`.
        layout: of the joints, where it is not told.
        limits: how long a clip may be.

    Raises:
        Refused: one line that says what is wrong with it.
    """
    told = dict(sent)
    joints = _array("joints", told["joints"], 4)
    rate = float(told.get("rate") or RATE)
    m, t = joints.shape[:2]
    if m > MOST_PERSONS:
        raise Refused(422, f"{m} persons; {MOST_PERSONS} at most are taken here")
    if t > limits.seconds * min(rate, MOST_RATE):
        raise Refused(
            413, f"{t} frames at {rate:g} a second; {limits.seconds:g} s at most are taken here"
        )
    found = layout if told.get("layout") is None else layout_called(str(told["layout"]))
    scores = told.get("scores")
    given: dict[str, Any] = {}
    if scores is not None:
        given["scores"] = _numbers("scores", scores, 3)
    name, size = str(told.get("name") or "skeletons")[:200], picture_size(told.get("size"))
    try:
        made = Clip(id=name, joints=_single("joints", joints), layout=found, size=size, **given)
    except ValueError as error:
        raise Refused(422, str(error)) from None
    return made, rate


def poses(sent: LiveFrame, layout: Layout) -> list[Pose]:
    """The people of one frame.

    Raises:
        Refused: one line that says what is wrong.
    """
    if not sent.joints:
        return []
    joints = _numbers("joints", sent.joints, 3)
    given: dict[str, Any] = {}
    if sent.scores is not None:
        given["scores"] = _numbers("scores", sent.scores, 2)[:, None]
    try:  # a frame is a clip of one, whose checks it has to pass
        one = Clip(id="frame", joints=joints[:, None], layout=layout, **given)
    except ValueError as error:
        raise Refused(422, str(error)) from None
    people = zip(one.joints[:, 0], one.scores[:, 0], strict=True)
    return [Pose(joints=pose, scores=sure) for pose, sure in people]


def layout_called(name: str) -> Layout:
    """The layout of a name alone: files of layouts are not read for somebody else.

    Raises:
        Refused: there is none.
    """
    if name.lower() not in layouts.SHELF:
        raise Refused(422, f"no layout called {name[:40]!r}; {nearest(name[:40], layouts.SHELF)}")
    return layouts.SHELF[name.lower()]


def picture_size(told: Any) -> tuple[int, int] | None:
    """(height, width) of a picture, if that is told; Refused if there is no such picture."""
    if told is None:
        return None
    sides = np.asarray(told)
    if sides.shape != (2,) or sides.dtype.kind not in "iu":
        raise Refused(422, "size: it must be (height, width) of the picture in pixels")
    height, width = sides.tolist()
    if not (1 <= height <= LARGEST_SIDE and 1 <= width <= LARGEST_SIDE):
        raise Refused(422, f"size: {height} x {width} pixels are no picture")
    return height, width


def _array(name: str, told: Any, axes: int) -> np.ndarray:
    """Numbers of any kind; nothing but their shape is looked at."""
    try:
        array = np.asarray(told)
    except ValueError:
        raise Refused(
            422, f"{name}: its lists differ in length; all persons need all frames"
        ) from None
    if array.dtype.kind not in "iuf" or array.ndim != axes:
        raise Refused(
            422, f"{name}: {array.dtype} of shape {array.shape}; numbers on {axes} axes are needed"
        )
    return array


def _single(name: str, array: np.ndarray) -> Float32[np.ndarray, "..."]:
    """Numbers in single precision, in which the farthest that is taken is exact."""
    with np.errstate(over="ignore"):  # becomes infinite, which is refused
        single = np.ascontiguousarray(array, np.float32)
    if single.size and not (single.min() >= -FARTHEST and single.max() <= FARTHEST):
        raise Refused(422, f"{name}: a number is not finite, or beyond {FARTHEST:g}")
    return single


def _numbers(name: str, told: Any, axes: int) -> Float32[np.ndarray, "..."]:
    return _single(name, _array(name, told, axes))


def _arrays(content: bytes) -> dict[str, Any]:
    """The arrays of a file of NumPy; what it claims is checked before anything is unpacked."""
    known, most = Skeletons.model_fields, 8 * MOST_NUMBERS
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            if len(entries) > len(known):
                raise Refused(422, f"a file of NumPy with {len(entries)} arrays; see {list(known)}")
            size = sum(entry.file_size for entry in entries)  # no more is ever unpacked
            if size > most:
                raise Refused(413, f"arrays of {size:,} bytes; {most:,} at most are taken")
            told = {}
            for entry in entries:
                name = entry.filename.removesuffix(".npy")
                if name not in known:
                    raise Refused(422, f"array {name[:40]!r}: {nearest(name[:40], known)}")
                told[name] = _unpacked(archive, entry)
    except Refused:
        raise
    except DAMAGED as error:
        why = " ".join(str(error).split())[:200]
        raise Refused(400, f"the file of NumPy is damaged ({why})") from None
    if "joints" not in told:
        raise Refused(422, "the file of NumPy has no array 'joints'")
    return {name: _plain(name, array) for name, array in told.items()}


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """One array, of which the shape is looked at before the rest is unpacked."""
    with archive.open(entry) as file:
        head = io.BytesIO(file.read(HEAD))
        shape, fortran, kind = _shape(head)
        if kind.hasobject or any(side < 0 for side in shape):
            raise Refused(422, "an array holds Python objects, which are not read; save numbers")
        count = math.prod(shape)
        if count > MOST_NUMBERS:
            raise Refused(
                413, f"an array of shape {shape}; {MOST_NUMBERS:,} numbers at most are taken"
            )
        raw = head.read() + file.read()
    if count * kind.itemsize != len(raw):
        raise Refused(400, f"an array claims shape {shape} but holds {len(raw):,} bytes")
    if not raw:
        return np.zeros(shape, kind)
    return np.frombuffer(raw, kind).reshape(shape, order="F" if fortran else "C")


def _shape(head: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """An array's shape, whether its first axis varies fastest, and the kind of its numbers."""
    try:
        version = np.lib.format.read_magic(head)
        read = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        return read(head)
    except (ValueError, KeyError, SyntaxError) as error:
        why = " ".join(str(error).split())[:200]
        raise Refused(400, f"an entry is no array of NumPy ({why})") from None


def _plain(name: str, array: np.ndarray) -> Any:
    """Arrays stay what they are; one value is taken out of its array."""
    if name in ("joints", "scores", "size"):
        return array
    wanted = "iuf" if name == "rate" else "U"
    if array.shape != () or array.dtype.kind not in wanted:
        raise Refused(422, f"{name}: it must be a single {'number' if name == 'rate' else 'text'}")
    value = array.item()
    if name == "rate" and not 0 < value <= 1000:
        raise Refused(422, f"rate: {value} is no number of frames per second (0 to 1000)")
    return value
