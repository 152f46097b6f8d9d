"""The clips of a task: what its network learns from, is taught on and is asked about."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool

from skeldistill.clip import UNLABELLED
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import (
    Clips,
    evaluation_clips,
    parts_of,
    teacher_clips,
    training_clips,
)
from skeldistill.data.store import Store
from skeldistill.data.views import derived
from skeldistill.recipe import Data, Fold, Method, Part, Recipe
from skeldistill.training.task import Task


def examples_of(task: Task, method: Method, high: Store, low: Store) -> tuple[Examples, Examples]:
    """Training and evaluation clips of a method."""
    recipe, folder = task.recipe, task.root / "views"
    fold = recipe.data.folds[task.fold]
    sampling = recipe.sampling_of(task.method)
    view = high if method.view == "high" else low
    seen = derived(view, (), method.completion, recipe.data.seed, folder, quiet=True)
    tested = Examples(
        clips=evaluation_clips(seen, high, low, fold, recipe.data),
        student=Side(store=seen, sampling=sampling),
    )
    if _from_high(method):
        _need_same_joints("augment: high", high, seen)
    taught = high if _from_high(method) else seen
    student = Side(
        store=taught,
        sampling=sampling,
        augmentation=method.augmentation,
        completion=method.completion,
    )
    teacher = mixed = None
    if method.losses:
        teacher = _teacher_side(task.sibling(method.teachers[0]), high)
    if method.mix:
        mixed = _mixed(task, method, student, high)
    clips = clips_to_learn(method, high, low, fold, recipe.data)
    examples = Examples(clips=clips, student=student, teacher=teacher, mixed=mixed, mix=method.mix)
    return examples, tested


def teacher_examples(task: Task, high: Store, low: Store) -> Examples:
    """The clips that a teacher's task was trained on, as it sees them."""
    recipe = task.recipe
    method, fold = recipe.methods[task.method], recipe.data.folds[task.fold]
    clips = _without_part(method, high, teacher_clips(high, low, fold, recipe.data), recipe.data)
    return Examples(clips=clips, student=_teacher_side(task, high))


def who_answers(
    members: Sequence[Method], clips: Clips, high: Store, low: Store, fold: Fold, data: Data
) -> Bool[np.ndarray, "n members"] | None:
    """For every clip of a student, which of its teachers have not trained on its match.

    None where no teacher leaves out clips: all answer for all. For matches that none of them was to
    train on, such as unlabelled ones, all answer, too.
    """
    left = [member.leave_out for member in members]
    if not (left and all(left)):
        return None
    learnt = teacher_clips(high, low, fold, data).rows
    parts = dict(
        zip(learnt.tolist(), parts_of(high, learnt, len(left), data).tolist(), strict=True)
    )
    mine = np.array([parts.get(row, -1) for row in clips.teacher_rows.tolist()])
    answers = np.array([one[0] for one in left if one]) == mine[:, None]
    return answers | (mine == -1)[:, None]


def _without_part(method: Method, high: Store, clips: Clips, data: Data) -> Clips:
    """A teacher's clips, less the part that it leaves out."""
    if method.leave_out is None:
        return clips
    part, parts = method.leave_out
    return clips.some(parts_of(high, clips.rows, parts, data) != part)


def clips_to_learn(method: Method, high: Store, low: Store, fold: Fold, data: Data) -> Clips:
    """The training clips of a method, by rows that are the same in a view and in it completed.

    Raises:
        ValueError: none of them has a label.
    """
    clips = _seen_by(method, high, low, fold, data)
    if (clips.labels != UNLABELLED).any():
        return clips
    paired = data.model_copy(update={"paired": 1.0})
    if data.paired < 1 and (_seen_by(method, high, low, fold, paired).labels != UNLABELLED).any():
        raise ValueError(
            f"no training clip of split {fold.train!r} that a method may see is left: data.paired "
            f"{data.paired:g} lets none with a label keep its match; raise it"
        )
    raise ValueError(
        f"no training clip of split {fold.train!r} that a method may see has a label; label "
        "some, or raise data.labelled"
    )


def _seen_by(method: Method, high: Store, low: Store, fold: Fold, data: Data) -> Clips:
    """The training clips of a method, though none of them may have a label."""
    clips = (
        teacher_clips(high, low, fold, data)
        if _from_high(method) or method.view == "high"
        else training_clips(low, high, fold, data)
    )
    clips = _without_part(method, high, clips, data)
    if method.clips == "paired":
        clips = clips.only_paired()
    if method.clips == "labelled" or not method.losses:
        clips = clips.only_labelled()
    return clips


def completed_views(recipe: Recipe) -> list[tuple[str, Part]]:
    """The views that methods see completed: "high" or "low", and by what."""
    return [
        (view, method.completion)
        for method in recipe.methods.values()
        if method.completion
        for view in ((method.view, "high") if method.mix else (method.view,))
    ]


def _from_high(method: Method) -> bool:
    """Whether the clips of training are high ones, made worse afresh in every epoch."""
    return method.augment == "high" and bool(method.augmentation)


def _mixed(task: Task, method: Method, student: Side, high: Store) -> Side:
    """The high view as the student sees its own, completed too; both need the same joints."""
    _need_same_joints("mix", high, student.store)
    folder, seed = task.root / "views", task.recipe.data.seed
    seen = derived(high, (), method.completion, seed, folder, quiet=True)
    return replace(student, store=seen)


def _need_same_joints(what: str, high: Store, seen: Store) -> None:
    """Who learns from high clips and is asked about others must see the same in both."""
    if not (high.layout.same_as(seen.layout) and high.channels == seen.channels):
        raise ValueError(
            f"{what} needs both views on the same joints; high has {high.layout.name} "
            f"({high.channels}-D) and low {seen.layout.name} ({seen.channels}-D)"
        )


def _teacher_side(task: Task, high: Store) -> Side:
    """The high view as a teacher's task was trained on it: sampled, and completed, its own way."""
    recipe, completion = task.recipe, task.recipe.methods[task.method].completion
    seen = derived(high, (), completion, recipe.data.seed, task.root / "views", quiet=True)
    return Side(store=seen, sampling=recipe.sampling_of(task.method))
