"""Extraction goes on after kills, and around videos that cannot be read."""

import csv
import dataclasses
import io
import os
import signal
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from videos import Squares, cut_off, four_videos, here, made, painted, refuse, write_video

from skeldistill.data.checking import check
from skeldistill.deploy import extract_parts
from skeldistill.deploy.extract import View, extract
from skeldistill.deploy.extract_journal import Journal, alone
from skeldistill.deploy.extract_parts import Task
from skeldistill.deploy.extract_sources import find
from skeldistill.deploy.extract_workers import Crashed, Processes

pytest.importorskip("av")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four videos of two classes."""
    return four_videos(tmp_path / "videos")


def test_what_is_done_is_not_done_again(folder, tmp_path):
    log = tmp_path / "log"
    first = made(folder, tmp_path, Squares(log=str(log))).stores["low"]
    assert made(folder, tmp_path, engine=refuse).stores["low"].fingerprint == first.fingerprint
    parts = sorted((tmp_path / "work").glob("*/*.npz"))
    parts[0].write_bytes(parts[0].read_bytes()[:100])  # as when the power failed
    parts[1].unlink()
    write_video(folder / "run" / "e.mp4", painted(9))
    again = made(folder, tmp_path, Squares(log=str(log))).stores["low"]
    assert again.fingerprint != first.fingerprint
    assert len(log.read_text().split()) == 4 + 3
    assert len(again) == 5


@pytest.fixture
def with_ray(monkeypatch):
    """An engine on so many workers of a Ray of its own."""
    ray = pytest.importorskip("ray")
    from skeldistill.deploy.extract_ray import Ray

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    yield lambda workers: Ray(workers=workers)
    ray.shutdown()


@pytest.mark.extras
@pytest.mark.filterwarnings("ignore")  # Ray's own, about itself
def test_ray_finds_the_same(folder, tmp_path, with_ray):
    (folder / "run" / "text.mp4").write_text("no video", encoding="utf-8")
    found = made(folder, tmp_path, engine=with_ray(2))
    assert found.failed == 1
    assert found.failures is not None
    assert "cannot be decoded" in found.failures.read_text(encoding="utf-8")
    ours = made(folder, tmp_path / "here").stores["low"]
    assert found.stores["low"].fingerprint == ours.fingerprint
    assert not list((tmp_path / "work").glob("*/*.tries"))


@pytest.mark.extras
@pytest.mark.filterwarnings("ignore")
def test_a_video_that_kills_workers_of_ray_is_given_up_after_two_tries(folder, tmp_path, with_ray):
    log = tmp_path / "log"
    told = made(folder, tmp_path, Squares(log=str(log), deadly="clap/b"), engine=with_ray(1))
    assert log.read_text().split().count("clap/b") == 2
    assert told.failed == 1
    with told.failures.open(encoding="utf-8", newline="") as file:
        ((video, *_),) = list(csv.reader(file))[1:]
    assert video == "clap/b"
    assert len(told.stores["low"]) == 3


def test_a_worker_of_ray_gives_up_what_killed_two_before(folder, tmp_path):
    from skeldistill.deploy.extract_ray import RayWorker, _told

    tasks = [
        Task(id=video.id, path=video.path, part=tmp_path / f"{place}.npz")
        for place, video in enumerate(find(folder)[:2])
    ]
    worker = RayWorker(tasks, {"low": Squares()})
    tasks[0].part.with_suffix(".tries").write_text("1", encoding="utf-8")  # one died of it
    tasks[1].part.with_suffix(".tries").write_text("2", encoding="utf-8")
    first, second = (worker({"place": [place]}) for place in range(2))
    assert (first["crashes"], first["failed"], first["frames"]) == ([1], [False], [5])
    assert (second["crashes"], second["reason"]) == ([2], ["the worker died"])
    assert [part.part.exists() for part in tasks] == [True, False]
    row = {name: column[0] for name, column in second.items()}
    told = [event for event in _told(tasks[1], row) if isinstance(event, Crashed)]
    assert [event.task.crashes for event in told] == [1, 2]


def test_a_video_that_was_cut_off_stays_and_is_listed(folder, tmp_path):
    whole = write_video(folder / "run" / "e.mkv", painted(20))
    cut_off(whole, "f.mkv", 8)
    for engine in (here, refuse):  # also where nothing is left to do
        found = made(folder, tmp_path, engine=engine)
        assert (found.failed, found.failures, found.warned) == (0, None, 1)
        with found.warnings.open(encoding="utf-8", newline="") as file:
            ((video, path, warning),) = list(csv.reader(file))[1:]
        assert (video, Path(path).name) == ("run/f", "f.mkv")
        assert warning.startswith("only 8 frames could be decoded, 0.8 of the 2.0 seconds")
    store = found.stores["low"]
    assert store.num_frames[store.ids.tolist().index("run/f")] == 8
    lines = [finding.line for finding in check(store)]
    assert "1 clip ('run/f') of videos that may be cut off" in lines
    (folder / "run" / "f.mkv").unlink()
    assert made(folder, tmp_path).warnings is None
    assert not (tmp_path / "work" / "warnings.csv").exists()


def test_parts_of_before_say_nothing_of_an_end(folder, tmp_path):
    made(folder, tmp_path)
    for part in (tmp_path / "work").glob("*/*.npz"):
        arrays = dict(np.load(part))
        del arrays["cut"]
        np.savez(part, **arrays)
    assert made(folder, tmp_path, engine=refuse).warned == 0


def test_another_estimator_or_a_changed_video_is_done_again(folder, tmp_path):
    log = tmp_path / "log"
    made(folder, tmp_path, Squares())
    made(folder, tmp_path, Squares(name="other", log=str(log)))
    assert len(log.read_text().split()) == 4
    write_video(folder / "run" / "c.mp4", painted(12))
    made(folder, tmp_path, Squares(name="other", log=str(log)))
    assert log.read_text().split()[4:] == ["run/c"]


def test_two_extractions_do_not_share_a_folder(folder, tmp_path):
    pytest.importorskip("fcntl")
    made(folder, tmp_path)
    work = next((tmp_path / "work").glob("*/journal.jsonl")).parent
    left = work / ".key.123.partial.npz"
    left.write_bytes(b"half")
    with alone(work):
        assert not left.exists()
        with pytest.raises(ValueError, match=r"another extraction is at work in .*; wait for it"):
            made(folder, tmp_path)
    made(folder, tmp_path)


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from skeldistill.deploy.extract import View, extract
from skeldistill.deploy.extract_sources import find
from skeldistill.deploy.extract_parts import Task
from skeldistill.deploy.extract_workers import Crashed, Processes
from videos import Squares

if __name__ == "__main__":
    view = View(estimator=Squares(log={log!r}, pause=0.05), store=Path({store!r}))
    extract(find(Path({folder!r})), {{"low": view}}, Path({work!r}), engine=Processes(workers=2))
"""


def test_a_kill_in_the_middle_costs_only_what_was_in_hand(folder, tmp_path):
    log, work = tmp_path / "log", tmp_path / "killed"
    script = tmp_path / "script.py"
    text = SCRIPT.format(
        tests=str(Path(__file__).parent),
        log=str(log),
        store=str(tmp_path / "killed.arrow"),
        folder=str(folder),
        work=str(work),
    )
    script.write_text(textwrap.dedent(text), encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], start_new_session=True) as process:
        give_up = time.monotonic() + 120
        while not list(work.glob("*/[!.]*.npz")) and time.monotonic() < give_up:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    done = len(list(work.glob("*/[!.]*.npz")))
    assert 1 <= done < 4
    assert not (tmp_path / "killed.arrow").exists()
    begun = len(log.read_text().split())
    view = View(estimator=Squares(log=str(log), pause=0), store=tmp_path / "killed.arrow")
    resumed = extract(find(folder), {"low": view}, work, engine=here, quiet=True)
    assert len(log.read_text().split()) == begun + 4 - done
    whole = made(folder, tmp_path)
    assert resumed.stores["low"].fingerprint == whole.stores["low"].fingerprint
    one, other = (dict(told.stores["low"].provenance) for told in (resumed, whole))
    assert {**one, "date": ""} == {**other, "date": ""}
    assert not list(work.glob("*/.*"))  # what the kill left half written is gone


def test_a_video_that_kills_its_worker_is_given_up_after_two_tries(folder, tmp_path):
    log = tmp_path / "log"
    deadly = Squares(log=str(log), deadly="clap/b")
    told = made(folder, tmp_path, deadly, engine=Processes(workers=1))
    assert told.stores["low"].ids.tolist() == ["clap/a", "run/c", "run/d"]
    assert told.failed == 1
    (row,) = csv.DictReader(io.StringIO(told.failures.read_text(encoding="utf-8")))
    assert row == {
        "video": "clap/b",
        "file": str(folder / "clap" / "b.mp4"),
        "tries": "2",
        "reason": "given up after 2 tries: the worker died (signal 9)",
    }
    assert sorted(log.read_text().split()) == ["clap/a", "clap/b", "clap/b", "run/c", "run/d"]
    assert made(folder, tmp_path, deadly, engine=refuse).failed == 1  # it is not tried again
    healed = made(folder, tmp_path, Squares(), again=True)
    assert (healed.failed, len(healed.stores["low"])) == (0, 4)
    assert healed.failures is None
    assert not (tmp_path / "work" / "failures.csv").exists()


def test_crashes_of_an_earlier_run_count(tmp_path):
    journal = Journal(tmp_path / "journal.jsonl")
    journal.crashed("key", "a", "signal 11")
    again = Journal(tmp_path / "journal.jsonl")
    assert (again.crashes("key"), again.failure("key")) == (1, None)
    again.crashed("key", "a", "signal 11")
    failure = Journal(tmp_path / "journal.jsonl").failure("key")
    assert failure is not None
    assert failure.tries == 2
    again.done("key", "a", 5)
    assert Journal(tmp_path / "journal.jsonl").failure("key") is None
    assert Journal(tmp_path / "journal.jsonl").begun == journal.begun


def test_a_journal_that_was_cut_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "journal.jsonl"
    Journal(path).failed("one", "a", "damaged")
    path.write_bytes(path.read_bytes() + b'{"event": "failed", "key": "tw')
    cut = Journal(path)
    cut.failed("three", "c", "damaged")
    again = Journal(path)
    assert [again.failure(key) is None for key in ("one", "two", "three")] == [False, True, False]


def test_names_that_are_no_text_are_taken(folder, tmp_path):
    for place, content in ((b"caf\xe9.mp4", painted(9)), (b"th\xe9.mp4", None)):
        path = folder / os.fsdecode(place)
        if content is None:
            path.write_bytes(b"no video")
        else:
            write_video(path, content)
    told = made(folder, tmp_path)
    assert "caf?" in told.stores["low"].ids.tolist()
    (row,) = csv.DictReader(io.StringIO(told.failures.read_text(encoding="utf-8")))
    assert (row["video"], row["file"]) == ("th?", str(folder / "th?.mp4"))


def test_damaged_videos_become_rows_and_the_others_clips(folder, tmp_path):
    (folder / "run" / "text.mp4").write_text("no video", encoding="utf-8")
    (folder / "run" / "empty.mp4").write_bytes(b"")
    cut = (folder / "run" / "c.mp4").read_bytes()[:300]
    (folder / "run" / "cut.mp4").write_bytes(cut)
    told = made(folder, tmp_path, Squares(broken="clap/a"))
    assert told.stores["low"].ids.tolist() == ["clap/b", "run/c", "run/d"]
    rows = list(csv.DictReader(io.StringIO(told.failures.read_text(encoding="utf-8"))))
    assert {row["video"]: row["tries"] for row in rows} == dict.fromkeys(
        ["clap/a", "run/cut", "run/empty", "run/text"], "1"
    )
    reasons = {row["video"]: row["reason"] for row in rows}
    assert reasons["clap/a"] == (
        "estimator Squares failed 0.00 seconds after the first frame: RuntimeError: the graph is "
        "broken"
    )
    assert "text.mp4: cannot be decoded as a video" in reasons["run/text"]
    assert "the file is empty" in reasons["run/empty"]
    assert told.stores["low"].provenance["failed"] == 4


def test_when_nothing_can_be_read_no_store_appears(tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_text("no video", encoding="utf-8")
    with pytest.raises(ValueError, match=r"a\.mp4: cannot be decoded as a video"):
        made(tmp_path / "videos", tmp_path)
    assert not (tmp_path / "out.arrow").exists()


def test_an_estimator_that_cannot_be_loaded_fails_no_video(folder, tmp_path):
    missing = Unloadable()
    with pytest.raises(ValueError, match=r"^there are no weights$"):
        made(folder, tmp_path, missing, engine=Processes(workers=1))
    assert made(folder, tmp_path).failed == 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Unloadable(Squares):
    def open(self):
        raise ValueError("there are no\nweights")


def test_a_store_that_is_a_folder_is_refused_at_once(folder, tmp_path):
    (tmp_path / "out.arrow").mkdir()
    with pytest.raises(ValueError, match=r"out\.arrow is a folder"):
        made(folder, tmp_path, engine=refuse)


def test_a_video_that_never_ends_is_cut_off(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(extract_parts, "MOST_FRAMES", 6)
    told = made(folder, tmp_path)
    assert told.stores["low"].ids.tolist() == ["clap/a", "clap/b"]
    assert "more than 6 frames" in told.failures.read_text(encoding="utf-8")


def test_a_full_disk_is_no_fault_of_a_video(folder, tmp_path, monkeypatch):
    def full(path, part):
        raise OSError("no space left")

    monkeypatch.setattr(extract_parts, "write", full)
    with pytest.raises(OSError, match="no space left"):
        made(folder, tmp_path)
    monkeypatch.undo()
    assert made(folder, tmp_path).failed == 0


def test_a_damaged_part_is_named(folder, tmp_path):
    made(folder, tmp_path)
    part = next((tmp_path / "work").glob("*/*.npz"))
    with zipfile.ZipFile(part, "w") as archive:
        archive.writestr("nothing", "")
    with pytest.raises(ValueError, match=r"npz is damaged; delete it and extract again"):
        made(folder, tmp_path)
