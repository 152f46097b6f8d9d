"""From videos to stores: what comes out, and how far it is."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from videos import Squares, four_videos, here, made, painted, refuse, write_video

from skeldistill.clip import Clip
from skeldistill.data.checking import check
from skeldistill.data.importing import left_out
from skeldistill.data.store import StoreWriter
from skeldistill.deploy import extract_parts, extract_progress
from skeldistill.deploy.extract import Selection, View, extract
from skeldistill.deploy.extract_progress import Shown
from skeldistill.deploy.extract_sources import find, labelled_by_folders
from skeldistill.deploy.extract_workers import Processes
from skeldistill.deploy.video import open_video
from skeldistill.estimators import Replay
from skeldistill.layouts import COCO17
from skeldistill.readers import tracking
from skeldistill.readers.reader import Source

pytest.importorskip("av")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four videos of two classes."""
    return four_videos(tmp_path / "videos")


def test_a_video_becomes_a_clip(folder, tmp_path):
    videos, classes = labelled_by_folders(find(folder))
    view = View(estimator=Squares(), store=tmp_path / "out.arrow")
    told = extract(videos, {"low": view}, tmp_path / "w", classes=classes, engine=here, quiet=True)
    store = told.stores["low"]
    assert told.failures is None
    assert store.ids.tolist() == ["clap/a", "clap/b", "run/c", "run/d"]
    assert store.num_frames.tolist() == [5, 6, 7, 8]
    assert (store.classes, store.labels.tolist()) == (("clap", "run"), [0, 0, 1, 1])
    assert store.sizes.tolist() == [[48, 64]] * 4
    clip = store.clip(1)
    corner = np.array([[4 * t, 8] for t in range(6)])
    np.testing.assert_allclose(clip.joints[0, :, 0], corner, atol=2)
    assert (clip.scores == 0.75).all()
    assert clip.extra["rate"] == 10
    np.testing.assert_allclose(clip.extra["times"], np.arange(6) / 10, atol=1e-6)
    assert store.provenance["estimators"] == {"low": {"estimator": "squares"}}
    assert not [finding for finding in check(store) if finding.level == "error"]


def test_a_rate_that_a_video_does_not_tell_is_not_kept(folder, tmp_path, monkeypatch):
    def without_rate(path):
        opened = open_video(path)
        opened.rate = 0.0
        return opened

    monkeypatch.setattr(extract_parts, "open_video", without_rate)
    view = View(estimator=Squares(), store=tmp_path / "out.arrow")
    told = extract(find(folder), {"low": view}, tmp_path / "work", engine=here, quiet=True)
    clip = told.stores["low"].clip(0)
    assert list(clip.extra) == ["times"]
    np.testing.assert_allclose(clip.extra["times"], np.arange(5) / 10, atol=1e-6)


def test_several_estimators_look_at_the_same_frames(folder, tmp_path):
    log = tmp_path / "log"
    views = {
        "high": View(estimator=Squares(log=str(log)), store=tmp_path / "high.arrow"),
        "low": View(estimator=Squares(name="other"), store=tmp_path / "low.arrow"),
    }
    told = extract(find(folder), views, tmp_path / "work", engine=here, quiet=True)
    high, low = told.stores["high"], told.stores["low"]
    assert high.ids.tolist() == low.ids.tolist()
    np.testing.assert_array_equal(high.checksums, low.checksums)
    assert log.read_text().split() == high.ids.tolist()  # each was decoded once
    assert not [finding for finding in check(low, high) if finding.level == "error"]


def test_what_is_replayed_comes_back(tmp_path, rng):
    joints = rng.uniform(5, 40, (2, 1, 17, 2)) + rng.uniform(0, 2, (2, 6, 17, 2))
    joints[1] += 300
    joints = joints.astype(np.float32)
    scores = np.repeat(np.float32([0.9, 0.4]), 6 * 17).reshape(2, 6, 17)
    joints[1, 2], scores[1, 2] = 0, 0  # lost in one frame
    source = Source(layout=COCO17, channels=2, units="pixels")
    with StoreWriter(tmp_path / "a.arrow", source) as writer:
        for name in ("x/a", "b"):
            writer.write(Clip(id=name, joints=joints, scores=scores, layout=COCO17))
    for name in ("x/a", "b"):
        write_video(tmp_path / "videos" / f"{name}.avi", painted(6))
    replay = Replay(store=str(tmp_path / "a.arrow"))
    store = made(tmp_path / "videos", tmp_path, replay).stores["low"]
    for place in range(2):
        np.testing.assert_array_equal(store.joints(place), joints)
        np.testing.assert_array_equal(store.scores(place), scores)


def test_another_choice_decodes_nothing_again(tmp_path):
    small = np.arange(34, dtype=np.float32).reshape(1, 1, 17, 2)
    joints = np.repeat(np.concatenate([small, 4 * small + 500]), 6, axis=1)
    scores = np.repeat(np.float32([0.9, 0.4]), 6 * 17).reshape(2, 6, 17)
    source = Source(layout=COCO17, channels=2, units="pixels")
    with StoreWriter(tmp_path / "a.arrow", source) as writer:
        writer.write(Clip(id="a", joints=joints, scores=scores, layout=COCO17))
    write_video(tmp_path / "videos" / "a.avi", painted(6))
    replay = Replay(store=str(tmp_path / "a.arrow"))
    for choice, wanted, engine in ((tracking.surest, 0, here), (tracking.largest, 1, refuse)):
        selection = Selection(persons=1, choice=choice)
        told = made(tmp_path / "videos", tmp_path, replay, engine=engine, selection=selection)
        np.testing.assert_array_equal(told.stores["low"].joints(0), joints[[wanted]])
        more = "1 of 1 clips have more people than were kept, up to 2; --persons=2 keeps all"
        assert left_out(told.stores["low"], "--persons") == more
    with pytest.raises(ValueError, match="persons must be at least 1"):
        Selection(persons=0)


def test_lines_tell_how_far_it_is_without_a_terminal(monkeypatch):
    monkeypatch.setattr(extract_progress, "PATIENCE", 0.0)
    said = io.StringIO()
    with Shown(3, quiet=False, console=Console(file=said, width=200)) as shown:
        shown.frames(50)
        shown.video(failed=False)
        shown.video(failed=True)
    lines = said.getvalue().splitlines()
    assert lines[0].startswith("0 of 3 videos, 0 failed, ")
    assert "time left unknown" in lines[0]
    assert "frames/s, time left 0:00:" in lines[-1]
    assert lines[-1].startswith("2 of 3 videos, 1 failed")
    with Shown(3, quiet=True, console=Console(file=said, width=200)) as shown:
        shown.frames(50)
    assert said.getvalue().splitlines() == lines


def test_workers_are_at_least_one():
    with pytest.raises(ValueError, match="workers must be at least 1, got 0"):
        Processes(workers=0)


def test_ray_says_what_to_install(monkeypatch):
    from skeldistill.deploy.extract_ray import Ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r"needs the package 'ray': .*skeldistill\[scale\]"):
        Ray(workers=1)
