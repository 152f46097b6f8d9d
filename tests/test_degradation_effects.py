"""What each degradation means, by hand; the laws of all of them: test_degradations."""

import numpy as np
import pytest
from degradation_clips import degraded, same, some_clip

from skeldistill.degradations import SHELF
from skeldistill.degradations.body_size import body_size, centres
from skeldistill.degradations.bursts import bursts
from skeldistill.layouts import COCO17, NTU25, PARTS, PENN13

LAYOUTS = [COCO17, NTU25, PENN13]


def lost_share(part, layout=COCO17, frames=400, repeats=20):
    clip = some_clip(5, frames=frames, layout=layout, lost=0)
    return np.mean([degraded(part, clip, layout, s)[1] == 0 for s in range(repeats)], axis=0)


@pytest.mark.parametrize("probability", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize(
    "name", ["JointOcclusion", "ClipJointOcclusion", "LostPerson", "LostFrames"]
)
def test_probability_is_the_share_lost(name, probability):
    share = lost_share(SHELF[name](probability=probability), repeats=60)
    assert share.mean() == pytest.approx(probability, abs=0.05)


def test_joint_occlusion_is_drawn_for_every_frame_or_for_the_clip():
    clip = some_clip(6, frames=50, lost=0)
    _, by_frame = degraded(SHELF["JointOcclusion"](probability=0.5), clip)
    _, by_clip = degraded(SHELF["ClipJointOcclusion"](probability=0.5), clip)
    changes = (np.diff(by_frame == 0, axis=1) != 0).mean()
    assert changes == pytest.approx(0.5, abs=0.05)
    gone = by_clip == 0
    assert np.array_equal(gone.all(axis=1), gone.any(axis=1))
    assert not np.array_equal(gone[0], gone[1])


@pytest.mark.parametrize(
    ("probability", "burst"), [(0.1, 5.0), (0.5, 10.0), (0.8, 20.0), (0.5, 1.0)]
)
def test_bursts_have_their_share_and_length(probability, burst, rng):
    trouble = bursts(probability, burst, (3, 4000, 17), rng)
    assert trouble.mean() == pytest.approx(probability, abs=0.03)
    assert trouble[:, 0].mean() == pytest.approx(probability, abs=0.25)
    starts = (trouble[:, 1:] & ~trouble[:, :-1]).sum()
    length = trouble[:, 1:].sum() / starts
    assert length == pytest.approx(max(burst, 1 / (1 - probability)), rel=0.1)


def test_burst_occlusion_favours_wrists_and_ankles():
    for layout in LAYOUTS:
        share = lost_share(SHELF["BurstOcclusion"](probability=0.3), layout).mean(axis=(0, 1))
        assert share.mean() == pytest.approx(0.3, abs=0.04)
        at = dict(zip(layout.joints, share, strict=True))
        for end, middle, root in [("wrist", "elbow", "shoulder"), ("ankle", "knee", "hip")]:
            mean = {j: (at[f"left_{j}"] + at[f"right_{j}"]) / 2 for j in (end, middle, root)}
            assert mean[end] > mean[middle] > mean[root]
            assert mean[end] / mean[root] == pytest.approx(3, rel=0.35)


def test_confidence_occlusion_keeps_the_sure():
    clip = some_clip(7)
    clip[1][0, 0, 0] = 0.5
    _, scores = degraded(SHELF["ConfidenceOcclusion"](threshold=0.5), clip)
    assert np.array_equal(scores, np.where(clip[1] >= 0.5, clip[1], 0))


@pytest.mark.parametrize("part", PARTS)
def test_part_occlusion_hides_that_part(part):
    clip = some_clip(8, frames=20, lost=0)
    _, scores = degraded(SHELF["PartOcclusion"](part=part, share=0.3), clip)
    lost = scores == 0
    members = [COCO17.index(joint) for joint in COCO17.parts[part]]
    others = np.setdiff1d(np.arange(17), members)
    assert not lost[..., others].any()
    assert (lost[..., members].sum(axis=1) == 6).all()
    for person in range(2):
        frames = np.flatnonzero(lost[person, :, members[0]])
        assert np.array_equal(frames, np.arange(frames[0], frames[0] + 6))


def test_part_occlusion_draws_a_part_for_each_person():
    clip = some_clip(8, persons=3, lost=0)
    drawn = set()
    for seed in range(30):
        _, scores = degraded(SHELF["PartOcclusion"](), clip, seed=seed)
        for lost in (scores == 0).all(axis=1):
            row = np.flatnonzero((COCO17.part_members == lost).all(axis=1))
            assert len(row) == 1
            drawn.add(int(row[0]))
    assert drawn == set(range(5))


def test_ragcn_parts_are_the_published_ones():
    clip = some_clip(9, layout=NTU25, lost=0)
    published = {  # joints counted from 1, as Kinect does
        1: [5, 6, 7, 8, 22, 23],
        2: [9, 10, 11, 12, 24, 25],
        3: [22, 23, 24, 25],
        4: [13, 14, 15, 16, 17, 18, 19, 20],
        5: [1, 2, 3, 4, 21],
    }
    for part, joints in published.items():
        _, scores = degraded(SHELF["RAGCNParts"](part=part), clip, NTU25)
        assert (np.flatnonzero((scores == 0).all(axis=(0, 1))) + 1).tolist() == joints
        assert (scores == 0).mean() == pytest.approx(len(joints) / 25)
    _, scores = degraded(SHELF["RAGCNParts"](part=3), some_clip(9, lost=0))
    hands = np.flatnonzero((scores == 0).all(axis=(0, 1)))
    assert [COCO17.joints[joint] for joint in hands] == ["left_wrist", "right_wrist"]


def test_ragcn_frames_lie_around_the_fiftieth():
    clip = some_clip(10, frames=60, lost=0)
    _, scores = degraded(SHELF["RAGCNFrames"](frames=10), clip)
    assert np.flatnonzero((scores == 0).all(axis=(0, 2))).tolist() == list(range(45, 55))
    assert (scores == 0).mean() == pytest.approx(1 / 6)


def test_block_dropout_makes_one_hole():
    clip = some_clip(11, frames=40, lost=0)
    _, scores = degraded(SHELF["BlockDropout"](share=0.25), clip)
    hole = np.flatnonzero((scores == 0).all(axis=(0, 2)))
    assert np.array_equal(hole, np.arange(hole[0], hole[0] + 10))
    assert (scores == 0).mean() == pytest.approx(0.25)


def test_lost_frames_take_everybody_and_lost_person_only_one():
    clip = some_clip(12, frames=100, lost=0)
    _, frames = degraded(SHELF["LostFrames"](probability=0.4), clip)
    _, person = degraded(SHELF["LostPerson"](probability=0.4), clip)
    for scores in (frames, person):
        assert np.array_equal((scores == 0).all(axis=2), (scores == 0).any(axis=2))
    assert np.array_equal(frames[0] == 0, frames[1] == 0)
    assert not np.array_equal(person[0] == 0, person[1] == 0)


def test_held_and_dropped_frames():
    clip = some_clip(13, frames=25)
    held = degraded(SHELF["HeldFrames"](keep=10), clip)
    dropped = degraded(SHELF["DroppedFrames"](keep=10), clip)
    for before, long, short in zip(clip, held, dropped, strict=True):
        assert np.array_equal(short, before[:, [0, 10, 20]])
        assert np.array_equal(long, before[:, [0] * 10 + [10] * 10 + [20] * 5])


def test_random_frames_keep_their_order():
    joints, scores = some_clip(14, frames=25)
    joints[..., 0] = np.where(scores > 0, np.arange(25)[:, None], 0)
    few, sure = degraded(SHELF["RandomFrames"](keep=10), (joints, scores))
    assert few.shape[1] == 3
    frames = [int(few[0, s, sure[0, s] > 0, 0][0]) for s in range(3)]
    assert frames == sorted(set(frames))


def naive_interpolated(joints, scores, keep):
    filled, sure = joints.astype(float), scores.astype(float)
    for m, t, v in np.ndindex(scores.shape):
        a = t // keep * keep
        b = a + keep if a + keep < scores.shape[1] else a
        way = (t - a) / keep
        ends = [(a, 1 - way), (b, way)]
        ends = [(s, weight) for s, weight in ends if scores[m, s, v] > 0 and weight > 0]
        total = sum(weight for _, weight in ends)
        filled[m, t, v] = sum(w * joints[m, s, v] for s, w in ends) / total if ends else 0
        sure[m, t, v] = sum(w * scores[m, s, v] for s, w in ends) / total if ends else 0
    return filled, sure


@pytest.mark.parametrize("keep", [1, 2, 7, 100])
def test_interpolated_frames_are_their_naive_twin(keep):
    clip = some_clip(15, frames=30, lost=0.4)
    part = SHELF["InterpolatedFrames"](keep=keep)
    for ours, naive in zip(degraded(part, clip), naive_interpolated(*clip, keep), strict=True):
        np.testing.assert_allclose(ours, naive, rtol=1e-5, atol=1e-4)


def test_interpolation_never_mixes_in_the_zeros_of_a_lost_joint():
    joints = np.full((1, 9, 13, 2), 100, np.float32)
    scores = np.ones((1, 9, 13), np.float32)
    joints[0, 4, 0], scores[0, 4, 0] = 0, 0
    filled, sure = degraded(SHELF["InterpolatedFrames"](keep=4), (joints, scores), PENN13)
    assert np.array_equal(np.unique(filled[sure > 0]), [100])
    assert np.flatnonzero(sure[0, :, 0] == 0).tolist() == [4]


def test_jitter_is_measured_in_body_sizes():
    joints, scores = some_clip(16, frames=400, channels=3, lost=0.3)
    size = body_size(joints, scores)
    moved, sure = degraded(SHELF["Jitter"](deviation=0.1), (joints, scores))
    for person in range(2):
        seen = scores[person] > 0
        noise = (moved - joints)[person][seen]
        assert noise.std() == pytest.approx(0.1 * size[person], rel=0.03)
        assert abs(noise.mean()) < 0.01 * size[person]
    assert np.array_equal(sure, scores)


def test_body_size_hardly_feels_lost_joints():
    joints, scores = some_clip(17, frames=200, lost=0)
    whole = body_size(joints, scores)
    worse = degraded(SHELF["JointOcclusion"](probability=0.6), (joints, scores))
    np.testing.assert_allclose(body_size(*worse), whole, rtol=0.12)
    np.testing.assert_allclose(body_size(joints * 4, scores), whole * 4, rtol=1e-5)
    np.testing.assert_allclose(body_size(joints + 1000, scores), whole, rtol=1e-4)
    wild = joints.copy()
    wild[:, 7] *= 1000
    np.testing.assert_allclose(body_size(wild, scores), whole, rtol=0.02)
    alone = scores.copy()
    alone[:, :150, 1:] = 0  # frames with one joint say nothing of its size
    np.testing.assert_allclose(body_size(joints, alone), whole, rtol=0.2)
    square = np.array([[[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]], np.float32)
    ones = np.array([[[1, 1, 1, 1, 0]]], np.float32)
    assert body_size(square, ones)[0] == pytest.approx(2**0.5)
    assert body_size(square, np.array([[[1, 0, 0, 0, 0]]], np.float32))[0] == 0


def test_quantisation_rounds_to_its_grid():
    joints, scores = some_clip(18)
    width = 0.2 * body_size(joints, scores)[:, None, None, None]
    rounded, _ = degraded(SHELF["Quantisation"](step=0.2), (joints, scores))
    assert (np.abs(rounded - joints) <= width * 0.5001).all()
    np.testing.assert_allclose(rounded / width, np.round(rounded / width), atol=1e-3)


def test_drifts_move_the_person_as_a_whole():
    joints, scores = some_clip(19, frames=50, lost=0)
    slid, _ = degraded(SHELF["TranslationDrift"](deviation=1.0), (joints, scores))
    way = slid - joints
    np.testing.assert_allclose(way, np.broadcast_to(way[:, :, :1], way.shape), atol=1e-3)
    assert np.abs(way).max() > 5
    grown, _ = degraded(SHELF["ScaleDrift"](deviation=0.5), (joints, scores))
    middle = centres(joints, scores)
    np.testing.assert_allclose(centres(grown, scores), middle, rtol=1e-4)
    growth = np.linalg.norm(grown - middle, axis=3) / np.linalg.norm(joints - middle, axis=3)
    np.testing.assert_allclose(growth, np.broadcast_to(growth[..., :1], growth.shape), rtol=1e-3)
    ends = [
        degraded(SHELF["ScaleDrift"](deviation=0.5), (joints, scores), seed=seed)[0][:, -1]
        for seed in range(100)
    ]
    logs = np.log(np.linalg.norm(np.diff(ends, axis=2)[..., 0, :], axis=-1))
    assert logs.std(axis=0).mean() == pytest.approx(0.5, abs=0.1)


def test_left_right_swap_gives_joints_to_their_partners():
    clip = some_clip(20, frames=60)
    joints, scores = degraded(SHELF["LeftRightSwap"](probability=0.4), clip)
    mirrored = clip[0][:, :, COCO17.mirrored], clip[1][:, :, COCO17.mirrored]
    swapped = (joints == mirrored[0]).all(axis=(2, 3))
    kept = (joints == clip[0]).all(axis=(2, 3))
    assert (swapped ^ kept).all()
    assert swapped.any(axis=1).all()
    assert kept.any(axis=1).all()
    assert np.array_equal(scores[swapped], mirrored[1][swapped])


def test_identity_switch_needs_two():
    part = SHELF["IdentitySwitch"](probability=0.5)
    one = some_clip(21, persons=1)
    assert same(degraded(part, one), one)
    two = some_clip(21, persons=2, frames=60)
    joints, scores = degraded(part, two)
    switched = (joints == two[0][::-1]).all(axis=(0, 2, 3))
    assert switched.any()
    assert not switched.all()
    assert np.array_equal(scores[:, switched], two[1][::-1][:, switched])
    assert np.array_equal(joints[:, ~switched], two[0][:, ~switched])
