"""The training loop: flat, resumable, the same for teachers, plain students and distilled ones.

All chance of an epoch comes from the seed and the epoch's number, so that a run that was
interrupted goes on exactly as it would have.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.loggers.tensorboard import TensorBoardLogger
from torch import Tensor

from skeldistill.data.dataset import Batch, Examples
from skeldistill.distillation.distill import Distiller
from skeldistill.distillation.reviser import Reviser
from skeldistill.prediction import Prediction
from skeldistill.recipe import Training
from skeldistill.training import state

LOOK_EVERY = 100
"""Steps after which the losses are looked at; every look waits for the device."""

History = list[dict[str, Any]]
"""One entry an epoch: epoch, learning_rate, loss, top1, terms, conflicts, skipped, seconds.

terms: every loss, those that the network adds to the task's included. conflicts: share of steps in
which it conflicted with the task. skipped: share of clips that a contrastive loss could learn
nothing from.
"""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a training is, for whoever watches."""

    epoch: int
    epochs: int
    step: int
    steps: int
    last: dict[str, Any] | None = None


def fit(
    distiller: Distiller,
    examples: Examples,
    training: Training,
    *,
    seed: int,
    folder: Path,
    reviser: Reviser | None = None,
    watch: Callable[[Progress], None] = lambda _: None,
) -> History:
    """Train the student of `distiller`, going on from the folder's state if there is one.

    Args:
        distiller: student, task loss, and teacher with its losses if it has one.
        examples: training clips.
        training: the recipe's section.
        seed: of initial order, sampling, augmentation and dropout.
        folder: where the state after each epoch, log.csv and TensorBoard files are kept.
        reviser: revises the gradient of every distillation loss (SKD eq. 12-14); without one, the
            losses are summed.
        watch: called after every step.

    Raises:
        ValueError: no training clip, or a loss that is no longer a number.
    """
    if not len(examples):
        raise ValueError("there is no training clip")
    fabric = Fabric(
        devices=1,
        precision=training.precision,
        loggers=TensorBoardLogger(folder, name="", version=""),
    )
    learned = [parameter for parameter in distiller.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(
        learned,
        lr=training.learning_rate,
        momentum=training.momentum,
        nesterov=training.nesterov,
        weight_decay=training.weight_decay,
        fused=fabric.device.type in ("cpu", "cuda"),
    )
    history = state.load(folder, distiller, optimizer, device=fabric.device)
    _, optimizer = fabric.setup(distiller, optimizer)
    steps = _steps(len(examples), training.batch_size)
    for epoch in range(len(history), training.epochs):
        began = time.perf_counter()
        torch.manual_seed(1_000_003 * seed + epoch)  # dropout
        distiller.train()
        if distiller.teacher is not None:
            distiller.teacher.to(fabric.device).eval()
        tally = _Tally()
        batches = examples.training(
            training.batch_size,
            seed=seed,
            epoch=epoch,
            class_aware=training.batches == "class_aware",
        )
        for step, batch in enumerate(batches):
            batch = batch.to(fabric.device)
            rate = learning_rate(training, epoch + step / steps)
            for group in optimizer.param_groups:
                group["lr"] = rate
            with fabric.autocast():  # revision needs more backward passes than Fabric's wrapper has
                prediction, task, terms = distiller(batch, epoch)
            conflicts = _backward(fabric, prediction, task, terms, learned, reviser)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            tally.add(batch, prediction, task, terms, conflicts)
            tally.add_skipped(distiller.skipped())
            if (step + 1) % LOOK_EVERY == 0 or step + 1 == steps:
                _refuse_no_number(tally, examples, epoch, folder)
            last = history[-1] if history else None
            watch(
                Progress(epoch=epoch, epochs=training.epochs, step=step + 1, steps=steps, last=last)
            )
        entry = {
            "epoch": epoch + 1,
            "learning_rate": learning_rate(training, float(epoch)),
            **tally.means(),
            "seconds": time.perf_counter() - began,
        }
        history.append(entry)
        state.save(folder, distiller, optimizer, history)
        _log(fabric, entry)
    for logger in fabric.loggers:
        logger.finalize("success")
    return history


def learning_rate(training: Training, epoch: float) -> float:
    """The rate at a (fractional) epoch counted from 0: linear warm-up, then the schedule."""
    if epoch < training.warmup:
        return training.learning_rate * max(epoch, 0.1) / training.warmup
    if training.schedule == "steps":
        passed = sum(epoch >= milestone for milestone in training.milestones)
        return training.learning_rate * 0.1**passed
    share = (epoch - training.warmup) / max(training.epochs - training.warmup, 1)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def _refuse_no_number(tally: "_Tally", examples: Examples, epoch: int, folder: Path) -> None:
    """Stop at a loss that is nan or infinite, and name the step and its clips."""
    found = tally.first_without_number()
    if found is None:
        return
    step, value, places = found
    names = examples.student.store.ids[examples.clips.rows[places]].tolist()
    raise ValueError(
        f"the loss is {value} in epoch {epoch + 1}, step {step + 1} (clips {', '.join(names)}); "
        f"the state before this epoch is kept in {folder}; lower training.learning_rate or the "
        "weights of the losses"
    )


def _backward(
    fabric: Fabric,
    said: Prediction,
    task: Tensor,
    terms: dict[str, Tensor],
    learned: list[torch.nn.Parameter],
    reviser: Reviser | None,
) -> dict[str, Tensor]:
    """Fill the parameters' gradients; which losses conflicted with the task."""
    if not terms or reviser is None:
        fabric.backward(task + sum(terms.values()))
        return {}
    scaler = getattr(fabric.strategy.precision, "scaler", None)  # of 16-mixed
    if scaler is not None:
        task, terms = scaler.scale(task), {name: scaler.scale(terms[name]) for name in terms}
    gradients, conflicts = reviser(task, terms, learned, (said.logits, said.features))
    for parameter, gradient in zip(learned, gradients, strict=True):
        parameter.grad = gradient
    return {name: conflict.conflicted for name, conflict in conflicts.items()}


class _Tally:
    """Sums over an epoch, kept on the device until its end."""

    def __init__(self) -> None:
        self.clips = 0
        self.right: Tensor | float = 0.0
        self.sums: dict[str, Tensor] = {}
        self.conflicts: dict[str, Tensor | int] = {}
        self.skipped: dict[str, Tensor | int] = {}
        self.steps = 0
        self.losses: list[Tensor] = []
        self.places: list[Tensor] = []

    def add(
        self,
        batch: Batch,
        said: Prediction,
        task: Tensor,
        terms: dict[str, Tensor],
        conflicts: dict[str, Tensor],
    ) -> None:
        n = len(batch.labels)
        self.clips += n
        self.steps += 1
        self.right = self.right + (said.logits.argmax(dim=1) == batch.labels).sum()
        self.losses.append(sum(terms.values(), task).detach())
        self.places.append(batch.clips)
        own = dict(said.losses)
        for name, value in {"task": task - sum(own.values()), **own, **terms}.items():
            self.sums[name] = self.sums.get(name, 0.0) + n * value.detach()
        for name, conflicted in conflicts.items():
            self.conflicts[name] = self.conflicts.get(name, 0) + conflicted

    def add_skipped(self, skipped: dict[str, Tensor | int]) -> None:
        for name, count in skipped.items():
            self.skipped[name] = self.skipped.get(name, 0) + count

    def first_without_number(self) -> tuple[int, float, np.ndarray] | None:
        """The first step whose loss is nan or infinite: its number, the loss, and its clips."""
        losses = torch.stack(self.losses)
        broken = (~losses.isfinite()).nonzero()
        if not len(broken):
            return None
        step = int(broken[0])
        return step, float(losses[step]), self.places[step].cpu().numpy()

    def means(self) -> dict[str, Any]:
        terms = {name: float(value) / self.clips for name, value in self.sums.items()}
        return {
            "loss": sum(terms.values()),
            "top1": 100 * float(self.right) / self.clips,
            "terms": terms,
            "conflicts": {
                name: float(total) / self.steps for name, total in self.conflicts.items()
            },
            "skipped": {name: float(total) / self.clips for name, total in self.skipped.items()},
        }


def _steps(clips: int, batch_size: int) -> int:
    whole, rest = divmod(clips, batch_size)
    return max(1, whole + (rest >= batch_size / 2))


def _log(fabric: Fabric, entry: dict[str, Any]) -> None:
    scalars = {key: entry[key] for key in ("learning_rate", "loss", "top1", "seconds")}
    scalars |= {f"term/{name}": value for name, value in entry["terms"].items()}
    scalars |= {f"conflict/{name}": value for name, value in entry["conflicts"].items()}
    scalars |= {f"skipped/{name}": value for name, value in entry["skipped"].items()}
    fabric.log_dict(scalars, step=entry["epoch"])
