"""Robustness: how accuracy falls as skeletons get worse, for every model of finished experiments.

The clips are the evaluated ones of each model's own fold, degraded the same way for all models.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from skeldistill import checkpoint, degradations
from skeldistill import recipe as recipes
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import evaluation_clips
from skeldistill.data.views import derived, origins
from skeldistill.files import write_text
from skeldistill.networks.network import Network
from skeldistill.recipe import Part
from skeldistill.shelf import pick
from skeldistill.training.evaluate import evaluate
from skeldistill.training.experiment import list_tasks
from skeldistill.training.statistics import over_runs
from skeldistill.training.task import NETWORK, Task

CACHE = "robustness.json"
"""Beside each network: what was measured already."""

USUAL = (
    "JointOcclusion",
    "BurstOcclusion",
    "PartOcclusion",
    "HeldFrames",
    "LostFrames",
    "Jitter",
    "LeftRightSwap",
    "TranslationDrift",
)
"""One degradation of each kind, for a first look."""

On = Literal["own", "high", "low"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A degradation at one of its severities, 1 to 5; severity 0 is the clean view."""

    degradation: str
    severity: int

    @property
    def key(self) -> str:
        """Its name in files."""
        return f"{self.degradation} {self.severity}" if self.severity else "clean"

    @property
    def parts(self) -> tuple[Part, ...]:
        """As a recipe would name it."""
        if not self.severity:
            return ()
        options = degradations.find(self.degradation).severities[self.severity - 1]
        return (Part.model_validate({"name": self.degradation, **options}),)


CLEAN = Setting(degradation="", severity=0)


def finished(root: Path, methods: Sequence[str] = ()) -> list[Task]:
    """The finished tasks of an experiment; all methods unless some are named.

    Raises:
        ValueError: no such method, or none of its tasks is done.
    """
    recipe = recipes.load(root / "recipe.yaml")
    for name in methods:
        pick("method of the recipe", recipe.methods, name)
    tasks = [t for t in list_tasks(recipe, root) if not methods or t.method in methods]
    done = [task for task in tasks if task.done]
    if not done:
        raise ValueError(f"{root} has no finished training; `skeldistill run` makes them")
    return done


def sweep(
    roots: Sequence[Path],
    names: Sequence[str] = USUAL,
    *,
    methods: Sequence[str] = (),
    on: On = "own",
    seed: int = 0,
    watch: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any]:
    """Evaluate every finished model at every severity of some degradations.

    What was measured before is kept beside each network and not measured again.

    Args:
        roots: folders of experiments.
        names: degradations of the shelf.
        methods: which methods; all of them by default.
        on: what is degraded: the ``high`` or the ``low`` view before the recipe's own
            degradations, or each method's ``own``.
        seed: draws the degradations, clip by clip.
        watch: called with how many evaluations are done, and how many there are.

    Returns:
        Degradations with their options, and for every method: its clean accuracy, a curve for each
        degradation (percent, mean and 95 % interval over folds and seeds), and ``kept``, the mean
        over degradations and severities relative to the accuracy of the experiment's main teacher
        on its own view, or without one to the method's own clean accuracy.

    Raises:
        ValueError: an unknown degradation or method, nothing finished, or a model whose layout
            is not that of the view.
    """
    settings = [CLEAN]
    settings += [Setting(degradation=n, severity=s) for n in names for s in range(1, 6)]
    for setting in settings:
        _ = setting.parts  # refuses unknown names before an hour is lost
    experiments = [(root, finished(root, methods)) for root in roots]
    total = sum(len(tasks) for _, tasks in experiments) * len(settings)
    done, rows = 0, []
    for root, tasks in experiments:
        measured: list[tuple[Task, dict[str, float]]] = []
        for task in tasks:
            said: dict[str, float] = {}
            for key, accuracy in _accuracies(task, settings, on, seed):
                said[key] = accuracy
                done += 1
                watch(done, total)
            measured.append((task, said))
        prefix = f"{root.name}: " if len(roots) > 1 else ""
        rows += _rows(measured, names, prefix, _teacher(root))
    return {
        "format": 1,
        "title": "Robustness of " + ", ".join(root.name for root in roots),
        "on": on,
        "seed": seed,
        "degradations": [
            {"name": name, "severities": list(degradations.find(name).severities)} for name in names
        ],
        "methods": rows,
    }


def _accuracies(
    task: Task, settings: Sequence[Setting], on: On, seed: int
) -> Iterator[tuple[str, float]]:
    """Top-1 of one model at every setting, from its cache where that has it."""
    path = task.folder / CACHE
    held = _cached(path, task.fingerprint)
    known = held.setdefault(f"{on} {seed}", {})
    network: Network | None = None
    examples: Examples | None = None
    for setting in settings:
        # The options stand in the key: a severity that is calibrated anew is measured anew.
        place = f"{setting.key} {[part.options for part in setting.parts]}"
        if place not in known:
            if network is None or examples is None:
                network, _ = checkpoint.load(task.folder / NETWORK)
                examples = _examples(task, network, on)
            side = _side(task, examples.student, setting.parts)
            worse = Examples(clips=examples.clips, student=side)
            known[place] = evaluate(network, worse, seed=seed, epoch=0).accuracy(1)
            write_text(path, json.dumps({"mark": task.fingerprint, "accuracies": held}))
        yield setting.key, known[place]


def _cached(path: Path, mark: str) -> dict[str, dict[str, float]]:
    """What was measured of this training, by view and seed."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        return dict(held["accuracies"]) if held["mark"] == mark else {}
    except (OSError, ValueError, KeyError):
        return {}


def _examples(task: Task, network: Network, on: On) -> Examples:
    """The evaluated clips of a task, as the chosen view has them before any degradation."""
    recipe = task.recipe
    method = recipe.methods[task.method]
    high, low = origins(recipe.data, task.root / "views", quiet=True)
    view = method.view if on == "own" else on
    store = high if view == "high" else low
    if not store.layout.same_as(network.layout):
        raise ValueError(
            f"{task.method} works on layout {network.layout.name!r} but the {view} view has "
            f"{store.layout.name!r}; leave --on out, or name methods that fit with --methods"
        )
    clips = evaluation_clips(store, low, recipe.data.folds[task.fold], recipe.data)
    return Examples(
        clips=clips, student=Side(store=store, sampling=recipe.sampling_of(task.method))
    )


def _side(task: Task, clean: Side, parts: tuple[Part, ...]) -> Side:
    """The view made worse, then completed as the method completes its own."""
    completion = task.recipe.methods[task.method].completion
    if not parts:
        folder, seed = task.root / "views", task.recipe.data.seed
        store = derived(clean.store, (), completion, seed, folder, quiet=True)
        return Side(store=store, sampling=clean.sampling)
    return Side(
        store=clean.store, sampling=clean.sampling, augmentation=parts, completion=completion
    )


def _teacher(root: Path) -> tuple[str, float] | None:
    """An experiment's main teacher, and its accuracy (percent) where it was evaluated.

    What students keep is told relative to it, whichever methods and view are swept.
    """
    tasks = finished(root)
    name = tasks[0].recipe.main_teacher
    reached = [task.measured()["top1"] for task in tasks if task.method == name]
    return (name, float(np.mean(reached))) if name and reached else None


def _rows(
    measured: Sequence[tuple[Task, dict[str, float]]],
    names: Sequence[str],
    prefix: str,
    teacher: tuple[str, float] | None,
) -> list[dict[str, Any]]:
    """One row a method: means and intervals over its folds and seeds."""
    recipe = measured[0][0].recipe
    by_method: dict[str, list[dict[str, float]]] = {}
    for task, said in measured:
        by_method.setdefault(task.method, []).append(said)
    rows = []
    for method, mine in by_method.items():
        clean = [said["clean"] for said in mine]
        against, reached = teacher or (method, float(np.mean(clean)))
        worse = [[v for key, v in said.items() if key != "clean"] for said in mine]
        rows.append(
            {
                "name": f"{prefix}{method}",
                "view": recipe.methods[method].view,
                "runs": len(mine),
                "clean": asdict(over_runs(clean)),
                "relative_to": against,
                "kept": asdict(over_runs([100 * float(np.mean(w)) / reached for w in worse])),
                "curves": {
                    name: [
                        asdict(over_runs([said[f"{name} {severity}"] for said in mine]))
                        for severity in range(1, 6)
                    ]
                    for name in names
                },
            }
        )
    return rows
