"""The journal of an extraction: what became of every video, one line each, never rewritten."""

import datetime
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRIES = 2
"""A video that kills this many workers is given up."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A video that cannot be extracted. reason: one line. tries: how often it was begun."""

    reason: str
    tries: int


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder for one extraction, and clear away what one that was killed left half written.

    Where the system or the disk knows no locks, nobody is kept out.

    Raises:
        ValueError: another extraction is at work in it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as file:
        try:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ValueError(f"another extraction is at work in {folder}; wait for it") from error
        except (ImportError, OSError):
            pass
        for rest in folder.glob(".*.partial.npz"):
            rest.unlink(missing_ok=True)
        yield


class Journal:
    """What happened so far, read from its file; what happens is appended at once.

    Args:
        path: the file; it is begun if it is not there.

    Attributes:
        begun: when the extraction was first begun, in ISO's form.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._crashes: dict[str, int] = {}
        self._failures: dict[str, Failure] = {}
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
        self.begun = ""
        for line in lines:
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # cut by a kill; what it told of is done again
            self._apply(entry)
        if lines and not lines[-1].endswith(b"\n"):
            with path.open("ab") as file:
                file.write(b"\n")
        if not self.begun:
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            self._add({"event": "begun", "date": now})

    def done(self, key: str, name: str, frames: int) -> None:
        """A video's part is written."""
        self._add({"event": "done", "key": key, "id": name, "frames": frames})

    def failed(self, key: str, name: str, reason: str) -> None:
        """A video cannot be extracted, now or later."""
        self._add({"event": "failed", "key": key, "id": name, "reason": reason})

    def crashed(self, key: str, name: str, reason: str) -> None:
        """A worker died over a video; after `TRIES` it has failed."""
        self._add({"event": "crashed", "key": key, "id": name, "reason": reason})

    def forgive(self) -> None:
        """Let all that failed be tried again."""
        self._add({"event": "forgiven"})

    def crashes(self, key: str) -> int:
        """How many workers died of a video."""
        return self._crashes.get(key, 0)

    def failure(self, key: str) -> Failure | None:
        """Why a video cannot be extracted, if it cannot."""
        return self._failures.get(key)

    def _add(self, entry: Mapping[str, Any]) -> None:
        with self._path.open("ab") as file:
            file.write(json.dumps(entry).encode() + b"\n")
        self._apply(entry)

    def _apply(self, entry: Mapping[str, Any]) -> None:
        key, event = entry.get("key", ""), entry.get("event")
        if event == "begun":
            self.begun = self.begun or entry["date"]
        elif event == "forgiven":
            self._crashes.clear()
            self._failures.clear()
        elif event == "failed":
            self._failures[key] = Failure(
                reason=entry["reason"], tries=self._crashes.get(key, 0) + 1
            )
        elif event == "crashed":
            self._crashes[key] = self._crashes.get(key, 0) + 1
            if self._crashes[key] >= TRIES:
                why = f"given up after {TRIES} tries: {entry['reason']}"
                self._failures[key] = Failure(reason=why, tries=self._crashes[key])
        elif event == "done":
            self._crashes.pop(key, None)
            self._failures.pop(key, None)
