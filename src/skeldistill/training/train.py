"""The training loop: flat, resumable, the same for teachers, plain students and distilled ones.

All chance of an epoch comes from the seed and the epoch's number, so that a run that was
interrupted goes on exactly as it would have.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.single_device import SingleDeviceStrategy
from torch import Tensor

from skeldistill import processes
from skeldistill.data.batch import Batch
from skeldistill.data.dataset import Examples
from skeldistill.distillation.distill import Distiller
from skeldistill.distillation.gradient_revision import Conflict
from skeldistill.distillation.reviser import Reviser
from skeldistill.distillation.synchronised import synchronised
from skeldistill.prediction import Prediction
from skeldistill.recipe import Training
from skeldistill.training import state
from skeldistill.training.compiling import compiled_alone, compiled_for, leave_eager
from skeldistill.training.events import Events, scalars
from skeldistill.training.tally import Tally

LOOK_EVERY = 100
"""Steps after which the losses are looked at; every look waits for the device."""

History = list[dict[str, Any]]
"""One entry an epoch.

epoch, learning_rate, loss, top1, seconds. terms: every loss, those that the network adds to the
task's included. conflicts: share of steps in which it conflicted with the task. strengths: how much
of the task's gradient revision added for it in a step, on average. skipped: share of clips that a
contrastive loss could learn nothing from.
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

    Of several processes that are ``processes.joined`` each takes its share of every batch; what
    comes out is the same in all of them, and the same as of one but for rounding and dropout.

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
        ValueError: no training clip, a loss that is no longer a number, more processes than clips
            in a batch, or processes that do not see one folder.
    """
    steps = steps_of(len(examples), training.batch_size)
    _enough_for_all(len(examples), training.batch_size, steps)
    fabric, events = _fabric(training), Events(folder)
    learned = [parameter for parameter in distiller.parameters() if parameter.requires_grad]
    sgd = _sgd(learned, training, fabric.device)
    fabric.setup_module(distiller)  # first: the optimizer's state follows the weights
    scaling = fabric.strategy.precision
    history = state.begin(folder, distiller, sgd, scaling)
    _same_everywhere(history, folder)
    _begin_momentum(sgd, learned)
    optimizer: Any = fabric.setup_optimizers(sgd)  # one, where it may be several
    examples = _remembered(fabric, distiller, examples, training)
    compiled = compiled_for(fabric, distiller, examples, training, revised=reviser is not None)
    for epoch in range(len(history), training.epochs):
        began = time.perf_counter()
        # dropout; on CPUs the lowest 32 bits of a seed are all that counts
        torch.manual_seed(1_000_003 * seed + epoch + 1_610_612_741 * processes.rank())
        distiller.train()
        tally = Tally()
        batches = examples.training(
            training.batch_size,
            seed=seed,
            epoch=epoch,
            class_aware=training.batches == "class_aware",
            share=processes.share_of if processes.count() > 1 else None,
        )
        for step, batch in enumerate(batches):
            batch = batch.to(fabric.device)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(training, epoch + step / steps)
            clips = min(training.batch_size, len(examples) - step * training.batch_size)
            with processes.together(clips), compiled_alone(bool(compiled)):
                said = _asked(fabric, distiller, batch, epoch, training)
                conflicts = _backward(fabric, *said, learned, reviser)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            tally.add(batch, *said, conflicts, clips)
            tally.add_skipped(distiller.skipped())
            if (step + 1) % LOOK_EVERY == 0 or step + 1 == steps:
                _refuse_no_number(tally, learned, examples, epoch, folder)
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
        # such as masks made from a share, which are parameters
        processes.as_the_first([*distiller.buffers(), *distiller.parameters()])
        if processes.first():
            state.save(folder, distiller, optimizer, history, scaling)
            events.write(scalars(entry), step=epoch + 1)
    leave_eager(compiled)
    return history


def _sgd(
    learned: list[torch.nn.Parameter], training: Training, device: torch.device
) -> torch.optim.SGD:
    return torch.optim.SGD(
        learned,
        lr=training.learning_rate,
        momentum=training.momentum,
        nesterov=training.nesterov and training.momentum > 0,  # without it both are alike
        weight_decay=training.weight_decay,
        fused=device.type in ("cpu", "cuda"),
    )


def _begin_momentum(optimizer: torch.optim.Optimizer, learned: list[torch.nn.Parameter]) -> None:
    """Give weights without a momentum one of 0, which is the same step.

    The fused step takes them all at once, and fails on weights that learn later than others, such
    as those of a loss that starts in a later epoch.
    """
    for parameter in learned:
        optimizer.state[parameter].setdefault("momentum_buffer", torch.zeros_like(parameter))


def require_precision(training: Training) -> None:
    """Refuse (ValueError) a precision that the device has not: it would be silently another."""
    if training.precision == "16-mixed" and not torch.cuda.is_available():
        raise ValueError("training.precision 16-mixed needs a GPU; take bf16-mixed or 32-true")


def _fabric(training: Training) -> Fabric:
    """Device and precision; processes exchange what they must by themselves."""
    require_precision(training)
    if processes.count() == 1:
        return Fabric(devices=1, precision=training.precision)
    device = processes.device()
    return Fabric(
        accelerator=device.type,
        strategy=SingleDeviceStrategy(device=device),
        devices=1,
        precision=training.precision,
    )


def _remembered(
    fabric: Fabric, distiller: Distiller, examples: Examples, training: Training
) -> Examples:
    """The examples with what the teacher must be asked about anew in every epoch."""
    if distiller.teacher is None:
        return examples
    distiller.train()
    distiller.teacher.to(fabric.device).eval()
    with fabric.autocast():
        known = distiller.remember(examples, training.batch_size, fabric.device)
    return replace(examples, teacher=None) if known else examples


def _enough_for_all(clips: int, batch_size: int, steps: int) -> None:
    if not clips:
        raise ValueError("there is no training clip")
    processes.require_joined()
    smallest = min(batch_size, clips - (steps - 1) * batch_size)
    if processes.count() > smallest:
        raise ValueError(
            f"{processes.count()} processes cannot share a batch of {smallest} clips; start fewer, "
            "or raise training.batch_size"
        )


def _same_everywhere(history: History, folder: Path) -> None:
    """Processes that go on from different states would wait for each other for ever."""
    if processes.told(len(history)) != len(history):
        raise ValueError(
            f"process {processes.rank()} finds another state in {folder} than the first; all need "
            "one folder, on a disk that they share"
        )


def learning_rate(training: Training, epoch: float) -> float:
    """The rate at a (fractional) epoch counted from 0: linear warm-up, then the schedule."""
    if epoch < training.warmup:
        return training.learning_rate * max(epoch, 0.1) / training.warmup
    if training.schedule == "steps":
        passed = sum(epoch >= milestone for milestone in training.milestones)
        return training.learning_rate * 0.1**passed
    share = (epoch - training.warmup) / max(training.epochs - training.warmup, 1)
    return training.learning_rate * 0.5 * (1 + math.cos(math.pi * min(share, 1.0)))


def _refuse_no_number(
    tally: Tally, learned: list[torch.nn.Parameter], examples: Examples, epoch: int, folder: Path
) -> None:
    """Stop where losses or weights leave the numbers, and name the step and its clips.

    The weights are looked at as well, since the loss of the step that spoils them was found before.
    They are spoilt once a float cannot hold their squares.
    """
    found = tally.first_without_number()
    if found is None:
        squares = [weight.detach().float().square().sum() for weight in learned]
        if torch.stack(squares).isfinite().all():
            return
        step, value, places = tally.last()
        told = f"the weights grow beyond all numbers after a loss of {value:g}"
    else:
        step, value, places = found
        told = f"the loss is {value}"
    names = examples.student.store.ids[examples.clips.rows[places]].tolist()
    raise ValueError(
        f"{told} in epoch {epoch + 1}, step {step + 1} (clips {', '.join(names)}); the state of "
        f"before is kept in {folder}; lower training.learning_rate or the weights of the losses"
    )


def _asked(
    fabric: Fabric, distiller: Distiller, batch: Batch, epoch: int, training: Training
) -> tuple[Prediction, Tensor, dict[str, Tensor]]:
    """What the student says, the task loss and the terms."""
    # revision needs more backward passes than Fabric's wrapper has
    with fabric.autocast(), synchronised(training.synchronise_batch_norm):
        return distiller(batch, epoch)


def _backward(
    fabric: Fabric,
    said: Prediction,
    task: Tensor,
    terms: dict[str, Tensor],
    learned: list[torch.nn.Parameter],
    reviser: Reviser | None,
) -> dict[str, Conflict]:
    """Fill the parameters' gradients; how the losses stand to the task, where that is asked."""
    if not terms or reviser is None:
        fabric.backward(task + sum(terms.values()))
        set_gradients(learned, processes.total_gradients([one.grad for one in learned], learned))
        return {}
    scaler = getattr(fabric.strategy.precision, "scaler", None)  # of 16-mixed
    if scaler is not None:
        task, terms = scaler.scale(task), {name: scaler.scale(terms[name]) for name in terms}
    gradients, conflicts = reviser(task, terms, learned, (said.logits, said.features))
    set_gradients(learned, gradients)
    return conflicts


def set_gradients(learned: list[torch.nn.Parameter], gradients: Sequence[Tensor | None]) -> None:
    """Give every parameter its gradient, laid out in memory as the parameter is.

    The fused optimizer reads both in the order of memory. A backward pass into ``.grad`` lays
    gradients out so; what `torch.autograd.grad` returns may lie otherwise (channels last).
    """
    for parameter, gradient in zip(learned, gradients, strict=True):
        if gradient is not None and gradient.stride() != parameter.stride():
            gradient = torch.empty_like(parameter).copy_(gradient)
        parameter.grad = gradient


def steps_of(clips: int, batch_size: int) -> int:
    """The steps of an epoch; a last batch of less than half the size is left out."""
    whole, rest = divmod(clips, batch_size)
    return max(1, whole + (rest >= batch_size / 2))
