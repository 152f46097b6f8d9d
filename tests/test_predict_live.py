"""Cameras: drawn while they are watched, and watched frame by frame by networks that can."""

import itertools
import json
import os
import threading
import time
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
import torch
from jaxtyping import Float
from predicting import Alone, sides, small_checkpoint, write_video
from torch import Tensor, nn

from skeldistill import checkpoint
from skeldistill.clip import Clip
from skeldistill.data.store_writer import StoreWriter
from skeldistill.deploy import running, sources, video
from skeldistill.deploy.following import Following, Moment, Pose
from skeldistill.deploy.predict import Rules, Seen, Watching
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.deploy.segments import Hysteresis, Stretch
from skeldistill.deploy.serve_engines import MOST_PEOPLE, Streamed, Windowed, engine
from skeldistill.deploy.streaming import Stream
from skeldistill.deploy.wanted import Wanted
from skeldistill.deploy.watching_live import FrameByFrame, Now
from skeldistill.deploy.windows import Span
from skeldistill.layouts import PENN13
from skeldistill.networks import LiveGCN
from skeldistill.networks.network import Network
from skeldistill.networks.through_time import EachFrame, Path
from skeldistill.prediction import Prediction, presence
from skeldistill.readers.reader import Source
from skeldistill.readers.tracking import PATIENCE, People
from skeldistill.recipe import Sampling

RULES = Rules(
    window=Span(length=4.0, seconds=False),
    stride=Span(length=2.0, seconds=False),
    hysteresis=Hysteresis(enter=0.6, leave=0.5, shortest=0.0, smoothing=1),
)
SEEN = Seen(name="film", layout=PENN13, size=None, rate=30.0)


class Onlooker(Alone):
    """Sees somebody of some size, at negative places for two seconds, then at positive ones."""

    def __init__(self, stop=None, broken=None):
        self._stop, self._broken = stop, broken

    def begin(self, path, name):
        assert path is None

    def __call__(self, image, time):
        if self._stop is not None and time >= self._stop:
            raise KeyboardInterrupt
        if self._broken is not None and time >= self._broken:
            raise ValueError("rtsp://cam: cannot be decoded as a video (Connection timed out)")
        joints = np.zeros((1, 13, 2), np.float32)
        joints[0, :, 0] = -1 if time < 2 else 1
        joints[0, :, 1] = np.linspace(4, 40, 13)
        return People(joints, np.ones((1, 13), np.float32))

    def close(self):
        """Nothing is held."""


@pytest.fixture
def camera(tmp_path, monkeypatch):
    """A video of 40 frames, 10 a second, that is opened as camera 0; runs a recogniser on it."""
    pytest.importorskip("av")
    path = write_video(tmp_path / "camera.mp4", frames=40)
    original = video.open_video

    def opened(origin):
        found = original(path if origin == "0" else origin)
        found.live, found.duration = True, None
        return found

    monkeypatch.setattr(sources.video, "open_video", opened)

    def run(recogniser, stop=None, broken=None, session=None, rules=RULES, warn=None, **wanted):
        session = session or Onlooker(stop, broken)
        origin = sources.Filmed(name="0", origin="0", session=session, estimator=session)
        about = Source(layout=PENN13, channels=2, units="pixels", num_clips=1)
        each = sources.Sources(path=None, about=about, several=False, each=iter([origin]))
        told: list[str] = []
        telling = running.Telling(
            say=told.append, failed=told.append, warn=warn or told.append, watch=lambda *_: None
        )
        asked = Wanted(rules=rules, **wanted)
        assert running.run(recogniser, each, asked, telling).failures == 0
        return [json.loads(line) for line in told], path

    return run


@pytest.mark.parametrize("stopped", ["at its end", "by the clock", "by the user"])
def test_a_camera_is_drawn_while_it_is_watched(camera, tmp_path, stopped):
    frames = {"at its end": 40, "by the clock": 30, "by the user": 25}[stopped]
    told, path = camera(
        sides(),
        stop=2.5 if stopped == "by the user" else None,
        seconds=3.0 if stopped == "by the clock" else None,
        film=tmp_path / "seen.mp4",
    )
    assert [one["label"] for one in told] == ["left", "right"]
    drawn = list(video.frames(tmp_path / "seen.mp4"))
    plain = [frame.image for frame in video.frames(path)]
    assert len(drawn) == frames
    for frame, image in zip(drawn, plain, strict=False):
        assert frame.time == pytest.approx(frame.number / 10, abs=0.002)
        assert frame.image.shape == image.shape
    # nobody knows an action before the first window is over; then its name is written
    changed = [
        np.abs(frame.image.astype(int) - image).mean()
        for frame, image in zip(drawn, plain, strict=False)
    ]
    assert min(changed[8:20]) > max(changed[:2]) > 0
    assert not list(tmp_path.glob(".*partial*"))


def test_windows_of_a_camera_in_seconds_go_by_its_times(camera, monkeypatch):
    known = []

    class Knowing(Watching):
        def __init__(self, recogniser, rules, seen, **given):
            super().__init__(recogniser, rules, seen, **given)
            known.append(seen)

    monkeypatch.setattr(running, "Watching", Knowing)
    camera(sides())
    assert [one.live for one in known] == [True]


@pytest.mark.parametrize("out", ["said.jsonl", "said"])
def test_a_file_or_folder_holds_all_that_a_camera_tells(camera, tmp_path, out):
    told, _ = camera(sides())
    camera(sides(), out=tmp_path / out)
    path = tmp_path / out / "0.jsonl" if out == "said" else tmp_path / out
    kept = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) | {"at": ""} for line in kept] == [one | {"at": ""} for one in told]
    assert len(told) == 2


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_what_a_camera_told_before_it_was_started_again_stays(camera, tmp_path, format):
    out = tmp_path / f"said.{format}"
    out.touch()
    camera(sides(), out=out, format=format)
    before = out.read_text(encoding="utf-8")
    camera(sides(), out=out, format=format)
    after = out.read_text(encoding="utf-8")
    assert after.startswith(before)
    lines = [line.rpartition(",")[0] for line in after.splitlines()]  # but for the clock
    head = lines[:1] if format == "csv" else []
    assert lines == head + 2 * lines[len(head) : len(head) + 2]

    out.write_text(before[:-9], encoding="utf-8")  # cut off in the middle of a line
    camera(sides(), out=out, format=format)
    assert out.read_text(encoding="utf-8").startswith(before[:-9] + "\n")
    assert out.read_text(encoding="utf-8").count("\n") == before.count("\n") + 2


@pytest.mark.parametrize(
    ("format", "holds", "said"),
    [("srt", "1\n", "srt cannot be gone on with"), ("csv", "a,b\n1,2\n", "with other columns")],
)
def test_a_file_that_cannot_be_gone_on_with_is_refused(
    camera, tmp_path, monkeypatch, format, holds, said
):
    out = tmp_path / f"said.{format}"
    out.write_text(holds, encoding="utf-8")

    monkeypatch.delattr(sources.video, "open_video")  # the camera is not opened
    with pytest.raises(ValueError, match=f"{said}.*name another --out"):
        camera(sides(), out=out, format=format)
    assert out.read_text(encoding="utf-8") == holds


def test_what_a_camera_tells_may_go_into_a_pipe(camera, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    kept = []
    reader = threading.Thread(target=lambda: kept.append((tmp_path / "pipe.csv").read_text()))
    reader.start()
    camera(sides(), out=tmp_path / "pipe.csv", format="csv")
    reader.join()
    assert kept[0].count("\n") == 3


@pytest.mark.parametrize("zone", ["XXX-05:45", "XXX+03"])
def test_a_cameras_lines_tell_when_an_action_began_by_the_clock(camera, monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    ticks = itertools.count()
    monkeypatch.setattr(running.time, "time", lambda: 1e9 + next(ticks) / 10)
    try:
        told, _ = camera(sides())
    finally:
        monkeypatch.undo()
        time.tzset()
    offset = {"XXX-05:45": "+05:45", "XXX+03": "-03:00"}[zone]
    assert {one["at"][-6:] for one in told} == {offset}
    began = [datetime.fromisoformat(one["at"]).timestamp() for one in told]
    # the clock was asked once before the first frame
    assert began == pytest.approx([1e9 + 0.1 + one["start"] for one in told], abs=2e-3)


def test_a_camera_that_breaks_leaves_all_that_it_told(camera, tmp_path):
    out, film = tmp_path / "said.jsonl", tmp_path / "seen.mp4"
    with pytest.raises(ValueError, match="Connection timed out"):
        camera(sides(), broken=2.5, out=out, film=film)
    kept = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [one["label"] for one in kept] == ["left", "right"]
    assert kept[-1]["last_frame"] == 24
    assert len(list(video.frames(film))) == 25
    assert not list(tmp_path.glob(".*partial*"))


def test_what_a_camera_told_is_there_while_it_is_watched(camera, tmp_path):
    out, held = tmp_path / "said.csv", []

    class Slow(Onlooker):
        def __call__(self, image, time):
            held.append(out.read_text(encoding="utf-8").count("\n"))
            return super().__call__(image, time)

    camera(sides(), out=out, format="csv", session=Slow())
    assert (held[0], held[-1]) == (1, 2)  # the head; and the first action, while the second goes on
    assert out.read_text(encoding="utf-8").count("\n") == 3


@pytest.fixture
def fast(monkeypatch):
    """Makes the camera of `camera` go on while nobody asks; tells of its thread."""
    threads = []
    inner = sources.video.open_video

    def opened(origin):
        found = inner(origin)
        found.waits = origin != "0"
        return found

    class Told(video.Newest):
        def __init__(self, *given):
            super().__init__(*given)
            threads.append(self.thread)

    monkeypatch.setattr(sources.video, "open_video", opened)
    monkeypatch.setattr(video, "Newest", Told)
    return threads


class Busy(Onlooker):
    """Is busy with the first frame until no other comes any more."""

    def __init__(self, threads, **given):
        super().__init__(**given)
        self._threads = threads
        self.times = []

    def __call__(self, image, time):
        for one in self._threads:
            one.join()
        self.times.append(time)
        return super().__call__(image, time)


def test_of_a_fast_camera_the_newest_frame_is_watched(camera, fast):
    session = Busy(fast)
    camera(sides(), session=session)
    assert len(session.times) <= 2  # the first, unless that was over when it was asked for
    assert session.times[-1] == pytest.approx(3.9)
    assert not fast[0].is_alive()


def test_a_fast_camera_is_let_go_when_the_user_or_an_estimator_stops(camera, fast):
    camera(sides(), session=Busy(fast, stop=2.5))
    with pytest.raises(ValueError, match="Connection timed out"):
        camera(sides(), session=Busy(fast[1:], broken=2.5))
    assert [thread.is_alive() for thread in fast] == [False, False]


def test_that_frames_are_left_out_is_warned_of_once(camera, monkeypatch):
    line = "about 5 of 30 frames"
    monkeypatch.setattr(sources.Pace, "told", lambda self, time, number: line * (number == 7))
    warned = []
    camera(sides(), warn=warned.append)
    assert warned == [f"0: {line}"]


def test_who_is_gone_is_told_by_the_frames_of_a_camera_not_by_those_watched():
    watching = Watching(sides(), RULES, SEEN, batch=1)
    found = {}
    for number in range(0, 120, 6):
        people = {"a": (-1.0, 1.0)} if number < 60 else {}
        found[number] = watching.push(standing(number, **people))
    assert [number for number, actions in found.items() if actions] == [60 + PATIENCE]


def test_who_is_in_every_frame_that_is_watched_stays_the_same_person():
    following = Following()
    joints = np.zeros((1, 13, 2), np.float32)
    joints[0, :, 1] = np.linspace(4, 40, 13)
    here, away = People(joints, np.ones((1, 13), np.float32)), People(joints[:0], joints[:0, :, 0])
    seen = [here, here, here, away, here]
    people = [[*following.step(50 * i, 2.0 * i, one).people] for i, one in enumerate(seen)]
    assert people == [[0], [0], [0], [], [1]]


def test_an_overlay_of_a_camera_may_go_into_a_folder(camera, tmp_path):
    camera(sides(), film=tmp_path / "films", seconds=1.0)
    assert [path.name for path in (tmp_path / "films").iterdir()] == ["0.mp4"]


def test_what_is_shown_now_begins_at_enter_and_stays_until_leave():
    now = Now(sides(), RULES.hysteresis, SEEN)
    pose = Pose(joints=np.zeros((13, 2), np.float32), scores=np.ones(13, np.float32))
    here = Moment(number=9, time=0.3, people={0: pose})
    shown = []
    for left in (0.55, 0.7, 0.52, 0.45, 0.3):
        said = np.array([left, 1 - left])
        now.hear(0, Stretch(first=1, last=1, start=0.1, end=0.2, probabilities=said))
        shown.append([(one.label, round(one.confidence, 2)) for one in now.shown(here)])
    assert shown == [[], [("left", 0.7)], [("left", 0.52)], [], [("right", 0.7)]]
    assert now.shown(Moment(number=9, time=0.3, people={})) == []
    now.hear(0, Stretch(first=1, last=1, start=0.1, end=0.2, probabilities=np.zeros(2)))
    assert now.shown(here) == []


def test_who_has_left_is_forgotten():
    now, most = Now(sides(), RULES.hysteresis, SEEN), 0
    pose = Pose(joints=np.zeros((13, 2), np.float32), scores=np.ones(13, np.float32))
    said = np.array([0.9, 0.1])
    for number in range(400):
        who = number // 40  # somebody new every 40 frames
        now.hear(who, Stretch(first=number, last=number, start=0.0, end=0.0, probabilities=said))
        if number % 40 == 5 and who:  # what is said of the last one's end comes late
            now.hear(who - 1, Stretch(first=0, last=0, start=0.0, end=0.0, probabilities=said))
        shown = now.shown(Moment(number=number, time=number / 30, people={who: pose}))
        assert [one.person for one in shown] == [who]
        most = max(most, len(now._doing))
    assert most == 2


def test_nobody_listens_where_nothing_is_drawn(camera, monkeypatch):
    monkeypatch.delattr(running, "Now")
    assert len(camera(sides())[0]) == 2


# ---------------------------------------------------------------- frame by frame


def streaming(frames: int = 60) -> Recogniser:
    """A network that runs frame by frame, untrained but sure of itself."""
    torch.manual_seed(0)
    network = LiveGCN(PENN13, classes=3, persons=1, channels=3, width=0.25).eval()
    network.classifier.weight.data *= 20  # type: ignore[operator]
    about = {
        "classes": ["run", "sit", "wave"],
        "units": "pixels",
        "coordinates": 2,
        "sampling": {"frames": frames, "persons": 1, "normalisation": "none"},
    }
    return Recogniser.of(network, about)


def walking(frames: int, rng: np.random.Generator, *, absent: range = range(0)) -> list[Moment]:
    steps = rng.normal(size=(frames, 13, 2)).astype(np.float32).cumsum(axis=0) / 10
    sure = np.ones(13, np.float32)
    return [
        Moment(
            number=t,
            time=t / 30,
            people={} if t in absent else {0: Pose(joints=steps[t], scores=sure)},
        )
        for t in range(frames)
    ]


LIVE = Rules(
    window=Span(length=60.0, seconds=False),
    hysteresis=Hysteresis(enter=0.4, leave=0.2, shortest=0.0, smoothing=1),
)


def test_what_is_said_with_a_frame_is_what_the_stream_says(rng):
    recogniser, heard = streaming(), {}
    watching = FrameByFrame(
        recogniser, LIVE, SEEN, listen=lambda who, one: heard.update({one.first: (who, one)})
    )
    stream, actions = Stream(recogniser.network, 60, features=False), []
    for moment in walking(53, rng):
        actions += watching.push(moment)
        pose = moment.people[0]
        frame = np.concatenate([pose.joints, pose.scores[:, None]], axis=1)
        said = stream.push(torch.from_numpy(frame)[None, None])
        about, between = divmod(moment.number - stream.delay, 2)  # half of the frames until then
        assert (said is None) == (about < 0)
        if said is not None and not between:
            who, stretch = heard[about]
            expected = recogniser.named(said.logits[0].numpy()).probabilities
            np.testing.assert_allclose(stretch.probabilities, expected, atol=1e-5)
            assert (who, stretch.last) == (0, about)
    actions += watching.finish()
    assert actions[0].first_frame == 0
    assert actions[-1].last_frame == 52
    assert actions[-1].end == pytest.approx(53 / 30)
    for before, after in itertools.pairwise(actions):
        assert before.last_frame < after.first_frame


@pytest.mark.parametrize("frames", [1, 20, 60])
def test_every_frame_is_told_of_however_short_the_clip(rng, frames):
    recogniser = streaming()
    anything = Hysteresis(enter=0.0, leave=0.0, shortest=0.0, smoothing=1)
    watching = FrameByFrame(recogniser, Rules(window=LIVE.window, hysteresis=anything), SEEN)
    actions = [one for moment in walking(frames, rng) for one in watching.push(moment)]
    actions += watching.finish()
    told = [n for one in actions for n in range(one.first_frame, one.last_frame + 1)]
    assert told == list(range(frames))
    assert actions[0].start == 0
    assert actions[-1].end == pytest.approx(frames / 30)


def test_who_is_gone_is_let_go_and_begins_anew(rng):
    recogniser, actions = streaming(), []
    watching = FrameByFrame(recogniser, LIVE, SEEN)
    away = range(60, 60 + 2 * PATIENCE)
    for moment in walking(120 + 2 * PATIENCE, rng, absent=away):
        found = watching.push(moment)
        actions += found
        if moment.number == away[-1]:
            assert actions
            assert actions[-1].last_frame == 59
    actions += watching.finish()
    assert min(one.first_frame for one in actions if one.first_frame > 59) == away.stop
    assert watching.finish() == []


def test_slow_frames_break_nothing(rng):
    """Longer apart than anybody may be away; who is in the next one was not."""
    anything = Hysteresis(enter=0.0, leave=0.0, shortest=0.0, smoothing=1)
    rules = Rules(window=LIVE.window, hysteresis=anything)
    watching = FrameByFrame(streaming(), rules, replace(SEEN, rate=0.5))
    moments = [replace(one, time=2.0 * one.number) for one in walking(40, rng)]
    actions = [one for moment in moments for one in watching.push(moment)] + watching.finish()
    told = [n for one in actions for n in range(one.first_frame, one.last_frame + 1)]
    assert told == list(range(40))
    assert len(actions) < 20


class EachSide(Network):
    """Says "left" of frames at negative x and "right" of those at positive x, without delay."""

    def __init__(self, *, persons: int = 1):
        super().__init__(PENN13, classes=2, persons=persons, channels=2)
        self.feature_channels, self.temporal_stride = 2, 1
        self.classifier = nn.Linear(2, 2, bias=False)
        self.classifier.weight.data = 3 * torch.eye(2)

    @staticmethod
    def side(x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b 2 t 1"]:
        mean = x[:, :1].mean(dim=3, keepdim=True)
        return torch.cat([-mean, mean], dim=1)

    def through_time(self) -> Path:
        return EachFrame(self.side)

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        x = self.side(joints.flatten(0, 1).permute(0, 3, 1, 2)).unflatten(0, joints.shape[:2])
        logits = self.classifier(x.mean(dim=(3, 4)).mean(dim=1))
        return Prediction(logits, x, presence(joints, joints.shape[2]))


def each_side(*, persons: int = 1, frames: int = 10, **changes) -> Recogniser:
    how = {"frames": frames, "persons": persons, "normalisation": "none", "confidence": False}
    return Recogniser(
        network=EachSide(persons=persons).eval(),
        sampling=Sampling(**how | changes),
        coordinates=2,
        units="pixels",
        classes=("left", "right"),
    )


def standing(number: int, **who: tuple[float, float]) -> Moment:
    """A frame with people, called by letters, each at some x and so sure."""
    people = {
        ord(name): Pose(
            joints=np.full((13, 2), x, np.float32), scores=np.full(13, sure, np.float32)
        )
        for name, (x, sure) in who.items()
    }
    return Moment(number=number, time=number / 30, people=people)


@pytest.mark.parametrize("window", [10, 40])
@pytest.mark.parametrize("changed", [40, 90])
def test_an_action_begins_when_it_is_begun(window, changed):
    rules = Rules(
        window=Span(length=float(window), seconds=False), hysteresis=Hysteresis(smoothing=1)
    )
    for kind in (FrameByFrame, Watching):
        watching = kind(each_side(frames=window), rules, SEEN)
        actions = []
        for number in range(120):
            moment = standing(number, a=(-1 if number < changed else 1, 1.0))
            actions += watching.push(moment)
        actions += watching.finish()
        assert [one.label for one in actions] == ["left", "right"]
        step = 1 if kind is FrameByFrame else window // 4
        assert abs(actions[1].first_frame - changed) <= step
        assert actions[1].start == pytest.approx(actions[1].first_frame / 30)


def crowd(number: int) -> Moment:
    """Seven people, the first the surest, but for every fifth frame."""
    sure = np.linspace(0.9, 0.6, 7)[:: -1 if number % 5 == 4 else 1]
    return standing(
        number, **{name: (1.0, each) for name, each in zip("abcdefg", sure, strict=True)}
    )


def test_everybody_in_a_crowd_is_told_of():
    rules = Rules(window=Span(length=10.0, seconds=False), hysteresis=LIVE.hysteresis)
    watching = FrameByFrame(each_side(), rules, SEEN)
    actions = [one for number in range(20) for one in watching.push(crowd(number))]
    actions += watching.finish()
    assert {(one.person, one.first_frame, one.last_frame) for one in actions} == {
        (ord(name), 0, 19) for name in "abcdefg"
    }


@pytest.mark.parametrize(("recogniser", "kind"), [(each_side(), Streamed), (sides(), Windowed)])
def test_a_page_is_told_of_the_same_few_of_a_crowd(recogniser, kind):
    asked = engine(recogniser, 1.0, converting=False)
    assert isinstance(asked, kind)
    told = [{*asked.push(crowd(number), PENN13, None)} for number in range(10)]
    assert told == [{*map(ord, "abcd")}] * 10
    assert len(told[0]) == MOST_PEOPLE


@pytest.fixture
def shown(monkeypatch):
    """What streams are shown: x of the first joint at every place, of every frame."""
    seen: list[list[float]] = []
    push = Stream.push

    def spy(stream, frame):
        seen.append(frame[0, :, 0, 0].tolist())
        return push(stream, frame)

    monkeypatch.setattr(Stream, "push", spy)
    return seen


def test_persons_keep_their_places(shown):
    streamed = Streamed(each_side(persons=2), 10 / 30, converting=False)
    for number in range(20):
        sure = 0.8 + 0.1 * (-1) ** number
        streamed.push(standing(number, a=(-1, sure), b=(1, 1.6 - sure)), PENN13, None)
    assert shown == [[-1, 1]] * 20

    # who waits takes the place of who is gone for as long as a clip
    for number in range(20, 40):
        streamed.push(standing(number, b=(1, 0.5), c=(2, 0.9)), PENN13, None)
    assert shown[20:] == [[0, 1]] * 9 + [[2, 1]] * 11

    # and who is left is the first, as alone in a clip
    for number in range(40, 60):
        streamed.push(standing(number, b=(1, 0.5)), PENN13, None)
    assert shown[40:] == [[0, 1]] * 9 + [[1, 0]] * 11


def test_an_absence_is_shown_as_one(shown):
    streamed = Streamed(each_side(), 10 / 30, converting=False)
    for number in range(33):
        people = {} if 5 <= number < 30 else {"a": (-1.0 if number < 5 else 1.0, 1.0)}
        streamed.push(standing(number, **people), PENN13, None)
    assert shown == [[-1]] * 5 + [[0]] * 25 + [[1]] * 3


@pytest.mark.parametrize("choice", ["uniform", "resize"])
def test_every_frame_is_shown_as_it_is(choice, shown):
    recogniser = each_side(frame_choice=choice, test_clips=3)
    streamed = Streamed(recogniser, 10 / 30, converting=False)
    for number in range(20):
        streamed.push(standing(number, a=(number + 1.0, 1.0)), PENN13, None)
    assert shown == [[number + 1] for number in range(20)]


def test_a_camera_is_watched_frame_by_frame_and_drawn(camera, tmp_path):
    span = Span(length=2.0, seconds=True)
    rules = Rules(window=span, hysteresis=LIVE.hysteresis)
    told, _ = camera(streaming(), live=True, film=tmp_path / "seen.mp4", rules=rules)
    assert told
    assert len(list(video.frames(tmp_path / "seen.mp4"))) == 40


def test_from_the_command_line(skeldistill, tmp_path, rng):
    recogniser = streaming()
    about = {
        "classes": list(recogniser.classes),
        "units": "pixels",
        "coordinates": 2,
        "clip_frames": 60,
        "sampling": recogniser.sampling.model_dump(mode="json"),
    }
    checkpoint.save(tmp_path / "live.safetensors", recogniser.network, about=about)
    source = Source(layout=PENN13, channels=2, units="pixels", classes=recogniser.classes)
    joints = np.stack([moment.people[0].joints for moment in walking(90, rng)])[None]
    with StoreWriter(tmp_path / "one.arrow", source, provenance={}) as writer:
        writer.write(Clip(id="walk", joints=joints, layout=PENN13))
    words = ("predict", "live.safetensors", "one.arrow", "--live", "--enter", "0.4")
    code, out, err = skeldistill(*words)
    assert code == 0, err
    told = [json.loads(line) for line in out.splitlines()]
    assert told
    assert {one["source"] for one in told} == {"walk"}
    assert told[-1]["last_frame"] == 89

    code, _, err = skeldistill(*words[:4], "--whole")
    assert code == 1
    assert "--whole looks at a clip once" in err
    small_checkpoint(tmp_path / "whole.safetensors")
    code, _, err = skeldistill("predict", "whole.safetensors", "one.arrow", "--live")
    assert code == 1
    assert "leave --live away" in err
    assert err.count("\n") == 1
