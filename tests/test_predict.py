"""Prediction: windows, people and actions by hand; then the command line from end to end."""

import csv
import errno
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from predicting import acting, sides, small_checkpoint, write_video
from stores import named, small_store
from videos import cut_off, painted
from videos import write_video as write_painted

from skeldistill import checkpoint, deploy
from skeldistill.clip import Clip
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import SOLITARY, Clips
from skeldistill.data.store_writer import StoreWriter
from skeldistill.data.views import derived
from skeldistill.deploy import outputs, overlay, running, sources
from skeldistill.deploy.following import Following, Moment, Pose
from skeldistill.deploy.predict import Action, Rules, Seen, actions, gathered, trimmed
from skeldistill.deploy.saved import network_file
from skeldistill.deploy.segments import Hysteresis
from skeldistill.deploy.wanted import Wanted
from skeldistill.deploy.windows import Sliding, Span, TimedWindows, Windows, moments_of
from skeldistill.files import write_text
from skeldistill.layouts import COCO17, PENN13
from skeldistill.readers.reader import Source
from skeldistill.readers.tracking import PATIENCE, People, link
from skeldistill.recipe import Part, Sampling
from skeldistill.training.evaluate import evaluate

RATE = 10.0
RULES = Rules(
    window=Span(length=4.0, seconds=False),
    stride=Span(length=2.0, seconds=False),
    hysteresis=Hysteresis(enter=0.6, leave=0.5, shortest=0.0, smoothing=1),
)


def found_in(clip, rules=RULES, persons=1, batch=3):
    seen = Seen(name=clip.id, layout=clip.layout, size=clip.size, rate=RATE)
    moments = moments_of(clip, np.arange(clip.num_frames) / RATE)
    return list(actions(sides(persons), moments, rules, seen, batch=batch))


# ---------------------------------------------------------------- windows


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 9))
def test_every_frame_is_told_of_once_by_a_window_that_holds_it(frames, length, stride):
    stride = min(stride, length)
    windows = Windows(Sliding(length=length, stride=stride))
    moments = [Moment(number=i, time=i / RATE, people={}) for i in range(frames)]
    given_ = [window for moment in moments for window in windows.push(moment)]
    given_ += windows.finish(frames / RATE)
    told = [number for one in given_ for number in range(one.first, one.last + 1)]
    assert told == list(range(frames))
    for window in given_:
        numbers = [moment.number for moment in window.moments]
        assert len(numbers) == min(length, frames)
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert numbers[0] <= window.first <= window.last <= numbers[-1]
        assert window.start == pytest.approx(window.first / RATE)
        assert window.end == pytest.approx((window.last + 1) / RATE)
    ends = [window.moments[-1].number for window in given_]
    assert ends[:-1] == list(range(length - 1, frames - 1, stride))[: len(ends) - 1]
    assert not windows.finish(0.0)


def test_stretches_lie_in_the_middle_of_their_windows():
    windows = Windows(Sliding(length=6, stride=2))
    moments = [Moment(number=i, time=i / RATE, people={}) for i in range(11)]
    given_ = [window for moment in moments for window in windows.push(moment)]
    given_ += windows.finish(1.1)
    # middles at 3, 5, 7; the last window is the last six frames
    assert [(one.first, one.last) for one in given_] == [(0, 3), (4, 5), (6, 7), (8, 10)]
    assert given_[-1].moments[0].number == 5


@pytest.mark.parametrize(("length", "stride"), [(6, 2), (8, 8), (1, 1), (20, 4)])
@pytest.mark.parametrize("frames", [3, 40])
def test_windows_by_time_are_those_by_frames_at_a_steady_rate(length, stride, frames):
    given_ = []
    for windows in (
        Windows(Sliding(length=length, stride=stride)),
        TimedWindows(length / RATE, stride / RATE),
    ):
        moments = [Moment(number=i, time=i / RATE, people={}) for i in range(frames)]
        given_.append([window for moment in moments for window in windows.push(moment)])
        given_[-1] += windows.finish(frames / RATE)
        assert not windows.finish(99.0)
    told = [[(one.first, one.last, one.start, one.end) for one in each] for each in given_]
    assert len(told[0]) == len(told[1])
    np.testing.assert_allclose(*told, atol=1e-9)
    for by_frames, by_time in zip(*given_, strict=True):
        numbers = [[moment.number for moment in one.moments] for one in (by_frames, by_time)]
        assert numbers[0] == numbers[1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(0.0, 3.0), min_size=1, max_size=40), st.floats(0.1, 3.0), st.floats(0.1, 1.0)
)
def test_windows_by_time_tell_of_every_frame_once_at_any_rate(steps, seconds, share):
    windows = TimedWindows(seconds, share * seconds)
    moments = [
        Moment(number=i, time=time, people={}) for i, time in enumerate(np.cumsum(steps).tolist())
    ]
    end = moments[-1].time + 0.1
    given_ = [window for moment in moments for window in windows.push(moment)]
    given_ += windows.finish(end)
    told = [number for one in given_ for number in range(one.first, one.last + 1)]
    assert told == list(range(len(moments)))
    bounds = [one.start for one in given_] + [given_[-1].end]
    assert [one.end for one in given_] == bounds[1:]
    for window in given_:
        assert window.moments[-1].time - window.moments[0].time <= seconds + 1e-3


@pytest.mark.parametrize("stride", [None, Span.parse("0.5s"), Span.parse("15f")])
def test_seconds_of_a_camera_are_seconds_whatever_it_claims(stride):
    seen = Seen(name="cam", layout=PENN13, size=None, rate=30.0, live=True)
    windows = Rules(window=Span.parse("2s"), stride=stride).windows(seen)
    moments = [Moment(number=6 * i, time=i / 5, people={}) for i in range(26)]
    given_ = [window for moment in moments for window in windows.push(moment)]
    assert [len(one.moments) for one in given_] == [10] * 7
    assert [one.end for one in given_[:2]] == pytest.approx([1.4, 2.0])
    # frames that are asked for are counted, and the rate of a file's is known
    assert isinstance(Rules(window=Span.parse("60f"), stride=stride).windows(seen), Windows)
    rules = Rules(window=Span.parse("2s"), stride=stride)
    assert isinstance(rules.windows(replace(seen, live=False)), Windows)


def test_the_surest_person_of_a_window_comes_first_as_in_training():
    def pose(place, score):
        return Pose(
            joints=np.full((13, 2), place, np.float32), scores=np.full(13, score, np.float32)
        )

    people = {0: pose(1.0, 0.4), 1: pose(5.0, 0.9)}
    moments = [Moment(number=i, time=i / RATE, people=people) for i in range(4)]
    windows = Windows(Sliding(length=4, stride=4))
    for moment in moments:
        windows.push(moment)
    (window,) = windows.finish(1.0)
    clip = window.clip("a", PENN13, None)
    assert clip.joints[:, 0, 0, 0].tolist() == [5.0, 1.0]


@pytest.mark.parametrize(
    ("text", "frames"), [("2s", 50), ("1.5", 38), (".1", 2), ("48f", 48), ("1f", 1), ("0.001", 1)]
)
def test_lengths_are_seconds_or_frames(text, frames):
    assert Span.parse(text).at(25.0) == frames


@pytest.mark.parametrize("text", ["", "f", "two", "-1s", "0", "1e3", "9999999", "1.5f", "nan"])
def test_lengths_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match="no length"):
        Span.parse(text)


@pytest.mark.parametrize("tracked", [False, True])
def test_people_are_shown_in_the_order_of_training(tracked, rng):
    joints = rng.normal(size=(2, 5, 13, 2)).astype(np.float32)
    scores = np.stack([np.full((5, 13), sure, np.float32) for sure in (0.5, 0.9)])
    clip = Clip(id="two", joints=joints, scores=scores, layout=PENN13)
    moments = [replace(moment, tracked=tracked) for moment in moments_of(clip, np.arange(5) / 10.0)]
    windows = Windows(Sliding(length=5, stride=5))
    (window,) = [w for moment in moments for w in windows.push(moment)] + windows.finish(0.5)
    order = [1, 0] if tracked else [0, 1]  # of a video the surest first, else the source's own
    np.testing.assert_array_equal(window.clip("two", PENN13, None).joints, joints[order])


def test_a_stride_that_leaves_frames_out_is_refused():
    with pytest.raises(ValueError, match="no longer than the window"):
        Sliding(length=4, stride=5)


# ---------------------------------------------------------------- who is who


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_following_is_linking_as_the_frames_come(seed):
    rng = np.random.default_rng(seed)
    pose = rng.uniform(0, 100, (13, 2))
    places = np.cumsum(rng.normal(0, 12, (60, 4)), axis=0) + np.arange(4) * rng.choice([60, 400])
    frames = []
    for t, row in enumerate(places):
        there = [i for i in range(4) if rng.random() > 0.3 and not (i == 1 and 15 < t < 50)]
        joints = np.array([pose + np.array([row[i], 0]) for i in there]).reshape(-1, 13, 2)
        scores = rng.uniform(0, 1, (len(there), 13)) * (rng.random((len(there), 1)) > 0.05)
        frames.append(People(joints.astype(np.float32), scores.astype(np.float32)))
    following = Following()
    moments = [following.step(t, t / RATE, people) for t, people in enumerate(frames)]
    tracks = {}
    for moment in moments:
        for who, one in moment.people.items():
            tracks.setdefault(who, []).append((moment.number, one.joints.tobytes()))
    linked = [
        [(t, frames[t].joints[place].tobytes()) for t, place in zip(*both, strict=True)]
        for both in ((track.frames, track.places) for track in link(frames))
    ]
    assert sorted(tracks.values()) == sorted(linked)


# ---------------------------------------------------------------- actions, by hand


def test_one_person_does_one_thing_after_the_other():
    found = found_in(acting([-1.0] * 12 + [1.0] * 12))
    # windows of 4 frames every 2; the one over frames 10-13 is undecided (0.5) and goes on
    assert [(one.label, one.first_frame, one.last_frame) for one in found] == [
        ("left", 0, 12),
        ("right", 13, 23),
    ]
    assert [(one.start, one.end) for one in found] == [(0.0, 1.3), (1.3, 2.4)]
    assert [one.person for one in found] == [0, 0]
    sure = 1 / (1 + np.exp(-2.0))
    assert found[1].confidence == pytest.approx(sure, abs=1e-6)
    assert 0.8 < found[0].confidence < sure


def test_batches_change_nothing():
    rng = np.random.default_rng(0)
    clip = acting(rng.normal(0, 2, 50).tolist())
    assert found_in(clip, batch=1) == found_in(clip, batch=1000)


def test_everybody_is_looked_at_alone():
    two = np.concatenate([acting([-1.0] * 9).joints, acting([1.0] * 9).joints])
    found = found_in(Clip(id="two", joints=two, layout=PENN13))
    assert [(one.person, one.label) for one in found] == [(0, "left"), (1, "right")]


def test_a_network_for_two_looks_at_both_together():
    two = np.concatenate([acting([-1.0] * 9).joints, acting([3.0] * 9).joints])
    (only,) = found_in(Clip(id="two", joints=two, layout=PENN13), persons=2)
    assert (only.person, only.label) == (None, "right")
    assert only.confidence == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-6)


def test_frames_before_and_after_a_person_do_not_count():
    found = found_in(acting([None] * 5 + [1.0] * 8 + [None] * 7))
    assert [(one.first_frame, one.last_frame) for one in found] == [(5, 12)]
    assert [(one.start, one.end) for one in found] == [(0.5, 1.3)]


def test_who_was_away_for_long_begins_anew():
    short = [1.0] * 8 + [None] * 3 + [1.0] * 8
    gap_low = Rules(
        window=RULES.window,
        stride=RULES.stride,
        hysteresis=Hysteresis(enter=0.0, leave=0.0, smoothing=1),
    )
    assert len(found_in(acting(short), gap_low)) == 1
    long = [1.0] * 8 + [None] * PATIENCE + [1.0] * 8
    found = found_in(acting(long), gap_low)
    assert [(one.first_frame, one.last_frame) for one in found] == [(0, 7), (38, 45)]


def test_one_frame_and_no_frame():
    (only,) = found_in(acting([1.0]))
    assert (only.start, only.end, only.first_frame, only.last_frame) == (0.0, 0.1, 0, 0)
    assert found_in(acting([None, None])) == []


def test_a_trimmed_clip_is_one_action():
    found = trimmed(sides(), acting([1.0] * 6), (np.arange(6) / RATE).tolist(), rate=RATE)
    assert (found.label, found.person, found.start, found.end) == ("right", None, 0.0, 0.6)
    nobody = trimmed(sides(), acting([None] * 6), (np.arange(6) / RATE).tolist(), rate=RATE)
    assert (nobody.label, nobody.confidence) == (None, 0.0)


def test_a_video_as_one_clip_has_its_surest_persons():
    pose = np.ones((13, 2), np.float32)
    half, full = np.full(13, 0.5, np.float32), np.ones(13, np.float32)
    moments = [
        Moment(
            number=t,
            time=t / RATE,
            people={0: Pose(joints=pose, scores=half)}
            | ({1: Pose(joints=2 * pose, scores=full)} if t < 3 else {}),
        )
        for t in range(8)
    ]
    seen = Seen(name="a", layout=PENN13, size=(4, 5), rate=RATE)
    clip = gathered(moments, 1, seen)
    assert (clip.joints == 1).all()  # 8 halves are more than 3 wholes
    assert clip.size == (4, 5)
    assert gathered(moments, 2, seen).joints.shape == (2, 8, 13, 2)
    assert not gathered([], 2, seen).scores.any()


# ---------------------------------------------------------------- outputs

ACTION = Action(
    source="a,b",
    person=1,
    label="wave --> \n bye",
    confidence=0.876543,
    start=61.2345,
    end=3723.0004,
    first_frame=3,
    last_frame=9,
)


def test_outputs_by_hand():
    assert json.loads(outputs.text([ACTION], "jsonl")) == {
        "source": "a,b", "person": 1, "label": "wave --> \n bye", "confidence": 0.8765,
        "start": 61.2345, "end": 3723.0004, "first_frame": 3, "last_frame": 9,
    }  # fmt: skip
    (row,) = csv.DictReader(outputs.text([ACTION], "csv").splitlines(keepends=True))
    assert (row["source"], row["label"], row["end"]) == ("a,b", "wave --> \n bye", "3723.0004")
    assert outputs.text([ACTION], "srt") == (
        "1\n00:01:01,234 --> 01:02:03,000\nperson 1: wave -> bye (88 %)\n\n"
    )


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/abs", "..", "a\\b", "c:d", "", ".x", "a\0b", "\u8bad" * 90]
)
def test_a_file_of_any_name_stays_in_its_folder(name, tmp_path):
    path = tmp_path / f"{outputs.file_name(name)}.jsonl"
    write_text(path, "")
    assert [one.name for one in tmp_path.iterdir()] == [path.name]
    assert not path.name.startswith(".")


# ---------------------------------------------------------------- overlay


def test_what_is_kept_comes_back(rng):
    people = {
        who: Pose(
            joints=rng.normal(0, 9, (13, 3)).astype(np.float32),
            scores=rng.uniform(0.1, 1, 13).astype(np.float32),
        )
        for who in (0, 7)
    }
    moments = [
        Moment(number=0, time=0.0, people={}),
        Moment(number=5, time=0.25, people=people),
    ]
    kept = overlay.Kept()
    assert len(list(kept.watched(moments))) == 2
    first, second = kept.moments()
    assert (first.people, second.number, second.time) == ({}, 5, 0.25)
    for who, pose in people.items():
        np.testing.assert_array_equal(second.people[who].joints, pose.joints)
        np.testing.assert_array_equal(second.people[who].scores, pose.scores)
    kept.close()


def test_only_seen_joints_are_drawn_in_the_colour_of_their_part():
    joints = np.zeros((13, 2), np.float32)
    scores = np.zeros(13, np.float32)
    left = [PENN13.index(f"left_{name}") for name in ("elbow", "wrist")]
    joints[left], scores[left] = [(40, 60), (80, 60)], 1.0
    image = np.full((120, 160, 3), 7, np.uint8)
    moment = Moment(number=0, time=0.0, people={0: Pose(joints=joints, scores=scores)})
    drawn = overlay.draw(image, moment, [], PENN13, overlay.Placing(size=(120, 160)))
    assert (image == 7).all()
    changed = np.argwhere((drawn != 7).any(axis=2))
    assert changed.min(axis=0).tolist() >= [57, 37]
    assert changed.max(axis=0).tolist() <= [63, 83]
    assert drawn[60, 60].tolist() == [0x56, 0xB4, 0xE9]


def test_a_blank_canvas_holds_all_joints(rng):
    kept = overlay.Kept()
    joints = rng.normal(1000, 300, (50, 13, 2)).astype(np.float32)
    moments = [
        Moment(number=t, time=t / 10, people={0: Pose(joints=one, scores=np.ones(13, np.float32))})
        for t, one in enumerate(joints)
    ]
    for _ in kept.watched(moments):
        pass
    placing = overlay.Placing.fitting(kept.bounds())
    places = np.concatenate([placing(one) for one in joints])
    assert np.mean(np.all((places >= 0) & (places < placing.size[::-1]), axis=1)) > 0.98
    kept.close()


# ---------------------------------------------------------------- the command line


@pytest.fixture
def model(tmp_path):
    return small_checkpoint(tmp_path / "model" / "network.safetensors").parent


ALWAYS = ("--enter", 0, "--leave", 0, "--shortest", 0)
"""Whatever an untrained network says is an action."""


NONE = float("nan")
TIMES = [0.0, 0.1, 0.3, 0.6]
AT_30 = [0, 1 / 30, 2 / 30, 3 / 30]


@pytest.mark.parametrize(
    ("told", "rate", "times"),
    [
        ({"rate": 10.0, "times": TIMES}, 5, TIMES),
        ({"rate": 5.5, "times": TIMES}, 5.5, TIMES),
        ({"rate": 10.0, "times": [0.0, 0.1, 0.2, 9.0]}, 10, [0.0, 0.1, 0.2, 9.0]),
        ({"rate": 1000.0, "times": [0.0, 0.1, 0.2, 9.0]}, 10, [0.0, 0.1, 0.2, 9.0]),
        *[({"rate": rate, "times": TIMES}, 5, TIMES) for rate in (0, -10.0, NONE, None, True, 1e9)],
        ({"times": TIMES}, 5, TIMES),
        *[({"rate": rate}, 30, AT_30) for rate in (0, -10.0, NONE, None, "10", 1e-320)],
        *[
            ({"rate": 0.0, "times": times}, 30, AT_30)
            for times in (TIMES[:3], TIMES[::-1], [0.0] * 4, [0, 1, 2, NONE], "0123", [10**400] * 4)
        ],
    ],
)
def test_a_rate_that_is_none_is_not_told(tmp_path, told, rate, times):
    clip = Clip(id="a", joints=np.ones((1, 4, 13, 2), np.float32), layout=PENN13, extra=told)
    with StoreWriter(tmp_path / "a.arrow", Source(layout=PENN13, channels=2, units="m")) as writer:
        writer.write(clip)
    with sources.opened(str(tmp_path / "a.arrow")) as named:
        (origin,) = named.each
    assert isinstance(origin, sources.Skeletons)
    assert origin.rate == pytest.approx(rate)
    np.testing.assert_allclose(origin.times, times)


def test_a_single_frame_has_a_time_and_the_usual_rate():
    told = {"rate": 0, "times": [0.0]}
    clip = Clip(id="a", joints=np.ones((1, 1, 13, 2), np.float32), layout=PENN13, extra=told)
    origin = sources.Skeletons.of(clip, None)
    assert (origin.rate, origin.times.tolist()) == (30, [0.0])


def test_whole_clips_of_a_store_are_named_as_evaluation_names_them(skeldistill, model, tmp_path):
    store = small_store(tmp_path / "low.arrow", named(7, "test"))
    network, about = checkpoint.load(model / "network.safetensors")
    rows = np.arange(len(store))
    clips = Clips(rows=rows, teacher_rows=np.full(len(rows), SOLITARY), labels=store.labels)
    side = Side(store=store, sampling=Sampling(**about["sampling"]))
    said = evaluate(network, Examples(clips=clips, student=side))
    code, out, err = skeldistill("predict", model, "low.arrow", "--whole", "--out", "own.csv")
    assert (code, out) == (0, ""), err
    own = list(csv.DictReader((tmp_path / "own.csv").read_text(encoding="utf-8").splitlines()))
    assert tuple(row["source"] for row in own) == said.ids
    assert [row["label"] for row in own] == [
        about["classes"][best] for best in said.logits.argmax(axis=1)
    ]
    raised = np.exp(said.logits)
    sure = raised.max(axis=1) / raised.sum(axis=1)
    np.testing.assert_allclose([float(row["confidence"]) for row in own], sure, atol=1e-4)


def test_a_whole_clip_ends_when_its_last_frame_does(skeldistill, model, tmp_path):
    times = [0.5, 0.6, 0.75, 0.8, 1.7]
    told = {"rate": 10.0, "times": times}
    clip = replace(acting([1.0] * 5), extra=told)
    with StoreWriter(tmp_path / "a.arrow", Source(layout=PENN13, channels=2, units="pixels")) as w:
        w.write(clip)
    code, out, err = skeldistill("predict", model, "a.arrow", "--whole")
    assert code == 0, err
    assert (json.loads(out)["start"], json.loads(out)["end"]) == (0.5, 1.8)


def test_nothing_is_written_among_files_of_skeletons(skeldistill, model, tmp_path):
    (tmp_path / "people").mkdir()
    file = tmp_path / "people/a.csv"
    rows = [
        f"a,{t},0,{joint},{i},{t},1" for t in range(12) for i, joint in enumerate(PENN13.joints)
    ]
    file.write_text("\n".join(["clip,frame,person,joint,x,y,score", *rows]))
    before = file.read_text()
    words = ["predict", model, "people", "--reader", "csv", "--rate", "10", "--format", "csv"]
    code, _, err = skeldistill(*words, "--out", "people")
    assert (code, err.count("\n")) == (1, 1)
    assert "over the skeletons in people; give --out another folder" in err
    assert file.read_text() == before
    code, _, err = skeldistill(*words, "--out", "said")
    assert code == 0, err


def test_skeleton_sources_in_all_outputs(skeldistill, model, tmp_path):
    pytest.importorskip("av")
    small_store(tmp_path / "low.arrow", named(2, "test"), frames=40)
    code, out, err = skeldistill(
        "predict", model, "low.arrow", "--window", "8f", "--rate", 20, *ALWAYS
    )
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert {line["source"] for line in lines} == {"clip000", "clip001"}
    assert max(line["end"] for line in lines) == 2.0
    code, out, err = skeldistill(
        "predict", model, "low.arrow", "--format", "srt", "--out", "said", "--overlay", "drawn",
        *ALWAYS,
    )  # fmt: skip
    assert code == 0, err
    assert sorted(one.name for one in (tmp_path / "said").iterdir()) == [
        "clip000.srt", "clip001.srt",
    ]  # fmt: skip
    assert (tmp_path / "said" / "clip000.srt").read_text().startswith("1\n00:00:00,000 --> ")
    with deploy.video.open_video(tmp_path / "drawn" / "clip001.mp4") as video:
        pictures = [frame.image for frame in video.frames()]
    assert len(pictures) == 40
    assert np.ptp(pictures[0]) > 100  # something is drawn


def test_ids_lead_nowhere_else(skeldistill, model, tmp_path):
    source = Source(layout=PENN13, channels=2, units="pixels")
    with StoreWriter(tmp_path / "odd.arrow", source) as writer:
        for name in ("../../up", "__up", "..", "a\nb"):
            writer.write(acting([1.0] * 5, name))
    code, _, err = skeldistill("predict", model, "odd.arrow", "--out", "deep/said")
    assert code == 0, err
    assert sorted(one.name for one in tmp_path.iterdir()) == ["deep", "model", "odd.arrow"]
    assert len(list((tmp_path / "deep" / "said").iterdir())) == 4


@pytest.fixture
def films(tmp_path):
    """Two videos, and a store that says who is in them."""
    pytest.importorskip("av")
    (tmp_path / "films").mkdir()
    source = Source(layout=PENN13, channels=2, units="pixels")
    rng = np.random.default_rng(0)
    with StoreWriter(tmp_path / "people.arrow", source) as writer:
        for name in ("a", "b"):
            write_video(tmp_path / "films" / f"{name}.mp4")
            steps = np.cumsum(rng.normal(0, 0.5, (1, 20, 1, 2)), axis=1)
            joints = rng.uniform(10, 40, (1, 1, 13, 2)) + steps
            writer.write(Clip(id=name, joints=joints.astype(np.float32), layout=PENN13))
    return tmp_path / "films"


REPLAY = ("--estimator", "replay:store=people.arrow")


def test_videos_are_watched_as_their_skeletons_are(skeldistill, model, films, tmp_path):
    code, out, err = skeldistill(
        "predict", model, "films", *REPLAY, "--window", "6f", "--stride", "3f", *ALWAYS
    )
    assert code == 0, err
    watched = [json.loads(line) for line in out.splitlines()]
    code, out, _ = skeldistill(
        "predict", model, "people.arrow", "--rate", 10, "--window", "6f", "--stride", "3f", *ALWAYS
    )
    assert watched == [json.loads(line) for line in out.splitlines()]
    assert {line["end"] for line in watched} >= {2.0}
    code, out, _ = skeldistill("predict", model, "films", *REPLAY, "--whole")
    code, of_store, _ = skeldistill("predict", model, "people.arrow", "--whole", "--rate", 10)
    assert out == of_store


def test_a_video_with_everything_drawn(skeldistill, model, films, tmp_path):
    code, _, err = skeldistill(
        "predict", model, films / "a.mp4", *REPLAY, "--whole", "--out", "a.srt",
        "--overlay", "drawn.mkv",
    )  # fmt: skip
    assert code == 0, err
    assert "written: drawn.mkv" in err
    assert " %)" in (tmp_path / "a.srt").read_text(encoding="utf-8")
    import av

    with av.open(str(tmp_path / "drawn.mkv")) as container:
        assert container.streams.video[0].average_rate == 10
    with deploy.video.open_video(tmp_path / "drawn.mkv") as video:
        assert video.size == (48, 64)
        frames = list(video.frames())
    assert len(frames) == 20
    assert frames[-1].time == pytest.approx(1.9, abs=0.01)
    with deploy.video.open_video(films / "a.mp4") as video:
        before = [frame.image for frame in video.frames()]
    for old, new in zip(before, frames, strict=True):
        assert np.abs(old.astype(int) - new.image.astype(int)).max() > 50


def test_a_damaged_video_does_not_stop_the_others(skeldistill, model, films, tmp_path):
    (films / "broken.mp4").write_bytes((films / "a.mp4").read_bytes()[:900])
    (films / "empty.avi").write_bytes(b"")
    code, _, err = skeldistill("predict", model, "films", *REPLAY, "--out", "s.jsonl", *ALWAYS)
    assert code == 1
    assert len([line for line in err.splitlines() if "left out" in line]) == 2
    lines = (tmp_path / "s.jsonl").read_text(encoding="utf-8").splitlines()
    assert {json.loads(line)["source"] for line in lines} == {"a", "b"}


@pytest.mark.parametrize("kind", ["model.onnx", "model.pt2", "step.onnx"])
@pytest.mark.parametrize("what", ["folder", "file"])
def test_an_export_for_other_programs_is_told_from_a_network(skeldistill, tmp_path, kind, what):
    file = tmp_path / "exported" / kind
    file.parent.mkdir()
    file.write_bytes(b"a graph")
    path = file.relative_to(tmp_path) if what == "file" else "exported"
    code, _, err = skeldistill("predict", path, "people.arrow")
    assert code == 1
    assert f"exported/{kind} is an export for other programs, which the example.py beside" in err
    assert "export that with --format hub" in err
    small_checkpoint(file.with_name("network.safetensors"))
    assert network_file(tmp_path / "exported").name == "network.safetensors"


@pytest.mark.parametrize("how", [("--whole",), ALWAYS], ids=["whole", "windows"])
def test_a_video_that_was_cut_off_is_told_of(skeldistill, model, films, how):
    whole = write_painted(films / "b.mkv", painted(20))
    cut_off(whole, "a.mkv", 8)
    (films / "a.mp4").unlink()
    (films / "b.mp4").unlink()
    code, out, err = skeldistill("predict", model, "films", *REPLAY, *how)
    assert code == 0
    assert {json.loads(line)["source"] for line in out.splitlines()} == {"a", "b"}
    (line,) = [line for line in err.splitlines() if "warning" in line]
    assert line == (
        "skeldistill: warning: a: only 8 frames could be decoded, 0.8 of the 2.0 seconds that the "
        "file claims; it may have been cut off"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--window", "4f", "--stride", "9f"), "9 frames must be no longer than the window"),
        (("--window", "1", "--stride", "1.5"), "1.5 seconds must be no longer than the window"),
        (("--live",), "leave --live away"),
        (("--out", "films/a.mp4/said"), "films/a.mp4/said cannot be written, since .* no folder"),
        (("--overlay", "films/a.mp4/seen"), "cannot be written, since .* no folder"),
    ],
)
def test_mistakes_of_the_call_are_told_once_before_any_video(
    skeldistill, model, films, words, said
):
    code, out, err = skeldistill("predict", model, "films", *REPLAY, *words)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1, err
    assert re.search(said, err), err


@pytest.mark.parametrize("option", ["--overlay", "--out"])
def test_no_output_lies_on_a_video_that_comes_later(skeldistill, model, films, tmp_path, option):
    (films / "x").mkdir()
    ending = "mp4" if option == "--overlay" else "csv"
    later = films / f"x_a.{ending}"
    (films / "a.mp4").rename(films / "x" / "a.mp4")
    (films / "b.mp4").rename(later)
    (tmp_path / "list.txt").write_text(f"films/x/a.mp4\nfilms/x_a.{ending}\n", encoding="utf-8")
    before = later.read_bytes()
    code, out, err = skeldistill(
        "predict", model, "list.txt", "--estimator", "replay:store=people.arrow", "--format", "csv",
        option, "films",
    )  # fmt: skip
    assert (code, out) == (1, "")
    assert (
        err == f"skeldistill: {later.relative_to(tmp_path)} is the source itself; give the "
        "output another name\n"
    )
    assert later.read_bytes() == before


def test_a_full_disk_is_no_fault_of_a_video(skeldistill, model, films, monkeypatch):
    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(running, "write_text", full)
    code, _, err = skeldistill("predict", model, "films", *REPLAY, "--out", "said", *ALWAYS)
    assert code == 1
    assert err == "skeldistill: said/a.jsonl: No space left on device\n"


def hostile(tmp_path):
    (tmp_path / "films" / "none").mkdir()
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no video at all", encoding="utf-8")
    whole = (tmp_path / "films" / "a.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "cut.arrow").write_bytes((tmp_path / "people.arrow").read_bytes()[:700])
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n/etc/passwd\n", encoding="utf-8")
    (tmp_path / "some.json").write_text("[1, 2", encoding="utf-8")
    (tmp_path / "-x\n.mp4").write_bytes(b"\0" * 5000)
    small_store(tmp_path / "coco.arrow", named(2, "test"), layout=COCO17)
    small_store(tmp_path / "space.arrow", named(2, "test"), channels=3)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing.mp4", *REPLAY), "no nothing.mp4"),
        (("empty.mp4", *REPLAY), "empty"),
        (("text.mp4", *REPLAY), "cannot be decoded"),
        (("cut.mp4", *REPLAY), "cut.mp4"),
        (("list.m3u8", *REPLAY), "list.m3u8"),
        (("./-x\n.mp4", *REPLAY), "cannot be decoded"),
        (("films/none", *REPLAY), "has no video"),
        (("films/a.mp4",), "needs an estimator"),
        (("films/a.mp4", "--estimator", "magic"), "no estimator called"),
        (("films/a.mp4", "--estimator", "replay:store=coco.arrow"), "'penn13' .* 'coco17'"),
        (("films/a.mp4", "--estimator", "replay:store=model"), "model is a folder"),
        (("cut.arrow",), "truncated"),
        (("some.json",), "name its --reader"),
        (("some.json", "--reader", "jsn"), "no reader called 'jsn'"),
        (("coco.arrow",), "'penn13' .* 'coco17'"),
        (("space.arrow",), "2 coordinates .* have 3"),
        (("people.arrow", "--units", "metres"), "in pixels but .* in metres"),
        (("people.arrow", "--window", "0"), "no length"),
        (("people.arrow", "--window", "4f", "--stride", "9f"), "no longer than the window"),
        (("people.arrow", "--enter", "0.2", "--leave", "0.5"), "leave <= enter"),
        (("people.arrow", "--rate", "0"), "--rate 0"),
        (("people.arrow", "--format", "xml"), "no format 'xml'"),
        (("people.arrow", "--format", "srt"), "give --out a folder"),
        (("people.arrow", "--overlay", "o.mp4"), "must be a folder"),
        (("films/a.mp4", *REPLAY, "--overlay", "o.gif"), "must end with one of"),
        (("films/a.mp4", *REPLAY, "--overlay", "films/a.mp4"), "is the source itself"),
        (("films", *REPLAY, "--overlay", "films"), "could be written over the videos"),
        (("people.arrow", "--out", "people.arrow", "--format", "csv"), "is the source itself"),
        (("rtsp://me:secret@127.0.0.1:9/x", *REPLAY), "cannot be decoded"),
        (("rtsp://me:secret@127.0.0.1:9/x", *REPLAY, "--whole"), "no end"),
        (("rtsp://me:secret@127.0.0.1:9/x", *REPLAY, "--overlay", "o.mp4"), "cannot be decoded"),
        (("/dev/video73", *REPLAY), "camera 73: "),
        (("/dev/zero", *REPLAY), "/dev/zero is a device or a pipe, no video; name a file"),
        (("people.arrow", "--live", "--whole"), "--live goes frame by frame"),
        (("people.arrow", "--live", "--stride", "3f"), "with no --stride"),
        (("people.arrow", "--seconds", 3), "which people.arrow is not; leave it out"),
        (("people.arrow", *REPLAY), "people.arrow has skeletons, .* leave out --estimator replay"),
        (("some.json", "--reader", "openpose", *REPLAY), "some.json has skeletons"),
        (("people.arrow", "--option", "layout=penn13"), "--option layout is of a reader, and peo"),
        (("films", *REPLAY, "--option", "layout=penn13"), "and films needs none"),
        (("rtsp://me:secret@127.0.0.1:9/x", *REPLAY, "--option", "a=1"), "and rtsp://127.* none"),
        (("people.arrow", "--whole", "--stride", 3), "leave out --window and --stride"),
        (("people.arrow", "--whole", "--shortest", 1), "leave out --enter, --leave, --shortest"),
    ],
)
def test_refused_in_one_line_and_nothing_is_written(
    skeldistill, model, films, tmp_path, words, said
):
    folder = hostile(tmp_path)
    before = {one: one.stat().st_mtime_ns for one in folder.rglob("*")}
    given_ = ("--out", "out.jsonl") if "--out" not in words and "--format" not in words else ()
    code, out, err = skeldistill("predict", model, *words, *given_)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1, err
    assert "secret" not in err
    assert re.search(said, err), err
    assert {one: one.stat().st_mtime_ns for one in folder.rglob("*")} == before


def test_lost_joints_are_not_filled_twice(skeldistill, tmp_path):
    fills = {"methods": {"low": {"completion": {"name": "LinearInterpolation"}}}}
    model = small_checkpoint(tmp_path / "fills.safetensors", recipe=fills)
    store = small_store(tmp_path / "low.arrow", named(2, "train"))
    filled = derived(store, (), Part(name="Hold"), 0, tmp_path / "views", quiet=True)
    assert skeldistill("predict", model, store.path, "--out", "out.jsonl")[0] == 0
    code, _, err = skeldistill("predict", model, filled.path, "--out", "other.jsonl")
    assert (code, err.count("\n")) == (1, 1)
    assert "a view whose lost joints Hold has filled, and the network fills them itself" in err
    assert not (tmp_path / "other.jsonl").exists()


@pytest.mark.parametrize("content", [b"", b"\0" * 300, b"\xff\xff\xff\xff\xff\xff\xff\x7f{}"])
def test_a_model_that_is_none_is_refused(skeldistill, tmp_path, content):
    (tmp_path / "bad.safetensors").write_bytes(content)
    code, _, err = skeldistill("predict", "bad.safetensors", "x.arrow")
    assert code == 1
    assert "bad.safetensors" in err
    assert err.count("\n") == 1


class Camera(deploy.video.Video):
    """Frames without end, until the user has seen enough."""

    size, rate, aspect, duration, live, cut = (48, 64), 10.0, 1.0, None, True, ""
    waits = True

    def __init__(self, frames=None):
        self._stop = frames

    def close(self):
        """Nothing is held."""

    def frames(self):
        for number in range(1000):
            if number == self._stop:
                raise KeyboardInterrupt
            image = np.zeros((48, 64, 3), np.uint8)
            yield deploy.video.Frame(image=image, time=number / 10, number=number)


class Onlooker:
    """Sees somebody at the left for two seconds, then at the right."""

    layout = PENN13

    def begin(self, path, name):
        assert path is None

    def __call__(self, image, time):
        joints = np.ones((1, 13, 2), np.float32) * (-1 if time < 2 else 1)
        joints[0, 0, 1] = 20  # a person of some size
        return People(joints, np.ones((1, 13), np.float32))

    def close(self):
        """Nothing is held."""


@pytest.mark.parametrize("stopped", ["by the clock", "by the user"])
def test_a_camera_tells_at_once_and_stops_when_told(monkeypatch, stopped):
    clock = stopped == "by the clock"
    monkeypatch.setattr(sources.video, "open_video", lambda origin: Camera(None if clock else 40))
    onlooker = Onlooker()
    origin = sources.Filmed(
        name="0", origin="0", session=onlooker, estimator=EyeWitness(), rate=None
    )
    about = Source(layout=PENN13, channels=2, units="pixels", num_clips=1)
    each = sources.Sources(path=None, about=about, several=False, each=iter([origin]))
    told = []
    telling = running.Telling(
        say=told.append, failed=told.append, warn=told.append, watch=lambda name, share: None
    )
    wanted = Wanted(rules=RULES, seconds=4.0 if clock else None)
    assert running.run(sides(), each, wanted, telling).failures == 0
    first, second = map(json.loads, told)
    assert (first["label"], second["label"]) == ("left", "right")
    assert first["end"] == second["start"]
    assert second["end"] == 4.0


class EyeWitness:
    """The estimator of whom `Onlooker` is the session."""

    layout = PENN13

    def about(self):
        return {}

    def open(self):
        return Onlooker()


@pytest.mark.extras
def test_real_videos_get_their_names(skeldistill, model, real_data, tmp_path):
    """An untrained network's answers mean nothing; that all of the way is gone does."""
    pytest.importorskip("av")
    pytest.importorskip("mediapipe")
    clip = next(real_data("videos").glob("golf__*.avi"))
    task = real_data("models/pose_landmarker_full.task")
    small_checkpoint(tmp_path / "m.safetensors", layout=sources.estimators.find("mediapipe").layout)
    code, out, err = skeldistill(
        "predict", "m.safetensors", clip, "--estimator", f"mediapipe:model={task}", "--whole"
    )
    assert code == 0, err
    assert json.loads(out)["last_frame"] == 39
