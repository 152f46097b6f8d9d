"""Store writer: clips in a stream, into one Arrow file that appears when all of it is written."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pyarrow as pa

from skeldistill import __version__
from skeldistill.clip import Clip
from skeldistill.files import destination, own_mark
from skeldistill.readers.reader import Source

FORMAT = 1
MAGIC = b"ARROW1"
"""How every Arrow file begins and ends."""
METADATA_KEY = b"skeldistill"
UNKNOWN = -1
"""Stands for a subject, camera, height or width that the source does not tell."""

BATCH_BYTES = 64 * 2**20
BATCH_CLIPS = 4096

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("splits", pa.list_(pa.string())),
        pa.field("subject", pa.int32()),
        pa.field("camera", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("width", pa.int32()),
        pa.field("persons", pa.int32(), nullable=False),
        pa.field("frames", pa.int32(), nullable=False),
        pa.field("checksum", pa.uint32(), nullable=False),
        pa.field("extra", pa.string()),
        pa.field("joints", pa.large_list(pa.float32())),
        pa.field("scores", pa.large_list(pa.float32())),
    ]
)
"""The columns; `checksum` is the CRC-32 of the bytes of joints, then scores; `extra` is JSON."""


class StoreWriter:
    """Writes clips into a store, in a stream and in bounded memory.

    The file appears under its own name only when all is written; after any failure, an interrupt
    included, nothing is left of it.

    Args:
        path: the store to write; one that is there already is replaced at the very end, any other
            file is refused.
        source: what holds for all clips; a clip that says otherwise is refused.
        provenance: where the clips come from, in plain containers.

    Raises:
        ValueError: a clip does not fit, an id comes twice, or no clip came at all.
        OSError: the file cannot be written.
    """

    def __init__(
        self, path: Path, source: Source, *, provenance: Mapping[str, Any] | None = None
    ) -> None:
        self.path = Path(path)
        self.source = source
        self._provenance = dict(provenance or {})
        self._ids: set[str] = set()
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0

    def __enter__(self) -> "StoreWriter":
        self.path = destination(self.path)
        if self.path.is_dir():
            raise ValueError(f"{self.path} is a folder; name a file for the store")
        if _something_else(self.path):
            raise ValueError(f"{self.path} is there already and no store; name another file")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = self.path.with_name(f".{self.path.name}.{own_mark()}.partial")
        description = {
            "format": FORMAT,
            "layout": self.source.layout.to_dict(),
            "channels": self.source.channels,
            "units": self.source.units,
            "classes": list(self.source.classes),
            "provenance": self._provenance,
            "written_with": f"skeldistill {__version__}",
        }
        schema = SCHEMA.with_metadata({METADATA_KEY: json.dumps(description).encode()})
        self._schema = schema
        self._sink = pa.OSFile(str(self._temporary), "wb")
        self._file = pa.ipc.new_file(self._sink, schema)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                if not self._ids:
                    raise ValueError(f"no clip came for {self.path}; nothing is written")
                self._flush()
            self._file.close()
            self._sink.close()
            if kind is None:
                self._temporary.replace(self.path)
        finally:
            if not self._sink.closed:
                self._sink.close()
            self._temporary.unlink(missing_ok=True)

    def write(self, clip: Clip) -> None:
        """Add a clip; raises ValueError if it does not fit the source."""
        self._check(clip)
        self._ids.add(clip.id)
        joints = np.ascontiguousarray(clip.joints, np.float32)
        scores = np.ascontiguousarray(clip.scores, np.float32)
        height, width = clip.size or (None, None)
        self._rows.append(
            {
                "id": clip.id,
                "label": clip.label,
                "splits": list(clip.splits),
                "subject": clip.subject,
                "camera": clip.camera,
                "height": height,
                "width": width,
                "persons": clip.num_persons,
                "frames": clip.num_frames,
                "checksum": checksum(joints, scores),
                "extra": json.dumps(dict(clip.extra)) if clip.extra else None,
                "joints": joints.reshape(-1),
                "scores": scores.reshape(-1),
            }
        )
        self._bytes += joints.nbytes + scores.nbytes
        if self._bytes >= BATCH_BYTES or len(self._rows) >= BATCH_CLIPS:
            self._flush()

    def _check(self, clip: Clip) -> None:
        source, c = self.source, clip.joints.shape[3]
        if not clip.layout.same_as(source.layout):
            raise ValueError(
                f"clip {clip.id!r} has layout {clip.layout.name!r} but the source says "
                f"{source.layout.name!r}; a store holds one layout"
            )
        if c != source.channels:
            raise ValueError(
                f"clip {clip.id!r} has {c} coordinates a joint but the source says "
                f"{source.channels}; a store holds one kind"
            )
        if source.classes and clip.label >= len(source.classes):
            raise ValueError(
                f"clip {clip.id!r} has label {clip.label} but there are {len(source.classes)} "
                f"classes, 0 to {len(source.classes) - 1}; correct the label or name the class"
            )
        for number in (clip.label, clip.subject, clip.camera, *(clip.size or ())):
            if number is not None and not -(2**31) <= number < 2**31:
                raise ValueError(f"clip {clip.id!r}: {number} is too large for a store")
        if clip.id in self._ids:
            raise ValueError(f"clip {clip.id!r} comes twice; ids must differ")

    def _flush(self) -> None:
        if not self._rows:
            return
        columns = []
        for field in SCHEMA:
            values = [row[field.name] for row in self._rows]
            if pa.types.is_large_list(field.type):
                ends = np.cumsum([0, *map(len, values)], dtype=np.int64)
                flat = pa.array(np.concatenate(values))
                columns.append(pa.LargeListArray.from_arrays(ends, flat))
            else:
                columns.append(pa.array(values, field.type))
        self._file.write_batch(pa.record_batch(columns, schema=self._schema))
        self._rows.clear()
        self._bytes = 0


def _something_else(path: Path) -> bool:
    """Whether a file is there that is no store; an empty one may be written over."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) not in (MAGIC, b"")


def checksum(joints: np.ndarray, scores: np.ndarray) -> int:
    """CRC-32 of a clip's numbers, as the column `checksum` keeps it."""
    return zlib.crc32(scores.tobytes(), zlib.crc32(joints.tobytes()))
