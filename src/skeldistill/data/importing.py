"""Importing: from the files of any format to a store."""

import datetime
import inspect
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from skeldistill import __version__
from skeldistill.data.labelling import ENDINGS, Labelled, Labels, unmet
from skeldistill.data.store import Store, StoreWriter
from skeldistill.readers import tracking
from skeldistill.readers.reader import Reader, clips_of
from skeldistill.waiting import shown


def import_source(
    reader: Reader,
    source_path: Path | None,
    store_path: Path,
    *,
    labels: Path | None = None,
    progress: bool = True,
) -> Store:
    """Read a source clip by clip into a store, and open it.

    The store appears when it is complete; after an error or an interrupt nothing is left of it.

    Args:
        reader: of the source's format, made with its options.
        source_path: what it reads; None for a reader that needs no files.
        store_path: the store to write; an old one is replaced at the end.
        labels: what gives the clips their labels and splits by their ids instead of the source: a
            CSV file ``id,label,split`` or a store of another view (see `Labels.read`), which gives
            image sizes, too, where the source has none.
        progress: show a bar on the standard error output if it takes more than a second.

    Raises:
        OSError, ValueError: one line from the reader or the writer.
    """
    if source_path is None and _needs_files(reader):
        raise ValueError(f"reader {type(reader).__name__} needs a source; name its files")
    if source_path is not None and not _needs_files(reader):
        raise ValueError(
            f"reader {type(reader).__name__} makes its clips up and reads no files; give - instead "
            f"of {source_path}"
        )
    told = provenance(reader, source_path)
    if labels is not None:
        reader = Labelled(reader=reader, labels=Labels.read(Path(labels)))
        told["labels"] = str(labels)
    source = reader.describe(source_path)  # type: ignore[arg-type]
    clips = clips_of(reader, source_path)
    with (
        StoreWriter(store_path, source, provenance=told) as writer,
        shown(clips, store_path.name, total=source.num_clips, quiet=not progress) as counted,
    ):
        for clip in counted:
            writer.write(clip)
    return Store.open(store_path)


def left_out(store: Store, option: str = "--option persons") -> str | None:
    """How many clips have more people than were kept, in a line; None if all were kept.

    Args:
        store: made by a reader that keeps the surest people of each clip.
        option: of the command, which keeps more of them.
    """
    told = [json.loads(extra) for extra in store.table["extra"].drop_null().to_pylist()]
    found = [extra[tracking.FOUND] for extra in told if tracking.FOUND in extra]
    if not found:
        return None
    return (
        f"{len(found)} of {len(store)} clips have more people than were kept, up to {max(found)}; "
        f"{option}={max(found)} keeps all"
    )


def missed(store: Store, labels: Path) -> list[str]:
    """Clips of a store that the file of its labels does not name, and what it names besides.

    Args:
        store: made with these labels.
        labels: as `import_source` takes them; of another store it is no matter what more it holds.
    """
    known = store.ids.tolist()
    told = Labels.read(labels).clips
    if labels.suffix.lower() not in ENDINGS:
        told = told.keys() & set(known)
    return unmet(labels, told, [(clip_id,) for clip_id in known], "clip")


def provenance(reader: Reader, source_path: Path | None) -> dict[str, Any]:
    """What a store tells of its origin: reader, options, source as it was named, date, version."""
    options = {
        option.name: getattr(reader, option.name)
        for option in fields(reader)  # type: ignore[arg-type]
        if option.init and getattr(reader, option.name) != option.default
    }
    return {
        "reader": type(reader).__name__,
        "options": {name: _plain(value) for name, value in options.items()},
        "source": None if source_path is None else str(source_path),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "skeldistill": __version__,
    }


def _plain(value: Any) -> Any:
    """As JSON can keep it."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _needs_files(reader: Reader) -> bool:
    path = inspect.signature(reader.read).parameters["path"]
    return path.default is inspect.Parameter.empty
