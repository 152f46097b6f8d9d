"""How long clips are in seconds: what sources tell, what is left of it, who goes by it."""

import numpy as np
import pytest
from predicting import small_checkpoint

from skeldistill.clip import Clip
from skeldistill.data.pace import clip_seconds, slowed, told_rate, told_times
from skeldistill.data.store import Store
from skeldistill.data.store_writer import StoreWriter
from skeldistill.data.views import derived
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.layouts import PENN13
from skeldistill.readers.reader import Source
from skeldistill.recipe import Part


def store(path, extras, frames=60) -> Store:
    source = Source(layout=PENN13, channels=2, units="pixels", classes=("run",))
    with StoreWriter(path, source, provenance={}) as writer:
        for place, extra in enumerate(extras):
            joints = np.ones((1, frames, 13, 2), np.float32)
            writer.write(Clip(id=str(place), joints=joints, layout=PENN13, label=0, extra=extra))
    return Store.open(path)


@pytest.mark.parametrize("told", [None, True, 0, -3.0, 1e9, "30", float("nan")])
def test_no_rate(told):
    assert told_rate(told) is None


@pytest.mark.parametrize("times", [None, [0.0], [0.0, 2.0, 1.0], [0, 0, 0], ["a"], [0, 1, np.inf]])
def test_no_times(times):
    assert told_times({"times": times}, 3) is None


@pytest.mark.parametrize(
    ("extras", "seconds"),
    [
        ([{"rate": 30.0}] * 3, 2.0),
        ([{"rate": 30.0, "times": (np.arange(60) / 15).tolist()}], 4.0),  # times are surer
        ([{"rate": 30.0}, {"rate": 20.0}, {"rate": 60.0}], 2.0),
        ([{"rate": 30.0}, {}, {}], None),
        ([{}], None),
    ],
)
def test_the_usual_duration(tmp_path, extras, seconds):
    assert clip_seconds(store(tmp_path / "a.arrow", extras)) == pytest.approx(seconds)


def test_a_view_of_fewer_frames_lasts_as_long(tmp_path):
    extras = [
        {"rate": 30.0, "times": (np.arange(60) / 30).tolist(), "seen": 1},
        {"rate": 30.0},
        {"times": (np.arange(60) / 30).tolist()},
    ]
    whole = store(tmp_path / "a.arrow", extras)
    tenth = (Part.model_validate({"name": "DroppedFrames", "keep": 10}),)
    made = derived(whole, tenth, None, 0, tmp_path / "views", quiet=True)
    clips = [made.clip(row) for row in range(3)]
    assert [clip.num_frames for clip in clips] == [6, 6, 6]
    assert [clip.extra["rate"] for clip in clips] == pytest.approx([3.0, 3.0, 3.0])
    assert clips[0].extra["seen"] == 1
    assert not any("times" in clip.extra for clip in clips)
    assert clip_seconds(made) == pytest.approx(2.0)


def test_a_view_of_as_many_frames_tells_the_same():
    extra = {"rate": 30.0, "times": [0.0, 0.1]}
    assert slowed(extra, 2, 2) is extra
    assert slowed({"other": 1}, 10, 5) == {"other": 1}
    assert slowed({"rate": "odd"}, 10, 5) == {}


@pytest.mark.parametrize(
    ("seconds", "length", "in_seconds"),
    [(2.2, 2.2, True), (None, 12, False), (-1.0, 12, False), ("2", 12, False)],
)
def test_a_window_is_as_long_as_the_clips_of_training(tmp_path, seconds, length, in_seconds):
    file = small_checkpoint(tmp_path / "a.safetensors", clip_seconds=seconds)
    usual = Recogniser.load(file).usual
    assert (usual.length, usual.seconds) == (length, in_seconds)
