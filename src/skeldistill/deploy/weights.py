"""Weights of pose estimators: fetched only when asked for, and only with the right checksum."""

import hashlib
import http.client
import json
import re
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skeldistill.files import whole
from skeldistill.readers.source_files import line, naming
from skeldistill.shelf import pick

CHUNK = 2**20
PATIENCE = 30.0
"""Seconds that a server may stay silent."""
LARGEST = 2 * 2**30
"""Bytes; what is larger is no weights of a pose estimator."""
SCHEMES = ("https://", "http://", "file://")


@dataclass(frozen=True, kw_only=True)
class Weights:
    """One file of weights.

    Args:
        name: what ``fetch-weights`` calls it.
        file: what it is saved as.
        about: for whom it is, and how good.
        sha256: of what the addresses give, as hexadecimal text; None if it is not known here.
        addresses: where it is, the first that answers counts.

    Raises:
        ValueError: the file is no plain name, or the checksum is none.
    """

    name: str
    file: str
    about: str = ""
    sha256: str | None = None
    addresses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\w][\w.-]*", self.file):
            raise ValueError(f"weights {self.name!r}: {self.file!r} must be a plain file name")
        if self.sha256 is not None and not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(
                f"weights {self.name!r}: sha256 must be 64 hexadecimal digits, got {self.sha256!r}"
            )
        for address in self.addresses:
            if not address.startswith(SCHEMES):
                raise ValueError(
                    f"weights {self.name!r}: address {address!r} must begin with "
                    f"{' or '.join(SCHEMES)}"
                )


def _rtmpose(tier: str, detector: str, pose: str, quality: str) -> tuple[Weights, ...]:
    about = f"rtmpose, {tier} ({quality} AP on COCO)"
    return (
        Weights(
            name=f"rtmpose-{tier}-detector",
            file=f"rtmpose-{tier}-detector.onnx",
            about=f"{about}: {detector}",
        ),
        Weights(
            name=f"rtmpose-{tier}-pose", file=f"rtmpose-{tier}-pose.onnx", about=f"{about}: {pose}"
        ),
        Weights(
            name=f"rtmpose-{tier}-pose-halpe26",
            file=f"rtmpose-{tier}-pose-halpe26.onnx",
            about=f"rtmpose, {tier}, body with feet (joints=halpe26)",
        ),
    )


TABLE: tuple[Weights, ...] = (
    *(
        Weights(
            name=f"mediapipe-{tier}",
            file=f"pose_landmarker_{tier}.task",
            about=f"mediapipe, {tier} pose landmarker",
        )
        for tier in ("lite", "full", "heavy")
    ),
    *_rtmpose("lightweight", "YOLOX-tiny, 416 x 416", "RTMPose-s, 192 x 256", "69.7"),
    *_rtmpose("balanced", "YOLOX-m, 640 x 640", "RTMPose-m, 192 x 256", "74.9"),
    *_rtmpose("performance", "YOLOX-x, 640 x 640", "RTMPose-x, 288 x 384", "78.8"),
)
"""What there is. Addresses and checksums stand here once somebody has checked them; until then
they are given by hand, or in a table of your own."""


def read_table(file: Path) -> tuple[Weights, ...]:
    """A table of your own: JSON, a list of objects with the fields of `Weights`.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such list.
    """
    with naming(file):
        entries = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(entries, list):
            raise ValueError("it must be a list of objects")
        return tuple(_entry(one) for one in entries)


def find(name: str, table: Sequence[Weights] = TABLE) -> Weights:
    """The weights called so; ValueError names the nearest."""
    return pick("weights", {one.name: one for one in table}, name)


def fetch(
    weights: Weights, folder: Path, *, tell: Callable[[int, int | None], None] | None = None
) -> Path:
    """Fetch a file from the first address that has it; what has another checksum is not kept.

    Where an address gives a zip archive, the one ONNX file in it is taken. A file that is there
    with the right checksum is left as it is.

    Args:
        weights: with a checksum, and at least one address.
        folder: where to put it.
        tell: is told how many bytes there are, and of how many if the server says so.

    Raises:
        OSError: the file cannot be written.
        ValueError: no address or checksum is known, or none of the addresses has the file.
    """
    if not weights.addresses or weights.sha256 is None:
        lacks = "an address" if not weights.addresses else "a checksum"
        raise ValueError(
            f"{weights.name} lacks {lacks} here: give --address URL and --sha256 SUM as its "
            "publisher states them, or a table with --table"
        )
    target = folder / weights.file
    if target.is_file() and _sum(target) == weights.sha256:
        return target
    folder.mkdir(parents=True, exist_ok=True)
    failures = []
    for address in weights.addresses:
        try:
            with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as temporary:
                fetched = Path(temporary) / weights.file
                _download(address, weights.sha256, fetched, tell)
                _unpack(fetched, target)
            return target
        except (urllib.error.URLError, http.client.HTTPException, *_SILENT, ValueError) as error:
            failures.append(f"{address}: {line(getattr(error, 'reason', error))}")
    raise ValueError(f"{weights.name} could not be fetched ({'; '.join(failures)})")


_SILENT = (TimeoutError, ConnectionError, zipfile.BadZipFile)


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(
    address: str,
    sha256: str,
    path: Path,
    tell: Callable[[int, int | None], None] | None,
) -> None:
    sum_, count = hashlib.sha256(), 0
    # the scheme was checked: it is one of three
    with urllib.request.urlopen(address, timeout=PATIENCE) as answer, path.open("wb") as file:
        total = answer.headers.get("Content-Length")
        while chunk := answer.read(CHUNK):
            count += len(chunk)
            if count > LARGEST:
                raise ValueError(f"it is larger than {LARGEST:,} bytes")
            sum_.update(chunk)
            file.write(chunk)
            if tell is not None:
                tell(count, int(total) if total else None)
    if sum_.hexdigest() != sha256:
        raise ValueError(f"its checksum is {sum_.hexdigest()}, not {sha256}; it is not kept")


def _unpack(path: Path, target: Path) -> None:
    """The download under its own name, or the network in it if it is an archive."""
    if target.suffix != ".onnx" or not zipfile.is_zipfile(path):
        path.replace(target)
        return
    with zipfile.ZipFile(path) as archive:
        inside = [one for one in archive.infolist() if one.filename.endswith(".onnx")]
        if len(inside) != 1 or inside[0].file_size > LARGEST:
            raise ValueError(f"the archive holds {len(inside)} ONNX files; it must be one")
        with archive.open(inside[0]) as file, whole(target) as partial, partial.open("wb") as out:
            shutil.copyfileobj(file, out)


def _entry(entry: Any) -> Weights:
    known = {"name": str, "file": str, "about": str, "sha256": str, "addresses": list}
    if not isinstance(entry, dict) or not {"name", "file"} <= entry.keys():
        raise ValueError(f"an entry needs name and file, got {entry!r}")
    for key, value in entry.items():
        if key not in known or type(value) is not known[key]:
            raise ValueError(f"entry {entry['name']!r}: field {key!r} is not known or of its kind")
    return Weights(**{**entry, "addresses": tuple(map(str, entry.get("addresses", [])))})
