"""From files to a store and back, and what is told of a store."""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skeldistill import readers, waiting
from skeldistill.clip import Clip
from skeldistill.data.checking import Finding, check, describe
from skeldistill.data.exporting import export_pyskl
from skeldistill.data.importing import import_source
from skeldistill.data.store import Store, StoreWriter
from skeldistill.layouts import PENN13
from skeldistill.readers import PYSKL, Source


def upright(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Joints of people who stand, left joints right of right ones, as who faces us is seen."""
    places = {"head": 0, "shoulder": 60, "elbow": 100, "wrist": 140, "hip": 160, "knee": 220,
              "ankle": 280}  # fmt: skip
    body = [
        (100.0 if "left" in joint else 60.0, 10.0 + places[joint.split("_")[-1]])
        for joint in PENN13.joints
    ]
    return (np.array(body) + rng.normal(size=(1, frames, 13, 2))).astype(np.float32)


def clip(name: str, seed: int = 0, **changes: Any) -> Clip:
    joints = upright(6, np.random.default_rng([seed, *name.encode()]))
    return Clip(**{"id": name, "joints": joints, "layout": PENN13, "label": 0, **changes})


@dataclass(frozen=True, kw_only=True)
class Made:
    """A reader of clips that are there already; after them it may fail."""

    clips: tuple[Clip, ...]
    error: BaseException | None = None
    classes: tuple[str, ...] = ("run", "sit")

    def describe(self, path: Path | None = None) -> Source:
        return Source(layout=PENN13, channels=2, units="pixels", classes=self.classes)

    def read(self, path: Path | None = None) -> Iterator[Clip]:
        yield from self.clips
        if self.error is not None:
            raise self.error


def store_of(path: Path, *clips: Clip, **options: Any) -> Store:
    return import_source(Made(clips=clips, **options), None, path, progress=False)


def annotations(dtype: type) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    made = [
        {
            "frame_dir": f"clip{i}",
            "label": i % 2,
            "total_frames": 3 + i,
            "img_shape": (240, 320),
            "original_shape": (480, 640) if i % 2 else (240, 320),
            "keypoint": rng.random((2, 3 + i, 17, 2)).astype(dtype),
            "keypoint_score": np.ones((2, 3 + i, 17), np.float16),
        }
        for i in range(4)
    ]
    splits = {"test": ["clip3", "clip1"], "train": ["clip0", "clip2"]}
    return {"split": splits, "annotations": made}


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_pickle_comes_back_from_a_store(tmp_path: Path, dtype: type) -> None:
    source, back = tmp_path / "a.pkl", tmp_path / "b.pkl"
    data = annotations(dtype)
    source.write_bytes(pickle.dumps(data))
    reader = readers.find("pyskl", units="pixels")
    store = import_source(reader, source, tmp_path / "a.store")
    told = store.provenance
    assert (told["reader"], told["options"], told["source"]) == (
        "PYSKL",
        {"units": "pixels"},
        str(source),
    )
    export_pyskl(store, back)
    again = pickle.loads(back.read_bytes())
    assert {name: sorted(ids) for name, ids in again["split"].items()} == {
        name: sorted(ids) for name, ids in data["split"].items()
    }
    for one, other in zip(again["annotations"], data["annotations"], strict=True):
        assert one.keys() == other.keys()
        for name, value in other.items():
            np.testing.assert_array_equal(one[name], value)
            assert getattr(one[name], "dtype", None) == getattr(value, "dtype", None)
    assert import_source(PYSKL(), back, tmp_path / "b.store").fingerprint == store.fingerprint


def identical(back: Any, source: Any) -> None:
    """Everything the same, types and all; the ids of a split may stand in another order."""
    splits = [{name: sorted(ids) for name, ids in one["split"].items()} for one in (back, source)]
    assert splits[0] == splits[1]
    for one, other in zip(back["annotations"], source["annotations"], strict=True):
        assert one.keys() == other.keys()
        for name, value in other.items():
            assert type(one[name]) is type(value)
            if isinstance(value, np.ndarray):
                assert one[name].dtype == value.dtype
                np.testing.assert_array_equal(one[name], value)
            else:
                assert one[name] == value


def test_entries_that_are_not_pyskls_own_come_back_too(tmp_path: Path) -> None:
    data = annotations(np.float16)
    first, second, third, fourth = data["annotations"]
    first |= {"modality": "Pose", "start_index": 0, "test_mode": False, "note": None}
    second["keypoint"] = np.ones((1, 4, 17, 2), np.float32)
    second["keypoint_score"] = np.ones((1, 4, 17), np.float32)
    del third["original_shape"]
    for name in ("img_shape", "original_shape"):
        del fourth[name]
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(data))
    store = import_source(PYSKL(), tmp_path / "a.pkl", tmp_path / "a.store", progress=False)
    export_pyskl(store, tmp_path / "b.pkl")
    identical(pickle.loads((tmp_path / "b.pkl").read_bytes()), data)


@pytest.mark.parametrize(
    "name",
    [
        "jhmdb/jhmdb14_human15.pkl",
        "jhmdb/jhmdb14_mediapipe33.pkl",
        "fixtures/pyskl/paddlevideo_example_UCF101_skeleton.pkl",
    ],
)
def test_real_pickles_come_back_identical(
    real_data: Callable[[str], Path], tmp_path: Path, name: str
) -> None:
    with real_data(name).open("rb") as file:
        data = pickle.load(file)
    store = import_source(PYSKL(), real_data(name), tmp_path / "a.store", progress=False)
    export_pyskl(store, tmp_path / "b.pkl")
    alone = "annotations" not in data
    source = {"split": {}, "annotations": [data]} if alone else data
    identical(pickle.loads((tmp_path / "b.pkl").read_bytes()), source)


@pytest.mark.parametrize(
    "error", [ValueError("bad clip"), OSError("gone"), KeyboardInterrupt(), MemoryError()]
)
def test_a_failure_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        store_of(tmp_path / "a.store", clip("a"), error=error)
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_store_that_was_there(tmp_path: Path) -> None:
    before = store_of(tmp_path / "a.store", clip("a")).fingerprint
    with pytest.raises(ValueError, match="bad clip"):
        store_of(tmp_path / "a.store", clip("b"), error=ValueError("bad clip"))
    assert Store.open(tmp_path / "a.store").fingerprint == before


def test_a_source_that_is_not_there_makes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        import_source(PYSKL(), tmp_path / "nowhere", tmp_path / "new" / "a.store")
    with pytest.raises(ValueError, match="reader PYSKL needs a source"):
        import_source(PYSKL(), None, tmp_path / "new" / "a.store")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("patience", [0.0, 1000.0])
def test_a_bar_appears_only_if_it_takes_long(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    patience: float,
) -> None:
    monkeypatch.setattr(waiting, "PATIENCE", patience)
    clips = tuple(clip(f"{i}") for i in range(5))
    import_source(Made(clips=clips), None, tmp_path / "a.store")
    told = capsys.readouterr()
    assert told.out == ""
    assert ("clips" in told.err) == (patience == 0)


def test_describe_counts(tmp_path: Path) -> None:
    scores = np.ones((1, 6, 13), np.float32)
    scores[:, :3] = 0
    joints = upright(6, np.random.default_rng(0)) * (scores > 0)[..., None]
    store = store_of(
        tmp_path / "a.store",
        clip("a", splits=("train",)),
        clip("b", label=1, splits=("train",), joints=joints, scores=scores),
        clip("c", label=1, splits=("test",), joints=upright(9, np.random.default_rng(1))),
        clip("d", label=-1, joints=upright(2, np.random.default_rng(2))),
    )
    told = describe(store)
    assert (told["clips"], told["unlabelled"], told["layout"]) == (4, 1, "penn13")
    assert told["splits"] == {"test": 1, "train": 2}
    assert told["classes"][1] == {
        "label": 1,
        "name": "sit",
        "clips": 2,
        "splits": {"test": 1, "train": 1},
    }
    assert told["frames"] == {"min": 2, "median": 6.0, "max": 9}
    assert told["persons"] == {"min": 1, "median": 1.0, "max": 1}
    assert told["lost_joints"] == pytest.approx(3 / 23)
    assert told["bytes"] == store.path.stat().st_size


def test_describe_names_only_the_classes_there_are(tmp_path: Path) -> None:
    store = store_of(tmp_path / "a.store", clip("a"), clip("b", label=10**6), classes=())
    told = describe(store)["classes"]
    assert [(entry["label"], entry["name"]) for entry in told] == [(0, "0"), (10**6, "1000000")]


def test_a_number_that_is_no_classs_costs_no_memory(tmp_path: Path) -> None:
    store = store_of(tmp_path / "a.store", clip("a"), clip("b", label=2**31 - 1), classes=())
    told = [found.line for found in check(store)]
    assert f"labels go up to {2**31 - 1} though only 2 occur; number them from 0" in told


def sound(tmp_path: Path, name: str, seed: int = 0) -> Store:
    clips = [
        clip(f"{split}{label}", seed, label=label, splits=(split,))
        for split in ("train", "test")
        for label in (0, 1)
    ]
    return store_of(tmp_path / name, *clips)


def test_nothing_is_said_of_a_sound_store(tmp_path: Path) -> None:
    high, low = sound(tmp_path, "high"), sound(tmp_path, "low", seed=1)
    assert check(high) == []
    assert check(high, low) == []


ZEROS = np.zeros((1, 6, 13, 2), np.float32)
WRONG: dict[str, tuple[list[Clip], str, str]] = {
    "unlabelled": ([clip("x", label=-1)], "warning", "1 clip ('x') without a label"),
    "nobody": ([clip("x", joints=ZEROS)], "warning", "1 clip ('x') without any seen joint"),
    "one frame": ([clip("x", joints=ZEROS[:, :1] + 1)], "warning", "('x') of a single frame"),
    "frozen": ([clip("x", joints=ZEROS + 1)], "warning", "1 clip ('x') in which nothing moves"),
    "class in a split": (
        [clip("x", splits=("val",))],
        "warning",
        "split 'val' has no clip of 1 class ('sit')",
    ),
    "both splits": (
        [clip("x", splits=("train", "test"))],
        "error",
        "1 clip ('x') in 'train' and in 'test' at once",
    ),
    "uneven": (
        [clip(f"x{i}") for i in range(40)],
        "warning",
        "classes are uneven: 42 clips of 'run', 2 of 'sit'",
    ),
    "copies": (
        [clip("x", joints=clip("train0").joints)],
        "warning",
        "the same joints under two ids: 1 pair ('train0' = 'x')",
    ),
    "leak": (
        [clip("x", joints=clip("train0").joints, splits=("test",))],
        "error",
        "the same joints in 'train' and 'test': 1 pair ('train0' = 'x')",
    ),
}


@pytest.mark.parametrize(("clips", "level", "line"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said(tmp_path: Path, clips: list[Clip], level: str, line: str) -> None:
    before = sound(tmp_path, "before")
    store = store_of(tmp_path / "a", *(before.clip(i) for i in range(4)), *clips)
    found = [(one.level, one.line) for one in check(store)]
    assert any(one == level and line in said for one, said in found), found


def test_no_split_and_a_class_without_clips(tmp_path: Path) -> None:
    store = store_of(tmp_path / "a", clip("a"), classes=("run", "sit", "wave"))
    lines = {one.line for one in check(store)}
    assert {"no clip is in any split", "no clip of 2 classes ('sit', 'wave')"} <= lines


def test_axes_in_another_order(tmp_path: Path) -> None:
    swapped = [clip(f"{i}", joints=clip(f"{i}").joints[..., ::-1].copy()) for i in range(4)]
    lines = " ".join(one.line for one in check(store_of(tmp_path / "a", *swapped)))
    assert "are the coordinates in the order x, y(, z)?" in lines


def test_damage_on_the_disk(tmp_path: Path) -> None:
    store = sound(tmp_path, "a")
    raw = bytearray(store.path.read_bytes())
    raw[4 * int(store.joint_offsets[2]) + 1] ^= 1
    store.path.write_bytes(raw)
    error = Finding("error", "1 clip ('test0') damaged on the disk; import the source again")
    assert check(Store.open(store.path)) == [error]


def test_labels_beyond_the_classes_of_a_foreign_store(tmp_path: Path) -> None:
    store = store_of(tmp_path / "a", clip("a", label=1), classes=())
    told = Source(layout=PENN13, channels=2, units="pixels", classes=("run",))
    with StoreWriter(tmp_path / "b", told) as writer:
        writer._check = lambda clip: None  # type: ignore[method-assign]
        writer.write(store.clip(0))
    assert "('a') with a label beyond the 1 classes" in check(Store.open(tmp_path / "b"))[0].line


def test_what_is_wrong_with_a_pair(tmp_path: Path) -> None:
    high = sound(tmp_path, "high")
    longer = upright(9, np.random.default_rng(3))
    low = store_of(
        tmp_path / "low",
        clip("train0", label=1, splits=("train",)),
        clip("train1", 5, label=1, splits=("test",)),
        clip("test0", splits=("test",), joints=longer),
        clip("x", label=1),
        classes=("sit", "run"),
    )
    assert {(one.level, one.line) for one in check(high, low) if "low" in one.line} == {
        ("error", "high and low name different classes, or in another order"),
        ("error", "1 clip ('train0') with another label in low"),
        ("warning", "1 clip ('test1') only in high, not in low"),
        ("warning", "1 clip ('x') only in low, not in high"),
        ("warning", "1 clip ('test0') with another length in low"),
        ("warning", "1 clip ('train1') in other splits in low"),
        ("error", "1 clip ('train1') in 'test' of low and in 'train' of high"),
    }
    strangers = store_of(tmp_path / "strangers", clip("y"))
    assert Finding("error", "high and strangers have no id in common") in check(high, strangers)


def test_left_and_right_swapped_between_a_pair(tmp_path: Path) -> None:
    high = sound(tmp_path, "high")
    mirrored = [
        clip(one.id, label=one.label, splits=one.splits, joints=one.joints[:, :, PENN13.mirrored])
        for one in map(high.clip, range(4))
    ]
    found = check(high, store_of(tmp_path / "low", *mirrored))
    assert len(found) == 1
    assert "left and right seem to be swapped between high and low" in found[0].line


def test_real_pair(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    folder = real_data("jhmdb")
    human = readers.find("pyskl", units="normalised")
    high = import_source(human, folder / "jhmdb14_human15.pkl", tmp_path / "high")
    low = import_source(PYSKL(), folder / "jhmdb14_mediapipe15.pkl", tmp_path / "low")
    found = check(high, low)
    assert {one.level for one in found} == {"warning"}
    assert {one.line.split(" (")[0] for one in found} == {"116 clips"}
    # clips in which MediaPipe found nobody, and those in which it found little
    assert [one.line.split(" (")[0] for one in check(low)] == ["50 clips", "4 clips"]


def test_an_exported_pickle_can_be_read_by_older_numpy(tmp_path: Path) -> None:
    store = store_of(tmp_path / "a.store", clip("a"), clip("b"))
    export_pyskl(store, tmp_path / "b.pkl")
    text = (tmp_path / "b.pkl").read_bytes()
    assert b"numpy.core.multiarray" in text
    assert b"numpy._core" not in text
    first, second = pickle.loads(text)["annotations"]
    np.testing.assert_array_equal(first["keypoint"], store.joints(0))
    np.testing.assert_array_equal(second["keypoint"], store.joints(1))


def test_an_export_says_what_it_writes(tmp_path: Path) -> None:
    store = store_of(tmp_path / "a.store", clip("a"))
    with pytest.raises(ValueError, match=r"b\.csv: a pickle is written, so end its name in \.pkl"):
        export_pyskl(store, tmp_path / "b.csv")
    assert not (tmp_path / "b.csv").exists()
