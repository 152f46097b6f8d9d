"""The command that makes a model of official weights."""

from pathlib import Path
from typing import Annotated

import typer

from skeldistill.cli.options import parsed
from skeldistill.waiting import loading


def import_weights(
    network: Annotated[
        str, typer.Argument(help="The network: STGCN, STGCNpp, CTRGCN ...", metavar="NETWORK")
    ],
    file: Annotated[
        Path, typer.Argument(help="Its weights: .pth, .pt or .safetensors.", metavar="FILE")
    ],
    layout: Annotated[
        str, typer.Option(help="The joints it was trained on: a layout's name, or a YAML file.")
    ],
    classes: Annotated[
        str, typer.Option(help="A file of the actions' names, one a line; or how many there are.")
    ],
    preparation: Annotated[
        str,
        typer.Option(
            help="How its clips were prepared: pyskl-2d, pyskl-3d (mmaction2 too), st-gcn-2d, "
            "st-gcn-3d or ctr-gcn."
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    sampling: Annotated[
        list[str] | None,
        typer.Option(help="Prepared otherwise: key=value of a recipe's sampling: frames=64."),
    ] = None,
    units: Annotated[
        str | None, typer.Option(help="Units of its clips, if not the preparation's.")
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--option", help="Option of the network: key=value, partition=spatial."),
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Keep what fits of weights that do not fill the network."),
    ] = False,
) -> None:
    """Make a model of official weights (of the authors, PYSKL, mmaction2): the folder of a run.

    Nothing in the file is run. What was mapped, missing and left over is said. The folder goes
    wherever a run's goes (predict, evaluate, export, serve), its network.safetensors into
    `start_from` of a recipe.

    Example: `skeldistill import-weights STGCNpp j.pth --layout coco17 --classes names.txt
    --preparation pyskl-2d --out stgcnpp`
    """
    from skeldistill import layouts

    joints, given, changed = layouts.find(layout), parsed(options), parsed(sampling)
    with loading():
        from skeldistill.deploy import official

    prepared = official.preparation(preparation, changed, units)
    loaded = official.import_weights(
        network,
        file,
        out,
        layout=joints,
        classes=official.actions(classes),
        prepared=prepared,
        options=given,
        partial=partial,
    )
    typer.echo(f"mapped: {len(loaded.mapped)} tensors")
    for what, names in (("missing", loaded.missing), ("left over", loaded.unexpected)):
        more = f" ... {len(names) - 8} more" if len(names) > 8 else ""
        typer.echo(f"{what}: {', '.join(names[:8]) or 'none'}{more}")
    if prepared.note:
        typer.echo(f"note: {prepared.note}")
    typer.echo(f"folder: {out}")
