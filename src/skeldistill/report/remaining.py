"""What a run would still do, for a terminal."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from skeldistill.training.remaining import Remaining, Row

HEADINGS = ("Method", "Done", "Begun", "To do", "Clips", "Steps", "Left")


def as_text(found: Remaining) -> Iterator[Table | Text]:
    """A line for each view that would be made, one for each method, and what the times are of."""
    for line in found.to_make:
        yield Text(f"View to make: {line}")
    shown = Table()
    for heading in HEADINGS:
        shown.add_column(heading, justify="left" if heading == "Method" else "right")
    for row in found.rows:
        counts = str(row.done), str(row.begun), str(row.to_do)
        sizes = _range(row.clips), _range(row.steps)
        shown.add_row(*(Text(cell) for cell in (row.method, *counts, *sizes, _left(row))))
    yield shown
    if not found.compared:
        yield Text("Views are not made: whether what is done still holds is seen once they are.")
    changed = [row for row in found.rows if row.changed]
    if changed:
        names = ", ".join(row.method for row in changed)
        count = sum(row.changed for row in changed)
        yield Text(
            f"{count} finished trainings had other settings or data and would be done anew: {names}"
        )
    yield Text(_times(found))


def _times(found: Remaining) -> str:
    """How long it takes in all, and how that is known."""
    if not any(row.begun or row.to_do for row in found.rows):
        return "Nothing is left to train; a run writes the results and the report."
    timed = sum(row.timed for row in found.rows)
    unknown = [row.method for row in found.rows if row.seconds is None]
    if not timed:
        return f"Left: not known, as no training of {found.folder} has been timed yet."
    known = sum(row.seconds for row in found.rows if row.seconds is not None)
    besides = f", and what {', '.join(unknown)} take, not timed yet" if unknown else ""
    return (
        f"Left: {duration(known)}{besides}; one training after another, each as long as those of "
        f"its method that were timed in {found.folder} ({timed} in all)."
    )


def _left(row: Row) -> str:
    if not row.begun and not row.to_do:
        return ""
    return "?" if row.seconds is None else duration(row.seconds)


def _range(counts: tuple[int, int] | None) -> str:
    if counts is None:
        return "?"
    fewest, most = counts
    return f"{fewest:,}" if fewest == most else f"{fewest:,} to {most:,}"


def duration(seconds: float) -> str:
    """For a reader: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
