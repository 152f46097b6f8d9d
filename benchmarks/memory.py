"""How much memory something needs: each in a process of its own, whose peak Linux keeps."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch


def peak(prepare: Callable[..., Callable[[], object]], *arguments: Any) -> float:
    """Megabytes that running what `prepare(*arguments)` gives adds to the process's peak."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measured, (prepare, arguments))


def _measured(prepare: Callable[..., Callable[[], object]], arguments: tuple[Any, ...]) -> float:
    torch.set_num_threads(1)
    run = prepare(*arguments)
    before = _peak_so_far()
    run()
    return _peak_so_far() - before


def _peak_so_far() -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (kilobytes,) = (line.split()[1] for line in lines if line.startswith("VmHWM"))
    return int(kilobytes) / 1024
