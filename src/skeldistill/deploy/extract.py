"""Extract: from videos to stores, one for each estimator, in one pass over the frames."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skeldistill import __version__
from skeldistill.clip import Clip
from skeldistill.data.checking import CUT
from skeldistill.data.store import Store
from skeldistill.data.store_writer import StoreWriter
from skeldistill.deploy import extract_parts
from skeldistill.deploy.extract_journal import TRIES, Journal, alone
from skeldistill.deploy.extract_parts import Part, Task
from skeldistill.deploy.extract_progress import Shown
from skeldistill.deploy.extract_sources import Footage
from skeldistill.deploy.extract_workers import Crashed, Done, Engine, Failed, Processes, Seen
from skeldistill.estimators import Estimator
from skeldistill.files import readable, write_text
from skeldistill.readers import tracking
from skeldistill.readers.reader import Source
from skeldistill.readers.tracking import People

Choice = Callable[..., tuple[np.ndarray, np.ndarray]]
CHOICES: Mapping[str, Choice] = {"surest": tracking.surest, "largest": tracking.largest}
"""Who is kept of the people of a clip: called with frames, tracks and how many."""

FAILURES = "failures.csv"
WARNINGS = "warnings.csv"


@dataclass(frozen=True, kw_only=True)
class View:
    """One estimator's view of the videos, and the store that it becomes."""

    estimator: Estimator
    store: Path


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Who of the people found is kept: so many, by one of `CHOICES`.

    Raises:
        ValueError: the number is below 1.
    """

    persons: int = 2
    choice: Choice = tracking.surest

    def __post_init__(self) -> None:
        if self.persons < 1:
            raise ValueError(f"persons must be at least 1, got {self.persons}")


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What came of it: the stores by view, and where failures and warnings are listed, if any."""

    stores: Mapping[str, Store]
    failures: Path | None
    failed: int
    warnings: Path | None
    warned: int


def extract(
    videos: Sequence[Footage],
    views: Mapping[str, View],
    work: Path,
    *,
    classes: Sequence[str] = (),
    selection: Selection | None = None,
    engine: Engine | None = None,
    again: bool = False,
    quiet: bool = False,
) -> Extracted:
    """Every video through every estimator, then people tracked and chosen, into stores.

    All people found are kept below `work`, one file a video, written when the video is done: the
    same call after a kill, or with another selection, decodes nothing twice. A video that cannot
    be decoded, or that kills its worker twice, is left out and listed in ``failures.csv`` there;
    one that seems to have been cut off stays, and is listed in ``warnings.csv``.

    Args:
        videos: with ids, labels and splits.
        views: estimators and their stores by name; the stores hold the same clips.
        work: a folder for what is kept; made if it is not there.
        classes: names of the labels.
        selection: who is kept of the people found; two by default.
        engine: who does the work; one process by default.
        again: try those that failed before once more.
        quiet: show no progress.

    Raises:
        OSError: a file cannot be written.
        ValueError: an estimator cannot be loaded, no video at all could be extracted, or another
            extraction is at work in the same folder.
    """
    for view in views.values():  # not after hours of work
        if view.store.is_dir():
            raise ValueError(f"{view.store} is a folder; name a file for the store")
    abouts = {name: dict(view.estimator.about()) for name, view in views.items()}
    told = json.dumps(abouts, sort_keys=True)
    folder = work / hashlib.sha256(told.encode()).hexdigest()[:12]
    parts = {video.id: folder / f"{_key(video)}.npz" for video in videos}
    estimators = {name: view.estimator for name, view in views.items()}
    with alone(folder):
        journal = Journal(folder / "journal.jsonl")
        if again:
            journal.forgive()
        _look_at_all(videos, parts, journal, estimators, engine or Processes(), quiet=quiet)
    failures = _list_failures(videos, parts, journal, work / FAILURES)
    there = [video for video in videos if extract_parts.is_whole(parts[video.id])]
    if not there:
        if len(videos) == 1:
            failure = journal.failure(parts[videos[0].id].stem)
            reason = failure.reason if failure else "it was not extracted"
            named = videos[0].path.name in reason
            raise ValueError(reason if named else f"{videos[0].path}: {reason}")
        raise ValueError(f"none of {len(videos)} videos could be extracted; see {failures}")
    provenance = {
        "estimators": abouts,
        "persons": (selection or Selection()).persons,
        "choice": (selection or Selection()).choice.__name__,
        "videos": len(videos),
        "failed": len(videos) - len(there),
        "date": journal.begun,
        "skeldistill": __version__,
    }
    cut = _assemble(there, parts, views, classes, selection or Selection(), provenance)
    return Extracted(
        stores={name: Store.open(view.store) for name, view in views.items()},
        failures=failures,
        failed=len(videos) - len(there),
        warnings=_list(work / WARNINGS, ("video", "file", "warning"), cut),
        warned=len(cut),
    )


def _key(video: Footage) -> str:
    """The same for a video that has not changed since."""
    about = video.path.stat()
    text = f"{video.id}\n{about.st_size}\n{about.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _look_at_all(
    videos: Sequence[Footage],
    parts: Mapping[str, Path],
    journal: Journal,
    estimators: Mapping[str, Estimator],
    engine: Engine,
    *,
    quiet: bool,
) -> None:
    """Write the parts that are missing, and what becomes of them into the journal."""
    tasks = [
        Task(
            id=video.id,
            path=video.path.absolute(),
            part=parts[video.id],
            crashes=journal.crashes(parts[video.id].stem),
        )
        for video in videos
        if not extract_parts.is_whole(parts[video.id])
        and journal.failure(parts[video.id].stem) is None
    ]
    if not tasks:
        return
    with Shown(len(tasks), quiet=quiet) as shown:
        for event in engine(tasks, estimators):
            if isinstance(event, Seen):
                shown.frames(event.frames)
                continue
            key, name = event.task.part.stem, event.task.id
            if isinstance(event, Done):
                journal.done(key, name, event.frames)
            elif isinstance(event, Failed):
                journal.failed(key, name, event.reason)
            else:
                journal.crashed(key, name, event.reason)
            if not isinstance(event, Crashed) or event.task.crashes >= TRIES:
                shown.video(failed=not isinstance(event, Done))


def _list_failures(
    videos: Sequence[Footage], parts: Mapping[str, Path], journal: Journal, file: Path
) -> Path | None:
    """A row for every video without a part."""
    rows = []
    for video in videos:
        failure = journal.failure(parts[video.id].stem)
        if failure is not None and not extract_parts.is_whole(parts[video.id]):
            rows.append((video.id, str(video.path), failure.tries, failure.reason))
    return _list(file, ("video", "file", "tries", "reason"), rows)


def _list(file: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Path | None:
    """A table; no file if it has no rows."""
    if not rows:
        file.unlink(missing_ok=True)
        return None
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    table.writerows(rows)
    write_text(file, readable(text.getvalue()))
    return file


def _assemble(
    videos: Sequence[Footage],
    parts: Mapping[str, Path],
    views: Mapping[str, View],
    classes: Sequence[str],
    selection: Selection,
    provenance: Mapping[str, Any],
) -> list[tuple[str, str, str]]:
    """All stores at once, from the parts, clip by clip; rows for what seems to be cut off."""
    cut = []
    with ExitStack() as stack:
        writers = {}
        for name, view in views.items():
            source = Source(
                layout=view.estimator.layout,
                channels=2,
                units="pixels",
                classes=tuple(classes),
                num_clips=len(videos),
            )
            told = {"reader": "extract", "view": name, **provenance}
            writers[name] = stack.enter_context(StoreWriter(view.store, source, provenance=told))
        for video in videos:
            part = extract_parts.read(parts[video.id])
            if part.cut:
                cut.append((video.id, str(video.path), part.cut))
            for name, writer in writers.items():
                writer.write(_clip(video, part, name, views[name].estimator, selection))
    return cut


def _clip(
    video: Footage, part: Part, view: str, estimator: Estimator, selection: Selection
) -> Clip:
    frames: list[People] = part.views[view]
    rate = {"rate": round(part.rate, 4)} if part.rate > 0 else {}  # 0: the video tells none
    tracks = tracking.link(frames)
    joints, scores = selection.choice(frames, tracks, selection.persons)
    extra = rate | {"times": np.round(part.times, 4).tolist()}
    extra |= {CUT: part.cut} if part.cut else {}
    return Clip(
        id=video.id,
        joints=joints,
        scores=scores,
        layout=estimator.layout,
        label=video.label,
        splits=video.splits,
        subject=video.subject,
        camera=video.camera,
        size=part.size,
        extra=extra | tracking.left_out(frames, tracks, selection.persons),
    )
