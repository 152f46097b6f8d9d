"""The command that leaves experiments to a queue of machines."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skeldistill import terminal
from skeldistill.cli.experiments import RECIPE, load
from skeldistill.cli.options import parsed

if TYPE_CHECKING:
    from skeldistill.recipe import Recipe


def submit(
    recipes: Annotated[list[Path], typer.Argument(help=RECIPE, metavar="RECIPE...")],
    workers: Annotated[int, typer.Option(help="Jobs for each recipe.", min=1)] = 2,
    queue: Annotated[str, typer.Option(help="slurm, or local for this machine.")] = "slurm",
    option: Annotated[
        list[str] | None,
        typer.Option(help="Of the queue, as submitit calls it: timeout_min=60 (default: 720)."),
    ] = None,
    runs: Annotated[
        Path, typer.Option(help="Where experiments' folders are, seen by all machines.")
    ] = Path("runs"),
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change the recipes: section.key=value. May be repeated."),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="These seeds, not the recipe's, comma-separated.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the jobs, or leave them alone.")] = True,
) -> None:
    """Queue runs on many machines: the jobs of a recipe share its trainings.

    Each job is `skeldistill run RECIPE --out RUNS/NAME`; one whose time is over is queued again,
    and goes on. Needs submitit: `pip install 'skeldistill[cluster]'`.

    Example: `skeldistill submit a.yaml b.yaml --workers 8 --option gpus_per_node=1`
    """
    from skeldistill import recipe
    from skeldistill.training import queueing

    changed = [word for change in changes or [] for word in ("--set", change)]
    changed += ["--seeds", seeds] if seeds else []
    roots, commands = {}, []
    for path in map(recipe.find, recipes):
        loaded = load(path, changes, seeds=seeds)
        root = (runs / loaded.name).resolve()
        if root in roots:
            raise ValueError(f"two recipes are called {loaded.name}; give each its own name")
        roots[root] = loaded
        command = [sys.executable, "-m", "skeldistill", "run", str(path.resolve())]
        commands += workers * [[*command, "--out", str(root), *changed]]
    jobs = queueing.submit(commands, runs.resolve() / "jobs", queue=queue, options=parsed(option))
    typer.echo(f"{len(jobs)} jobs: {', '.join(job.job_id for job in jobs)}")
    typer.echo(f"logs: {runs.resolve() / 'jobs'}")
    if not wait:
        return
    with terminal.console(stderr=True).status("waiting for the jobs; Ctrl-C cancels them"):
        queueing.wait_for(jobs)
    for place, (root, loaded) in enumerate(roots.items()):
        _refuse_unfinished(loaded, root, jobs[place * workers].paths.stderr)
        typer.echo(f"report: {(root / 'report.html').as_uri()}")


def _refuse_unfinished(recipe: "Recipe", root: Path, log: Path) -> None:
    from skeldistill.training.experiment import list_tasks

    tasks = list_tasks(recipe, root)
    left = sum(not task.done for task in tasks)
    if left:
        raise ValueError(f"{root}: {left} of {len(tasks)} trainings are not done; {log} says why")
