"""Workers: processes that extract videos, so that one which dies takes nothing with it."""

import multiprocessing
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from skeldistill.deploy import extract_parts
from skeldistill.deploy.extract_journal import TRIES
from skeldistill.deploy.extract_parts import Task
from skeldistill.estimators import Estimator, Session
from skeldistill.readers.source_files import line

GRACE = 2.0
"""Seconds in which a worker that is stopped may stop what it started, such as another program."""

OFTEN = 0.5
"""Seconds between two reports of how many frames are done."""


@dataclass(frozen=True)
class Seen:
    """So many frames more are done."""

    frames: int


@dataclass(frozen=True)
class Done:
    """A video's part is written; it has so many frames."""

    task: Task
    frames: int


@dataclass(frozen=True)
class Failed:
    """A video cannot be extracted."""

    task: Task
    reason: str


@dataclass(frozen=True)
class Crashed:
    """The worker that had the video died. It comes again unless that was the last try."""

    task: Task
    reason: str


Event = Seen | Done | Failed | Crashed
Engine = Callable[[Sequence[Task], Mapping[str, Estimator]], Iterator[Event]]
"""Extracts videos in any order, and tells what happens."""


@dataclass(frozen=True, kw_only=True)
class Processes:
    """Extracts in so many processes of this machine; each loads the estimators once.

    They are started anew and import the program's main file, so a script of your own needs
    ``if __name__ == "__main__":``.

    Raises:
        ValueError: the number is below 1.
    """

    workers: int = 1

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")

    def __call__(self, tasks: Sequence[Task], views: Mapping[str, Estimator]) -> Iterator[Event]:
        """Extract; raises ValueError if a worker cannot load the estimators."""
        waiting = deque(tasks)
        team: dict[Connection, _Worker] = {}
        try:
            while waiting or any(worker.task for worker in team.values()):
                while waiting and len(team) < min(self.workers, len(tasks)):
                    worker = _Worker(views)
                    team[worker.pipe] = worker
                for pipe in wait(list(team)):
                    assert isinstance(pipe, Connection)
                    yield from _heard(pipe, team, waiting)
        finally:
            for worker in team.values():  # all at once, then each is waited for
                worker.process.terminate()
            for worker in team.values():
                worker.stop()


class _Worker:
    """A process, the pipe to it, and the video that it has."""

    def __init__(self, views: Mapping[str, Estimator]) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.task: Task | None = None
        self.ready = False
        self.process = context.Process(target=_work, args=(theirs, dict(views)), daemon=True)
        self.process.start()
        theirs.close()  # so that the pipe ends with the process

    def give(self, waiting: deque[Task]) -> None:
        self.ready = True
        self.task = None
        if waiting:
            self.task = waiting.popleft()
            self.pipe.send(self.task)

    def stop(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join(GRACE)
        self.process.kill()
        self.process.join()


def _heard(
    pipe: Connection, team: dict[Connection, _Worker], waiting: deque[Task]
) -> Iterator[Event]:
    """What one worker said, and the next video for it."""
    worker = team[pipe]
    try:
        said = pipe.recv()
    except (EOFError, OSError):
        yield from _died(team.pop(pipe), waiting)
        return
    if isinstance(said, _Refused):
        raise ValueError(said.reason)
    if isinstance(said, Seen):
        yield said
        return
    try:
        worker.give(waiting)
    except OSError:  # it died between two videos; the one that it did not get goes to another
        if worker.task is not None:
            waiting.appendleft(worker.task)
        team.pop(pipe).stop()
    if not isinstance(said, _Ready):
        yield said


def _died(worker: _Worker, waiting: deque[Task]) -> Iterator[Event]:
    worker.process.join()
    code = worker.process.exitcode or 0
    how = f"signal {-code}" if code < 0 else f"status {code}"
    worker.stop()
    if not worker.ready:
        raise ValueError(f"a worker died while it loaded the estimators ({how})")
    if worker.task is not None:
        tried = replace(worker.task, crashes=worker.task.crashes + 1)
        if tried.crashes < TRIES:
            waiting.append(tried)  # after all others: they may be innocent
        yield Crashed(tried, f"the worker died ({how})")


@dataclass(frozen=True)
class _Ready:
    """The estimators are loaded."""


@dataclass(frozen=True)
class _Refused:
    """They cannot be, so no video can be extracted."""

    reason: str


def _work(pipe: Connection, views: Mapping[str, Estimator]) -> None:
    """What a worker does: one video after the other, until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who started it
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # on its way out it cleans up
    try:
        sessions = extract_parts.open_all(views)
    except (OSError, ValueError) as error:
        pipe.send(_Refused(line(error)))
        return
    try:
        pipe.send(_Ready())
        while True:
            said = extract(pipe.recv(), sessions, lambda frames: pipe.send(Seen(frames)))
            if isinstance(said, Failed):
                # an estimator that failed once may do so for ever
                extract_parts.close_all(sessions)
                sessions = extract_parts.open_all(views)
            pipe.send(said)
    except (EOFError, BrokenPipeError):
        pass  # nobody listens any more
    except OSError as error:
        pipe.send(_Refused(line(error)))
    finally:
        extract_parts.close_all(sessions)


def extract(
    task: Task, sessions: Mapping[str, Session], tell: Callable[[int], Any]
) -> Done | Failed:
    """Extract one video and write its part; what goes wrong with the video is its failure.

    Args:
        task: the video.
        sessions: the estimators by the names of their views.
        tell: is told every now and then how many frames more are done.

    Raises:
        OSError: the part cannot be written, as when the disk is full; nor could others be.
    """
    counter = _Counter(tell)
    try:
        part = extract_parts.look(task, sessions, counter.one_more)
    except BrokenPipeError:
        raise
    except Exception as error:  # of FFmpeg, of an estimator: one video's trouble
        return Failed(task, line(error) or type(error).__name__)
    extract_parts.write(task.part, part)
    counter.flush()
    return Done(task, len(part.times))


class _Counter:
    """Adds frames up, so that few messages tell of many."""

    def __init__(self, tell: Callable[[int], Any]) -> None:
        self._tell, self._frames, self._last = tell, 0, time.monotonic()

    def one_more(self) -> None:
        self._frames += 1
        if time.monotonic() - self._last > OFTEN:
            self.flush()

    def flush(self) -> None:
        self._tell(self._frames)
        self._frames, self._last = 0, time.monotonic()
