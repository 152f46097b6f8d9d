"""The report: one self-contained page that works offline, on a phone and on paper."""

import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2

from skeldistill.files import write_text
from skeldistill.layouts import PARTS
from skeldistill.report import (
    charts,
    clips,
    curves,
    embeddings,
    overlap,
    quality,
    responses,
    sheets,
    strips,
    tables,
)
from skeldistill.report.palette import inline
from skeldistill.report.reading import (
    Results,
    best_distilled,
    leads,
    methods,
    number,
    runs,
    summary,
)


def write(results: Results, path: Path) -> None:
    """Write a comparison's report as one HTML file that needs nothing else.

    The file appears whole or not at all.

    Args:
        results: what the comparison wrote as ``results.json``; whatever is missing is left out.
        path: the file to write.

    Raises:
        OSError: when the folder cannot be written to.
    """
    write_text(path, render(results))


def render(results: Results) -> str:
    """The report's text."""
    return fill("page.html", content(results))


def fill(template: str, words: dict[str, Any]) -> str:
    """A page from its template; every name in it is escaped, whoever chose it."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("skeldistill.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(template).render(words)


def content(results: Results) -> dict[str, Any]:
    """Everything the page shows, in the words of its templates."""
    shown = clips.clips(results)
    matrices = charts.confusions(results)
    found = best_distilled(results)
    return {
        "evaluated_on": results.get("evaluated_on"),
        "command": results.get("command"),
        "interval_note": results.get("interval_note"),
        "title": results.get("title") or results.get("name") or "Comparison",
        "summary": re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", summary(results)),
        "headings": tables.HEADINGS,
        "rows": [_table_row(row) for row in tables.rows(results)],
        "table_note": tables.note(results),
        "files": {
            "methods": {"csv": tables.as_csv(results), "tex": tables.as_latex(results)},
            **{
                name: {"csv": sheet.as_csv(), "tex": sheet.as_latex()}
                for name, sheet in sheets.sheets(results).items()
            },
        },
        "comparisons": [_comparison(entry) for entry in results.get("comparisons") or []],
        "accuracy": charts.accuracy(results),
        "quality": quality.quality(results),
        "clips": shown,
        "matrices": matrices,
        "changes": charts.largest_changes(results),
        "names": charts.class_names(results),
        "per_class": charts.per_class(results),
        "curves": curves.groups(results),
        "parts": PARTS,
        "part_matrix": _part_matrix(results),
        "features": _drawing(embeddings, results),
        "overlap": _drawing(overlap, results),
        "responses": _drawing(responses, results),
        "strips": _drawing(strips, results),
        "without_joints": responses.without_joints(results),
        "runs": runs(results),
        "picked": len(methods(results, view="low", kind="distilled")) > 1 and found,
        "facts": _facts(results),
        "recipe": results.get("recipe_yaml") or json.dumps(results.get("recipe") or {}, indent=2),
        "data": {
            "names": charts.class_names(results),
            "matrices": [matrix.data for matrix in matrices],
            "clips": [
                {"seconds": clip["seconds"], "views": [view["data"] for view in clip["views"]]}
                for clip in shown
            ],
        },
    }


def _drawing(module: ModuleType, results: Results) -> str | None:
    """A figure for the page; None where the results have nothing to draw."""
    try:
        return inline(module.figure(results), module.__name__.rpartition(".")[2])
    except ValueError:
        return None


def _table_row(row: tables.Row) -> dict[str, Any]:
    method = row.method
    scores = [(method.get(key) or {}).get("mean") for key in ("top1", "top5")]
    costs = [method.get(key) for key in ("parameters", "multiply_adds", "latency_ms")]
    gap = (row.gap or {}).get("mean")
    values = [method.get("name", ""), *map(number, scores), gap, *map(number, costs)]
    return {
        "high": row.high,
        "winner": row.winner,
        "cells": list(zip(row.cells, values, strict=True)),
        "gap": None if gap is None else round(100 * min(max(gap, 0.0), 1.0), 1),
        "network": method.get("network", ""),
        "description": method.get("description", ""),
    }


def _comparison(entry: dict[str, Any]) -> dict[str, Any]:
    difference = number(entry.get("difference")) or 0.0
    above = bool(entry.get("above_noise"))
    plain = f"{entry.get('method')}: {difference:+.1f} points against {entry.get('against')}."
    return {
        "sentence": entry.get("sentence") or plain,
        "mark": ("better" if leads(entry) else "worse") if above else "noise",
        "once": entry.get("seeds") == 1,
        "p": None if entry.get("sentence") else number(entry.get("p")),
        "mcnemar": _mcnemar(entry),
    }


def _mcnemar(entry: dict[str, Any]) -> str | None:
    """The test on the clips that only one of two names rightly; older results have none."""
    gained, lost, p = (number(entry.get(key)) for key in ("gained", "lost", "mcnemar_p"))
    if gained is None or lost is None or p is None:
        return None
    shown = f"p = {p:.3f}" if p >= 0.0005 else "p < 0.001"
    return f"{gained:.0f} clips gained, {lost:.0f} lost; McNemar's exact test {shown}"


def _part_matrix(results: Results) -> dict[str, Any] | None:
    """The part matrix of the first method that has one; the others share its teacher."""
    for method in methods(results):
        if method.get("part_matrix"):
            names = charts.class_names(results)
            rows = [[number(value) for value in row] for row in method["part_matrix"]]
            named = names + [f"class {place}" for place in range(len(names), len(rows))]
            return {"method": method.get("name", ""), "rows": list(zip(named, rows, strict=False))}
    return None


def _facts(results: Results) -> list[tuple[str, str]]:
    """Where, when and with what the figures were made; what is not known is left out."""
    machine = results.get("machine") or {}
    folds = results.get("folds") or []
    seeds = results.get("seeds") or []
    seconds = number(results.get("seconds"))
    found = {
        "made": results.get("created"),
        "skeldistill": results.get("version"),
        "python": machine.get("python"),
        "torch": machine.get("torch"),
        "processor": machine.get("processor"),
        "cores": machine.get("cores"),
        "device": machine.get("device"),
        "time in all": None if seconds is None else duration(seconds),
        "folds": ", ".join(f"{fold.get('train')} → {fold.get('test')}" for fold in folds),
        "seeds": ", ".join(map(str, seeds)),
        "evaluated on": results.get("evaluated_on"),
        "classes": len(results.get("classes") or []) or None,
    }
    return [(name, str(value)) for name, value in found.items() if value not in (None, "")]


def duration(seconds: float) -> str:
    """Seconds for a reader: 42 s, 7 min 5 s, 3 h 20 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
