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
    """An address with the weights below /good, others below /bad, some of them below /short."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            data = {"/good": DATA, "/bad": b"other", "/short": DATA[:300]}.get(self.path)
            self.send_response(404 if data is None else 200)
            if self.path == "/short":
                self.send_header("Content-Length", str(len(DATA)))
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


@pytest.mark.parametrize("sha256", [SUM, None])
def test_a_download_that_breaks_off_is_said_to_and_not_offered_for_trust(server, tmp_path, sha256):
    wanted = Weights(name="w", file="w.onnx", sha256=sha256, addresses=(f"{server}/short",))
    with pytest.raises(ValueError, match="broke off after 300 of 7,000 bytes") as refused:
        fetch(wanted, tmp_path / "to")
    assert "checksum" not in str(refused.value)
    assert not list((tmp_path / "to").iterdir())


def archive_of(path, *members):
    with zipfile.ZipFile(path, "w") as archive:
        for member in (*members, "readme.txt"):
            archive.writestr(member, DATA)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("of", ["archive", "network"])
def test_an_archive_gives_its_one_network(tmp_path, of):
    sums = {"archive": archive_of(tmp_path / "a.zip", "../../end2end.onnx"), "network": SUM}
    addresses = ((tmp_path / "a.zip").as_uri(),)
    wanted = Weights(name="w", file="w.onnx", sha256=sums[of], addresses=addresses)
    assert fetch(wanted, tmp_path / "to").read_bytes() == DATA
    noted = ["w.onnx.origin"] if of == "archive" else []
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["a.zip", "to", "w.onnx", *noted]
    # it is known by its own checksum or by the note, so it is not fetched again
    (tmp_path / "a.zip").unlink()
    assert fetch(wanted, tmp_path / "to") == tmp_path / "to" / "w.onnx"
    (tmp_path / "to" / "w.onnx").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="could not be fetched"):
        fetch(wanted, tmp_path / "to")


def test_an_archive_of_several_networks_is_refused(tmp_path):
    sha256 = archive_of(tmp_path / "a.zip", "a.onnx", "b.onnx")
    addresses = ((tmp_path / "a.zip").as_uri(),)
    wanted = Weights(name="w", file="w.onnx", sha256=sha256, addresses=addresses)
    with pytest.raises(ValueError, match="holds 2 ONNX files"):
        fetch(wanted, tmp_path / "to")
    assert not list((tmp_path / "to").iterdir())


def test_a_damaged_archive_is_one_line(tmp_path):
    archive_of(tmp_path / "a.zip", "a.onnx")
    content = bytearray((tmp_path / "a.zip").read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # says that it is encrypted
    (tmp_path / "a.zip").write_bytes(content)
    addresses = ((tmp_path / "a.zip").as_uri(),)
    wanted = Weights(name="w", file="w.onnx", sha256=SUM, addresses=addresses)
    with pytest.raises(ValueError, match="could not be fetched") as refused:
        fetch(wanted, tmp_path / "to")
    assert "\n" not in str(refused.value)


def test_what_nobody_vouches_for_is_told_and_not_kept(server, tmp_path):
    wanted = Weights(name="w", file="w.onnx", addresses=(f"{server}/no", f"{server}/good"))
    with pytest.raises(ValueError, match=f"good gives {SUM}; if you trust that"):
        fetch(wanted, tmp_path / "to")
    assert not list((tmp_path / "to").iterdir())
    confirmed = dataclasses.replace(wanted, sha256=SUM)
    assert fetch(confirmed, tmp_path / "to").read_bytes() == DATA


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


def test_the_table_names_every_file_once_over_https():
    table = weights_module.TABLE
    assert len({one.name for one in table}) == len({one.file for one in table}) == len(table)
    for one in table:
        assert all(address.startswith("https://") for address in one.addresses)
        assert len(one.addresses) == (2 if one.name.startswith("rtmpose") else 1)
    known = [one.sha256 for one in table if one.sha256]
    assert len(set(known)) == len(known) == 10


def test_nothing_is_fetched_without_an_address(tmp_path):
    with pytest.raises(ValueError, match="lacks an address here: give --address"):
        fetch(Weights(name="w", file="w", sha256=SUM), tmp_path)


def test_weights_are_listed_and_fetched(skeldistill, tmp_path):
    code, out, _ = skeldistill("fetch-weights")
    assert code == 0
    assert "rtmpose-lightweight" in out
    assert "yours to confirm" in out
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
    assert f"its checksum is {SUM}, not 59929e1d" in err
    code, _, err = skeldistill("fetch-weights", "mediapipe-lite", "mediapipe-full", *address)
    assert code == 1
    assert "are of one file" in err
    entries = [{"name": n, "file": n, "sha256": SUM, "addresses": [address[1]]} for n in "ab"]
    (tmp_path / "table.json").write_text(json.dumps(entries), encoding="utf-8")
    code, out, err = skeldistill(
        "fetch-weights", "a", "b", "--table", tmp_path / "table.json", "--to", "there"
    )
    assert (code, out, err) == (0, "there/a\nthere/b\n", "")
