"""Store: all clips of one view in one memory-mapped Arrow file.

Any program that reads Arrow IPC files can read a store: a row is a clip, with its joints as one
flat list in the order ``(m, t, v, c)``; what holds for all clips (layout, channels, units,
classes, provenance) is JSON in the schema's metadata under the key ``skeldistill``.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float32, Int64

from skeldistill.clip import Clip
from skeldistill.data.store_writer import (
    FORMAT,
    MAGIC,
    METADATA_KEY,
    SCHEMA,
    UNKNOWN,
    StoreWriter,
    checksum,
)
from skeldistill.layouts import Layout
from skeldistill.shelf import nearest

__all__ = ["UNKNOWN", "Store", "StoreWriter", "checksum"]


@dataclass(frozen=True, eq=False)
class Store:
    """The clips of one view, open for reading; made by `Store.open`.

    What is asked for is read from the disk when it is asked for; opening reads no joints.
    `provenance` says where the clips came from. `coordinates` is the whole file as one flat
    array of numbers: clip ``i``'s joints are the ``m * t * v * c`` of them that begin at
    ``joint_offsets[i]``, its scores the ``m * t * v`` that begin at ``score_offsets[i]``.
    """

    path: Path
    layout: Layout
    channels: int
    units: str
    classes: tuple[str, ...]
    provenance: Mapping[str, Any]
    coordinates: Float32[np.ndarray, " everything"] = field(repr=False)
    joint_offsets: Int64[np.ndarray, " n"] = field(repr=False)
    score_offsets: Int64[np.ndarray, " n"] = field(repr=False)
    table: pa.Table = field(repr=False)

    @classmethod
    def open(cls, path: Path | str) -> "Store":
        """Open a store by mapping it into memory.

        Raises:
            OSError: no such file, or it cannot be read.
            ValueError: the file is no Arrow file, is truncated or damaged, is not a store, or was
                written by a newer skeldistill.
        """
        path = Path(path)
        _check_ends(path)
        try:
            return cls._mapped(path)
        except _Refusal:
            raise
        except Exception as error:  # a damaged file may provoke any of them
            why = " ".join(str(error).split())[:200]
            raise ValueError(f"{path} is damaged ({why}); import its source again") from error

    @classmethod
    def _mapped(cls, path: Path) -> "Store":
        mapping = pa.memory_map(str(path)).read_buffer()
        table = pa.ipc.open_file(mapping).read_all()
        about = _description(path, table.schema)
        table.validate(full=True)  # of joints, it looks at the list ends only
        layout = Layout.from_dict(about["layout"])
        if not table.num_rows:
            raise ValueError("it holds no clip")
        numbers = _column(table, "persons") * _column(table, "frames") * layout.num_joints
        if np.any(numbers < 1):
            raise ValueError("a clip has no person or no frame")
        return cls(
            path=path,
            layout=layout,
            channels=int(about["channels"]),
            units=str(about["units"]),
            classes=tuple(about["classes"]),
            provenance=dict(about["provenance"]),
            coordinates=np.frombuffer(mapping, np.float32, count=mapping.size // 4),
            joint_offsets=_offsets(table["joints"], mapping, numbers * int(about["channels"])),
            score_offsets=_offsets(table["scores"], mapping, numbers),
            table=table,
        )

    def __len__(self) -> int:
        return self.table.num_rows

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Store.open, (self.path,)  # a worker process maps the file itself

    @cached_property
    def ids(self) -> np.ndarray:
        """The clips' names, an array of n str objects."""
        return self.table["id"].to_numpy()

    @cached_property
    def labels(self) -> Int64[np.ndarray, " n"]:
        """The clips' classes; -1 where the action is not known."""
        return _column(self.table, "label")

    @cached_property
    def splits(self) -> list[tuple[str, ...]]:
        """The official splits that each clip is in."""
        return [tuple(names or ()) for names in self.table["splits"].to_pylist()]

    @cached_property
    def subjects(self) -> Int64[np.ndarray, " n"]:
        """Who is seen; -1 where the source does not say."""
        return _column(self.table, "subject")

    @cached_property
    def cameras(self) -> Int64[np.ndarray, " n"]:
        """From where; -1 where the source does not say."""
        return _column(self.table, "camera")

    @cached_property
    def sizes(self) -> Int64[np.ndarray, "n 2"]:
        """(height, width) of each clip's image in pixels; -1 where the source does not say."""
        return np.stack([_column(self.table, "height"), _column(self.table, "width")], axis=1)

    @cached_property
    def num_persons(self) -> Int64[np.ndarray, " n"]:
        """How many persons each clip has."""
        return _column(self.table, "persons")

    @cached_property
    def num_frames(self) -> Int64[np.ndarray, " n"]:
        """How many frames each clip has."""
        return _column(self.table, "frames")

    @cached_property
    def checksums(self) -> Int64[np.ndarray, " n"]:
        """CRC-32 of each clip's joints and scores as they were written (see `checksum`)."""
        return self.table["checksum"].to_numpy().astype(np.int64)

    @cached_property
    def split_names(self) -> tuple[str, ...]:
        """All official splits that any clip is in, by name."""
        named = self.table["splits"].combine_chunks().flatten()
        return tuple(sorted(named.unique().to_pylist()))

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal hash of all that the clips are: every column, joints by their checksums.

        Two imports of the same files agree in it; provenance and dates do not enter.
        """
        about = [self.layout.to_dict(), self.channels, self.units, self.classes, self.splits]
        told = hashlib.sha256(json.dumps([*about, self.ids.tolist()]).encode())
        for name in ("label", "subject", "camera", "height", "width", "persons", "frames"):
            told.update(_column(self.table, name).tobytes())
        told.update(self.checksums.tobytes())
        return told.hexdigest()

    def clip(self, index: int) -> Clip:
        """The clip at a place, its arrays read-only views of the file."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.path} has clips 0 to {len(self) - 1}, not {index}")
        return Clip(
            joints=self.joints(index),
            scores=self.scores(index),
            layout=self.layout,
            **self.about(index),
        )

    def about(self, index: int) -> dict[str, Any]:
        """What the store says of the clip at a place: all of a `Clip` but numbers and layout."""
        about = self._about.slice(int(index), 1).to_pylist()[0]
        sized = about["height"] is not None and about["width"] is not None
        return {
            "id": about["id"],
            "label": about["label"],
            "splits": tuple(about["splits"] or ()),
            "subject": about["subject"],
            "camera": about["camera"],
            "size": (about["height"], about["width"]) if sized else None,
            "extra": json.loads(about["extra"]) if about["extra"] else {},
        }

    def joints(self, index: int) -> Float32[np.ndarray, "m t v c"]:
        """The joints alone of the clip at a place, a view of the file that is not checked."""
        return self._numbers(self.joint_offsets, index, (self.layout.num_joints, self.channels))

    def scores(self, index: int) -> Float32[np.ndarray, "m t v"]:
        """The scores alone of the clip at a place."""
        return self._numbers(self.score_offsets, index, (self.layout.num_joints,))

    def in_split(self, name: str) -> Int64[np.ndarray, " some"]:
        """The places of the clips of an official split, in order; ValueError if there is none."""
        column = self.table["splits"].combine_chunks()
        hits = pc.call_function("equal", [column.flatten(), name]).to_numpy(zero_copy_only=False)
        places = pc.call_function("list_parent_indices", [column]).to_numpy()[hits.astype(bool)]
        if not len(places):
            raise ValueError(
                f"{self.path} has no clip in split {name!r}; {nearest(name, self.split_names)}"
            )
        return np.unique(places).astype(np.int64)

    @cached_property
    def _about(self) -> pa.Table:
        return self.table.drop_columns(["joints", "scores"])

    def _numbers(self, offsets: np.ndarray, index: int, last: tuple[int, ...]) -> np.ndarray:
        shape = (self.num_persons[index], self.num_frames[index], *last)
        return self.coordinates[offsets[index] :][: np.prod(shape)].reshape(shape)


class _Refusal(ValueError):
    """A whole line for the user already."""


def _check_ends(path: Path) -> None:
    """An Arrow file begins and ends with the same mark; one that was cut lacks the second."""
    if not path.exists():
        raise FileNotFoundError(f"no store at {path}; make one with `skeldistill data import`")
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a store; name the file")
    with path.open("rb") as file:
        begin = file.read(len(MAGIC))
        file.seek(max(0, path.stat().st_size - len(MAGIC)))
        end = file.read()
    if begin != MAGIC:
        raise ValueError(f"{path} is not an Arrow file; make one with `skeldistill data import`")
    if end != MAGIC or path.stat().st_size <= 2 * len(MAGIC):
        raise ValueError(f"{path} is truncated; import its source again")


def _description(path: Path, schema: pa.Schema) -> dict[str, Any]:
    if METADATA_KEY not in (schema.metadata or {}):
        raise _Refusal(
            f"{path} is an Arrow file but no store of skeldistill; "
            "make one with `skeldistill data import`"
        )
    about = json.loads(schema.metadata[METADATA_KEY])
    if int(about["format"]) > FORMAT:
        raise _Refusal(
            f"{path} was written by a newer program ({about['written_with']}, store format "
            f"{about['format']}; this one reads up to {FORMAT}); upgrade skeldistill"
        )
    for column in SCHEMA:
        kind = schema.field(column.name).type
        if kind != column.type:
            raise ValueError(f"column {column.name!r} holds {kind}, not {column.type}")
    return about


def _column(table: pa.Table, name: str) -> Int64[np.ndarray, " n"]:
    return table[name].fill_null(UNKNOWN).to_numpy().astype(np.int64)


def _offsets(
    column: pa.ChunkedArray, mapping: pa.Buffer, lengths: Int64[np.ndarray, " n"]
) -> Int64[np.ndarray, " n"]:
    """Where each clip's numbers begin, counted in float32 from the beginning of the file."""
    starts = [np.zeros(0, np.int64)]
    for chunk in column.chunks:
        ends = chunk.offsets.to_numpy()
        values = chunk.values
        place = values.buffers()[1].address - mapping.address + 4 * values.offset
        if place % 4 or place < 0 or place + 4 * int(ends[-1]) > mapping.size:
            raise ValueError("its numbers are compressed or not aligned")
        found = np.diff(ends)
        expected, lengths = lengths[: len(found)], lengths[len(found) :]
        if chunk.null_count or not np.array_equal(found, expected):
            raise ValueError("a clip has more or fewer numbers than persons, frames and joints")
        starts.append(place // 4 + ends[:-1])
    return np.concatenate(starts)
