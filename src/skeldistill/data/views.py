"""Views on disk: every view that a recipe names becomes a store, made once and kept.

A degraded or completed view is a store like any other, so that training reads all views alike
and a clip is degraded the same way in every epoch, run and method.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from skeldistill import completions, degradations, readers, recipe
from skeldistill.clip import applied
from skeldistill.data import labelling
from skeldistill.data.importing import import_source
from skeldistill.data.pace import slowed
from skeldistill.data.store import Store
from skeldistill.data.store_writer import StoreWriter
from skeldistill.degradations.seeding import apply, clip_rng
from skeldistill.layouts import ENDINGS
from skeldistill.readers.reader import Source
from skeldistill.shelf import build
from skeldistill.waiting import shown

BESIDE = ("classes.json", "*_label.pkl", "*_label.json", "splits/*")
"""What readers look for beside a source, not in it."""


def open_views(data: recipe.Data, folder: Path, *, quiet: bool = False) -> tuple[Store, Store]:
    """The high and the low view, imported and degraded where the recipe says so.

    Args:
        data: the recipe's section.
        folder: where made stores are kept.
        quiet: no progress bars.

    Raises:
        OSError, ValueError: one line that says which view cannot be had, and why.
    """
    clean_high, clean_low = origins(data, folder, quiet=quiet)
    high = derived(
        clean_high, data.high.degradations, None, data.seed, folder, chance="high:", quiet=quiet
    )
    low = derived(clean_low, data.low.degradations, None, data.seed, folder, quiet=quiet)
    if high.classes and low.classes and high.classes != low.classes:
        raise ValueError(
            f"high has {len(high.classes)} classes ({', '.join(high.classes[:3])} ...) and "
            f"low {len(low.classes)} ({', '.join(low.classes[:3])} ...); they must agree"
        )
    return high, low


def origins(data: recipe.Data, folder: Path, *, quiet: bool = False) -> tuple[Store, Store]:
    """Both views before the recipe's degradations; one store twice if they have one origin."""
    check_origins(data)
    high = _origin(data.high, "high", folder, quiet)
    if not data.low.has_origin:
        return high, high
    return high, _origin(data.low, "low", folder, quiet, high)


def check_origins(data: recipe.Data) -> None:
    """Refuse what names no clips; ValueError."""
    if not data.high.has_origin:
        raise ValueError("data.high needs a store, or a reader with its source")
    if data.high.labels == "high":
        raise ValueError("data.high.labels cannot be the high view's own; name a CSV or a store")


def derived(
    store: Store,
    worse: Sequence[recipe.Part],
    completion: recipe.Part | None,
    seed: int,
    folder: Path,
    *,
    chance: str = "",
    quiet: bool = False,
) -> Store:
    """The store after degradations and a completion; the store itself if there are none.

    Views of one clip under the same `chance` have the same luck.
    """
    if not worse and completion is None:
        return store
    parts = [degradations.for_clips(part.name, part.options) for part in worse]
    told = described(worse, completion, seed, chance)
    made = place_of_derived(store, told, folder)
    if made.exists():
        return Store.open(made)
    fill = (
        build("completion", completions.find(completion.name), completion.options)
        if completion
        else None
    )
    source = Source(
        layout=store.layout, channels=store.channels, units=store.units, classes=store.classes
    )
    names = " + ".join(part.name for part in (*worse, completion) if part is not None)
    made.parent.mkdir(parents=True, exist_ok=True)
    with (
        StoreWriter(made, source, provenance={**store.provenance, "derived": told}) as writer,
        shown(range(len(store)), names, total=len(store), quiet=quiet) as rows,
    ):
        for row in rows:
            clip = store.clip(row)
            rng = clip_rng(seed, chance + clip.id)
            joints, scores = apply(parts, clip.joints, clip.scores, layout=clip.layout, rng=rng)
            if fill is not None:
                joints, scores = applied(fill, joints, scores, layout=clip.layout)
            worse_clip = clip.with_joints(joints, scores)
            pace = slowed(clip.extra, clip.num_frames, worse_clip.num_frames)
            writer.write(replace(worse_clip, extra=pace))
    return Store.open(made)


def refuse_completed(store: Store, completion: recipe.Part | None) -> None:
    """Refuse to fill lost joints twice; ValueError if the store is a view that was filled."""
    done = (store.provenance.get("derived") or {}).get("completion")
    if done and completion is not None:
        raise ValueError(
            f"{store.path.name} is a view whose lost joints {done['name']} has filled, and the "
            f"network fills them itself ({completion.name}); give the store that it was made from"
        )


def place_of_derived(store: Store, described: dict[str, Any], folder: Path) -> Path:
    """Where `derived` keeps the store that it makes, made or not."""
    return folder / f"{store.path.stem}-{_key(store.fingerprint, described)}.arrow"


def described(
    worse: Sequence[recipe.Part], completion: recipe.Part | None, seed: int, chance: str = ""
) -> dict[str, Any]:
    """All that a derived view depends on beside the store."""
    return {
        "degradations": [part.model_dump() for part in worse],
        "completion": completion.model_dump() if completion else None,
        "seed": seed,
    } | ({"chance": chance} if chance and worse else {})


def place_of_origin(view: recipe.View, name: str, folder: Path, high: Store | None = None) -> Path:
    """Where a view's own clips are kept, made or not; `high` is asked for where it gives labels."""
    if view.store:
        return Path(recipe.expanded(view.store))
    source = Path(recipe.expanded(view.source)) if view.source else None
    named = {"reader": view.reader, "source": str(source), "options": view.options}
    held = _held(view, _labels(view, high))
    return folder / f"{name}-{_key(_times(source), named | held)}.arrow"


def _origin(
    view: recipe.View, name: str, folder: Path, quiet: bool, high: Store | None = None
) -> Store:
    made = place_of_origin(view, name, folder, high)
    if view.store or made.exists():
        return Store.open(made)
    assert view.reader is not None
    source = Path(recipe.expanded(view.source)) if view.source else None
    labels = _labels(view, high)
    options = dict(view.options)
    if _layout_file(view) is not None:
        options["layout"] = str(_layout_file(view))
    reader = readers.find(view.reader, **options)
    made.parent.mkdir(parents=True, exist_ok=True)
    return import_source(reader, source, made, labels=labels, progress=not quiet)


def _times(source: Path | None) -> str:
    """Changes when a source does, any file below it, or what readers look for beside it."""
    if source is None or not source.exists():
        return ""
    beside = [path for pattern in BESIDE for path in source.absolute().parent.glob(pattern)]
    told = set(_below(source) if source.is_dir() else ())
    for path in beside if source.is_dir() else (source, *beside):
        stat = path.stat()
        told.add((str(path), stat.st_size, stat.st_mtime_ns))
    return str(sorted(told))


def _below(folder: Path | str, left: Sequence[Path] = ()) -> Iterator[tuple[str, int, int]]:
    """Path, size and time of all files: fast, as a data set may have many and is asked often.

    Links to folders are followed, as readers do, but for those that lead to a folder above them.

    Args:
        folder: below which files are looked for.
        left: the folders, by their real paths, from which links have led here.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir() and entry.is_symlink():
                above = (*left, Path(folder).resolve())
                there = Path(entry.path).resolve()
                if not any(one.is_relative_to(there) for one in above):
                    yield from _below(entry.path, above)
            elif entry.is_dir():
                yield from _below(entry.path, left)
            elif entry.is_file():
                stat = entry.stat()
                yield entry.path, stat.st_size, stat.st_mtime_ns


def _labels(view: recipe.View, high: Store | None) -> Path | None:
    """Where the labels stand, if not in the source."""
    if view.labels is None:
        return None
    return high.path if high is not None and view.labels == "high" else _path(view.labels)


def _layout_file(view: recipe.View) -> Path | None:
    """The file that states the layout, if a file does."""
    layout = view.options.get("layout")
    return _path(layout) if isinstance(layout, str) and layout.lower().endswith(ENDINGS) else None


def _held(view: recipe.View, labels: Path | None) -> dict[str, str]:
    """What the files beside the source hold, so that a applied one makes the view anew."""
    held = {}
    if labels is not None:
        tables = labels.suffix.lower() in labelling.ENDINGS
        held["labels"] = _digest(labels) if tables else Store.open(labels).fingerprint
    layout = _layout_file(view)
    if layout is not None:
        held["layout"] = _digest(layout)
    for option, value in view.options.items():  # such as a list of clips that are left out
        if isinstance(value, str) and option != "layout" and Path(value).is_file():
            held[option] = _digest(Path(value))
    return held


def _path(text: str) -> Path:
    return Path(recipe.expanded(text))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _key(text: str, data: object) -> str:
    return hashlib.sha256((text + json.dumps(data, sort_keys=True)).encode()).hexdigest()[:10]
