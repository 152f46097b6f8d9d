"""Serving: what is answered, what is refused, and that a browser can use it."""

import asyncio
import io
import json
import socket
import struct
import threading
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from browser import Browser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image
from predicting import acting, sides, small_checkpoint, write_video
from videos import cut_off

from skeldistill.cli.serve import name_of
from skeldistill.deploy import (
    serve,
    serve_guard,
    serve_live,
    serve_page,
    serve_routes,
    serve_skeletons,
)
from skeldistill.deploy.following import Moment, Pose
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.deploy.segments import Hysteresis
from skeldistill.deploy.serve_engines import Streamed, Windowed, engine
from skeldistill.deploy.serve_guard import Limits, Refused, Stop, Turns, names, without_paths
from skeldistill.deploy.serve_watching import Serving
from skeldistill.deploy.streaming import Stream
from skeldistill.deploy.windows import Span
from skeldistill.layouts import COCO17, PENN13, Layout
from skeldistill.networks import DeepLSTM, LiveGCN, ResTCN
from skeldistill.readers import tracking
from skeldistill.readers.tracking import People

pytest.importorskip("fastapi")
client_of = pytest.importorskip("fastapi.testclient", exc_type=ImportError).TestClient

HERE = "http://127.0.0.1"
SURE = 1 / (1 + np.exp(-4))
"""What `sides` says of somebody who stands at 2 or -2."""


@dataclass(frozen=True, kw_only=True)
class Lamp:
    """Finds one person, at 2 in bright pictures and at -2 in dark ones."""

    broken: bool = False
    dark: bool = False
    closed: list[str] = field(default_factory=list)

    @property
    def layout(self) -> Layout:
        return PENN13

    def about(self) -> Mapping[str, Any]:
        return {"estimator": "Lamp"}

    def open(self) -> "Lit":
        return Lit(self)


class Lit:
    def __init__(self, options: Lamp) -> None:
        self.options = options

    def begin(self, path: Path | None, name: str) -> None:
        assert "/" not in name
        if self.options.broken:
            raise ValueError(f"cannot look at {path}, for want of /etc/secrets/key.txt")

    def __call__(self, image: np.ndarray, time: float) -> People:
        if self.options.dark:
            raise OSError("nothing is seen\nin /etc/secrets/key.txt")
        joints = np.empty((1, 13, 2), np.float32)
        # so tall that who moves from one side to the other is still the same person
        joints[..., 0], joints[..., 1] = 2 if image.mean() > 100 else -2, np.linspace(1, 11, 13)
        return People(joints, np.ones((1, 13), np.float32))

    def close(self) -> None:
        self.options.closed.append("closed")


def serving(**changes: Any) -> Serving:
    told = {
        "models": {"plain": sides(), "taught": sides()},
        "estimator": Lamp(),
        "window": Span(length=4.0, seconds=False),
        "hysteresis": Hysteresis(enter=0.6, leave=0.5, smoothing=1),
        "limits": Limits(megabytes=1.0, seconds=10.0, cameras=2),
    }
    return Serving(**{**told, **changes})


@pytest.fixture(scope="module")
def ask() -> Iterator[Any]:
    with client_of(serve.application(serving()), base_url=HERE) as client:
        yield client


@pytest.fixture
def fresh() -> Iterator[Any]:
    with client_of(serve.application(serving()), base_url=HERE) as client:
        yield client


def sent(places: list[float | None], **more: Any) -> dict[str, Any]:
    clip = acting(places)
    return {"joints": clip.joints.tolist(), "scores": clip.scores.tolist(), **more}


def packed(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def spans(model: dict[str, Any]) -> list[tuple[str, float, float]]:
    return [(one["label"], one["start"], one["end"]) for one in model["segments"]]


# ---------------------------------------------------------------- what is answered


def test_it_tells_what_is_served(ask):
    told = ask.get("/api/models").json()
    assert [model["name"] for model in told["models"]] == ["plain", "taught"]
    assert told["models"][0]["classes"] == ["left", "right"]
    assert told["models"][0]["joints"] == list(PENN13.joints)
    assert (told["estimator"], told["most_megabytes"], told["most_seconds"]) == ("Lamp", 1.0, 10.0)


def test_it_is_described(ask):
    told = ask.get("/api/openapi.json").json()
    paths = {path for path in told["paths"] if path.startswith("/api/")}
    assert {"/api/models", "/api/recognise", "/api/video", "/api/live/{live}"} <= paths
    body = told["paths"]["/api/recognise"]["post"]["requestBody"]["content"]
    assert "joints" in body["application/json"]["schema"]["properties"]
    begin = told["paths"]["/api/live"]["post"]["requestBody"]["content"]["application/json"]
    assert list(begin["schema"]["properties"]) == ["layout"]
    for path in told["paths"].values():
        for one in path.values():
            assert one["description"]
            assert "HTTPValidationError" not in json.dumps(one.get("responses", {}).get("4XX"))


@pytest.mark.parametrize("form", ["json", "npz"])
def test_a_clip_is_recognised_by_every_network(ask, form):
    clip = acting([2.0] * 6)
    content = json.dumps(sent([2.0] * 6)).encode()
    if form == "npz":
        content = packed(joints=clip.joints, scores=clip.scores, layout="penn13", rate=25.0)
    told = ask.post("/api/recognise", content=content).json()
    assert [model["model"] for model in told["models"]] == ["plain", "taught"]
    for model in told["models"]:
        assert model["label"] == "right"
        assert model["confidence"] == pytest.approx(SURE, abs=1e-4)
        assert [one["label"] for one in model["top"]] == ["right", "left"]


def test_nobody_does_nothing(ask):
    told = ask.post("/api/recognise", json=sent([None] * 3)).json()["models"][0]
    assert (told["label"], told["confidence"], told["top"]) == (None, 0.0, [])
    told = ask.post("/api/skeletons", json=sent([None] * 3)).json()
    assert told["models"][0]["segments"] == []
    assert [frame["people"] for frame in told["frames"]] == [[], [], []]


def test_skeletons_are_followed_over_time(ask):
    content = sent([-2.0] * 20 + [2.0] * 20, rate=10, size=[100, 200], name="../she")
    told = ask.post("/api/skeletons", json=content).json()
    assert (told["name"], told["size"], told["rate"], told["seconds"]) == (
        "../she", [100, 200], 10, 4.0,
    )  # fmt: skip
    assert told["body"]["bones"] == [list(pair) for pair in PENN13.bone_indices]
    assert told["body"]["sides"][PENN13.index("left_wrist")] == "left"
    assert len(told["frames"]) == 40
    assert told["frames"][30]["people"][0]["joints"][0] == [2.0, 1.0]
    left, right = spans(told["models"][0])
    assert (left[0], right[0]) == ("left", "right")
    assert (left[1], right[2]) == (0.0, 4.0)
    assert left[2] == right[1] == pytest.approx(2.0, abs=0.2)
    around = told["models"][0]["windows"]
    assert around[0]["top"][0] == {"label": "left", "confidence": round(SURE, 4)}
    assert around[-1]["end"] == 4.0


def test_a_video_is_watched_and_nothing_of_it_kept(ask, tmp_path):
    pytest.importorskip("av")
    film = write_video(tmp_path / "film.mp4").read_bytes()  # dark for 10 frames, then bright
    name = "../../etc/passwd.mp4"
    answer = ask.post(f"/api/video?name={name}&ticket=12345678", content=film)
    told = answer.json()
    assert answer.status_code == 200, told
    assert (told["name"], told["size"], told["seconds"]) == ("passwd", [48, 64], 2.0)
    left, right = spans(told["models"][1])
    assert (left[0], right[0]) == ("left", "right")
    assert left[2] == pytest.approx(1.1, abs=0.2)
    assert list(ask.app.state.folder.iterdir()) == []
    assert ask.get("/api/progress/12345678").status_code == 404
    ask.app.state.shares["12345678"] = 0.5
    assert ask.get("/api/progress/12345678").json() == {"share": 0.5}


def test_a_video_that_was_cut_off_is_told_of(ask, tmp_path):
    pytest.importorskip("av")
    film = write_video(tmp_path / "film.mkv")
    assert ask.post("/api/video", content=film.read_bytes()).json()["warnings"] == []
    told = ask.post("/api/video?name=b.mkv", content=cut_off(film, "b.mkv", 8).read_bytes()).json()
    (line,) = told["warnings"]
    assert line.startswith("b: only 8 frames could be decoded, 0.8 of the 2.0 seconds")
    assert len(told["frames"]) == 8


def test_progress_is_told(tmp_path):
    pytest.importorskip("av")
    from skeldistill.deploy.serve_watching import watch_video

    shares: list[float] = []
    film = write_video(tmp_path / "film.mp4")
    watch_video(serving(), film, "film.mp4", Stop(), shares.append)
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] <= 1


# ---------------------------------------------------------------- what is refused


def nested(depth: int) -> bytes:
    return b'{"joints":' + b"[" * depth + b"]" * depth + b"}"


JOINTS = acting([1.0, 1.0]).joints.tolist()
FAR, INFINITE = ([[[[value, 0.0]] * 13] * 2] for value in (1e30, float("inf")))


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 400, "nothing was sent"),
        (b"hello", 400, "neither JSON nor"),
        (b"[1, 2", 400, "neither JSON nor"),
        (b"\xff\xfe\x00", 400, "neither JSON nor"),
        (b"{}", 422, "joints"),
        (b"[]", 422, "the whole: Input should be an object"),
        (nested(100_000), 400, "neither JSON nor"),
        (nested(60), 422, "joints.0.0.0.0"),
        (json.dumps({"joints": JOINTS, "scores": "1"}).encode(), 422, "scores"),
        (json.dumps({"joints": JOINTS, "layuot": "penn13"}).encode(), 422, "did you mean 'layout'"),
        (json.dumps({"joints": JOINTS, "layout": "coco17"}).encode(), 422, "13 joints but"),
        (json.dumps({"joints": JOINTS, "layout": "/etc/a.yaml"}).encode(), 422, "no layout called"),
        (json.dumps({"joints": JOINTS, "units": "metres"}).encode(), 422, "in pixels but"),
        (json.dumps({"joints": JOINTS, "size": [0, 5]}).encode(), 422, "no picture"),
        (json.dumps({"joints": JOINTS, "rate": 0}).encode(), 422, "rate"),
        (json.dumps({"joints": [[["1"]]]}).encode(), 422, "joints.0.0.0"),
        (json.dumps({"joints": FAR}).encode(), 422, "beyond 1e+07"),
        (json.dumps({"joints": INFINITE}).encode(), 422, "joints.0.0.0.0"),
        (b'{"joints": [[[[NaN, 1]]]]}', 422, "joints.0.0.0.0"),
        (json.dumps({"joints": [[[[1.0, 2.0, 3.0]] * 13]]}).encode(), 422, "2 coordinates"),
        (json.dumps({"joints": [[[[1.0, 2.0]] * 13, []]]}).encode(), 422, "differ in length"),
        (json.dumps({"joints": [[[[1.0, 2.0]] * 13]] * 21}).encode(), 422, "at most 20"),
        (json.dumps({"joints": [[[[1.0, 2.0]] * 13] * 301]}).encode(), 413, "301 frames"),
        (json.dumps({"joints": []}).encode(), 422, "4 axes"),
        (b" " * 1_000_001, 413, "larger than 1 MB"),
    ],
)
def test_hostile_skeletons_are_refused_in_one_line(ask, content, status, words):
    for path in ("/api/recognise", "/api/skeletons"):
        answer = ask.post(path, content=content)
        assert answer.status_code == status, answer.text
        line = answer.json()["detail"]
        assert words in line
        assert "\n" not in line
        assert len(line) < 400
    assert ask.post("/api/recognise", json=sent([1.0])).status_code == 200


def altered(size: int) -> bytes:
    """A file of NumPy whose directory claims another size of its first array."""
    content = bytearray(packed(joints=np.zeros((1, 2, 13, 2))))
    content[content.index(b"PK\x01\x02") + 24 :][:4] = b""
    at = content.index(b"PK\x01\x02") + 24
    return bytes(content[:at] + struct.pack("<I", size) + content[at + 4 :])


def archive(**entries: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in entries.items():
            made.writestr(name, content)
    return file.getvalue()


def npy(shape: str, content: bytes = b"", kind: str = "<f8") -> bytes:
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head) + 1) + head + b"\n" + content


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"PK\x03\x04 and no more", 400, "damaged"),
        (packed(joints=np.zeros((1, 2, 13, 2)))[:-30], 400, "damaged"),
        (altered(2**32 - 2), 413, "bytes"),
        (altered(100), 400, ""),
        (packed(scores=np.zeros((1, 2, 13))), 422, "no array 'joints'"),
        (packed(joints=np.array([{"a": 1}], object)), 422, "Python objects"),
        (packed(joints=np.zeros((21, 1, 13, 2))), 422, "21 persons"),
        (packed(joints=np.array([["1"]])), 422, "numbers on 4 axes"),
        (packed(joints=np.full((1, 2, 13, 2), np.nan)), 422, "not finite"),
        (packed(joints=np.full((1, 2, 13, 2), np.iinfo(np.int64).min)), 422, "not finite"),
        (packed(joints=np.zeros((1, 2, 13, 2)), rate=np.array([1, 2])), 422, "single number"),
        (packed(joints=np.zeros((1, 2, 13, 2)), rate=-1.0), 422, "no number of frames"),
        (packed(joints=np.zeros((1, 2, 13, 2)), size=np.array([1, 2, 3])), 422, "(height, width)"),
        (archive(**{"../../joints.npy": b""}), 422, "did you mean"),
        (archive(**{"joints.npy": b"no array"}), 400, "no array of NumPy"),
        (archive(**{"joints.npy": npy("(9999999, 9999999, 13, 2)")}), 413, "100,000 numbers"),
        (archive(**{"joints.npy": npy("(1, 3, 13, 2)")}), 400, "claims shape"),
        (archive(**{"joints.npy": npy("(1, 30000, 17, 2)", bytes(1), "|u1")}), 413, "numbers at"),
        (archive(**{"size.npy": npy("(100_001,)", kind="<U0")}), 413, "numbers at"),
        (packed(joints=np.zeros((1, 2, 13, 2)), scores=np.zeros(99_950)), 413, "bytes; 800,000"),
        (packed(joints=np.full((1, 2, 13, 2), 1e300)), 422, "not finite"),
        (packed(joints=np.zeros((1, 0, 13, 2))), 422, ""),
        (archive(**{"joints.npy": npy("(-1, 2, 13, 2)")}), 422, ""),
        (archive(**{"joints.npy": npy("(1, 2, 13, 2)", kind="|O")}), 422, "Python objects"),
        (archive(**{"joints.npy": npy("[__import__('os')]")}), 400, "no array of NumPy"),
        (archive(**{f"{n}.npy": b"" for n in range(20)}), 422, "20 arrays"),
        (archive(**{"joints.npy": bytes(2_000_000)}), 413, "2,000,000 bytes"),
    ],
)
def test_hostile_arrays_are_refused_before_they_fill_the_memory(
    ask, content, status, words, monkeypatch
):
    monkeypatch.setattr(serve_skeletons, "MOST_NUMBERS", 100_000)
    answer = ask.post("/api/recognise", content=content)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]


def test_a_clip_too_long_is_refused_before_its_numbers_are_looked_at(ask, monkeypatch):
    looked = []
    monkeypatch.setattr(serve_skeletons, "_single", lambda *told: looked.append(told))
    for shape, status, words in (((1, 301, 13, 2), 413, "frames"), ((21, 1, 13, 2), 422, "21")):
        answer = ask.post("/api/recognise", content=packed(joints=np.zeros(shape, np.uint8)))
        assert answer.status_code == status
        assert words in answer.json()["detail"]
    assert looked == []


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float16, np.float64])
def test_numbers_of_any_kind_are_read(kind):
    told = np.arange(52).reshape(1, 2, 13, 2)
    read = serve_skeletons.skeletons(packed(joints=np.asfortranarray(told.astype(kind))))
    clip, _ = serve_skeletons.clip(read, PENN13, Limits())
    assert clip.joints.dtype == np.float32
    np.testing.assert_array_equal(clip.joints, told)


def test_what_cannot_be_unpacked_is_refused(ask):
    content = io.BytesIO()
    np.savez_compressed(content, joints=np.zeros((1, 2, 13, 2)))
    damaged = bytearray(content.getvalue())
    damaged[60:75] = b"\xff" * 15  # where what is packed begins
    answer = ask.post("/api/recognise", content=bytes(damaged))
    assert answer.status_code == 400, answer.text
    assert "is damaged" in answer.json()["detail"]


@settings(max_examples=20, deadline=None)
@example(noise=b"\x00", place=210, form="npz")  # the directory begins before the file
@given(st.binary(max_size=300), st.integers(0, 400), st.sampled_from(["json", "npz"]))
def test_whatever_is_sent_it_is_read_or_refused(noise, place, form):
    whole = packed(joints=np.zeros((1, 2, 13, 2))) if form == "npz" else json.dumps(sent([1.0]))
    content = bytearray(whole if isinstance(whole, bytes) else whole.encode())
    content[place : place + len(noise) // 8] = noise
    try:
        read = serve_skeletons.skeletons(bytes(content))
        clip, _ = serve_skeletons.clip(read, PENN13, Limits())
        sound = np.isfinite(clip.joints).all()
    except Refused as refusal:
        sound = 400 <= refusal.status < 500 and "\n" not in str(refusal)
    assert sound


def playlist(tmp_path: Path) -> bytes:
    secret = tmp_path / "secret.txt"
    secret.write_text("secret", encoding="utf-8")
    return f"#EXTM3U\n#EXTINF:1,\nfile://{secret}\n".encode()


def test_hostile_videos_are_refused_in_one_line(ask, tmp_path):
    pytest.importorskip("av")
    film = write_video(tmp_path / "film.mp4").read_bytes()
    long = write_video(tmp_path / "long.mp4", frames=24, rate=2).read_bytes()
    sideways = write_video(tmp_path / "none.mp4", frames=2).read_bytes()
    at = sideways.index(b"mp4v") + 28  # where the width and the height of the frames are claimed
    wide = sideways[:at] + b"\xff\xff\xff\xff" + sideways[at + 4 :]
    for content, status, words in (
        (b"", 400, "nothing was sent"),
        (b"no video at all", 422, "cannot be decoded"),
        (film[: len(film) // 2], 422, "cannot be decoded"),
        (packed(joints=np.zeros(3)), 422, "cannot be decoded"),
        (playlist(tmp_path), 422, "cannot be decoded"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", 422, "cannot be decoded"),
        (long, 413, "longer than 10 seconds"),
        (film + bytes(1_000_000), 413, "larger than 1 MB"),
    ):
        answer = ask.post("/api/video?name=a/b.mp4", content=content)
        assert answer.status_code == status, (words, answer.text)
        line = answer.json()["detail"]
        assert words in line
        assert "\n" not in line
        assert str(ask.app.state.folder) not in line
    assert ask.post("/api/video", content=wide).status_code in (200, 422)
    assert ask.post("/api/video", files={"file": film}).status_code == 415
    assert ask.post("/api/video?ticket=../..", content=film).status_code == 422
    assert ask.post(f"/api/video?name={'x' * 300}", content=film).status_code == 422
    assert list(ask.app.state.folder.iterdir()) == []


def test_what_is_sent_without_saying_how_much_is_counted(ask):
    answer = ask.post("/api/video", content=(piece for piece in [bytes(600_000)] * 3))
    assert answer.status_code == 413


def test_an_estimators_troubles_tell_no_paths(tmp_path):
    pytest.importorskip("av")
    film = write_video(tmp_path / "film.mp4").read_bytes()
    app = serve.application(serving(estimator=Lamp(broken=True)))
    with client_of(app, base_url=HERE) as ask:
        answer = ask.post("/api/video?name=film.mp4", content=film)
    assert answer.status_code == 422
    assert answer.json() == {"detail": "film.mp4: cannot look at (a file), for want of (a file)"}


def test_an_estimators_troubles_with_a_camera_are_refused_in_one_line():
    lamp = Lamp(broken=True)
    with client_of(serve.application(serving(estimator=lamp)), base_url=HERE) as ask:
        answer = ask.post("/api/live", json={})
        assert answer.status_code == 422
        line = "the camera: cannot look at None, for want of (a file)"
        assert answer.json() == {"detail": line}
        assert lamp.closed == ["closed"]
    with client_of(serve.application(serving(estimator=Lamp(dark=True))), base_url=HERE) as ask:
        path = f"/api/live/{ask.post('/api/live', json={}).json()['live']}"
        for _ in range(2):
            answer = ask.post(path, content=picture(0))
            assert answer.status_code == 422
            assert answer.json() == {"detail": "the picture: nothing is seen in (a file)"}


def test_paths_are_left_out():
    assert without_paths("/a/b.c: no") == "(a file): no"
    assert without_paths("file:/tmp/x: 3 m/s, 1/2 and 1 / 2") == "(a file): 3 m/s, 1/2 and 1 / 2"


@pytest.mark.parametrize(
    ("path", "most"), [("/api/recognise", 1e6), ("/api/live", 1e4), ("/api/live/KEY", 4e6)]
)
def test_no_route_reads_more_than_it_takes(fresh, path, most):
    path = path.replace("KEY", fresh.post("/api/live", json={}).json()["live"])
    uncounted = iter([b" " * int(most), b" "])
    assert fresh.post(path, content=uncounted).status_code == 413
    about = {"content-length": str(int(most) + 1)}
    assert fresh.post(path, content=b"{}", headers=about).status_code == 413


def test_without_an_estimator_only_skeletons_are_taken():
    with client_of(serve.application(serving(estimator=None)), base_url=HERE) as ask:
        assert ask.get("/api/models").json()["estimator"] is None
        assert ask.post("/api/video", content=b"film").status_code == 415
        live = ask.post("/api/live", json={}).json()["live"]
        answer = ask.post(f"/api/live/{live}", content=picture(255))
        assert answer.status_code == 415
        assert ask.post("/api/recognise", json=sent([1.0])).status_code == 200


def test_networks_that_cannot_take_the_joints_are_refused_at_the_start():
    @dataclass(frozen=True)
    class Other(Lamp):
        @property
        def layout(self) -> Layout:
            return COCO17

    with pytest.raises(ValueError, match=r"plain: .*'penn13'.*'coco17'"):
        serving(estimator=Other())
    with pytest.raises(ValueError, match="nothing to serve"):
        serving(models={})


@pytest.mark.parametrize(
    "changes", [{"megabytes": 0.0}, {"seconds": float("nan")}, {"seconds": 1e9}, {"cameras": 0}]
)
def test_limits_that_allow_nothing_or_everything_are_refused(changes):
    with pytest.raises(ValueError, match=r"give|at least"):
        Limits(**changes)


# ---------------------------------------------------------------- who may ask


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": HERE}, 200),
        ({"host": "localhost:8765", "origin": "http://localhost:8765"}, 200),
        ({"host": "[::1]:8765"}, 200),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:1"}, 403),
        ({"host": "evil.example"}, 403),
        ({"host": "[::1"}, 403),
        ({"host": ""}, 403),
    ],
)
def test_other_sites_may_not_ask(ask, headers, status):
    answer = ask.get("/api/models", headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    if status == 403:
        assert answer.json()["detail"]


def test_a_server_knows_its_names():
    assert names("127.0.0.1") == ("localhost",)
    assert "box.example" in names("Box.Example")
    assert "" not in names("")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "", "0", "::0", "192.168.1.5", "127.1"])
def test_a_server_is_asked_by_addresses_and_its_own_names(host, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "Box.lan")
    app = serve.application(serving(), hosts=names(host))
    asked = {}
    with client_of(app, base_url=HERE) as ask:
        for name in (
            *("127.0.0.1", "192.168.1.5", "[fe80::1]", "localhost", "box.lan", "box.local"),
            *("evil.example", "box.evil.example", "1.2.3.4.evil.example", "box.lan.", "7f.1", ""),
        ):
            headers = {"host": f"{name}:8765", "origin": f"http://{name}:8765"}
            asked[name] = ask.get("/api/models", headers=headers).status_code
    assert list(asked.values()) == [200] * 6 + [403] * 6


def test_the_page_needs_nothing_from_elsewhere(ask):
    text = ask.get("/").text
    assert "{{" not in text.replace("() => ({{", "")
    assert "//" not in text.replace("// ", "").replace("http://www.w3.org", "")
    assert " style=" not in text  # would be refused by the policy
    policy = serve_page.headers()["content-security-policy"]
    assert policy.count("sha256-") == 4
    assert "unsafe" not in policy
    assert ask.get("/docs").status_code == 404


# ---------------------------------------------------------------- how much at once


class Asker:
    """A request of which it is known when its asker goes away."""

    def __init__(self, gone: bool = False) -> None:
        self.gone = gone

    async def is_disconnected(self) -> bool:
        return self.gone


def test_work_is_bounded_and_the_rest_sent_away():
    release, working = threading.Event(), []

    def work(stop: Stop) -> int:
        working.append(1)
        release.wait(20)
        return len(working)

    async def story() -> list[Any]:
        turns = Turns(Limits(at_once=1, waiting=1))

        async def enter() -> int:
            async with turns.inside():
                return await turns.work(Asker(), work)

        tasks = [asyncio.create_task(enter()) for _ in range(3)]
        await asyncio.sleep(0.2)
        assert len(working) == 1
        release.set()
        return await asyncio.gather(*tasks, return_exceptions=True)

    first, second, third = asyncio.run(story())
    assert (first, second) == (1, 2)
    assert isinstance(third, Refused)
    assert third.status == 503


def test_work_ends_when_nobody_waits_for_it():
    def work(stop: Stop) -> None:
        for _ in range(1000):
            stop.look()
            threading.Event().wait(0.02)

    async def story() -> None:
        await Turns(Limits()).work(Asker(gone=True), work)

    with pytest.raises(Refused, match="nobody waits"):
        asyncio.run(story())
    with pytest.raises(Refused, match="took more than 0 minutes"):
        work(Stop(most=0.0))


@pytest.mark.parametrize(("seconds", "most"), [(10.0, 900.0), (120.0, 900.0), (3600.0, 27_000.0)])
def test_who_takes_longer_videos_works_longer_on_them(seconds, most):
    given = []

    async def story() -> None:
        await Turns(Limits(seconds=seconds)).work(Asker(gone=False), given.append)

    asyncio.run(story())
    assert given[0].most == most


HELLO = b"GET /api/models HTTP/1.1\r\nhost: 127.0.0.1\r\n"
BEGIN = b"POST /api/live HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 2\r\n\r\n"


@pytest.fixture
def hasty(monkeypatch) -> Iterator[Any]:
    """Where a server with room for a few listens, which waits a moment only."""
    pytest.importorskip("uvicorn")
    monkeypatch.setattr(serve, "SILENCE", 0.3)
    monkeypatch.setattr(serve_guard, "SILENCE", 0.3)
    monkeypatch.setattr(serve, "CONNECTIONS", 5)
    made = serve.server(serve.application(serving()))
    made.config.timeout_keep_alive = 1
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=made.run, args=([listening],), daemon=True)
        thread.start()
        yield listening.getsockname()
        made.should_exit = True
        thread.join(20)


def heard(connection: socket.socket, *, ends: bytes | None = None) -> bytes:
    """All that the server says until it hangs up, or says a certain thing."""
    connection.settimeout(20)
    said = b""
    while (ends is None or ends not in said) and (piece := connection.recv(10_000)):
        said += piece
    return said


@pytest.mark.parametrize("word", [b"", b"GET / H", BEGIN, BEGIN + b"{"])
@pytest.mark.parametrize("asked", [False, True])
def test_who_falls_silent_leaves_room_for_others(hasty, word, asked):
    with ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(hasty)) for _ in range(4)]
        for one in silent:
            if asked:
                one.sendall(HELLO + b"\r\n")
                heard(one, ends=b"most_seconds")
            one.sendall(word)
        for one in silent:
            assert (b" 408 " in heard(one)) == word.startswith(BEGIN)
        asking = stack.enter_context(socket.create_connection(hasty))
        asking.sendall(HELLO + b"connection: close\r\n\r\n")
        assert heard(asking).startswith(b"HTTP/1.1 200")


def test_nobody_is_hurried_while_an_answer_is_made(hasty, monkeypatch):
    def slow(*told: Any, **more: Any) -> list[Any]:
        threading.Event().wait(0.8)
        return []

    monkeypatch.setattr(serve_routes, "said", slow)
    content = json.dumps(sent([1.0])).encode()
    head = HELLO.replace(b"GET /api/models", b"POST /api/recognise")
    with socket.create_connection(hasty) as asking:
        asking.sendall(head + b"content-length: %d\r\n\r\n" % len(content) + content)
        assert b"200" in heard(asking, ends=b'"models":[]')


# ---------------------------------------------------------------- cameras


def picture(brightness: int, size: tuple[int, int] = (64, 48), kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, (brightness,) * 3).save(file, kind)
    return file.getvalue()


def test_a_camera_is_watched_frame_by_frame(fresh):
    begun = fresh.post("/api/live", json={}).json()
    assert begun["body"]["name"] == "penn13"
    assert begun["streaming"] == {"plain": False, "taught": False}
    path = f"/api/live/{begun['live']}"
    for number, brightness in enumerate([0] * 6 + [255] * 6):
        seconds = 5 + number / 30
        said = fresh.post(f"{path}?seconds={seconds}", content=picture(brightness)).json()
        if number == 5:
            assert [one["label"] for one in said["models"]] == ["left", "left"]
    assert said["size"] == [48, 64]
    assert said["people"][0]["joints"][0] == [2.0, 1.0]
    (one, _) = said["models"]
    assert (one["label"], one["share"]) == ("right", 1.0)
    assert one["confidence"] == pytest.approx(SURE, abs=1e-4)
    assert fresh.delete(path).status_code == 204
    assert fresh.post(path, content=picture(0)).status_code == 404


def test_skeletons_may_come_from_somebody_elses_camera(fresh):
    begun = fresh.post("/api/live", json={"layout": "PENN13"}).json()
    path = f"/api/live/{begun['live']}"
    pose = [[2.0, 1.0]] * 13
    said = fresh.post(path, json={"joints": [pose], "size": [10, 20]}).json()
    assert [one["label"] for one in said["models"]] == ["right", "right"]
    assert fresh.post(path, json={"joints": []}).json() == {
        "size": None,
        "people": [],
        "models": [],
    }
    for content, words in (
        ({"joints": [[[1.0, 2.0, 3.0]] * 13]}, "2 coordinates before"),
        ({"joints": [pose] * 21}, "at most 20"),
        ({"joints": [pose[:5]]}, "5 joints"),
        ({"joints": [pose], "scores": [[2.0] * 13]}, "between 0 and 1"),
        ({"people": [pose]}, "joints"),
    ):
        answer = fresh.post(path, json=content)
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
    assert fresh.post(path, content=picture(0)).status_code == 415
    assert fresh.post("/api/live", json={"layout": "nothing"}).status_code == 422


def test_a_picture_is_turned_as_its_camera_was_held():
    lit = Image.new("RGB", (40, 20))
    lit.paste((255, 255, 255), (0, 0, 20, 20))  # its left half, which is above once it is turned
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    file = io.BytesIO()
    lit.save(file, "JPEG", exif=exif)
    turned = serve_live.picture(file.getvalue())
    assert turned.shape == (40, 20, 3)
    assert turned[:15].min() > 240
    assert turned[25:].max() < 15


@pytest.mark.parametrize("kind", ["<u2", ">u2"])
def test_greys_of_16_bits_keep_their_shades(kind):
    file = io.BytesIO()
    shades = np.linspace(0, 65535, 16).reshape(4, 4)
    Image.fromarray(shades.astype(kind)).save(file, "PNG")
    seen = serve_live.picture(file.getvalue())
    np.testing.assert_allclose(seen, shades[..., None].repeat(3, -1) / 257, atol=1)


def huge_png() -> bytes:
    """A picture whose head claims 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels)


def test_hostile_pictures_are_refused(fresh):
    path = f"/api/live/{fresh.post('/api/live', json={}).json()['live']}"
    for content, status in (
        (b"", 400),
        (b"no picture", 400),
        (picture(0)[:300], 400),
        (huge_png(), 400),
        (picture(0, (4000, 2000), "PNG"), 413),
        (picture(0, kind="GIF"), 400),
        (bytes(5_000_000), 413),
    ):
        assert fresh.post(path, content=content).status_code == status
    for seconds in ("nan", "inf", "-1", "x"):
        assert fresh.post(f"{path}?seconds={seconds}", content=picture(0)).status_code == 422
    assert fresh.post(path, content=picture(0)).status_code == 200


def test_cameras_are_bounded_and_silent_ones_let_go(fresh, monkeypatch):
    first = fresh.post("/api/live", json={}).json()["live"]
    fresh.post("/api/live", json={})
    assert fresh.post("/api/live", json={}).status_code == 503
    with fresh.app.state.lives.find(first).lock:
        assert fresh.post(f"/api/live/{first}", content=picture(0)).status_code == 429
    monkeypatch.setattr(serve_live, "IDLE", -1.0)
    assert fresh.post("/api/live", json={}).status_code == 200
    assert fresh.post(f"/api/live/{first}", content=picture(0)).status_code == 404


def test_a_silent_camera_is_let_go_though_nobody_begins_another(monkeypatch):
    monkeypatch.setattr(serve, "LOOK", 0.01)
    monkeypatch.setattr(serve_live, "IDLE", -1.0)
    closed = threading.Event()
    monkeypatch.setattr(serve_live.Live, "close", lambda live: closed.set())
    with client_of(serve.application(serving()), base_url=HERE) as client:
        client.post("/api/live", json={})
        assert closed.wait(timeout=60)


def live_recogniser(frames: int, network: type = LiveGCN) -> Recogniser:
    torch.manual_seed(0)
    about = {
        "classes": [],
        "units": "pixels",
        "coordinates": 2,
        "sampling": {"frames": frames, "persons": 1, "normalisation": "none"},
    }
    made = network(PENN13, classes=3, persons=1, channels=3, width=0.25)
    return Recogniser.of(made.eval(), about)


def walking(frames: int, rng: np.random.Generator) -> list[Moment]:
    steps = rng.normal(size=(frames, 13, 2)).astype(np.float32).cumsum(axis=0) / 10
    sure = np.ones(13, np.float32)
    return [
        Moment(number=t, time=t / 30, people={0: Pose(joints=steps[t], scores=sure)})
        for t in range(frames)
    ]


@pytest.mark.parametrize("every", [1, 4])
def test_a_network_that_can_runs_frame_by_frame(every, rng):
    recogniser = live_recogniser(frames=60)
    asked = engine(recogniser, 2.0, converting=False)  # 60 frames in 2 seconds, as they come
    assert isinstance(asked, Streamed)
    stream, said = Stream(recogniser.network, 60, features=False), None
    for moment in walking(54, rng)[::every]:  # of a slow camera, frames are shown again
        told = asked.push(moment, PENN13, None)
        pose = moment.people[0]
        frame = np.concatenate([pose.joints, pose.scores[:, None]], axis=1)
        for _ in range(every if moment.number else 1):
            said = stream.push(torch.from_numpy(frame)[None, None])
        assert (said is None) == (told == {})
        if said is not None:
            expected = recogniser.named(said.logits[0].numpy()).probabilities
            np.testing.assert_allclose(told[0][0], expected, atol=1e-5)
    assert told[0][1] == pytest.approx(53 / 60, abs=0.02)
    gone = Moment(number=100, time=10.0, people={})
    assert asked.push(gone, PENN13, None) == {}
    again = Moment(number=101, time=10.1, people=moment.people)
    assert asked.push(again, PENN13, None) == {}  # it begins anew


def test_windows_are_shown_where_a_stream_would_come_too_late_or_never_forget():
    assert isinstance(engine(live_recogniser(frames=16), 1.0, converting=False), Windowed)
    assert isinstance(engine(sides(), 1.0, converting=False), Windowed)
    forgetting = live_recogniser(frames=80, network=ResTCN)
    assert isinstance(engine(forgetting, 1.0, converting=False), Streamed)
    remembering = live_recogniser(frames=60, network=DeepLSTM)
    assert isinstance(engine(remembering, 1.0, converting=False), Windowed)
    moving = live_recogniser(frames=60)
    velocities = replace(moving, sampling=moving.sampling.model_copy(update={"stream": "velocity"}))
    assert isinstance(engine(velocities, 1.0, converting=False), Windowed)


def test_a_window_is_what_was_seen_in_the_last_seconds():
    asked = Windowed(sides(frames=8), 0.5, converting=False)
    clip = acting([-2.0] * 10 + [None] * 2 + [2.0] * 10)
    for t in range(clip.num_frames):
        there = clip.scores[0, t].any()
        people = {0: Pose(joints=clip.joints[0, t], scores=clip.scores[0, t])} if there else {}
        told = asked.push(Moment(number=t, time=t / 10, people=people), PENN13, None)
        assert bool(told) == bool(there)
        if t == 9:
            assert told[0][0][0] == pytest.approx(SURE)
    assert told[0][0][1] == pytest.approx(SURE)
    assert told[0][1] == 1.0


def test_a_camera_slower_than_a_window_is_answered_all_the_same():
    asked = Windowed(sides(frames=8), 0.1, converting=False)
    pose = Pose(joints=acting([2.0]).joints[0, 0], scores=acting([2.0]).scores[0, 0])
    shares = [
        asked.push(Moment(number=t, time=1.5 * t, people={0: pose}), PENN13, None)[0][1]
        for t in range(3)
    ]
    assert shares == [pytest.approx(0, abs=1e-4), 1.0, 1.0]


def test_several_persons_are_told_of(fresh):
    path = f"/api/live/{fresh.post('/api/live', json={'layout': 'penn13'}).json()['live']}"
    spread = np.linspace(0, 1, 13)
    poses = [np.column_stack([x + spread, spread]).tolist() for x in (-9.0, 9.0)]
    for _ in range(3):
        said = fresh.post(path, json={"joints": poses}).json()
    told = {(one["person"], one["label"]) for one in said["models"]}
    assert told == {(0, "left"), (1, "right")}


def test_a_frame_that_is_refused_is_as_if_it_had_not_been_sent(fresh):
    path = f"/api/live/{fresh.post('/api/live', json={'layout': 'penn13'}).json()['live']}"
    answer = fresh.post(path, json={"joints": [[[1.0, 2.0, 3.0]] * 13]})
    assert answer.status_code == 422
    assert "plain: " in answer.json()["detail"]
    for _ in range(2):
        answer = fresh.post(path, json={"joints": [[[2.0, y] for y in range(1, 14)]]})
        assert answer.status_code == 200, answer.text
        assert [one["person"] for one in answer.json()["people"]] == [0]


@pytest.mark.parametrize("size", [[0, 0], [-1, 4], [10**30, 1]])
def test_a_frame_of_no_size_is_refused(fresh, size):
    path = f"/api/live/{fresh.post('/api/live', json={'layout': 'penn13'}).json()['live']}"
    said = fresh.post(path, json={"joints": np.zeros((1, 13, 2)).tolist(), "size": size})
    assert said.status_code == 422


def test_two_persons_are_seen_together_by_a_network_for_two():
    asked = Windowed(sides(persons=2), 0.5, converting=False)
    pose = acting([2.0])
    one = Pose(joints=pose.joints[0, 0], scores=pose.scores[0, 0])
    told = asked.push(Moment(number=0, time=0.0, people={3: one, 7: one}), PENN13, None)
    assert list(told) == [None]
    nobody = tracking.nobody(PENN13)
    assert len(nobody.joints) == 0


@pytest.mark.parametrize("path", ["/api/recognise", "/api/video", "/api/live/KEY"])
def test_who_goes_away_while_sending_leaves_nothing(fresh, path):
    key = fresh.post("/api/live", json={"layout": "penn13"}).json()["live"]
    sent_then_gone = [
        {"type": "http.request", "body": b"{", "more_body": True},
        {"type": "http.disconnect"},
    ]
    answers: list[Any] = []

    async def receive() -> Any:
        return sent_then_gone.pop(0)

    async def send(message: Any) -> None:
        answers.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path.replace("KEY", key),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
    }
    asyncio.run(fresh.app(scope, receive, send))  # no exception: nothing that a log would show
    assert answers[0]["status"] == 499
    assert list(fresh.app.state.folder.iterdir()) == []


# ---------------------------------------------------------------- the command line


def test_the_command_serves_networks_by_their_names(skeldistill, tmp_path, monkeypatch):
    uvicorn = pytest.importorskip("uvicorn")
    run = tmp_path / "runs" / "SKD" / "seed0"
    run.mkdir(parents=True)
    small_checkpoint(run / "network.safetensors")
    served = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: served.append(self.config.app))
    code, out, err = skeldistill("serve", run, run, f"low={run}", "--port", 0, "--max-mb", 5)
    assert (code, err) == (0, "")
    assert out.startswith("http://127.0.0.1:")
    with client_of(served[0], base_url=HERE) as ask:
        told = ask.get("/api/models").json()
        assert ask.post("/api/recognise", json=sent([1.0] * 3)).status_code == 200
    assert [model["name"] for model in told["models"]] == ["SKD", "SKD 2", "low"]
    assert told["most_megabytes"] == 5


def test_the_command_says_what_is_wrong(skeldistill, tmp_path):
    pytest.importorskip("uvicorn")
    model = small_checkpoint(tmp_path / "model.safetensors")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words, line in (
            ((model, "--port", port), "take another --port"),
            ((model, "--max-seconds", 0), "--max-seconds"),
            ((model, "--option", "a=b"), "name one with --estimator"),
            ((model, "--estimator", "mediapip"), "did you mean 'mediapipe'"),
            ((model, "--estimator", "mediapipe"), "'penn13'"),
            ((tmp_path / "none",), "no checkpoint"),
            ((model,) * 5, "4 at most"),
        ):
            code, _, err = skeldistill("serve", *words)
            assert code == 1
            assert line in err
            assert err.count("\n") == 1


def test_a_network_is_called_after_its_method():
    assert name_of(Path("runs/demo/fold0/SKD/seed0/network.safetensors")) == "SKD"
    assert name_of(Path("runs/demo/fold0/SKD/seed12")) == "SKD"
    assert name_of(Path("exported/live")) == "live"
    assert name_of(Path("exported/live/model.safetensors")) == "live"
    assert name_of(Path("nets/best.safetensors")) == "best"


# ---------------------------------------------------------------- a browser


@pytest.fixture
def address() -> Iterator[str]:
    uvicorn = pytest.importorskip("uvicorn")
    config = uvicorn.Config(serve.application(serving()), ws="none", log_level="error", port=0)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        threading.Event().wait(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join(20)


def test_a_browser_shows_skeletons_videos_and_the_camera(address, tmp_path):
    pytest.importorskip("av")
    clip = tmp_path / "clip.json"
    clip.write_text(json.dumps(sent([-2.0] * 20 + [2.0] * 20, rate=10)), encoding="utf-8")
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"joints": [[[["<img src=x>", 1]]]]}', encoding="utf-8")
    film = write_video(tmp_path / "film.avi", frames=30)  # no browser plays it, the page does
    cards = "[...document.querySelectorAll('.now')].map((one) => one.firstChild.textContent).join()"
    bars = "[...document.querySelectorAll('.segment')].map((one) => one.textContent).join()"

    def at(share: int) -> str:
        return (
            "(() => { const seek = document.getElementById('seek'); "
            f"seek.value = {share}; seek.dispatchEvent(new Event('input')); return true; }})()"
        )

    with Browser(tmp_path / "home") as page:
        page.size(390, 844)
        page.go(address)
        page.until("document.body?.dataset.ready")
        page.give("#file", clip)
        page.until("document.querySelectorAll('.segment').length === 4")
        page.run(at(250))
        page.until(f"{cards}.startsWith('left') && {cards}.includes(',left')")
        page.run(at(750))
        page.until(f"{cards}.startsWith('right')")
        assert page.run(bars).startswith("left 95 %,right 98 %")
        drawn = (
            "(() => { const canvas = document.getElementById('canvas'); return canvas"
            ".getContext('2d').getImageData(0, 0, canvas.width, canvas.height)"
            ".data.some((value) => value > 0); })()"
        )
        assert page.run(drawn)
        assert page.run("document.documentElement.scrollWidth <= innerWidth")

        page.give("#file", wrong)
        page.until("document.querySelectorAll('.told.wrong:not([hidden])').length")
        assert "joints.0.0.0.0" in page.run("document.getElementById('told').textContent")
        assert [" 422 " in line for line in page.errors] == [True]  # the refusal, and no more
        page.errors.clear()

        page.give("#file", film)
        page.until("document.querySelectorAll('.segment').length >= 4")
        page.until("document.getElementById('stage').classList.contains('bare')")
        page.until(f"{cards}.includes('right')")  # it plays

        page.run("document.getElementById('camera').click()")
        page.until(f"/^(left|right) .*,(left|right) /.test({cards})")
        page.until("document.querySelectorAll('.segment').length >= 2")
        page.run("document.getElementById('camera').click()")
        page.until("document.getElementById('stage').classList.contains('empty')")
        assert page.run("document.getElementById('camera').textContent") == "Use the camera"
        assert page.errors == []
