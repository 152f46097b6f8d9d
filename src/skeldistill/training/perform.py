"""Performing a task: from its recipe to a trained network, what it says, and what was measured."""

import json
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch

from skeldistill import checkpoint, losses, networks, processes
from skeldistill.data.checking import MOST_UNNAMED
from skeldistill.data.dataset import Side
from skeldistill.data.pace import clip_seconds
from skeldistill.data.store import Store
from skeldistill.data.views import open_views
from skeldistill.distillation.distill import Distiller
from skeldistill.distillation.ensemble import Ensemble
from skeldistill.distillation.knowledge import share_knowledge
from skeldistill.distillation.reviser import Reviser, pointwise_weights
from skeldistill.files import whole, write_text
from skeldistill.losses.loss import Loss, LossContext, require_defined
from skeldistill.networks.contract import require_stated
from skeldistill.networks.network import Network
from skeldistill.recipe import LossTerm, Method, Recipe, Training
from skeldistill.shelf import build
from skeldistill.training import state
from skeldistill.training.closed_form import fit_closed_form
from skeldistill.training.comparable import (
    copies_note,
    crowded_note,
    require_comparable,
    unmatched_note,
    unseen_note,
)
from skeldistill.training.evaluate import Said, evaluate
from skeldistill.training.examples import examples_of, teacher_examples, who_answers
from skeldistill.training.leftovers import forget_if_changed
from skeldistill.training.settle import settle, spreads
from skeldistill.training.task import (
    MEASURED,
    NETWORK,
    SAID,
    Task,
    mark_of,
    network_part,
    require_same_views,
)
from skeldistill.training.train import Progress, fit, require_precision


def check(task: Task) -> list[str]:
    """Refuse in one line what would fail later: parts that no shelf has, options they lack.

    Returns:
        What is allowed but better known before, if anything is.
    """
    recipe = task.recipe
    method = recipe.methods[task.method]
    if task.start is not None and method.start_from not in recipe.methods:
        checkpoint.load(task.start)
    views = open_views(recipe.data, task.root / "views", quiet=True)
    examples, tested = examples_of(task, method, *views)
    require_precision(recipe.training_of(task.method))
    with torch.device("meta"):
        classes = number_of_classes(*views)
        student = make_network(recipe, method, examples.student, classes)
        _try(student, examples.student)
        _task_loss(recipe.training_of(task.method), student)
        terms: dict[str, tuple[LossTerm, Loss]] = {}
        if method.losses:
            assert examples.teacher is not None
            taught_by = [recipe.methods[name] for name in method.teachers]
            teacher = _one(
                make_network(recipe, each, examples.teacher, classes) for each in taught_by
            )
            _try(teacher, examples.teacher)
            terms = _losses(method, student, teacher)
            if any(loss.compares_vertices for _, loss in terms.values()):
                require_comparable(student, teacher, examples)
        _refuse_mixing(task, student, [loss for _, loss in terms.values()])
    fold = recipe.data.folds[task.fold]
    notes = [unseen_note(examples, tested, fold), copies_note(examples, tested)]
    if terms:
        notes += [crowded_note(examples), unmatched_note(examples, recipe.data)]
    return [note for note in notes if note]


def perform(task: Task, watch: Callable[[Progress], None] = lambda _: None) -> None:
    """Train and evaluate, unless it is done; what was begun goes on where it stopped.

    All processes that are ``processes.joined`` must come here with the same task.
    """
    if processes.told(int(task.done)):
        return
    with processes.first_goes_ahead():
        if processes.first():
            forget_if_changed(task)
    recipe, method = task.recipe, task.recipe.methods[task.method]
    views = open_views(recipe.data, task.root / "views", quiet=True)
    require_same_views(task.views, mark_of(*views))
    examples, tested = examples_of(task, method, *views)
    # A teacher's weights begin apart from its students', whose features would be alike otherwise.
    # On CPUs the lowest 32 bits of a seed are all that counts.
    torch.manual_seed(task.chance if method.view == "low" else 2**31 + task.chance)
    student = make_network(recipe, method, examples.student, number_of_classes(*views))
    fresh = (
        _start_from(student, method, task, examples.student.store, class_names(*views))
        if method.start_from
        else ()
    )
    begun = spreads(student)
    teachers = [task.sibling(name) for name in method.teachers]
    members = [checkpoint.load(each.folder / NETWORK)[0] for each in teachers]
    teacher = _one(members) if members else None
    terms = _losses(method, student, teacher)
    if members:
        taught_by = teachers[0]  # whose features are compared, if there are several
        with processes.first_goes_ahead():
            share_knowledge(
                [loss for _, loss in terms.values()],
                members[0],
                teacher_examples(taught_by, *views),
                examples.clips,
                folder=taught_by.folder,
            )
    training = recipe.training_of(task.method)
    who = who_answers(
        [recipe.methods[each.method] for each in teachers],
        examples.clips,
        *views,
        recipe.data.folds[task.fold],
        recipe.data,
    )
    distiller = Distiller(
        student,
        _task_loss(training, student),
        teacher,
        terms,
        who_answers=None if who is None else torch.from_numpy(who),
    )
    if student.closed_form_passes:
        history = fit_closed_form(distiller, examples, training, seed=task.chance, watch=watch)
    else:
        history = fit(
            distiller,
            examples,
            training,
            seed=task.chance,
            folder=task.folder,
            reviser=_reviser(method, student),
            watch=watch,
        )
    if not processes.first():
        return
    settle(student, begun)
    said = evaluate(student, tested, device=next(student.parameters()).device)
    if not np.isfinite(said.logits).all():
        raise ValueError(
            f"{task.method} says what is no number of some clips it is tested on, so it is not "
            "kept; lower training.learning_rate"
        )
    _keep(task, student.cpu(), said, tested.student, class_names(*views))
    measured = {
        "fingerprint": task.fingerprint,
        "kind": task.kind,
        "top1": said.accuracy(1) if said.ids else None,
        "top5": said.accuracy(5) if said.ids else None,
        "clips": len(said.labels),
        # of training, over all the sessions that it took
        "seconds": sum(entry["seconds"] for entry in history),
        "not_carried_over": list(fresh),
        "history": history,
    }
    write_text(task.folder / MEASURED, json.dumps(measured))  # last: it says that all is done
    state.forget(task.folder)


def make_network(recipe: Recipe, method: Method, side: Side, classes: int) -> Network:
    """The method's network for what its side of the data looks like."""
    part = network_part(recipe, method)
    options = {
        "classes": classes,
        "persons": side.sampling.persons,
        "channels": side.channels,
        **part.options,
    }
    return build("network", networks.find(part.name), options, side.layout)


def _one(teachers: Iterable[Network]) -> Network:
    """The teacher, or several as one."""
    members = list(teachers)
    return members[0] if len(members) == 1 else Ensemble(members)


def _try(network: Network, side: Side) -> None:
    """Refuse a network that lacks something, or clips of a size that it does not take."""
    require_stated(network)
    shape = (side.sampling.persons, side.sampling.frames, side.layout.num_joints, side.channels)
    network.check(torch.zeros(1, *shape))


def number_of_classes(*views: Store) -> int:
    """As many as the views name or, where they name none, as their labels show."""
    return max(len(view.classes) or _numbered(view) for view in views)


def class_names(high: Store, low: Store) -> tuple[str, ...]:
    """The names of the classes, whichever view tells them; none if neither does."""
    return low.classes or high.classes


def _numbered(view: Store) -> int:
    """How many classes labels without names stand for; a stray number is not that of a class."""
    count = int(view.labels.max()) + 1
    occur = len(np.unique(view.labels))
    if count > MOST_UNNAMED and count > 10 * occur:
        raise ValueError(
            f"{view.path} names no classes, and its labels go up to {count - 1} though only "
            f"{occur} occur; number them from 0, or import it with the names of its classes"
        )
    return count


def _losses(
    method: Method, student: Network, teacher: Network | None
) -> dict[str, tuple[LossTerm, Loss]]:
    if teacher is None:
        return {}
    if student.closed_form_passes:
        raise ValueError(
            f"{type(student).__name__} is fitted to labels alone, in closed form, and cannot be "
            f"taught {', '.join(term.name for term in method.losses)}; take the losses away, or "
            "another student"
        )
    networks_by_side = {"student": student, "teacher": teacher}
    context = LossContext(
        student_layout=student.layout,
        teacher_layout=teacher.layout,
        student_channels=student.feature_channels,
        teacher_channels=teacher.feature_channels,
        classes=student.classes,
        without_joints={
            side: type(network).__name__
            for side, network in networks_by_side.items()
            if not network.keeps_joints
        },
    )
    made = {
        term.name: (term, build("loss", losses.find(term.name), term.options, context))
        for term in method.losses
    }
    for _, loss in made.values():
        require_defined(loss)
    return made


def _refuse_mixing(task: Task, student: Network, losses: Sequence[Loss]) -> None:
    """Clips that are mixed of two actions are not for everybody."""
    if not task.recipe.sampling_of(task.method).mixup:
        return
    against = [type(loss).__name__ for loss in losses if loss.compares_classes]
    if student.closed_form_passes:
        against.append(type(student).__name__)
    if against:
        raise ValueError(
            f"sampling.mixup mixes clips of two actions, and {' and '.join(against)} must know "
            f"one; set sampling.mixup to 0 in method {task.method!r}"
        )


def _task_loss(training: Training, student: Network) -> Loss:
    context = LossContext(
        student_layout=student.layout,
        teacher_layout=student.layout,
        student_channels=student.feature_channels,
        teacher_channels=student.feature_channels,
        classes=student.classes,
    )
    if training.task_loss == "binary":
        return losses.find("BinaryTask")(context)
    return losses.find("SoftmaxTask")(context, label_smoothing=training.label_smoothing)


def _reviser(method: Method, student: Network) -> Reviser | None:
    if not method.gradient_revision:
        return None
    return Reviser(pointwise_weights(student) if method.gradient_revision == "quick" else None)


def _start_from(
    student: Network, method: Method, task: Task, seen: Store, classes: Sequence[str]
) -> tuple[str, ...]:
    """Take over the weights that fit; the names of those that do not, and start anew."""
    assert task.start is not None
    start, about = checkpoint.load(task.start)
    actions = list(about.get("classes") or ())
    fresh = checkpoint.carry_over(
        start,
        student,
        other_actions=bool(actions and classes and actions != list(classes)),
        other_inputs=about.get("coordinates", seen.channels) != seen.channels,
    )
    if method.train_only_head:
        checkpoint.freeze_all_but_head(student, fresh)
    return fresh


def _keep(task: Task, student: Network, said: Said, side: Side, classes: Sequence[str]) -> None:
    recipe = task.recipe
    # of what was trained before under other settings, whose network is written over
    (task.folder / MEASURED).unlink(missing_ok=True)
    checkpoint.save(
        task.folder / NETWORK,
        student,
        about={
            "classes": list(classes),
            "units": side.store.units,
            "coordinates": side.store.channels,
            "clip_frames": int(np.median(side.store.num_frames)),
            "clip_seconds": clip_seconds(side.store),
            "sampling": side.sampling.model_dump(mode="json"),
            "method": task.method,
            "recipe": recipe.model_dump(mode="json"),
            "fold": task.fold,
            "seed": task.seed,
        },
    )
    with whole(task.folder / SAID) as partial:
        ids = np.array(said.ids, dtype=np.str_)
        np.savez_compressed(partial, logits=said.logits, labels=said.labels, ids=ids)
