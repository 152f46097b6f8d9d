"""Penn Action: files made by hand, broken ones, and the real thing where it is at hand."""

import collections
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reader_files import clips_of, outcomes, refused
from scipy.io import savemat

from skeldistill.layouts import PENN13
from skeldistill.readers import Penn, matlab


def penn_file(path: Path, **changes: Any) -> Path:
    frames = 3
    x = np.arange(frames * 13, dtype=float).reshape(frames, 13) + 10
    visible = np.ones((frames, 13), np.uint8)
    visible[1, 2] = visible[2, 4] = 0
    x[2, 4] = 0.8
    y = np.where(x < 1, 0.8, x + 100)
    whole = {
        "action": "strumming_guitar",
        "pose": "front",
        "x": x,
        "y": y,
        "visibility": visible,
        "train": 1,
        "bbox": np.ones((frames + 1, 4)),
        "dimensions": np.array([[270, 480, frames]]),
        "nframes": frames,
        **changes,
    }
    savemat(path, {name: value for name, value in whole.items() if value is not None})
    return path


def test_penn_by_hand(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    penn_file(tmp_path / "labels" / "0002.mat")
    penn_file(tmp_path / "labels" / "0001.mat", train=-1, action="squat")
    for folder in (tmp_path, tmp_path / "labels"):
        assert Penn().describe(folder).num_clips == 2
        test, train = clips_of(Penn(), folder)
    assert (test.id, test.splits, train.id, train.splits) == ("0001", ("test",), "0002", ("train",))
    classes = Penn().describe(tmp_path).classes
    assert (classes[test.label], classes[train.label]) == ("squat", "strum_guitar")
    assert len(classes) == 15
    assert (train.size, train.extra, train.layout) == ((270, 480), {"viewpoint": "front"}, PENN13)
    np.testing.assert_array_equal(train.joints[0, 0, 1], [11, 111])
    assert train.scores[0, 1, 2] == 0.5  # hidden, but placed
    np.testing.assert_array_equal(train.joints[0, 1, 2], [25, 125])
    assert train.scores[0, 2, 4] == 0  # hidden, and left in the corner
    np.testing.assert_array_equal(train.joints[0, 2, 4], [0, 0])
    assert train.scores.sum() == 3 * 13 - 1.5


def test_penn_may_lose_all_that_is_hidden(tmp_path: Path) -> None:
    (clip,) = clips_of(Penn(lose_hidden=True), penn_file(tmp_path / "1.mat"))
    assert (clip.scores == 0).sum() == 2
    assert (clip.joints[clip.scores == 0] == 0).all()


BAD_PENN: dict[str, tuple[dict[str, Any], str]] = {
    "nan": ({"x": np.full((3, 13), np.nan)}, "finite"),
    "joints": ({"x": np.ones((3, 14))}, "each of 13 joints"),
    "lengths": ({"x": np.ones((4, 13))}, "have shapes"),
    "text": ({"x": "many"}, "no array 'x'"),
    "action": ({"action": "squad"}, "did you mean 'squat'"),
    "train": ({"train": 0}, "train is 0"),
    "dimensions": ({"dimensions": np.array([[0, 1, 2]])}, "dimensions are"),
    "missing": ({"visibility": None}, "no array 'visibility'"),
    "empty": ({"pose": np.zeros((0, 0))}, "1.mat"),
}


@pytest.mark.parametrize(("changes", "said"), BAD_PENN.values(), ids=BAD_PENN)
def test_bad_penn_files_are_one_line(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    refused(Penn(), penn_file(tmp_path / "1.mat", **changes), said)


def test_penn_elsewhere(tmp_path: Path) -> None:
    refused(Penn(), tmp_path, "no .mat file")
    refused(Penn(), tmp_path / "nowhere", "no folder")
    path = tmp_path / "1.mat"
    for raw in (b"", b"text", b" " * 600):
        path.write_bytes(raw)
        refused(Penn(), path, "no MATLAB file of version 5 to 7")
    path.write_bytes(b"MATLAB 7.3 MAT-file" + b" " * 600)
    refused(Penn(), path, "version 7.3")


@pytest.mark.parametrize("times", [400, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutated_penn_files_are_clips_or_one_error(tmp_path: Path, times: int) -> None:
    path = penn_file(tmp_path / "1.mat")
    seen = outcomes(Penn(), path, path.read_bytes(), times)
    assert "clips" in seen
    assert len(seen) > 5
    assert not any("<a second line>" in line for line in seen)


def test_matlab_files_are_read_as_scipy_reads_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    kinds = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
    data = {f"x{kind}": (rng.random((3, 4, 2)) * 100).astype(kind) for kind in kinds}
    for packed in (False, True):
        savemat(
            tmp_path / "1.mat", {**data, "text": "h\u00e9", "s": {"a": 1}}, do_compression=packed
        )
        found = matlab.load(tmp_path / "1.mat")
        assert found.keys() == {*data, "text"}
        assert found["text"] == "h\u00e9"
        for name, value in data.items():
            np.testing.assert_array_equal(found[name], value)
            assert found[name].dtype == value.dtype


def test_a_matlab_file_that_unpacks_to_anything_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    savemat(tmp_path / "1.mat", {"x": np.zeros((1000, 1000))}, do_compression=True)
    monkeypatch.setattr(matlab, "LARGEST_VARIABLE", 2**20)
    with pytest.raises(ValueError, match="takes 1048576 bytes or more"):
        matlab.load(tmp_path / "1.mat")


def test_penn_itself(real_data: Callable[[str], Path]) -> None:
    folder = real_data("penn_action/labels")
    counts = collections.Counter(clip.splits[0] for clip in Penn().read(folder))
    assert counts == {"train": 1258, "test": 1068}
