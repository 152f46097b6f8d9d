"""Robustness: how accuracy falls as skeletons get worse, for every model of finished experiments.

The clips are the evaluated ones of each model's own fold, degraded the same way for all models.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from skeldistill import checkpoint, degradations
from skeldistill import recipe as recipes
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import evaluation_clips
from skeldistill.data.views import derived, origins
from skeldistill.networks.network import Network
from skeldistill.recipe import Part
from skeldistill.robustness.answers import Kept, Swept
from skeldistill.robustness.rows import Method, Reference, best_clean, comparisons, rows
from skeldistill.shelf import pick
from skeldistill.training.answers import Answers, Asked
from skeldistill.training.evaluate import evaluate
from skeldistill.training.experiment import list_tasks
from skeldistill.training.task import NETWORK, Task

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
        degradation (percent, mean and 95 % interval over seeds and clips), and ``kept``, the mean
        over degradations and severities relative to one accuracy for all methods of all runs, or
        else a weak teacher would make its students look robust. ``relative_to`` names it: the main
        teacher, on its own view, of the first run that has one, or where there is none the method
        that is best on clean skeletons. ``comparisons``: the student that keeps most against every
        other one on the same clips, in points of mean top-1.

    Raises:
        ValueError: an unknown degradation or method, nothing finished, a model whose layout is not
            that of the view, or a teacher that names no clip rightly.
    """
    settings = [CLEAN]
    settings += [Setting(degradation=n, severity=s) for n in names for s in range(1, 6)]
    for setting in settings:
        _ = setting.parts  # refuses unknown names before an hour is lost
    experiments = [(root, finished(root, methods)) for root in roots]
    total = sum(len(tasks) for _, tasks in experiments) * len(settings)
    done = 0
    methods_swept: list[Method] = []
    for root, tasks in experiments:
        swept: dict[str, list[Swept]] = {}
        for task in tasks:
            asked: dict[str, Asked] = {}
            for key, answer in _answers(task, settings, on, seed):
                asked[key] = answer
                done += 1
                watch(done, total)
            swept.setdefault(task.method, []).append(Swept(task=task, asked=asked))
        methods_swept += [
            Method(name=_name(root, method, roots), swept=mine) for method, mine in swept.items()
        ]
    teachers = (_teacher(root, roots) for root in roots)
    reference = next((one for one in teachers if one), None) or best_clean(methods_swept)
    return {
        "format": 2,
        "title": "Robustness of " + ", ".join(root.name for root in roots),
        "on": on,
        "seed": seed,
        "degradations": [
            {"name": name, "severities": list(degradations.find(name).severities)} for name in names
        ],
        "relative_to": asdict(reference),
        "methods": rows(methods_swept, names, reference),
        "comparisons": comparisons(methods_swept),
    }


def _name(root: Path, method: str, roots: Sequence[Path]) -> str:
    """As the results tell a method: with its run where there are several."""
    return f"{root.name}: {method}" if len(roots) > 1 else method


def _answers(
    task: Task, settings: Sequence[Setting], on: On, seed: int
) -> Iterator[tuple[str, Asked]]:
    """What one model names rightly under every setting, from its cache where that has it."""
    kept = Kept(task, on, seed)
    network: Network | None = None
    examples: Examples | None = None
    for setting in settings:
        # The options stand in the key: a severity that is calibrated anew is measured anew.
        place = f"{setting.key} {[part.options for part in setting.parts]}"
        if place not in kept:
            if network is None or examples is None:
                network, _ = checkpoint.load(task.folder / NETWORK)
                examples = _examples(task, network, on)
            side = _side(task, examples.student, setting.parts)
            worse = Examples(clips=examples.clips, student=side)
            said = evaluate(network, worse, seed=seed, epoch=0)
            kept.keep(place, said.ids, said.right)
        yield setting.key, kept[place]


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


def _teacher(root: Path, roots: Sequence[Path]) -> Reference | None:
    """An experiment's main teacher, where it was evaluated, whichever methods are swept."""
    tasks = finished(root)
    name = tasks[0].recipe.main_teacher
    mine = [task for task in tasks if task.method == name]
    if name is None or not mine:
        return None
    return Reference(name=_name(root, name, roots), accuracy=Answers.of_tasks(mine).accuracy)
