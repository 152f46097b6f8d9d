"""The edge loss, a tile of pairs at a time, against all pairs at once and plain autograd."""

import time

import torch
from memory import peak
from released import all_edges
from timing import in_turn

from skeldistill.losses.graph_matching import edge_loss

FRAMES = {"425 vertices": 17, "1,875 vertices": 75}
"""Of 25 joints: the map of 68 frames, and of 300."""


def tiled(student, teacher):
    return edge_loss(student, teacher, form="release")


def tiled_paper(student, teacher):
    return edge_loss(student, teacher, form="paper")


CONTESTANTS = {"tiled": tiled, "tiled, paper's form": tiled_paper, "all pairs at once": all_edges}
BASELINE = "all pairs at once"


def measure(persons: int = 4) -> dict[str, float]:
    """Milliseconds and megabytes of value and gradient, and ratios to all pairs at once."""
    figures = {}
    for size, frames in FRAMES.items():
        steps = {name: prepare(name, frames, persons) for name in CONTESTANTS}
        seconds = in_turn(steps, rounds=5, clock=time.process_time)
        for name, spent in seconds.items():
            figures[f"ms, {size}, {name}"] = 1000 * spent
        for name in CONTESTANTS:
            if name != BASELINE:
                ratio = seconds[name] / seconds[BASELINE]
                figures[f"time, {size}, {name} / {BASELINE}"] = ratio
    for name in CONTESTANTS:
        for size, frames in FRAMES.items():
            figures[f"MB, {size}, {name}"] = peak(prepare(name, frames, persons))
    return figures


def prepare(name: str, frames: int, persons: int):
    torch.manual_seed(0)
    # channels last in memory, as networks give them
    student, teacher = torch.randn(2, persons, frames, 25, 256).permute(0, 1, 4, 2, 3)
    student.requires_grad_()

    def step() -> None:
        student.grad = None
        CONTESTANTS[name](student, teacher).backward()

    return step
