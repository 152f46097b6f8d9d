"""The command that sweeps degradations over finished models."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from skeldistill import terminal
from skeldistill.cli.options import listed
from skeldistill.waiting import loading


def robustness(
    runs: Annotated[list[Path], typer.Argument(help="Folders of experiments.", metavar="RUN...")],
    degradations: Annotated[
        str,
        typer.Option(
            help="Degradations, comma-separated; 'usual', or 'all' of the shelf. Options after a "
            "colon hold at every severity: RAGCNParts:shown=false."
        ),
    ] = "usual",
    methods: Annotated[
        str | None, typer.Option(help="Only these methods of each run, comma-separated.")
    ] = None,
    on: Annotated[
        str,
        typer.Option(help="What is degraded: the 'high' or 'low' view, or each method's 'own'."),
    ] = "own",
    seed: Annotated[int, typer.Option(help="Draws the degradations, clip by clip.", min=0)] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder of page, figure and table (default: the first RUN).")
    ] = None,
) -> None:
    """Measure how accuracy falls as skeletons get worse, and draw the curves.

    Every model of the experiments is evaluated on its own test clips at five severities of each
    degradation. What was measured before is not measured again.

    Example: `skeldistill robustness runs/demo --degradations JointOcclusion,Jitter`
    """
    import json
    from typing import cast, get_args

    from skeldistill import recipe
    from skeldistill.files import write_text

    # another folder is told before torch is there
    known = {name for run in runs for name in recipe.of_experiment(run).methods}
    with loading():
        from skeldistill.report import robustness as report
        from skeldistill.robustness.settings import named
        from skeldistill.robustness.sweep import On, sweep

    if on not in get_args(On):
        raise ValueError(f"--on {on}: choose from {', '.join(get_args(On))}")
    console = terminal.console(stderr=True)
    # elsewhere than in a terminal a bar that goes away leaves an empty line
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("evaluations", total=None)
        results = sweep(
            runs,
            named(degradations),
            methods=listed(methods, known) if methods else (),
            on=cast(On, on),
            seed=seed,
            watch=lambda done, total: bars.update(bar, completed=done, total=total),
        )
    folder = out or runs[0]
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "robustness.json", json.dumps(results))
    page, *others = report.write(results, folder)
    typer.echo(report.summary(results))
    typer.echo(f"figure, tables: {', '.join(path.name for path in others)}, in {folder}")
    typer.echo(f"page: {page.resolve().as_uri()}")
