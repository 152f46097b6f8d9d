"""How fast this machine trains, measured in seconds: what the hours of a plan come from."""

import time
from collections.abc import Callable

import torch

from skeldistill import cost, layouts
from skeldistill.networks import STGCN

LEAST = 3
"""Steps: the first ones also wait for memory, and for kernels to be chosen."""


def training_rate() -> float:
    """Multiply-adds of clips that this machine trains on in a second, measured on ST-GCN.

    Counted are those of the way forth; the measured time holds the way back as well. It is that of
    a machine with nothing else to do, as far as can be told on a busy one.
    """
    where = device()
    n, t = (16, 300) if where.type == "cuda" else (4, 20)
    network = STGCN(layouts.find("coco17"), classes=60, persons=1)
    count = cost.multiply_adds(network, t)
    network = network.to(where).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)
    clips = torch.zeros(n, 1, t, 17, 3, device=where)
    labels = torch.zeros(n, dtype=torch.long, device=where)

    def step() -> None:
        torch.nn.functional.cross_entropy(network(clips).logits, labels).backward()
        optimizer.step()
        optimizer.zero_grad()
        if where.type == "cuda":
            torch.cuda.synchronize()

    took = fastest(step, time.perf_counter)
    if where.type == "cpu":
        # Threads that wait for each other suffer most from other work. Processor time leaves it
        # out, but adds threads up; so it is taken of one, which the machine is at least as fast as.
        with cost.one_thread():
            took = min(took, fastest(step, time.process_time))
    return n * count / took


def fastest(
    step: Callable[[], None],
    clock: Callable[[], float],
    *,
    limit: Callable[[], float] = time.perf_counter,
    seconds: float = 1.5,
) -> float:
    """The shortest time, by `clock`, of as many steps as fit into some seconds by `limit`.

    Other work only ever makes a step longer, for moments or for seconds.
    """
    began, taken = limit(), []
    while len(taken) < LEAST or limit() - began < seconds:
        start = clock()
        step()
        taken.append(clock() - start)
    return min(taken)


def device() -> torch.device:
    """Where training runs."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
