"""The command that reproduces the papers' tables."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType

from skeldistill import terminal
from skeldistill.cli.options import whole_numbers
from skeldistill.waiting import loading

if TYPE_CHECKING:
    from skeldistill.reproduction.book import Cell
    from skeldistill.reproduction.recipes import Setting
    from skeldistill.reproduction.views import Given


def reproduce(
    tables: Annotated[
        list[str] | None,
        typer.Argument(
            help="Tables: skd-I to skd-VIII, plkd-1 to plkd-5, or all of a paper: skd, plkd.",
            metavar="[TABLE]...",
        ),
    ] = None,
    views: Annotated[
        Path | None, typer.Option(help="Where your views are (YAML); --example prints one.")
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print a file of views to fill in, and stop.")
    ] = False,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan",
            help="List cells, needed files and estimated hours, and stop; by row for named tables.",
        ),
    ] = False,
    family: Annotated[
        str, typer.Option(help="Train as the papers print it ('paper'), or by our own 'strong'.")
    ] = "paper",
    seeds: Annotated[str, typer.Option(help="Seeds, comma-separated.")] = "0,1,2",
    jobs: Annotated[int, typer.Option(help="Trainings at once.", min=1)] = 1,
    out: Annotated[Path, typer.Option(help="Folder of all experiments and tables.")] = Path(
        "runs/reproduce"
    ),
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change every recipe: section.key=value. May be repeated."),
    ] = None,
) -> None:
    """Run what your data allows of both papers' tables, and set it beside the printed figures.

    What is done already is skipped, and what was interrupted goes on. Figures whose views you do
    not have say which, and what it needs.

    Example: `skeldistill reproduce skd-I plkd-1 --views views.yaml --plan`
    """
    from skeldistill.recipe import FAMILIES
    from skeldistill.reproduction import views as given_views
    from skeldistill.reproduction.book import select
    from skeldistill.shelf import pick

    if example:
        typer.echo(given_views.example(), nl=False)
        return
    pick("family of recipes", FAMILIES, family)
    chosen = whole_numbers(seeds, "--seeds")
    cells, given = select(tables or ()), given_views.read(views)
    with loading():
        from skeldistill.reproduction.recipes import Setting

    setting = Setting(
        family=family,
        seeds=chosen,
        changes=tuple(changes or ()),
    )
    if plan:
        _plan(cells, given, setting, out, by_row=bool(tables))
    else:
        _run(cells, given, setting, out, jobs)


def _plan(
    cells: "Sequence[Cell]", given: "Given", setting: "Setting", out: Path, *, by_row: bool
) -> None:
    from skeldistill.report.reproduce_plan import plan_as_text
    from skeldistill.reproduction.plan import plan

    with terminal.console(stderr=True).status("measuring this machine and the networks"):
        made = plan(cells, given, setting, root=out)
    _show(plan_as_text(made, by_row=by_row))


def _run(cells: "Sequence[Cell]", given: "Given", setting: "Setting", out: Path, jobs: int) -> None:
    from skeldistill.report import reproduce as report
    from skeldistill.reproduction.reproduce import reproduce

    command = shlex.join(["skeldistill", *sys.argv[1:]])
    console = terminal.console(stderr=True)
    results = reproduce(cells, given, setting, out, jobs=jobs, command=command, console=console)
    *others, page = report.write(results, out)
    _show(report.as_text(results))
    typer.echo(report.summary(results))
    typer.echo(f"tables: {', '.join(path.name for path in others)}, reproduce.json, in {out}")
    typer.echo(f"page: {page.resolve().as_uri()}")
    if results["failed"]:
        name, line = next(iter(results["failed"].items()))
        count = len(results["failed"])
        more = f"; and {count - 1} more, see reproduce.json" if count > 1 else ""
        raise ValueError(f"experiment {name} could not be run: {line}{more}")


def _show(parts: Iterable[RenderableType]) -> None:
    wide = terminal.console(narrowest=120)
    for part in parts:
        wide.print(part)
