"""The tables of both papers as data: every printed figure, and what was trained on what for it.

They stand in ``papers/*.yaml``. A cell is asked for by its block's `About`, changed by its row,
changed by its column.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal, TypeVar

import yaml
from pydantic import Field, model_validator

from skeldistill.recipe import METHODS, Part, Section, View
from skeldistill.shelf import nearest, pick

BOOKS = ("skd", "plkd")
Measure = Literal["top1", "top5", "node", "edge"]
Read = TypeVar("Read", bound=Section)


class Start(Section):
    """Another cell, in the column of the same name, whose trained network this one starts from."""

    table: str
    row: str


class About(Section):
    """What a figure was measured on; what is left out, what stands above says."""

    data: str | None = Field(default=None, description="a data set of views.yaml")
    division: str | None = Field(default=None, description="one of its divisions")
    high: str | None = Field(default=None, description="the teacher's view")
    low: str | None = Field(default=None, description="the student's view")
    degradations: tuple[Part, ...] | None = Field(
        default=None, description="what makes the student's view worse"
    )
    teacher: str | None = Field(default=None, description="a network of the book")
    student: str | None = Field(default=None, description="a network of the book")
    method: str | None = Field(default=None, description="a method of the book")
    measure: Measure | None = Field(
        default=None, description="accuracies in percent, or the student's loss in the last epoch"
    )
    paired: float | None = Field(default=None, gt=0, le=1)
    start: Start | None = None

    def under(self, other: "About") -> "About":
        """This, changed by what the other one states."""
        stated = {
            name: value
            for one in (self, other)
            for name in About.model_fields
            if (value := getattr(one, name)) is not None
        }
        return About(**stated)


class Column(About):
    """A column of figures."""

    name: str


class Costs(Section):
    """Printed costs: of the pose estimator, and of the action recogniser."""

    parameters: tuple[float | None, float | None] = Field(description="in millions")
    flops: tuple[float | None, float | None] = Field(description="in G")
    seconds: tuple[float | None, float | None]


class Row(About):
    """A row: its name, what else the table says of it, and its figures in the order of columns."""

    name: str
    settings: str = ""
    printed: tuple[float | None, ...]
    costs: Costs | None = None


class Block(Section):
    """Rows under the same headings."""

    title: str = ""
    about: About = About()
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]

    @model_validator(mode="after")
    def _full(self) -> "Block":
        for row in self.rows:
            if len(row.printed) != len(self.columns):
                raise ValueError(f"{row.name}: {len(row.printed)} figures for {self.columns}")
        return self


class PrintedTable(Section):
    """A table of a paper."""

    name: str
    title: str
    notes: tuple[str, ...] = Field(default=(), description="what is known of its figures")
    blocks: tuple[Block, ...]


class Way(Section):
    """A method: a ready-made one, with changes, and others in the family ``paper``."""

    ready: str
    changes: dict[str, Any] = Field(default_factory=dict)
    paper: dict[str, Any] = Field(default_factory=dict)

    def body(self, family: str) -> dict[str, Any]:
        """The method as a recipe spells it."""
        printed = self.paper if family == "paper" else {}
        return pick("ready-made method", METHODS, self.ready) | self.changes | printed


class NamedNetwork(Section):
    """A network by the paper's name: the part, and its options where they are not always the same.

    flat: on 2-D joints, whose last channel is a score. paper: in that family. strong_frames: for
    networks that do not take every number of frames.
    """

    part: Part
    flat: dict[str, Any] = Field(default_factory=dict)
    paper: dict[str, Any] = Field(default_factory=dict)
    strong_frames: int | None = None


class Book(Section):
    """A paper's tables. paper: sections of a recipe as the paper prints them."""

    name: str
    title: str
    source: str
    paper: dict[str, dict[str, Any]] = Field(default_factory=dict)
    methods: dict[str, Way]
    networks: dict[str, NamedNetwork]
    tables: tuple[PrintedTable, ...]


class Division(Section):
    """Splits by name; with repeats, ``{}`` in a name counts from 1. clips: in each of the two."""

    train: str
    test: str
    repeats: int = Field(default=1, ge=1)
    clips: tuple[int, int] = (0, 0)

    def folds(self) -> list[dict[str, str]]:
        """As a recipe lists them."""
        return [
            {"train": self.train.format(place), "test": self.test.format(place)}
            for place in range(1, self.repeats + 1)
        ]


class DataSet(Section):
    """A data set of the papers. persons: how many act in a clip at most."""

    title: str
    classes: int
    persons: int
    divisions: dict[str, Division]


class KnownView(Section):
    """A view that the tables ask for. needs: where it comes from. example: for a file of views."""

    data: str
    layout: str
    channels: int
    normalisation: str
    needs: str
    example: View


class Known(Section):
    """All data sets and views of both papers."""

    data_sets: dict[str, DataSet]
    views: dict[str, KnownView]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One printed figure, with all that is known of how it came about."""

    book: Book
    table: PrintedTable
    block: int
    row: int
    column: int

    @property
    def at(self) -> tuple[Row, Column]:
        """Its row and its column."""
        block = self.table.blocks[self.block]
        return block.rows[self.row], block.columns[self.column]

    @property
    def printed(self) -> float | None:
        """The figure; None where it cannot be read."""
        row, _ = self.at
        return row.printed[self.column]

    @property
    def about(self) -> About:
        """What it was measured on."""
        row, column = self.at
        return self.table.blocks[self.block].about.under(row).under(column)

    @property
    def started_by(self) -> "Cell | None":
        """The cell whose network this one starts from."""
        start = self.about.start
        if start is None:
            return None
        _, column = self.at
        found = [cell for cell in select([start.table]) if cell.at[0].name == start.row]
        return next(cell for cell in found if cell.at[1].name == column.name)


@lru_cache(maxsize=1)
def books() -> tuple[Book, ...]:
    """Both papers."""
    return tuple(_read(name, Book) for name in BOOKS)


@lru_cache(maxsize=1)
def known() -> Known:
    """The data sets and views that the tables ask for."""
    return _read("views", Known)


def select(names: Sequence[str] = ()) -> list[Cell]:
    """The cells of some tables (``skd-II``), or of a whole paper (``plkd``); of all by default.

    Raises:
        ValueError: there is no such table; names the nearest one.
    """
    tables = {table.name.lower(): (book, table) for book in books() for table in book.tables}
    wanted: list[str] = []
    for name in [each.lower() for each in names] or list(BOOKS):
        matching = [one for one in tables if name in (one, one.partition("-")[0])]
        if not matching:
            shown = [table.name for _, table in tables.values()]
            raise ValueError(f"no table called {name!r}; {nearest(name, [*BOOKS, *shown])}")
        wanted += [one for one in matching if one not in wanted]
    return [
        Cell(book=book, table=table, block=block, row=row, column=column)
        for book, table in (tables[name] for name in wanted)
        for block, body in enumerate(table.blocks)
        for row in range(len(body.rows))
        for column in range(len(body.columns))
    ]


def _read(name: str, kind: type[Read]) -> Read:
    file = resources.files("skeldistill.reproduction") / "papers" / f"{name}.yaml"
    return kind.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
