"""One training over several processes: a revised SKD step on clips of which each takes its share.

The baseline is one process. By the wall clock, since processes wait for each other: the machine
should be free, with a core for each.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from skd import Setting, distiller_and_batch

from skeldistill import processes
from skeldistill.distillation.reviser import Reviser
from skeldistill.distillation.synchronised import synchronised

COUNTS = (1, 2)
SETTING = Setting(width=0.5, clips=16)


def measure(rounds: int = 5) -> dict[str, float]:
    """Milliseconds of a step on the same clips, and how many times as fast several are."""
    figures = {}
    for count in COUNTS:
        figures[f"ms, processes: {count}"] = 1000 * _started(count, rounds)
    one = figures["ms, processes: 1"]
    for count in COUNTS[1:]:
        figures[f"times as fast as one process, {count}"] = one / figures[f"ms, processes: {count}"]
    return figures


def _started(count: int, rounds: int) -> float:
    launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    said = subprocess.run(
        [sys.executable, "-m", *launch, str(Path(__file__).resolve()), str(rounds)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(said.stdout)


def steps(rounds: int) -> float:
    """Median seconds of a step in this process; the first is not counted."""
    torch.set_num_threads(1)
    distiller, batch = distiller_and_batch(SETTING)
    learned, reviser, spent = list(distiller.parameters()), Reviser(), []
    mine = batch.some(processes.share_of(SETTING.clips))
    for _ in range(rounds + 1):
        processes.wait_for_all()
        began = time.perf_counter()
        with processes.together(SETTING.clips):
            with synchronised():
                said, task, terms = distiller(mine, 0)
            reviser(task, terms, learned, (said.logits, said.features))
        processes.wait_for_all()
        spent.append(time.perf_counter() - began)
    return statistics.median(spent[1:])


if __name__ == "__main__":
    with processes.joined():
        found = steps(int(sys.argv[1]))
        if processes.first():
            print(json.dumps(found))
