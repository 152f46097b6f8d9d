"""Whose turn it is: the tasks of a folder, shared among all runs that work in it.

A task is claimed while it is worked on. What another run, here or on another machine, has claimed
is left to it; what waits for that is waited for.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from skeldistill import processes
from skeldistill.files import folders_to_make, remove_empty
from skeldistill.training.bars import Watch, title
from skeldistill.training.claims import Claim, Claims
from skeldistill.training.leftovers import left_in, put_right
from skeldistill.training.perform import perform
from skeldistill.training.task import Task
from skeldistill.training.train import Progress as Step

LOOK = 1.0
"""Seconds after which somebody who waits for others looks again."""

Say = Callable[[str], None]
"""Tells people what is waited for."""


class Waiting:
    """The tasks that are not done yet, by whomever.

    Args:
        tasks: all of them, each after those it needs.
        finished: called for every task, once it is done.
        say: called once for every task that another run has claimed.
    """

    def __init__(
        self, tasks: Sequence[Task], finished: Callable[[Task], None], say: Say = lambda _: None
    ) -> None:
        self.tasks = list(tasks)
        self._finished, self._say = finished, say
        self._claims = Claims()
        self._said: set[Path] = set()

    def next(self) -> tuple[Task, Claim] | None:
        """The next task that can be done now, claimed; None if all are done or others' turn."""
        for task in list(self.tasks):
            claim = None
            if not task.done:
                if not all(needed.done for needed in task.needs):
                    continue
                claim = self._claims.take(task.folder)
                if claim is None:
                    self._tell(task)
                    continue
            elif left_in(task) and (claim := self._claims.take(task.folder)) is not None:
                put_right(task)
            self.tasks.remove(task)
            if claim is not None and not task.done:  # nor by another in this moment
                return task, claim
            if claim is not None:
                claim.release()
            self._finished(task)
        return None

    def performed(self, task: Task, claim: Claim) -> None:
        """Hear that the task is done, or was taken over and waits again."""
        claim.release()
        if claim.lost and not task.done:
            self.tasks.insert(0, task)
        else:
            self._finished(task)

    def _tell(self, task: Task) -> None:
        owner = self._claims.owner(task.folder)
        if owner is not None and task.folder not in self._said:
            self._said.add(task.folder)
            self._say(f"{title(task)}: {owner} is at it")


class TakenOver(Exception):
    """Another run has taken this one for dead, and does its task."""


def in_turn(
    tasks: Sequence[Task],
    watch: Watch,
    finished: Callable[[Task], None],
    say: Say = lambda _: None,
) -> None:
    """Perform tasks one after another, those that no other run does; ends when all are done.

    Of several processes that train together the first one says which.
    """
    if not processes.first():
        while (place := processes.told(0)) >= 0:
            perform(tasks[place])
        return
    waiting = Waiting(tasks, finished, say)
    while waiting.tasks:
        turn = waiting.next()
        if turn is None:
            time.sleep(LOOK if waiting.tasks else 0)
            continue
        task, claim = turn
        processes.told(tasks.index(task))
        try:
            perform(task, _watching(task, claim, watch))
        except TakenOver:
            pass
        except BaseException:
            claim.release()
            raise
        waiting.performed(task, claim)
    processes.told(-1)


def _watching(task: Task, claim: Claim, watch: Watch) -> Callable[[Step], None]:
    def tell(step: Step) -> None:
        # one of several processes cannot leave the others; all runs come to the same anyway
        if claim.lost and processes.count() == 1:
            raise TakenOver
        watch(task, step)

    return tell


@contextmanager
def alone_in(folder: Path, say: Say = lambda _: None) -> Iterator[None]:
    """Work in a folder when no other run does; what nothing was made in is not left behind."""
    claims, said = Claims(), False
    made = folders_to_make(folder)
    while (claim := claims.take(folder)) is None:
        owner = claims.owner(folder)
        if owner is not None and not said:
            said = True
            say(f"{folder}: {owner} is at it")
        time.sleep(LOOK)
    try:
        yield
    finally:
        claim.release()
        remove_empty(made)
