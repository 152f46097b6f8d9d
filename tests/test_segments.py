"""Segments out of windows: examples worked out by hand, and laws."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeldistill.deploy.segments import Hysteresis, Segment, Segmenter, Stretch, segments

PLAIN = Hysteresis(enter=0.6, leave=0.4, shortest=0.0, smoothing=1)


def stretches(*rows: tuple[float, ...], frames: int = 5, rate: float = 10.0) -> list[Stretch]:
    """Successive stretches of `frames` frames; what is left of a row belongs to nobody."""
    return [
        Stretch(
            first=i * frames,
            last=(i + 1) * frames - 1,
            start=i * frames / rate,
            end=(i + 1) * frames / rate,
            probabilities=np.array([*row, 1 - sum(row)]),
        )
        for i, row in enumerate(rows)
    ]


def told(found: list[Segment]) -> list[tuple[int, float, float]]:
    return [(segment.label, segment.start, segment.end) for segment in found]


def test_an_action_is_entered_high_and_left_low():
    rows = [(0.3, 0.3), (0.6, 0.3), (0.4, 0.3), (0.39, 0.3), (0.59, 0.1)]
    (only,) = segments(stretches(*rows), PLAIN)
    assert (only.label, only.first, only.last, only.windows) == (0, 5, 14, 2)
    assert (only.start, only.end) == (0.5, 1.5)
    assert only.confidence == pytest.approx(0.5)


def test_another_action_takes_over_only_where_it_would_be_entered():
    easy = Hysteresis(enter=0.5, leave=0.1, shortest=0.0, smoothing=1)
    rows = [(0.8, 0.1), (0.4, 0.49), (0.4, 0.5), (0.25, 0.3)]
    assert told(list(segments(stretches(*rows), easy))) == [(0, 0.0, 1.0), (1, 1.0, 2.0)]


def test_what_is_too_short_is_left_out_and_the_gap_is_closed():
    flicker = [(0.9, 0.0), (0.0, 0.9), (0.9, 0.0), (0.9, 0.0)]
    long = Hysteresis(enter=0.6, leave=0.4, shortest=0.6, smoothing=1)
    # the first lasts 0.5 s only, as does the second
    assert told(list(segments(stretches(*flicker), long))) == [(0, 1.0, 2.0)]
    (whole,) = segments(stretches((0.8, 0.0), *flicker), long)
    assert (whole.start, whole.end, whole.windows) == (0.0, 2.5, 4)
    assert whole.confidence == pytest.approx((0.8 + 0.9 + 0.9 + 0.9) / 4)


def test_a_long_gap_stays():
    low = [(0.9, 0.0), (0.9, 0.0), (0.3, 0.3), (0.3, 0.3), (0.9, 0.0), (0.9, 0.0)]
    long = Hysteresis(enter=0.6, leave=0.4, shortest=1.0, smoothing=1)
    assert told(list(segments(stretches(*low), long))) == [(0, 0.0, 1.0), (0, 2.0, 3.0)]


def test_smoothing_averages_the_windows_around():
    rows = [(0.9, 0.0), (0.0, 0.9), (0.9, 0.0), (0.9, 0.0)]
    smooth = Hysteresis(enter=0.5, leave=0.4, shortest=0.0, smoothing=3)
    # means of the first action: 0.45 (of two), 0.6, 0.6, 0.9; of the second: 0.45, 0.3, 0.3, 0
    assert told(list(segments(stretches(*rows), smooth))) == [(0, 0.5, 2.0)]
    (only,) = segments(stretches(*rows), smooth)
    assert only.confidence == pytest.approx((0.6 + 0.6 + 0.9) / 3)


def test_a_segment_is_given_as_soon_as_it_is_final():
    segmenter = Segmenter(PLAIN)
    pushed = [
        segmenter.push(stretch)
        for stretch in stretches((0.9, 0.0), (0.9, 0.0), (0.3, 0.3), (0.3, 0.3))
    ]
    assert [len(found) for found in pushed] == [0, 0, 1, 0]
    assert segmenter.finish() == []


def test_where_nobody_is_nothing_goes_on():
    low = Hysteresis(enter=0.0, leave=0.0, shortest=0.0, smoothing=1)
    seen, unseen = stretches((0.5, 0.3), (0.5, 0.3)), stretches(*[(0.0, 0.0)] * 4)
    for stretch in unseen:
        stretch.probabilities[:] = 0
    assert told(list(segments([*seen, *unseen[2:]], low))) == [(0, 0.0, 1.0)]


def test_nothing_comes_of_nothing():
    assert list(segments([], Hysteresis())) == []


SAID = st.lists(st.integers(0, 10), min_size=3, max_size=3).map(
    lambda parts: np.array(parts, float) + 0.1
)
RULES = st.builds(
    lambda enter, share, shortest, smoothing: Hysteresis(
        enter=enter, leave=enter * share, shortest=shortest, smoothing=smoothing
    ),
    st.floats(0.34, 0.9),
    st.floats(0, 1),
    st.sampled_from([0.0, 0.5, 1.2]),
    st.sampled_from([1, 3, 5]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(SAID, max_size=20), RULES)
def test_segments_are_ordered_long_enough_and_what_a_naive_loop_finds(said, rule):
    rows = [tuple((row / row.sum())[:2]) for row in said]
    given_ = stretches(*rows)
    found = list(segments(given_, rule))
    for before, after in itertools.pairwise(found):
        assert before.end <= after.start
        assert before.last < after.first
    for segment in found:
        assert segment.end - segment.start >= rule.shortest
        assert 0 <= segment.confidence <= 1
    assert told(found) == naive(given_, rule)


def naive(given_: list[Stretch], rule: Hysteresis) -> list[tuple[int, float, float]]:
    """All at once: smooth, label every stretch, cut into runs, drop short ones, close gaps."""
    said = np.array([stretch.probabilities for stretch in given_])
    reach = rule.smoothing // 2
    labels: list[int | None] = []
    now = None
    for i in range(len(said)):
        mean = said[max(0, i - reach) : i + reach + 1].mean(axis=0)
        best = int(mean.argmax())
        if now is not None and mean[now] < rule.leave:
            now = None
        if mean[best] >= rule.enter:
            now = best
        labels.append(now)
    runs: list[list] = []
    for label, stretch in zip(labels, given_, strict=True):
        if runs and runs[-1][0] == label:
            runs[-1][2] = stretch.end
        else:
            runs.append([label, stretch.start, stretch.end])
    kept = [run for run in runs if run[0] is not None and run[2] - run[1] >= rule.shortest]
    joined: list[list] = []
    for run in kept:
        if joined and joined[-1][0] == run[0] and run[1] - joined[-1][2] < rule.shortest:
            joined[-1][2] = run[2]
        else:
            joined.append(list(run))
    return [tuple(run) for run in joined]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"enter": 0.3, "leave": 0.5}, "leave <= enter"),
        ({"enter": 1.5}, "leave <= enter"),
        ({"shortest": -1.0}, "0 or more"),
        ({"shortest": float("nan")}, "0 or more"),
        ({"smoothing": 2}, "odd"),
        ({"smoothing": 0}, "odd"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        Hysteresis(**wrong)
