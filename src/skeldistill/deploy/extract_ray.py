"""Ray: extraction on the machines of a cluster, for sets of videos that are too large for one."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from skeldistill.deploy import extract_parts
from skeldistill.deploy.extract_journal import TRIES
from skeldistill.deploy.extract_parts import Task
from skeldistill.deploy.extract_workers import Crashed, Done, Event, Failed, Seen, extract
from skeldistill.estimators import Estimator
from skeldistill.extras import require
from skeldistill.files import write_text


@dataclass(frozen=True, kw_only=True)
class Ray:
    """Extracts with Ray Data, on the cluster that Ray finds, or on this machine.

    Videos and the folder of the parts must be on a disk that all machines share, under the same
    names. Ray starts a dead worker anew and gives it its video again, for ever; so each try is
    noted in a file beside the part before it begins, and after two the video is given up.

    Args:
        workers: how many at once.

    Raises:
        ValueError: the number is below 1, or Ray is not installed.
    """

    workers: int = 1

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")
        require("ray", extra="scale")

    def __call__(self, tasks: Sequence[Task], views: Mapping[str, Estimator]) -> Iterator[Event]:
        """Extract; raises ValueError if the estimators cannot be loaded here."""
        # here first: on a worker it would be an error of many lines, again and again
        extract_parts.close_all(extract_parts.open_all(views))
        data = require("ray.data", extra="scale")
        for task in tasks:
            _tries(task).unlink(missing_ok=True)
        made = data.from_items(
            [{"place": place} for place in range(len(tasks))], override_num_blocks=len(tasks)
        ).map_batches(
            RayWorker,
            fn_constructor_args=(list(tasks), dict(views)),
            batch_size=1,
            compute=data.ActorPoolStrategy(size=min(self.workers, len(tasks))),
            num_cpus=1,
        )
        for row in made.iter_rows():
            yield from _told(tasks[int(row["place"])], row)


class RayWorker:
    """What Ray runs: the estimators, loaded once, and one video a call."""

    def __init__(self, tasks: Sequence[Task], views: Mapping[str, Estimator]) -> None:
        self._tasks, self._views = tasks, views
        self._sessions = extract_parts.open_all(views)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """The outcome for the one video of the batch, in columns."""
        place = int(batch["place"][0])
        task = self._tasks[place]
        crashes = task.crashes + _begun(task)
        if crashes >= TRIES:
            return _row(place, crashes - task.crashes, 0, "the worker died")
        write_text(_tries(task), str(crashes - task.crashes + 1))
        said = extract(task, self._sessions, lambda frames: None)
        _tries(task).unlink(missing_ok=True)
        if isinstance(said, Failed):
            extract_parts.close_all(self._sessions)
            self._sessions = extract_parts.open_all(self._views)
            return _row(place, crashes - task.crashes, 0, said.reason, failed=True)
        return _row(place, crashes - task.crashes, said.frames, "")


def _row(
    place: int, crashes: int, frames: int, reason: str, *, failed: bool = False
) -> dict[str, list[Any]]:
    return {
        "place": [place],
        "crashes": [crashes],
        "frames": [frames],
        "reason": [reason],
        "failed": [failed],
    }


def _told(task: Task, row: Mapping[str, Any]) -> Iterator[Event]:
    """A worker's row as what happened."""
    for crash in range(int(row["crashes"])):
        yield Crashed(replace(task, crashes=task.crashes + crash + 1), "the worker died")
    if row["failed"]:
        yield Failed(task, str(row["reason"]))
    elif not row["reason"]:
        yield Seen(int(row["frames"]))
        yield Done(task, int(row["frames"]))


def _tries(task: Task) -> Any:
    return task.part.with_suffix(".tries")


def _begun(task: Task) -> int:
    """How many workers began the video and told no end of it."""
    file = _tries(task)
    return int(file.read_text(encoding="utf-8")) if file.is_file() else 0
