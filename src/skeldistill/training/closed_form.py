"""Networks that are fitted in one go instead of being trained step by step."""

import math
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from skeldistill.data.dataset import Examples
from skeldistill.distillation.distill import Distiller
from skeldistill.recipe import Training
from skeldistill.training.train import History, Progress


@torch.no_grad()
def fit_closed_form(
    distiller: Distiller,
    examples: Examples,
    training: Training,
    *,
    seed: int,
    watch: Callable[[Progress], None] = lambda _: None,
) -> History:
    """Fit the student of `distiller` to the training clips, as the first epochs would have them.

    Args:
        distiller: student and task loss.
        examples: training clips.
        training: the recipe's section, of which the size of batches alone matters.
        seed: of sampling and augmentation.
        watch: called after every batch.

    Returns:
        One entry: the task loss and accuracy on the training clips, once fitted.

    Raises:
        ValueError: there is no training clip.
    """
    if not len(examples):
        raise ValueError("there is no training clip")
    began = time.perf_counter()
    student = distiller.student
    passes = student.closed_form_passes
    steps = passes * math.ceil(len(examples) / training.batch_size)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        step = 0
        for epoch in range(passes):
            for batch in examples.training(training.batch_size, seed=seed, epoch=epoch):
                yield batch.joints, batch.labels
                step += 1
                watch(Progress(epoch=0, epochs=1, step=step, steps=steps))

    student.fit_closed_form(batches())
    distiller.eval()
    loss, right, clips = 0.0, 0, 0
    for batch in examples.training(training.batch_size, seed=seed, epoch=0):
        said, task, _ = distiller(batch, 0)
        loss += len(batch.labels) * float(task)
        right += int((said.logits.argmax(dim=1) == batch.labels).sum())
        clips += len(batch.labels)
    entry = {
        "epoch": 1,
        "learning_rate": 0.0,
        "loss": loss / clips,
        "top1": 100 * right / clips,
        "terms": {"task": loss / clips},
        "conflicts": {},
        "strengths": {},
        "skipped": {},
        "seconds": time.perf_counter() - began,
    }
    return [entry]
