"""The plan of a reproduction, for a terminal: what would be run, and how long it takes."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from skeldistill.report.reproduce import name_of, rows
from skeldistill.report.tables import quantity


def plan_as_text(plan: dict[str, Any], *, by_row: bool) -> Iterator[Table | Text]:
    """What would be run, what it needs, and how long it takes: by table, or by row of each."""
    if by_row:
        yield from (_rows(table) for table in plan["tables"])
    else:
        yield _tables(plan)
    yield from (Text(f"Missing: {line}") for line in _missing(plan))
    count = len(plan["seeds"])
    yield Text(
        f"Hours: {count} seed{'s' * (count > 1)}, one training after another on this machine "
        f"({plan['device']}, {plan['rate'] / 1e9:.2g} G multiply-adds of clips a second, "
        f"measured, as if nothing else ran); "
        f"{'a row without the teacher that it shares with others. ' if by_row else ''}"
        f"In all {hours(plan['hours'])}, of which {hours(plan['hours_there'])} for what is there. "
        f"Still to do {hours(plan['hours_left'])}, of which {hours(plan['hours_left_there'])} for "
        "what is there: without what is finished."
    )
    if not by_row:
        yield Text("Name tables (skd-I), or a paper (skd), to see their rows.")


def _tables(plan: dict[str, Any]) -> Table:
    """A line for each of the papers' tables."""
    shown = Table()
    for heading in ("", "Table", "Cells", "With views there", "Hours", "Still to do"):
        shown.add_column(heading, justify="left" if heading in ("", "Table") else "right")
    total = there = 0
    for table in plan["tables"]:
        found = [(len(row["cells"]), row["views"]) for _, _, row in rows({"tables": [table]})]
        count = sum(cells for cells, _ in found)
        had = sum(cells for cells, views in found if not any(v["missing"] for v in views))
        total, there = total + count, there + had
        told = (table["name"], table["title"], str(count), str(had), *_both(table))
        shown.add_row(*map(Text, told))
    shown.add_section()
    shown.add_row("", "All, what they share counted once", str(total), str(there), *_both(plan))
    return shown


def _rows(table: dict[str, Any]) -> Table:
    """A line for each row of one of the papers' tables."""
    shown = Table(title=table["title"], title_justify="left")
    headings = ("Row", "Cells", "Views", "Parameters", "Multiply-adds", "Hours", "Still to do")
    for heading in headings:
        shown.add_column(heading, justify="left" if heading in ("Row", "Views") else "right")
    for _, block, row in rows({"tables": [table]}):
        views = ", ".join(
            f"{view['name']} ({'missing' if view['missing'] else 'there'})" for view in row["views"]
        )
        costs = quantity(row["parameters"]), quantity(row["multiply_adds"])
        line = (name_of(row, block), str(len(row["cells"])), views, *costs, *_both(row))
        shown.add_row(*(Text(text) for text in line))
    return shown


def _both(entry: dict[str, Any]) -> tuple[str, str]:
    """In all, and without what is finished."""
    return hours(entry["hours"]), hours(entry["hours_left"])


def _missing(plan: dict[str, Any]) -> Iterable[str]:
    return dict.fromkeys(
        view["missing"] for _, _, row in rows(plan) for view in row["views"] if view["missing"]
    )


def hours(value: float) -> str:
    """Hours for a reader: 0.03 h, 12 h, 13,400 h."""
    if value < 9.95:
        return f"{value:.2g} h"
    return f"{float(f'{value:.3g}'):,.0f} h"
