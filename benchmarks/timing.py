"""Timing that survives a noisy machine: the contestants take turns, and medians are compared."""

import statistics
import time
from collections.abc import Callable


def in_turn(contestants: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of each, run one after the other in every round after a first, uncounted."""
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(rounds + 1):
        for name, run in contestants.items():
            began = time.perf_counter()
            run()
            if round_:
                spent[name].append(time.perf_counter() - began)
    return {name: statistics.median(seconds) for name, seconds in spent.items()}
