"""Printed and reproduced figures side by side: terminal, CSV, Markdown, LaTeX, one page."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from skeldistill.files import write_text
from skeldistill.report import latex
from skeldistill.report.page import fill
from skeldistill.report.reading import UNKNOWN, number
from skeldistill.report.tables import latency, markdown, quantity, score

Results = dict[str, Any]
"""What ``reproduce.json`` holds."""

FIGURES = ("Printed", "Ours", "Difference")
COSTS = ("Parameters", "Multiply-adds", "Latency", "Training")
PRINTED_COSTS = ("Parameters, printed", "FLOPs, printed", "Seconds, printed")
COLUMNS: tuple[str, ...] = (
    "paper_table", "block", "row", "settings", "column", "measure", "printed",
    "ours", "ours_low", "ours_high", "difference", "difference_low", "difference_high", "runs",
    "parameters", "multiply_adds", "latency_ms", "training_seconds",
    "printed_parameters_m_estimator", "printed_parameters_m", "printed_flops_g_estimator",
    "printed_flops_g", "printed_seconds_estimator", "printed_seconds", "why", "stand_ins",
)  # fmt: skip


def write(results: Results, folder: Path) -> list[Path]:
    """Write the tables as Markdown, CSV, LaTeX and a page into a folder; the files.

    Raises:
        OSError: when the folder cannot be written to.
    """
    texts = {
        "reproduce.md": as_markdown(results),
        "reproduce.csv": as_csv(results),
        "reproduce.tex": as_latex(results),
        "reproduce.html": fill("reproduce.html", content(results)),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def summary(results: Results) -> str:
    """How many of the figures were reproduced, in a sentence or two."""
    cells = [cell for _, _, row in rows(results) for cell in row["cells"]]
    done = [cell for cell in cells if cell["ours"]]
    text = f"{len(done)} of {len(cells)} printed figures were measured here"
    apart = [
        abs(cell["difference"]["mean"])
        for cell in done
        if cell["difference"] and cell["measure"] in ("top1", "top5")
    ]
    if apart:
        text += f"; accuracies differ by {sum(apart) / len(apart):.1f} points in the mean"
    changes = f", with {', '.join(results['changes'])}" if results["changes"] else ""
    seeds = len(results["seeds"])
    how = "as the papers print it" if results["family"] == "paper" else "by our own recipe"
    return f"{text}. Trained {how}, {seeds} seed{'s' * (seeds > 1)}{changes}."


def rows(results: Results) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Every row with its table and block."""
    for table in results["tables"]:
        for block in table["blocks"]:
            for row in block["rows"]:
                yield table, block, row


def as_text(results: Results) -> Iterator[Table | Text]:
    """A table of figures for each of the papers' tables, and below it why some are not there.

    Tables of which nothing could be measured are named below the others; the files hold them whole.
    """
    empty = []
    for table in results["tables"]:
        found = list(rows({"tables": [table]}))
        if not any(cell["ours"] for _, _, row in found for cell in row["cells"]):
            empty.append(table)
            continue
        shown = Table(title=table["title"], title_justify="left")
        for place, heading in enumerate(("Row", "Column", *FIGURES)):
            shown.add_column(heading, justify="right" if place > 1 else "left")
        for _, block, row in found:
            for place, cell in enumerate(row["cells"]):
                name = name_of(row, block) if place == 0 else ""
                last = place + 1 == len(row["cells"])
                cells = (name, cell["column"], *_figures(cell))
                shown.add_row(*(Text(text) for text in cells), end_section=last)
        yield shown
        yield from (Text(line) for line in below(table))
    if empty:
        yield Text(f"Nothing measured of {', '.join(table['name'] for table in empty)}.")
        yield from (Text(line) for line in _reasons(empty))


def below(table: dict[str, Any]) -> list[str]:
    """What stands below a table: why cells are empty, what stood in for views, its notes."""
    stand_ins: dict[str, None] = {}
    for _, _, row in rows({"tables": [table]}):
        stand_ins |= dict.fromkeys(row["stand_ins"])
    return [
        *_reasons([table]),
        *(f"Not the paper's view: {line}" for line in stand_ins),
        *(f"Note: {line}" for line in table["notes"]),
    ]


def _reasons(tables: Sequence[dict[str, Any]]) -> list[str]:
    """Why cells are empty, each reason once."""
    found = [cell for _, _, row in rows({"tables": tables}) for cell in row["cells"]]
    return [
        f"Not run: {why}" for why in dict.fromkeys(why for cell in found for why in cell["why"])
    ]


def name_of(row: dict[str, Any], block: dict[str, Any]) -> str:
    """What a row is called: its block, its name, its settings."""
    parts = (block["title"], row["name"], row["settings"])
    return ", ".join(part for part in parts if part not in ("", "-"))


def _figures(cell: dict[str, Any]) -> tuple[str, str, str]:
    loss = cell["measure"] in ("node", "edge")
    decimals = 4 if loss else 2
    printed = number(cell["printed"])
    ours = score(cell["ours"], decimals=decimals)
    if cell["missing"]:
        ours = f"needs {' and '.join(cell['missing'])}"
    elif cell["why"]:
        ours = "not run, see below"
    return (
        UNKNOWN if printed is None else f"{printed:.{decimals}f}",
        ours,
        _signed(cell["difference"], decimals),
    )


def _signed(difference: dict[str, Any] | None, decimals: int) -> str:
    """``-1.70 (-2.10 to -1.30)``; the interval is left out where one run gives none."""
    middle = number((difference or {}).get("mean"))
    if difference is None or middle is None:
        return UNKNOWN
    low, high = number(difference["low"]), number(difference["high"])
    if low is None or high is None:
        return f"{middle:+.{decimals}f}"
    return f"{middle:+.{decimals}f} ({low:+.{decimals}f} to {high:+.{decimals}f})"


def _costs(row: dict[str, Any]) -> tuple[str, ...]:
    spent = number(row["seconds"])
    return (
        quantity(row["parameters"]),
        quantity(row["multiply_adds"]),
        latency(row["latency_ms"]),
        UNKNOWN if spent is None else f"{spent:.0f} s",
    )


def _printed_costs(row: dict[str, Any]) -> tuple[str, ...]:
    """As the papers print them: pose estimator + action recogniser."""
    costs = row["printed_costs"]
    if costs is None:
        return (UNKNOWN,) * len(PRINTED_COSTS)
    units = (("parameters", " M"), ("flops", " G"), ("seconds", " s"))
    return tuple(
        " + ".join(UNKNOWN if part is None else f"{part:g}" for part in costs[name]) + unit
        for name, unit in units
    )


def as_markdown(results: Results) -> str:
    """Every table of the papers, one line a figure."""
    text = [f"# {results['title']}", "", summary(results), "", results["interval_note"], ""]
    for table in results["tables"]:
        headings, lines = _grid(table)
        text += [f"## {markdown(table['title'])}", "", markdown(table["paper"]), ""]
        text.append("| " + " | ".join(headings) + " |")
        text.append("| " + " | ".join(["---"] * 2 + ["---:"] * (len(headings) - 2)) + " |")
        text += ["| " + " | ".join(map(markdown, line)) + " |" for line in lines]
        text += ["", *(f"- {markdown(line)}" for line in below(table)), ""]
    return "\n".join(text).rstrip() + "\n"


def as_latex(results: Results) -> str:
    """Every table of the papers for a paper of one's own, a rule between two rows."""
    text = [latex.PACKAGE, latex.comment(summary(results)), latex.comment(results["interval_note"])]
    for table in results["tables"]:
        headings, lines = _grid(table)
        shown = [list(map(latex.plain, line)) for line in lines]
        starts = [place for place, line in enumerate(lines) if line[0]] or [0]
        groups = [shown[i:j] for i, j in zip(starts, [*starts[1:], len(lines)], strict=True)]
        text += ["", latex.comment(f"{table['title']} {table['paper']}")]
        text += latex.tabular(list(map(latex.plain, headings)), groups, words=2)
        text += map(latex.comment, below(table))
    return "\n".join(text) + "\n"


def _grid(table: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Headings and lines of a table; what belongs to a row stands in its first line."""
    found = [(block, row) for _, block, row in rows({"tables": [table]})]
    with_costs = any(row["printed_costs"] for _, row in found)
    headings = ["Row", "Column", *FIGURES, *COSTS, *(PRINTED_COSTS if with_costs else ())]
    lines = []
    for block, row in found:
        own = [*_costs(row), *(_printed_costs(row) if with_costs else ())]
        for place, cell in enumerate(row["cells"]):
            name = name_of(row, block) if place == 0 else ""
            rest = own if place == 0 else [""] * len(own)
            lines.append([name, cell["column"], *_figures(cell), *rest])
    return headings, lines


def as_csv(results: Results) -> str:
    """One line a figure, with every number there is."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for table, block, row in rows(results):
        for cell in row["cells"]:
            writer.writerow(_record(table, block, row, cell))
    return text.getvalue()


def _record(
    table: dict[str, Any], block: dict[str, Any], row: dict[str, Any], cell: dict[str, Any]
) -> dict[str, Any]:
    ours, difference = cell["ours"] or {}, cell["difference"] or {}
    record = {
        "paper_table": table["name"],
        "block": block["title"],
        "row": row["name"],
        "settings": row["settings"],
        "column": cell["column"],
        "measure": cell["measure"],
        "printed": cell["printed"],
        "ours": ours.get("mean"),
        "ours_low": ours.get("low"),
        "ours_high": ours.get("high"),
        "difference": difference.get("mean"),
        "difference_low": difference.get("low"),
        "difference_high": difference.get("high"),
        "runs": len(ours.get("values", ())),
        "parameters": row["parameters"],
        "multiply_adds": row["multiply_adds"],
        "latency_ms": row["latency_ms"],
        "training_seconds": row["seconds"],
        "why": "; ".join(cell["why"]),
        "stand_ins": "; ".join(row["stand_ins"]),
    }
    names = (("parameters", "parameters_m"), ("flops", "flops_g"), ("seconds", "seconds"))
    for name, column in names:
        estimator, recogniser = (row["printed_costs"] or {}).get(name, (None, None))
        record |= {f"printed_{column}_estimator": estimator, f"printed_{column}": recogniser}
    return record


def content(results: Results) -> dict[str, Any]:
    """Everything the page shows, in the words of its template."""
    tables = []
    for table in results["tables"]:
        headings, lines = _grid(table)
        tables.append(
            {
                "name": table["name"],
                "title": table["title"],
                "paper": table["paper"],
                "headings": headings,
                "rows": lines,
                "below": below(table),
            }
        )
    return {
        "title": results["title"],
        "summary": summary(results),
        "interval_note": results["interval_note"],
        "command": "; ".join(results["commands"]),
        "tables": tables,
        "data": {},
    }
