"""Laws of every completion, each formula against its naive twin, and the released SKD's numbers."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from skeldistill import completions
from skeldistill.completions import (
    GUESS,
    SHELF,
    Hold,
    LinearInterpolation,
    NeighbourAverage,
    SlidingWindowAverage,
    SplineInterpolation,
)
from skeldistill.layouts import COCO17, NTU25, PENN13

GOLDEN = Path(__file__).parent / "golden" / "preprocessing.safetensors"
VARIANTS = [part() for part in SHELF.values()] + [
    SlidingWindowAverage(window=7),
    NeighbourAverage(hops=3),
]
SMOOTHING = [SlidingWindowAverage(window=3, smooth=True)]


def some_clip(seed, *, persons=2, frames=12, layout=COCO17, channels=2, lost=0.5):
    rng = np.random.default_rng(seed)
    shape = (persons, frames, layout.num_joints)
    scores = rng.uniform(0.2, 1, shape).astype(np.float32) * (rng.random(shape) >= lost)
    joints = rng.normal(0, 50, (*shape, channels)).astype(np.float32) * (scores > 0)[..., None]
    return joints.astype(np.float32), scores.astype(np.float32)


clips = st.builds(
    lambda seed, persons, frames, layout, channels, lost: (
        *some_clip(
            seed, persons=persons, frames=frames, layout=layout, channels=channels, lost=lost
        ),
        layout,
    ),
    st.integers(0, 2**32 - 1),
    st.integers(1, 3),
    st.integers(1, 12),
    st.sampled_from([COCO17, NTU25, PENN13]),
    st.sampled_from([2, 3]),
    st.sampled_from([0.0, 0.3, 0.8, 1.0]),
)


@pytest.mark.parametrize("part", VARIANTS + SMOOTHING, ids=repr)
@settings(deadline=None, max_examples=100)
@given(clip=clips)
def test_laws(part, clip):
    joints, scores, layout = clip
    given_joints, given_scores = joints.copy(), scores.copy()
    filled, sure = part(joints, scores, layout=layout)

    assert np.array_equal(joints, given_joints)
    assert np.array_equal(scores, given_scores)
    assert (filled.shape, filled.dtype) == (joints.shape, np.float32)
    assert (sure.shape, sure.dtype) == (scores.shape, np.float32)
    assert np.isfinite(filled).all()
    assert not np.shares_memory(filled, joints)
    seen = scores > 0
    assert np.array_equal(sure[seen], scores[seen])
    if part not in SMOOTHING:
        assert np.array_equal(filled[seen], joints[seen])
    # What stays lost is lost; what is filled is less sure than the best that is seen.
    assert not filled[sure == 0].any()
    if (~seen & (sure > 0)).any():
        assert sure[~seen].max() <= GUESS * scores.max() * 1.00001
    # Nothing is invented for a person of whom nothing is seen.
    assert not sure[~seen.any(axis=(1, 2))].any()


@pytest.mark.parametrize("part", VARIANTS + SMOOTHING, ids=repr)
def test_persons_do_not_mix(part):
    joints, scores = some_clip(3, persons=3)
    together = part(joints, scores, layout=COCO17)
    for person in range(3):
        alone = part(joints[[person]], scores[[person]], layout=COCO17)
        np.testing.assert_allclose(together[0][person], alone[0][0], rtol=1e-6)
        np.testing.assert_allclose(together[1][person], alone[1][0], rtol=1e-6)


@pytest.mark.parametrize("part", [Hold(), LinearInterpolation(), SplineInterpolation()], ids=repr)
def test_a_second_time_changes_nothing(part):
    once = part(*some_clip(4, lost=0.8), layout=COCO17)
    for first, second in zip(once, part(*once, layout=COCO17), strict=True):
        assert np.array_equal(first, second)


def naive_sliding_window(joints, scores, reach, smooth):
    filled, sure = joints.copy(), scores.copy()
    for m, t, v in np.ndindex(scores.shape):
        window = range(max(0, t - reach), min(scores.shape[1], t + reach + 1))
        frames = [s for s in window if scores[m, s, v] > 0]
        lost = scores[m, t, v] == 0
        if frames and (lost or smooth):
            filled[m, t, v] = np.mean([joints[m, s, v].astype(float) for s in frames], axis=0)
        if frames and lost:
            sure[m, t, v] = 0.5 * np.mean([scores[m, s, v] for s in frames])
    return filled, sure


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("window", [1, 3, 7, 31])
def test_sliding_window_average_is_its_naive_twin(window, smooth):
    joints, scores = some_clip(5, lost=0.7)
    part = SlidingWindowAverage(window=window, smooth=smooth)
    twin = naive_sliding_window(joints, scores, window // 2, smooth)
    for ours, naive in zip(part(joints, scores, layout=COCO17), twin, strict=True):
        np.testing.assert_allclose(ours, naive, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("skd.mean_imputed_w3", SlidingWindowAverage(window=7)),
        ("skd.mean_filter_w1", SlidingWindowAverage(window=3, smooth=True)),
    ],
)
def test_sliding_window_average_is_the_released_one(name, part):
    golden = load_file(GOLDEN)
    joints = golden["skd.occluded_nan"].transpose(3, 1, 2, 0)  # c t v m -> m t v c
    scores = (~np.isnan(joints).any(axis=-1)).astype(np.float32)
    filled, _ = part(np.nan_to_num(joints).astype(np.float32), scores, layout=NTU25)
    np.testing.assert_allclose(filled, golden[name].transpose(3, 1, 2, 0), atol=5e-7)


def test_sliding_window_average_by_hand():
    joints = np.zeros((1, 5, 13, 2), np.float32)
    scores = np.zeros((1, 5, 13), np.float32)
    joints[0, [0, 2], 4, 0], scores[0, [0, 2], 4] = [1, 5], [0.8, 0.4]
    filled, sure = SlidingWindowAverage()(joints, scores, layout=PENN13)
    np.testing.assert_allclose(filled[0, :, 4, 0], [1, 3, 5, 5, 0])
    np.testing.assert_allclose(sure[0, :, 4], [0.8, 0.3, 0.4, 0.2, 0], rtol=1e-6)
    assert not sure[0, :, :4].any()


def naive_linear(joints, scores):
    filled, sure = joints.copy(), scores.copy()
    for m, v in np.ndindex(scores.shape[0], scores.shape[2]):
        seen = np.flatnonzero(scores[m, :, v])
        if not len(seen):
            continue
        lost = np.flatnonzero(scores[m, :, v] == 0)
        for c in range(joints.shape[3]):
            filled[m, lost, v, c] = np.interp(lost, seen, joints[m, seen, v, c])
        sure[m, lost, v] = 0.5 * np.interp(lost, seen, scores[m, seen, v])
    return filled, sure


def test_linear_interpolation_is_its_naive_twin():
    joints, scores = some_clip(6, frames=30, lost=0.8)
    twin = naive_linear(joints, scores)
    part = LinearInterpolation()
    for ours, naive in zip(part(joints, scores, layout=COCO17), twin, strict=True):
        np.testing.assert_allclose(ours, naive, rtol=1e-5, atol=1e-5)


def moving(power, frames=20):
    """Every joint moves as a power of time; ends and enough between are seen."""
    rng = np.random.default_rng(7)
    time = np.arange(frames, dtype=np.float32)[None, :, None, None]
    whole = (rng.normal(size=(1, 1, 13, 3)) * time**power / frames**power + 3).astype(np.float32)
    scores = (rng.random((1, frames, 13)) < 0.5).astype(np.float32)
    scores[:, [0, 1, 2, -3, -2, -1]] = 1
    return whole, whole * scores[..., None], scores


@pytest.mark.parametrize(
    ("part", "power"),
    [(LinearInterpolation(), 1), (SplineInterpolation(), 1), (SplineInterpolation(), 2)],
    ids=repr,
)
def test_interpolations_are_exact_on_simple_motion(part, power):
    whole, joints, scores = moving(power)
    filled, sure = part(joints, scores, layout=PENN13)
    np.testing.assert_allclose(filled, whole, atol=1e-5)
    assert (sure[scores == 0] == 0.5).all()


def test_a_spline_beats_a_line_on_a_swing():
    time = np.arange(40, dtype=np.float32)
    whole = np.sin(time / 5)[None, :, None, None] * np.ones((1, 1, 13, 2))
    scores = np.zeros((1, 40, 13), np.float32)
    scores[:, ::6] = 1
    joints = (whole * scores[..., None]).astype(np.float32)
    line, _ = LinearInterpolation()(joints, scores, layout=PENN13)
    curve, _ = SplineInterpolation()(joints, scores, layout=PENN13)
    inside = slice(6, 30)
    error_of_line = np.abs(line - whole)[:, inside].max()
    assert np.abs(curve - whole)[:, inside].max() < 0.4 * error_of_line


def test_spline_needs_no_more_than_two_sightings():
    joints, scores = np.zeros((1, 5, 13, 2), np.float32), np.zeros((1, 5, 13), np.float32)
    joints[0, [0, 4], 0, 0], scores[0, [0, 4], 0] = [2, 10], 1
    filled, _ = SplineInterpolation()(joints, scores, layout=PENN13)
    np.testing.assert_allclose(filled[0, :, 0, 0], [2, 4, 6, 8, 10])


def test_hold_never_looks_ahead():
    joints, scores = some_clip(8, frames=20)
    whole = Hold()(joints, scores, layout=COCO17)
    half = Hold()(joints[:, :9], scores[:, :9], layout=COCO17)
    for of_whole, of_half in zip(whole, half, strict=True):
        assert np.array_equal(of_whole[:, :9], of_half)


def test_hold_by_hand():
    joints, scores = np.zeros((1, 5, 13, 2), np.float32), np.zeros((1, 5, 13), np.float32)
    joints[0, [0, 3], 0, 0], scores[0, [0, 3], 0] = [2, 10], [0.8, 0.4]
    joints[0, 2, 1, 0], scores[0, 2, 1] = 7, 1
    filled, sure = Hold()(joints, scores, layout=PENN13)
    np.testing.assert_allclose(filled[0, :, :2, 0].T, [[2, 2, 2, 10, 10], [0, 0, 7, 7, 7]])
    expected = [[0.8, 0.4, 0.4, 0.4, 0.2], [0, 0, 1, 0.5, 0.5]]
    np.testing.assert_allclose(sure[0, :, :2].T, expected, rtol=1e-6)


def naive_neighbours(joints, scores, layout):
    filled, sure = joints.astype(float), scores.astype(float)
    for m, t, v in np.ndindex(scores.shape):
        neighbours = [a if b == v else b for a, b in layout.bone_indices if v in (a, b)]
        neighbours = [w for w in neighbours if scores[m, t, w] > 0]
        if scores[m, t, v] > 0 or not neighbours:
            continue
        answers = []
        for w in neighbours:
            both = (scores[m, :, v] > 0) & (scores[m, :, w] > 0)
            way = (joints[m, both, v] - joints[m, both, w]).mean(axis=0) if both.any() else 0
            answers.append(joints[m, t, w] + way)
        filled[m, t, v] = np.mean(answers, axis=0)
        sure[m, t, v] = 0.5 * np.mean([scores[m, t, w] for w in neighbours])
    return filled, sure


@pytest.mark.parametrize("lost", [0.5, 0.9])
def test_neighbour_average_is_its_naive_twin(lost):
    joints, scores = some_clip(9, lost=lost)
    twin = naive_neighbours(joints, scores, COCO17)
    part = NeighbourAverage()
    for ours, naive in zip(part(joints, scores, layout=COCO17), twin, strict=True):
        np.testing.assert_allclose(ours, naive, rtol=1e-4, atol=1e-4)


def test_neighbour_average_spreads_with_hops():
    joints, scores = np.zeros((1, 1, 13, 2), np.float32), np.zeros((1, 1, 13), np.float32)
    joints[0, 0, PENN13.index("left_hip")], scores[0, 0, PENN13.index("left_hip")] = 4, 1
    _, one = NeighbourAverage()(joints, scores, layout=PENN13)
    filled, many = NeighbourAverage(hops=6)(joints, scores, layout=PENN13)
    assert one[0, 0, PENN13.index("left_knee")] == 0.5
    assert one[0, 0, PENN13.index("left_ankle")] == 0
    assert many[0, 0, PENN13.index("left_ankle")] == 0.25
    assert (many > 0).all()
    assert (filled == 4).all()


@pytest.mark.parametrize(
    "make", [lambda: SlidingWindowAverage(window=4), lambda: NeighbourAverage(hops=0)]
)
def test_wrong_options_are_one_line(make):
    with pytest.raises(ValueError, match=r"\w+\.\w+ must be .*got") as error:
        make()
    assert "\n" not in str(error.value)


def test_find_names_the_nearest():
    assert completions.find("Hold") is Hold
    with pytest.raises(ValueError, match="did you mean 'LinearInterpolation'"):
        completions.find("linearinterpolaton")
