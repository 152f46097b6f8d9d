"""Rewriting: a new store from the clips of an old one, changed on the way."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from skeldistill.clip import Clip
from skeldistill.data import findings
from skeldistill.data.store import Store, StoreWriter
from skeldistill.layouts import Layout
from skeldistill.readers.reader import Source
from skeldistill.waiting import shown


@dataclass
class Done:
    """What was done on the way, and to which clips."""

    places: dict[str, list[int]] = field(default_factory=dict)

    def note(self, what: str, index: int) -> None:
        """Remember that this was done to the clip of this row."""
        self.places.setdefault(what, []).append(index)

    def lines(self, store: Store) -> list[str]:
        """One line for everything that was done."""
        return [f"{findings.clips(store, places)} {what}" for what, places in self.places.items()]


def rewrite(
    store: Store,
    path: Path,
    clips: Iterable[Clip],
    done: dict[str, Any],
    *,
    layout: Layout | None = None,
    quiet: bool = False,
) -> Store:
    """Write clips, made one by one from those of a store, into another store, and open it.

    Args:
        store: where they come from; its units, classes and provenance are kept.
        path: the new store.
        clips: what is written.
        done: what was done to them, for the provenance.
        layout: of the clips, if it is another.
        quiet: no progress bar.

    Raises:
        OSError: the new store cannot be written.
        ValueError: it is the old one, or a clip does not fit.
    """
    path = Path(path)
    if path.exists() and path.samefile(store.path):
        raise ValueError(f"{path} is the store that is read; name another file to write")
    source = Source(
        layout=layout or store.layout,
        channels=store.channels,
        units=store.units,
        classes=store.classes,
    )
    with (
        StoreWriter(path, source, provenance={**store.provenance, **done}) as writer,
        shown(clips, path.name, total=len(store), quiet=quiet) as counted,
    ):
        for clip in counted:
            writer.write(clip)
    return Store.open(path)
