"""Weights are fetched when asked for, and only with the right checksum."""

import dataclasses
import hashlib
import json
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from skeldistill.deploy import weights as weights_module
from skeldistill.deploy.weights import Weights, fetch

DATA = b"weights" * 1000
SUM = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def server():
    """An address that gives the weights below /good, others below /bad, and nothing elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            data = {"/good": DATA, "/bad": b"other"}.get(self.path)
            self.send_response(404 if data is None else 200)
            self.end_headers()
            self.wfile.write(data or b"")

        def log_message(self, *words):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_mirrors_are_tried_until_one_has_the_checksum(server, tmp_path):
    addresses = tuple(f"{server}/{path}" for path in ("nothing", "bad", "good"))
    told: list = []
    wanted = Weights(name="w", file="w.onnx", sha256=SUM, addresses=addresses)
    path = fetch(wanted, tmp_path / "to", tell=lambda *counts: told.append(counts))
    assert path.read_bytes() == DATA
    assert told[-1][0] == len(DATA)
    unreachable = dataclasses.replace(wanted, addresses=("http://127.0.0.1:9/x",))
    assert fetch(unreachable, tmp_path / "to") == path  # it is there already
    assert [one.name for one in (tmp_path / "to").iterdir()] == ["w.onnx"]


def test_what_has_another_checksum_is_not_kept(server, tmp_path):
    wanted = Weights(name="w", file="w.onnx", sha256=SUM, addresses=(f"{server}/bad",))
    with pytest.raises(ValueError, match=r"its checksum is .* not kept") as refused:
        fetch(wanted, tmp_path / "to")
    assert "\n" not in str(refused.value)
    assert not list((tmp_path / "to").iterdir())


def test_an_archive_gives_its_one_network(tmp_path):
    for count in (1, 2):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            for number in range(count):
                archive.writestr(f"../../{number}/end2end.onnx", DATA)
            archive.writestr("readme.txt", "")
        data = (tmp_path / "a.zip").read_bytes()
        wanted = Weights(
            name="w",
            file="w.onnx",
            sha256=hashlib.sha256(data).hexdigest(),
            addresses=((tmp_path / "a.zip").as_uri(),),
        )
        if count == 1:
            assert fetch(wanted, tmp_path / "to").read_bytes() == DATA
        else:
            with pytest.raises(ValueError, match="holds 2 ONNX files"):
                fetch(wanted, tmp_path / "to")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.zip", "to"]


def test_what_is_too_large_is_not_fetched_to_the_end(tmp_path, monkeypatch):
    (tmp_path / "w").write_bytes(DATA)
    monkeypatch.setattr(weights_module, "LARGEST", 100)
    wanted = Weights(name="w", file="w", sha256=SUM, addresses=((tmp_path / "w").as_uri(),))
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        fetch(wanted, tmp_path / "to")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "w", "file": "../w"}, "must be a plain file name"),
        ({"name": "w", "file": "w", "sha256": "12"}, "64 hexadecimal digits"),
        ({"name": "w", "file": "w", "addresses": ["ftp://x"]}, "must begin with https://"),
        ({"name": "w"}, "needs name and file"),
        ({"name": "w", "file": "w", "size": 3}, "field 'size' is not known"),
    ],
)
def test_tables_of_weights_are_checked(tmp_path, entry, message):
    (tmp_path / "table.json").write_text(json.dumps([entry]), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        weights_module.read_table(tmp_path / "table.json")


def test_nothing_is_fetched_without_address_and_checksum(tmp_path):
    assert len({one.name for one in weights_module.TABLE}) == len(weights_module.TABLE)
    for one in weights_module.TABLE:
        if not one.addresses:
            with pytest.raises(ValueError, match="lacks an address here: give --address"):
                fetch(one, tmp_path)


def test_weights_are_listed_and_fetched(skeldistill, tmp_path):
    code, out, _ = skeldistill("fetch-weights")
    assert code == 0
    assert "rtmpose-lightweight" in out
    code, _, err = skeldistill("fetch-weights", "rtmpose-lightweight-pos")
    assert code == 1
    assert "did you mean 'rtmpose-lightweight-pose'" in err
    (tmp_path / "w").write_bytes(DATA)
    address = ("--address", (tmp_path / "w").as_uri())
    code, out, err = skeldistill(
        "fetch-weights", "mediapipe-full", *address, "--sha256", SUM.upper(), "--to", "there"
    )
    assert (code, out) == (0, "there/pose_landmarker_full.task\n"), err
    code, _, err = skeldistill("fetch-weights", "mediapipe-lite", *address)
    assert code == 1
    assert "lacks a checksum here" in err
