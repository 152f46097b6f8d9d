"""What is to be extracted: videos with their ids, and what is known of each of them."""

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from skeldistill.clip import UNLABELLED
from skeldistill.data.labelling import unmet
from skeldistill.deploy.video import ENDINGS
from skeldistill.files import readable
from skeldistill.readers import source_files
from skeldistill.readers.csv_columns import UNKNOWN, numbered, whole_number

LISTS = (".txt", ".lst")
SPLITS = ("train", "val", "test")
"""Folders that are splits, not classes, where they stand above the classes."""


@dataclass(frozen=True, kw_only=True)
class Footage:
    """One video that becomes one clip.

    id: of the clip, in every view. path: its file. label, splits, subject, camera: as in `Clip`.
    """

    id: str
    path: Path
    label: int = UNLABELLED
    splits: tuple[str, ...] = ()
    subject: int | None = None
    camera: int | None = None


def find(source: Path) -> list[Footage]:
    """The videos of a folder and of those in it, of a list (one a line), or one file, by id.

    A video's id is its place below the folder without the ending, which stays where two would
    be called the same. A list's lines are files, relative to the list's own folder.

    Raises:
        OSError: there is nothing called `source`, or a file of a list is not there.
        ValueError: there is no video in it, or one comes twice.
    """
    if source.is_dir():
        files = [one for one in sorted(source.rglob("*")) if _is_video(one)]
        if not files:
            raise ValueError(f"{source} has no video ({', '.join(ENDINGS)})")
        names = [one.relative_to(source) for one in files]
    elif not source.exists():
        raise FileNotFoundError(f"no {source}; name a folder of videos, a list or a video")
    elif source.suffix.lower() in LISTS:
        files = _listed(source)
        # "." where files have no folder in common but the root
        common = Path(os.path.commonpath([one.parent for one in files]))
        names = [one.relative_to(common) for one in files]
    else:
        files, names = [source], [Path(source.name)]
    names = [Path(readable(str(name))) for name in names]
    ids = [name.with_suffix("").as_posix() for name in names]
    often = {one for one in ids if ids.count(one) > 1} if len(set(ids)) < len(ids) else set()
    ids = [name.as_posix() if one in often else one for name, one in zip(names, ids, strict=True)]
    if len(set(ids)) < len(ids):
        twice = next(one for one in ids if ids.count(one) > 1)
        raise ValueError(f"{source} names video {twice!r} twice")
    return sorted(
        (Footage(id=one, path=file) for one, file in zip(ids, files, strict=True)),
        key=lambda one: one.id,
    )


def labelled_by_folders(videos: Sequence[Footage]) -> tuple[list[Footage], tuple[str, ...]]:
    """Every video with the name of its folder as its class; classes are in the order of names.

    A folder ``train``, ``val`` or ``test`` above that of the class is the split.

    Raises:
        ValueError: a video is in no folder.
    """
    named: dict[str, tuple[str, tuple[str, ...]]] = {}
    for video in videos:
        folders = Path(video.id).parts[:-1]
        if not folders or (len(folders) == 1 and folders[0] in SPLITS):
            raise ValueError(
                f"video {video.id!r} is in no folder of a class; put it in one, or give --labels "
                "a CSV file"
            )
        split = tuple(one for one in folders[:-1] if one in SPLITS)[:1]
        named[video.id] = (folders[-1], split)
    classes = tuple(sorted({name for name, _ in named.values()}))
    return [
        replace(video, label=classes.index(named[video.id][0]), splits=named[video.id][1])
        for video in videos
    ], classes


def labelled_by_csv(videos: Sequence[Footage], file: Path) -> tuple[list[Footage], tuple[str, ...]]:
    """Every video with what a table says of it; those that it does not name stay unlabelled.

    The first line names the columns: ``video`` (the id, with or without the ending) and ``label``
    (a name, or all numbers from 0 on; -1 or nothing: not known); there may be ``split`` (several
    with spaces between them),
    ``subject`` and ``camera``, which are numbers. Named classes are in the order of names.

    Raises:
        OSError: the file cannot be read.
        ValueError: a column is missing, a value is none, or no video is named.
    """
    with source_files.naming(file):
        told = _table(file)
        names = {label for label, _ in told.values() if label}
        classes = () if numbered(names) else tuple(sorted(names))
        made = [_with(video, told, classes) for video in videos]
        if not any(video.id in told or _file_id(video) in told for video in videos):
            raise ValueError(
                f"it names none of the {len(videos)} videos; the first one is {videos[0].id!r}"
            )
    return made, classes


def missed(videos: Sequence[Footage], file: Path) -> list[str]:
    """What a table names that is no video, and the videos that it does not name, a line each."""
    with source_files.naming(file):
        told = _table(file)
    return unmet(file, told, [(video.id, _file_id(video)) for video in videos], "video")


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()


def _listed(file: Path) -> list[Path]:
    with source_files.naming(file):
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    # normalised, so that ids cannot hold ".."
    files = [Path(os.path.abspath(file.parent / one.strip())) for one in lines if one.strip()]  # noqa: PTH100
    if not files:
        raise ValueError(f"{file} names no video")
    for one in files:
        if not one.is_file():
            raise FileNotFoundError(f"{file} names {one}, which is no file")
    return files


def _rows(file: Path) -> list[dict[str, str | None]]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        try:
            table = csv.DictReader(opened)
            columns = table.fieldnames or ()
            rows = list(table)
        except csv.Error as error:
            raise ValueError(f"no table ({error})") from error
    if not {"video", "label"} <= set(columns):
        raise ValueError(
            f"its first line must name the columns video and label, it is {','.join(columns)!r}"
        )
    return rows


def _table(file: Path) -> dict[str, tuple[str, dict[str, object]]]:
    """What is told of each video, by the name that the table gives it."""
    told = {}
    for number, row in enumerate(_rows(file), start=2):
        name = (row["video"] or "").strip()
        if name in told:
            raise ValueError(f"line {number}: video {name!r} comes twice")
        with source_files.naming(f"line {number}"):
            told[name] = _told(row)
    return told


def _told(row: Mapping[str, str | None]) -> tuple[str, dict[str, object]]:
    """A line's label, and the rest of it."""
    rest: dict[str, object] = {"splits": tuple((row.get("split") or "").split())}
    for name in ("subject", "camera"):
        value = (row.get(name) or "").strip()
        if value and not value.isdecimal():
            raise ValueError(f"{name} must be a number, got {value!r}")
        rest[name] = int(value) if value else None
    label = (row["label"] or "").strip()
    return "" if label in UNKNOWN else label, rest


def _file_id(video: Footage) -> str:
    return f"{video.id.removesuffix(video.path.suffix)}{video.path.suffix}"


def _with(
    video: Footage,
    told: Mapping[str, tuple[str, dict[str, object]]],
    classes: Sequence[str],
) -> Footage:
    label, rest = told.get(video.id) or told.get(_file_id(video)) or ("", {})
    number = UNLABELLED
    if label:
        number = classes.index(label) if classes else whole_number(label, "a label")
    return replace(video, label=number, **rest)  # type: ignore[arg-type]
