"""Linking people over frames: laws, and examples worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeldistill.layouts import COCO17
from skeldistill.readers import tracking
from skeldistill.readers.tracking import People, link, surest

POSE = np.random.default_rng(0).uniform(0, 100, (17, 2)).astype(np.float32)


def people(*bodies: tuple[float, float]) -> People:
    """Bodies as (place, confidence): the same pose, moved to the right by `place`."""
    if not bodies:
        return tracking.nobody(COCO17)
    joints = np.stack([POSE + np.float32([place, 0]) for place, _ in bodies])
    scores = np.stack([np.full(17, score, np.float32) for _, score in bodies])
    return People(joints.astype(np.float32), scores)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.tuples(st.floats(0, 1000), st.floats(0.1, 1)), max_size=4), max_size=8))
def test_everybody_is_in_one_track_once(frames: list[list[tuple[float, float]]]) -> None:
    clip = [people(*bodies) for bodies in frames]
    found = [pair for track in link(clip) for pair in zip(track.frames, track.places, strict=True)]
    assert sorted(found) == [(t, i) for t, bodies in enumerate(frames) for i in range(len(bodies))]
    for track in link(clip):
        assert track.frames == sorted(set(track.frames))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_order_within_a_frame_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    places = np.cumsum(rng.uniform(-5, 5, (10, 3)), axis=0) + np.array([0, 300, 600])
    sure = (0.9, 0.5, 0.7)
    clip, shuffled = [], []
    for row in places:
        bodies = list(zip(row, sure, strict=True))
        clip.append(people(*bodies))
        shuffled.append(people(*[bodies[i] for i in rng.permutation(3)]))
    joints, scores = surest(clip, link(clip), 3)
    np.testing.assert_array_equal(surest(shuffled, link(shuffled), 3)[0], joints)
    np.testing.assert_allclose(scores.mean(axis=(1, 2)), sorted(sure, reverse=True), rtol=1e-6)
    np.testing.assert_allclose(joints[0, :, 0, 0] - POSE[0, 0], places[:, 0], atol=1e-3)


def test_the_nearest_in_sum_are_linked() -> None:
    # the greedy choice, 30 -> 28, would leave 0 -> 60 too far apart
    clip = [people((0, 1), (30, 1)), people((28, 1), (60, 1))]
    assert [track.places for track in link(clip)] == [[0, 0], [1, 1]]


def test_who_is_too_far_is_somebody_else() -> None:
    size = float(np.ptp(POSE, axis=0).max())
    near, far = (
        [people((0, 1)), people((0.49 * size, 1))],
        [people((0, 1)), people((0.51 * size, 1))],
    )
    assert len(link(near)) == 1
    assert len(link(far)) == 2


def test_who_comes_back_soon_is_the_same() -> None:
    for gap, count in ((tracking.PATIENCE - 1, 1), (tracking.PATIENCE, 2)):
        clip = [people((0, 1)), *[people()] * gap, people((5, 1))]
        assert len(link(clip)) == count


def test_lost_joints_do_not_count() -> None:
    half = people((3, 1))
    half.joints[0, :10], half.scores[0, :10] = 0, 0
    clip = [people((0, 1)), half, people((6, 1))]
    assert len(link(clip)) == 1
    joints, scores = surest(clip, link(clip), 1)
    assert not joints[0, 1, :10].any()
    assert not scores[0, 1, :10].any()


def test_a_long_track_is_before_a_short_surer_one() -> None:
    clip = [people((0, 0.5)) for _ in range(4)]
    clip[1] = people((0, 0.5), (900, 1))
    _, scores = surest(clip, link(clip), 1)
    np.testing.assert_allclose(scores, 0.5)
    _, scores = surest(clip, link(clip), 5)
    np.testing.assert_allclose(scores.mean(axis=(1, 2)), [0.5, 0.25])


def test_who_is_left_out_is_counted() -> None:
    clip = [people((0, 0.5)), people((0, 0.5), (900, 1), (400, 0))]  # the last without any joint
    tracks = tracking.follow([replace(one, ids=np.arange(len(one.scores))) for one in clip])
    assert len(tracks) == 3
    assert tracking.left_out(clip, tracks, 1) == {"people": 2}
    assert tracking.left_out(clip, tracks, 2) == {}
    assert tracking.left_out([people()], [], 1) == {}


def test_nobody_leaves_one_place_empty() -> None:
    clip = [people(), people()]
    joints, scores = surest(clip, link(clip), 2)
    assert joints.shape == (1, 2, 17, 2)
    assert not scores.any()


def test_a_crowd_is_cut_to_the_surest() -> None:
    many = tracking.MOST_PEOPLE + 20
    crowd = people(*[(1000.0 * i, 0.1 + 0.8 * i / many) for i in range(many)])
    tracks = link([crowd, crowd])
    assert sorted(track.places[0] for track in tracks) == list(range(20, many))
    assert all(track.frames == [0, 1] for track in tracks)


def test_numbers_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="no finite number"):
        people((float("nan"), 1))
