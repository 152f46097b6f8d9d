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
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skeldistill.files import write_text
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
        sha256: of the file, or of the archive in which it comes, as hexadecimal text; None if it
            is not known here.
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


_OPENMMLAB = "https://download.openmmlab.com/mmpose/v1/projects/rtmposev1/onnx_sdk"
_MIRROR = "https://huggingface.co/Tau-J/RTMPose/resolve/main/rtmposev1/onnx_sdk"
_GOOGLE = "https://storage.googleapis.com/mediapipe-models/pose_landmarker"


def _mediapipe(tier: str, sha256: str) -> Weights:
    file = f"pose_landmarker_{tier}.task"
    return Weights(
        name=f"mediapipe-{tier}",
        file=file,
        about=f"mediapipe, {tier} pose landmarker",
        sha256=sha256,
        addresses=(f"{_GOOGLE}/pose_landmarker_{tier}/float16/1/{file}",),
    )


def _rtmpose(name: str, about: str, archive: str, sha256: str | None) -> Weights:
    return Weights(
        name=f"rtmpose-{name}",
        file=f"rtmpose-{name}.onnx",
        about=about,
        sha256=sha256,
        addresses=(f"{_OPENMMLAB}/{archive}.zip", f"{_MIRROR}/{archive}.zip"),
    )


TABLE: tuple[Weights, ...] = (
    _mediapipe("lite", "59929e1d1ee95287735ddd833b19cf4ac46d29bc7afddbbf6753c459690d574a"),
    _mediapipe("full", "4eaa5eb7a98365221087693fcc286334cf0858e2eb6e15b506aa4a7ecdcec4ad"),
    _mediapipe("heavy", "64437af838a65d18e5ba7a0d39b465540069bc8aae8308de3e318aad31fcbc7b"),
    _rtmpose(
        "lightweight-detector",
        "YOLOX-tiny, 416 x 416",
        "yolox_tiny_8xb8-300e_humanart-6f3252f9",
        "ceb11c07298f95c50d7c5abeb906d03340c85f23aa79e3e66966e7fb6c307250",
    ),
    _rtmpose(
        "lightweight-pose",
        "RTMPose-s, 192 x 256; the tier has 69.7 AP on COCO",
        "rtmpose-s_simcc-body7_pt-body7_420e-256x192-acd4a1ef_20230504",
        "9aeb635b83f86aea45cf45d85798f7eba1a162de8e0d721c44e54fe5eebaf47d",
    ),
    _rtmpose(
        "lightweight-pose-halpe26",
        "RTMPose-s, body with feet (joints=halpe26)",
        "rtmpose-s_simcc-body7_pt-body7-halpe26_700e-256x192-7f134165_20230605",
        None,
    ),
    _rtmpose(
        "balanced-detector",
        "YOLOX-m, 640 x 640",
        "yolox_m_8xb8-300e_humanart-c2c7a14a",
        "3dea6513388889f0fff4b77bf7a26013600321b9eb9ceb0e9a400a82572f5f23",
    ),
    _rtmpose(
        "balanced-pose",
        "RTMPose-m, 192 x 256; the tier has 74.9 AP on COCO",
        "rtmpose-m_simcc-body7_pt-body7_420e-256x192-e48f03d0_20230504",
        "5c0a4bf67953e6d2ac43ce15e77dc9d5d354ae18430a47d2c5963a7bc5683e3c",
    ),
    _rtmpose(
        "balanced-pose-halpe26",
        "RTMPose-m, body with feet (joints=halpe26)",
        "rtmpose-m_simcc-body7_pt-body7-halpe26_700e-256x192-4d3e73dd_20230605",
        "26f3a19e61304a600dfb82d1001d41d24343b89fc70a33ffc84657e0b0bf2ecf",
    ),
    _rtmpose(
        "performance-detector",
        "YOLOX-x, 640 x 640",
        "yolox_x_8xb8-300e_humanart-a39d44ed",
        "8e9ea96a176bd48501eaaa77216e49ee30794d2f8ba80c7b9862beca4ea972da",
    ),
    _rtmpose(
        "performance-pose",
        "RTMPose-x, 288 x 384; the tier has 78.8 AP on COCO",
        "rtmpose-x_simcc-body7_pt-body7_700e-384x288-71d7b7e9_20230629",
        "df0c0fa91e9870b1515dcaff741fd76cc753dcfb12786862f61b243bae81cd52",
    ),
    _rtmpose(
        "performance-pose-halpe26",
        "RTMPose-x, body with feet (joints=halpe26)",
        "rtmpose-x_simcc-body7_pt-body7-halpe26_700e-384x288-7fb6e239_20230606",
        None,
    ),
)
"""What there is: the addresses are its publishers'. They state no checksums; those here are what
at least two other public projects pin (we could not fetch the files ourselves). Where there are
not two, it is yours to confirm."""


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

    Where an address gives a zip archive, the one ONNX file in it is taken, and the archive's
    checksum is noted beside it. A file that is there with the right checksum, or that is noted to
    come from an archive with it, is left as it is.

    Args:
        weights: with at least one address.
        folder: where to put it.
        tell: is told how many bytes there are, and of how many if the server says so.

    Raises:
        OSError: the file cannot be written.
        ValueError: no address is known, none of the addresses has the file, or no checksum is
            known: the line tells which one it has.
    """
    if not weights.addresses:
        raise ValueError(f"{weights.name} lacks an address here: give --address URL")
    target = folder / weights.file
    if _is_there(target, weights.sha256):
        return target
    folder.mkdir(parents=True, exist_ok=True)
    failures = []
    for address in weights.addresses:
        try:
            with tempfile.TemporaryDirectory(dir=folder, prefix=".fetching-") as temporary:
                fetched = Path(temporary) / "fetched"
                sums = [_download(address, fetched, tell)]
                if target.suffix == ".onnx" and zipfile.is_zipfile(fetched):
                    fetched = _unpacked(fetched, weights.file)
                    sums.append(_sum(fetched))
                if weights.sha256 in sums:
                    fetched.replace(target)
                    if weights.sha256 != sums[-1]:
                        write_text(_note(target), _noted(*sums))
                    return target
        except (urllib.error.URLError, http.client.HTTPException, *_SILENT, ValueError) as error:
            failures.append(f"{address}: {line(getattr(error, 'reason', error))}")
            continue
        if weights.sha256 is None:
            raise ValueError(
                f"{weights.name}: nobody has told its checksum here. {address} gives {sums[-1]}; "
                f"if you trust that, fetch it once more with --sha256 {sums[-1]}"
            )
        failures.append(
            f"{address}: its checksum is {sums[-1]}, not {weights.sha256}; it is not kept"
        )
    raise ValueError(f"{weights.name} could not be fetched ({'; '.join(failures)})")


# what a server, and a damaged or encrypted archive, can fail with
_SILENT = (TimeoutError, ConnectionError, zipfile.BadZipFile, zlib.error, RuntimeError, EOFError)


def _is_there(target: Path, sha256: str | None) -> bool:
    if sha256 is None or not target.is_file():
        return False
    own, note = _sum(target), _note(target)
    told = note.read_text(encoding="utf-8", errors="replace") if note.is_file() else ""
    return sha256 == own or told == _noted(sha256, own)


def _note(target: Path) -> Path:
    """Where it stands from which archive a file comes."""
    return target.with_name(f"{target.name}.origin")


def _noted(archive: str, own: str) -> str:
    """Names the file, too: once that is another, nobody vouches for it."""
    return f"{own} from an archive {archive}\n"


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(address: str, path: Path, tell: Callable[[int, int | None], None] | None) -> str:
    """Its checksum."""
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
    if total and count < int(total):
        raise ConnectionError(f"it broke off after {count:,} of {int(total):,} bytes")
    return sum_.hexdigest()


def _unpacked(path: Path, name: str) -> Path:
    """The one network in an archive, beside it."""
    with zipfile.ZipFile(path) as archive:
        inside = [one for one in archive.infolist() if one.filename.endswith(".onnx")]
        if len(inside) != 1 or inside[0].file_size > LARGEST:
            raise ValueError(f"the archive holds {len(inside)} ONNX files; it must be one")
        made = path.with_name(name)
        with archive.open(inside[0]) as file, made.open("wb") as out:
            shutil.copyfileobj(file, out)
    return made


def _entry(entry: Any) -> Weights:
    known = {"name": str, "file": str, "about": str, "sha256": str, "addresses": list}
    if not isinstance(entry, dict) or not {"name", "file"} <= entry.keys():
        raise ValueError(f"an entry needs name and file, got {entry!r}")
    for key, value in entry.items():
        if key not in known or type(value) is not known[key]:
            raise ValueError(f"entry {entry['name']!r}: field {key!r} is not known or of its kind")
    return Weights(**{**entry, "addresses": tuple(map(str, entry.get("addresses", [])))})
