"""Timing that survives a noisy machine: the contestants take turns, and medians are compared."""

import statistics
import time
from collections.abc import Callable


def in_turn(
    contestants: dict[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of each, run one after the other in every round after a first, uncounted.

    With `time.process_time` as clock, what other processes take from the core does not count.
    """
    spent = turns(contestants, rounds, clock)
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


def turns(
    contestants: dict[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """The seconds of each in every round but the first."""
    spent: dict[str, list[float]] = {name: [] for name in contestants}
    for round_ in range(rounds + 1):
        for name, run in contestants.items():
            began = clock()
            run()
            if round_:
                spent[name].append(clock() - began)
    return spent
