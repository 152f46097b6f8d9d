"""Where the gap is: how often methods are right on clips whose low view is good, bad or empty."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from skeldistill.data.store import Store
from skeldistill.training.task import Task

GROUPS = 4
"""Into how many groups of like size the clips with lost joints are divided, at most."""


def lost_joints(store: Store) -> dict[str, float]:
    """The share of lost joints (score 0) of every clip, over all its frames, by its id.

    A place on the axis ``m`` that nobody ever takes has no joints to lose: only persons who are
    seen somewhere in the clip count. Where nobody is seen at all, everything is lost.
    """
    shares = {}
    for row, clip_id in enumerate(store.ids.tolist()):
        lost = store.scores(row) <= 0
        present = ~lost.all(axis=(1, 2))
        shares[clip_id] = float(lost[present].mean()) if present.any() else 1.0
    return shares


def edges(shares: Float[np.ndarray, " n"], groups: int = GROUPS) -> list[float]:
    """Where to divide: nothing lost, then groups of like size, then everything lost.

    Returns:
        The upper ends of the groups that hold a clip, rising; each group reaches from above the
        end before it to its own end, which it holds.
    """
    between = shares[(shares > 0) & (shares < 1)]
    ends = {0.0, 1.0}
    if between.size:
        ends |= set(np.quantile(between, np.linspace(0, 1, groups + 1)[1:], method="higher"))
    rising = sorted(float(end) for end in ends)
    full = np.bincount(np.searchsorted(rising, shares), minlength=len(rising)) > 0
    return [end for end, some in zip(rising, full, strict=True) if some]


def by_quality(
    low: Store, by_method: Mapping[str, Sequence[Task]], against: tuple[str, str] | None
) -> list[dict[str, Any]]:
    """Every method's accuracy over clips with ever more lost joints in their low view.

    The groups hold the clips that every method answered for, so that all columns are about the
    same; clips that have no high view come last, in a group of their own.

    Args:
        low: the low view, whose lost joints are counted.
        by_method: the finished tasks, of all folds and seeds.
        against: the teacher and the plain student, between which the gap lies.

    Returns:
        For each group ``least`` and ``most`` (shares of lost joints), ``clips``, ``top1`` by method
        in percent, and ``gap``: how many points of the whole distance between `against` lie here
        (None without them). Empty if all clips have lost equally much.
    """
    shares = lost_joints(low)
    answers = {name: _answers(tasks) for name, tasks in by_method.items()}
    known = [_ids(mine) & set(shares) for mine in answers.values()]
    common = set.intersection(*known)
    ends = edges(np.array([shares[clip_id] for clip_id in sorted(common)]))
    if len(ends) < 2:
        return []
    chosen = [
        {clip_id for clip_id in common if before < shares[clip_id] <= end}
        for before, end in zip([-1.0, *ends], ends, strict=False)
    ]
    groups = [_group(inside, shares, answers) for inside in chosen]
    for group, inside in zip(groups, chosen, strict=True):
        group["gap"] = None
        if against is not None:
            whole = len(_rights(answers[against[0]], common))
            teacher, plain = (_rights(answers[name], inside).sum() for name in against)
            group["gap"] = 100 * float(teacher - plain) / whole
    rest = set.union(*known) - common
    if rest:
        groups.append({**_group(rest, shares, answers), "gap": None})
    return groups


def _group(
    inside: set[str], shares: Mapping[str, float], answers: Mapping[str, list[tuple[str, bool]]]
) -> dict[str, Any]:
    here = {name: _rights(mine, inside) for name, mine in answers.items()}
    return {
        "least": min(shares[clip_id] for clip_id in inside),
        "most": max(shares[clip_id] for clip_id in inside),
        "clips": len(inside),
        "top1": {name: 100 * float(right.mean()) for name, right in here.items() if right.size},
    }


def _answers(tasks: Sequence[Task]) -> list[tuple[str, bool]]:
    """Every clip that was answered for, and whether rightly; once for each fold and seed."""
    said = [task.said() for task in tasks]
    return [pair for one in said for pair in zip(one.ids, one.right.tolist(), strict=True)]


def _ids(answers: list[tuple[str, bool]]) -> set[str]:
    return {clip_id for clip_id, _ in answers}


def _rights(answers: list[tuple[str, bool]], chosen: set[str]) -> np.ndarray:
    return np.array([right for clip_id, right in answers if clip_id in chosen], float)
