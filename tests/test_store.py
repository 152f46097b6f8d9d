"""The store: what goes in comes out, and what is no store is refused in one line."""

import json
import os
import pickle
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from skeldistill.clip import Clip
from skeldistill.data import store_writer
from skeldistill.data.store import Store, StoreWriter
from skeldistill.layouts import COCO17, PENN13
from skeldistill.readers import Source

SOURCE = Source(layout=PENN13, channels=2, units="pixels", classes=("run", "sit", "wave"))


def make(name: str, seed: int, **changes: Any) -> Clip:
    rng = np.random.default_rng(seed)
    m, t = rng.integers(1, 4), rng.integers(1, 12)
    joints = rng.normal(size=(m, t, 13, 2)).astype(np.float32)
    scores = rng.random((m, t, 13), np.float32)
    return Clip(**{"id": name, "joints": joints, "scores": scores, "layout": PENN13, **changes})


def write(path: Path, clips: Iterable[Clip], source: Source = SOURCE, **about: Any) -> Store:
    with StoreWriter(path, source, **about) as writer:
        for clip in clips:
            writer.write(clip)
    return Store.open(path)


def same(one: Clip, other: Clip) -> None:
    np.testing.assert_array_equal(one.joints, other.joints)
    np.testing.assert_array_equal(one.scores, other.scores)
    assert one.layout.same_as(other.layout)
    for name in ("id", "label", "splits", "subject", "camera", "size"):
        assert getattr(one, name) == getattr(other, name)
    assert dict(one.extra) == dict(other.extra)


@pytest.fixture
def some(tmp_path: Path) -> Store:
    splits = [("train",), ("train", "val"), ("test",), ()]
    clips = [
        make(f"clip{i}", i, label=i % 3, splits=splits[i % 4], size=(240, 320) if i % 2 else None)
        for i in range(10)
    ]
    return write(tmp_path / "some.store", clips, provenance={"reader": "none"})


names = st.text(min_size=1, max_size=8).filter(lambda text: text.isprintable())
known = st.none() | st.integers(0, 2**31 - 1)


some_options = st.fixed_dictionaries(
    {
        "label": st.integers(-1, 2),
        "splits": st.lists(names, max_size=3, unique=True).map(tuple),
        "subject": known,
        "camera": known,
        "size": st.none() | st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
        "extra": st.dictionaries(names, st.integers() | names, max_size=2),
    }
)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.too_slow])
@given(
    options=st.dictionaries(names, some_options, min_size=1, max_size=6),
    seed=st.integers(0, 2**32),
    at_once=st.integers(1, 4),
)
def test_clips_come_back_as_they_went(
    options: dict[str, dict[str, Any]],
    seed: int,
    at_once: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    clips = [make(name, seed, **about) for name, about in options.items()]
    path = tmp_path_factory.mktemp("store") / "a.store"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_writer, "BATCH_CLIPS", at_once)
        store = write(path, clips)
    assert len(store) == len(clips)
    for index, clip in enumerate(clips):
        same(store.clip(index), clip)
    assert store.ids.tolist() == [clip.id for clip in clips]
    assert store.labels.tolist() == [clip.label for clip in clips]
    assert store.splits == [clip.splits for clip in clips]
    for name in {name for clip in clips for name in clip.splits}:
        expected = [place for place, clip in enumerate(clips) if name in clip.splits]
        assert store.in_split(name).tolist() == expected


@pytest.mark.parametrize("at_once", [1, 3, 100])
def test_flat_numbers_and_their_offsets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(store_writer, "BATCH_CLIPS", at_once)
    clips = [make(f"clip{i}", i) for i in range(7)]
    store = write(tmp_path / "a.store", clips)
    for clip, joint, score in zip(clips, store.joint_offsets, store.score_offsets, strict=True):
        joints = store.coordinates[joint : joint + clip.joints.size]
        np.testing.assert_array_equal(joints.reshape(clip.joints.shape), clip.joints)
        scores = store.coordinates[score : score + clip.scores.size]
        np.testing.assert_array_equal(scores.reshape(clip.scores.shape), clip.scores)


def test_columns(some: Store) -> None:
    assert some.channels == 2
    assert some.units == "pixels"
    assert some.classes == ("run", "sit", "wave")
    assert some.provenance == {"reader": "none"}
    assert some.split_names == ("test", "train", "val")
    assert some.sizes.tolist() == [[240, 320] if i % 2 else [-1, -1] for i in range(10)]
    assert set(some.subjects.tolist()) == {-1} == set(some.cameras.tolist())
    assert some.num_frames.tolist() == [some.clip(i).num_frames for i in range(10)]
    assert some.num_persons.tolist() == [some.clip(i).num_persons for i in range(10)]
    assert some.in_split("val").tolist() == [1, 5, 9]


def test_is_shown_without_its_numbers(some: Store) -> None:
    assert repr(some.path) in repr(some)
    assert "array" not in repr(some)
    assert "pyarrow" not in repr(some)


def test_a_split_that_is_not_there_names_the_nearest(some: Store) -> None:
    with pytest.raises(ValueError, match="no clip in split 'trian'; did you mean 'train'"):
        some.in_split("trian")


def test_places_outside_are_index_errors(some: Store) -> None:
    for place in (-1, 10):
        with pytest.raises(IndexError, match="clips 0 to 9"):
            some.clip(place)


def test_arrays_cannot_be_written_to(some: Store) -> None:
    with pytest.raises(ValueError, match="read-only"):
        some.clip(0).joints[:] = 0


def test_a_worker_process_gets_it_by_its_path(some: Store) -> None:
    again = pickle.loads(pickle.dumps(some))
    same(again.clip(3), some.clip(3))


def test_fingerprint_tells_contents_apart_and_nothing_else(tmp_path: Path) -> None:
    clips = [make(f"clip{i}", i, splits=("train",)) for i in range(4)]
    first = write(tmp_path / "a.store", clips, provenance={"date": "today"})
    again = write(tmp_path / "b.store", clips, provenance={"date": "tomorrow"})
    assert first.fingerprint == again.fingerprint
    moved = clips[0].joints.copy()
    moved[0, 0, 0, 0] += 1
    others = [
        clips[0].with_joints(moved, clips[0].scores),
        make("clip0", 0, splits=("test",)),
        make("clip0", 0, splits=("train",), label=1),
        make("clip9", 0, splits=("train",)),
    ]
    for place, other in enumerate(others):
        store = write(tmp_path / f"{place}.store", [other, *clips[1:]])
        assert store.fingerprint != first.fingerprint


def test_plain_pyarrow_and_pandas_read_it(some: Store) -> None:
    with pa.memory_map(str(some.path)) as file:
        table = pa.ipc.open_file(file).read_all()
        about = json.loads(table.schema.metadata[b"skeldistill"])
        rows = table.select(["joints", "persons", "frames"]).slice(2, 1).to_pylist()
    assert about["layout"]["name"] == "penn13"
    shape = (rows[0]["persons"], rows[0]["frames"], 13, about["channels"])
    joints = np.array(rows[0]["joints"], np.float32).reshape(shape)
    np.testing.assert_array_equal(joints, some.clip(2).joints)
    frame = pd.read_feather(some.path)
    assert frame["id"].tolist() == some.ids.tolist()
    np.testing.assert_array_equal(frame["joints"][2].reshape(shape), joints)


REFUSED = {
    "layout": (Clip(id="b", joints=np.ones((1, 1, 17, 2), np.float32), layout=COCO17),
               "layout 'coco17' but the source says 'penn13'"),
    "channels": (Clip(id="b", joints=np.ones((1, 1, 13, 3), np.float32), layout=PENN13),
                 "has 3 coordinates"),
    "label": (make("b", 0, label=3), "label 3 but there are 3 classes, 0 to 2"),
    "id": (make("a", 0), "'a' comes twice"),
    "number": (make("b", 0, subject=2**31), "too large"),
}  # fmt: skip


@pytest.mark.parametrize(("clip", "said"), REFUSED.values(), ids=REFUSED)
def test_a_clip_that_does_not_fit_leaves_nothing_behind(
    tmp_path: Path, clip: Clip, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as error:
        write(tmp_path / "a.store", [make("a", 0), clip])
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_an_interrupt_leaves_the_old_store(some: Store) -> None:
    before = some.path.read_bytes()

    def interrupted() -> Iterator[Clip]:
        yield make("a", 0)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(some.path, interrupted())
    assert some.path.read_bytes() == before
    assert [path.name for path in some.path.parent.iterdir()] == ["some.store"]


def test_a_pipe_is_no_place_for_a_store(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is a device or a pipe"):
        write(tmp_path / "pipe", [make("a", 0)])


def test_no_clip_makes_no_store(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no clip came"):
        write(tmp_path / "a.store", [])
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_store_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "good.pkl"
    path.write_bytes(b"the only copy")
    with pytest.raises(ValueError, match=r"good\.pkl is there already and no store"):
        write(path, [make("a", 0)])
    assert path.read_bytes() == b"the only copy"
    assert [path.name for path in tmp_path.iterdir()] == ["good.pkl"]


def refused(path: Path, said: str) -> None:
    with pytest.raises((ValueError, OSError), match=said) as error:
        Store.open(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_what_is_no_store_is_one_clear_line(tmp_path: Path, some: Store) -> None:
    refused(tmp_path / "nowhere", "no store at")
    refused(tmp_path, "is a folder")
    path = tmp_path / "a"
    for text in (b"", b"text of some length"):
        path.write_bytes(text)
        refused(path, "not an Arrow file")
    table = pa.table({"id": ["a"]})
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    refused(path, "no store of skeldistill")
    whole = some.path.read_bytes()
    for length in (6, 12, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        refused(path, "truncated")
    path.write_bytes(whole.replace(b'"format": 1', b'"format": 9'))
    refused(path, "written by a newer program")
    path.write_bytes(whole.replace(b'"centre": "head"', b'"centre": "heat"'))
    refused(path, "damaged")
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, some.table.schema):
        pass
    refused(path, "it holds no clip")


def test_a_compressed_copy_is_refused(tmp_path: Path, some: Store) -> None:
    path = tmp_path / "a"
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    file = pa.ipc.new_file(str(path), some.table.schema, options=options)
    with file as writer:
        writer.write_table(some.table)
    refused(path, "compressed")


def test_a_sliced_copy_is_read_right(tmp_path: Path, some: Store) -> None:
    path = tmp_path / "a"
    part = some.table.slice(3, 4)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, part.schema) as writer:
        writer.write_table(part)
    store = Store.open(path)
    for index in range(4):
        same(store.clip(index), some.clip(3 + index))


def test_mutated_stores_are_clips_or_one_error(
    tmp_path: Path, some: Store, rng: np.random.Generator
) -> None:
    whole = np.frombuffer(some.path.read_bytes(), np.uint8)
    path = tmp_path / "a"
    outcomes = []
    for _ in range(300):
        broken = whole.copy()
        places = rng.integers(0, len(whole), rng.integers(1, 12))
        if rng.random() < 0.5:  # the words of the format, not the numbers of the clips
            places = np.where(places % 2, places % 1500, len(whole) - 1 - places % 3000)
        broken[places] = rng.integers(0, 256, len(places))
        path.write_bytes(broken.tobytes())
        try:
            store = Store.open(path)
            for index in range(len(store)):
                store.clip(index)
            outcomes.append("clips")
        except (ValueError, OSError) as error:
            outcomes.append(str(error))
    assert "clips" in outcomes
    assert len({*outcomes}) > 3
    assert not any("\n" in outcome for outcome in outcomes)
