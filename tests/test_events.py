"""TensorBoard reads what we write, and a full disk is said at once."""

import pytest
from full_disk import room
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from skeldistill.training.events import Events


def test_tensorboard_reads_it(tmp_path):
    events = Events(tmp_path)
    for step in range(1, 4):
        events.write({"loss": step / 2, "term/KL": 2.0}, step)
    read = EventAccumulator(str(tmp_path)).Reload()
    assert set(read.Tags()["scalars"]) == {"loss", "term/KL"}
    assert [(one.step, one.value) for one in read.Scalars("loss")] == [(1, 0.5), (2, 1.0), (3, 1.5)]


def test_a_full_disk_names_the_file(tmp_path):
    events = Events(tmp_path)
    events.write({"loss": 1.0}, 1)
    with room(events.path.stat().st_size), pytest.raises(OSError, match="too large") as error:
        events.write({"loss": 1.0}, 2)
    assert error.value.filename == str(events.path)
