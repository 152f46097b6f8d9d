"""What a training of other settings or data has left in a task's folder."""

from skeldistill.files import write_text
from skeldistill.training import events, state
from skeldistill.training.task import Task

MARK = "fingerprint"
"""The file that says of which recipe the state of a training is."""


def forget_if_changed(task: Task) -> None:
    """A state left by a recipe that has changed since must not be gone on with."""
    if _mark(task) != task.fingerprint:
        state.forget(task.folder)
        events.forget(task.folder)
        task.folder.mkdir(parents=True, exist_ok=True)
        write_text(task.folder / MARK, task.fingerprint)


def left_in(task: Task) -> bool:
    """Whether a finished task's folder holds what another training has begun there since."""
    return _mark(task) not in (None, task.fingerprint)


def put_right(task: Task) -> None:
    """Take away what another training has begun in a finished task's folder.

    Its log and curves are written anew from what was measured.
    """
    history = task.measured()["history"]
    state.forget(task.folder)
    if (task.folder / state.LOG_FILE).exists():
        state.write_log(task.folder / state.LOG_FILE, history)
    if events.forget(task.folder):
        curves = events.Events(task.folder)
        for entry in history:
            curves.write(events.scalars(entry), step=entry["epoch"])
    write_text(task.folder / MARK, task.fingerprint)  # last: it says that all is put right


def _mark(task: Task) -> str | None:
    try:
        return (task.folder / MARK).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
