"""What a step of distillation costs: plain, with SKD's three losses, and with gradient revision."""

import time

from memory import peak
from skd import STEPS, Setting, distiller_and_batch
from timing import in_turn

BASELINE = "three losses summed"


def measure(setting: Setting | None = None, rounds: int = 4) -> dict[str, float]:
    """Milliseconds of each step, and ratios of time and memory to the plain three-loss step."""
    setting = setting or Setting()
    distiller, batch = distiller_and_batch(setting)
    steps = {name: make(distiller, batch) for name, make in STEPS.items()}
    seconds = in_turn(steps, rounds, time.process_time)
    megabytes = {name: peak(step) for name, step in steps.items()}
    figures = {f"ms, {name}": 1000 * spent for name, spent in seconds.items()}
    figures[f"MB, {BASELINE}"] = megabytes[BASELINE]
    for name in STEPS:
        if name != BASELINE:
            figures[f"time, {name} / {BASELINE}"] = seconds[name] / seconds[BASELINE]
            figures[f"memory, {name} / {BASELINE}"] = megabytes[name] / megabytes[BASELINE]
    return figures
