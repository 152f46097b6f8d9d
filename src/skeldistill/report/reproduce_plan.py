"""The plan of a reproduction, for a terminal: what would be run, and how long it takes."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.table import Table
from rich.text import Text

from skeldistill.report.reproduce import name_of, rows
from skeldistill.report.tables import quantity


def plan_as_text(plan: dict[str, Any]) -> Iterator[Table | Text]:
    """What would be run, what it needs, and how long it takes."""
    for table in plan["tables"]:
        shown = Table(title=table["title"], title_justify="left")
        for heading in ("Row", "Cells", "Views", "Parameters", "Multiply-adds", "Hours"):
            shown.add_column(heading, justify="left" if heading in ("Row", "Views") else "right")
        for _, block, row in rows({"tables": [table]}):
            views = ", ".join(
                f"{view['name']} ({'missing' if view['missing'] else 'there'})"
                for view in row["views"]
            )
            costs = quantity(row["parameters"]), quantity(row["multiply_adds"])
            line = (name_of(row, block), str(len(row["cells"])), views, *costs, hours(row["hours"]))
            shown.add_row(*(Text(text) for text in line))
        yield shown
    yield from (Text(f"Missing: {line}") for line in _missing(plan))
    count = len(plan["seeds"])
    yield Text(
        f"Hours: {count} seed{'s' * (count > 1)}, one training after another on this machine "
        f"({plan['device']}, {plan['rate'] / 1e9:.2g} G multiply-adds of clips a second, "
        "measured); a row without the teacher that it shares with others. In all "
        f"{hours(plan['hours'])}, of which {hours(plan['hours_there'])} for what is there."
    )


def _missing(plan: dict[str, Any]) -> Iterable[str]:
    return dict.fromkeys(
        view["missing"] for _, _, row in rows(plan) for view in row["views"] if view["missing"]
    )


def hours(value: float) -> str:
    """Hours for a reader: 0.03 h, 12 h, 13,400 h."""
    if value < 9.95:
        return f"{value:.2g} h"
    return f"{float(f'{value:.3g}'):,.0f} h"
