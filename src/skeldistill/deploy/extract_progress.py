"""How far an extraction is: a bar on a terminal, a line now and then elsewhere."""

import datetime
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from skeldistill import terminal

PATIENCE = 30.0
"""Seconds between two lines where there is no terminal."""


class Shown:
    """Videos done and failed, frames per second and the time left, on the standard error output.

    Args:
        videos: how many there are to do.
        quiet: show nothing.
        console: where to show it.
    """

    def __init__(self, videos: int, *, quiet: bool, console: Console | None = None) -> None:
        self._console = console or terminal.console(stderr=True)
        self._videos, self._finished, self._failed, self._frames = videos, 0, 0, 0
        self._begun = self._last = time.monotonic()
        self._quiet = quiet
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("videos, {task.fields[failed]} failed, {task.fields[speed]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
        )
        self._task = self._bar.add_task("extract", total=videos, failed=0, speed="")

    def __enter__(self) -> "Shown":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def frames(self, count: int) -> None:
        """So many frames more are done."""
        self._frames += count
        self._show()

    def video(self, *, failed: bool) -> None:
        """One video more is done, or has failed."""
        self._finished += 1
        self._failed += failed
        self._bar.advance(self._task)
        self._show()

    def _show(self) -> None:
        now = time.monotonic()
        took = max(now - self._begun, 1e-9)
        speed = f"{self._frames / took:.1f} frames/s"
        self._bar.update(self._task, failed=self._failed, speed=speed)
        if self._quiet or self._console.is_terminal or now - self._last < PATIENCE:
            return
        self._last = now
        left = "unknown"
        if self._finished:
            seconds = took / self._finished * (self._videos - self._finished)
            left = str(datetime.timedelta(seconds=round(seconds)))
        self._console.print(
            f"{self._finished} of {self._videos} videos, {self._failed} failed, {speed}, "
            f"time left {left}"
        )
