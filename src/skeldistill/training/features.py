"""What the networks of a run make of the same clips, kept beside its results for the report."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64

from skeldistill import checkpoint
from skeldistill.archives import arrays
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import Clips, evaluation_clips
from skeldistill.data.views import derived, open_views
from skeldistill.files import whole
from skeldistill.losses.part_features import global_features
from skeldistill.networks.network import Network
from skeldistill.prediction import Prediction
from skeldistill.recipe import Recipe
from skeldistill.training.evaluate import Said
from skeldistill.training.names import FEATURES
from skeldistill.training.task import MEASURED, NETWORK, Task

CLASSES, OF_EACH = 8, 30
"""A picture of more colours or dots cannot be read: the most frequent classes, so many of each."""

KEPT = ("logits", "features", "responses")
"""Of every network; files of before that hold less are made anew."""


@dataclass(frozen=True, kw_only=True)
class Features:
    """Features of one network.

    pooled: ``(n, c)``, the mean of the last map over joints and over the frames and persons that
        are there. responses: ``(n, v)``, the norm of each joint's features, the mean over the same;
        None of networks that keep no joints.
    """

    pooled: Float32[np.ndarray, "n c"]
    responses: Float32[np.ndarray, "n v"] | None


def keep(
    recipe: Recipe,
    root: Path,
    names: Sequence[str],
    shown: Sequence[str] = (),
    *,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Write the features of some methods on the same clips, unless they are there already.

    The networks of the first fold and seed are run on clips of the most frequent classes among
    the evaluated ones. Of methods that share no such clip, those of one view are kept.

    Args:
        recipe: of the experiment.
        root: the experiment's folder.
        names: the methods.
        shown: ids of clips that are wanted in any case.
        watch: called with how many networks were run, and how many there are.

    Returns:
        The file: ids, labels, methods; ``logits0``, ``features0``, ``responses0`` of the first
        method, and so on (`Features`).

    Raises:
        OSError, ValueError: a network or view is missing.
    """
    tasks = [
        Task(recipe=recipe, root=root, method=name, fold=0, seed=recipe.seeds[0]) for name in names
    ]
    path = root / FEATURES
    said = [task.said() for task in tasks]
    kept, common = most_that_share([one.ids for one in said])
    tasks, said = [tasks[place] for place in kept], [said[place] for place in kept]
    label_of = dict(zip(said[0].ids, said[0].labels.tolist(), strict=True))
    ids = chosen(common, np.array([label_of[clip] for clip in common], np.int64), shown)
    mark = _mark(tasks, ids)
    if _is_kept(path, mark):
        return path
    arrays: dict[str, np.ndarray] = {
        "mark": np.array(mark),
        "ids": np.array(ids, dtype=np.str_),
        "labels": np.array([label_of[clip] for clip in ids], np.int64),
        "methods": np.array([task.method for task in tasks], dtype=np.str_),
    }
    for place, (task, answers) in enumerate(zip(tasks, said, strict=True)):
        arrays[f"logits{place}"] = _logits(answers, ids)
        network, _ = checkpoint.load(task.folder / NETWORK)
        found = features(network, _examples(task, ids))
        arrays[f"features{place}"] = found.pooled
        if found.responses is not None:
            arrays[f"responses{place}"] = found.responses
        watch(place + 1, len(tasks))
    with whole(path) as partial:
        np.savez_compressed(partial, allow_pickle=False, **arrays)
    return path


def shared(ids: Sequence[Sequence[str]]) -> list[str]:
    """The clips that every method answered for, in the order of the first."""
    others = [set(mine) for mine in ids[1:]]
    return [clip for clip in ids[0] if all(clip in mine for mine in others)]


def most_that_share(ids: Sequence[Sequence[str]]) -> tuple[tuple[int, ...], list[str]]:
    """Which methods answered for the same clips, and for which.

    All of them if they share one; else, from the last on, which are students, as many as do.
    """
    if common := shared(ids):
        return tuple(range(len(ids))), common
    kept: list[int] = []
    for place in reversed(range(len(ids))):
        if shared([ids[place], *(ids[other] for other in kept)]):
            kept.insert(0, place)
    if not kept:
        raise ValueError("no method was asked about any clip")
    return tuple(kept), shared([ids[place] for place in kept])


def chosen(ids: Sequence[str], labels: Int64[np.ndarray, " n"], shown: Sequence[str]) -> list[str]:
    """Clips of the most frequent classes, of ties the first, and those shown; in given order."""
    counts = np.bincount(labels) if len(labels) else np.zeros(0, np.int64)
    frequent = set(np.argsort(-counts, kind="stable")[:CLASSES].tolist())
    wanted, taken = set(shown), np.zeros(len(counts), int)
    kept = []
    for clip, label in zip(ids, labels.tolist(), strict=True):
        fits = label in frequent and taken[label] < OF_EACH
        taken[label] += fits
        if fits or clip in wanted:
            kept.append(clip)
    return kept


@torch.inference_mode()
def features(network: Network, examples: Examples) -> Features:
    """Run a network over clips and keep what the report draws."""
    network.eval()
    pooled, responses = [], []
    for batch in examples.testing(64):
        said = network(batch.joints)
        pooled.append(global_features(said).float().numpy())
        responses.append(joint_responses(said).numpy())
    return Features(
        pooled=np.concatenate(pooled),
        responses=np.concatenate(responses) if network.keeps_joints else None,
    )


def joint_responses(said: Prediction) -> Float[torch.Tensor, "n v"]:
    """How strongly the last layer answers at each joint (SKD Fig. 7).

    The norm over channels, averaged over the frames and persons that are there.
    """
    norms = said.features.float().norm(dim=2)  # n m s v
    present = said.present.to(norms.dtype)
    weights = present / present.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    return (norms * weights[..., None]).sum(dim=(1, 2))


def _logits(said: Said, ids: Sequence[str]) -> Float32[np.ndarray, "n k"]:
    rows = dict(zip(said.ids, range(len(said.ids)), strict=True))
    return said.logits[[rows[clip] for clip in ids]]


def _examples(task: Task, ids: Sequence[str]) -> Examples:
    recipe, method = task.recipe, task.recipe.methods[task.method]
    folder = task.root / "views"
    high, low = open_views(recipe.data, folder, quiet=True)
    view = high if method.view == "high" else low
    seen = derived(view, (), method.completion, recipe.data.seed, folder, quiet=True)
    clips = evaluation_clips(seen, high, low, recipe.data.folds[task.fold], recipe.data)
    rows = dict(zip(seen.ids[clips.rows].tolist(), range(len(clips)), strict=True))
    places = np.array([rows[clip] for clip in ids], np.int64)
    return Examples(
        clips=Clips(
            rows=clips.rows[places],
            teacher_rows=clips.teacher_rows[places],
            labels=clips.labels[places],
        ),
        student=Side(store=seen, sampling=recipe.sampling_of(task.method)),
    )


def _mark(tasks: Sequence[Task], ids: Sequence[str]) -> str:
    """Changes with the networks, the clips, and what is kept of them."""
    said = hashlib.sha256(repr((KEPT, list(ids))).encode())
    for task in tasks:
        said.update(task.method.encode() + (task.folder / MEASURED).read_bytes())
    return said.hexdigest()[:16]


def _is_kept(path: Path, mark: str) -> bool:
    try:
        return str(arrays(path, "mark")["mark"]) == mark
    except (OSError, ValueError, KeyError):
        return False
