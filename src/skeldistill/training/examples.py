"""The clips of a task: what its network learns from, is taught on and is asked about."""

from dataclasses import replace

from skeldistill.clip import UNLABELLED
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import Clips, evaluation_clips, teacher_clips, training_clips
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
        clips=evaluation_clips(seen, low, fold, recipe.data),
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
    clips = teacher_clips(high, low, recipe.data.folds[task.fold], recipe.data)
    return Examples(clips=clips, student=_teacher_side(task, high))


def clips_to_learn(method: Method, high: Store, low: Store, fold: Fold, data: Data) -> Clips:
    """The training clips of a method, by rows that are the same in a view and in it completed.

    Raises:
        ValueError: none of them has a label.
    """
    clips = (
        teacher_clips(high, low, fold, data)
        if _from_high(method) or method.view == "high"
        else training_clips(low, high, fold, data)
    )
    if method.clips == "paired":
        clips = clips.only_paired()
    if method.clips == "labelled" or not method.losses:
        clips = clips.only_labelled()
    if not (clips.labels != UNLABELLED).any():
        raise ValueError(
            f"no training clip of split {fold.train!r} that a method may see has a label; label "
            "some, or raise data.labelled"
        )
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
