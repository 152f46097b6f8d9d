"""Pickles from strangers: nothing in them runs, and nothing in them costs much."""

import builtins
import collections
import os
import pickle
import pickletools
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reader_files import annotation, outcomes, pickled, refused

from skeldistill.clip import Clip
from skeldistill.readers import PYSKL, unpickling


class Calls:
    """Pickles into a call of whatever it is given."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.called = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.called


RAN: list[str] = []


def run(what: str) -> str:
    RAN.append(what)
    return what


HOSTILE = {
    "system": (Calls(os.system, "true"), "posix.system"),
    "eval": (Calls(builtins.eval, "1"), ".eval, and only"),
    "getattr": (Calls(getattr, 1, "real"), ".getattr, and only"),
    "a function of ours": (Calls(run, "a"), "run"),
    "nested": (Calls(collections.OrderedDict, [("a", Calls(run, "b"))]), "run"),
    "in an array": (np.array([Calls(run, "c")], object), "array of 'O8'"),
    "numpy load": (Calls(np.load, "x"), "load"),
    "set": ({1, 2}, "it holds a set; make it a list"),
    "a class": (Clip, "skeldistill.clip.Clip"),
    "size of nothing": (Calls(np.ndarray, (10**12,)), "empty array"),
    "bytes of nothing": (Calls(bytearray, 10**12), ".bytearray, and only"),
    "key that takes for ever": ({((),): 1}, "key of type tuple"),
}


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize(("data", "said"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_pickles_run_nothing(tmp_path: Path, data: Any, said: str, protocol: int) -> None:
    if protocol < 4 and isinstance(data, set):
        said = ".set, and only"
    refused(PYSKL(), pickled(tmp_path / "a.pkl", [data], protocol), said)
    assert RAN == []


RAW = {
    "persistent id": b"\x80\x04\x8c\x01aQ.",
    "extension": b"\x80\x04\x82\x01.",
    "no end": b"\x80\x04]",
    "bytes of a false size": b"\x80\x04\x8e" + struct.pack("<Q", 2**50) + b"x.",
    "bytearray of a false size": b"\x80\x05\x96" + struct.pack("<Q", 2**50) + b"x.",
    "frame of a false size": b"\x80\x04\x95" + struct.pack("<Q", 2**50) + b"N.",
    "buffer outside": b"\x80\x05\x97.",
    "memo far away": b"\x80\x04]r\xff\xff\xff\x7f.",
    "number of many digits": b"\x80\x04L" + b"9" * 100_000 + b"L\n.",
    "deep nest": b"\x80\x04" + b"]" * 20_000 + b"a" * 19_999 + b".",
    "list in itself": b"\x80\x04]\x94h\x00a.",
    "changes an allowed name": b"\x80\x02cnumpy\ndtype\n}X\x01\x00\x00\x00ai\x00b.",
    "dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.tofile\x93.",
}


def test_text_is_no_pickle_rather_than_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_text("hello world\n", encoding="utf-8")
    refused(PYSKL(), path, "damaged or no pickle")


@pytest.mark.parametrize("raw", RAW.values(), ids=RAW)
def test_hostile_bytes_cost_nothing(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(raw)
    refused(PYSKL(), path, "a.pkl")


def test_unpickling_agrees_with_pickle(tmp_path: Path) -> None:
    data = [{"a": (1, 2.5, None, True, "é", b"x"), "b": [[], {}], 0.3: -(2**70)}, ()]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert unpickling.load(pickled(tmp_path / "a.pkl", data, protocol)) == data


@pytest.mark.parametrize("times", [600, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutated_pickles_are_clips_or_one_error(tmp_path: Path, times: int) -> None:
    whole = pickle.dumps({"split": {"train": ["a"]}, "annotations": [annotation(frames=1)]}, 4)
    assert len(pickletools.optimize(whole)) < 1000
    seen = outcomes(PYSKL(), tmp_path / "a.pkl", whole, times)
    assert "clips" in seen
    assert len(seen) > 10
    assert not any("<a second line>" in line for line in seen)
