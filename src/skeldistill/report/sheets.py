"""The report's other tables as files: comparisons, accuracies by class, and where the gap is."""

import csv
import io
from dataclasses import dataclass
from typing import Any

from skeldistill.report import charts, latex
from skeldistill.report.quality import quality
from skeldistill.report.reading import UNKNOWN, Results, methods, number


@dataclass(frozen=True)
class Column:
    """A column: its title in CSV, its heading in LaTeX, and the decimals of its numbers.

    Without a heading it is in CSV alone; without decimals it holds words.
    """

    title: str
    heading: str | None = None
    decimals: int | None = None

    def shown(self, value: Any) -> str:
        """The value as LaTeX."""
        if self.decimals is None:
            return latex.plain(str(value))
        figure = number(value)
        if figure is None:
            return latex.plain(UNKNOWN)
        return f"{figure:.{self.decimals}f}".replace("-", "$-$")


class Probability(Column):
    """A column of p values, which are never printed as zero."""

    def shown(self, value: Any) -> str:
        """The value as LaTeX."""
        figure = number(value)
        return "$<$0.001" if figure is not None and figure < 0.0005 else super().shown(value)


@dataclass(frozen=True)
class Sheet:
    """A table in full figures, one tuple a line; `note` says what a reader must know of it."""

    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]
    note: str

    def as_csv(self) -> str:
        """For spreadsheets and scripts; what is not known is empty."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([column.title for column in self.columns])
        writer.writerows(self.rows)
        return text.getvalue()

    def as_latex(self) -> str:
        """For a paper, with the rules of the booktabs package."""
        shown = [place for place, column in enumerate(self.columns) if column.heading is not None]
        columns = [self.columns[place] for place in shown]
        lines = [
            [column.shown(row[place]) for column, place in zip(columns, shown, strict=True)]
            for row in self.rows
        ]
        headings = [latex.plain(column.heading or "") for column in columns]
        words = sum(column.decimals is None for column in columns)
        table = latex.tabular(headings, [lines], words=words)
        return "\n".join([latex.PACKAGE, *table, latex.comment(self.note), ""])


COMPARED = (
    Column("method", "Method"),
    Column("against", "Against"),
    Column("difference", "Difference", 1),
    Column("low", "from", 1),
    Column("high", "to", 1),
    Probability("p", "p", 3),
    Column("gained", "Gained", 0),
    Column("lost", "Lost", 0),
    Probability("mcnemar_p", "McNemar p", 3),
    Column("odds_ratio", "Odds ratio", 2),
    Column("cohens_h", "Cohen's h", 2),
    Column("seeds"),
    Column("above_noise"),
)


def sheets(results: Results) -> dict[str, Sheet]:
    """The tables that the results allow, by the name of their files."""
    found = {
        "comparisons": comparisons(results),
        "classes": classes(results),
        "quality": lost_joints(results),
    }
    return {name: sheet for name, sheet in found.items() if sheet.rows}


def comparisons(results: Results) -> Sheet:
    """Two methods a line: their difference, both tests, and the sizes of the effect."""
    rows = [
        tuple(entry.get(column.title) for column in COMPARED)
        for entry in results.get("comparisons") or []
    ]
    note = (
        "Difference in points with its 95 % interval. p: permutation test by clip. Gained, lost: "
        "clips that one method alone names rightly (of several trainings: more often), and their "
        "odds ratio. Cohen's h: of both accuracies."
    )
    return Sheet(COMPARED, rows, note)


def classes(results: Results) -> Sheet:
    """A class a line, a method a column."""
    scores = {m.get("name", ""): charts.class_accuracy(m) for m in methods(results)}
    scores = {name: values for name, values in scores.items() if values}
    names = charts.class_names(results)
    rows = [
        (name, *(values[k] if k < len(values) else None for values in scores.values()))
        for k, name in enumerate(names)
        if scores
    ]
    columns = (Column("class", "Class"), *(Column(name, name, 1) for name in scores))
    return Sheet(columns, rows, "Percent right by true class, over all folds and seeds.")


def lost_joints(results: Results) -> Sheet:
    """A group of clips a line, by how many joints their low view has lost; a method a column."""
    told = quality(results) or {"names": [], "rows": []}
    rows = [
        (row["lost"], group["least"], group["most"], row["clips"], row["gap"], *row["top1"])
        for row, group in zip(told["rows"], results.get("by_quality") or [], strict=True)
    ]
    columns = (
        Column("lost", "Joints lost"),
        Column("least"),
        Column("most"),
        Column("clips", "Clips", 0),
        Column("gap", "Points of the gap", 1),
        *(Column(name, name, 1) for name in told["names"]),
    )
    note = (
        "Percent right, over all folds and seeds, of clips by the share of joints that their low "
        "view has lost. The points of the gap add up to the distance of teacher and plain student."
    )
    return Sheet(columns, rows, note)
