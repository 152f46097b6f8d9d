"""Every benchmark, as ratios against a named baseline in the same run; `make bench`.

python benchmarks/run.py [--out figures.json] [--only loader,step] [--full]

Those of `make bench` take about five minutes; with ``--full`` the released algorithm at its full
size runs beside ours as well, the store is as large as Kinetics, inference is compiled, too, and
two more networks run frame by frame, which takes as long again.
"""

import argparse
import functools
import json
import time
from pathlib import Path

import edge
import inference
import loader
import networks
import released
import scaling
import step
import store
import streaming
import torch

from skeldistill.files import write_text
from skeldistill.training.machine import machine

BENCHMARKS = {
    "loader": loader.measure,
    "step": step.measure,
    "released": released.measure,
    "edge": edge.measure,
    "inference": inference.measure,
    "networks": functools.partial(networks.measure, rounds=1),
    "store": store.measure,
    "streaming": streaming.measure,
    "scaling": scaling.measure,
}

FULL = {"store": {"full": True}, "inference": {"compiled": True}, "streaming": {"others": True}}
"""What ``--full`` adds to some of them."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    parser.add_argument("--only", help=f"which, comma-separated: {', '.join(BENCHMARKS)}")
    parser.add_argument("--full", action="store_true", help="also what takes long")
    chosen = parser.parse_args()
    names = chosen.only.split(",") if chosen.only else list(BENCHMARKS)
    if unknown := [name for name in names if name not in BENCHMARKS]:
        parser.error(f"no benchmark called {unknown[0]!r}; known: {', '.join(BENCHMARKS)}")
    if not (chosen.only or chosen.full):
        names.remove("released")
    torch.set_num_threads(1)
    figures = {"machine": machine()}
    for name in names:
        began = time.perf_counter()
        figures[name] = BENCHMARKS[name](**(FULL.get(name, {}) if chosen.full else {}))
        print(f"\n{name} ({time.perf_counter() - began:.0f} s)")
        for what, value in figures[name].items():
            print(f"  {what:<68} {value:>12,.2f}")
    if chosen.out:
        write_text(chosen.out, json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
