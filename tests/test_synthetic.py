"""The synthetic source: sound clips, human bodies, honest errors, and a gap that can be closed."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skeldistill import layouts
from skeldistill.readers.synthetic import PEOPLE, Synthetic
from skeldistill.readers.synthetic_actions import ACTIONS
from skeldistill.readers.synthetic_errors import (
    bursts,
    difficulty,
    jitter,
    lag,
    shorten,
    strays,
    swap_sides,
)


@pytest.fixture(scope="module")
def high():
    return list(Synthetic().read())


@pytest.fixture(scope="module")
def low():
    return list(Synthetic(view="low").read())


# the source


@pytest.mark.parametrize("view", ["high", "low"])
def test_clips_are_the_same_in_every_run_and_however_many_come(view):
    few, many = Synthetic(clips=5, view=view), Synthetic(clips=9, view=view)
    for one, two in zip(few.read(None), many.read(None), strict=False):
        assert one.id == two.id
        assert one.splits == two.splits
        np.testing.assert_array_equal(one.joints, two.joints)
        np.testing.assert_array_equal(one.scores, two.scores)


def test_another_seed_is_another_population():
    one, two = next(Synthetic(seed=0).read()), next(Synthetic(seed=1).read())
    assert one.id != two.id
    assert one.joints.shape != two.joints.shape or not np.allclose(one.joints, two.joints)


def test_views_show_the_same_clips(high, low):
    assert len(high) == len(low) == 720
    assert len({clip.id for clip in high}) == 720
    for one, two in zip(high, low, strict=True):
        assert (one.id, one.label, one.num_frames) == (two.id, two.label, two.num_frames)
        assert (one.splits, one.subject, one.camera) == (two.splits, two.subject, two.camera)
        assert not np.array_equal(one.joints, two.joints)


def test_splits_part_people_and_hold_every_action(high):
    train = [clip for clip in high if clip.splits == ("train",)]
    test = [clip for clip in high if clip.splits == ("test",)]
    assert (len(train), len(test)) == (480, 240)
    assert {clip.subject for clip in train}.isdisjoint(clip.subject for clip in test)
    assert {clip.subject for clip in high} == set(range(PEOPLE))
    for part in (train, test, [*train[:32]], [*test[:16]]):  # and with 48 clips already
        assert {clip.label for clip in part} == set(range(len(ACTIONS)))


def test_clips_differ_in_length_and_camera(high):
    frames = [clip.num_frames for clip in high]
    assert min(frames) == 40
    assert max(frames) == 90
    assert {clip.camera for clip in high} == {0, 1, 2}
    only = Synthetic(clips=3, shortest=12, longest=12)
    assert [clip.num_frames for clip in only.read()] == [12, 12, 12]


@pytest.mark.parametrize("name", sorted(layouts.SHELF))
@pytest.mark.parametrize("view", ["high", "low"])
def test_layouts(name, view):
    reader = Synthetic(clips=3, view=view, layout=name)
    source = reader.describe(None)
    try:
        clips = list(reader.read())
    except ValueError as error:  # a layout that came later may ask for more than the body has
        assert "synthetic body has no joint" in str(error)  # noqa: PT017
        return
    assert source.units == ("metres" if source.channels == 3 else "pixels")
    assert len(source.classes) == len(set(source.classes)) == 16
    assert source.num_clips == len(clips) == 3
    for clip in clips:
        assert clip.layout is layouts.find(name) is source.layout
        assert clip.joints.shape == (1, clip.num_frames, clip.layout.num_joints, source.channels)
        assert (clip.size is None) == (source.channels == 3)


def test_all_first_layouts_are_served():
    for name in ("coco17", "jhmdb15", "kinect20", "mediapipe33", "ntu25", "openpose18", "penn13"):
        next(Synthetic(clips=1, layout=name).read())


def test_people_stand_in_the_picture(high):
    for clip in high[:100]:
        height, width = clip.size
        x, y = np.moveaxis(clip.joints[0], -1, 0)
        inside = (x > 0) & (x < width) & (y > 0) & (y < height)
        assert inside.mean() > 0.9
        feet = y[0, [clip.layout.index("left_ankle"), clip.layout.index("right_ankle")]]
        assert 150 < feet.mean() - y[0, clip.layout.index("nose")] < 620


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clips": 0}, "clips"),
        ({"seed": -1}, "seed"),
        ({"view": "hihg"}, "'high'"),
        ({"layout": "coco71"}, "coco17"),
        ({"shortest": 50, "longest": 40}, "shortest"),
        ({"shortest": 2}, "shortest"),
    ],
)
def test_wrong_options_are_one_clear_line(options, words):
    with pytest.raises(ValueError, match=words) as caught:
        Synthetic(**options)
    assert "\n" not in str(caught.value)


# the errors


def test_scores_tell_some_of_the_error(high, low):
    error, scores = [], []
    for one, two in zip(high, low, strict=True):
        stature = np.ptp(one.joints[0, :, :, 1])
        kept = two.scores[0] > 0
        error.append((np.linalg.norm(one.joints - two.joints, axis=-1)[0] / stature)[kept])
        scores.append(two.scores[0][kept])
        assert (one.scores == 1).all()
        np.testing.assert_array_equal(two.joints[0][~kept], 0)
    error, scores = np.concatenate(error), np.concatenate(scores)
    told = np.corrcoef(np.argsort(np.argsort(error)), np.argsort(np.argsort(scores)))[0, 1]
    assert -0.75 < told < -0.25
    assert (scores[error > 0.1] > 0.8).mean() > 0.05  # sure of some mistakes
    assert 0.005 < np.median(error) < 0.04


def test_wrists_and_ankles_are_lost_first_and_in_bursts(low):
    lost = np.concatenate([clip.scores[0] == 0 for clip in low])
    missed = lost.all(axis=1)
    assert 0.005 < missed.mean() < 0.06
    share = dict(zip(low[0].layout.joints, lost[~missed].mean(axis=0), strict=True))
    ends = min(share[f"{side}_{name}"] for side in ("left", "right") for name in ("wrist", "ankle"))
    bends = [share[f"{side}_{name}"] for side in ("left", "right") for name in ("elbow", "knee")]
    trunk = max(
        share[f"{side}_{name}"] for side in ("left", "right") for name in ("hip", "shoulder")
    )
    assert 0.08 < ends < 0.4
    assert ends > 1.5 * max(bends)
    assert min(bends) > trunk
    again = lost[1:][lost[:-1]].mean()
    assert again > 3 * lost.mean()  # lost now: likely lost in the next frame


def test_errors_leave_what_they_are_given_alone_and_nothing_at_zero(rng):
    layout = layouts.find("coco17")
    joints = rng.normal(0, 100, (20, 17, 2))
    before = joints.copy()
    none = np.zeros(17)
    for same in (
        lag(joints, 0.0),
        shorten(joints, np.zeros((20, 17)), layout),
        jitter(joints, np.zeros((20, 17)), 500.0, rng=rng),
        swap_sides(joints, layout, 0.0, rng=rng),
        strays(joints, none, 500.0, rng=rng),
    ):
        np.testing.assert_array_equal(same, before)
    for other in (
        lag(joints, 0.5),
        shorten(joints, np.full((20, 17), 0.2), layout),
        jitter(joints, np.full((20, 17), 0.1), 500.0, rng=rng),
        swap_sides(joints, layout, 1.0, rng=rng),
        strays(joints, none + 1, 500.0, rng=rng),
    ):
        assert not np.allclose(other, before)
    np.testing.assert_array_equal(joints, before)


def test_swapped_sides_are_the_mirror_joints(rng):
    layout = layouts.find("coco17")
    joints = rng.normal(0, 100, (6, 17, 2))
    swapped = swap_sides(joints, layout, 1.0, rng=rng)
    head = [layout.index(name) for name in ("nose", "left_eye", "right_ear")]
    np.testing.assert_array_equal(swapped[:, head], joints[:, head])
    left, right = layout.index("left_wrist"), layout.index("right_wrist")
    np.testing.assert_array_equal(swapped[:, left], joints[:, right])
    np.testing.assert_array_equal(swapped[:, right], joints[:, left])


def test_bursts_last_as_long_as_asked(rng):
    begins = np.zeros((60, 4000))
    begins[5] = 1.0
    lasted = bursts(begins, 6.0, rng=rng).sum(axis=0)
    assert lasted.min() >= 1
    assert abs(lasted.mean() - 6.0) < 0.3


def test_limb_ends_are_hardest():
    layout = layouts.find("ntu25")
    hard = dict(zip(layout.joints, difficulty(layout), strict=True))
    assert hard["left_wrist"] > hard["left_elbow"] > hard["left_shoulder"] == hard["head"]
    assert hard["right_ankle"] > hard["right_knee"] > hard["right_hip"]


# the problem it poses


def features(clips):
    """What a simple recogniser sees: poses and motion, centred and scaled, 32 frames."""
    rows = []
    for clip in clips:
        joints, kept = clip.joints[0].astype(float), clip.scores[0] > 0
        joints[~kept] = np.median(joints[kept], axis=0)
        at = {name: joints[:, clip.layout.index(name)] for name in clip.layout.joints}
        hips = (at["left_hip"] + at["right_hip"]) / 2
        shoulders = (at["left_shoulder"] + at["right_shoulder"]) / 2
        joints -= np.median(hips, axis=0)
        joints /= np.median(np.linalg.norm(shoulders - hips, axis=1))
        joints = joints[np.linspace(0, len(joints) - 1, 32).round().astype(int)].reshape(32, -1)
        motion = joints[2:] - joints[:-2]
        places = np.quantile(joints, (0.05, 0.25, 0.5, 0.75, 0.95), axis=0)
        moves = np.quantile(motion, (0.05, 0.25, 0.75, 0.95), axis=0)
        rows.append(np.concatenate([places, moves, [np.abs(motion).mean(axis=0)], joints[::4]]))
    return np.stack(rows).reshape(len(clips), -1)


def test_the_gap_between_the_views_is_clear_and_partly_learnable(high, low):
    labels = np.array([clip.label for clip in high])
    train = np.array([clip.splits == ("train",) for clip in high])
    seen = {"high": features(high), "low": features(low)}
    accuracy = {}
    for learnt in seen:
        model = make_pipeline(StandardScaler(), LinearSVC(C=1e-3, max_iter=3000))
        model.fit(seen[learnt][train], labels[train])
        for asked in seen:
            accuracy[learnt, asked] = model.score(seen[asked][~train], labels[~train])
    assert accuracy["high", "high"] > 0.78
    assert 0.1 < accuracy["high", "high"] - accuracy["low", "low"] < 0.35
    assert accuracy["low", "low"] > 0.45
    assert accuracy["high", "low"] < accuracy["low", "low"] - 0.1
