"""How far quick revision is off on real batches: SKD trained exactly, and both measured each step.

python benchmarks/revision_error.py jhmdb-homogeneous --out FOLDER --epochs 10

Not among `make bench`: it needs the recipe's data (SKELDISTILL_DATA) and minutes.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from skeldistill import recipe
from skeldistill.distillation.reviser import Reviser, conflicts_with, pointwise_weights
from skeldistill.training import perform
from skeldistill.training.task import Task


class Watched(Reviser):
    """Revises exactly and keeps what quick revision would have said."""

    def __init__(self, student: torch.nn.Module) -> None:
        super().__init__()
        self.quick = pointwise_weights(student)
        self.exact_strengths: list[list[float]] = []
        self.quick_strengths: list[list[float]] = []

    def __call__(
        self,
        task_loss: Tensor,
        terms: Mapping[str, Tensor],
        parameters: Sequence[Tensor],
        seen: Sequence[Tensor],
    ):
        quick = conflicts_with(task_loss, terms, seen, self.quick)
        found = super().__call__(task_loss, terms, parameters, seen)
        self.quick_strengths.append([float(one.strength) for one in quick.values()])
        self.exact_strengths.append([float(one.strength) for one in found[1].values()])
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--epochs", type=int, default=10)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    read = recipe.load(recipe.find(chosen.recipe), [f"training.epochs={chosen.epochs}"])
    task = Task(recipe=read, root=chosen.out, method="SKD", fold=0, seed=0)
    for needed in task.needs:
        perform.perform(needed)
    watched: list[Watched] = []

    def watching(_: object, student: torch.nn.Module) -> Watched:
        watched.append(Watched(student))
        return watched[-1]

    perform._reviser = watching
    perform.perform(task)
    for when, steps in halves(watched[-1]).items():
        print(when)
        for what, value in steps.items():
            print(f"  {what:<58} {value:>12.4f}")


def halves(watched: Watched) -> dict[str, dict[str, float]]:
    exact, quick = np.array(watched.exact_strengths), np.array(watched.quick_strengths)
    middle = len(exact) // 2
    return {
        "first half of the steps": compared(exact[:middle], quick[:middle]),
        "second half": compared(exact[middle:], quick[middle:]),
    }


def compared(exact: np.ndarray, quick: np.ndarray) -> dict[str, float]:
    """Of the weight that the task's gradient gets, 1 + the sum of strengths."""
    weights, errors = 1 + exact.sum(axis=1), np.abs(exact.sum(axis=1) - quick.sum(axis=1))
    return {
        "steps": len(exact),
        "weight of the task's gradient, mean": weights.mean(),
        "error of quick revision, mean": (errors / weights).mean(),
        "error of quick revision, median": np.median(errors / weights),
        "error of no revision, mean": ((weights - 1) / weights).mean(),
        "share of losses called conflicting alike": np.mean((exact > 0) == (quick > 0)),
    }


if __name__ == "__main__":
    main()
