"""How much memory something needs: the most that PyTorch holds at any moment, by its own count.

A process's peak would do as well, but depends on what the allocator of C keeps back.
"""

import os
from collections.abc import Callable
from itertools import accumulate

from torch.profiler import ProfilerActivity, profile


def peak(run: Callable[[], object]) -> float:
    """Megabytes held at most while it runs, beyond those held before."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler's greeting
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    results = profiler.profiler.kineto_results
    moments = [event for event in results.events() if event.name() == "[memory]"]
    moments.sort(key=lambda event: event.start_ns())
    return max(accumulate((event.nbytes() for event in moments), initial=0)) / 2**20
