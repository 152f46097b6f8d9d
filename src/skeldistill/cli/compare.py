"""The command that compares two finished methods."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from skeldistill import terminal
from skeldistill.waiting import loading

if TYPE_CHECKING:
    from skeldistill.training.between import Between


def compare(
    method: Annotated[
        str,
        typer.Argument(
            help="An experiment's folder and a method of it; the method may be left out where "
            "there is one distilled student.",
            metavar="RUN_A[:METHOD]",
        ),
    ],
    against: Annotated[
        str, typer.Argument(help="What it is compared with.", metavar="RUN_B[:METHOD]")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare two finished methods on the same clips, also of different experiments.

    Paired by fold and clip: difference with its 95 % interval, two tests, effect sizes, and all of
    it in a sentence. Only files of the two experiments are read.

    Example: `skeldistill compare runs/demo:SKD runs/demo:low`
    """
    import json

    with loading():
        from skeldistill.training.between import between, open_finished

    found = between(open_finished(method), open_finished(against))
    if as_json:
        typer.echo(json.dumps(found.plain()))
        return
    terminal.console().print(_table(found))
    typer.echo(found.sentence)


def _table(found: "Between") -> Table:
    from skeldistill.training.statistics import p_value

    one = found.comparison
    trainings = len(found.folds) * len(found.seeds)
    table = Table("measured", "", show_header=False)
    clips = f"{found.clips} in {len(found.folds)} fold{'s' if len(found.folds) > 1 else ''}"
    if found.distinct < found.clips:
        clips += f", {found.distinct} different ones"
    if found.left_out:
        clips += f"; {found.left_out} left out, only one of both has them"
    rows = (
        (f"top-1 of {found.method}", f"{found.accuracies[0]:.2f} %"),
        (f"top-1 of {found.against}", f"{found.accuracies[1]:.2f} %"),
        ("clips compared", clips),
        ("trainings of each", f"{trainings} (folds x seeds)"),
        ("difference, points", f"{one.difference:+.2f} (95 % {one.low:+.2f} to {one.high:+.2f})"),
        ("permutation test by clip", p_value(one.p)),
        ("McNemar's exact test", p_value(one.mcnemar_p)),
        ("the first right more often, the second", f"{one.gained}, {one.lost} clips"),
        ("odds ratio of these", f"{one.odds_ratio:.2f}"),
        ("Cohen's h", f"{one.cohens_h:+.3f} ({_size(one.cohens_h)})"),
    )
    for row in rows:
        table.add_row(*row)
    return table


def _size(effect: float) -> str:
    """Cohen's words for his h."""
    bounds = ((0.8, "large"), (0.5, "medium"), (0.2, "small"))
    return next((word for bound, word in bounds if abs(effect) >= bound), "very small")
