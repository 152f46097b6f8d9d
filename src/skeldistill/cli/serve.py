"""The command that serves a page, and JSON, to try networks on videos, skeletons and a camera."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from skeldistill.cli.options import parsed
from skeldistill.waiting import loading

MOST_MODELS = 4

NAMED = re.compile(r"([^/\\=]+)=(.+)", re.DOTALL)


def serve(
    models: Annotated[
        list[str],
        typer.Argument(
            help="A network.safetensors, a run's folder, or one of `export --format hub`; two are "
            "compared side by side. NAME=MODEL calls it otherwise.",
            metavar="MODEL",
        ),
    ],
    estimator: Annotated[
        str | None,
        typer.Option(help="Finds people in videos: mediapipe:model=FILE, rtmpose:pose=FILE,..."),
    ] = None,
    options: Annotated[
        list[str] | None, typer.Option("--option", help="Option of the estimator: key=value.")
    ] = None,
    convert: Annotated[
        bool, typer.Option("--convert", help="Bring other joints to the network's, if possible.")
    ] = False,
    window: Annotated[
        str | None,
        typer.Option(
            help="What a network sees at once: 1.5 or 1.5s (seconds), 48f (frames). Default: as "
            "long as its training clips usually were, in seconds if their source told their pace, "
            "else in frames."
        ),
    ] = None,
    enter: Annotated[float, typer.Option(help="Probability at which an action begins.")] = 0.5,
    leave: Annotated[float, typer.Option(help="Probability below which it is over.")] = 0.35,
    host: Annotated[
        str,
        typer.Option(
            help="Address or name to listen on; 127.0.0.1: this computer alone; 0.0.0.0: all. It "
            "is asked by an address, by this computer's name or by this one, and by no other."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8765,
    max_mb: Annotated[float, typer.Option(help="Megabytes of a file, at most.")] = 200.0,
    max_seconds: Annotated[float, typer.Option(help="Seconds of a video, at most.")] = 120.0,
) -> None:
    """Serve a page: drop a video or use the camera, see skeletons and actions, compare networks.

    Programs send skeletons or videos and get JSON (`/api/openapi.json` describes it). Nothing
    that is sent is kept. There are no passwords: who can reach the address can use it.

    Example: `skeldistill serve runs/demo/fold0/low/seed0 runs/demo/fold0/SKD/seed0`

    Example: `skeldistill serve MODEL --estimator mediapipe --option model=pose.task --convert`
    """
    from skeldistill import estimators
    from skeldistill.deploy.segments import Hysteresis
    from skeldistill.deploy.serve_guard import LOCAL, Limits
    from skeldistill.deploy.windows import Span

    files, seen = _files(models), Span.parse(window) if window else None
    sure = Hysteresis(enter=enter, leave=leave, shortest=0.5)
    finder = None
    if estimator is not None:
        # the options may stand in the same word, as for other commands, or on their own
        finder = estimators.find(estimator, **parsed(options)) if options else None
        finder = finder or estimators.parse(estimator)
    elif options:
        raise ValueError("--option belongs to an estimator; name one with --estimator")
    with loading():
        from skeldistill.deploy import serve as serving
        from skeldistill.deploy.recogniser import Recogniser
        from skeldistill.deploy.serve_watching import Serving

    about = Serving(
        models={name: Recogniser.load(file) for name, file in files.items()},
        estimator=finder,
        window=seen,
        hysteresis=sure,
        converting=convert,
        limits=Limits(megabytes=max_mb, seconds=max_seconds),
    )
    if host not in LOCAL:
        typer.echo(
            f"skeldistill: whoever reaches {host} can use this, and sees nothing of it is kept",
            err=True,
        )
    serving.run(about, host, port, lambda address: typer.echo(f"{address} (Ctrl-C ends it)"))


def _files(texts: Sequence[str]) -> dict[str, Path]:
    """The networks' files by the names that the page calls them."""
    from skeldistill.deploy.saved import network_file

    if len(texts) > MOST_MODELS:
        raise ValueError(f"{len(texts)} networks; {MOST_MODELS} at most stand side by side")
    found: dict[str, Path] = {}
    for text in texts:
        told = None if Path(text).exists() else NAMED.fullmatch(text)
        path = Path(told[2] if told else text)
        name = told[1] if told else name_of(path)
        unused, count = name, 1
        while unused in found:
            count += 1
            unused = f"{name} {count}"
        found[unused] = network_file(path)
    return found


def name_of(path: Path) -> str:
    """What a network is called after its file: the method's name in the folder of a comparison."""
    place = path.absolute()
    if place.suffix == ".safetensors":
        if place.stem not in ("network", "model"):
            return place.stem
        place = place.parent
    if re.fullmatch(r"seed\d+", place.name):
        place = place.parent
    return place.name or "network"
