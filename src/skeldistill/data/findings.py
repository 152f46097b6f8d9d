"""Findings: what there is to know about a store, said in lines that name some of the clips."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from skeldistill.data.store import Store

SHOWN = 3
TRAINING = ("train",)
TESTING = ("test", "val")


@dataclass(frozen=True)
class Finding:
    """Something to know about a store. An error spoils results; a warning may be meant so."""

    level: Literal["error", "warning"]
    line: str


def clips(store: Store, places: Sequence[int] | np.ndarray) -> str:
    """How many clips, and what the first of them are called."""
    return some([repr(store.ids[place]) for place in places], "clip", "clips")


def action(store: Store, label: int | np.intp) -> str:
    """A class by its name, or by its number where it has none."""
    return repr(store.classes[int(label)]) if label < len(store.classes) else str(label)


def some(names: Sequence[str], one: str, many: str) -> str:
    """How many there are, and what the first are called."""
    more = ", ..." if len(names) > SHOWN else ""
    return f"{len(names)} {one if len(names) == 1 else many} ({', '.join(names[:SHOWN])}{more})"


def opposites(store: Store) -> Iterator[tuple[str, str]]:
    """Names of splits that train and test the same thing."""
    for train in store.split_names:
        for word in TRAINING:
            for test in sorted({train.replace(word, other) for other in TESTING} - {train}):
                if test in store.split_names:
                    yield train, test
