"""A page that plays some clips of a store, or of both views of the same clips."""

from pathlib import Path
from typing import Any

import numpy as np

from skeldistill.data.drawing import drawn
from skeldistill.data.store import Store
from skeldistill.files import write_text
from skeldistill.report import clips as players
from skeldistill.report.page import fill


def write(store: Store, pair: Store | None, count: int, path: Path) -> None:
    """Draw `count` clips, spread over the classes, on one page that needs nothing else.

    Raises:
        ValueError: the two stores have no clip in common.
        OSError: the page cannot be written.
    """
    chosen = _spread(store, pair, count)
    other = {clip_id: row for row, clip_id in enumerate(pair.ids)} if pair else {}
    shown: list[dict[str, Any]] = []
    for row in chosen:
        clip = store.clip(row)
        entry: dict[str, Any] = {"id": clip.id, "label": clip.label}
        if pair is not None:
            entry["high"] = drawn(pair.clip(other[clip.id]), pair.path.stem)
        entry["low"] = drawn(clip, store.path.stem)
        shown.append(entry)
    results = {"clips": shown, "classes": list(store.classes), "methods": []}
    played = players.clips(results)
    words = {
        "title": " and ".join(each.path.name for each in (store, pair) if each is not None),
        "summary": f"{len(shown)} of {len(store)} clips, layout {store.layout.name}, "
        f"{store.channels}-D {store.units}.",
        "clips": played,
        "data": {
            "clips": [
                {"seconds": clip["seconds"], "views": [view["data"] for view in clip["views"]]}
                for clip in played
            ]
        },
    }
    write_text(path, fill("gallery.html", words))


def _spread(store: Store, pair: Store | None, count: int) -> list[int]:
    """Rows in turn from every class."""
    rows = np.arange(len(store))
    if pair is not None:
        rows = rows[np.isin(store.ids.astype(str), pair.ids.astype(str))]
        if not len(rows):
            raise ValueError(f"{store.path.name} and {pair.path.name} have no clip in common")
    labels = store.labels[rows]
    turn = np.zeros(len(rows), int)
    for label in np.unique(labels):
        turn[labels == label] = np.arange((labels == label).sum())
    order = np.lexsort((labels, turn))
    return [int(row) for row in rows[order[:count]]]
