"""Commands that make stores of videos: extract, fetch-weights."""

import re
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn
from rich.table import Table

from skeldistill import terminal

FOLDERS = "folders"
VIEW = re.compile(r"(?:([\w-]+)=)?(\w+(?::.*)?)", re.DOTALL)


def extract(
    source: Annotated[Path, typer.Argument(help="A folder of videos, a list (.txt) or a video.")],
    store: Annotated[
        Path,
        typer.Argument(
            help="The store to write; with several estimators, the folder for VIEW.arrow of each.",
            metavar="STORE",
        ),
    ],
    estimator: Annotated[
        list[str],
        typer.Option(
            help="[VIEW=]NAME[:option=value,...], NAME being mediapipe, rtmpose, command (another "
            "program) or replay (a store). Several look at the same frames.",
            metavar="ESTIMATOR",
        ),
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            help="`folders`: each video's folder is its class. Or a CSV file with the columns "
            "video and label, perhaps split, subject, camera."
        ),
    ] = None,
    persons: Annotated[int, typer.Option(help="How many people of a video to keep.", min=1)] = 2,
    choose: Annotated[
        str, typer.Option(help="Who is kept: surest (highest mean confidence) or largest.")
    ] = "surest",
    workers: Annotated[int, typer.Option(help="How many videos at once.", min=1)] = 1,
    engine: Annotated[
        str, typer.Option(help="processes (this machine) or ray (a cluster).")
    ] = "processes",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try what failed before once more.")
    ] = False,
) -> None:
    """Find the people in videos: every video becomes a clip of a store.

    Everybody found is kept beside the store, so the same command goes on after a kill, and
    another choice of people decodes nothing again. Videos that cannot be read are listed in
    `failures.csv` there, and the exit status is 1; those that seem to be cut off are kept, and
    listed in `warnings.csv`.

    Example: `skeldistill extract videos/ pair/ --labels folders
    --estimator high=mediapipe:model=full.task,tiles=2
    --estimator low=mediapipe:model=full.task,short_side=128`
    """
    from skeldistill.data.importing import left_out
    from skeldistill.deploy import extract as extraction
    from skeldistill.deploy import extract_sources
    from skeldistill.deploy.extract_ray import Ray
    from skeldistill.deploy.extract_workers import Processes
    from skeldistill.shelf import pick

    views, work = _views(estimator, store)
    videos, classes = extract_sources.find(source), ()
    if labels == FOLDERS:
        videos, classes = extract_sources.labelled_by_folders(videos)
    elif labels is not None:
        for line in extract_sources.missed(videos, Path(labels)):
            typer.echo(line, err=True)
        videos, classes = extract_sources.labelled_by_csv(videos, Path(labels))
    selection = extraction.Selection(
        persons=persons, choice=pick("choice", extraction.CHOICES, choose)
    )
    made = extraction.extract(
        videos,
        views,
        work,
        classes=classes,
        selection=selection,
        engine=pick("engine", {"processes": Processes, "ray": Ray}, engine)(workers=workers),
        again=retry_failed,
    )
    for one in made.stores.values():
        typer.echo(f"{one.path}: {terminal.counted(len(one), 'clip')}, layout {one.layout.name}")
        if more := left_out(one, "--persons"):
            typer.echo(more)
    if made.warnings:
        of_all = f"{made.warned} of {terminal.counted(len(videos), 'video')}"
        typer.echo(f"{of_all} may have been cut off: {made.warnings}", err=True)
    if made.failures:
        of_all = f"{made.failed} of {terminal.counted(len(videos), 'video')}"
        typer.echo(f"{of_all} failed: {made.failures}", err=True)
        raise typer.Exit(1)


def fetch_weights(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Which; without one, what there is.", metavar="[NAME]..."),
    ] = None,
    to: Annotated[Path, typer.Option(help="The folder to put them in.")] = Path("weights"),
    address: Annotated[
        list[str] | None, typer.Option(help="Where it is; several are tried in order.")
    ] = None,
    sha256: Annotated[
        str | None, typer.Option(help="What the checksum of the file, or of its archive, must be.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="A table of your own (JSON) instead of the built-in one.")
    ] = None,
) -> None:
    """Fetch weights of pose estimators, checked by their checksums, or list what there is.

    Nothing else ever downloads anything. Where no checksum is known yet, that of what came is
    told and nothing is kept: with --sha256 you say that you trust it.

    Example: `skeldistill fetch-weights rtmpose-lightweight-detector rtmpose-lightweight-pose`

    Then: `--estimator rtmpose:tier=lightweight`, or `--estimator
    mediapipe:model=weights/pose_landmarker_lite.task`
    """
    from dataclasses import replace

    from skeldistill.deploy import weights

    known = weights.TABLE if table is None else weights.read_table(table)
    if not names:
        _list(known)
        return
    if len(names) > 1 and (address or sha256):
        raise ValueError(f"--address and --sha256 are of one file; fetch these {len(names)} apart")
    wanted = [
        replace(
            one,
            addresses=tuple(address or one.addresses),
            sha256=sha256.lower() if sha256 else one.sha256,
        )
        for one in (weights.find(name, known) for name in names)
    ]
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = terminal.console(stderr=True)
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        for one in wanted:
            task = bar.add_task(one.file, total=None)
            tell = partial(_tell, bar, task)
            typer.echo(str(weights.fetch(one, to, tell=tell)))


def _tell(bar: Progress, task: TaskID, count: int, total: int | None) -> None:
    bar.update(task, completed=count, total=total)


def _list(known: tuple) -> None:
    shown = Table()
    shown.add_column("weights", no_wrap=True)
    shown.add_column("what it is")
    shown.add_column("checksum")
    for one in known:
        there = f"{one.sha256[:12]}..." if one.sha256 else "yours to confirm"
        shown.add_row(one.name, one.about, there if one.addresses else "give --address")
    terminal.console().print(shown)


def _views(texts: list[str], store: Path) -> tuple[dict, Path]:
    """The views by name, and the folder for what is kept besides the stores."""
    from skeldistill import estimators
    from skeldistill.deploy.extract import View

    found = {}
    for text in texts:
        parts = VIEW.fullmatch(text)
        if parts is None:
            raise ValueError(f"--estimator {text}: write it as [VIEW=]NAME[:option=value,...]")
        name = parts[1] or parts[2].partition(":")[0]
        if name in found:
            raise ValueError(f"--estimator {text}: view {name!r} comes twice; call it otherwise")
        found[name] = estimators.parse(parts[2])
    if len(found) == 1:
        work = store.with_name(f"{store.stem}.extract")
        return {name: View(estimator=one, store=store) for name, one in found.items()}, work
    if store.is_file():
        raise ValueError(f"{store} is a file; several estimators need a folder for their stores")
    return {
        name: View(estimator=one, store=store / f"{name}.arrow") for name, one in found.items()
    }, store / "extract"
