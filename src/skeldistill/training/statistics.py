"""Statistics of runs: intervals over runs, and comparisons paired by clip."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy import stats

from skeldistill.training.distinct import Distinct

Rights = Sequence[Float64[np.ndarray, "_ _"]]
"""For each fold ``(seeds, n)`` of its own: whether each clip was named rightly (0 or 1), or of
several askings how often (between them)."""

Ids = Sequence[Sequence[str]]
"""For each fold, the ids of its clips. A clip of several folds is one clip, asked about often."""


NO_GAP = 0.005
"""Half a point: dividing by less says nothing."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with its 95 % interval; low and high are None where nothing allows one."""

    mean: float
    low: float | None
    high: float | None


LEVEL = 0.05
"""Below it a p value is taken for more than chance, as an interval of 95 % without 0 is."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How much better (percentage points) one method is than another on the same clips.

    low, high: 95 % interval over seeds and clips, by Student's t. p: two-sided sign-flip
    permutation test by clip; unlike the interval it knows nothing of training's noise. Where folds
    share clips, all answers about a clip are drawn, and change sides, together: what is asked twice
    is not known twice as well. seeds: how many trainings of each method there were. above_noise:
    the interval does not hold 0, p is below 0.05 (an interval of few clips that all say the same
    has no length), and there was more than one training, so that it knows of training's noise.
    gained, lost: clips that the one, that the other names rightly more often (of one training: that
    only it does); mcnemar_p: exact McNemar test on them, of several trainings a sign test;
    odds_ratio: gained to lost, half a clip added to both (Haldane), so that it is finite. cohens_h:
    difference of the arcsines of both accuracies, about 0.2 is small, 0.5 medium, 0.8 large (Cohen
    1988).
    """

    difference: float
    low: float
    high: float
    p: float
    seeds: int
    gained: int
    lost: int
    mcnemar_p: float
    odds_ratio: float
    cohens_h: float

    @property
    def above_noise(self) -> bool:
        """Whether the difference is more than chance in clips and trainings would make."""
        return self.seeds > 1 and (self.low > 0 or self.high < 0) and self.p < LEVEL

    def plain(self, method: str, against: str) -> dict[str, Any]:
        """Everything as plain values, as results hold it."""
        return {
            "method": method,
            "against": against,
            **asdict(self),
            "above_noise": self.above_noise,
            "sentence": self.sentence(method, against),
        }

    def sentence(self, method: str, against: str) -> str:
        """The comparison in plain words."""
        size = abs(self.difference)
        interval = f"95 % interval {self.low:+.1f} to {self.high:+.1f}, by clip {p_value(self.p)}"
        if self.seeds == 1:
            return (
                f"{method} against {against}: {self.difference:+.1f} points on these clips "
                f"({interval}); one seed does not show how much another training would differ."
            )
        if not self.above_noise:
            return (
                f"{method} and {against} cannot be told apart: {self.difference:+.1f} points "
                f"({interval})."
            )
        word = "better" if self.difference > 0 else "worse"
        return f"{method} is {word} than {against} by {size:.1f} points ({interval})."


def p_value(p: float) -> str:
    """As it is printed: never zero."""
    return f"p = {p:.3f}" if p >= 0.0005 else "p < 0.001"


def over_runs(values: Sequence[float]) -> Interval:
    """Mean over folds and seeds with Student's t interval."""
    array = np.asarray(values, float)
    mean = float(array.mean())
    if len(array) < 2:
        return Interval(mean=mean, low=None, high=None)
    half = float(stats.t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array)))
    return Interval(mean=mean, low=mean - half, high=mean + half)


def accuracy(rights: Rights, *, ids: Ids | None = None) -> Interval:
    """Percent right over the clips of all folds, each clip averaged over seeds.

    The interval, Student's t over seeds and clips, is of what other trainings would say of other
    clips of the kind; over the runs of a fold alone it would know nothing of the clips. With one
    training a fold it is over folds, but no shorter than over clips, of which folds that test the
    same know nothing; with one fold as well there is none, nor where all clips are right, or all
    wrong.

    `ids` are as for `compare`.
    """
    mean = 100 * _mean(rights)
    once = min(len(fold) for fold in rights) == 1
    if once and len(rights) == 1:
        return Interval(mean=mean, low=None, high=None)
    half = 100 * _half_interval(rights, Distinct.of(rights, ids))
    if once:
        apart = _half_over_folds([100 * float(fold.mean()) for fold in rights], rights, mean)
        half = max(half, apart)
    if not half:  # clips that all say the same do not tell how much others would differ
        return Interval(mean=mean, low=None, high=None)
    return Interval(mean=mean, low=max(0.0, mean - half), high=min(100.0, mean + half))


def _half_over_folds(values: Sequence[float], rights: Rights, mean: float) -> float:
    """Half of Student's t interval of a mean over folds that weigh by their clips."""
    weights = np.array([fold.shape[1] for fold in rights], float)
    apart = weights / weights.sum() * (np.array(values) - mean)
    degrees = len(values) - 1
    spread = np.sqrt((apart**2).sum() * len(values) / degrees)
    return float(stats.t.ppf(0.975, degrees) * spread)


def compare(
    method: Rights,
    against: Rights,
    *,
    ids: Ids | None = None,
    draws: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare two methods that were run on the same clips, folds and seeds.

    Args:
        method: what the one named rightly.
        against: what the other named rightly.
        ids: of the clips; None where no clip is in two folds.
        draws: of the permutation test.
        seed: of its chance.

    Raises:
        ValueError: `ids` are not as many as the answers.
    """
    rng = np.random.default_rng(seed)
    distinct = Distinct.of(method, ids)
    difference = _mean(method) - _mean(against)
    half = _half_interval([a - b for a, b in zip(method, against, strict=True)], distinct)
    gained, lost = discordant(method, against, ids=ids)
    return Comparison(
        difference=100 * difference,
        low=100 * max(-1.0, difference - half),
        high=100 * min(1.0, difference + half),
        p=_sign_flip(method, against, distinct, draws, rng),
        seeds=min(len(fold) for fold in method),
        gained=gained,
        lost=lost,
        mcnemar_p=mcnemar(gained, lost),
        odds_ratio=(gained + 0.5) / (lost + 0.5),
        cohens_h=cohens_h(_mean(method), _mean(against)),
    )


def discordant(method: Rights, against: Rights, *, ids: Ids | None = None) -> tuple[int, int]:
    """Clips that one of two methods names rightly more often: the first, the second.

    Of one training, those that only one names rightly. Of several, of all folds, a clip counts
    once.
    """
    distinct = Distinct.of(method, ids)
    mine, other = (
        distinct.sums([fold.sum(axis=0) for fold in rights]) for rights in (method, against)
    )
    ahead = mine - other
    return int((ahead > 1e-9).sum()), int((ahead < -1e-9).sum())  # sums of shares are not exact


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided p of the exact McNemar test: discordant clips fall to either side like a coin."""
    if gained + lost == 0:
        return 1.0
    return float(stats.binomtest(gained, gained + lost).pvalue)


def cohens_h(share: float, against: float) -> float:
    """Cohen's h of two shares: ``2 asin sqrt share - 2 asin sqrt against``."""
    return float(2 * np.arcsin(np.sqrt(share)) - 2 * np.arcsin(np.sqrt(against)))


def gap_closed(
    method: Rights,
    low: Rights,
    teacher: Rights,
    *,
    ids: Ids | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> Interval | None:
    """The share of the gap between the plain student and the teacher that a method closes.

    All three were asked about the same clips under the same seeds: `low` is the plain student, the
    teacher saw their high view. `ids` are as for `compare`.

    Returns:
        1 when all of the gap is closed, 0 when none is; None when there is no gap to close. The
        interval is a bootstrap of all three together, over seeds and clips; it has no ends where
        more than one draw in forty has no gap, since then the gap itself may be chance.
    """
    gap = _mean(teacher) - _mean(low)
    if gap <= NO_GAP:
        return None
    rng = np.random.default_rng(seed)
    distinct = Distinct.of(method, ids)
    drawn = np.array([_resampled((method, low, teacher), distinct, rng) for _ in range(draws)])
    gained, gaps = drawn[:, 0] - drawn[:, 1], drawn[:, 2] - drawn[:, 1]
    mean, some = (_mean(method) - _mean(low)) / gap, gaps > NO_GAP
    if some.mean() < 0.975:
        return Interval(mean=mean, low=None, high=None)
    below, above = np.percentile(gained[some] / gaps[some], [2.5, 97.5])
    return Interval(mean=mean, low=float(below), high=float(above))


def _mean(rights: Rights) -> float:
    """Accuracy over all clips of all folds, each clip averaged over seeds."""
    return float(np.concatenate([fold.mean(axis=0) for fold in rights]).mean())


def _half_interval(values: Rights, distinct: Distinct) -> float:
    """Half of the 95 % interval of the mean over all clips of all folds.

    Clips and trainings both vary. The mean's variance is that over clips, each averaged over seeds,
    and that over the means of a fold's trainings; what is chance of one clip in one training is
    in both, which errs on the safe side. Few trainings tell little of their variance: hence
    Student's t, with Welch's and Satterthwaite's degrees of freedom.

    In simulations of two to five trainings with luck of their own, which all clips share, this
    calls nothing a difference one time in ten at most, where a bootstrap over seeds and clips did
    so up to one time in five.
    """
    total = sum(fold.shape[1] for fold in values)
    known = distinct.sums([fold.mean(axis=0) for fold in values])
    asked = distinct.sums([np.ones(fold.shape[1]) for fold in values])
    if distinct.count < 2:
        return math.inf
    apart = np.square(known - _mean(values) * asked).sum() / total**2
    variances = [apart * distinct.count / (distinct.count - 1)]
    freedoms = [distinct.count - 1]
    for fold in values:
        seeds, clips = fold.shape
        if seeds > 1:
            variances.append((clips / total) ** 2 * fold.mean(axis=1).var(ddof=1) / seeds)
            freedoms.append(seeds - 1)
    variance = sum(variances)
    if not variance:
        return 0.0
    freedom = variance**2 / sum(v**2 / f for v, f in zip(variances, freedoms, strict=True))
    return float(stats.t.ppf(0.975, freedom) * math.sqrt(variance))


def _resampled(
    methods: Sequence[Rights], distinct: Distinct, rng: np.random.Generator
) -> list[float]:
    """Accuracies on one bootstrap sample: the same seeds and clips for every method.

    Folds that share clips are drawn from together: a clip comes with all that was said of it. Of
    S seeds S - 1 are drawn, so that a sample differs as much as other S trainings would.
    """
    sums, count = np.zeros(len(methods)), 0.0
    for folds, clips in distinct.groups:
        chosen_seeds = []
        for fold in folds:
            seeds = len(methods[0][fold])
            chosen_seeds.append(rng.integers(seeds, size=max(1, seeds - 1)))
        chosen = np.bincount(rng.integers(len(clips), size=len(clips)), minlength=len(clips))
        times = np.zeros(distinct.count)
        times[clips] = chosen
        for fold, seeds in zip(folds, chosen_seeds, strict=True):
            weights = times[distinct.places[fold]]
            sums += [rights[fold][seeds].mean(axis=0) @ weights for rights in methods]
            count += weights.sum()
    return list(sums / count)


def _sign_flip(
    method: Rights, against: Rights, distinct: Distinct, draws: int, rng: np.random.Generator
) -> float:
    """Share of random swaps of the two methods' answers, clip by clip, that differ as much."""
    differences = distinct.sums(
        [(a - b).mean(axis=0) for a, b in zip(method, against, strict=True)]
    )
    differences = differences[np.abs(differences) > 1e-9]  # a swap of equals changes nothing
    observed = abs(differences.sum())
    signs = rng.choice([-1.0, 1.0], (draws, len(differences)))
    as_much = np.abs(signs @ differences) >= observed - 1e-12
    return float((as_much.sum() + 1) / (draws + 1))
