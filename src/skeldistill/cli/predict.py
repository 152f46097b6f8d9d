"""The command that names the actions in videos, cameras and skeletons."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skeldistill import terminal
from skeldistill.cli.options import parsed
from skeldistill.waiting import loading

if TYPE_CHECKING:
    from skeldistill.deploy.running import Telling

PATIENCE = 1.0
"""Seconds after which a bar shows how far it is."""

Model = Annotated[
    Path,
    typer.Argument(
        help="A network.safetensors, a run's folder, or one of `export --format hub`.",
        metavar="MODEL",
    ),
]
Named = Annotated[
    str,
    typer.Argument(
        help="A video, a folder of videos, a camera (0, /dev/video0), rtsp://..., a store "
        "(.arrow), or skeleton files.",
        metavar="SOURCE",
    ),
]


ENTER, LEAVE, SHORTEST, SMOOTHING = 0.5, 0.35, 0.5, 3
"""How actions begin and end, where nothing is asked for."""


def predict(
    model: Model,
    source: Named,
    out: Annotated[
        Path | None, typer.Option(help="The file to write, or a folder: one file a clip.")
    ] = None,
    format: Annotated[
        str | None, typer.Option(help="jsonl, csv or srt (default: by the name of --out).")
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(help="Write a video with skeletons and actions drawn, or a folder of them."),
    ] = None,
    whole: Annotated[
        bool, typer.Option("--whole", help="Each clip is one action, cut to it: one line a clip.")
    ] = False,
    window: Annotated[
        str | None,
        typer.Option(
            help="What the network sees at once: 1.5 or 1.5s (seconds), 48f (frames). Default: as "
            "long as its training clips usually were, in seconds if their source told their pace, "
            "else in frames."
        ),
    ] = None,
    stride: Annotated[
        str | None, typer.Option(help="How far the next window is (default: a quarter of one).")
    ] = None,
    enter: Annotated[float, typer.Option(help="Probability at which an action begins.")] = ENTER,
    leave: Annotated[float, typer.Option(help="Probability below which it is over.")] = LEAVE,
    shortest: Annotated[
        float, typer.Option(help="Seconds; shorter actions are left out, gaps closed.")
    ] = SHORTEST,
    smoothing: Annotated[
        int,
        typer.Option(help="Windows (--live: frames) that are averaged; odd, 1 for none."),
    ] = SMOOTHING,
    estimator: Annotated[
        str | None,
        typer.Option(help="Finds people in videos: mediapipe:model=FILE, rtmpose:pose=FILE,..."),
    ] = None,
    reader: Annotated[
        str | None, typer.Option(help="The format of skeleton files, as in `data import`.")
    ] = None,
    options: Annotated[
        list[str] | None, typer.Option("--option", help="Option of the reader: key=value.")
    ] = None,
    convert: Annotated[
        bool, typer.Option("--convert", help="Bring other joints to the network's, if possible.")
    ] = False,
    units: Annotated[
        str | None, typer.Option(help="The joints' units, where the source does not tell rightly.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Frames per second, where the source does not tell.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Leave a camera after so long (default: at Ctrl-C).")
    ] = None,
    live: Annotated[
        bool,
        typer.Option(
            "--live", help="Run the network frame by frame, which some can, and not over windows."
        ),
    ] = False,
) -> None:
    """Name the actions in a video, a camera's pictures, or skeletons: who, what, from when to when.

    Example: `skeldistill predict runs/demo/fold0/SKD/seed0 low.arrow --whole --out said.csv`

    Example: `skeldistill predict MODEL film.mp4 --estimator mediapipe:model=pose.task --convert
    --out film.srt --overlay seen.mp4`

    A camera is drawn while it is watched: `skeldistill predict MODEL 0 --estimator ... --live
    --overlay seen.mp4`
    """
    from dataclasses import replace

    from skeldistill.deploy.saved import network_file
    from skeldistill.deploy.segments import Hysteresis
    from skeldistill.deploy.windows import Span

    # what is wrong in these is told before torch is there
    if whole and (window or stride):
        raise ValueError("--whole takes a clip as one action; leave out --window and --stride")
    file, given = network_file(model), parsed(options)
    seen, step = (Span.parse(text) if text else None for text in (window, stride))
    sure = Hysteresis(enter=enter, leave=leave, shortest=shortest, smoothing=smoothing)
    if whole and (enter, leave, shortest, smoothing) != (ENTER, LEAVE, SHORTEST, SMOOTHING):
        raise ValueError(
            "--whole takes a clip as one action; leave out --enter, --leave, --shortest and "
            "--smoothing"
        )
    with loading():
        from skeldistill.data.views import refuse_completed
        from skeldistill.deploy import outputs, running, sources
        from skeldistill.deploy.predict import Rules
        from skeldistill.deploy.recogniser import Recogniser
        from skeldistill.deploy.wanted import Wanted

    recogniser = Recogniser.load(file)
    wanted = Wanted(
        rules=Rules(
            window=seen or recogniser.usual,
            stride=step,
            hysteresis=sure,
            converting=convert,
        ),
        cut=whole,
        format=outputs.find(format, out),
        out=out,
        film=overlay,
        seconds=seconds,
        live=live,
    )
    with sources.opened(
        source, estimator=estimator, reader=reader, options=given, rate=rate
    ) as found:
        about = replace(found.about, units=units) if units else found.about
        recogniser.check(about, converting=convert)
        if found.store is not None:
            refuse_completed(found.store, recogniser.completion)
        with _told(about.num_clips) as telling:
            ran = running.run(recogniser, found, wanted, telling)
    for path in (out, overlay):
        if path is not None:
            typer.echo(f"written: {path}", err=True)
    if not ran.actions:
        typer.echo(
            f"no action was found: none as sure as --enter {enter:g}, and as long as --shortest",
            err=True,
        )
    if ran.failures:
        typer.echo(f"skeldistill: {ran.failures} videos could not be read", err=True)
        raise typer.Exit(1)


@contextmanager
def _told(total: int | None) -> Iterator["Telling"]:
    """Lines on the output, failures on the errors, and a bar there if it takes long."""
    import time

    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from skeldistill.deploy.running import Telling

    console = terminal.console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.1f} of {task.total}" if total else "{task.completed:.1f}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    task = bar.add_task("", total=total)
    begun, done = time.monotonic(), 0

    def watch(name: str, share: float) -> None:
        nonlocal done
        bar.update(task, description=name[:40], completed=done + share)
        done += share == 1.0
        if console.is_terminal and not bar.live.is_started and time.monotonic() - begun > PATIENCE:
            bar.start()

    def failed(line: str) -> None:
        typer.echo(f"skeldistill: left out: {line}", err=True)

    def warn(line: str) -> None:
        typer.echo(f"skeldistill: warning: {line}", err=True)

    try:
        yield Telling(
            say=lambda text: typer.echo(text, nl=False), failed=failed, warn=warn, watch=watch
        )
    finally:
        if bar.live.is_started:
            bar.stop()
