"""Several trainings at once, each in a process of its own."""

import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing.managers import SyncManager
from typing import Any

import torch

from skeldistill.training.bars import Watch
from skeldistill.training.claims import Claim
from skeldistill.training.perform import perform
from skeldistill.training.task import Task, require_same_views
from skeldistill.training.train import Progress as Step
from skeldistill.training.turns import LOOK, Say, Waiting

Running = dict[Future, tuple[Task, Claim]]


def at_once(
    tasks: Sequence[Task],
    jobs: int,
    watch: Watch,
    finished: Callable[[Task], None],
    say: Say = lambda _: None,
) -> None:
    """Run tasks in several processes, each as soon as what it needs is done.

    Args:
        tasks: as `in_turn` takes them.
        jobs: how many at once, each with its share of the processor's threads.
        watch: called at steps, not all of them.
        finished: called for every task, once it is done.
        say: told who else is at a task.
    """
    context = multiprocessing.get_context("spawn")
    manager = SyncManager(ctx=context)
    manager.start(_leave_with_parent)
    with manager:
        steps = manager.Queue()
        threads = max(1, (os.cpu_count() or 1) // jobs)
        with ProcessPoolExecutor(jobs, context, _start_worker, (steps, threads)) as pool:
            waiting, running = Waiting(tasks, finished, say), Running()
            try:
                _all(pool, waiting, running, jobs, lambda: _pass_on(steps, tasks, watch))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                for process in multiprocessing.active_children():
                    process.terminate()
                for _, claim in running.values():
                    claim.release()
                raise


def _all(
    pool: ProcessPoolExecutor,
    waiting: Waiting,
    running: Running,
    jobs: int,
    pass_on: Callable[[], None],
) -> None:
    _submit_ready(pool, waiting, running, jobs)
    looked = time.monotonic()
    while running or waiting.tasks:
        done, _ = wait(running, timeout=0.2, return_when=FIRST_COMPLETED)
        pass_on()
        for future in done:
            future.result()
            waiting.performed(*running.pop(future))
        if not running:
            time.sleep(0.2)
        if done or time.monotonic() - looked > LOOK:
            _submit_ready(pool, waiting, running, jobs)
            looked = time.monotonic()


def _submit_ready(pool: ProcessPoolExecutor, waiting: Waiting, running: Running, jobs: int) -> None:
    """Hand over the next tasks; never more than can run, an interrupt leaves none queued."""
    while len(running) < jobs and (turn := waiting.next()) is not None:
        task, claim = turn
        running[pool.submit(_perform, task, task.views)] = task, claim


def _pass_on(steps: Any, tasks: Sequence[Task], watch: Watch) -> None:
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


def _perform(task: Task, views: str) -> None:
    require_same_views(views, task.views)  # this process may have looked later
    last = 0.0

    def tell(step: Step) -> None:
        nonlocal last
        if time.monotonic() - last > 0.5 or step.step == step.steps:
            last = time.monotonic()
            _steps.put((str(task.folder), step))

    perform(task, tell)
