"""The methods table for terminal, spreadsheet, paper and notebook."""

import csv
import io
import re
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from skeldistill.report import latex
from skeldistill.report.reading import (
    UNKNOWN,
    Method,
    Results,
    gap_closed,
    interval,
    methods,
    number,
    seeds,
)
from skeldistill.report.reading import winner as winner_of

HEADINGS = (
    "Method",
    "Top-1 %",
    "Top-5 %",
    "Gap closed %",
    "Parameters",
    "Multiply-adds",
    "Latency",
)


@dataclass(frozen=True)
class Row:
    """One method as a table shows it: text in the order of `HEADINGS`, and what it stands for."""

    cells: tuple[str, ...]
    method: Method
    gap: dict[str, float | None] | None
    winner: bool

    @property
    def high(self) -> bool:
        """Whether the method sees high-quality skeletons, so that it does not compete."""
        return self.method.get("view") == "high"


def rows(results: Results) -> list[Row]:
    """Every method, those on high-quality skeletons first, else in the order of the recipe."""
    best = winner_of(results)
    ordered = sorted(methods(results), key=lambda method: method.get("view") != "high")
    return [_row(method, method is best) for method in ordered]


def _row(method: Method, winner: bool) -> Row:
    gap = gap_closed(method)
    cells = (
        str(method.get("name", "")),
        score(method.get("top1")),
        score(method.get("top5")),
        score(gap, factor=100.0, decimals=0),
        quantity(method.get("parameters")),
        quantity(method.get("multiply_adds")),
        latency(method.get("latency_ms")),
    )
    return Row(cells=cells, method=method, gap=gap, winner=winner)


def score(value: dict[str, Any] | None, *, factor: float = 1.0, decimals: int = 1) -> str:
    """Mean and half of the 95 % interval, ``71.2 ± 1.4``; a dash for what is not known.

    Of one run, which has no interval, the figure alone. An interval whose sides differ by more
    than an eighth of it is written out: ``71.2 (69.0 to 72.1)``.
    """
    middle = number((value or {}).get("mean"))
    if middle is None:
        return UNKNOWN
    text, ends = f"{factor * middle:.{decimals}f}", interval(value)
    if ends is None:
        return text
    below, above = factor * (middle - ends[0]), factor * (ends[1] - middle)
    if abs(above - below) <= max((above + below) / 8, 2 * 10**-decimals):
        return f"{text} ± {(above + below) / 2:.{decimals}f}"
    low, high = (f"{factor * end:.{decimals}f}" for end in ends)
    return f"{text} ({low} to {high})"


def quantity(value: Any) -> str:
    """A large count in three digits: 3.07 M."""
    count = number(value)
    if count is None:
        return UNKNOWN
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(count) >= 0.9995 * size:
            return f"{count / size:.3g} {unit}"
    return f"{count:.0f}"


def latency(value: Any) -> str:
    """What a clip takes: 12.3 ms, 1.23 s."""
    milliseconds = number(value)
    if milliseconds is None:
        return UNKNOWN
    seconds = milliseconds >= 999.5
    return f"{milliseconds / 1000:.3g} s" if seconds else f"{milliseconds:.3g} ms"


def as_text(results: Results) -> Table:
    """The table for a terminal; the best low-quality method is bold if it leads above noise."""
    table = Table(caption=note(results), caption_justify="left")
    for place, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if place else "left", no_wrap=place > 0)
    listed = rows(results)
    for place, row in enumerate(listed):
        last_high = row.high and place + 1 < len(listed) and not listed[place + 1].high
        table.add_row(
            *(Text(cell) for cell in row.cells),
            style="bold" if row.winner else "",
            end_section=last_high,
        )
    return table


def note(results: Results) -> str:
    """What a reader of the table must know of its figures, in a few sentences."""
    said = [_intervals(results), _gap(results)]
    return " ".join(sentence for sentence in said if sentence)


def _intervals(results: Results) -> str:
    counts = {len((m.get("top1") or {}).get("values") or [0]) for m in methods(results)}
    few, many = min(counts, default=1), max(counts, default=1)
    if many <= 1:
        return "One seed on one split: accuracies have no interval, no gain is told from noise."
    number_of_runs = f"{many} runs" if few == many else f"{few} to {many} runs"
    opening = f"Mean ± half of the 95 % interval over {number_of_runs}."
    if seeds(results) == 1:
        return f"{opening} All of one seed, which cannot tell gain from noise."
    return f"{opening} One run has no interval." if few == 1 else opening


def _gap(results: Results) -> str:
    """On which clips the share of the gap was measured, and how far apart both are on them."""
    told = results.get("gap") or {}
    top1 = told.get("top1") or {}
    ends = [number(top1.get(told.get(name))) for name in ("teacher", "plain")]
    if None in ends:
        return ""
    said = f"Gap closed: the share of the way from {told['plain']} to {told['teacher']}"
    left = [
        f"{told[f'only_{view}']} have only the {view} view"
        for view in ("high", "low")
        if told.get(f"only_{view}")
    ]
    if not left:
        return f"{said}."
    return (
        f"{said} on the {told['clips']} test clips that both views have, where these reach "
        f"{ends[1]:.1f} and {ends[0]:.1f} %; {' and '.join(left)}."
    )


def as_csv(results: Results) -> str:
    """The table in full figures, one line a method, for spreadsheets and scripts."""
    plain = ("name", "kind", "view", "network")
    costs = ("parameters", "multiply_adds", "latency_ms", "seconds")
    ends = ("mean", "low", "high")
    scores = ("top1", "top5", "gap_closed")
    titles = [f"{key}_{end}" for key in scores for end in ends]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*plain, *titles, "top1_values", *costs])
    for row in rows(results):
        method = row.method
        told = {"top1": method.get("top1"), "top5": method.get("top5"), "gap_closed": row.gap}
        figures = [number((told[key] or {}).get(end)) for key in scores for end in ends]
        values = ";".join(str(value) for value in (method.get("top1") or {}).get("values") or [])
        writer.writerow(
            [method.get(key, "") for key in plain]
            + ["" if figure is None else figure for figure in figures]
            + [values, *(method.get(key, "") for key in costs)]
        )
    return text.getvalue()


def as_markdown(results: Results) -> str:
    """The table for a README or an issue; the best method is bold if it leads above noise."""
    lines = [
        f"| {' | '.join(HEADINGS)} |",
        f"| --- |{' ---: |' * (len(HEADINGS) - 1)}",
    ]
    for row in rows(results):
        cells = [markdown(cell) for cell in row.cells]
        if row.winner:
            cells = [f"**{cell}**" for cell in cells]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", markdown(note(results)), ""])


def as_latex(results: Results) -> str:
    """The table for a paper, with the rules of the booktabs package."""
    high: list[list[str]] = []
    low: list[list[str]] = []
    for row in rows(results):
        cells = list(map(latex.plain, row.cells))
        (high if row.high else low).append(list(map(latex.bold, cells)) if row.winner else cells)
    headings = list(map(latex.plain, HEADINGS))
    lines = latex.tabular(headings, [group for group in (high, low) if group])
    return "\n".join([latex.PACKAGE, *lines, latex.comment(note(results)), ""])


def markdown(text: str) -> str:
    """Text that Markdown shows as it stands, in one cell."""
    return " ".join(re.sub(r"([\\`*_{}\[\]<>|~&])", r"\\\1", text).split())
