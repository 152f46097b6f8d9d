"""The table that shows where the gap is: accuracy over clips by how much of them was lost."""

from typing import Any

from skeldistill.report.reading import Results, methods, plain, teacher


def quality(results: Results) -> dict[str, Any] | None:
    """The table in the words of its template; None where the results have no such groups."""
    groups = results.get("by_quality") or []
    if not groups:
        return None
    names = [m["name"] for m in methods(results) if m.get("name") in groups[0]["top1"]]
    high, low = teacher(results), plain(results)
    with_gap = [group for group in groups if group.get("gap") is not None]
    measured = high and low and with_gap
    return {
        "names": names,
        "rows": [
            {
                "lost": lost(group) if len(group["top1"]) == len(names) else "no high view",
                "clips": group["clips"],
                "top1": [group["top1"].get(name) for name in names],
                "gap": group.get("gap"),
            }
            for group in groups
        ],
        "gap": (high["name"], low["name"]) if high and low and measured else None,
        "sentence": sentence(with_gap) if measured else "",
    }


def lost(group: dict[str, Any]) -> str:
    """The group's name: none, all, or from how much to how much."""
    least, most = group["least"], group["most"]
    if most == 0:
        return "none"
    if least == 1:
        return "all"
    return f"{_percent(least)} to {_percent(most)} %"


def sentence(groups: list[dict[str, Any]]) -> str:
    """What to make of it: how much of the gap lies in clips of which nothing is to be seen."""
    total = sum(group["gap"] for group in groups)
    clips = sum(group["clips"] for group in groups)
    if total <= 0:
        return "The teacher is not ahead on these clips."
    first, last = groups[0], groups[-1]
    said = [f"The teacher is {total:.1f} points ahead on them"]
    if first["most"] == 0:
        share = 100 * first["clips"] / clips
        said.append(f"{share:.0f} % have lost nothing and account for {first['gap']:+.1f}")
    if lost(last) == "all":
        share = 100 * last["clips"] / clips
        said.append(
            f"{share:.0f} % have lost everything and account for {last['gap']:+.1f}, which no "
            "student can win back"
        )
    return "; ".join(said) + "."


def _percent(share: float) -> str:
    return f"{100 * share:.0f}"
