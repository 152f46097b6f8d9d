"""What networks cost, as a table for the terminal, for a page or for a spreadsheet."""

import csv
import io
import re
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from skeldistill import terminal
from skeldistill.cli.options import parsed
from skeldistill.waiting import loading, shown

if TYPE_CHECKING:
    from skeldistill.cost import Cost
    from skeldistill.networks.network import Network

HEADINGS = ("network", "parameters", "multiply-adds", "memory", "latency", "frames", "stride")
ABOUT = ("shown", "paper")
"""Headings that only pages and spreadsheets have room for."""


class Form(StrEnum):
    """How the table is printed."""

    table = "table"
    markdown = "markdown"
    csv = "csv"


def cost(
    network: Annotated[str, typer.Argument(help="A network of the shelf, or 'all'.")],
    layout: Annotated[str, typer.Option(help="The joints it works on.")] = "coco17",
    frames: Annotated[int, typer.Option(help="Frames of a clip.", min=1)] = 300,
    persons: Annotated[int, typer.Option(help="Persons of a clip.", min=1)] = 2,
    classes: Annotated[int, typer.Option(help="How many actions.", min=1)] = 60,
    option: Annotated[
        list[str] | None, typer.Option(help="Option of the network: key=value.")
    ] = None,
    form: Annotated[Form, typer.Option("--format", help="For a terminal, page or sheet.")] = (
        Form.table
    ),
) -> None:
    """Say what a network costs: parameters, multiply-adds, memory and latency of one clip.

    Memory is what intermediate results take at most, latency the processor's time on one thread.
    Networks that do not take so many frames are measured with the next fewer that they do.

    Example: `skeldistill cost STGCN --layout ntu25 --option partition=spatial`
    """
    from skeldistill import layouts
    from skeldistill.shelf import build, load_installed

    options = {"classes": classes, "persons": persons, "channels": 3, **parsed(option)}
    joints = layouts.find(layout)
    with loading():
        from skeldistill import cost as costs
        from skeldistill import networks

        load_installed()
    names = list(networks.SHELF) if network == "all" else [network]
    rows = []
    with shown(names, "cost", total=len(names), unit="networks") as each:
        for name in each:
            made = build("network", networks.find(name), options, joints)
            count = made.fewer_frames(frames)
            rows.append(_row(made, count, costs.measure(made, count)))
    if form is Form.table:
        table = Table(*HEADINGS)
        for row in rows:
            table.add_row(*row[: len(HEADINGS)])
        terminal.console().print(table)
        return
    lines = _markdown if form is Form.markdown else _csv
    sys.stdout.write(lines([(*HEADINGS, *ABOUT), *rows]))


def _row(network: "Network", frames: int, price: "Cost") -> tuple[str, ...]:
    """Cells in the order of `HEADINGS` and `ABOUT`."""
    return (
        type(network).__name__,
        f"{price.parameters:,}",
        f"{price.multiply_adds / 1e9:.2f} G",
        f"{price.peak_memory / 1e6:.1f} MB",
        f"{price.latency_ms:.1f} ms",
        f"{frames} ({network.frame_limits})",
        str(network.temporal_stride),
        "three branches" if hasattr(network, "branches") else "one stream",
        _paper(network),
    )


def _paper(network: "Network") -> str:
    """Who and when, as the first line of the network's module says in brackets; or nobody."""
    first = (sys.modules[type(network).__module__].__doc__ or "").partition("\n")[0]
    found = re.search(r"\(([^()]*\d{4}[^()]*)\)", first)
    return found[1] if found else "ours"


def _markdown(rows: list[tuple[str, ...]]) -> str:
    """Numbers to the right."""
    head, *body = rows
    right = HEADINGS[1:5]
    rule = ["---:" if heading in right else "---" for heading in head]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, rule, *body))


def _csv(rows: list[tuple[str, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()
