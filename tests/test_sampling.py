"""Sampling agrees with a plain loop over clips, and treats both views alike."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from skeldistill.data.joined import Joined
from skeldistill.data.sampling import draw, plain, sample
from skeldistill.data.shown import shown
from skeldistill.data.streams import bones, stream, velocities
from skeldistill.layouts import COCO17, NTU25, PENN13
from skeldistill.recipe import Sampling


def clips_of(rng, sizes, layout=PENN13, channels=2):
    made = []
    for persons, frames in sizes:
        scores = rng.uniform(0.1, 1, (persons, frames, layout.num_joints)).astype(np.float32)
        scores *= rng.random(scores.shape) > 0.2
        joints = rng.normal(100, 30, (*scores.shape, channels)).astype(np.float32)
        made.append((joints * (scores > 0)[..., None], scores))
    return made


def still(choice):
    """The same moments, but nothing turned, sized, sheared or mirrored."""
    count = len(choice.angles)
    return replace(
        choice,
        angles=np.zeros(count),
        sizes=np.ones(count),
        shears=np.zeros(count),
        mirrored=np.zeros(count, bool),
    )


SIZES = [(1, 1), (1, 5), (2, 40), (3, 12), (1, 100)]


def by_hand(clip, choice, row, sampling, channels):
    """One clip, one person and one frame at a time; no normalisation."""
    joints, scores = clip
    people = np.sort(np.argsort(-scores.mean(axis=(1, 2)), kind="stable")[: sampling.persons])
    if len(scores) <= sampling.persons:
        people = np.arange(len(scores))
    out = np.zeros((sampling.persons, sampling.frames, joints.shape[2], channels), np.float32)
    out_scores = np.zeros(out.shape[:3], np.float32)
    length = joints.shape[1]
    for m, person in enumerate(people):
        for t in range(sampling.frames):
            if sampling.frame_choice == "uniform":
                frame = min(int(choice.moments[row, t] * length), length - 1)
            elif sampling.frame_choice == "replay":
                frame = t % length
            elif t < length:
                frame = t
            else:
                continue
            out[m, t] = joints[person, frame]
            out_scores[m, t] = scores[person, frame]
    return out, out_scores


@pytest.mark.parametrize("frame_choice", ["uniform", "replay", "zeros"])
@pytest.mark.parametrize("persons", [1, 2])
def test_frames_and_persons_agree_with_a_loop(rng, frame_choice, persons):
    clips = clips_of(rng, SIZES)
    sampling = Sampling(frames=16, persons=persons, frame_choice=frame_choice, normalisation="none")
    rows = np.array([4, 0, 3, 2, 1, 2])
    choice = draw(len(rows), sampling, rng)
    joints, scores = sample(Joined.of(clips), rows, choice, sampling, PENN13, 2)
    for place, row in enumerate(rows):
        expected = by_hand(clips[row], choice, place, sampling, 2)
        np.testing.assert_array_equal(scores[place], expected[1])
        np.testing.assert_array_equal(joints[place], expected[0])


def test_resize_is_exact_on_straight_motion():
    joints = np.zeros((1, 10, 13, 2), np.float32)
    joints[..., 0] = np.arange(10)[None, :, None]
    clips = [(joints, np.ones((1, 10, 13), np.float32))]
    sampling = Sampling(frames=20, frame_choice="resize", normalisation="none")
    out, _ = sample(Joined.of(clips), np.array([0]), plain(1, sampling), sampling, PENN13, 2)
    expected = np.clip((np.arange(20) + 0.5) / 20 * 10 - 0.5, 0, 9)
    np.testing.assert_allclose(out[0, 0, :, 5, 0], expected, atol=1e-5)


def test_resize_never_mixes_a_lost_joint_in():
    joints = np.full((1, 2, 13, 2), 8.0, np.float32)
    scores = np.ones((1, 2, 13), np.float32)
    joints[0, 1, 3], scores[0, 1, 3] = 0, 0
    sampling = Sampling(frames=7, frame_choice="resize", normalisation="none")
    out, _ = sample(
        Joined.of([(joints, scores)]), np.array([0]), plain(1, sampling), sampling, PENN13, 2
    )
    assert set(np.unique(out[0, 0, :, 3])) <= {0.0, 8.0}


def test_training_draws_one_frame_from_each_stretch(rng):
    sampling = Sampling(frames=8)
    moments = draw(50, sampling, rng).moments
    stretches = np.floor(moments * 8).astype(int)
    np.testing.assert_array_equal(stretches, np.tile(np.arange(8), (50, 1)))


@pytest.mark.parametrize("frames", [1, 4, 8, 24])
def test_another_number_of_frames_goes_through_the_same_part_of_a_clip(rng, frames):
    drawn = draw(50, Sampling(frames=8, crop=0.5), rng)
    moments = drawn.moments_for(frames)
    assert moments.shape == (50, frames)
    assert (np.diff(moments, axis=1) >= 0).all()
    assert moments.min() >= 0
    assert moments.max() <= 1
    plainly = plain(1, Sampling(frames=8)).moments_for(frames)  # centres of stretches, however many
    np.testing.assert_allclose(plainly[0], (np.arange(frames) + 0.5) / frames)


def test_normalising_forgets_place_and_size_of_the_image(rng):
    clips = clips_of(rng, [(2, 30)])
    moved = [((joints * 3 + 500) * (scores > 0)[..., None], scores) for joints, scores in clips]
    sampling = Sampling(frames=16, persons=2)
    choice = plain(1, sampling)
    one, scores = sample(Joined.of(clips), np.array([0]), choice, sampling, PENN13, 2)
    other, _ = sample(Joined.of(moved), np.array([0]), choice, sampling, PENN13, 2)
    np.testing.assert_allclose(one, other, atol=1e-3)
    weights = scores.reshape(-1, 1) / scores.sum()
    assert np.abs((one.reshape(-1, 2) * weights).sum(axis=0)).max() < 1e-4
    assert (np.square(one.reshape(-1, 2)) * weights).sum() == pytest.approx(1, abs=1e-3)


def test_lost_joints_and_absent_persons_are_zero_after_everything(rng):
    clips = clips_of(rng, [(1, 30), (2, 9)])
    sampling = Sampling(
        frames=16, persons=2, rotation=40, scaling=0.3, shear=0.2, noise=0.1, mirror=0.5
    )
    choice = draw(2, sampling, rng)
    joints, scores = sample(Joined.of(clips), np.array([0, 1]), choice, sampling, PENN13, 2)
    assert (joints[scores == 0] == 0).all()
    assert (joints[0, 1] == 0).all()


def test_a_clip_without_anybody_stays_finite():
    nobody = [(np.zeros((1, 4, 13, 2), np.float32), np.zeros((1, 4, 13), np.float32))]
    sampling = Sampling(frames=8, rotation=10)
    for normalisation in ("clip", "centre"):
        chosen = sampling.model_copy(update={"normalisation": normalisation})
        joints, _ = sample(Joined.of(nobody), np.array([0]), plain(1, chosen), chosen, PENN13, 2)
        assert (joints == 0).all()


def test_turning_keeps_distances_and_both_views_turn_alike(rng):
    clips = clips_of(rng, [(1, 30)])
    sampling = Sampling(frames=16, rotation=90)
    choice = draw(1, sampling, rng)
    turned, _ = sample(Joined.of(clips), np.array([0]), choice, sampling, PENN13, 2)
    plainly, _ = sample(Joined.of(clips), np.array([0]), still(choice), sampling, PENN13, 2)
    np.testing.assert_allclose(
        np.linalg.norm(turned, axis=-1), np.linalg.norm(plainly, axis=-1), atol=1e-5
    )
    angle = choice.angles[0]
    matrix = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    np.testing.assert_allclose(turned, plainly @ matrix.T, atol=1e-5)


def test_3d_joints_turn_around_the_upright_axis(rng):
    clips = clips_of(rng, [(1, 30)], NTU25, 3)
    sampling = Sampling(frames=8, rotation=90)
    choice = replace(draw(1, sampling, rng), angles=np.array([1.0]))
    turned, scores = sample(Joined.of(clips), np.array([0]), choice, sampling, NTU25, 3)
    before, _ = sample(Joined.of(clips), np.array([0]), still(choice), sampling, NTU25, 3)
    np.testing.assert_allclose(turned[..., 1], before[..., 1], atol=1e-6)
    assert np.abs(turned[..., 0] - before[..., 0])[scores > 0].max() > 0.1


def test_mirroring_twice_changes_nothing(rng):
    clips = clips_of(rng, [(1, 12)], COCO17)
    sampling = Sampling(frames=8, mirror=1.0)
    choice = draw(1, sampling, rng)
    once, _ = sample(Joined.of(clips), np.array([0]), choice, sampling, COCO17, 2)
    never, _ = sample(Joined.of(clips), np.array([0]), still(choice), sampling, COCO17, 2)
    back = once[..., COCO17.mirrored, :] * [-1, 1]
    np.testing.assert_allclose(back, never, atol=1e-6)


def test_image_normalisation_needs_image_sizes(rng):
    clips = clips_of(rng, [(1, 12)])
    sampling = Sampling(frames=8, normalisation="image")
    with pytest.raises(ValueError, match="image sizes"):
        sample(Joined.of(clips), np.array([0]), plain(1, sampling), sampling, PENN13, 2)
    sizes = np.array([[480, 640]], np.float32)
    out, _ = sample(Joined.of(clips), np.array([0]), plain(1, sampling), sampling, PENN13, 2, sizes)
    frame = min(int(0.5 / 8 * 12), 11)
    joint = int(np.argmax(clips[0][1][0, frame] > 0))
    x, y = clips[0][0][0, frame, joint]
    np.testing.assert_allclose(out[0, 0, 0, joint], [(x - 320) / 320, (y - 240) / 240], atol=1e-5)


def test_bones_point_from_the_parent_and_skip_lost_joints():
    joints = np.zeros((1, 1, 1, 13, 2), np.float32)
    joints[0, 0, 0, 1] = [2, 1]  # left shoulder; its parent, the head, is lost
    joints[0, 0, 0, 3] = [5, 5]  # left elbow
    made = bones(joints, PENN13.parents, joints.any(axis=-1))
    np.testing.assert_array_equal(made[0, 0, 0, 3], [3, 4])
    np.testing.assert_array_equal(made[0, 0, 0, 1], [0, 0])


def test_velocities_are_steps_to_the_next_frame():
    joints = np.arange(1, 7, dtype=np.float32).reshape(1, 1, 3, 1, 2)
    seen = np.ones((1, 1, 3, 1), bool)
    made = velocities(joints, seen)
    np.testing.assert_array_equal(made[0, 0, :, 0], [[2, 2], [2, 2], [0, 0]])
    np.testing.assert_array_equal(stream("velocity", joints, PENN13, seen), made)
    np.testing.assert_array_equal(stream("joint", joints, PENN13, seen), joints)


def test_the_joint_that_a_clip_is_centred_on_is_not_lost(rng):
    joints = rng.normal(300, 50, (1, 12, 13, 2)).astype(np.float32)
    whole = Joined.of([(joints, np.ones((1, 12, 13), np.float32))])
    sampling = Sampling(frames=12, normalisation="centre", stream="bone")
    made = shown(whole, np.array([0]), plain(1, sampling), sampling, PENN13, 2)
    roots = PENN13.parents == np.arange(13)
    assert made[0, 0, 0, ~roots, :2].any(axis=-1).all()


def test_joints_that_the_source_is_unsure_of_can_count_as_lost(rng):
    clips = clips_of(rng, [(1, 12)])
    sampling = Sampling(frames=8, least_score=0.5)
    joints, scores = sample(
        Joined.of(clips), np.array([0]), plain(1, sampling), sampling, PENN13, 2
    )
    assert set(np.unique(scores[scores < 0.5])) == {0.0}
    assert (joints[scores == 0] == 0).all()
    everything = Sampling(frames=8)
    _, all_scores = sample(
        Joined.of(clips), np.array([0]), plain(1, everything), everything, PENN13, 2
    )
    np.testing.assert_array_equal(scores, all_scores * (all_scores >= 0.5))


@pytest.mark.parametrize(
    ("normalisation", "channels"),
    [*product(("clip", "centre", "none"), (2, 3)), ("image", 2)],  # no image has joints in space
)
def test_a_batch_is_what_its_clips_are_alone(rng, monkeypatch, normalisation, channels):
    layout = PENN13 if channels == 2 else NTU25
    clips = Joined.of(clips_of(rng, [*SIZES, (1, 7)], layout, channels))
    sampling = Sampling(
        frames=16, persons=2, normalisation=normalisation, rotation=20, scaling=0.2, mirror=0.5,
        noise=0.01, least_score=0.3,
    )  # fmt: skip
    choice = draw(6, sampling, rng)
    sizes = np.full((6, 2), (480, 640), np.float32)
    args = (sampling, layout, channels, sizes)
    whole = sample(clips, np.arange(6), choice, *args)
    for cached in (1, 2 * 16 * 13 * 2 * 4 * 2):  # one clip at a time, and some
        monkeypatch.setattr("skeldistill.data.sampling.CACHED", cached)
        for one, other in zip(sample(clips, np.arange(6), choice, *args), whole, strict=True):
            np.testing.assert_array_equal(one, other)


def test_far_from_the_origin_nothing_is_lost(rng):
    (joints, scores) = clips_of(rng, [(2, 40)])[0]
    sampling = Sampling(frames=32, persons=2)
    made = []
    for away in (0, 4096):
        moved = (np.round(joints) + away) * (scores > 0)[..., None]
        made.append(
            sample(
                Joined.of([(moved.astype(np.float32), scores)]), np.array([0]), plain(1, sampling),
                sampling, PENN13, 2,
            )[0]
        )  # fmt: skip
    np.testing.assert_allclose(*made, atol=2e-6)
