"""Some clips of a store, or of both views of the same clips, on a page that plays them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skeldistill.data.drawing import drawn
from skeldistill.data.store import Store
from skeldistill.degradations import Degradation, degrade
from skeldistill.files import write_text
from skeldistill.report import clips as players
from skeldistill.report import pictures
from skeldistill.report.page import fill

PICTURES = (".gif", ".png")


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Clips ready to be shown.

    title, summary: what they are. played: as `report.clips` makes them, one for each clip.
    """

    title: str
    summary: str
    played: list[dict[str, Any]]


def write(
    store: Store,
    pair: Store | None,
    count: int,
    path: Path,
    worse: Sequence[Degradation] = (),
    seed: int = 0,
) -> None:
    """Draw `count` clips, spread over the classes, in one file that needs nothing else.

    Args:
        store: the clips.
        pair: the other view of them, drawn beside.
        count: how many.
        path: a page that plays them, or by its ending a moving ``.gif`` or a ``.png`` of moments.
        worse: what goes wrong with them; without a pair, the clips as they are stand beside.
        seed: draws the degradations, for every clip by its id.

    Raises:
        ValueError: the two stores have no clip in common, or the ending is another.
        OSError: the file cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in (*PICTURES, ".html", ".htm"):
        raise ValueError(f"{path}: clips are shown as .html, .gif or .png; name one of them")
    shown = gallery(store, pair, count, worse, seed)
    if kind == ".gif":
        pictures.moving(shown.played, path)
    elif kind == ".png":
        pictures.moments(shown.played, path)
    else:
        words = {
            "title": shown.title,
            "summary": shown.summary,
            "clips": shown.played,
            "data": {
                "clips": [
                    {"seconds": clip["seconds"], "views": [view["data"] for view in clip["views"]]}
                    for clip in shown.played
                ]
            },
        }
        write_text(path, fill("gallery.html", words))


def gallery(
    store: Store, pair: Store | None, count: int, worse: Sequence[Degradation], seed: int
) -> Gallery:
    """Choose the clips and lay them out."""
    other = {clip_id: row for row, clip_id in enumerate(pair.ids)} if pair else {}
    shown: list[dict[str, Any]] = []
    for row in _spread(store, pair, count):
        clip = store.clip(row)
        entry: dict[str, Any] = {"id": clip.id, "label": clip.label}
        if pair is not None:
            entry["high"] = drawn(pair.clip(other[clip.id]), pair.path.stem)
        elif worse:
            entry["high"] = drawn(clip, store.path.stem)
        names = [store.path.stem, *(type(part).__name__ for part in worse)]
        entry["low"] = drawn(degrade(clip, worse, seed=seed), " + ".join(names))
        shown.append(entry)
    results = {"clips": shown, "classes": list(store.classes), "methods": []}
    return Gallery(
        title=" and ".join(each.path.name for each in (store, pair) if each is not None),
        summary=f"{len(shown)} of {len(store)} clips, layout {store.layout.name}, "
        f"{store.channels}-D {store.units}.",
        played=players.clips(results),
    )


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
