"""Finished runs from outside the loop: a checkpoint on a store, a teacher's part matrix."""

import csv
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from skeldistill import checkpoint
from skeldistill import recipe as recipes
from skeldistill.clip import UNLABELLED
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import SOLITARY, Clips
from skeldistill.data.store import Store
from skeldistill.data.views import derived, open_views, refuse_completed
from skeldistill.distillation.knowledge import ask
from skeldistill.distillation.part_matrix import part_weights
from skeldistill.files import whole
from skeldistill.recipe import Sampling
from skeldistill.training.evaluate import Said, evaluate
from skeldistill.training.examples import teacher_examples
from skeldistill.training.fusion import softmax
from skeldistill.training.task import NETWORK, SAID, Task, said_in


def evaluate_store(
    path: Path, store_path: Path, split: str | None = None
) -> tuple[Said, tuple[str, ...]]:
    """What a saved network says of a store's clips, completed and sampled as in its training.

    Clips without a label have the one with which the network's own run evaluated them, if it did.

    Raises:
        ValueError: the store's layout, channels, units or classes are not those of the network, or
            it is filled already though the network fills lost joints itself.
    """
    network, about = checkpoint.load(path)
    store = Store.open(store_path)
    side = Side(store=store, sampling=Sampling(**about["sampling"]))
    if not store.layout.same_as(network.layout):
        raise ValueError(
            f"{path.name} works on layout {network.layout.name!r} but {store_path.name} has "
            f"{store.layout.name!r}"
        )
    if side.channels != network.channels:
        raise ValueError(
            f"{path.name} takes {network.channels} channels but {store_path.name} gives "
            f"{side.channels}"
        )
    if about.get("units", store.units) != store.units:
        raise ValueError(
            f"{path.name} was trained on joints in {about['units']} but {store_path.name} is in "
            f"{store.units}; bring it to {about['units']}, or import it with option "
            f"units={about['units']} if it is in those already"
        )
    completion = checkpoint.completion_of(about)
    refuse_completed(store, completion)
    classes = tuple(about["classes"])
    if classes and store.classes and classes != tuple(store.classes):
        raise ValueError(f"{store_path.name} has other classes than {path.name} was trained on")
    rows = store.in_split(split) if split else np.arange(len(store))
    labels = _labels(store, rows, path.parent)
    if (labels == UNLABELLED).any():
        raise ValueError(f"{store_path.name} has clips without a label; they cannot be evaluated")
    if labels.max() >= network.classes:
        raise ValueError(f"{store_path.name} has label {labels.max()}; the network knows fewer")
    clips = Clips(rows=rows, teacher_rows=np.full(len(rows), SOLITARY), labels=labels)
    with tempfile.TemporaryDirectory() as folder:
        seen = replace(side, store=derived(store, (), completion, 0, Path(folder)))
        return evaluate(network, Examples(clips=clips, student=seen)), classes


def _labels(store: Store, rows: Int64[np.ndarray, " n"], folder: Path) -> Int64[np.ndarray, " n"]:
    """Labels, and of clips without one what the run in this folder took from its other view."""
    labels = store.labels[rows]
    if (labels != UNLABELLED).all() or not (folder / SAID).is_file():
        return labels
    said = said_in(folder)
    known = dict(zip(said.ids, said.labels.tolist(), strict=True))
    theirs = [known.get(clip_id, UNLABELLED) for clip_id in store.ids[rows].tolist()]
    return np.where(labels == UNLABELLED, theirs, labels)


def evaluate_run(
    path: Path, store_path: Path | None = None, split: str | None = None
) -> tuple[Said, tuple[str, ...]]:
    """What a network says of a store's clips; without one, of those that its own run evaluated.

    Args:
        path: a finished task's folder, or a saved network.
        store_path: see `evaluate_store`.
        split: of the store.

    Raises:
        ValueError: without a store, anything but a finished task's folder; with one, as
            `evaluate_store`.
    """
    if (path / "recipe.yaml").is_file() and not any(path.glob("*.safetensors")):
        raise ValueError(
            f"{path} is an experiment; name one of its runs, such as {path / 'fold0/SKD/seed0'}"
        )
    if store_path is not None:
        return evaluate_store(path / NETWORK if path.is_dir() else path, store_path, split)
    if not (path / SAID).is_file():
        raise ValueError(
            f"{path} is not the folder of a finished run (such as fold0/SKD/seed0); give one, or a "
            "store to evaluate networks on"
        )
    _, about = checkpoint.load(path / NETWORK)
    said = said_in(path)
    if not said.ids:
        raise ValueError(f"{path} was tested on no clip; name a store to evaluate it on")
    return said, tuple(about["classes"])


def write_predictions(said: Said, classes: tuple[str, ...], path: Path) -> None:
    """Every clip with its action, what was said, and how surely, as CSV."""
    probabilities = softmax(said.logits)

    def name(label: int) -> str:
        return classes[label] if classes else str(label)

    with whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "action", "said", "probability"])
        for clip_id, label, best, row in zip(
            said.ids, said.labels.tolist(), said.answers.tolist(), probabilities, strict=True
        ):
            writer.writerow([clip_id, name(label), name(best), f"{row[best]:.4f}"])


def part_matrix_of(
    root: Path, seed: int | None, fold: int
) -> tuple[list[list[float]], list[list[float]], list[str]]:
    """The part matrix of an experiment's teacher: eq. (12), eq. (13), and the actions' names."""
    recipe = recipes.of_experiment(root)
    seed = recipe.seeds[0] if seed is None else seed
    name = recipe.main_teacher
    if name is None:
        raise ValueError(f"{root} has no method on the high view, so no teacher")
    task = Task(recipe=recipe, root=root, method=name, fold=fold, seed=seed)
    if not task.done:
        raise ValueError(f"the teacher {name!r} of fold {fold}, seed {seed} is not trained yet")
    teacher, _ = checkpoint.load(task.folder / NETWORK)
    high, low = open_views(recipe.data, root / "views", quiet=True)
    known = ask(teacher, teacher_examples(task, high, low), task.folder)
    missed = known["misclassified"]
    names = list(high.classes) or [str(k) for k in range(len(missed))]
    return missed.tolist(), part_weights(missed).tolist(), names
