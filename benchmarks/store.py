"""A store of many clips: writing, opening, memory and random access.

The clips are those of `synthetic`, over and over under new ids: what is measured is the store and
not their making. With `--full` there are as many as in Kinetics-skeleton.
"""

import itertools
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from timing import in_turn

from skeldistill import readers
from skeldistill.data.dataset import Side
from skeldistill.data.sampling import draw
from skeldistill.data.store import Store, StoreWriter
from skeldistill.recipe import Sampling

CLIPS, FULL = 20_000, 260_000
BATCH = 64


def measure(full: bool = False) -> dict[str, float]:
    """Clips a second of a core, and megabytes of memory beyond what the process had."""
    count = FULL if full else CLIPS
    reader = readers.find("synthetic", layout="openpose18")
    performed = list(reader.read())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.arrow"
        before = memory()
        begun = time.process_time()
        with watched() as most, StoreWriter(path, reader.describe()) as writer:
            for number, clip in zip(range(count), itertools.cycle(performed)):
                writer.write(replace(clip, id=f"{number:06d}", joints=clip.joints.copy()))
        written = time.process_time() - begun
        size = path.stat().st_size / 2**20
        del performed
        before_opening = memory()
        seconds = in_turn({"open": lambda: Store.open(path)}, rounds=5)
        store = Store.open(path)
        opened = memory()
        rate = walked(store)
        return {
            "clips": count,
            "megabytes on the disk": size,
            "clips a second, writing": count / written,
            "megabytes of memory, writing": most[0] - before,
            "milliseconds to open": 1000 * seconds["open"],
            "megabytes of memory, opening": opened - before_opening,
            "clips a second, random batches of 64 (100 frames)": rate,
            "megabytes of memory, after these batches": memory() - opened,
        }


def walked(store: Store) -> float:
    """Clips a second in random batches, as in the first epoch over a file that may be cold."""
    sampling = Sampling(frames=100, persons=1)
    side, rng = Side(store=store, sampling=sampling), np.random.default_rng(0)
    batches = [rng.integers(0, len(store), BATCH) for _ in range(100)]
    begun = time.process_time()
    for rows in batches:
        side.arrays(rows, draw(BATCH, sampling, rng))
    return BATCH * len(batches) / (time.process_time() - begun)


@contextmanager
def watched() -> Iterator[list[float]]:
    """The most memory that is held within the block, looked at every few milliseconds."""
    most, done = [memory()], threading.Event()

    def look() -> None:
        while not done.wait(0.005):
            most[0] = max(most[0], memory())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        done.set()
        thread.join()


def memory() -> float:
    """Megabytes that the process holds for itself; pages of mapped files are the system's."""
    status = Path("/proc/self/status")
    if not status.exists():
        return float("nan")
    line = next(line for line in status.read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024
