"""Commands on stores: import, info, check, show; and those of `cli.stores`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from skeldistill import terminal
from skeldistill.cli import stores
from skeldistill.cli.options import parsed

if TYPE_CHECKING:  # both would load numpy, and --help is to be fast
    from skeldistill.data.findings import Finding
    from skeldistill.degradations import Degradation

app = typer.Typer(
    no_args_is_help=True,
    help="Bring skeletons in, look at them, check them.\n\n"
    "Start with: `skeldistill data import pyskl good.pkl high.arrow --option layout=coco17`",
)

StoreFile = Annotated[Path, typer.Argument(help="A store (.arrow).", metavar="STORE")]


@app.command(name="import")
def import_(
    format: Annotated[str, typer.Argument(help="A reader: penn, pyskl, synthetic ...")],
    source: Annotated[str, typer.Argument(help="What it reads; - for readers that make clips up.")],
    store: Annotated[Path, typer.Argument(help="The store to write.", metavar="STORE")],
    options: Annotated[
        list[str] | None, typer.Option("--option", help="Option of the reader: key=value.")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Labels and splits by clip id: a CSV id,label,split, or another store."),
    ] = None,
) -> None:
    """Read skeleton files of a format into a store.

    Example: `skeldistill data import pyskl ntu60_hrnet.pkl ntu60.arrow --option layout=coco17`

    Files of estimators name no actions; take them from a list or from the other view:
    `skeldistill data import alphapose results low.arrow --labels high.arrow`
    """
    from skeldistill import readers
    from skeldistill.data.importing import import_source, left_out, missed

    reader = readers.find(format, **parsed(options))
    made = import_source(reader, None if source == "-" else Path(source), store, labels=labels)
    typer.echo(f"{store}: {terminal.counted(len(made), 'clip')}, layout {made.layout.name}")
    if more := left_out(made):
        typer.echo(more)
    for line in missed(made, labels) if labels is not None else ():
        typer.echo(line)


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
    terminal.console().print(table)


@app.command()
def check(
    store: StoreFile,
    pair: Annotated[
        Path | None,
        typer.Option(help="The other view of the same clips: checked too, and compared."),
    ] = None,
    fix: Annotated[
        Path | None, typer.Option(help="Write a store here in which what is safe is put right.")
    ] = None,
) -> None:
    """Find what is wrong with a store, or a pair of stores, before an hour is lost.

    Exit status 1 if there is an error (with --fix: if one is left); warnings leave it 0.

    Example: `skeldistill data check low.arrow --pair high.arrow --fix low-fixed.arrow`
    """
    from skeldistill.data.checking import check as look
    from skeldistill.data.fixing import fix as mend
    from skeldistill.data.store import Store

    opened, other = Store.open(store), Store.open(pair) if pair else None
    found = _told(str(store), look(opened, other), len(opened))
    beside = _told(str(pair), look(other), len(other)) if other is not None else 0
    if fix is not None:
        opened, lines = mend(opened, fix)
        for line in lines or ["nothing to put right"]:
            typer.echo(f"fixed: {line}")
        found = _told(str(fix), look(opened, other), len(opened))
    if found + beside:
        raise typer.Exit(1)


@app.command()
def show(
    store: StoreFile,
    pair: Annotated[
        Path | None, typer.Option(help="The other view of the same clips, drawn beside it.")
    ] = None,
    clips: Annotated[int, typer.Option(help="How many clips, spread over the classes.", min=1)] = 8,
    out: Annotated[
        Path, typer.Option(help="A page (.html), a moving picture (.gif), or a picture (.png).")
    ] = Path("clips.html"),
    degradation: Annotated[
        str | None, typer.Option(help="Let this go wrong: a degradation of `skeldistill parts`.")
    ] = None,
    severity: Annotated[
        int | None, typer.Option(help="How badly, from 0 (as it is) to 5.", min=0, max=5)
    ] = None,
    options: Annotated[
        list[str] | None, typer.Option("--option", help="Option of the degradation: key=value.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Draws the degradation.", min=0)] = 0,
) -> None:
    """Draw some clips of a store (or of both views), playing on a page or as a picture.

    Example: `skeldistill data show low.arrow --pair high.arrow --out clips.html`

    What a degradation does: `skeldistill data show high.arrow --degradation JointOcclusion
    --severity 4 --out occluded.gif`
    """
    from skeldistill.data.store import Store
    from skeldistill.report.gallery import write

    worse = _degradations(degradation, severity, options)
    write(Store.open(store), Store.open(pair) if pair else None, clips, out, worse, seed)
    kind = "page" if out.suffix == ".html" else "picture"
    typer.echo(f"{kind}: {out.resolve().as_uri()}")


def _told(name: str, findings: "Sequence[Finding]", clips: int) -> int:
    """Say what was found; how many errors there are."""
    for finding in findings:
        typer.echo(f"{finding.level}: {finding.line}")
    errors = sum(finding.level == "error" for finding in findings)
    found = terminal.counted(errors, "error"), terminal.counted(len(findings) - errors, "warning")
    typer.echo(f"{name}: {', '.join(found)} in {terminal.counted(clips, 'clip')}")
    return errors


def _degradations(
    name: str | None, severity: int | None, options: Sequence[str] | None
) -> "list[Degradation]":
    """The degradation that the options ask for, if they do."""
    from skeldistill import degradations
    from skeldistill.shelf import build

    if name is None:
        if severity is not None or options:
            raise ValueError("--severity and --option are of a degradation; name --degradation too")
        return []
    if severity is not None and not options:
        return [degradations.at_severity(name, severity)]
    if severity is not None:
        raise ValueError("give --severity or --option, not both: a severity is a set of options")
    return [build("degradation", degradations.find(name), parsed(options))]


def _shown(value: object) -> str:
    if value in ({}, [], (), ""):
        return "none"
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


for command in (stores.convert, stores.export, stores.order, stores.pairs, stores.splits):
    app.command(name=command.__name__)(command)
