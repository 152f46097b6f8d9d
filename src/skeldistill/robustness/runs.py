"""The runs of a sweep: what each is called, and its finished trainings."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from pathlib import Path

from skeldistill import recipe as recipes
from skeldistill.shelf import pick
from skeldistill.training.experiment import list_tasks
from skeldistill.training.task import Task


def labelled(roots: Sequence[Path]) -> dict[Path, str]:
    """What each run is called: its folder, with those above it where others have that name.

    A folder that comes twice counts once.
    """
    whole = {root.resolve(): root for root in roots}
    return {
        root: _label(path, [other for other in whole if other != path])
        for path, root in whole.items()
    }


def _label(path: Path, others: Sequence[Path]) -> str:
    for length in count(1):
        last = path.parts[-length:]
        if all(other.parts[-length:] != last for other in others):
            return Path(*last).as_posix()
    raise AssertionError("different folders have different paths")


def with_methods(roots: Iterable[Path], methods: Sequence[str]) -> Iterator[tuple[Path, list[str]]]:
    """The runs, and which of the methods each one has.

    Raises:
        ValueError: a method that no run has, or a run that has none of them.
    """
    known = {root: recipes.of_experiment(root).methods for root in roots}
    every = {name: root for root, names in known.items() for name in names}
    for name in methods:
        pick("method of the runs", every, name)
    for root, names in known.items():
        mine = [name for name in methods if name in names]
        if methods and not mine:
            raise ValueError(f"{root} has no method {' or '.join(methods)}; leave the run out")
        yield root, mine


def finished(root: Path, methods: Sequence[str] = ()) -> list[Task]:
    """The finished tasks of an experiment; all methods unless some are named.

    Raises:
        ValueError: none of them is done.
    """
    recipe = recipes.of_experiment(root)
    tasks = [t for t in list_tasks(recipe, root) if not methods or t.method in methods]
    done = [task for task in tasks if task.done]
    if not done:
        of = f" of {' or '.join(methods)}" if methods else ""
        raise ValueError(f"{root} has no finished training{of}; `skeldistill run` makes them")
    return done
