"""The command that evaluates trained networks, alone or together."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from skeldistill import terminal
from skeldistill.waiting import loading, shown

if TYPE_CHECKING:
    from skeldistill.training.evaluate import Said


def evaluate(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Saved networks or folders of finished runs; then the store to evaluate them on. "
            "Without a store, runs are taken as they were evaluated.",
            metavar="RUN... [STORE]",
        ),
    ],
    split: Annotated[str | None, typer.Option(help="Only this split (default: all clips).")] = None,
    weights: Annotated[
        str | None, typer.Option(help="What each run weighs, comma-separated (default: all 1).")
    ] = None,
    probabilities: Annotated[
        bool,
        typer.Option("--probabilities", help="Fuse probabilities, not scores before the softmax."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Write every clip's prediction as CSV.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Evaluate a trained network on a store, or several together (stream fusion).

    Several must have been shown the same clips (by id); what they say is added up by weight, as
    2s-AGCN adds the scores of its joint and bone streams.

    Example: `skeldistill evaluate runs/demo/fold0/SKD/seed0/network.safetensors low.arrow`

    Example: `skeldistill evaluate runs/joint/fold0/low/seed0 runs/bone/fold0/low/seed0 --weights
    1,0.5`
    """
    runs, store = _divided(paths)
    if split and store is None:
        raise ValueError(f"--split {split}: splits are a store's; give one after the runs")
    factors = _factors(weights, len(runs))
    with loading():
        from skeldistill.training.fusion import fuse
        from skeldistill.training.outside import evaluate_run, write_predictions

    with shown(runs, "evaluating", total=len(runs), unit="runs") as counted:
        found = [evaluate_run(run, store, split) for run in counted]
    classes = found[0][1]
    for run, (_, others) in zip(runs, found, strict=True):
        if others != classes:
            raise ValueError(f"{run} was trained on other classes than {runs[0]}")
    said = [one for one, _ in found]
    fused = fuse(said, factors, probabilities=probabilities) if len(said) > 1 else said[0]
    if out is not None:
        write_predictions(fused, classes, out)
    rows = [
        {"run": str(run), "weight": factor, **_accuracies(one)}
        for run, factor, one in zip(runs, factors, said, strict=True)
    ]
    if as_json:
        by = "probabilities" if probabilities else "logits"
        together = {"fused_by": by, "fused": _accuracies(fused)} if len(said) > 1 else {}
        typer.echo(json.dumps({"clips": len(fused.labels), "runs": rows, **together}))
        return
    if len(said) > 1:
        _show(rows, fused)
    if out is not None:
        typer.echo(f"predictions: {out}")
    typer.echo(
        f"{len(fused.labels)} clips: top-1 {fused.accuracy(1):.2f} %, "
        f"top-5 {fused.accuracy(5):.2f} %"
    )


def _divided(paths: list[Path]) -> tuple[list[Path], Path | None]:
    """The runs, and the store if the last one is: a file, but no saved network."""
    last = paths[-1]
    if last.is_dir() or last.suffix in ("", ".safetensors"):
        return paths, None
    if len(paths) == 1:
        raise ValueError(f"{last} is no run; give runs first, then the store")
    return paths[:-1], last


def _factors(weights: str | None, count: int) -> list[float]:
    try:
        factors = [float(text) for text in weights.split(",")] if weights else [1.0] * count
    except ValueError:
        raise ValueError(f"--weights {weights}: write numbers, such as 1,0.5") from None
    if len(factors) != count:
        raise ValueError(f"--weights {weights}: give one for each of the {count} runs")
    return factors


def _accuracies(said: "Said") -> dict[str, Any]:
    return {"top1": said.accuracy(1), "top5": said.accuracy(5)}


def _show(rows: list[dict[str, Any]], fused: "Said") -> None:
    table = Table("run", "weight", "top-1", "top-5")
    for row in rows:
        table.add_row(row["run"], f"{row['weight']:g}", f"{row['top1']:.2f}", f"{row['top5']:.2f}")
    table.add_section()
    table.add_row("fused", "", f"{fused.accuracy(1):.2f}", f"{fused.accuracy(5):.2f}")
    wide = terminal.console(narrowest=100)
    wide.print(table)
