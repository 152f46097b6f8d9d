"""The newest: of a camera's frames, those that somebody slower has the time to look at."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")

TICK = 0.5
"""Seconds after which who waits looks whether Ctrl-C was pressed: not every system says so."""

LINGER = 1.0
"""Seconds that `Newest.close` waits for a thread that waits for a camera."""

SETTLING = 1.0
"""Seconds at the beginning of which nothing is said: models load, and buffers are emptied."""

JUDGED = 3.0
"""Seconds after these over which frames are counted."""

MISSED = 0.1
"""Share of the frames, at least, that must be left out for it to be told."""


class Newest(Generic[Item]):
    """Gives what came last; what comes while nobody asks takes the place of what came before.

    Args:
        items: gone through in a thread of its own until they end, or nobody wants more.
        release: called in that thread then: what the items come from is not let go elsewhere while
            the thread waits in it.
    """

    def __init__(self, items: Iterator[Item], release: Callable[[], None]) -> None:
        self._items, self._release = items, release
        self._slot: deque[Item] = deque(maxlen=1)
        self._changed = threading.Condition()
        self._stopped = self._over = False
        self._error: BaseException | None = None
        # a daemon: no command lives on for a camera that is silent
        self.thread = threading.Thread(target=self._run, name="newest", daemon=True)
        self.thread.start()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        """What came last, once it is another than before.

        Raises:
            BaseException: what went wrong in the thread, after all that came before it.
        """
        with self._changed:
            while not (self._slot or self._over):
                self._changed.wait(TICK)
            if self._slot:
                return self._slot.popleft()
            error, self._error = self._error, None
        raise error or StopIteration

    def close(self) -> None:
        """Nobody wants more; a thread that waits for a silent camera ends when that is given up."""
        with self._changed:
            self._stopped = True
        self.thread.join(LINGER)

    def _run(self) -> None:
        try:
            for item in self._items:
                with self._changed:
                    if self._stopped:
                        break
                    self._slot.append(item)
                    self._changed.notify()
        except BaseException as error:
            self._error = error
        finally:
            with self._changed:
                self._over = True
                self._changed.notify()
            self._release()


class Pace:
    """Says once in one line, after some seconds, that frames of a camera are left out."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None
        self._taken = 0
        self._said = False

    def told(self, time: float, number: int) -> str:
        """Of a frame that is taken, at so many seconds and after so many others; mostly ""."""
        if self._said or time < SETTLING:
            return ""
        if self._first is None:
            self._first = (time, number)
            return ""
        self._taken += 1
        seconds, came = time - self._first[0], number - self._first[1]
        if seconds < JUDGED:
            return ""
        self._said = True
        if self._taken > (1 - MISSED) * came:
            return ""
        return (
            f"about {self._taken / seconds:.0f} of {came / seconds:.0f} frames a second are "
            "looked at, always the newest: estimator and network take no more"
        )
