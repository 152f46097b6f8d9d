"""The gap between a teacher on good skeletons and a plain student on bad ones; who closes it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from skeldistill.training.answers import Answers, in_common
from skeldistill.training.statistics import gap_closed


def between_views(
    answers: Mapping[str, Answers], teacher: str, plain: str
) -> dict[str, Any] | None:
    """How far apart teacher and plain student are, on the test clips that both their views have.

    Views may differ in clips (an estimator finds nobody in some videos). Accuracies over all clips
    of each view are then about different clips, and their distance is not the gap of skeletons.

    Args:
        answers: of every method, of all folds and seeds.
        teacher: the method on the high view.
        plain: the student on the low view that has no help.

    Returns:
        ``teacher`` and ``plain``; ``clips`` (both views have, summed over folds), ``only_high`` and
        ``only_low`` (left out); ``top1`` of every method on these clips, percent; ``closed``, for
        every other student its share of the gap as an interval, None where there is no gap. None
        if the views have no test clip in common.
    """
    ids = in_common(answers[teacher], answers[plain])
    if not all(ids):
        return None
    counts = {name: sum(map(len, answers[name].ids)) for name in (teacher, plain)}
    clips = sum(map(len, ids))
    shared = {name: one.only(ids) for name, one in answers.items()}
    low, high = shared[plain].rights, shared[teacher].rights
    closed = {
        name: gap_closed(one.rights, low, high, ids=ids)
        for name, one in shared.items()
        if name not in (teacher, plain)
    }
    return {
        "teacher": teacher,
        "plain": plain,
        "clips": clips,
        "only_high": counts[teacher] - clips,
        "only_low": counts[plain] - clips,
        "top1": {name: one.accuracy for name, one in shared.items()},
        "closed": {name: asdict(one) if one else None for name, one in closed.items()},
    }
