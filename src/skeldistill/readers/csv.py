"""CSV: tables with a header, a row for each joint or for each person of each frame."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from skeldistill import layouts
from skeldistill.clip import UNLABELLED, Clip
from skeldistill.layouts import Layout
from skeldistill.readers import source_files, tracking
from skeldistill.readers.csv_columns import (
    NUMBER,
    UNKNOWN,
    Columns,
    columns,
    numbered,
    whole_number,
)
from skeldistill.readers.reader import Source
from skeldistill.shelf import nearest

WHAT = "a CSV file with a header, or a folder of them"


@dataclass
class Rows:
    """The rows of one clip: for every frame and person, numbers by joint (NaN: lost)."""

    name: str
    label: str = ""
    splits: tuple[str, ...] = ()
    people: dict[int, dict[int, np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What one look at all files tells; `counted_from` is the number of frames that come first."""

    columns: Columns
    layout: Layout
    classes: tuple[str, ...]
    num_clips: int
    counted_from: int


@dataclass(frozen=True, kw_only=True)
class CSV:
    """Reads CSV files with a header: one row a joint, or one row a person and frame.

    Long form, a row for each joint: ``clip,frame,person,joint,x,y,z,score,label,split``.
    Wide form, a row for each person of each frame: ``clip,frame,person,label,split`` and then
    ``nose_x,nose_y,nose_z,nose_score`` and so on for every joint of the layout. Columns are found
    by these names, in any order; `z`, `score`, `person`, `label` and `split` may be left out, and
    so may `clip` if each file is one clip, called as the file. A joint whose numbers are empty,
    or whose score is 0, is lost, and so are joints and frames without a row, those before a clip's
    first row too: frames count from 0, or from 1 if none is lower. A clip that would be lost for as
    long as it has frames, or longer, is taken to be cut from the middle of a longer video, and
    begins with its lowest frame. The rows of a clip
    stand together. Several splits are separated by spaces; a label is a number from 0, or the
    name of the class. A person is who has the same number in all frames; of several, those of
    the highest mean confidence are kept.

    Args:
        layout: a layout's name or YAML file; by default the one with the joints that the first
            file has.
        persons: how many to keep at most.
        classes: action names by label; by default the names among the labels, by alphabet.
        units: of the coordinates; by default pixels in two dimensions and metres in three.
        size: (height, width) of all images in pixels, which the files do not tell.
        first: the number of every clip's first frame, or ``lowest``: the lowest that it has.

    Raises:
        ValueError: an option is out of range.
    """

    layout: str | None = None
    persons: int = 2
    classes: Sequence[str] = ()
    units: str | None = None
    size: source_files.Size = None
    first: source_files.First = None

    def __post_init__(self) -> None:
        if self.persons < 1:
            raise ValueError(f"csv: persons must be at least 1, got {self.persons}")
        source_files.check_first("csv", self.first)
        source_files.check_size("csv", self.size)
        if self.layout is not None:
            layouts.find(self.layout)

    def describe(self, path: Path) -> Source:
        """What the headers say, and what the labels are called; reads all files once."""
        files = source_files.find(path, ".csv", WHAT)
        found = self._survey(files)
        channels = 3 if "z" in found.columns.coordinates else 2
        return Source(
            layout=found.layout,
            channels=channels,
            units=self.units or ("pixels" if channels == 2 else "metres"),
            classes=found.classes,
            num_clips=found.num_clips,
        )

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips in the order of the files and rows."""
        files = source_files.find(path, ".csv", WHAT)
        found = self._survey(files)
        for file in files:
            with source_files.naming(file):
                own = _header(file)
                before = found.columns.coordinates
                if own.coordinates != before:
                    raise ValueError(f"it has {own.coordinates}, the first file {before}")
            for rows in _clips(file, found.layout):
                with source_files.naming(f"{file}: clip {rows.name!r}"):
                    clip = self._clip(rows, found)
                yield clip

    def _survey(self, files: Sequence[Path]) -> Survey:
        first = _header(files[0])
        layout = self._layout(first, files[0])
        names: set[str] = set()
        seen: set[str] = set()
        frames: set[str] = set()
        for file in files:
            own = _header(file)
            before = ""
            for row in _rows(file, own):
                clip = own.text(row, "clip") or file.stem
                names.add(own.text(row, "label"))
                frames.add(own.text(row, "frame"))
                if clip != before and clip in seen:
                    raise ValueError(f"{file}: the rows of clip {clip!r} must stand together")
                seen.add(clip)
                before = clip
        if not seen:
            raise ValueError(f"{files[0]} has no row below its header; name {WHAT}")
        names -= {"", *UNKNOWN}
        by_number = self.classes or numbered(names)
        return Survey(
            columns=first,
            layout=layout,
            classes=tuple(self.classes if by_number else sorted(names)),
            num_clips=len(seen),
            # what is no number is told when its clip is read
            counted_from=source_files.counted_from(
                min((int(float(one)) for one in frames if NUMBER.fullmatch(one)), default=0)
            ),
        )

    def _layout(self, found: Columns, file: Path) -> Layout:
        if self.layout is not None:
            return layouts.find(self.layout)
        joints = found.joints or {found.text(row, "joint") for row in _rows(file, found)}
        fitting = [one for one in layouts.SHELF.values() if set(one.joints) == set(joints)]
        if not fitting:
            raise ValueError(
                f"{file} has {len(joints)} joints, which are those of no layout; pass one as "
                "option `layout` (see `skeldistill layouts`; a YAML file will do)"
            )
        return fitting[0]

    def _clip(self, rows: Rows, about: Survey) -> Clip:
        columns = len(about.columns.coordinates) + 1  # with the score
        nobody = np.zeros((0, about.layout.num_joints, columns), np.float32)
        found = {
            number: (np.stack(list(people.values())), list(people))
            for number, people in rows.people.items()
        }
        first = source_files.beginning(found, self.first, about.counted_from)
        frames = [_people(*one) for one in source_files.in_order(found, (nobody, []), first)]
        tracks = tracking.follow(frames)
        joints, scores = tracking.surest(frames, tracks, self.persons)
        return Clip(
            id=rows.name,
            joints=joints,
            scores=scores,
            layout=about.layout,
            label=_label(rows.label, about.classes),
            splits=rows.splits,
            size=self.size,
            extra=tracking.left_out(frames, tracks, self.persons),
        )


def _header(file: Path) -> Columns:
    with source_files.naming(file), file.open(newline="", encoding="utf-8-sig") as text:
        try:
            return columns(next(csv.reader(text, strict=True), []))
        except csv.Error as error:
            raise ValueError(f"it is no CSV ({error})") from error


def _rows(file: Path, found: Columns) -> Iterator[list[str]]:
    """The rows below the header that are not empty."""
    with file.open(newline="", encoding="utf-8-sig") as text:
        reader = csv.reader(text, strict=True)
        try:
            next(reader)
            for row in reader:
                if row and len(row) != found.count:
                    raise ValueError(f"it has {len(row)} columns, the header {found.count}")
                if row:
                    yield row
        except (csv.Error, ValueError) as error:
            raise ValueError(
                f"{file}: line {reader.line_num}: {source_files.line(error)}"
            ) from error


def _clips(file: Path, layout: Layout) -> Iterator[Rows]:
    """The clips of a file, one in memory at a time."""
    found = _header(file)
    with source_files.naming(file):
        places = found.places(layout)
    now: Rows | None = None
    for row in _rows(file, found):
        name = found.text(row, "clip") or file.stem
        if now is None or now.name != name:
            if now is not None:
                yield now
            now = Rows(name)
        with source_files.naming(f"{file}: clip {name!r}"):
            _add(now, row, found, places, layout)
    if now is not None:
        yield now


def _add(
    rows: Rows, row: list[str], found: Columns, places: Mapping[str, int], layout: Layout
) -> None:
    label, splits = found.text(row, "label"), tuple(found.text(row, "split").split())
    if rows.people and (label, splits) != (rows.label, rows.splits):
        raise ValueError(
            f"its rows say label {rows.label!r} split {' '.join(rows.splits)!r}, then {label!r} "
            f"{' '.join(splits)!r}; all rows of a clip must agree"
        )
    rows.label, rows.splits = label, splits
    frame = whole_number(found.text(row, "frame"), "frame")
    person = whole_number(found.text(row, "person") or "0", "person")
    here = rows.people.setdefault(frame, {})
    if found.joints:
        if person in here:
            raise ValueError(f"person {person} comes twice in frame {frame}")
        here[person] = found.numbers(row, places, layout)
        return
    joint = places.get(found.text(row, "joint"))
    if joint is None:
        raise ValueError(
            f"layout {layout.name!r} has no joint {found.text(row, 'joint')[:40]!r}; "
            f"{nearest(found.text(row, 'joint')[:40], layout.joints)}"
        )
    empty = np.full((layout.num_joints, len(found.coordinates) + 1), np.nan, np.float32)
    table = here.setdefault(person, empty)
    if not np.isnan(table[joint, -1]):
        raise ValueError(f"joint {layout.joints[joint]!r} comes twice in frame {frame}")
    table[joint] = found.number(row)


def _people(table: np.ndarray, ids: list[int]) -> tracking.People:
    """Everybody of a frame: a joint without numbers is lost."""
    scores = np.where(np.isnan(table).any(axis=-1), 0, table[..., -1])
    joints = np.where(scores[..., None] == 0, 0, table[..., :-1])
    return tracking.People(
        joints.astype(np.float32), scores.astype(np.float32), np.array(ids, np.int64)
    )


def _label(text: str, classes: Sequence[str]) -> int:
    if text in ("", *UNKNOWN):
        return UNLABELLED
    if text in classes:
        return list(classes).index(text)
    number = whole_number(text, "a label") if NUMBER.fullmatch(text) else None
    if number is None or (classes and number >= len(classes)):
        raise ValueError(f"label {text[:40]!r} is no class; {nearest(text[:40], classes)}")
    return number
