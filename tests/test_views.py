"""A recipe's views say all that `data import` can: labels, layouts; and what exists stays valid."""

import json
import os
import pickle

import numpy as np
import pytest
import yaml
from stores import named, small_store

from skeldistill.data.store import Store
from skeldistill.data.views import _below, open_views, origins
from skeldistill.layouts import PENN13, to_yaml
from skeldistill.recipe import Data, View
from skeldistill.reproduction.views import GivenView, imported


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A high store, and a CSV of joints without labels of the same clips; the layout in a file."""
    monkeypatch.chdir(tmp_path)
    high = small_store(tmp_path / "high.arrow", named(6, "train"))
    header = ["clip", "frame", *(f"{joint}_{axis}" for joint in PENN13.joints for axis in "xy")]
    rows = [",".join(header)]
    for row in range(len(high)):
        clip = high.clip(row)
        for frame, joints in enumerate(clip.joints[0]):
            rows.append(",".join([clip.id, str(frame), *(f"{v:.2f}" for v in joints.ravel())]))
    (tmp_path / "low.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(to_yaml(PENN13), encoding="utf-8")
    (tmp_path / "labels.csv").write_text("id,label,split\nclip000,sit,train\nclip001,run,test\n")
    return tmp_path


def low(**changes) -> View:
    view = {"reader": "csv", "source": "low.csv", "options": {"layout": "mine.yaml"}}
    return View.model_validate(view | changes)


def views(files, **changes) -> tuple[Store, Store]:
    return open_views(
        Data(high=View(store="high.arrow"), low=low(**changes)), files / "views", quiet=True
    )


def made(files) -> int:
    return len(list((files / "views").glob("low-*.arrow")))


def test_without_labels_files_of_an_estimator_name_none(files):
    _, found = views(files)
    assert set(found.labels.tolist()) == {-1}
    assert found.layout.same_as(PENN13)


@pytest.mark.parametrize("labels", ["high", "high.arrow", "$HERE/high.arrow"])
def test_labels_and_splits_come_from_the_other_view(files, monkeypatch, labels):
    monkeypatch.setenv("HERE", str(files))
    high, found = views(files, labels=labels)
    np.testing.assert_array_equal(found.labels, high.labels)
    assert found.splits == high.splits
    assert found.classes == high.classes


def test_labels_come_from_a_table(files):
    data = Data(high=low(labels="labels.csv"))
    high, _ = origins(data, files / "views", quiet=True)
    assert high.classes == ("run", "sit")
    assert high.labels.tolist() == [1, 0, -1, -1, -1, -1]


def test_a_changed_file_makes_the_view_anew_and_an_equal_one_does_not(files):
    data = Data(high=View(store="high.arrow"), low=low(labels="labels.csv"))
    origins(data, files / "views", quiet=True)
    origins(data, files / "views", quiet=True)
    assert made(files) == 1
    (files / "other.csv").write_text((files / "labels.csv").read_text())
    moved = Data(high=View(store="high.arrow"), low=low(labels="other.csv"))
    origins(moved, files / "views", quiet=True)
    assert made(files) == 1
    (files / "other.csv").write_text("id,label\nclip000,run\nclip003,sit\n")
    assert origins(moved, files / "views", quiet=True)[1].labels.tolist() == [0, -1, -1, 1, -1, -1]
    assert made(files) == 2
    (files / "mine.yaml").write_text(to_yaml(PENN13) + "# changed\n")
    origins(data, files / "views", quiet=True)
    assert made(files) == 3


def test_a_file_written_anew_in_a_folder_makes_the_view_anew(tmp_path):
    people = [{"pose_keypoints_2d": [float(i) for i in range(54)]}]
    folder = tmp_path / "openpose" / "wave"
    folder.mkdir(parents=True)
    for frame in range(3):
        text = json.dumps({"people": people})
        (folder / f"wave_{frame:012d}_keypoints.json").write_text(text)
    view = View(reader="openpose", source=str(folder.parent), options={"layout": "openpose18"})
    before, _ = origins(Data(high=view), tmp_path / "views", quiet=True)
    people[0]["pose_keypoints_2d"][0] = 500.0
    (folder / "wave_000000000001_keypoints.json").write_text(json.dumps({"people": people}))
    after, _ = origins(Data(high=view), tmp_path / "views", quiet=True)
    assert after.path != before.path
    assert after.clip(0).joints[0, :, 0, 0].tolist() == [0.0, 500.0, 0.0]


def test_a_file_in_a_linked_folder_makes_the_view_anew(tmp_path):
    people = [{"pose_keypoints_2d": [float(i) for i in range(54)]}]
    file = tmp_path / "disk" / "wave" / "wave_000000000000_keypoints.json"
    file.parent.mkdir(parents=True)
    (tmp_path / "openpose").mkdir()
    (tmp_path / "openpose" / "wave").symlink_to(file.parent, target_is_directory=True)
    view = View(reader="openpose", source=str(tmp_path / "openpose"))
    seen = []
    for first in (1.0, 500.0):
        people[0]["pose_keypoints_2d"][0] = first
        file.write_text(json.dumps({"people": people}))
        high, _ = origins(Data(high=view), tmp_path / "views", quiet=True)
        seen.append(high.clip(0).joints[0, 0, 0, 0])
    assert seen == [1.0, 500.0]


def test_links_that_lead_in_a_circle_are_not_followed_for_ever(tmp_path):
    for name in ("a/deep", "b"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").write_text(name)
    for link, to in (("a/deep/up", "a"), ("a/other", "b"), ("b/other", "a"), ("again", "b")):
        (tmp_path / link).symlink_to(tmp_path / to, target_is_directory=True)
    found = [path.removeprefix(f"{tmp_path}/") for path, _, _ in _below(tmp_path)]
    assert len(set(found)) == len(found)
    own = {"a/deep/file", "b/file"}
    linked = {"a/other/file", "again/file", "b/other/deep/file", "again/other/deep/file"}
    assert set(found) == own | linked


def test_a_file_of_the_same_time_and_another_size_makes_the_view_anew(files):
    before = views(files)[1]
    rows = (files / "low.csv").read_text().splitlines()
    time = (files / "low.csv").stat().st_mtime_ns
    (files / "low.csv").write_text("\n".join(rows[:-12]) + "\n")
    os.utime(files / "low.csv", ns=(time, time))
    after = views(files)[1]
    assert (len(before), len(after)) == (6, 5)


def test_a_view_that_is_imported_anew_from_the_same_file_is_the_same(files):
    """So that trainings on it stay finished."""
    before = views(files)[1]
    os.utime(files / "low.csv", ns=(0, 0))
    after = views(files)[1]
    assert before.path != after.path
    assert before.fingerprint == after.fingerprint


def test_labels_not_known_leave_numbers_what_they_are(files):
    (files / "labels.csv").write_text(
        "id,label,split\nclip000,0,train\nclip001,-1,train\nclip002,10,train\nclip003,2.0,test\n"
    )
    high, _ = origins(Data(high=low(labels="labels.csv")), files / "views", quiet=True)
    assert high.classes == ()
    assert high.labels.tolist() == [0, -1, 10, 2, -1, -1]
    rows = (files / "low.csv").read_text().splitlines()
    told = {"clip000": "10", "clip001": "-1", "clip002": "2"}
    named = [f"{row},{told.get(row.split(',')[0], '')}" for row in rows[1:]]
    (files / "low.csv").write_text("\n".join([rows[0] + ",label", *named]) + "\n")
    of_its_own, _ = origins(Data(high=low()), files / "views", quiet=True)
    assert of_its_own.classes == ()
    assert of_its_own.labels.tolist()[:4] == [10, -1, 2, -1]


def test_both_views_have_luck_of_their_own(files):
    lost = {"name": "JointOcclusion", "probability": 0.5}
    seen = View(store="high.arrow", degradations=(lost,))
    both = Data(high=seen, low=View(store="high.arrow", degradations=(lost,)))
    high, worse = open_views(both, files / "views", quiet=True)
    ours, theirs = (
        np.concatenate([one.clip(row).scores.ravel() == 0 for row in range(len(one))])
        for one in (high, worse)
    )
    assert 0.4 < ours.mean() < 0.6
    assert abs((ours & theirs).mean() - 0.25) < 0.05


def test_what_lies_beside_a_source_makes_the_view_anew(files):
    folder = files / "arrays"
    folder.mkdir()
    np.save(folder / "val_data.npy", np.random.default_rng(0).normal(size=(2, 3, 6, 25, 1)))
    view = View(reader="stgcn_npy", source=str(folder / "val_data.npy"))
    found = []
    for labels in ([0, 1], [1, 0]):
        (folder / "val_label.pkl").write_bytes(pickle.dumps((["a", "b"], labels)))
        found.append(origins(Data(high=view), files / "views", quiet=True)[0].labels.tolist())
    assert found == [[0, 1], [1, 0]]


def test_a_view_without_labels_is_written_as_before_there_were_any():
    view = View(reader="csv", source="low.csv", options={"layout": "penn13"})
    said = view.model_dump(mode="json")
    assert list(said) == ["store", "reader", "source", "options", "degradations"]
    assert "labels" not in json.loads(Data(high=view).model_dump_json())["high"]
    told = View.model_validate(said | {"labels": "high.arrow"})
    assert View(**told.model_dump()) == told
    assert yaml.safe_load(yaml.safe_dump(told.model_dump(mode="json")))["labels"] == "high.arrow"
    assert "labels" in View.model_json_schema()["properties"]


def test_views_of_yesterday_are_found_again(files):
    # the name that a made store had before views could say labels
    data = Data(high=View(reader="synthetic", options={"clips": 6, "view": "high"}))
    store, _ = origins(data, files / "views", quiet=True)
    assert store.path.name == "high-88831fc0e4.arrow"


def test_what_cannot_be_is_refused(files):
    with pytest.raises(ValueError, match="a store has its own"):
        View(store="low.arrow", labels="high.arrow")
    data = Data(high=low(labels="high"))
    with pytest.raises(ValueError, match="high view's own"):
        origins(data, files / "views", quiet=True)
    with pytest.raises(OSError, match="nowhere"):
        views(files, labels="nowhere.csv")


def test_a_view_of_the_papers_may_say_labels_too(files):
    given = GivenView(
        reader="csv", source="low.csv", options={"layout": "mine.yaml"}, labels="high.arrow"
    )
    store = Store.open(files / "high.arrow")
    found = imported(given, files / "made", quiet=True)
    assert found.store is not None
    assert Store.open(files / found.store).labels.tolist() == store.labels.tolist()
