"""How a command is stopped: by Ctrl-C or by SIGTERM, and what is said then."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPTED = 130
"""The exit status after Ctrl-C."""

RESUMING = frozenset(("run", "train", "distill", "extract", "reproduce", "robustness"))
"""Commands that go on where they stopped."""


@contextmanager
def stopped_well() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does, with nothing half-written: services send it.

    Under torchrun it is left to end a process at once, which may wait for others in an exchange
    that no Python code can interrupt.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ or os.environ.get("WORLD_SIZE", "1") != "1":
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def said(words: list[str]) -> str:
    """What a stopped command line says, in its words without the program's name."""
    resumes = bool(words) and words[0] in RESUMING
    return "stopped; the same command goes on where it left off" if resumes else "stopped"
