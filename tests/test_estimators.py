"""Pose estimators: the laws of the shelf, then programs, replay and MediaPipe."""

import dataclasses
import json
import sys
import time
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stores import named, small_store
from videos import painted, write_video

from skeldistill.deploy.extract_parts import Task
from skeldistill.deploy.extract_workers import _Worker
from skeldistill.deploy.video import frames
from skeldistill.estimators import (
    SHELF,
    Command,
    Estimator,
    MediaPipe,
    Replay,
    RTMPose,
    Session,
    find,
    parse,
)
from skeldistill.layouts import BODY25, COCO17, PENN13

BLANK = np.zeros((48, 64, 3), np.uint8)
MODEL = "models/pose_landmarker_full.task"


@pytest.fixture
def made(tmp_path):
    """One of each that needs no package but numpy."""
    store = small_store(tmp_path / "a.arrow", named(2, "train"))
    return {"command": Command(template="openpose"), "replay": Replay(store=str(store.path))}


@pytest.mark.parametrize("name", SHELF)
def test_parts_are_frozen_and_said_in_a_sentence(name):
    part = SHELF[name]
    assert part.__name__.lower() == name
    assert dataclasses.is_dataclass(part)
    assert part.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert part.__doc__


def test_the_contract_is_kept(made):
    for estimator in made.values():
        assert isinstance(estimator, Estimator)
        assert json.loads(json.dumps(dict(estimator.about())))["estimator"]
        with closing(estimator.open()) as session:
            assert isinstance(session, Session)


def test_parsing_reads_options_as_yaml():
    assert parse("mediapipe:model=a,b.task,short_side=128,confidence=0.4") == MediaPipe(
        model="a,b.task", short_side=128, confidence=0.4
    )
    assert parse("MediaPipe") == find("mediapipe")
    assert parse("mediapipe:model=2020-01-01") == MediaPipe(model="2020-01-01")  # no date
    braces = parse("command:template=openpose").words(Path("/v/a{out}.mp4"), Path("/o"))
    assert "/v/a{out}.mp4" in braces
    command = parse("command:template=openpifpaf,arguments=--checkpoint mobilenetv3small")
    assert command.arguments == "--checkpoint mobilenetv3small"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mediapip", "did you mean 'mediapipe'"),
        ("mediapipe:short=3", "no option 'short'; did you mean 'short_side'"),
        ("mediapipe:model", "write 'model' as option=value"),
        ("mediapipe:model={", "the value is not YAML"),
        ("mediapipe:people=0", "people must be at least 1, got 0"),
        ("mediapipe:tiles=9", "tiles must be 1 to 8"),
        ("mediapipe:short_side=3", "short_side must be at least 32"),
        ("mediapipe:confidence=2", "confidence must be 0 to 1"),
        ("rtmpose:joints=ntu25", "must be coco17 or halpe26"),
        ("rtmpose:people=0", "people must be at least 1"),
        ("rtmpose:threads=-1", "threads must be 0 or more"),
        ("rtmpose:confidence=-1", "confidence must be 0 to 1"),
        ("command", "command needs program, or template=openpifpaf or openpose"),
        ("command:template=openpos", "did you mean 'openpose'"),
        ("command:template=openpose,program=run", "lacks {video}"),
        ("command:template=openpose,limit=0", "limit must be above 0"),
        ("command:template=openpose,arguments='\"'", "No closing quotation"),
        ("command:template=openpose,reader=opnpose", "did you mean 'openpose'"),
        ("command:template=openpose,joints=coco71", "coco17"),
    ],
)
def test_wrong_options_are_one_line(text, message):
    with pytest.raises(ValueError, match=message.replace("{", r"\{")) as refused:
        parse(text)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("part", "option"), [(MediaPipe, "model"), (RTMPose, "detector")])
def test_weights_that_are_not_there_are_named(part, option, tmp_path):
    with pytest.raises(ValueError, match=f"needs {option}=FILE, its weights; `skeldistill fetch-w"):
        part().open()
    with pytest.raises(OSError, match=r"no file .*nowhere \(option"):
        part(**{option: str(tmp_path / "nowhere")}).open()


@pytest.mark.parametrize(
    ("part", "package", "extra"),
    [(MediaPipe, "mediapipe", "mediapipe"), (RTMPose, "onnxruntime", "rtmpose")],
)
def test_a_package_that_is_missing_is_named(part, package, extra, tmp_path, monkeypatch):
    for name in [one for one in sys.modules if one.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / "w").write_bytes(b"")
    files = {
        field.name: str(tmp_path / "w")
        for field in dataclasses.fields(part)
        if field.name in ("model", "detector", "pose")
    }
    for action in (part(**files).about, part(**files).open):
        with pytest.raises(ValueError, match=rf"'{package}'.*skeldistill\[{extra}\]"):
            action()


PIFPAF = """
import json, pathlib, sys
video, out = sys.argv[1:3]
assert pathlib.Path(video).is_absolute()
with open(out + "/video.openpifpaf.json", "w") as file:
    for frame in range(4):
        people = [[float(17 * i + frame + 2 * j) for j in range(17)] for i in range(frame)]
        found = [{"keypoints": [x for j in one for x in (j, 2 * j, 0.5)]} for one in people]
        file.write(json.dumps({"frame": frame + 1, "predictions": found}) + "\\n")
"""
OPENPOSE = """
import json, sys
for frame in range(3):
    one = {"pose_keypoints_2d": [float(frame + 1)] * 75}
    with open(f"{sys.argv[2]}/v_{frame:012d}_keypoints.json", "w") as file:
        json.dump({"people": [one] if frame != 1 else []}, file)
"""


def program(tmp_path: Path, text: str, **options: Any) -> Command:
    script = tmp_path / "program.py"
    script.write_text(text, encoding="utf-8")
    return Command(program=f"'{sys.executable}' '{script}' {{video}} {{out}}", **options)


def run(command: Command, tmp_path: Path, times: int) -> list:
    with closing(command.open()) as session:
        session.begin(tmp_path / "a video.mp4", "a")
        return [session(BLANK, t / 10) for t in range(times)]


def test_a_program_that_leaves_lines_of_openpifpaf(tmp_path):
    found = run(program(tmp_path, PIFPAF, template="openpifpaf"), tmp_path, 6)
    assert [len(people.joints) for people in found] == [0, 1, 2, 3, 0, 0]  # all are kept
    assert found[2].joints[:, 0, 0].tolist() == [2.0, 19.0]
    assert (found[3].scores == 0.5).all()


def test_a_program_that_leaves_a_folder_of_openpose(tmp_path):
    command = program(tmp_path, OPENPOSE, template="openpose")
    assert command.layout is BODY25
    found = run(command, tmp_path, 3)
    assert [len(people.joints) for people in found] == [1, 0, 1]
    assert (found[2].joints == 3).all()


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("import sys; sys.exit('no\\nluck')", {}, "status 1: luck"),
        ("pass", {}, "left nothing in"),
        ("import time; time.sleep(60)", {"limit": 0.5}, "took more than 0.5 seconds"),
        (OPENPOSE.replace("75", "54"), {"joints": "body25"}, "any x 75 of them"),
        (OPENPOSE.replace("v_", "v{frame}_"), {}, "left 3 clips for one video"),
    ],
)
def test_programs_that_fail_are_one_line(tmp_path, text, options, message):
    command = program(tmp_path, text, template="openpose", **options)
    with pytest.raises(ValueError, match=message) as refused:
        run(command, tmp_path, 1)
    assert "\n" not in str(refused.value)


def test_what_a_program_started_ends_with_it(tmp_path):
    script = (
        "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, file=open({!r}, 'w'))"
    )
    noted = tmp_path / "pid"
    text = f"{script.format(str(noted))}\nimport time; time.sleep(60)"
    with pytest.raises(ValueError, match="took more than"):
        run(program(tmp_path, text, template="openpose", limit=3), tmp_path, 1)
    assert ended(int(noted.read_text()))


def test_a_worker_that_is_stopped_leaves_no_program(tmp_path):
    """Ctrl-C stops workers; another program must not go on holding the machine."""
    noted = tmp_path / "pid"
    text = f"import os, time; print(os.getpid(), file=open({str(noted)!r}, 'w')); time.sleep(60)"
    worker = _Worker({"low": program(tmp_path, text, template="openpose")})
    video = write_video(tmp_path / "a.mp4", painted(3))
    try:
        assert worker.pipe.recv()
        worker.give(deque([Task(id="a", path=video, part=tmp_path / "a.npz")]))
        for _ in range(600):
            if noted.exists() and noted.read_text():
                break
            time.sleep(0.05)
    finally:
        worker.stop()
    assert ended(int(noted.read_text()))


def ended(pid: int) -> bool:
    """Whether a process is gone, or will be at once."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def test_a_program_that_is_not_there_or_a_camera(tmp_path):
    command = Command(template="openpose", program="no-such-program {video} {out}")
    with pytest.raises(OSError, match="no-such-program"):
        run(command, tmp_path, 1)
    with closing(command.open()) as session, pytest.raises(ValueError, match="camera"):
        session.begin(None, "a")


def test_no_shell_reads_the_name_of_a_video():
    pifpaf = Command(template="openpifpaf", arguments="--scale 0.5").words(Path("a"), Path("out"))
    assert pifpaf[pifpaf.index("--scale") + 1] == "1"  # not what each version takes
    assert pifpaf[-2:] == ["--scale", "0.5"]  # who wants another says so after it
    words = Command(template="openpose").words(Path("a; rm -rf *.mp4"), Path("out"))
    assert words[:3] == ["openpose.bin", "--video", "a; rm -rf *.mp4"]


def test_replay_says_what_was_stored(tmp_path):
    store = small_store(tmp_path / "a.arrow", named(3, "train"))
    replay = Replay(store=str(store.path))
    assert replay.layout.same_as(PENN13)
    with closing(replay.open()) as session:
        for place in (2, 0):
            session.begin(None, str(store.ids[place]))
            for t in range(14):
                people = session(BLANK, t / 10)
                wanted = store.joints(place)[:, t] if t < 12 else np.zeros((0, 13, 2))
                np.testing.assert_array_equal(people.joints, wanted)
        with pytest.raises(ValueError, match="no clip 'other' to replay"):
            session.begin(None, "other")


def test_replay_in_space_is_refused(tmp_path):
    store = small_store(tmp_path / "a.arrow", named(2, "train"), channels=3)
    with pytest.raises(ValueError, match="in three dimensions"):
        Replay(store=str(store.path)).open()


@pytest.mark.extras
def test_mediapipe_finds_who_claps(real_data, capfd):
    pytest.importorskip("mediapipe")
    pytest.importorskip("av")
    model, video = real_data(MODEL), next(real_data("videos").glob("clap__*"))
    image = next(frames(video)).image
    found = {}
    for name, options in {"high": {"tiles": 2}, "low": {"short_side": 128}}.items():
        with closing(MediaPipe(model=str(model), **options).open()) as session:
            session.begin(video, "a")
            people = session(image, 0.0)
        assert people.joints.shape == (1, 33, 2)
        found[name] = people.joints[0]
    nose, ankle = found["high"][0], found["high"][27]
    assert 0 < nose[0] < 320
    assert nose[1] < ankle[1]
    face = slice(0, 13)
    assert np.abs(found["high"][face] - found["low"][face]).mean() < 10
    about = MediaPipe(model=str(model)).about()
    assert "task" not in json.dumps(about)
    assert len(about["model"]) == 64
    assert capfd.readouterr().err == ""  # its own parts write dozens of lines


@pytest.mark.extras
def test_a_model_that_is_none_is_one_line(tmp_path):
    pytest.importorskip("mediapipe")
    (tmp_path / "a.task").write_bytes(b"no model" * 10)
    with pytest.raises(ValueError, match=r"mediapipe cannot load .*a\.task") as refused:
        MediaPipe(model=str(tmp_path / "a.task")).open()
    assert "\n" not in str(refused.value)


def test_coco_is_what_most_find():
    assert RTMPose().layout is COCO17
    assert Command(template="openpifpaf").layout is COCO17
