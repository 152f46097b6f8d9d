"""Outputs: what was recognised, as JSON lines, as a table (CSV), or as subtitles (SRT)."""

import csv
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path

from skeldistill.deploy.predict import Action
from skeldistill.files import cut
from skeldistill.shelf import nearest

LONGEST_NAME = 100
"""Bytes of a file's name, to which an ending comes."""

GROWING = ("jsonl", "csv")
"""Formats that go on where they ended."""


@dataclass(frozen=True, kw_only=True)
class LiveAction(Action):
    """What was recognised on a camera, whose seconds count from each start anew.

    at: when the action began, by the clock of this machine, ISO 8601 with the offset to UTC.
    """

    at: str

    @classmethod
    def seen(cls, action: Action, now: float, time: float) -> "LiveAction":
        """An action, by the frame that was looked at last: seconds since 1970, and the frame's."""
        began = datetime.fromtimestamp(now - (time - action.start)).astimezone()
        return cls(**asdict(action), at=began.isoformat(timespec="milliseconds"))


class JSONLines:
    """One JSON object a line, with the fields of `Action`.

    Args:
        kind: `Action`, or `LiveAction` with its fields.
    """

    head = ""

    def __init__(self, kind: type[Action] = Action) -> None:
        """An action is written with the fields that it has."""

    def write(self, action: Action) -> str:
        """One line."""
        told = asdict(action)
        told |= {name: round(told[name], 4) for name in ("confidence", "start", "end")}
        return json.dumps(told, ensure_ascii=False) + "\n"


class CSV:
    """A table whose columns are the fields of `Action`; what is None is empty.

    Args:
        kind: `Action`, or `LiveAction` with its columns.
    """

    def __init__(self, kind: type[Action] = Action) -> None:
        self._columns = [field.name for field in fields(kind)]
        self.head = ",".join(self._columns) + "\n"

    def write(self, action: Action) -> str:
        """One row."""
        told = asdict(action)
        told |= {name: f"{told[name]:.4f}" for name in ("confidence", "start", "end")}
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(told[name] for name in self._columns)
        return line.getvalue()


class SRT:
    """Subtitles of one video: what is done, how surely, and by whom if there are several.

    Args:
        kind: of no use here: subtitles have no fields.
    """

    head = ""

    def __init__(self, kind: type[Action] = Action) -> None:
        self._count = 0

    def write(self, action: Action) -> str:
        """One subtitle; none where nobody was to be seen."""
        if action.label is None:
            return ""
        self._count += 1
        whom = "" if action.person is None else f"person {action.person}: "
        # a line break or an arrow in a label would end the subtitle
        label = " ".join(action.label.split()).replace("-->", "->")
        span = f"{_clock(action.start)} --> {_clock(action.end)}"
        return f"{self._count}\n{span}\n{whom}{label} ({100 * action.confidence:.0f} %)\n\n"


FORMATS: dict[str, Callable[..., JSONLines | CSV | SRT]] = {
    "jsonl": JSONLines,
    "csv": CSV,
    "srt": SRT,
}
"""By what the end of a file's name says."""


def find(name: str | None, path: Path | None) -> str:
    """The name of the format that was asked for, or that the file's name tells; JSON lines else.

    Raises:
        ValueError: there is no such format.
    """
    file = path is not None and not path.is_dir()
    told = name or (path.suffix.lstrip(".") if path is not None and file else "") or "jsonl"
    told = "jsonl" if told.lower() in ("json", "ndjson") else told.lower()
    if told not in FORMATS:
        raise ValueError(f"no format {told!r} for what is recognised; {nearest(told, FORMATS)}")
    return told


def text(actions: Iterable[Action], name: str) -> str:
    """A whole file of some actions, in the order of time."""
    writer = FORMATS[name]()
    return writer.head + "".join(map(writer.write, ordered(actions)))


def ordered(actions: Iterable[Action]) -> list[Action]:
    """In the order of time, then of persons."""
    return sorted(actions, key=lambda one: (one.start, -1 if one.person is None else one.person))


def file_name(source: str) -> str:
    """A clip's name as the name of a file, which can lead nowhere else.

    Letters of any script, digits and ``._- `` stay; dots at the beginning do not. Names that are
    too long for a file system end earlier.
    """
    kept = "".join(letter if letter.isalnum() or letter in "._- " else "_" for letter in source)
    return cut(kept.strip(". "), LONGEST_NAME) or "clip"


def _clock(seconds: float) -> str:
    """Hours, minutes, seconds and milliseconds as SRT has them."""
    milliseconds = max(0, round(1000 * seconds))
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02},{rest % 1000:03}"
