"""Frames of videos: as they were written, upright, with their times; and files that are none."""

import contextlib
import io
import itertools
import os
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from videos import HEIGHT, WIDTH, cut_off, painted, write_video

from skeldistill.deploy import video
from skeldistill.deploy.display import Display
from skeldistill.deploy.encoding import encoder
from skeldistill.deploy.video import frames, open_video

pytest.importorskip("av")


@pytest.mark.parametrize("secret", ["user:pass@", "user:p@ss@", ""])
def test_no_part_of_a_password_is_told(secret):
    assert video.without_password(f"rtsp://{secret}host/a@b") == "rtsp://host/a@b"


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (
            "http://10.0.0.5/cgi/mjpg?usr=admin&pwd=secret",
            "http://10.0.0.5/cgi/mjpg?usr=...&pwd=...",
        ),
        ("http://secret:secret@cam/a?pwd=secret#secret", "http://cam/a?pwd=..."),
        ("http://cam/a?secret&n=1", "http://cam/a?...&n=..."),
        ("http://cam?mail=admin@secret", "http://..."),
        ("rtsp://admin:secret?secret@cam/a", "rtsp://..."),
        ("http://cam/a?pwd=secret@secret", "http://cam/a?pwd=..."),
        ("http://cam/a", "http://cam/a"),
    ],
)
def test_no_value_of_a_query_is_told(address, told):
    assert video.without_password(address) == told


def test_frames_come_as_they_were_written(tmp_path):
    pictures = painted(7)
    path = write_video(tmp_path / "a.mp4", pictures)
    with open_video(path) as opened:
        assert (opened.size, opened.rate, opened.display) == ((HEIGHT, WIDTH), 10.0, Display())
        assert opened.duration == pytest.approx(0.7)
        assert not opened.live
        found = list(opened.frames())
    assert [frame.number for frame in found] == list(range(7))
    np.testing.assert_allclose([frame.time for frame in found], np.arange(7) / 10, atol=1e-6)
    for frame, picture in zip(found, pictures, strict=True):
        assert frame.image.shape == (HEIGHT, WIDTH, 3)
        assert frame.image.dtype == np.uint8
        assert np.abs(frame.image.astype(int) - picture).mean() < 6


def test_colours_are_red_green_blue(tmp_path):
    red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    red[..., 0] = 200
    (frame,) = frames(write_video(tmp_path / "a.avi", [red]))
    assert frame.image[..., 0].mean() > 150 > 60 > frame.image[..., 1:].mean()


def test_times_are_those_of_the_file_and_begin_at_0(tmp_path):
    path = write_video(tmp_path / "a.mp4", painted(4), times=[5, 6, 9, 20])
    times = [frame.time for frame in frames(path)]
    np.testing.assert_allclose(times, [0, 0.1, 0.4, 1.5], atol=1e-6)


@pytest.mark.parametrize("claimed", [10, 30, 1000])
@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_a_claimed_rate_is_believed_unless_frames_are_slower(tmp_path, claimed, codec):
    av = pytest.importorskip("av")
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg has no {codec}")
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream(codec, rate=claimed)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number, picture in enumerate(painted(90)):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = 100 * number, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with open_video(tmp_path / "a.mkv") as opened:
        assert opened.rate == pytest.approx(10, rel=0.01)
        assert len(list(opened.frames())) == 90


def told_at(opened, seconds):
    """The times of an open video's frames, whose file says other ones."""

    class Told:
        def __init__(self, picture, time):
            self._picture, self.time = picture, time

        def __getattr__(self, name):
            return getattr(self._picture, name)

    opened._first = Told(opened._first, seconds[0])
    opened._images = map(Told, opened._images, seconds[1:])
    return [round(frame.time, 6) for frame in opened.frames()]


@pytest.mark.parametrize(
    ("seconds", "times"),
    [
        ([1.4, 1.5, 1.4, 1.5, 1.6], [0, 0.1, 0.1, 0.1, 0.2]),  # slips move nothing that follows
        ([1.4, 1.5, 2.4, 1.4, 1.6], [0, 0.1, 1.0, 1.1, 1.3]),
        ([1.4, None, 2.4, 0.0, None], [0, 0.1, 1.0, 1.1, 1.2]),
        ([9.0, 5.0, 5.1, 0.0, 0.1], [0, 0.1, 0.2, 0.3, 0.4]),
    ],
)
def test_times_never_go_back(tmp_path, seconds, times):
    with open_video(write_video(tmp_path / "a.mp4", painted(5))) as opened:
        assert told_at(opened, seconds) == times


def test_parts_that_were_joined_follow_each_other(tmp_path):
    part = write_video(tmp_path / "a.ts", painted(20))
    (tmp_path / "joined.ts").write_bytes(part.read_bytes() * 3)
    times = [frame.time for frame in frames(tmp_path / "joined.ts")]
    assert len(times) > 50
    assert min(np.diff(times)) > 0
    assert times[-1] == pytest.approx(len(times) / 10, abs=0.5)


@pytest.mark.parametrize(("rate", "step"), [(10.0, 1 / 10), (0.0, 1 / 30)])
def test_frames_without_times_follow_at_the_rate_or_the_usual_one(tmp_path, rate, step):
    def timeless(picture):
        picture.pts = None
        return picture

    with open_video(write_video(tmp_path / "a.mp4", painted(4))) as opened:
        opened.rate = rate
        opened._first = timeless(opened._first)
        opened._images = map(timeless, opened._images)
        times = [frame.time for frame in opened.frames()]
    np.testing.assert_allclose(times, np.arange(4) * step)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_pictures_are_turned_upright(tmp_path, rotation):
    lit = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    lit[:16, :16] = 255  # the corner at the top left
    path = write_video(tmp_path / "a.mp4", [lit] * 2, rotation=rotation)
    with open_video(path) as opened:
        assert opened.display == Display(rotation)
        images = [frame.image for frame in opened.frames()]
    wanted = np.rot90(lit, rotation // 90)
    assert images[1].shape == wanted.shape
    assert opened.size == wanted.shape[:2]
    assert np.abs(images[1].astype(int) - wanted).mean() < 20


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_display_matrix_says_where_each_corner_is_seen(tmp_path, rotation, mirrored):
    """By the matrix itself: the bright corner of the stored picture is at (x, y) = (0, 0)."""
    a, b, c, d = {0: (1, 0, 0, 1), 90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), 270: (0, 1, -1, 0)}[
        rotation
    ]
    if mirrored:
        a, b = -a, -b
    told = np.array([a, b, 0, c, d, 0, 0, 0, 2**14], np.int32) * 2**16
    told[8] = 2**30
    lit = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    lit[:16, :16] = 255
    path = write_video(tmp_path / "a.mp4", [lit] * 2, matrix=told.tolist())
    with open_video(path) as opened:
        assert opened.display == Display(rotation, mirrored)
        images = [frame.image for frame in opened.frames()]
    right = a < 0 or c < 0  # what was at the left is seen at the right
    below = b < 0 or d < 0
    height, width = images[0].shape[:2]
    assert opened.size == (height, width) == ((HEIGHT, WIDTH) if a else (WIDTH, HEIGHT))
    corner = images[1][-14:] if below else images[1][:14]
    corner = corner[:, -14:] if right else corner[:, :14]
    assert corner.mean() > 200
    assert images[1].mean() < 40


def test_h264_in_avi_has_its_times(tmp_path):
    """AVI keeps the order of decoding; pictures are shown in another."""
    av = pytest.importorskip("av")
    if "libx264" not in av.codecs_available:
        pytest.skip("this FFmpeg has no libx264")
    with av.open(str(tmp_path / "a.avi"), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for picture in painted(60):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    found = list(frames(tmp_path / "a.avi"))
    np.testing.assert_allclose([one.time for one in found], np.arange(60) / 10, atol=1e-6)
    lefts = [np.nonzero(one.image[16, :, 0] > 128)[0].min() for one in found]
    np.testing.assert_allclose(lefts, 4 * np.arange(60) % (WIDTH - 16), atol=2)


@pytest.mark.parametrize("ending", ["avi", "mp4", "mkv"])
def test_what_is_encoded_has_its_times_and_shape(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    with encoder(path, (HEIGHT, WIDTH), 10.0, 4 / 3) as add:
        for number, picture in enumerate(painted(30)):
            add(picture, number / 10)
    with open_video(path) as opened:
        assert opened.aspect == pytest.approx(4 / 3)
        times = [frame.time for frame in opened.frames()]
    np.testing.assert_allclose(times, np.arange(30) / 10, atol=1e-6)


@pytest.mark.parametrize(
    ("steps", "claimed", "rate"),
    [
        ([1, 1, 1, 2, 2, 2], 30.0, 30),  # frames that fit their claim, and many are missing
        ([1, 2, 2, 2, 1, 1], 30.0, 30),
        ([3, 3, 3, 3], 30.0, 10),
        ([1, 1, 1, 60, 1, 1], 30.0, 30),  # a pause
    ],
)
def test_a_rate_fits_the_usual_step(steps, claimed, rate):
    times = np.round(np.cumsum([0, *steps]) / 30, 4)
    assert video.rate_of(times, claimed) == pytest.approx(rate, rel=0.01)


def test_frames_are_read_once(tmp_path):
    with open_video(write_video(tmp_path / "a.mp4", painted(3))) as opened:
        list(opened.frames())
        with pytest.raises(ValueError, match="open it again"):
            next(opened.frames())


def test_a_number_is_a_camera_unless_a_file_is_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, OSError), match="camera 7"):
        open_video("7")
    write_video(tmp_path / "a.mp4", painted(2)).rename("7")
    assert len(list(frames("7"))) == 2


def test_linux_names_cameras_by_their_devices(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("by-id").symlink_to("/dev/video73")
    for name in ("/dev/video73", "by-id"):
        with pytest.raises((ValueError, OSError), match="camera 73: "):
            open_video(name)
    assert [video.camera_number(name) for name in ("/dev/video", "video1", "1/")] == [None] * 3


def test_a_device_that_is_no_camera_is_told_as_what_it_is(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe"):
        with pytest.raises(ValueError, match=f"{path} is a device or a pipe, no video; name a"):
            open_video(path)


@pytest.mark.parametrize("kind", ["avi", "mkv", "mp4"])
def test_a_file_that_was_cut_off_says_so_at_its_end(tmp_path, kind):
    whole = write_video(tmp_path / f"a.{kind}", painted(30))
    with open_video(cut_off(whole, f"b.{kind}", 12)) as opened:
        assert opened.cut == ""
        assert 10 <= len(list(opened.frames())) <= 12
        assert "of the 3.0 seconds that the file claims" in opened.cut


def remuxed(path, name, shift):
    """The same packets, so many seconds later, in another file."""
    import av

    options = {"avoid_negative_ts": "disabled"}
    target = path.with_name(name)
    with av.open(str(path)) as old, av.open(str(target), "w", options=options) as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.dts is not None:
                packet.pts += round(shift / stream.time_base)
                packet.dts += round(shift / stream.time_base)
                packet.stream = copy
                new.mux(packet)
    return target


TIMES = {
    "even": None,
    "slow": [0, 50, 100],
    "late": [0, 1, 2, 40],
    "paused": [0, 1, 2, 3, 44, 45],
    "shifted": [30, 31, 32, 34],
}


@pytest.mark.parametrize(
    ("kind", "told"),
    # an MPEG program stream is decoded by the clock, whatever times its frames have
    [*((kind, told) for kind in ("avi", "mkv", "mp4", "ts") for told in TIMES), ("mpg", "even")],
)
def test_whole_files_are_not_taken_for_cut_ones(tmp_path, kind, told):
    times = TIMES[told]
    count = len(times or range(30))
    with open_video(write_video(tmp_path / f"a.{kind}", painted(count), times=times)) as opened:
        assert list(opened.frames())
        assert opened.cut == ""


@pytest.mark.parametrize("shift", [-2, 2])
@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_an_edit_list_cuts_nothing_off(tmp_path, kind, shift):
    path = remuxed(write_video(tmp_path / "a.mp4", painted(40)), f"b.{kind}", shift)
    with open_video(path) as opened:
        count = len(list(opened.frames()))
        assert opened.cut == ""
    assert count == (20 if kind == "mp4" and shift < 0 else 40)  # it leaves out the first two


def test_turned_and_joined_files_are_whole_and_what_claims_nothing_never_cut(tmp_path):
    part = write_video(tmp_path / "a.ts", painted(20))
    (tmp_path / "joined.ts").write_bytes(part.read_bytes() * 3)
    turned = write_video(tmp_path / "a.mp4", painted(20), rotation=90)
    for path in (tmp_path / "joined.ts", cut_off(part, "b.ts", 8), turned):
        with open_video(path) as opened:
            assert list(opened.frames())
            assert opened.cut == ""


def hostile(tmp_path: Path, kind: str) -> Path:
    good = write_video(tmp_path / "good.mp4", painted(5))
    path = tmp_path / f"{kind}.mp4"
    match kind:
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_text("no video at all\n" * 50, encoding="utf-8")
        case "truncated":
            path.write_bytes(good.read_bytes()[:200])
        case "noise":
            path.write_bytes(np.random.default_rng(0).bytes(20_000))
        case "playlist":
            path.write_text(f"#EXTM3U\n#EXTINF:1,\n{good}\n", encoding="utf-8")
        case "concat":
            path.write_text(f"ffconcat version 1.0\nfile '{good.name}'\n", encoding="utf-8")
        case "folder":
            path.mkdir()
        case "concat:good.mp4|good":
            pass  # FFmpeg would take such a name for two files
    return path


@pytest.mark.parametrize(
    "kind",
    ["empty", "text", "truncated", "noise", "playlist", "concat", "folder", "concat:good.mp4|good"],
)
def test_what_is_no_video_is_one_line(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    path = hostile(tmp_path, kind)
    with pytest.raises((ValueError, OSError)) as refused:
        list(frames(path.name))
    assert path.name in str(refused.value)
    assert "\n" not in str(refused.value)


def test_sound_alone_is_no_video(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.rate = 8000
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match="there is no video in it"):
        open_video(path)


def test_a_header_that_claims_too_much_is_refused(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", painted(2))
    monkeypatch.setattr(video, "MOST_PIXELS", HEIGHT * WIDTH - 1)
    with pytest.raises(ValueError, match="64 x 48 pixels; at most 3,071"):
        open_video(path)


def test_a_stream_that_nobody_sends_is_one_line():
    with pytest.raises((ValueError, OSError), match=r"rtsp://127\.0\.0\.1:9/x"):
        open_video("rtsp://127.0.0.1:9/x")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


def test_a_stream_is_read_by_its_address(tmp_path):
    path = write_video(tmp_path / "a.mp4", painted(5))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with open_video(f"http://me:secret@127.0.0.1:{server.server_port}/a.mp4") as opened:
                assert (opened.live, opened.duration) == (True, None)
                assert "secret" not in opened.name
                shown = [frame.image for frame in opened.frames()]
        finally:
            server.shutdown()
            thread.join()
    np.testing.assert_array_equal(shown, [frame.image for frame in frames(path)])


class Pictures(BaseHTTPRequestHandler):
    """A camera on a network: pictures without times, ten a second, after some haste."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        with contextlib.suppress(OSError):
            for picture in painted(self.server.pictures):
                file = io.BytesIO()
                Image.fromarray(picture).save(file, "JPEG")
                length = len(file.getvalue())
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"
                self.wfile.write(head.encode() + file.getvalue() + b"\r\n")
                time.sleep(self.server.pause)

    def log_message(self, *words):
        pass


@contextlib.contextmanager
def camera(pictures: int, pause: float) -> Iterator[str]:
    """The address of a camera of so many pictures, with so many seconds between them."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        server.pictures, server.pause, server.daemon_threads = pictures, pause, True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


def test_pictures_of_a_camera_have_the_times_of_their_arrival():
    with camera(pictures=40, pause=0.1) as address:
        began = time.monotonic()
        with open_video(address) as opened:
            times = [one.time for one in itertools.islice(opened.frames(), 31)]
        passed = time.monotonic() - began
    # at 25 a second, which nobody said, they would end after 1.2 of at least 3 seconds
    assert 2.5 < times[-1] <= passed


def test_of_a_camera_that_is_too_fast_the_newest_picture_is_taken():
    with camera(pictures=80, pause=0.02) as address:
        began = time.monotonic()
        with open_video(address) as opened:
            assert not opened.waits
            pictures = opened.frames()
            taken = [next(pictures)]
            opened._newest.thread.join()  # somebody is busy until nothing comes any more
            passed = time.monotonic() - began
            taken.append(next(pictures))
            with pytest.raises(ValueError, match=r"127\.0\.0\.1.*cannot be decoded"):
                next(pictures)  # the camera broke off
    assert taken[1].number == 79
    assert 79 * 0.02 * 0.9 < taken[1].time <= passed
    np.testing.assert_allclose(taken[1].image, painted(80)[79], atol=40)


def test_a_file_behind_an_address_waits(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", painted(3))
    with open_video(path) as opened:
        assert opened.waits
        container = opened._container
        assert video._waits("http://cam/a.mp4", container)
        assert not video._waits("rtsp://cam/a.mp4", container)  # sent at its own pace


def test_without_pyav_it_says_what_to_install(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", painted(2))
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"needs the package 'av': pip install 'skeldistill\[vid"):
        open_video(path)


def test_real_videos_are_counted_by_decoding(real_data):
    golf = next(real_data("videos").glob("golf__*"))
    with open_video(golf) as opened:
        found = list(opened.frames())
    assert len(found) == 40  # the file claims 48
    assert opened.size == (240, 320)
    assert found[-1].time == pytest.approx(47 / 30)


def test_real_videos_are_whole_until_they_are_cut(real_data, tmp_path):
    for path in sorted(real_data("videos").iterdir()):
        with open_video(path) as opened:
            count = len(list(opened.frames()))
            assert opened.cut == ""
    path = next(real_data("videos").glob("walk__*"))
    (tmp_path / "t.avi").write_bytes(path.read_bytes()[:50_000])
    with open_video(tmp_path / "t.avi") as opened:
        assert len(list(opened.frames())) == 3 < count
        assert opened.cut.startswith("only 3 frames could be decoded, 0.1 of the 1.6 seconds")
