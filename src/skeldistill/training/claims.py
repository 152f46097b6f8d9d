"""Claims: several runs, on one machine or many, share the tasks of one folder.

A claim is a small file in the folder of a task, made in a way in which one of several can succeed.
It names who works there, and is touched every few seconds. Whoever finds it untouched for minutes,
or of a process of the same machine that has died, takes the task over by the claim of the next
number: of several who do, again one succeeds, and nobody ever removes a claim that may be alive.
"""

import json
import os
import platform
import re
import threading
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

HEARTBEAT = 20.0
"""Seconds after which a claim is touched again."""

STALE = 180.0
"""Seconds without a touch after which its owner counts as dead; disks of networks remember."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Who made a claim.

    host, process: for people. machine: of which processes are numbered together, a container for
    instance; empty where that cannot be told. began: when the process did, by that machine. mark:
    of this claim alone.
    """

    host: str
    process: int
    machine: str
    began: str
    mark: str

    @classmethod
    def me(cls) -> "Owner":
        """This process, with a new mark."""
        process = os.getpid()
        return cls(
            host=platform.node(),
            process=process,
            machine=_machine(),
            began=_began(process),
            mark=uuid.uuid4().hex,
        )

    @property
    def surely_dead(self) -> bool:
        """Whether it was a process of this machine that is no more."""
        return bool(self.machine) and self.machine == _machine() and not self._runs()

    def _runs(self) -> bool:
        return bool(self.began) and _began(self.process) == self.began

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}"


class Claim:
    """A folder that this process works in, until `release`.

    Attributes:
        lost: whether someone has taken the folder over, since this process was not heard of.
    """

    def __init__(self, path: Path, mark: str) -> None:
        self._path, self._mark = path, mark
        self.lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Leave the folder to others; what was taken over goes first, this claim last."""
        for number, path in sorted(_claims(self._path.parent).items()):
            if number < _number(self._path):
                path.unlink(missing_ok=True)
        self.withdraw()

    def withdraw(self) -> None:
        """Remove this claim and no other."""
        self._over.set()
        self._thread.join()
        owner = _read(self._path)
        if owner is not None and owner.mark == self._mark:
            self._path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT):
            try:
                os.utime(self._path)
            except OSError:
                self.lost = True
            self.lost |= max(_claims(self._path.parent), default=0) > _number(self._path)


class Claims:
    """Takes claims, and remembers how long those of others have not been touched.

    By its own clock: those of machines differ.
    """

    def __init__(self) -> None:
        self._seen: dict[Path, tuple[tuple[str, float], float]] = {}

    def take(self, folder: Path) -> Claim | None:
        """The folder to work in, or None if somebody is at work there (`owner` says who)."""
        folder.mkdir(parents=True, exist_ok=True)
        there = _claims(folder)
        last = max(there, default=-1)
        owner = _read(there[last]) if there else None
        if there and (owner is None or not self._is_stale(there[last], owner)):
            return None
        claim = _made(folder, last + 1)
        if claim is None:
            return None
        # What was seen may be long past: its owner was alive after all and released the folder.
        now = _claims(folder)
        held = _read(now[last]) if last in now else None
        if max(now, default=0) > last + 1 or (held and held.mark) != (owner and owner.mark):
            claim.withdraw()
            return None
        return claim

    def owner(self, folder: Path) -> Owner | None:
        """Who works there now."""
        there = _claims(folder)
        return _read(there[max(there)]) if there else None

    def _is_stale(self, path: Path, owner: Owner) -> bool:
        if owner.surely_dead:
            return True
        try:
            state = (owner.mark, path.stat().st_mtime)
        except OSError:
            return False
        before, since = self._seen.get(path, (None, 0.0))
        if before != state:
            self._seen[path] = (state, time.monotonic())
            return False
        return time.monotonic() - since > STALE


def _made(folder: Path, number: int) -> Claim | None:
    """A claim of this number, unless there is one already."""
    me, path = Owner.me(), folder / f"claim-{number}.json"
    try:
        # "x" succeeds for one process alone, on disks of networks too
        with path.open("x", encoding="utf-8") as file:
            json.dump(asdict(me), file)
    except (FileExistsError, FileNotFoundError):  # or its last user has just removed the folder
        return None
    return Claim(path, me.mark)


def _claims(folder: Path) -> dict[int, Path]:
    return {_number(path): path for path in folder.glob("claim-*.json")}


def _number(path: Path) -> int:
    found = re.search(r"\d+", path.name)
    return int(found[0]) if found else 0


def _read(path: Path) -> Owner | None:
    """Who made a claim; None if it is no more.

    One that is being written is nobody's yet, and grows old if its writer died.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        return None
    try:
        return Owner(**json.loads(text))
    except (ValueError, TypeError):
        return Owner(host="?", process=0, machine="", began="", mark=text)


def _machine() -> str:
    """What numbers its processes by itself: the running system, and the container if in one."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return platform.node() if platform.system() == "Darwin" else ""


def _began(process: int) -> str:
    """When a process of this machine did, in its own terms; empty if it does not run."""
    try:
        said = Path(f"/proc/{process}/stat").read_text(encoding="utf-8")
    except OSError:
        return _runs_at_all(process) if platform.system() == "Darwin" else ""
    state, *rest = said.rpartition(")")[2].split()
    return "" if state in "ZX" else rest[18]


def _runs_at_all(process: int) -> str:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "runs"
