"""Damaged files: every reader gives valid clips or one line, at once and in little memory."""

import io
import json
import re
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from format_files import WRITERS
from reader_files import mutated
from scipy.io import savemat

from skeldistill import readers
from skeldistill.clip import Clip
from skeldistill.layouts import COCO17

TIMES = (200, pytest.param(1000, marks=pytest.mark.slow))
STRANGE = (
    "0", "-1", "2", "25", "999999999999", "1e308", "-1e39", "NaN", "Infinity", "null", "[]", "{}",
    '"x"', "true", "", "1 2", "9" * 5000,
)  # fmt: skip
MEGABYTE = 2**20


def damaged(whole: bytes, text: bool, rng: np.random.Generator) -> bytes:
    """Bytes changed at random; of a text half the time a number or a word, so that it parses."""
    if not text or rng.random() < 0.5:
        return mutated(whole, rng)
    words = list(re.finditer(rb"-?[0-9.]+|\"\w+\"", whole))
    for _ in range(rng.integers(1, 3)):
        word = words[rng.integers(len(words))]
        strange = STRANGE[rng.integers(len(STRANGE))].encode()
        whole = whole[: word.start()] + strange + whole[word.end() :]
        words = [one for one in words if one.end() <= word.start()] or words[:1]
    return whole


def in_archive(whole: bytes, rng: np.random.Generator) -> bytes:
    """An archive with one damaged array, whose checksums are right again."""
    source, target = zipfile.ZipFile(io.BytesIO(whole)), io.BytesIO()
    names = source.namelist()
    chosen = names[rng.integers(len(names))]
    with zipfile.ZipFile(target, "w") as archive:
        for name in names:
            array = source.read(name)
            head, rest = array[:200], array[200:]
            archive.writestr(name, mutated(head, rng) + rest if name == chosen else array)
    return target.getvalue()


def outcome(name: str, path: Path, describe: bool = True) -> str:
    try:
        if describe:
            readers.find(name).describe(path)
        for clip in readers.find(name).read(path):
            assert isinstance(clip, Clip)
    except (ValueError, OSError) as error:
        text = str(error)
        return "refused" if "\n" not in text and len(text) < 2000 else text
    return "read"


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files_are_read_or_refused_in_one_line(
    name: str, times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("format_files.FRAMES", 3)
    rng = np.random.default_rng(times)
    path = WRITERS[name](tmp_path, rng)
    files = [file for file in sorted(tmp_path.rglob("*")) if file.is_file()]
    wholes = [file.read_bytes() for file in files]
    outcomes = set()
    for time in range(times):
        place = int(rng.integers(len(files)))
        text = files[place].suffix in (".csv", ".json", ".skeleton", ".txt")
        zipped = files[place].suffix == ".npz" and rng.random() < 0.7
        whole = wholes[place]
        files[place].write_bytes(in_archive(whole, rng) if zipped else damaged(whole, text, rng))
        outcomes.add(outcome(name, path, describe=time % 4 == 0))
        files[place].write_bytes(wholes[place])
    assert outcomes == {"read", "refused"}


def hostile_npy(file: Path, header: str) -> None:
    text = header.encode().ljust(117) + b"\n"
    file.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64))


@pytest.mark.parametrize(
    "name",
    [
        "alphapose", "coco_result", "csv", "ntu", "kinetics_skeleton", "openpifpaf", "openpose",
    ],
)  # fmt: skip
def test_false_numbers_of_frames_cost_no_memory(name: str, tmp_path: Path) -> None:
    far = 10**12
    if name == "ntu":
        (tmp_path / "S001C001P001R001A001.skeleton").write_text(f"{far}\n0\n")
    if name == "kinetics_skeleton":
        data = [{"frame_index": t, "skeleton": []} for t in (0, far)]
        (tmp_path / "clip.json").write_text(json.dumps({"data": data}))
    if name == "openpifpaf":
        lines = [json.dumps({"frame": t, "predictions": []}) for t in (0, far)]
        (tmp_path / "clip.openpifpaf.json").write_text("\n".join(lines))
    pose = [1.0] * 51
    if name == "alphapose":
        people = [{"image_id": f"{t}.jpg", "keypoints": pose} for t in (0, far)]
        (tmp_path / "clip.json").write_text(json.dumps(people))
    if name == "coco_result":
        people = [{"image_id": t, "keypoints": pose} for t in (0, far)]
        (tmp_path / "clip.json").write_text(json.dumps(people))
    if name == "csv":
        cells = ",".join(f"{joint}_x,{joint}_y" for joint in COCO17.joints)
        lines = [f"{t},{','.join(['1'] * 34)}" for t in (0, far)]
        (tmp_path / "clip.csv").write_text("\n".join([f"frame,{cells}", *lines]))
    if name == "openpose":
        for t in (0, far):
            (tmp_path / f"clip_{t:012d}_keypoints.json").write_text('{"people": []}')
    cheaply_refused(name, tmp_path, "frames")


@pytest.mark.parametrize("shape", ["(1000000, 3, 300, 25, 2)", "(3, 10000000000, 25, 1)"])
def test_false_shapes_of_arrays_cost_no_memory(tmp_path: Path, shape: str) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}"
    hostile_npy(tmp_path / "train_data.npy", header)
    cheaply_refused("stgcn_npy", tmp_path, "damaged")


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "train_data.npy", np.array([{}] * 4, dtype=object), allow_pickle=True)
    cheaply_refused("stgcn_npy", tmp_path, "train_data.npy")
    array = np.array([{}] * 4, dtype=object)
    np.savez(tmp_path / "a.npz", x_train=array, y_train=array, x_test=array, y_test=array)
    cheaply_refused("ctrgcn_npz", tmp_path / "a.npz", "a.npz")


def test_false_sizes_in_matlab_files_cost_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "a1_s1_t1_skeleton.mat"
    savemat(file, {"d_skel": np.ones((20, 3, 7))})
    whole = file.read_bytes()
    # the three lengths, and the class of the array: 6 is double, 1 is cell
    sizes = whole.replace(b"\x14\0\0\0\x03\0\0\0\x07\0\0\0", b"\x14\0\0\0\x03\0\0\0\0\0\0\x7f")
    cells = sizes.replace(b"\x06\0\0\0\x08\0\0\0\x06\0\0\0", b"\x06\0\0\0\x08\0\0\0\x01\0\0\0")
    assert len({whole, sizes, cells}) == 3
    for broken in (sizes, cells):
        file.write_bytes(broken)
        cheaply_refused("utd_mhad", tmp_path, "skeleton.mat")


def cheaply_refused(name: str, path: Path, message: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            list(readers.find(name).read(path))
        assert tracemalloc.get_traced_memory()[1] < 20 * MEGABYTE
    finally:
        tracemalloc.stop()
