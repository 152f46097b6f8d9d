"""Fixing a store, comparing two, and labels from elsewhere."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from stores import named, small_store

from skeldistill import readers
from skeldistill.clip import UNLABELLED, Clip
from skeldistill.data import fixing
from skeldistill.data.checking import check
from skeldistill.data.comparing import compare
from skeldistill.data.convert import convert_store
from skeldistill.data.fixing import fix
from skeldistill.data.importing import import_source, missed
from skeldistill.data.labelling import Labels
from skeldistill.data.rewriting import rewrite
from skeldistill.data.store import Store, checksum
from skeldistill.data.store_writer import StoreWriter
from skeldistill.layouts import COCO17, NTU25, PENN13
from skeldistill.readers.reader import Source


def spoilt(store: Store, path: Path, **columns: Any) -> Store:
    """A copy with some cells changed, as another program might write it."""
    table = store.table
    for name, changes in columns.items():
        cells = table[name].to_pylist()
        for row, value in changes.items():
            cells[row] = value
        place = table.schema.get_field_index(name)
        table = table.set_column(
            place, table.schema.field(name), pa.array(cells, table.schema.field(name).type)
        )
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
        writer.write_table(table)
    return Store.open(path)


def test_what_is_safe_is_put_right_and_told(tmp_path: Path) -> None:
    store = small_store(tmp_path / "a.arrow", named(8, "train"))
    joints = {row: store.joints(row).copy() for row in range(8)}
    scores = {row: store.scores(row).copy() for row in range(8)}
    joints[1][0, 3, 5] = np.nan
    scores[2][0, 4] = 0  # lost, but with coordinates
    scores[3][:] = joints[3][:] = 0
    sums = {row: checksum(joints[row], scores[row]) for row in (1, 2, 3)}
    broken = spoilt(
        store,
        tmp_path / "b.arrow",
        joints={row: joints[row].reshape(-1).tolist() for row in (1, 2, 3)},
        scores={row: scores[row].reshape(-1).tolist() for row in (2, 3)},
        checksum={**sums, 4: 1},
        id={6: "clip005"},
        label={7: 9},
    )
    assert {finding.level for finding in check(broken)} == {"error", "warning"}
    fixed, lines = fix(broken, tmp_path / "c.arrow", quiet=True)
    assert lines == [
        f"1 clip ('clip001') {fixing.LOST}",
        f"1 clip ('clip002') {fixing.CLEARED}",
        f"1 clip ('clip003') {fixing.DROPPED_EMPTY}",
        f"1 clip ('clip004') {fixing.DROPPED_DAMAGED}",
        f"1 clip ('clip005') {fixing.DROPPED_TWICE}",
        f"1 clip ('clip007') {fixing.UNNAMED}",
    ]
    assert fixed.ids.tolist() == ["clip000", "clip001", "clip002", "clip005", "clip007"]
    assert fixed.labels.tolist()[-1] == UNLABELLED
    assert not fixed.scores(1)[0, 3, 5]
    assert not fixed.joints(1)[0, 3, 5].any()
    assert np.count_nonzero(fixed.scores(1) == 0) == 1
    assert not fixed.joints(2)[0, 4].any()
    np.testing.assert_array_equal(fixed.joints(3), store.joints(5))
    assert fixed.provenance["fixed"] == str(broken.path)
    assert not [finding for finding in check(fixed) if finding.level == "error"]
    again, nothing = fix(fixed, tmp_path / "d.arrow", quiet=True)
    assert (nothing, again.fingerprint) == ([], fixed.fingerprint)


def test_ids_that_come_twice_are_errors(tmp_path: Path) -> None:
    store = small_store(tmp_path / "a.arrow", named(4, "train"))
    twice = spoilt(store, tmp_path / "b.arrow", id={3: "clip000"})
    assert "error: 1 id ('clip000') of more than one clip" in said(twice)


def test_persons_who_are_never_seen_are_left_out(tmp_path: Path) -> None:
    store = small_store(tmp_path / "a.arrow", named(2, "train"))

    def crowded() -> list[Clip]:
        clips = [store.clip(row) for row in range(2)]
        joints = np.concatenate([np.zeros_like(clips[0].joints), clips[0].joints])
        scores = np.concatenate([np.zeros_like(clips[0].scores), clips[0].scores])
        return [clips[0].with_joints(joints, scores), clips[1]]

    two = rewrite(store, tmp_path / "b.arrow", crowded(), {}, quiet=True)
    fixed, lines = fix(two, tmp_path / "c.arrow", quiet=True)
    assert lines == [f"1 clip ('clip000') {fixing.UNSEEN}"]
    np.testing.assert_array_equal(fixed.joints(0), store.joints(0))


def test_a_store_is_not_written_over_itself(tmp_path: Path) -> None:
    store = small_store(tmp_path / "a.arrow", named(2, "train"))
    with pytest.raises(ValueError, match="is the store that is read"):
        fix(store, store.path, quiet=True)


def said(store: Store, pair: Store | None = None) -> list[str]:
    return [f"{finding.level}: {finding.line}" for finding in check(store, pair)]


def test_one_view_trains_on_what_the_other_tests(tmp_path: Path) -> None:
    low = small_store(tmp_path / "low.arrow", [*named(6, "train"), *named(3, "test", 6)])
    swapped = [("clip006", 0, "train"), *named(6, "train")[1:], ("clip000", 0, "test")]
    high = small_store(tmp_path / "high.arrow", swapped, seed=1)
    lines = [line for line in said(low, high) if line.startswith("error")]
    assert any("('clip006') in 'test' of low.arrow and in 'train' of high" in one for one in lines)
    assert any("('clip000') in 'test' of high.arrow and in 'train' of low" in one for one in lines)


def test_a_view_that_is_its_own_pair_is_told(tmp_path: Path) -> None:
    low = small_store(tmp_path / "low.arrow", named(6, "train"))
    copy = small_store(tmp_path / "copy.arrow", named(6, "train"))
    assert any("hold the same joints in 100% of the clips" in line for line in said(low, copy))
    other = small_store(tmp_path / "other.arrow", named(6, "train"), seed=1)
    assert not any("hold the same joints" in line for line in said(low, other))


def test_people_in_another_order_are_told(tmp_path: Path, rng: np.random.Generator) -> None:
    """The other view is another estimator's: in metres, noisy, some joints lost."""
    apart = np.array([[100, 0], [300, 0]])[:, None, None]
    high = [rng.normal(0, 30, (2, 9, 13, 2)) + apart for _ in range(6)]
    source = Source(layout=PENN13, channels=2, units="pixels")
    for name, swapped in (("high", ()), ("low", (1, 4))):
        with StoreWriter(tmp_path / f"{name}.arrow", source, provenance={}) as writer:
            for i, joints in enumerate(high):
                people = joints[::-1] if i in swapped else joints
                if name == "low":
                    people = people / 200 + rng.normal(0, 0.1, people.shape)
                scores = np.ones(people.shape[:3], np.float32)
                scores[:, :, :3] = name == "high"
                clip = Clip(
                    id=f"{i}",
                    joints=people.astype(np.float32),
                    scores=scores,
                    layout=PENN13,
                    label=0,
                    splits=("train",),
                )
                writer.write(clip)
    low, high_store = (Store.open(tmp_path / f"{name}.arrow") for name in ("low", "high"))
    told = [one.line for one in compare(low, high_store) if "first two people" in one.line]
    assert len(told) == 1
    assert told[0].startswith("2 clips")
    assert "another order than high.arrow" in told[0]
    assert not any("two people" in one.line for one in compare(low, low))


def test_subjects_of_both_halves_are_errors(tmp_path: Path) -> None:
    store = small_store(tmp_path / "a.arrow", [*named(3, "xsub_train"), *named(3, "xsub_test", 3)])
    for last, expected in ((2, True), (9, False)):
        subjects = dict(enumerate((1, 1, 2, 7, 8, last)))
        told = spoilt(store, tmp_path / f"{last}.arrow", subject=subjects)
        line = "error: 1 subject (2) in 'xsub_train' and in 'xsub_test'"
        assert (line in said(told)) is expected


def test_clips_that_are_mostly_lost_are_told(tmp_path: Path) -> None:
    store = small_store(tmp_path / "a.arrow", named(2, "train"))
    clip = store.clip(0)
    scores = clip.scores.copy()
    scores[:, 1:] = 0
    gone = clip.with_joints(clip.joints * (scores > 0)[..., None], scores)
    worse = rewrite(store, tmp_path / "b.arrow", [gone, store.clip(1)], {}, quiet=True)
    assert "warning: 1 clip ('clip000') with 90% of the joints lost" in said(worse)


def test_what_is_missing_against_the_published_count_is_told(tmp_path: Path) -> None:
    store = small_store(tmp_path / "a.arrow", [*named(3, "train"), *named(3, "test", 3)])
    clips = [store.clip(row) for row in range(6)]
    from_penn = rewrite(store, tmp_path / "b.arrow", clips, {"reader": "Penn"}, quiet=True)
    line = "warning: split 'train' has 3 clips where the whole data set has 1258"
    assert line in said(from_penn)
    for odd in ({"reader": "Penn", "options": {"gone": 1}}, {"reader": "nothing"}):
        store_of_odd = rewrite(store, tmp_path / "c.arrow", clips, odd, quiet=True)
        assert not any("whole data set" in line for line in said(store_of_odd))


def test_a_store_in_another_layout(tmp_path: Path) -> None:
    low = small_store(tmp_path / "low.arrow", named(4, "train"), layout=COCO17)
    made = convert_store(low, PENN13, tmp_path / "penn.arrow", quiet=True)
    assert made.layout.same_as(PENN13)
    assert made.ids.tolist() == low.ids.tolist()
    nose, head = COCO17.index("nose"), PENN13.index("head")
    np.testing.assert_array_equal(made.joints(2)[:, :, head], low.joints(2)[:, :, nose])
    assert made.provenance["converted"] == {"from": "coco17", "to": "penn13"}
    with pytest.raises(ValueError, match="cannot become 'ntu25'"):
        convert_store(low, NTU25, tmp_path / "ntu.arrow", quiet=True)
    assert not (tmp_path / "ntu.arrow").exists()


POSE = [5.0, 6.0, 0.9] * 17


def alphapose(folder: Path, *videos: str) -> Path:
    people = [{"image_id": f"{name}_{t}.jpg", "keypoints": POSE} for name in videos for t in (0, 1)]
    (folder / "people.json").write_text(json.dumps(people))
    return folder / "people.json"


def labelled(folder: Path, table: str) -> tuple[Store, Path]:
    """A store of clips a, b and c with the labels of a table, and the table."""
    source, listed = alphapose(folder, "a", "b", "c"), folder / "labels.csv"
    listed.write_text(table)
    reader = readers.find("alphapose")
    store = import_source(reader, source, folder / "l.arrow", labels=listed, progress=False)
    return store, listed


def test_labels_come_from_a_list_or_another_view(tmp_path: Path) -> None:
    store, listed = labelled(tmp_path, "id,label,split\na,wave,train\nb,jump,test val\n")
    reader, source = readers.find("alphapose"), tmp_path / "people.json"
    assert store.classes == ("jump", "wave")
    assert store.labels.tolist() == [1, 0, UNLABELLED]
    assert store.splits == [("train",), ("test", "val"), ()]
    assert store.provenance["labels"] == str(listed)
    high = small_store(tmp_path / "h.arrow", [("a", 2, "train"), ("c", 0, "test")])
    low = import_source(reader, source, tmp_path / "m.arrow", labels=high.path, progress=False)
    assert (low.classes, low.labels.tolist()) == (high.classes, [2, UNLABELLED, 0])
    numbers = tmp_path / "numbers.csv"
    twice = tmp_path / "twice.csv"
    twice.write_text("id,label,split\na,run,one\nb,sit,one\na,run,two\n")
    assert Labels.read(twice).clips == {"a": (0, ("one", "two")), "b": (1, ("one",))}
    numbers.write_text("id,label\na,3\nb,12\n")
    assert Labels.read(numbers) == Labels(classes=(), clips={"a": (3, ()), "b": (12, ())})
    for odd in ("?", "99999999999"):  # as names, 12 would stand before 3
        numbers.write_text(f"id,label\na,3\nb,12\nc,{odd}\n")
        with pytest.raises(ValueError, match=rf"label '{re.escape(odd)}' is no number but '12' is"):
            Labels.read(numbers)


def test_clips_and_labels_that_do_not_meet_are_told(tmp_path: Path) -> None:
    store, listed = labelled(tmp_path, "id,label\na,wave\nd,jump\n")
    assert missed(store, listed) == [
        f"{listed}: 1 of 2 rows left out, which name no clip; the first is 'd'",
        f"{listed}: 2 of 3 clips not named, which stay without label; the first is 'b'",
    ]
    more = [(name, 0, "train") for name in "abcdef"]
    high = small_store(tmp_path / "high.arrow", more)
    assert missed(store, high.path) == []


def test_who_makes_clips_up_reads_no_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="makes its clips up and reads no files; give - instead"):
        import_source(readers.find("synthetic"), tmp_path, tmp_path / "s.arrow", progress=False)


def test_image_sizes_come_with_the_labels_of_another_view(tmp_path: Path) -> None:
    source = alphapose(tmp_path, "a", "b", "c")
    clips = [("a", 0, "train"), ("b", 1, "train")]
    high = small_store(tmp_path / "high.arrow", clips, size=(480, 640))

    def sizes(made: str, **options: object) -> list[list[int]]:
        reader = readers.find("alphapose", **options)
        store = import_source(reader, source, tmp_path / made, labels=high.path, progress=False)
        return store.sizes.tolist()

    assert sizes("low.arrow") == [[480, 640], [480, 640], [-1, -1]]
    assert sizes("said.arrow", size=[9, 16]) == [[9, 16]] * 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "first line must be id,label"),
        ("clip,label\na,1\n", "first line must be id,label"),
        ("id,label\na\n", "a line has 1 columns, the header 2"),
        ('id,label\n"a,1\n', "labels.csv: "),
        ("id,label\na,run\na,sit\n", "clip 'a' stands in two lines with different labels"),
        ("id,label\nz,1\n", "the labels name none of the clips; they name 'z'"),
    ],
)
def test_labels_that_do_not_fit_are_told(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=said) as error:
        import_source(
            readers.find("alphapose"), alphapose(tmp_path, "a"), tmp_path / "a.arrow",
            labels=tmp_path / "labels.csv", progress=False,
        )  # fmt: skip
    assert "\n" not in str(error.value)
    assert not (tmp_path / "a.arrow").exists()
