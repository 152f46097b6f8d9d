"""Commands on stores: import, info, check, show."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from skeldistill.cli.options import parsed

app = typer.Typer(no_args_is_help=True, help="Bring skeletons in, look at them, check them.")

StoreFile = Annotated[Path, typer.Argument(help="A store (.arrow).", metavar="STORE")]


@app.command(name="import")
def import_(
    format: Annotated[str, typer.Argument(help="A reader: penn, pyskl, synthetic ...")],
    source: Annotated[str, typer.Argument(help="What it reads; - for readers that make clips up.")],
    store: Annotated[Path, typer.Argument(help="The store to write.", metavar="STORE")],
    options: Annotated[
        list[str] | None, typer.Option("--option", help="Option of the reader: key=value.")
    ] = None,
) -> None:
    """Read skeleton files of a format into a store.

    Example: `skeldistill data import pyskl ntu60_hrnet.pkl ntu60.arrow --option layout=coco17`
    """
    from skeldistill import readers
    from skeldistill.data.importing import import_source

    reader = readers.find(format, **parsed(options))
    made = import_source(reader, None if source == "-" else Path(source), store)
    typer.echo(f"{store}: {len(made)} clips, layout {made.layout.name}")


@app.command()
def info(store: StoreFile) -> None:
    """Say what a store holds: clips, classes, splits, layout, lengths, lost joints.

    Example: `skeldistill data info ntu60.arrow`
    """
    from skeldistill.data.checking import describe
    from skeldistill.data.store import Store

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    said = describe(Store.open(store))
    said["classes"] = [f"{entry['name']} {entry['clips']}" for entry in said["classes"]]
    for key, value in said.items():
        table.add_row(key.replace("_", " "), _shown(value))
    Console().print(table)


@app.command()
def check(
    store: StoreFile,
    pair: Annotated[
        Path | None, typer.Option(help="The other view of the same clips, to compare with.")
    ] = None,
) -> None:
    """Find what is wrong with a store, or a pair of stores, before an hour is lost.

    Exit status 1 if there is an error; warnings leave it 0.

    Example: `skeldistill data check low.arrow --pair high.arrow`
    """
    from skeldistill.data.checking import check as look
    from skeldistill.data.store import Store

    opened = Store.open(store)
    findings = look(opened, Store.open(pair) if pair else None)
    for finding in findings:
        typer.echo(f"{finding.level}: {finding.line}")
    errors = sum(finding.level == "error" for finding in findings)
    typer.echo(
        f"{store}: {errors} errors, {len(findings) - errors} warnings in {len(opened)} clips"
    )
    if errors:
        raise typer.Exit(1)


@app.command()
def show(
    store: StoreFile,
    pair: Annotated[
        Path | None, typer.Option(help="The other view of the same clips, drawn beside it.")
    ] = None,
    clips: Annotated[int, typer.Option(help="How many clips, spread over the classes.", min=1)] = 8,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("clips.html"),
) -> None:
    """Draw some clips of a store (or of both views) on a page that plays them.

    Example: `skeldistill data show low.arrow --pair high.arrow --out clips.html`
    """
    from skeldistill.data.store import Store
    from skeldistill.report.gallery import write

    write(Store.open(store), Store.open(pair) if pair else None, clips, out)
    typer.echo(f"page: {out.resolve().as_uri()}")


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_shown(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:.3g}"
        if isinstance(value, float)
        else str(value)
    )
