"""An experiment: every method, fold and seed of a recipe, then one table of results."""

import json
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from multiprocessing.managers import SyncManager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from skeldistill.data.pairing import evaluation_clips
from skeldistill.data.views import derived, open_views
from skeldistill.files import write_text
from skeldistill.recipe import Recipe
from skeldistill.training.perform import check, perform
from skeldistill.training.results import gather
from skeldistill.training.task import Task
from skeldistill.training.train import Progress as Step

Watch = Callable[[Task, Step], None]


def run(
    recipe: Recipe,
    root: Path,
    *,
    jobs: int = 1,
    command: str = "",
    console: Console | None = None,
) -> dict[str, Any]:
    """Do everything a recipe asks for, skip what is done, and write results.json.

    Args:
        recipe: what to do.
        root: the folder of the experiment; made if it does not exist.
        jobs: how many trainings run at once, each with its share of the processor's threads.
        command: what the user typed, for the report.
        console: where progress is shown; None shows none.

    Returns:
        The results, as results.json holds them.

    Raises:
        OSError, ValueError: one line; what was finished stays finished.
    """
    began = time.perf_counter()
    write_text(root / "recipe.yaml", recipe.to_yaml())
    _prepare(recipe, root, quiet=console is None)
    tasks = list_tasks(recipe, root)
    with _shown(tasks, console) as (watch, finished):
        if jobs > 1:
            _at_once([task for task in tasks if not task.done], jobs, watch, finished)
        else:
            for task in tasks:
                perform(task, lambda step, task=task: watch(task, step))
                finished(task)
    results = gather(recipe, root, tasks, seconds=time.perf_counter() - began, command=command)
    write_text(root / "results.json", json.dumps(results))
    return results


def run_one(
    recipe: Recipe, root: Path, method: str, fold: int, seed: int, *, console: Console | None = None
) -> Task:
    """Train one method on one fold under one seed, and first what it needs; the finished task."""
    write_text(root / "recipe.yaml", recipe.to_yaml())
    open_views(recipe.data, root / "views", quiet=console is None)
    last = Task(recipe=recipe, root=root, method=method, fold=fold, seed=seed)
    check(last)
    tasks = _with_needs(last)
    with _shown(tasks, console) as (watch, finished):
        for task in tasks:
            perform(task, lambda step, task=task: watch(task, step))
            finished(task)
    return last


def _with_needs(task: Task) -> list[Task]:
    return [needed for need in task.needs for needed in _with_needs(need)] + [task]


def list_tasks(recipe: Recipe, root: Path) -> list[Task]:
    """All tasks, each after those it needs; seeds come last, so that a first table comes early."""
    ordered: list[Task] = []
    names: set[tuple[str, int, int]] = set()

    for seed in recipe.seeds:
        for fold in range(len(recipe.data.folds)):
            for method in recipe.methods:
                last = Task(recipe=recipe, root=root, method=method, fold=fold, seed=seed)
                for task in _with_needs(last):
                    key = (task.method, task.fold, task.seed)
                    if key not in names:
                        names.add(key)
                        ordered.append(task)
    return ordered


def _prepare(recipe: Recipe, root: Path, *, quiet: bool) -> None:
    """Make every view, and refuse what cannot work before an hour is lost."""
    high, low = open_views(recipe.data, root / "views", quiet=quiet)
    for fold in recipe.data.folds:
        high.in_split(fold.train)
        evaluation_clips(low, fold, recipe.data)
    for name, method in recipe.methods.items():
        view = high if method.view == "high" else low
        derived(view, (), method.completion, recipe.data.seed, root / "views", quiet=quiet)
        check(Task(recipe=recipe, root=root, method=name, fold=0, seed=recipe.seeds[0]))


def _at_once(tasks: list[Task], jobs: int, watch: Watch, finished: Callable[[Task], None]) -> None:
    """Run tasks in several processes, each as soon as what it needs is done."""
    context = multiprocessing.get_context("spawn")
    manager = SyncManager(ctx=context)
    manager.start(_leave_with_parent)
    with manager:
        steps = manager.Queue()
        threads = max(1, (os.cpu_count() or 1) // jobs)
        with ProcessPoolExecutor(jobs, context, _start_worker, (steps, threads)) as pool:
            waiting, running = list(tasks), {}
            try:
                _submit_ready(pool, waiting, running, jobs)
                while running:
                    done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
                    _pass_on(steps, tasks, watch)
                    for future in done:
                        task = running.pop(future)
                        future.result()
                        finished(task)
                    if done:
                        _submit_ready(pool, waiting, running, jobs)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()
                raise


def _submit_ready(
    pool: ProcessPoolExecutor, waiting: list[Task], running: dict[Future, Task], jobs: int
) -> None:
    """Hand over the next tasks; never more than can run, an interrupt leaves none queued."""
    for task in list(waiting):
        if len(running) >= jobs:
            return
        if all(needed.done for needed in task.needs):
            waiting.remove(task)
            running[pool.submit(_perform, task)] = task


def _pass_on(steps: Any, tasks: list[Task], watch: Watch) -> None:
    by_folder = {str(task.folder): task for task in tasks}
    while True:
        try:
            folder, step = steps.get_nowait()
        except queue.Empty:
            return
        watch(by_folder[folder], step)


_steps: Any = None


def _start_worker(steps: Any, threads: int) -> None:
    global _steps
    _steps = steps
    torch.set_num_threads(threads)
    _leave_with_parent()


def _leave_with_parent() -> None:
    """A killed run leaves no process behind that would go on, unseen, in the same folders."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _perform(task: Task) -> None:
    last = 0.0

    def tell(step: Step) -> None:
        nonlocal last
        if time.monotonic() - last > 0.5 or step.step == step.steps:
            last = time.monotonic()
            _steps.put((str(task.folder), step))

    perform(task, tell)


@contextmanager
def _shown(
    tasks: list[Task], console: Console | None
) -> Iterator[tuple[Watch, Callable[[Task], None]]]:
    """Two kinds of bars: how many trainings are done, and where each running one stands."""
    if console is None:
        yield (lambda task, step: None), (lambda task: None)
        return
    text = TextColumn("[progress.description]{task.description}")
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
            bars[task.folder] = single.add_task(_title(task), total=step.epochs, said="")
        said = _line(step.last) if step.last else ""
        single.update(bars[task.folder], completed=step.epoch + step.step / step.steps, said=said)

    def finished(task: Task) -> None:
        if task.folder in bars:
            single.remove_task(bars.pop(task.folder))
            measured = task.measured()
            console.print(
                f"{_title(task)}: top-1 {measured['top1']:.1f} % in {measured['seconds']:.0f} s"
            )
        overall.advance(total)

    with Live(Group(single, overall), console=console, refresh_per_second=4):
        yield watch, finished


def _title(task: Task) -> str:
    fold = f", fold {task.fold + 1}" if len(task.recipe.data.folds) > 1 else ""
    return f"{task.method}{fold}, seed {task.seed}"


def _line(entry: dict[str, Any]) -> str:
    terms = " ".join(f"{name} {value:.3f}" for name, value in entry["terms"].items())
    conflicts = " ".join(f"{name} {share:.0%}" for name, share in entry["conflicts"].items())
    return f"{entry['top1']:.0f} % | {terms}" + (f" | conflicts {conflicts}" if conflicts else "")
