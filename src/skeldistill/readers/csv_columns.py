"""The columns of a CSV file: found by their names, in the long form or the wide one."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from skeldistill.layouts import Layout
from skeldistill.shelf import nearest

ABOUT = ("clip", "frame", "person", "label", "split")
AXES = ("x", "y", "z")
SCORE = "score"
LOST = ("", "nan", "NaN")
"""What may stand where there is no number."""

NUMBER = re.compile(r"[0-9]{1,9}(\.0*)?")
"""A class by its number, as people and their programs write it: 7 or 7.0."""
UNKNOWN = ("-1", "-1.0")
"""What may stand, besides nothing, where the class is not known."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Where everything stands in a row.

    about: places of the columns that are no coordinates. coordinates: x, y and perhaps z.
    joints: in the wide form the joints, each with the places of its coordinates and its score
    (-1 without one); empty in the long form, where `long` holds those of the row's own joint.
    """

    count: int
    about: Mapping[str, int]
    coordinates: tuple[str, ...]
    joints: Mapping[str, tuple[int, ...]]
    long: tuple[int, ...] = ()

    def text(self, row: Sequence[str], column: str) -> str:
        """A cell, or empty text if there is no such column."""
        place = self.about.get(column)
        return "" if place is None else row[place].strip()

    def places(self, layout: Layout) -> dict[str, int]:
        """The place on the axis ``v`` of every joint, which in the wide form must all be there."""
        unknown = [joint for joint in self.joints if joint not in layout.joints]
        missing = [joint for joint in layout.joints if self.joints and joint not in self.joints]
        if unknown:
            raise ValueError(
                f"column {unknown[0] + '_x'!r} is no joint of layout {layout.name!r}; "
                f"{nearest(unknown[0], layout.joints)}"
            )
        if missing:
            raise ValueError(
                f"it has no columns for joint {missing[0]!r} of layout {layout.name!r}; add "
                f"{missing[0]}_x and {missing[0]}_y, or pass another layout"
            )
        return {joint: place for place, joint in enumerate(layout.joints)}

    def numbers(
        self, row: Sequence[str], places: Mapping[str, int], layout: Layout
    ) -> Float32[np.ndarray, "v columns"]:
        """Coordinates and score of every joint of a row of the wide form; NaN where empty."""
        table = np.full((layout.num_joints, len(self.coordinates) + 1), np.nan)
        for joint, cells in self.joints.items():
            table[places[joint]] = [_number(row[at]) if at >= 0 else 1.0 for at in cells]
        return _checked(table)

    def number(self, row: Sequence[str]) -> Float32[np.ndarray, " columns"]:
        """Coordinates and score of a row of the long form."""
        return _checked(np.array([_number(row[at]) if at >= 0 else 1.0 for at in self.long]))


def columns(header: Sequence[str]) -> Columns:
    """Find the columns by the names in a file's first line.

    Raises:
        ValueError: one is missing, comes twice, or is not known.
    """
    names = [name.strip() for name in header]
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise ValueError(f"its header names column {twice[0][:40]!r} twice")
    if "frame" not in names:
        raise ValueError(
            f"its first line must be a header with a column `frame`, got {','.join(names)[:80]!r}"
        )
    where = {name: place for place, name in enumerate(names)}
    long = "joint" in where
    joints = [name.removesuffix("_x") for name in names if name.endswith("_x")]
    starts = [""] if long else [f"{joint}_" for joint in joints]
    axes = tuple(axis for axis in AXES if all(f"{start}{axis}" in where for start in starts))
    if not starts or axes[:2] != AXES[:2]:
        raise ValueError(
            "its header has no coordinates; it needs `joint`, `x` and `y`, or `nose_x` and "
            "`nose_y` and so on for every joint"
        )
    used = {*ABOUT, *([*AXES, SCORE, "joint"] if long else [])}
    used |= {f"{start}{one}" for start in starts for one in (*axes, SCORE)}
    strange = [name for name in names if name not in used]
    if strange:
        raise ValueError(
            f"its header has a column {strange[0][:40]!r}, which means nothing here; "
            f"{nearest(strange[0][:40], used)}"
        )
    cells = [
        (*(where[f"{start}{axis}"] for axis in axes), where.get(f"{start}{SCORE}", -1))
        for start in starts
    ]
    return Columns(
        count=len(names),
        about={name: where[name] for name in (*ABOUT, "joint") if name in where},
        coordinates=axes,
        joints={} if long else dict(zip(joints, cells, strict=True)),
        long=cells[0] if long else (),
    )


def whole_number(text: str, what: str) -> int:
    """A number as people and their programs write it, 7 or 7.0; ValueError for any other text."""
    found = re.fullmatch(r"([0-9]{1,18})(\.0*)?", text)
    if found is None:
        raise ValueError(f"{what} is {text[:40]!r}; it must be a whole number from 0")
    return int(found[1])


def numbered(labels: Collection[str]) -> bool:
    """Whether labels are all numbers; ValueError where some are, as names would renumber them."""
    names = sorted(label for label in labels if not NUMBER.fullmatch(label))
    if names and len(names) < len(labels):
        number = min(set(labels) - set(names))
        raise ValueError(
            f"label {names[0][:40]!r} is no number but {number!r} is one; name all actions or "
            "number all, and leave empty what is not known"
        )
    return not names


def _number(cell: str) -> float:
    cell = cell.strip()
    if cell in LOST:
        return np.nan
    try:
        return float(cell)
    except ValueError:
        raise ValueError(f"{cell[:40]!r} stands where a number belongs") from None


def _checked(numbers: np.ndarray) -> np.ndarray:
    """The numbers as float32, coordinates and then the score on the last axis."""
    with np.errstate(over="ignore"):
        numbers = numbers.astype(np.float32)
    scores = numbers[..., -1]
    if np.isinf(numbers).any() or ((scores < 0) | (scores > 1)).any():
        raise ValueError("a coordinate is not finite, or a score is not between 0 and 1")
    return numbers
