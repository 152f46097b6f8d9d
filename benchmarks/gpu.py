"""Training on a GPU: clips a second of a teacher and of SKD, and the hours of a whole NTU-60 run.

python benchmarks/gpu.py [--clips 64] [--frames 300] [--device cuda] [--out figures.json]

ST-GCN of full width, 25 joints, two persons, bf16. The share of the peak is of what a product of
large matrices reaches on the same device in the same run, not of a data sheet.
"""

import argparse
import json
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import torch
from skd import (
    Setting,
    Step,
    distiller_and_batch,
    in_bf16,
    quick,
    revised,
    student_alone,
    three_losses,
)
from timing import in_turn

from skeldistill import cost
from skeldistill.data.batch import Batch
from skeldistill.distillation.distill import Distiller
from skeldistill.files import write_text
from skeldistill.training.compiling import compile_networks
from skeldistill.training.machine import machine
from skeldistill.training.train import set_gradients

NTU60 = 40_091
"""Training clips of NTU-60, cross-subject."""
EPOCHS = 60
"""SKD IV-A."""

STEPS = {
    "teacher": student_alone,
    "three losses summed": three_losses,
    "SKD, revised": revised,
    "SKD, quick": quick,
}


def measure(
    setting: Setting | None = None, device: str = "cuda", rounds: int = 10
) -> dict[str, float]:
    """Clips a second, shares of the peak, memory, and projected hours."""
    setting = setting or Setting(layout="ntu25", frames=300, clips=64, persons=2)
    place = torch.device(device)
    distiller, batch = distiller_and_batch(setting)
    work = 2 * 3 * cost.multiply_adds(distiller.student, setting.frames)  # there and twice back
    distiller, batch = _moved(distiller, place), batch.to(place)
    steps = {name: _whole(make, distiller, batch) for name, make in STEPS.items()}
    steps["teacher, compiled"] = _whole(student_alone, *_compiled(setting, place))
    seconds = in_turn({name: _waiting(step, place) for name, step in steps.items()}, rounds)
    peak = _peak(place)
    figures = {"TFLOP/s, product of large matrices in bf16": peak / 1e12}
    for name, spent in seconds.items():
        figures[f"clips a second, {name}"] = setting.clips / spent
        figures[f"time, {name} / three losses summed"] = spent / seconds["three losses summed"]
    reached = work * setting.clips / seconds["teacher"]
    figures["share of that product's rate, teacher"] = reached / peak
    hours = NTU60 * EPOCHS / setting.clips / 3600
    figures["hours, NTU-60 teacher"] = hours * seconds["teacher"]
    figures["hours, NTU-60 SKD student"] = hours * seconds["SKD, revised"]
    if place.type == "cuda":
        for name, step in steps.items():
            torch.cuda.reset_peak_memory_stats()
            step()
            figures[f"GB at most, {name}"] = torch.cuda.max_memory_allocated() / 2**30
    return figures


def _moved(distiller: Distiller, place: torch.device) -> Distiller:
    """On the device, in bf16."""
    assert distiller.teacher is not None
    distiller.teacher.to(place)
    return in_bf16(distiller.to(place).train(), place.type)


def _compiled(setting: Setting, place: torch.device) -> tuple[Distiller, Batch]:
    """The student compiled as in training; as it was, with a line in the log, where that fails."""
    distiller, batch = distiller_and_batch(setting)
    distiller, batch = _moved(distiller, place), batch.to(place)
    trial = student_alone(distiller, batch)
    compile_networks([distiller.student], trial, distiller.buffers())
    return distiller, batch


def _whole(make: Callable[[Distiller, Batch], Step], distiller: Distiller, batch: Batch) -> Step:
    """The step with its optimiser, in bf16."""
    learned = list(distiller.parameters())
    sgd = torch.optim.SGD(learned, lr=1e-4, momentum=0.9, nesterov=True, fused=True)
    gradients = make(distiller, batch)

    def step() -> None:
        found = gradients()
        if isinstance(found, tuple):
            set_gradients(learned, found[0])
        sgd.step()
        sgd.zero_grad()

    return step


def _waiting(step: Step, place: torch.device) -> Step:
    wait = torch.cuda.synchronize if place.type == "cuda" else nullcontext

    def run() -> None:
        step()
        wait()

    return run


def _peak(place: torch.device) -> float:
    """Operations a second of a product of large matrices in bf16."""
    size, times = (8192, 20) if place.type == "cuda" else (512, 3)
    left, right = torch.randn(2, size, size, device=place, dtype=torch.bfloat16)
    run = _waiting(lambda: [left @ right for _ in range(times)], place)
    run()
    began = time.perf_counter()
    run()
    return 2 * size**3 * times / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--clips", type=int, default=64)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--out", type=Path, help="also write the figures as JSON")
    asked = parser.parse_args()
    if asked.device == "cuda" and not torch.cuda.is_available():
        parser.error("PyTorch sees no GPU here; --device cpu only tries the program out")
    setting = Setting(layout="ntu25", frames=asked.frames, clips=asked.clips, persons=2)
    figures = measure(setting, asked.device, asked.rounds)
    for what, value in figures.items():
        print(f"  {what:<60} {value:>12,.3f}")
    if asked.out:
        write_text(asked.out, json.dumps({"machine": machine(), **figures}, indent=2))


if __name__ == "__main__":
    main()
