"""Runs on many machines, started by a queue: submitit, for SLURM or for this machine.

Runs with one folder share its tasks (`claims`), so all that is left to do is to start several.
"""

import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skeldistill.extras import require

HOURS = {"timeout_min": 720}
"""How long a job may take unless the caller says otherwise; submitit's own default is 5 minutes."""

LOOK = 1.0
"""Seconds after which jobs are looked at again."""


@dataclass(frozen=True)
class Run:
    """One run, as a process of the machine that the queue finds for it."""

    command: tuple[str, ...]

    def __call__(self) -> int:
        """The run's exit status."""
        return subprocess.run(self.command, check=False).returncode

    def checkpoint(self, *_: Any) -> Any:
        """Asked when its time is over, or others go first: it is queued again, and goes on."""
        return require("submitit.helpers", extra="cluster").DelayedSubmission(self)


def submit(
    commands: Sequence[Sequence[str]],
    folder: Path,
    *,
    queue: str = "slurm",
    options: Mapping[str, Any] | None = None,
) -> list[Any]:
    """Queue a job for every command.

    Args:
        commands: each a program with its arguments, that exits with 0 if all went well.
        folder: for what jobs say; seen by all machines.
        queue: ``slurm``, or ``local`` for this machine.
        options: what the queue must know, by submitit's names; `HOURS` by default.

    Returns:
        submitit's jobs.

    Raises:
        ValueError: there is no such queue here, or it does not know an option.
    """
    engine = require("submitit", extra="cluster")
    try:
        executor = engine.AutoExecutor(folder=folder, cluster=queue)
        executor.update_parameters(**{"name": "skeldistill", **HOURS, **(options or {})})
        return [executor.submit(Run(tuple(command))) for command in commands]
    except (NameError, AssertionError, RuntimeError) as error:
        raise ValueError(f"queue {queue}: {error}") from error


def wait_for(jobs: Sequence[Any]) -> None:
    """Wait until all jobs have ended, well or not; an interrupt cancels them."""
    try:
        while not all(job.done() for job in jobs):
            time.sleep(LOOK)
    except BaseException:
        for job in jobs:
            job.cancel(check=False)
        raise
