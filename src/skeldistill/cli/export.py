"""The command that writes a trained network for use elsewhere."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from skeldistill import terminal
from skeldistill.waiting import loading

if TYPE_CHECKING:
    from skeldistill.deploy.export_measure import Measuring
    from skeldistill.deploy.recogniser import Recogniser


class Format(StrEnum):
    """What an exported network is for."""

    ONNX = "onnx"
    TORCH = "torch"
    HUB = "hub"
    STEP = "step"


def export(
    model: Annotated[
        Path,
        typer.Argument(help="A network.safetensors or a run's folder.", metavar="MODEL"),
    ],
    out: Annotated[Path, typer.Argument(help="The folder to write.", metavar="OUT")],
    format: Annotated[
        Format,
        typer.Option(
            help="onnx: for ONNX Runtime. torch: a .pt2 of torch.export. hub: weights, recipe and "
            "model card to share. step: ONNX that takes a clip frame by frame."
        ),
    ] = Format.ONNX,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Also model.int8.onnx: smaller, faster, a little off."),
    ] = False,
    store: Annotated[
        Path | None,
        typer.Option(help="Clips as the network will meet them: accuracy is measured on them."),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Measure on this split; int8 is fitted to the others.")
    ] = None,
) -> None:
    """Write a trained network for use where skeldistill is not.

    Before a file gets its name it is run, and its largest difference to PyTorch is printed. The
    folder holds all that is needed: the network, how clips are prepared (preprocessing.json),
    actions, joints, and example.py, which names the action of a clip with numpy and onnxruntime.

    Example: `skeldistill export runs/demo/fold0/SKD/seed0 exported --int8 --store low.arrow`
    """
    from skeldistill.deploy.saved import network_file

    if int8 and format is not Format.ONNX:
        raise ValueError(f"--int8 goes with --format onnx, not {format.value}")
    if format is Format.STEP and store is not None:
        raise ValueError("--store measures whole clips; leave it away with --format step")
    if split is not None and store is None:
        raise ValueError(f"--split {split} is of a store; name it with --store")
    file = network_file(model)
    with loading():
        from skeldistill.deploy.recogniser import Recogniser

    recogniser = Recogniser.load(file)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    console = terminal.console(stderr=True)
    shown = console.is_terminal
    with Progress(*columns, console=console, transient=True, disable=not shown) as bar:
        task = bar.add_task("exporting", total=None)

        def tell(done: int, of: int) -> None:
            bar.update(task, description="measuring", completed=done, total=of)

        _write(model, recogniser, out, format, int8, _measuring(recogniser, store, split), tell)
    typer.echo(f"folder: {out}")


def _measuring(
    recogniser: "Recogniser", store: Path | None, split: str | None
) -> "Measuring | None":
    from skeldistill.deploy.export_measure import Measuring

    return None if store is None else Measuring.of(recogniser, store, split)


def _write(
    model: Path,
    recogniser: "Recogniser",
    out: Path,
    format: Format,
    int8: bool,
    measuring: "Measuring | None",
    tell: Callable[[int, int], None],
) -> None:
    from skeldistill.deploy import export as exports
    from skeldistill.deploy.export_step import export_step
    from skeldistill.deploy.hub import export_hub

    if format is Format.ONNX:
        exports.export_onnx(
            recogniser, out, measuring=measuring, int8=int8, say=typer.echo, tell=tell
        )
    elif format is Format.TORCH:
        exports.export_torch(recogniser, out, measuring=measuring, say=typer.echo, tell=tell)
    elif format is Format.STEP:
        export_step(recogniser, out, say=typer.echo)
    else:
        accuracy = None
        if measuring is not None:
            scores = exports.torch_scores(recogniser.network)
            percent = measuring.accuracies({"it": scores}, tell)["it"]
            accuracy = (
                f"on {len(measuring.tested)} clips of {measuring.store.path.name}: "
                f"top-1 {percent:.2f} %"
            )
        export_hub(model, out, accuracy=accuracy, say=typer.echo)
