"""Stream fusion: what several networks say of the same clips, added up."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from skeldistill.training.evaluate import Said

MOST = 1e6
"""What weights may add up to: sums of scores stay exact, and finite, in single precision."""


def fuse(said: Sequence[Said], weights: Sequence[float], *, probabilities: bool = False) -> Said:
    """The weighted sum of what several networks said, clip by clip.

    Scores before the softmax are added, as 2s-AGCN's authors do (joint + weight * bone). Adding
    probabilities instead suits networks whose scores differ in scale, such as `RankPooling`.

    Args:
        said: of the same clips, in any order; the first one's order is kept.
        weights: one for each.
        probabilities: add probabilities instead of scores.

    Returns:
        The sums; of probabilities the logarithm of their weighted mean, whose softmax it is again.

    Raises:
        ValueError: weights that do not fit, or clips, labels or classes that differ.
    """
    if not said or len(said) != len(weights):
        raise ValueError(
            f"fusion needs one weight for each run, got {len(weights)} for {len(said)}"
        )
    if not (min(weights) >= 0 and 0 < sum(weights) <= MOST):
        raise ValueError(
            f"the weights of a fusion must be 0 or more, one at least above 0 and together at most "
            f"{MOST:g}, got {list(weights)}"
        )
    first = said[0]
    total = np.zeros_like(first.logits)
    for number, (one, weight) in enumerate(zip(said, weights, strict=True), start=1):
        scores = _in_order(one, first, number)
        total += np.float32(weight) * (softmax(scores) if probabilities else scores)
    if probabilities:
        total = np.log(np.maximum(total / np.float32(sum(weights)), np.finfo(np.float32).tiny))
    return Said(logits=total, labels=first.labels, ids=first.ids)


def softmax(logits: Float32[np.ndarray, "n k"]) -> Float32[np.ndarray, "n k"]:
    """Probabilities of every clip's classes."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def _in_order(one: Said, first: Said, number: int) -> Float32[np.ndarray, "n k"]:
    """The scores of run `number` in the order of the first run's clips."""
    if one.logits.shape[1] != first.logits.shape[1]:
        raise ValueError(
            f"run {number} knows {one.logits.shape[1]} classes but run 1 {first.logits.shape[1]}; "
            "only runs on the same classes can be fused"
        )
    places = {clip_id: place for place, clip_id in enumerate(one.ids)}
    alone = set(places) ^ set(first.ids)
    if alone or len(one.ids) != len(first.ids):
        example = f", such as {min(alone)!r}" if alone else ""
        raise ValueError(
            f"run {number} was evaluated on other clips than run 1 ({len(one.ids)} and "
            f"{len(first.ids)}{example}); evaluate both on the same store and split"
        )
    order = np.array([places[clip_id] for clip_id in first.ids], np.int64)
    if (one.labels[order] != first.labels).any():
        raise ValueError(
            f"run {number} has other labels than run 1 for the same clips; they are of other data"
        )
    return one.logits[order]
