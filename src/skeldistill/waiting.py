"""What is shown while one waits: a bar for long loops, a word while a large library is loaded."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from skeldistill import terminal

T = TypeVar("T")

PATIENCE = 1.0
"""Seconds after which a loop shows how far it is."""

SLOW = 2.0
"""Seconds after which a library that is being loaded is named."""


@contextmanager
def shown(
    items: Iterable[T], what: str, *, total: int | None, unit: str = "clips", quiet: bool = False
) -> Iterator[Iterator[T]]:
    """The items, with a bar on the standard error output once they have taken `PATIENCE`.

    A context and not a generator alone: an error in the loop must end the bar there and then, and
    not write its last line when the interpreter comes to throw the generator away.

    Args:
        items: what the loop goes over.
        what: named before the bar.
        total: how many there are, if that is known.
        unit: what is counted.
        quiet: no bar.
    """
    bar = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
        console=terminal.console(stderr=True),
    )
    task = bar.add_task(what, total=total)
    begun = time.monotonic()

    def counted() -> Iterator[T]:
        for item in items:
            yield item
            bar.advance(task)
            if not (quiet or bar.live.is_started) and time.monotonic() - begun > PATIENCE:
                bar.start()

    try:
        yield counted()
    finally:
        if bar.live.is_started:
            bar.stop()


@contextmanager
def loading(library: str = "PyTorch") -> Iterator[None]:
    """Around imports: a terminal is told once they have taken `SLOW`, as on a busy machine."""
    console = terminal.console(stderr=True)
    status = console.status(f"loading {library} ...")
    timer = threading.Timer(SLOW, status.start)  # the import itself has no moment to look up
    timer.daemon = True
    if console.is_terminal:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if timer.ident is not None:
            timer.join()  # it may be about to start what is stopped here
        status.stop()
