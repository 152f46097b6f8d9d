"""Intervals and comparisons behave as their definitions say."""

import numpy as np
import pytest
from scipy import stats

from skeldistill.training.distinct import Distinct
from skeldistill.training.statistics import (
    Interval,
    accuracy,
    cohens_h,
    compare,
    discordant,
    gap_closed,
    mcnemar,
    over_runs,
)


def rights(rng, accuracies, seeds=3, clips=400):
    return [(rng.random((seeds, clips)) < accuracy).astype(float) for accuracy in accuracies]


def test_the_interval_of_three_runs_by_hand():
    found = over_runs([70.0, 72.0, 74.0])
    assert found.mean == 72
    assert found.high == pytest.approx(72 + 4.302653 * 2 / np.sqrt(3), abs=1e-4)
    assert found.low == pytest.approx(144 - found.high)


def test_one_run_has_no_interval():
    assert over_runs([70.0]).low is None


def test_an_accuracy_is_as_uncertain_as_its_clips(rng):
    """Trainings that all say the same leave the clips' own chance, as of a binomial share."""
    once = (rng.random((1, 400)) < 0.7).astype(float)
    found = accuracy([np.repeat(once, 3, axis=0)])
    assert found.mean == pytest.approx(100 * once.mean())
    share = once.mean()
    half = 196 * np.sqrt(share * (1 - share) / 400)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)


def test_an_accuracy_is_as_uncertain_as_its_trainings():
    """Trainings that name all clips or none, over very many clips."""
    said = np.zeros((4, 10_000))
    said[:2] = 1
    found = accuracy([said])
    assert (found.mean, found.low, found.high) == (50, 0, 100)


def test_the_interval_of_an_accuracy_holds_the_truth(rng):
    """Three folds and seeds; trainings differ, and so do clips: nineteen times of twenty."""
    hits = 0
    for _ in range(100):
        folds = []
        for _ in range(3):
            hard, luck = rng.normal(0, 2, 100), rng.normal(0, 0.2, (3, 1))
            chance = 1 / (1 + np.exp(-(0.5 + hard + luck)))
            folds.append((rng.random((3, 100)) < chance).astype(float))
        found = accuracy(folds)
        hits += found.low < 57.5 < found.high  # the mean of that chance
    assert hits >= 88


def test_the_interval_of_one_training_a_fold_is_over_folds():
    folds = [np.array([[1.0, 1, 0, 0]]), np.array([[1.0, 1, 1, 0]])]
    found, apart = accuracy(folds), over_runs([50.0, 75.0])
    assert apart.low is not None
    assert apart.low < 0  # as no percentage is
    assert (found.mean, found.low, found.high) == (apart.mean, 0, 100)
    assert accuracy(folds[:1]).low is None


def test_folds_weigh_by_their_clips_in_the_interval_as_in_the_mean():
    folds = [np.ones((1, 1000)), np.zeros((1, 10)), np.zeros((1, 10))]
    found = accuracy(folds)
    assert found.mean == pytest.approx(100 * 1000 / 1020)
    assert found.low is not None
    assert 80 < found.low < found.mean
    even = [np.repeat([[1.0, 0.0]], share, axis=1) for share in (2, 2, 2)]
    even[0][:] = 1
    apart = over_runs([100.0, 50.0, 50.0])
    assert apart.low is not None
    assert accuracy(even).low == pytest.approx(max(0, apart.low))


def test_folds_that_test_the_same_clips_do_not_narrow_the_interval(rng):
    """One training a fold, five folds: what is chance of the clips, no fold can tell."""
    hits = 0
    for _ in range(100):
        hard, luck = rng.normal(0, 2, 170), rng.normal(0, 0.2, (5, 1, 1))
        chance = 1 / (1 + np.exp(-(0.5 + hard + luck)))
        folds = list((rng.random((5, 1, 170)) < chance).astype(float))
        found = accuracy(folds, ids=[[f"{place}" for place in range(170)]] * 5)
        hits += found.low < 57.5 < found.high  # the mean of that chance
    assert hits >= 88


@pytest.mark.parametrize(("clips", "above"), [(2, False), (5, False), (12, True)])
def test_few_clips_that_all_say_the_same_are_within_noise(clips, above):
    found = compare([np.ones((2, clips))], [np.zeros((2, clips))])
    assert (found.difference, found.low) == (100, 100)
    assert found.above_noise == above


def test_a_method_cannot_be_told_from_itself(rng):
    mine = rights(rng, [0.6, 0.7])
    found = compare(mine, mine)
    assert (found.difference, found.low, found.high) == (0, 0, 0)
    assert found.p == 1
    assert not found.above_noise
    assert "cannot be told apart" in found.sentence("a", "a")


def test_clips_that_both_answer_alike_do_not_change_p(rng):
    """Nor are they drawn: over a test split of 60,000 clips that took gigabytes."""
    mine, other = rights(rng, [0.6], clips=50), rights(rng, [0.5], clips=50)
    more = [[np.hstack([fold[0], np.ones((3, 1000))])] for fold in (mine, other)]
    assert compare(*more).p == compare(mine, other).p


def test_a_clear_difference_is_above_noise_and_signed(rng):
    worse = rights(rng, [0.6])
    better = [np.maximum(worse[0], (rng.random((3, 400)) < 0.3).astype(float))]
    found = compare(better, worse)
    assert found.above_noise
    assert 5 < found.low < found.difference < found.high < 20
    assert found.p < 0.01
    assert compare(worse, better).difference == pytest.approx(-found.difference)
    assert "worse" in compare(worse, better).sentence("a", "b")


@pytest.mark.parametrize(("folds", "seeds"), [(1, 3), (3, 3), (3, 1)])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_clips_that_all_say_the_same_allow_no_interval(share, folds, seeds):
    found = accuracy([np.full((seeds, 8), share)] * folds)
    assert found == Interval(mean=100 * share, low=None, high=None)


def test_one_seed_is_never_above_noise(rng):
    worse = rights(rng, [0.4], seeds=1)
    better = rights(rng, [0.9], seeds=1)
    found = compare(better, worse)
    assert found.low > 0
    assert not found.above_noise
    assert "one seed" in found.sentence("a", "b")


@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("luck", [0.0, 0.2])
def test_noise_is_rarely_called_a_difference(seeds, luck):
    """Clips differ, and trainings have luck of their own, which all clips share."""
    rng, calls = np.random.default_rng(seeds), 0
    for _ in range(200):
        hard = rng.normal(0, 2, 400)
        mine, other = (
            [
                (
                    rng.random((seeds, 400))
                    < 1 / (1 + np.exp(-(0.5 + hard + rng.normal(0, luck, (seeds, 1)))))
                ).astype(float)
            ]
            for _ in range(2)
        )
        calls += compare(mine, other, draws=1).above_noise
    assert calls <= 24  # 10 are one in twenty; the largest rate is about twice that


def test_an_interval_by_hand():
    """Two trainings of two clips each in two folds, no clip in both."""
    folds = [np.array([[1.0, 0], [1, 1]]), np.array([[0.0, 0], [1, 0]])]
    # clips: 1, 1/2, 1/2, 0 around 1/2; trainings: 1/2 and 1, 0 and 1/2
    clips = (0.25 + 0 + 0 + 0.25) / 4**2 * 4 / 3
    trainings = 0.25 * 0.125 / 2
    freedom = (clips + 2 * trainings) ** 2 / (clips**2 / 3 + 2 * trainings**2 / 1)
    half = stats.t.ppf(0.975, freedom) * np.sqrt(clips + 2 * trainings)
    found = accuracy(folds)
    assert found.mean == 50
    assert found.high == pytest.approx(min(100, 50 + 100 * half))
    assert found.low == pytest.approx(max(0, 50 - 100 * half))


def test_one_clip_tells_nothing():
    found = compare([np.ones((3, 1))], [np.zeros((3, 1))])
    assert (found.difference, found.low, found.high) == (100, -100, 100)
    assert not found.above_noise


def test_the_share_of_the_gap_by_hand():
    low = [np.array([[1, 0, 0, 0, 1, 0, 0, 0, 0, 0]], float)]  # 20 %
    method = [np.array([[1, 1, 1, 0, 1, 0, 0, 0, 0, 0]], float)]  # 40 %
    teacher = [np.array([[1, 1, 1, 1, 1, 1, 0, 0, 0, 0]], float)]  # 60 %
    found = gap_closed(method, low, teacher)
    assert found is not None
    assert found.mean == pytest.approx(0.5)
    assert gap_closed(method, low, low) is None


def test_the_share_of_a_gap_that_may_be_chance_has_no_interval(rng):
    low, method = rights(rng, [0.50], clips=60), rights(rng, [0.55], clips=60)
    ahead = [np.maximum(low[0], (np.arange(60) == np.flatnonzero(low[0][0] == 0)[0]).astype(float))]
    unsure = gap_closed(method, low, ahead)
    assert unsure is not None
    assert (unsure.low, unsure.high) == (None, None)
    whole = gap_closed(ahead, low, ahead)  # who is the teacher closes all of it in every draw
    assert whole is not None
    assert whole.mean == 1
    sure = gap_closed(method, low, [np.ones((3, 60))])
    assert sure is not None
    assert sure.low is not None
    assert sure.high is not None
    assert sure.low < sure.mean < sure.high


def test_mcnemar_by_hand():
    # 6 of 7 discordant clips on one side: 2 (1 + 7) / 2^7
    assert mcnemar(6, 1) == pytest.approx(16 / 128)
    assert mcnemar(1, 6) == mcnemar(6, 1)
    assert mcnemar(0, 0) == 1


def test_a_clip_is_gained_where_more_trainings_name_it():
    mine = [np.array([[1.0, 1, 0, 1], [1, 0, 0, 1], [1, 1, 1, 0]])]
    other = [np.array([[1.0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 1, 1]])]
    assert discordant(mine, other) == (2, 0)  # 3 of 3 and 1, 2 and 1; the others are level
    assert discordant(other, mine) == (0, 2)


def test_of_two_trainings_one_is_more_than_none():
    mine, other = [np.array([[1.0, 1], [0, 1]])], [np.array([[0.0, 1], [0, 0]])]
    assert discordant(mine, other) == (2, 0)


def test_effect_sizes_by_hand(rng):
    assert cohens_h(0.75, 0.25) == pytest.approx(np.pi / 3)  # arcsines of 60 and of 30 degrees
    assert cohens_h(0.5, 0.5) == 0
    mine = [np.array([[1.0, 1, 1, 0, 0]])]
    other = [np.array([[1.0, 0, 0, 1, 0]])]
    found = compare(mine, other, draws=50)
    assert (found.gained, found.lost) == (2, 1)
    assert found.odds_ratio == pytest.approx(2.5 / 1.5)
    assert found.mcnemar_p == 1


def names(*folds):
    return [[f"clip{one}" for one in fold] for fold in folds]


def test_with_every_clip_in_one_fold_the_ids_change_nothing(rng):
    mine, other = rights(rng, [0.6, 0.7], clips=80), rights(rng, [0.5, 0.6], clips=80)
    ids = names(range(80), range(80, 160))
    assert compare(mine, other, ids=ids, draws=200) == compare(mine, other, draws=200)
    teacher = rights(rng, [0.9, 0.9], clips=80)
    assert gap_closed(mine, other, teacher, ids=ids) == gap_closed(mine, other, teacher)


def test_answers_that_are_given_again_do_not_narrow_the_interval(rng):
    other = rights(rng, [0.5], seeds=1, clips=150)
    mine = [np.maximum(other[0], (rng.random((1, 150)) < 0.08).astype(float))]
    once = compare(mine, other, draws=1000)
    again = compare(mine * 4, other * 4, ids=names(*[range(150)] * 4), draws=1000)
    taken_for_more = compare(mine * 4, other * 4, draws=1000)
    assert again.high - again.low == pytest.approx(once.high - once.low, rel=0.1)
    assert taken_for_more.high - taken_for_more.low < 0.6 * (once.high - once.low)
    assert again.difference == pytest.approx(once.difference)
    assert again.p == pytest.approx(once.p, abs=0.01)
    assert taken_for_more.p < again.p
    assert (again.gained, again.lost, again.mcnemar_p) == (once.gained, 0, once.mcnemar_p)
    high = [np.ones((1, 150))]
    closed = [
        gap_closed(mine, other, high, ids=names(range(150))),
        gap_closed(mine * 4, other * 4, high * 4, ids=names(*[range(150)] * 4)),
    ]
    widths = [one.high - one.low for one in closed if one and one.high and one.low is not None]
    assert widths[1] == pytest.approx(widths[0], rel=0.15)


def test_noise_in_folds_that_share_clips_is_rarely_called_a_difference():
    calls = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        easy = rng.random((2, 100))  # what a clip is like stays the same over folds and seeds
        mine, other = (
            [((easy[one] < 0.5) ^ (rng.random((2, 100)) < 0.05)).astype(float) for _ in range(3)]
            for one in (0, 1)
        )
        ids = names(*[range(100)] * 3)
        calls += compare(mine, other, ids=ids, draws=200).above_noise
    assert calls <= 4  # 1 is expected


def test_folds_that_share_clips_are_drawn_from_together():
    folds = [np.zeros((1, 2))] * 4
    found = Distinct.of(folds, names((0, 1), (2, 3), (4, 5), (1, 4)))
    assert found.count == 6
    assert [(group, clips.tolist()) for group, clips in found.groups] == [
        ((0, 2, 3), [0, 1, 4, 5]),
        ((1,), [2, 3]),
    ]
    had = [np.array([1.0, 2]), np.zeros(2), np.zeros(2), np.array([10.0, 20])]
    assert found.sums(had).tolist() == [1, 12, 0, 0, 20, 0]


def test_a_clip_of_several_folds_counts_once_by_all_its_trainings():
    mine = [np.array([[1.0, 1]]), np.array([[1.0, 0]])]
    other = [np.array([[0.0, 0]]), np.array([[0.0, 0]])]
    assert discordant(mine, other, ids=names((0, 1), (0, 1))) == (2, 0)
    assert discordant(mine, other) == (3, 0)


def test_ids_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="give each clip its id"):
        compare([np.ones((1, 2))], [np.ones((1, 2))], ids=names((0,)))
