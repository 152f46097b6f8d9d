"""The bars of a running experiment: how many trainings are done, and where each one stands."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from skeldistill.training.task import Task
from skeldistill.training.train import Progress as Step

Watch = Callable[[Task, Step], None]


@contextmanager
def shown(
    tasks: list[Task], console: Console | None
) -> Iterator[tuple[Watch, Callable[[Task], None]]]:
    """Two kinds of bars; what to call at every step of a task, and when one is done.

    Args:
        tasks: all of them.
        console: where to show; None shows nothing.
    """
    if console is None:
        yield (lambda task, step: None), (lambda task: None)
        return
    text = TextColumn("{task.description}", style="progress.description", markup=False)
    overall = Progress(
        text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )
    single = Progress(
        text, BarColumn(), TimeRemainingColumn(), TextColumn("{task.fields[said]}"), console=console
    )
    bars: dict[Path, Any] = {}
    total = overall.add_task("trainings", total=len(tasks))

    def watch(task: Task, step: Step) -> None:
        if task.folder not in bars:
            bars[task.folder] = single.add_task(title(task), total=step.epochs, said="")
        said = _line(step.last) if step.last else ""
        single.update(bars[task.folder], completed=step.epoch + step.step / step.steps, said=said)

    def finished(task: Task) -> None:
        if task.folder in bars:
            single.remove_task(bars.pop(task.folder))
            measured = task.measured()
            top1 = measured["top1"]
            told = "not measured, trained" if top1 is None else f"top-1 {top1:.1f} %"
            console.print(f"{title(task)}: {told} in {measured['seconds']:.0f} s")
        overall.advance(total)

    try:
        with Live(Group(single, overall), console=console, refresh_per_second=4):
            yield watch, finished
    finally:
        if not console.is_terminal:  # only there does it end its last line
            console.line()


def title(task: Task) -> str:
    """A task as people call it."""
    fold = f", fold {task.fold + 1}" if len(task.recipe.data.folds) > 1 else ""
    return f"{task.method}{fold}, seed {task.seed}"


def _line(entry: dict[str, Any]) -> str:
    terms = " ".join(f"{name} {value:.3f}" for name, value in entry["terms"].items())
    conflicts = " ".join(f"{name} {share:.0%}" for name, share in entry["conflicts"].items())
    return f"{entry['top1']:.0f} % | {terms}" + (f" | conflicts {conflicts}" if conflicts else "")
