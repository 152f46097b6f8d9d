"""Commands that train and report."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skeldistill import terminal
from skeldistill.cli.options import listed, whole_numbers
from skeldistill.waiting import loading

if TYPE_CHECKING:
    from skeldistill.recipe import Recipe
    from skeldistill.training.task import Task

RECIPE = "A recipe: a YAML file, or the name of one that ships (`skeldistill recipes`)."
RecipeFile = Annotated[Path, typer.Argument(help=RECIPE, metavar="RECIPE")]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change the recipe: section.key=value. May be repeated."),
]
Out = Annotated[
    Path | None, typer.Option("--out", help="The experiment's folder (default: runs/NAME).")
]
Restart = Annotated[
    bool,
    typer.Option(
        "--restart/--resume",
        help="Begin what is asked for anew, or go on with what is there (the default).",
    ),
]
OneSeed = Annotated[
    int | None, typer.Option("--seed", help="The seed (default: the first).", min=0)
]
OneFold = Annotated[int, typer.Option("--fold", help="The fold, counted from 0.", min=0)]


def run(
    recipe: RecipeFile,
    out: Out = None,
    changes: Changes = None,
    jobs: Annotated[int, typer.Option(help="Trainings at once.", min=1)] = 1,
    methods: Annotated[
        str | None, typer.Option(help="Only these methods (and those they need), comma-separated.")
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(help="These seeds, not the recipe's, comma-separated.")
    ] = None,
    restart: Restart = False,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Say what is done, begun and left, and for how long; stop."),
    ] = False,
) -> None:
    """Run a whole comparison: teacher, baselines and students; ends with results and a report.

    What is done already is skipped, and what was interrupted goes on. Runs with one folder, on any
    machines, share the work; started by torchrun, all processes train each network together.

    Example: `skeldistill run demo --set training.epochs=20 --jobs 2`
    """
    loaded = load(recipe, changes, methods, seeds)  # a slip in it is told before torch is there
    root = _root(loaded, out)
    if plan:
        _plan(loaded, root, restart)
        return
    with loading():
        from skeldistill import processes
        from skeldistill.cli import one_line
        from skeldistill.report import maps, page, tables
        from skeldistill.training import experiment
        from skeldistill.training.names import FEATURES

    if (methods or seeds) and processes.first():
        _tell_of_fewer(loaded, root)
    if restart:
        _begin_anew(experiment.list_tasks(loaded, root))
    console = terminal.console(stderr=True)
    results = experiment.run(loaded, root, jobs=jobs, command=_command(), console=console)
    if not processes.first():
        return
    try:
        _ask_networks(loaded, root, results)
        drawn = maps.added(results, root / FEATURES)
    except Exception as error:  # of whatever kind, it must not take the results with it
        drawn = results
        typer.echo(f"the report lacks what networks see: {one_line(error)}", err=True)
    page.write(drawn, root / "report.html")
    wide = terminal.console(narrowest=120)
    wide.print(tables.as_text(results))
    for comparison in results["comparisons"]:
        typer.echo(comparison["sentence"])
    typer.echo(f"results: {root / 'results.json'}")
    typer.echo(f"report:  {(root / 'report.html').resolve().as_uri()}")


def _tell_of_fewer(recipe: "Recipe", root: Path) -> None:
    """Say which methods and seeds results and report will lack, that they have now."""
    import json

    try:
        told = json.loads((root / "results.json").read_text(encoding="utf-8"))
        methods = [one["name"] for one in told["methods"] if one["name"] not in recipe.methods]
        seeds = [f"seed {seed}" for seed in told["seeds"] if seed not in recipe.seeds]
    except (OSError, ValueError, LookupError, TypeError):
        return  # there is nothing that could be read
    if methods or seeds:
        typer.echo(
            f"results, report and recipe.yaml of {root} will lack {', '.join(methods + seeds)}; "
            "these trainings stay, and are told of again without --methods and --seeds",
            err=True,
        )


def _plan(recipe: "Recipe", root: Path, restart: bool) -> None:
    """Say what a run would do, and write nothing."""
    if restart:
        raise ValueError("--plan tells what is left, and --restart leaves nothing; give one")
    with loading():
        from skeldistill import processes
        from skeldistill.report.remaining import as_text
        from skeldistill.training.remaining import remaining

    if processes.first():
        wide = terminal.console(narrowest=120)
        for part in as_text(remaining(recipe, root)):
            wide.print(part)


def train(
    recipe: RecipeFile,
    method: Annotated[str, typer.Option(help="A method of the recipe.")] = "teacher",
    seed: OneSeed = None,
    fold: OneFold = 0,
    out: Out = None,
    changes: Changes = None,
    restart: Restart = False,
) -> None:
    """Train and evaluate one method of a recipe, and what it needs first.

    Example: `skeldistill train demo --method low --seed 1`
    """
    _one(load(recipe, changes), method, seed, fold, out, restart)


def distill(
    recipe: RecipeFile,
    method: Annotated[str, typer.Option(help="A distilled method of the recipe.")] = "SKD",
    seed: OneSeed = None,
    fold: OneFold = 0,
    out: Out = None,
    changes: Changes = None,
    restart: Restart = False,
) -> None:
    """Distil one student; its teacher is trained first unless it is done.

    Example: `skeldistill distill demo --method SKD`
    """
    loaded = load(recipe, changes)
    if method in loaded.methods and not loaded.methods[method].losses:
        raise ValueError(f"method {method!r} has no distillation losses; use `skeldistill train`")
    _one(loaded, method, seed, fold, out, restart)


def report(
    folder: Annotated[Path, typer.Argument(help="An experiment's folder.", metavar="RUN")],
    features: Annotated[
        bool,
        typer.Option(
            "--features",
            help="Ask the networks for what features and responses are drawn from, if it is not "
            "there; needs the views.",
        ),
    ] = False,
) -> None:
    """Write report.html, tables (CSV, LaTeX, Markdown) and figures (PNG, SVG) from results.json.

    Example: `skeldistill report runs/demo`
    """
    import json

    from skeldistill import recipe
    from skeldistill.files import write_text

    path = folder / "results.json"
    if not path.is_file():
        raise ValueError(f"{folder} is no finished experiment: it has no {path.name}")
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); `skeldistill run` makes it anew") from error
    from skeldistill.report import figures, maps, page, sheets, tables
    from skeldistill.training.names import FEATURES

    if features:
        _ask_networks(recipe.of_experiment(folder), folder, results)
    with terminal.console(stderr=True).status("drawing"):
        results = maps.added(results, folder / FEATURES)
        drawn = figures.save(results, folder / "figures")
    page.write(results, folder / "report.html")
    for suffix, text in (
        ("csv", tables.as_csv(results)),
        ("tex", tables.as_latex(results)),
        ("md", tables.as_markdown(results)),
    ):
        write_text(folder / f"table.{suffix}", text)
    for name, sheet in sheets.sheets(results).items():
        write_text(folder / f"{name}.csv", sheet.as_csv())
        write_text(folder / f"{name}.tex", sheet.as_latex())
    typer.echo(f"figures: {len(drawn)} files in {folder / 'figures'}")
    typer.echo(f"report: {(folder / 'report.html').resolve().as_uri()}")


def part_matrix(
    folder: Annotated[Path, typer.Argument(help="An experiment's folder.", metavar="RUN")],
    seed: OneSeed = None,
    fold: OneFold = 0,
    out: Annotated[Path | None, typer.Option(help="Write the heat map as PNG or SVG.")] = None,
) -> None:
    """Show which body part tells each action, as the teacher sees it (PLKD eq. 12-13, Fig. 5).

    Example: `skeldistill part-matrix runs/jhmdb-heterogeneous --out parts.png`
    """
    from rich.table import Table

    from skeldistill import recipe
    from skeldistill.files import whole
    from skeldistill.layouts import PARTS

    if out is not None and out.suffix.lower() not in (".png", ".svg"):
        raise ValueError(f"--out {out}: a heat map is written as .png or .svg")
    recipe.of_experiment(folder)  # another folder is told before torch is there
    with loading():
        from skeldistill.report import figures
        from skeldistill.training.outside import part_matrix_of

    missed, weights, classes = part_matrix_of(folder, seed, fold)
    table = Table("action", *(part.replace("_", " ") for part in PARTS))
    for name, shares, row in zip(classes, missed, weights, strict=True):
        cells = (
            f"{100 * share:3.0f} %  {weight:.3f}" for share, weight in zip(shares, row, strict=True)
        )
        table.add_row(name, *cells)
    table.caption = "share of clips missed without the part (eq. 12), and its weight (eq. 13)"
    terminal.console().print(table)
    if out is not None:
        results = {"methods": [{"part_matrix": missed}], "classes": classes}
        with whole(out) as partial:
            drawn = figures.part_matrix(results)
            drawn.savefig(partial, format=out.suffix[1:].lower(), bbox_inches="tight", dpi=150)
        typer.echo(f"heat map: {out}")


def _ask_networks(recipe: "Recipe", root: Path, results: dict) -> None:
    """Keep features of teacher, plain and distilled student for the report."""
    from rich.progress import Progress

    with loading():
        from skeldistill.report.reading import contrasted
        from skeldistill.training.features import keep

    names = [method["name"] for method in contrasted(results)]
    shown = [clip["id"] for clip in results.get("clips") or []]
    if not names:
        return
    console = terminal.console(stderr=True)
    # elsewhere than in a terminal a bar that goes away leaves an empty line
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("features for the report", total=None)
        keep(
            recipe,
            root,
            names,
            shown,
            watch=lambda done, total: bars.update(bar, completed=done, total=total),
        )


def _one(
    recipe: "Recipe", method: str, seed: int | None, fold: int, out: Path | None, restart: bool
) -> None:
    from skeldistill.shelf import pick

    pick("method of the recipe", recipe.methods, method)
    if fold >= len(recipe.data.folds):
        raise ValueError(f"there is no fold {fold}; the recipe has {len(recipe.data.folds)}")
    with loading():
        from skeldistill import processes
        from skeldistill.training import experiment
        from skeldistill.training.task import Task

    root = _root(recipe, out)
    seed = recipe.seeds[0] if seed is None else seed
    if restart:
        _begin_anew([Task(recipe=recipe, root=root, method=method, fold=fold, seed=seed)])
    console = terminal.console(stderr=True)
    task = experiment.run_one(recipe, root, method, fold, seed, console=console)
    if not processes.first():
        return
    measured = task.measured()
    told = "not measured"
    if measured["clips"]:
        told = f"top-1 {measured['top1']:.2f} %, top-5 {measured['top5']:.2f} %"
    typer.echo(f"{method}: {told} ({measured['clips']} clips, {measured['seconds']:.0f} s)")
    if measured["not_carried_over"]:
        typer.echo(f"started anew: {', '.join(measured['not_carried_over'])}")
    typer.echo(f"network: {task.folder / 'network.safetensors'}")


def load(
    path: Path, changes: list[str] | None, methods: str | None = None, seeds: str | None = None
) -> "Recipe":
    """The recipe that a command line names, with what it changes there."""
    from skeldistill import recipe
    from skeldistill.shelf import pick

    loaded = recipe.load(recipe.find(path), changes or [])
    if methods:
        kept: dict = {}
        for name in listed(methods, loaded.methods):
            pick("method of the recipe", loaded.methods, name)
            kept |= dict.fromkeys((*loaded.all_needs(name), name))
        wanted = {name: loaded.methods[name] for name in kept}
        loaded = loaded.model_copy(update={"methods": wanted})
    if seeds:
        loaded = loaded.model_copy(update={"seeds": whole_numbers(seeds, "--seeds")})
    return loaded


def _root(recipe: "Recipe", out: Path | None) -> Path:
    return out or Path("runs") / recipe.name


def _begin_anew(tasks: "Sequence[Task]") -> None:
    """Forget what was asked for, and nothing else in the folder."""
    import shutil

    from skeldistill import processes

    for task in tasks if processes.first() else ():
        shutil.rmtree(task.folder, ignore_errors=True)


def _command() -> str:
    return shlex.join(["skeldistill", *sys.argv[1:]])
