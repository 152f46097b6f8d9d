"""Tables that a folder of reproductions holds already: what is built up over days stays whole."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skeldistill.reproduction.book import Cell, select
from skeldistill.reproduction.recipes import Setting, place

RESULTS = "reproduce.json"
FORMAT = 2
"""Another one where figures could not stand beside each other: other intervals, other places."""
OTHERS = "other-settings"
"""Where tables under other settings are kept, below the folder of the reproduction."""
UNREADABLE = "unreadable"

Place = tuple[str, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Earlier:
    """What was said of cells and rows (by the place of their first column) before."""

    cells: Mapping[Place, dict[str, Any]] = field(default_factory=dict)
    rows: Mapping[Place, dict[str, Any]] = field(default_factory=dict)
    commands: Sequence[str] = ()

    def with_others(self, cells: Sequence[Cell]) -> list[Cell]:
        """Some cells and all earlier ones, in the papers' order."""
        places = {place(cell) for cell in cells} | self.cells.keys()
        return [cell for cell in select() if place(cell) in places]


def settings(setting: Setting) -> dict[str, Any]:
    """What figures must have in common to stand in one table."""
    return {
        "format": FORMAT,
        "family": setting.family,
        "seeds": list(setting.seeds),
        "changes": list(setting.changes),
    }


def earlier(root: Path, setting: Setting) -> Earlier:
    """What was said before under the same settings, here or before it was set aside."""
    wanted = settings(setting)
    for folder in (root, root / OTHERS / _name(wanted)):
        held = _read(folder / RESULTS)
        if held is not None and _settings_of(held) == wanted:
            return _by_place(held)
    return Earlier()


def set_aside(root: Path, setting: Setting) -> str:
    """Move tables under other settings, and files that cannot be read, out of the way.

    Returns:
        A line on what was moved where; empty if nothing was.
    """
    if not (root / RESULTS).exists():
        return ""
    held = _read(root / RESULTS)
    found = _settings_of(held) if held is not None else None
    if found == settings(setting):
        return ""
    folder = root / OTHERS / (_name(found) if found else UNREADABLE)
    folder.mkdir(parents=True, exist_ok=True)
    # The results go last: after an interrupt they are still found, and the rest is moved.
    for path in sorted(root.glob("reproduce.*"), key=lambda path: path.name == RESULTS):
        path.replace(folder / path.name)
    return f"{root / RESULTS} {_told(found)}; it is kept in {folder}"


def _told(found: dict[str, Any] | None) -> str:
    if found is None:
        return "cannot be read"
    if found["format"] != FORMAT:
        return "is by another version"
    seeds = ", ".join(map(str, found["seeds"]))
    told = (f"family {found['family']}", f"seeds {seeds}", *found["changes"])
    return f"holds tables under other settings ({'; '.join(told)})"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    usual = ("format", "family", "seeds", "changes", "tables", "commands")
    return held if isinstance(held, dict) and all(key in held for key in usual) else None


def _settings_of(held: dict[str, Any]) -> dict[str, Any]:
    return {key: held[key] for key in ("format", "family", "seeds", "changes")}


def _name(found: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:8]


def _by_place(held: dict[str, Any]) -> Earlier:
    cells: dict[Place, dict[str, Any]] = {}
    rows: dict[Place, dict[str, Any]] = {}
    for table in held["tables"]:
        for row in (row for block in table["blocks"] for row in block["rows"]):
            for cell in row["cells"]:
                block, line, column = cell["at"]
                cells[table["name"], block, line, column] = cell
                rows[table["name"], block, line, 0] = row
    return Earlier(cells=cells, rows=rows, commands=held["commands"])
