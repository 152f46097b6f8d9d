"""The shelf of readers, and PYSKL's pickles made by hand and by others."""

import collections
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reader_files import annotation, clips_of, pickled, refused

from skeldistill import readers
from skeldistill.readers import PYSKL, Penn


def test_shelf_finds_by_name_and_option() -> None:
    assert readers.find("penn") == Penn()
    assert readers.find("pyskl", layout="coco17") == PYSKL(layout="coco17")
    with pytest.raises(ValueError, match="did you mean 'pyskl'"):
        readers.find("pyskel")
    with pytest.raises(ValueError, match="no option 'layuot'; did you mean 'layout'"):
        readers.find("pyskl", layuot="coco17")
    with pytest.raises(ValueError, match="no layout called 'coco71'"):
        readers.find("pyskl", layout="coco71")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pyskl_reads_what_any_protocol_wrote(tmp_path: Path, protocol: int) -> None:
    data = {
        "split": {"train": ["a", "not here"], "test": ["b"], "val": ["a"]},
        "annotations": [annotation("a"), annotation("b", 7, label=np.int64(0))],
    }
    path = pickled(tmp_path / "a.pkl", data, protocol)
    source = PYSKL(classes=["sit", "run"]).describe(path)
    assert (source.layout.name, source.channels, source.units) == ("coco17", 2, "pixels")
    assert (source.classes, source.num_clips) == (("sit", "run"), 2)
    one, other = clips_of(PYSKL(), path)
    assert (one.id, one.label, one.splits, one.size) == ("a", 1, ("train", "val"), (240, 320))
    assert (other.id, other.label, other.splits, other.num_frames) == ("b", 0, ("test",), 7)
    np.testing.assert_array_equal(one.joints, data["annotations"][0]["keypoint"])
    assert (one.scores == 0.5).all()


def test_pyskl_reads_arrays_however_they_lie_in_memory(tmp_path: Path) -> None:
    plain = annotation()["keypoint"].astype(np.float32)
    kinds = [
        np.asfortranarray(plain),
        plain.astype(">f8"),
        plain.transpose(3, 1, 0, 2).copy().transpose(2, 1, 3, 0),
        np.repeat(plain, 2, axis=1)[:, ::2],
    ]
    for protocol in (2, 4, 5):
        data = [annotation(str(place), keypoint=kind) for place, kind in enumerate(kinds)]
        for clip in clips_of(PYSKL(), pickled(tmp_path / "a.pkl", data, protocol)):
            np.testing.assert_array_equal(clip.joints, plain)


def test_pyskl_old_list_three_dimensions_no_scores(tmp_path: Path) -> None:
    keypoint = np.ones((2, 5, 25, 3), np.float32)
    keypoint[1, 3:] = 0
    old = {"filename": "S001", "label": 0, "total_frames": 5, "keypoint": keypoint}
    path = pickled(tmp_path / "a.pkl", [old])
    assert PYSKL().describe(path).units == "metres"
    (clip,) = clips_of(PYSKL(), path)
    assert (clip.id, clip.layout.name, clip.size, clip.splits) == ("S001", "ntu25", None, ())
    assert clip.scores[1, 3:].sum() == 0
    assert clip.scores.sum() == 8 * 25


def test_scores_among_the_coordinates_are_no_depth(tmp_path: Path) -> None:
    flat = annotation()["keypoint"].astype(np.float32) * 300
    third = np.concatenate([flat, np.full((*flat.shape[:3], 1), 0.9, np.float32)], axis=3)
    mixed = pickled(tmp_path / "a.pkl", [annotation(keypoint=third)])
    refused(PYSKL(), mixed, "third coordinate between 0 and 1 beside others up to")
    near = np.random.default_rng(0).random((2, 4, 25, 3)).astype(np.float32)  # metres
    told = annotation(keypoint=near, keypoint_score=np.ones((2, 4, 25), np.float16))
    assert PYSKL().describe(pickled(tmp_path / "b.pkl", [told])).units == "metres"


def test_arrays_stand_for_lists(tmp_path: Path) -> None:
    one = annotation(img_shape=np.array([240, 320]))
    split = {"train": np.array(["a"])}
    path = pickled(tmp_path / "a.pkl", {"split": split, "annotations": [one]})
    (clip,) = clips_of(PYSKL(), path)
    assert (clip.size, clip.splits) == ((240, 320), ("train",))


def test_pyskl_lost_joints_have_no_place_and_scores_end_at_one(tmp_path: Path) -> None:
    score = np.full((2, 4, 17), 1.01, np.float16)
    score[0, 1, 2] = 0
    (clip,) = clips_of(PYSKL(), pickled(tmp_path / "a.pkl", [annotation(keypoint_score=score)]))
    assert (clip.joints[0, 1, 2] == 0).all()
    assert (clip.joints[0, 1, 3] != 0).all()
    assert clip.scores.max() == 1


def test_pyskl_asks_whose_25_joints_are_in_an_image(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps([annotation(keypoint=np.ones((1, 2, 25, 2), np.float16))]))
    with pytest.raises(ValueError, match=r"pass option layout=body25 .* or layout=ntu25"):
        PYSKL().describe(path)
    assert PYSKL(layout="ntu25").describe(path).layout.name == "ntu25"


def test_pyskl_names_classes_from_the_file_beside(tmp_path: Path) -> None:
    path = pickled(tmp_path / "a.pkl", [annotation()])
    beside = tmp_path / "classes.json"
    beside.write_text(json.dumps({"classes": ["sit", "run"]}))
    assert PYSKL().describe(path).classes == ("sit", "run")
    assert PYSKL(classes=["x", "y", "z"]).describe(path).classes == ("x", "y", "z")
    for text in ("[1]", "{", '{"classes": 3}', '{"classes": [1]}'):
        beside.write_text(text)
        with pytest.raises(ValueError, match=r"classes.json must hold"):
            PYSKL().describe(path)
    beside.write_text(json.dumps({"classes": ["sit"]}))
    refused(PYSKL(), path, "label 1; it must be 0 to 0")


def filled(value: float) -> np.ndarray:
    return np.full((1, 4, 17, 2), value)


BAD_ANNOTATIONS = {
    "no keypoints": ({"frame_dir": "a", "raw_file": "b"}, "holds no keypoints but points to other"),
    "three axes": (annotation(keypoint=np.ones((4, 17, 2))), "shape (4, 17, 2)"),
    "text": (annotation(keypoint=np.array(["a"])), "array of <U1"),
    "list": (annotation(keypoint=[1.0]), "no array"),
    "nan": (annotation(keypoint=filled(np.nan), keypoint_score=None), "or pass option nan_lost"),
    "too large": (annotation(keypoint=filled(1e300), keypoint_score=None), "not a"),
    "nobody": (annotation(keypoint=np.ones((0, 4, 17, 2)), keypoint_score=None), "0 persons"),
    "joints": (annotation(keypoint=np.ones((1, 4, 16, 2)), keypoint_score=None), "16 joints"),
    "scores": (annotation(keypoint_score=np.ones((2, 4))), "scores of shape (2, 4)"),
    "frames": (annotation(total_frames=5), "4 frames but says 5"),
    "label": (annotation(label="run"), "label 'run'"),
    "below": (annotation(label=-2), "label is -2"),
    "size": (annotation(img_shape=(0, 5)), "image size (0, 5)"),
    "no name": (annotation(name=""), "without a name"),
}  # fmt: skip


@pytest.mark.parametrize(("one", "said"), BAD_ANNOTATIONS.values(), ids=BAD_ANNOTATIONS)
def test_pyskl_bad_annotation_is_one_line(tmp_path: Path, one: dict[str, Any], said: str) -> None:
    refused(PYSKL(), pickled(tmp_path / "a.pkl", [one]), said)


@pytest.mark.parametrize("scored", [False, True])
def test_pyskl_reads_nan_as_lost_where_it_is_asked_to(tmp_path: Path, scored: bool) -> None:
    keypoint = np.arange(1, 2 * 3 * 17 * 2 + 1, dtype=np.float32).reshape(2, 3, 17, 2)
    keypoint[0, 1, 4, 0] = np.nan
    keypoint[1, 2] = np.nan
    scores = np.full((2, 3, 17), 0.5, np.float32)
    scores[0, 0, 7] = np.nan
    given = annotation(frames=3, keypoint=keypoint, keypoint_score=scores if scored else None)
    (clip,) = clips_of(PYSKL(nan_lost=True), pickled(tmp_path / "a.pkl", [given]))
    lost = np.zeros((2, 3, 17), bool)
    lost[0, 1, 4] = lost[1, 2] = True
    lost[0, 0, 7] = scored
    np.testing.assert_array_equal(clip.scores, np.where(lost, 0, 0.5 if scored else 1))
    np.testing.assert_array_equal(clip.joints, np.where(lost[..., None], 0, keypoint))


def test_pyskl_other_pickles_and_files(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    for data in (3, {"a": 1}, {"annotations": 3}, {"annotations": [1]}, None):
        refused(PYSKL(), pickled(path, data), "no PYSKL pickle")
    refused(PYSKL(), pickled(path, []), "holds no annotation")
    strange = {"split": {"train": ["x", "y"]}, "annotations": [annotation()]}
    refused(PYSKL(), pickled(path, strange), "names 2 clips, none in the file")
    refused(PYSKL(), pickled(path, {**strange, "split": [1]}), "`split` must say")
    refused(PYSKL(), tmp_path, "is a folder")
    refused(PYSKL(), tmp_path / "nowhere", "No such file")
    whole = pickle.dumps([annotation()])
    for length in (0, 1, 50, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(PYSKL(), path, "truncated")
    path.write_bytes(b"some text")
    refused(PYSKL(), path, "no pickle")


@pytest.mark.parametrize("name", ["human15", "mediapipe15", "mediapipe33"])
def test_jhmdb_itself(real_data: Callable[[str], Path], name: str) -> None:
    path = real_data(f"jhmdb/jhmdb14_{name}.pkl")
    source = PYSKL().describe(path)
    assert len(source.classes) == 14
    counts = collections.Counter(split for clip in PYSKL().read(path) for split in clip.splits)
    assert counts == {
        "split1_train": 433, "split1_test": 176, "split2_train": 433,
        "split2_test": 176, "split3_train": 434, "split3_test": 175,
    }  # fmt: skip
    with path.open("rb") as file:
        known = pickle.load(file)["annotations"]
    for clip, one in zip(PYSKL().read(path), known, strict=True):
        lost = np.asarray(one.get("keypoint_score", 1)) == 0
        expected = np.where(lost[..., None], 0, one["keypoint"])
        np.testing.assert_array_equal(clip.joints, expected)


def test_official_samples(real_data: Callable[[str], Path]) -> None:
    path = real_data("fixtures/pyskl/paddlevideo_example_UCF101_skeleton.pkl")
    (clip,) = clips_of(PYSKL(), path)
    assert clip.joints.shape == (2, 163, 17, 2)
    assert (clip.layout.name, clip.size) == ("coco17", (256, 340))
    without = real_data("fixtures/pyskl/mmaction2_sample.pkl")
    refused(PYSKL(), without, "holds no keypoints")
