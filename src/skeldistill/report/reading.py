"""What results say: who is teacher, plain and best, by how much, and how surely."""

import math
from numbers import Real
from typing import Any

Results = dict[str, Any]
"""What a comparison writes as ``results.json``."""

Method = dict[str, Any]
"""One row of the comparison: an entry of ``results["methods"]``."""


UNKNOWN = "\u2013"
"""What stands where there is no figure: a dash."""


def number(value: Any) -> float | None:
    """The value as a finite float; None for what is missing, not a number or endless."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    return float(value) if math.isfinite(value) else None


def mean(method: Method | None, score: str = "top1") -> float | None:
    """A method's mean score in percent, or None where it has none."""
    return number(((method or {}).get(score) or {}).get("mean"))


def interval(score: dict[str, Any] | None) -> tuple[float, float] | None:
    """The two ends of a 95 % interval; None where there is none, as after a single run."""
    low, high = number((score or {}).get("low")), number((score or {}).get("high"))
    return None if low is None or high is None else (low, high)


def methods(results: Results, view: str | None = None, kind: str | None = None) -> list[Method]:
    """The methods on a view and of a kind, in the order of the recipe."""
    return [
        method
        for method in results.get("methods") or []
        if view in (None, method.get("view")) and kind in (None, method.get("kind"))
    ]


def runs(results: Results) -> int:
    """How many times each method was trained (folds times seeds); at least 1."""
    counts = [len((m.get("top1") or {}).get("values") or []) for m in methods(results)]
    return max([1, *counts])


def teacher(results: Results) -> Method | None:
    """The one that sees high-quality skeletons: the first teacher, or else the first such row."""
    high = methods(results, view="high")
    measured = (results.get("gap") or {}).get("teacher")  # between whom the gap was measured
    first = next((m for m in high if m.get("kind") == "teacher"), high[0] if high else None)
    return next((m for m in high if m.get("name") == measured), first)


def plain(results: Results) -> Method | None:
    """The student that was trained on low-quality skeletons without any help.

    The one that all others were compared with; only where none was, the first without a teacher.
    """
    found = methods(results, view="low", kind="plain")
    measured = [(results.get("gap") or {}).get("plain")]
    measured += [one.get("against") for one in results.get("comparisons") or []]
    named = {m.get("name"): m for m in found}
    return next((named[name] for name in measured if name in named), found[0] if found else None)


def best(candidates: list[Method]) -> Method | None:
    """The candidate with the highest mean top-1; of equals the first."""
    scored = [m for m in candidates if mean(m) is not None]
    return max(scored, key=lambda m: mean(m) or 0.0) if scored else None


def best_distilled(results: Results) -> Method | None:
    """The distilled student with the highest mean top-1."""
    return best(methods(results, view="low", kind="distilled"))


def contrasted(results: Results) -> list[Method]:
    """Teacher, plain student, best distilled student: those of the three that there are.

    Without a distilled student its place goes to the best other low-quality method.
    """
    first = plain(results)
    others = [m for m in methods(results, view="low") if m is not first]
    chosen = (teacher(results), first, best_distilled(results) or best(others))
    return [m for m in chosen if m is not None]


def compared(results: Results, method: Method | None, against: Method | None) -> Results | None:
    """How two methods were compared, seen from `method`; None if they were not."""
    if method is None or against is None:
        return None
    pair = (method.get("name"), against.get("name"))
    for comparison in results.get("comparisons") or []:
        named = (comparison.get("method"), comparison.get("against"))
        if named == pair:
            return comparison
        if named == pair[::-1]:
            turned = {key: number(comparison.get(key)) for key in ("difference", "low", "high")}
            turned = {key: None if v is None else -v for key, v in turned.items()}
            return comparison | {
                "difference": turned["difference"],
                "low": turned["high"],
                "high": turned["low"],
            }
    return None


def leads(comparison: Results | None) -> bool:
    """Whether a comparison is in the method's favour by more than noise."""
    difference = number((comparison or {}).get("difference"))
    return bool(comparison and comparison.get("above_noise") and difference and difference > 0)


def winner(results: Results) -> Method | None:
    """The best low-quality method, if its lead over its strongest rival is above noise.

    The rivals of a distilled student are those without a teacher, of one without a teacher all
    others. Nobody wins over a rival that it was not compared with.
    """
    found = best(methods(results, view="low"))
    kind = "plain" if found and found.get("kind") == "distilled" else None
    rival = best([m for m in methods(results, view="low", kind=kind) if m is not found])
    return found if leads(compared(results, found, rival)) else None


def gap_closed(method: Method) -> dict[str, float | None] | None:
    """The share of the distance from plain student to teacher that a method closes (1 = all).

    None for teacher and plain student themselves, where the teacher is not ahead, and where its
    interval has no ends: the distance itself may be chance, and a share of it would say nothing.
    """
    told = method.get("gap_closed")
    if not told or number(told.get("mean")) is None or interval(told) is None:
        return None
    return {key: number(told.get(key)) for key in ("mean", "low", "high")}


def seeds(results: Results) -> int:
    """Under how many seeds each method was trained; at least 1."""
    return max(1, len(results.get("seeds") or []))


def teacher_ahead(results: Results) -> float | None:
    """By how many points the teacher leads over the plain student, where it can be said.

    On the clips that both views have if the results tell; else over all clips of each.
    """
    told = results.get("gap") or {}
    found = told.get("top1") or {}
    low, high = (number(found.get(told.get(name))) for name in ("plain", "teacher"))
    if low is None or high is None:
        low, high = mean(plain(results)), mean(teacher(results))
    return None if low is None or high is None else high - low


def percent(value: float | None) -> str:
    """A score for a sentence: 71.2 %."""
    return UNKNOWN if value is None else f"{value:.1f} %"


def summary(results: Results) -> str:
    """The whole comparison in one plain sentence, and a second where honesty asks for it."""
    low, high, found = plain(results), teacher(results), best_distilled(results)
    said = [
        f"{name} {percent(mean(method))}"
        for name, method in (("the plain student", low),)
        if mean(method) is not None
    ]
    if mean(high) is not None:
        said.append(f"the teacher on high-quality skeletons {percent(mean(high))}")
    if found is not None:
        said.insert(0, f"{found['name']} reaches {percent(mean(found))}")
        verdict = _verdict(results, found)
        return f"On low-quality skeletons {', '.join(said)}{verdict}{_rival(results, found)}"
    if not said:
        return "No method has been evaluated yet."
    opening = "On low-quality skeletons " if mean(low) is not None else "So far "
    return f"{opening}{', '.join(said).replace('student ', 'student reaches ', 1)}; " + (
        "no distilled student was trained."
    )


def _verdict(results: Results, found: Method) -> str:
    low, own, ahead = mean(plain(results)), mean(found), teacher_ahead(results)
    if low is None or own is None:
        return "."
    if own <= low:
        return ": no distilled student does better than the plain one."
    if ahead is not None and ahead <= 0:
        return ": the teacher is not ahead of the plain student, so there is no gap to close."
    share = (gap_closed(found) or {}).get("mean")
    lead = (
        f": the best distilled student is {own - low:.1f} points ahead of the plain one"
        if share is None
        else f": the best distilled student closes {100 * share:.0f} % of the gap"
    )
    if seeds(results) == 1:
        return f"{lead}, but one seed cannot tell this from noise."
    rival = _first_compared(results, found)
    if rival is None:
        return f"{lead}."
    joint = "and" if leads(compared(results, found, rival)) else "but"
    noise = "above noise" if joint == "and" else "within noise"
    named = "the plain student" if rival is plain(results) else rival["name"]
    return f"{lead}, {joint} its lead over {named} is {noise}."


def _first_compared(results: Results, found: Method) -> Method | None:
    """The first plain low-quality method that a method was compared with."""
    rivals = [plain(results), *methods(results, view="low", kind="plain")]
    return next((m for m in rivals if m and compared(results, found, m)), None)


def _rival(results: Results, found: Method) -> str:
    """A second sentence where a student that is not distilled beats the plain one too."""
    strongest = best(methods(results, view="low", kind="plain"))
    own, rival = mean(found), mean(strongest)
    if strongest is None or strongest is plain(results) or own is None or rival is None:
        return ""
    closing = "which is no worse" if rival >= own else f"{own - rival:.1f} points less"
    name, score = strongest["name"], percent(rival)
    return f" The best student that is not distilled, {name}, reaches {score}, {closing}."
