"""Robustness: how accuracy falls as skeletons get worse, for every model of finished experiments.

The clips are the evaluated ones of each model's own fold, degraded the same way for all models.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from skeldistill import checkpoint
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import Clips, evaluation_clips
from skeldistill.data.store import Store
from skeldistill.data.views import derived, origins
from skeldistill.networks.network import Network
from skeldistill.robustness.answers import Kept, Swept
from skeldistill.robustness.rows import Method, Reference, best_clean, comparisons, rows
from skeldistill.robustness.runs import finished, labelled, with_methods
from skeldistill.robustness.settings import CLEAN, USUAL, Setting
from skeldistill.training.answers import Answers, Asked
from skeldistill.training.evaluate import evaluate
from skeldistill.training.task import NETWORK, Task

On = Literal["own", "high", "low"]


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

    Models that no clip of the view is there to test are left out.

    What was measured before is kept beside each network and not measured again.

    Args:
        roots: folders of experiments.
        names: degradations of the shelf, with options as `Setting` takes them.
        methods: which methods of each run, as far as it has them; all of them by default.
        on: what is degraded: the ``high`` or the ``low`` view before the recipe's own
            degradations, or each method's ``own``.
        seed: draws the degradations, clip by clip.
        watch: called with how many evaluations are done, and how many there are.

    Returns:
        Degradations with their options, and whether they act on what networks are ``shown``. For
        every method its clean accuracy, a curve for each degradation (percent, mean and 95 %
        interval over seeds and clips), and ``kept``, the mean over degradations and severities
        relative to one accuracy for all methods of all runs, or else a weak teacher would make its
        students look robust. ``relative_to`` names it: the main teacher, on its own view, of the
        first run that has one, or where there is none the method that is best on clean skeletons.
        ``comparisons``: the student that keeps most against every other one on the same clips, in
        points of mean top-1.

    Raises:
        ValueError: an unknown degradation or method, one that is the same at all severities,
            nothing finished, a model whose layout is not that of the view, or a teacher that names
            no clip rightly.
    """
    by_name = {name: [Setting(degradation=name, severity=s) for s in range(1, 6)] for name in names}
    settings = [CLEAN, *(setting for five in by_name.values() for setting in five)]
    for name, five in by_name.items():
        for setting in five:
            _ = setting.made  # refuses unknown names before an hour is lost
        if all(setting.options == five[0].options for setting in five):
            raise ValueError(f"{name} is the same at all severities; leave an option to them")
    labels = labelled(roots)
    experiments = [
        (root, [task for task in finished(root, mine) if len(_asked(task, on)[1])])
        for root, mine in with_methods(labels, methods)
    ]
    if not any(tasks for _, tasks in experiments):
        raise ValueError(f"no method of {', '.join(labels.values())} has a clip to be tested on")
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
            Method(name=_name(labels, root, method), swept=mine) for method, mine in swept.items()
        ]
    teachers = (_teacher(labels, root) for root in labels)
    reference = next((one for one in teachers if one), None) or best_clean(methods_swept)
    return {
        "format": 2,
        "title": "Robustness of " + ", ".join(labels.values()),
        "on": on,
        "seed": seed,
        "degradations": [
            {
                "name": name,
                "severities": [setting.options for setting in five],
                "shown": five[0].made.shown,
            }
            for name, five in by_name.items()
        ],
        "relative_to": asdict(reference),
        "methods": rows(methods_swept, names, reference),
        "comparisons": comparisons(methods_swept),
    }


def _name(labels: Mapping[Path, str], root: Path, method: str) -> str:
    """As the results tell a method: with its run where there are several."""
    return f"{labels[root]}: {method}" if len(labels) > 1 else method


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
        if setting.made.shown:  # earlier versions lost joints of the clip under the same options
            place += " shown"
        if place not in kept:
            if network is None or examples is None:
                network, _ = checkpoint.load(task.folder / NETWORK)
                examples = _examples(task, network, on)
            side = _side(task, examples.student, setting)
            worse = Examples(clips=examples.clips, student=side)
            said = evaluate(network, worse, seed=seed, epoch=0)
            kept.keep(place, said.ids, said.right)
        yield setting.key, kept[place]


def _examples(task: Task, network: Network, on: On) -> Examples:
    """The evaluated clips of a task, as the chosen view has them before any degradation."""
    recipe = task.recipe
    store, clips = _asked(task, on)
    if not store.layout.same_as(network.layout):
        raise ValueError(
            f"{task.method} works on layout {network.layout.name!r} but the {on} view has "
            f"{store.layout.name!r}; leave --on out, or name methods that fit with --methods"
        )
    return Examples(
        clips=clips, student=Side(store=store, sampling=recipe.sampling_of(task.method))
    )


def _asked(task: Task, on: On) -> tuple[Store, Clips]:
    """The chosen view of a task, and the clips of it that are evaluated."""
    data, view = task.recipe.data, task.recipe.methods[task.method].view if on == "own" else on
    high, low = origins(data, task.root / "views", quiet=True)
    store = high if view == "high" else low
    return store, evaluation_clips(store, high, low, data.folds[task.fold], data)


def _side(task: Task, clean: Side, setting: Setting) -> Side:
    """The view made worse, then completed as the method completes its own.

    What is blanked of that which a network is shown comes after completion.
    """
    completion, worse = task.recipe.methods[task.method].completion, setting.made
    if setting is CLEAN or worse.shown:
        folder, seed = task.root / "views", task.recipe.data.seed
        store = derived(clean.store, (), completion, seed, folder, quiet=True)
        frames = clean.sampling.frames
        blanked = worse.blanked(frames, clean.layout) if worse.shown else None
        return Side(store=store, sampling=clean.sampling, blanked=blanked)
    return Side(
        store=clean.store,
        sampling=clean.sampling,
        augmentation=setting.parts,
        completion=completion,
    )


def _teacher(labels: Mapping[Path, str], root: Path) -> Reference | None:
    """An experiment's main teacher, where it was evaluated, whichever methods are swept."""
    tasks = finished(root)
    name = tasks[0].recipe.main_teacher
    mine = [task for task in tasks if task.method == name and task.said().ids]
    if name is None or not mine:
        return None
    return Reference(name=_name(labels, root, name), accuracy=Answers.of_tasks(mine).accuracy)
