"""What a run would still do: views to make, trainings to begin and to end, and for how long."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from skeldistill import networks
from skeldistill.data.planned import Planned, planned
from skeldistill.recipe import Recipe
from skeldistill.training import state
from skeldistill.training.examples import clips_to_learn, completed_views
from skeldistill.training.experiment import check_all, list_tasks
from skeldistill.training.leftovers import MARK
from skeldistill.training.task import MEASURED, Task, look_again, network_part
from skeldistill.training.train import steps_of


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is left of one method, over folds and seeds.

    done, begun, to_do: trainings; changed: those of them that were finished with other settings.
    clips, steps: of one training, the fewest and the most over folds; None where views must be made
    first, and no steps where a network is fitted in closed form. timed: trainings of this method
    that tell how long one takes. seconds: for what is left, one training after another; None
    without any timed.
    """

    method: str
    done: int
    begun: int
    to_do: int
    changed: int
    clips: tuple[int, int] | None
    steps: tuple[int, int] | None
    timed: int
    seconds: float | None


@dataclass(frozen=True, kw_only=True)
class Remaining:
    """What is left of an experiment.

    to_make: views, in words. compared: whether finished trainings could be held against the views.
    """

    folder: Path
    to_make: tuple[str, ...]
    compared: bool
    rows: tuple[Row, ...]


def remaining(recipe: Recipe, root: Path) -> Remaining:
    """What `experiment.run` would do in a folder; nothing is made, written or claimed.

    Raises:
        OSError, ValueError: one line on views that cannot be had; where all views are made, also on
            methods that a run would refuse.
    """
    look_again()
    views = planned(recipe.data, completed_views(recipe), root / "views")
    if not views.to_make:  # a check asks for all of them
        check_all(recipe, root)
    tasks = list_tasks(recipe, root)
    rows = (
        _row(recipe, name, [task for task in tasks if task.method == name], views)
        for name in recipe.methods
    )
    compared = views.high is not None and views.low is not None
    return Remaining(folder=root, to_make=views.to_make, compared=compared, rows=tuple(rows))


def _row(recipe: Recipe, name: str, tasks: Sequence[Task], views: Planned) -> Row:
    # A fingerprint is also of what the views hold; to ask for it would make them.
    compared = views.high is not None and views.low is not None
    finished = [task for task in tasks if (task.folder / MEASURED).is_file()]
    done = [task for task in finished if not compared or task.done]
    left = [task for task in tasks if task not in done]
    begun = {task.folder: _epochs(task) for task in left if compared and _goes_on(task)}
    epochs = recipe.training_of(name).epochs
    took = [float(task.measured()["seconds"]) for task in done]
    took += [mean(seconds) * epochs for seconds in begun.values() if seconds]
    shares = [1 - len(begun.get(task.folder, ())) / epochs for task in left]
    clips = _clips(recipe, name, views)
    return Row(
        method=name,
        done=len(done),
        begun=len(begun),
        to_do=len(left) - len(begun),
        changed=len(finished) - len(done),
        clips=clips,
        steps=_steps(recipe, name, clips),
        timed=len(took),
        seconds=mean(took) * sum(shares) if took else 0.0 if not left else None,
    )


def _goes_on(task: Task) -> bool:
    """Whether a training was begun, as the recipe stands now."""
    try:
        same = (task.folder / MARK).read_text(encoding="utf-8") == task.fingerprint
    except OSError:
        return False
    return same and any((task.folder / name).exists() for name in (state.STATE, state.BEFORE))


def _epochs(task: Task) -> list[float]:
    """The seconds of every epoch that a training has behind it."""
    try:
        with (task.folder / state.LOG_FILE).open(newline="", encoding="utf-8") as file:
            return [float(row["seconds"]) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _clips(recipe: Recipe, name: str, views: Planned) -> tuple[int, int] | None:
    if views.high is None or views.low is None:
        return None
    method, data = recipe.methods[name], recipe.data
    counts = [len(clips_to_learn(method, views.high, views.low, fold, data)) for fold in data.folds]
    return min(counts), max(counts)


def _steps(recipe: Recipe, name: str, clips: tuple[int, int] | None) -> tuple[int, int] | None:
    part, training = network_part(recipe, recipe.methods[name]), recipe.training_of(name)
    if clips is None or networks.find(part.name).closed_form_passes:
        return None
    fewest, most = (training.epochs * steps_of(count, training.batch_size) for count in clips)
    return fewest, most
