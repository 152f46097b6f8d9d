"""A few evaluated clips for people to look at: both views, and what each method said."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skeldistill.data.drawing import drawn
from skeldistill.data.store import Store
from skeldistill.recipe import Recipe
from skeldistill.training.task import Task


def sample_clips(
    recipe: Recipe,
    high: Store,
    low: Store,
    by_method: Mapping[str, Sequence[Task]],
    count: int = 8,
) -> list[dict[str, Any]]:
    """Clips of the first fold and seed, those on which the methods disagree most first."""
    said = {name: tasks[0].said() for name, tasks in by_method.items()}
    answers = {
        name: dict(zip(one.ids, one.answers.tolist(), strict=True)) for name, one in said.items()
    }
    on_low = [
        name for name, method in recipe.methods.items() if method.view == "low" and name in said
    ]
    asked = said[on_low[0] if on_low else next(iter(said))]
    label_of = dict(zip(asked.ids, asked.labels.tolist(), strict=True))
    in_high = {clip_id: row for row, clip_id in enumerate(high.ids)}
    in_low = {clip_id: row for row, clip_id in enumerate(low.ids)}
    both = [clip_id for clip_id in label_of if clip_id in in_high and clip_id in in_low]

    def interest(clip_id: str) -> tuple[float, str]:
        right = [answers[name].get(clip_id) == label_of[clip_id] for name in answers]
        return (-float(np.var(right)), clip_id)

    chosen: list[str] = []
    labels: list[int] = []
    for clip_id in sorted(both, key=interest):
        label = label_of[clip_id]
        if labels.count(label) < 1 + len(chosen) // max(len(low.classes), 1):
            chosen.append(clip_id)
            labels.append(label)
        if len(chosen) == count:
            break
    return [
        {
            "id": clip_id,
            "label": label,
            "high": drawn(high.clip(in_high[clip_id])),
            "low": drawn(low.clip(in_low[clip_id])),
            "said": {name: mine[clip_id] for name, mine in answers.items() if clip_id in mine},
        }
        for clip_id, label in zip(chosen, labels, strict=True)
    ]
