"""What TensorBoard draws: its file of scalars, written here and now.

Its own writer works in a thread, from where a full disk shows as a traceback and stops nothing.
"""

import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.compat.proto.summary_pb2 import Summary  # pyright: ignore[reportAttributeAccessIssue]
from tensorboard.summary.writer.record_writer import RecordWriter

VERSION = "brain.Event:2"
"""What a file of events begins with."""


PREFIX = "events.out.tfevents."
"""What the names of such files begin with."""


def scalars(entry: Mapping[str, Any]) -> dict[str, float]:
    """What is drawn of an epoch: of an entry of the history of training."""
    told = {key: entry[key] for key in ("learning_rate", "loss", "top1", "seconds")}
    for group in ("term", "conflict", "strength"):
        told |= {f"{group}/{name}": value for name, value in entry.get(f"{group}s", {}).items()}
    told |= {f"skipped/{name}": value for name, value in entry.get("skipped", {}).items()}
    return told


def forget(folder: Path) -> bool:
    """Remove the files of all sessions from a folder; whether there were any."""
    files = list(folder.glob(f"{PREFIX}*"))
    for file in files:
        file.unlink(missing_ok=True)
    return bool(files)


class Events:
    """A file of scalars in a folder; TensorBoard joins those of all sessions of a training."""

    def __init__(self, folder: Path) -> None:
        session = f"{int(time.time())}.{platform.node()}.{os.getpid()}"
        self.path = folder / f"{PREFIX}{session}"

    def write(self, scalars: Mapping[str, float], step: int) -> None:
        """Add scalars by their names."""
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        event = Event(wall_time=time.time(), step=step, summary=Summary(value=values))
        try:
            with self.path.open("ab") as file:
                records = RecordWriter(file)
                if not file.tell():
                    first = Event(wall_time=time.time(), file_version=VERSION)
                    records.write(first.SerializeToString())
                records.write(event.SerializeToString())
        except OSError as error:
            error.filename = str(self.path)
            raise
