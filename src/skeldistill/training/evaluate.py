"""Evaluation: what a network says of every clip, and how often it is right."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from skeldistill.data.dataset import Examples
from skeldistill.networks.network import Network
from skeldistill.prediction import Prediction


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a network said of some clips.

    logits: ``(n, k)``, averaged over the frame choices. labels: ``(n,)``. ids: of the clips.
    """

    logits: Float32[np.ndarray, "n k"]
    labels: Int64[np.ndarray, " n"]
    ids: tuple[str, ...]

    @property
    def right(self) -> np.ndarray:
        """Which clips were named rightly, ``(n,)``."""
        return self.in_top(1)

    @property
    def answers(self) -> Int64[np.ndarray, " n"]:
        """The action that each clip is said to be of, ``(n,)``; the true one only if `right`."""
        logits = np.nan_to_num(self.logits, nan=float(np.finfo(np.float32).min))
        wrong = np.flatnonzero(~self.right)
        logits[wrong, self.labels[wrong]] = -np.inf
        return logits.argmax(axis=1)

    def in_top(self, top: int) -> np.ndarray:
        """Which clips have their action among the `top` most likely, ``(n,)``."""
        return in_top(self.logits, self.labels, top)

    def accuracy(self, top: int = 1) -> float:
        """Percent of clips whose action is among the `top` most likely."""
        return 100 * float(self.in_top(top).mean())

    def confusion(self) -> Int64[np.ndarray, "k k"]:
        """Clips by their action (row) and what was said (column)."""
        classes = self.logits.shape[1]
        cells = self.labels * classes + self.answers
        return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def in_top(
    logits: Float32[np.ndarray, "n k"], labels: Int64[np.ndarray, " n"], top: int
) -> np.ndarray:
    """Whether each clip's label is among its `top` highest logits; not in a tie, nor if nan."""
    own = logits[np.arange(len(labels)), labels]
    lower = (logits < own[:, None]).sum(axis=1)
    return (lower >= logits.shape[1] - top) & ~np.isnan(own)


@torch.inference_mode()
def evaluate(
    network: Network,
    examples: Examples,
    *,
    batch_size: int = 64,
    device: torch.device | None = None,
    seed: int = 0,
    epoch: int | None = None,
) -> Said:
    """Run a network over clips, and leave it in the mode it was in.

    Nothing is left to chance, but for the student's augmentation where an epoch is given; it is
    then drawn from `seed`, the epoch and each clip's id. What the student's side blanks is blanked.
    Of no clips it says nothing.
    """
    if not len(examples):
        nothing = np.zeros((0, network.classes), np.float32)
        return Said(logits=nothing, labels=np.zeros(0, np.int64), ids=())
    was_training = network.training
    network.eval()
    turns, blanked = examples.student.sampling.test_clips, examples.student.blanked
    recognise: Callable[[Tensor], Prediction] = network
    if blanked is not None:
        recognise = partial(network.with_blanks, blanked=torch.from_numpy(blanked).to(device))
    total = np.zeros((0,), np.float32)
    for turn in range(turns):
        logits = [
            recognise(batch.joints.to(device)).logits.float().cpu().numpy()
            for batch in examples.testing(batch_size, turn, seed=seed, epoch=epoch)
        ]
        joined = np.concatenate(logits)
        total = joined if turn == 0 else total + joined
    network.train(was_training)
    return Said(
        logits=total / turns,
        labels=examples.clips.labels,
        ids=tuple(examples.student.store.ids[examples.clips.rows].tolist()),
    )
