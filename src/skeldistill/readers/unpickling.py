"""Safe reading of pickles: numpy arrays and plain containers, nothing else.

A pickle is a program, so that one from a stranger may do anything. Here its only verbs are those
that make lists, tuples, dictionaries, text, numbers and numpy arrays; whatever else it asks for
is refused by name before any of it runs. Even numpy's own reconstruction is not called: it trusts
the sizes and flags in the file.
"""

import pickle
import re
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

DTYPE = re.compile(r"(b1|[iu][1248]|f[248]|[US]\d{1,6})")
KEYS = (str, bytes, int, float, type(None))


class _Refused(pickle.UnpicklingError):
    """A pickle asks for what it shall not have."""


class PickledArray:
    """An array as a pickle describes it; `numpy.asarray` makes a real one of it."""

    __slots__ = ("_array",)

    def __init__(self) -> None:
        self._array = np.zeros(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, column_major, raw = state
        self._array = _from_bytes(raw, dtype, shape, "F" if column_major else "C")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._array, dtype=dtype) if copy else np.asarray(self._array, dtype=dtype)


class PickledDtype:
    """A dtype as a pickle describes it: numbers, truth values and text."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or not DTYPE.fullmatch(code.lstrip("<>|=")):
            raise _Refused(f"it holds an array of {code!r}, not of numbers or text")
        self._code, self._order = code.lstrip("<>|="), "<"

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "|", "="):
            raise _Refused(f"it has an array of byte order {state[1]!r}")
        self._order = "<" if state[1] == "=" else state[1]

    @property
    def dtype(self) -> np.dtype:
        """The real thing."""
        return np.dtype(self._order + self._code)


class _Allowed:
    """Stands for a name that a pickle may ask for; it can be called and nothing else."""

    __slots__ = ("_make",)

    def __init__(self, make: Callable[..., Any]) -> None:
        self._make = make

    def __call__(self, *arguments: Any) -> Any:
        return self._make(*arguments)

    def __setstate__(self, state: Any) -> None:
        raise _Refused("it tries to change what it asked for")


def _from_bytes(
    raw: Any, dtype: Any, shape: Any, order: Any, axes: Sequence[int] | None = None
) -> np.ndarray:
    if isinstance(raw, str):  # Python 2 wrote bytes as text
        raw = raw.encode("latin1")
    if not isinstance(raw, bytes) or not isinstance(dtype, PickledDtype):
        raise _Refused("it has an array without numbers")
    values = np.frombuffer(raw, dtype.dtype)
    if order == "K" and axes is not None:  # stored with the axes in another order
        return values.reshape(shape).transpose(axes)
    return values.reshape(shape, order="F" if order == "F" else "C")


def _scalar(dtype: Any, raw: Any) -> Any:
    return _from_bytes(raw, dtype, (), "C").item()


def _encode(text: str, codec: str = "latin1") -> bytes:
    if codec not in ("latin1", "latin-1", "iso-8859-1"):
        raise _Refused(f"it encodes text as {codec!r}")
    return text.encode("latin1")


def _ordered(pairs: Any = ()) -> dict[Any, Any]:
    return _put({}, [item for key, value in pairs for item in (key, value)])


def _only_named(*_: Any) -> Any:
    raise _Refused("it makes an empty array of any size")


def _allowed() -> dict[tuple[str, str], _Allowed]:
    names: dict[tuple[str, str], Callable[..., Any]] = {
        ("numpy", "ndarray"): _only_named,
        ("numpy", "dtype"): PickledDtype,
        ("_codecs", "encode"): _encode,
        ("collections", "OrderedDict"): _ordered,
    }
    for core in ("numpy.core", "numpy._core"):
        names[f"{core}.multiarray", "_reconstruct"] = lambda *_: PickledArray()
        names[f"{core}.multiarray", "scalar"] = _scalar
        names[f"{core}.numeric", "_frombuffer"] = _from_bytes
    return {name: _Allowed(make) for name, make in names.items()}


class _Bounded:
    """A file that never promises more than it has, so that a false size costs no memory."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def read(self, count: int) -> bytes:
        if count < 0 or count > self._left:
            raise EOFError("it is truncated")
        self._left -= count
        return self._file.read(count)

    def readline(self) -> bytes:
        line = self._file.readline()
        self._left -= len(line)
        return line


_Machine: Any = pickle._Unpickler  # type: ignore[attr-defined]


# The machine in C takes sizes and memo places on trust and can be made to fill the memory; the
# one in Python keeps its memo in a dictionary and asks the file for every byte.
class _Unpickler(_Machine):
    """Python's own machine with the dangerous instructions taken out."""

    dispatch = dict(_Machine.dispatch)  # noqa: RUF012

    def __init__(self, file: _Bounded) -> None:
        super().__init__(file, encoding="latin1")
        self._names = _allowed()

    def find_class(self, module: str, name: str) -> Any:
        if not all(part.isidentifier() for part in (*module.split("."), name)):
            raise ValueError("it is another kind of file")
        if (module, name) not in self._names:
            raise _Refused(
                f"it asks for {module}.{name}, and only numpy arrays and plain containers are "
                "taken from a pickle"
            )
        return self._names[module, name]

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused("it points to things outside of it")

    def _refuse_set(self) -> None:
        raise _Refused("it holds a set; make it a list")

    def _load_bytearray(self) -> None:
        (count,) = struct.unpack("<Q", self.read(8))
        self.append(self.read(count))

    def _load_items(self) -> None:
        items = self.pop_mark()
        _put(self.stack[-1], items)

    def _load_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _put(self.stack[-1], [key, value])

    def _load_dict(self) -> None:
        items = self.pop_mark()
        self.append(_put({}, items))

    dispatch[pickle.BYTEARRAY8[0]] = _load_bytearray
    dispatch[pickle.SETITEMS[0]] = _load_items
    dispatch[pickle.SETITEM[0]] = _load_item
    dispatch[pickle.DICT[0]] = _load_dict
    for _opcode in (pickle.EMPTY_SET, pickle.ADDITEMS, pickle.FROZENSET):
        dispatch[_opcode[0]] = _refuse_set


def _put(target: Any, items: list[Any]) -> Any:
    """Fill a dictionary; keys are plain, as the hash of a nested tuple may take for ever."""
    if type(target) is not dict:
        raise _Refused(f"it puts items into a {type(target).__name__}")
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, KEYS):
            raise _Refused(f"it has a dictionary key of type {type(key).__name__}")
        target[key] = value
    return target


def load(path: Path) -> Any:
    """What a pickle holds: plain containers, numbers, text and `PickledArray`.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no pickle, is truncated or damaged, or asks for anything else.
    """
    with path.open("rb") as file:
        try:
            return _Unpickler(_Bounded(file, path.stat().st_size)).load()
        except OSError:
            raise
        except _Refused as error:
            raise ValueError(f"{path} is refused: {_line(error)}") from error
        except EOFError as error:
            raise ValueError(f"{path} is truncated, or no pickle; fetch it again") from error
        except Exception as error:  # a hostile file may provoke any of them
            raise ValueError(
                f"{path} is damaged or no pickle ({type(error).__name__}: {_line(error)})"
            ) from error


def _line(error: Exception) -> str:
    line = " ".join(str(error).split())
    return line if len(line) <= 200 else f"{line[:200]} ..."
