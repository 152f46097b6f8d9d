"""More commands on stores: convert, export, order, pairs, splits."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from skeldistill import terminal
from skeldistill.cli.options import parsed

StoreFile = Annotated[Path, typer.Argument(help="A store (.arrow).", metavar="STORE")]


def convert(
    store: StoreFile,
    layout: Annotated[str, typer.Argument(help="The layout wanted: a name, or a YAML file.")],
    out: Annotated[Path, typer.Argument(help="The store to write.")],
) -> None:
    """Write a store in another layout, where every joint of that can be said by those there are.

    Example: `skeldistill data convert mediapipe.arrow coco17 low.arrow`
    """
    from skeldistill import layouts
    from skeldistill.data.convert import convert_store
    from skeldistill.data.store import Store

    made = convert_store(Store.open(store), layouts.find(layout), out)
    typer.echo(f"{out}: {terminal.counted(len(made), 'clip')}, layout {made.layout.name}")


def export(
    store: StoreFile,
    out: Annotated[Path, typer.Argument(help="The pickle to write.")],
) -> None:
    """Write a store as an annotation pickle of PYSKL and mmaction2.

    Example: `skeldistill data export low.arrow low.pkl`
    """
    from skeldistill.data.exporting import export_pyskl
    from skeldistill.data.store import Store

    opened = Store.open(store)
    export_pyskl(opened, out)
    typer.echo(f"{out}: {terminal.counted(len(opened), 'clip')}")


def order(
    store: StoreFile,
    out: Annotated[Path, typer.Argument(help="The store to write.")],
    like: Annotated[
        Path, typer.Option(help="The other view of the same clips, whose order is taken.")
    ],
    only_matched: Annotated[
        bool,
        typer.Option("--only-matched", help="Leave out people whom the other view does not have."),
    ] = False,
) -> None:
    """Bring the people of each clip into the order that another view of it has.

    Node and edge losses compare the first person of one view with the first of the other.

    Example: `skeldistill data order low.arrow low-ordered.arrow --like high.arrow`
    """
    from skeldistill.data.ordering import order as bring
    from skeldistill.data.store import Store

    made, lines = bring(Store.open(store), Store.open(like), out, only_matched=only_matched)
    for line in lines or ["all people are in the other view's order"]:
        typer.echo(line)
    typer.echo(f"{out}: {terminal.counted(len(made), 'clip')}")


def pairs(
    store: StoreFile,
    pair: Annotated[
        Path | None,
        typer.Option(help="The high view: clips that have no match there are left out."),
    ] = None,
    share: Annotated[float, typer.Option(help="Of the clips of each class.", min=0, max=1)] = 0.8,
    split: Annotated[str, typer.Option(help="The training split.")] = "train",
    seed: Annotated[int, typer.Option(help="data.seed of the recipe.", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option(help="A file for the ids, one a line, instead of the screen.")
    ] = None,
) -> None:
    """List the clips that keep their high-quality match when only a share does (data.paired).

    The list is the same on every machine. Without --pair every clip counts as having a match.

    Example: `skeldistill data pairs low.arrow --pair high.arrow --share 0.7 --split xsub_train
    --out paired70.txt`
    """
    from skeldistill.data.pairing import paired_ids
    from skeldistill.data.store import Store
    from skeldistill.files import write_text

    high = None if pair is None else Store.open(pair)
    ids = paired_ids(Store.open(store), split, share, seed, high)
    if out is None:
        typer.echo("".join(f"{one}\n" for one in ids), nl=False)
        return
    write_text(out, "".join(f"{one}\n" for one in ids))
    typer.echo(f"{out}: {len(ids)} clips keep their match")


def splits(
    format: Annotated[str, typer.Argument(help="A reader: ntu, sysu, penn ...")],
    options: Annotated[
        list[str] | None, typer.Option("--option", help="Option of the reader: key=value.")
    ] = None,
) -> None:
    """List the official divisions of a data set, by the names that a recipe's folds take.

    Example: `skeldistill data splits ntu --option actions=120`
    """
    from skeldistill import readers

    found = readers.divisions(readers.find(format, **parsed(options)))
    if not found:
        typer.echo(f"{format}: the splits are those of the file; see `skeldistill data info STORE`")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("train", "test", "clips"):
        table.add_column(column, no_wrap=True)
    table.add_column("what trains")
    for one in found:
        clips = f"{one.clips[0]:,} / {one.clips[1]:,}" if one.clips else ""
        table.add_row(one.train, one.test, clips, one.about)
    terminal.console().print(table)
    typer.echo(f"in a recipe: folds: [{{train: {found[0].train}, test: {found[0].test}}}]")
