"""Accuracy of exported networks, on the clips of a store."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64

from skeldistill.data.store import Store
from skeldistill.data.views import refuse_completed
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.readers.reader import Source

Scores = Callable[[Float32[np.ndarray, "n m t v c"]], Float32[np.ndarray, "n k"]]
"""Joints to logits, in any library."""

BATCH = 16
"""Clips at a time."""

CALIBRATION = 128
"""Clips from which the scales of int8 are taken, at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Measuring:
    """The clips that exported networks are measured on, and those that int8 is fitted to.

    Args:
        recogniser: the network, and how clips are prepared for it.
        store: clips as they come, lost joints not filled.
        tested: rows of the store.
        fitted: rows of the store; labels play no part.
    """

    recogniser: Recogniser
    store: Store
    tested: Int64[np.ndarray, " n"]
    fitted: Int64[np.ndarray, " b"]

    @classmethod
    def of(cls, recogniser: Recogniser, path: Path, split: str | None) -> "Measuring":
        """Test on a split of a store, or all of it; fit to the rest, or where there is none to it.

        Raises:
            ValueError: the store's clips are not of the kind, or the classes, of the network, or
                filled already.
        """
        store = Store.open(path)
        recogniser.check(
            Source(
                layout=store.layout,
                channels=store.channels,
                units=store.units,
                classes=store.classes,
            )
        )
        refuse_completed(store, recogniser.completion)
        _check_classes(recogniser, store)
        tested = store.in_split(split) if split else np.arange(len(store))
        if (store.labels[tested] < 0).any():
            raise ValueError(f"{path.name} has clips without a label; name a split that has labels")
        rest = np.setdiff1d(np.arange(len(store)), tested)
        some = rest if len(rest) else tested
        step = -(-len(some) // CALIBRATION)  # spread over the store
        return cls(recogniser=recogniser, store=store, tested=tested, fitted=some[::step])

    @property
    def same(self) -> bool:
        """Whether int8 is fitted to clips that it is tested on."""
        return bool(np.isin(self.fitted, self.tested).any())

    def calibration(self) -> Iterator[Float32[np.ndarray, "n m t v c"]]:
        """What the network is shown of the clips that int8 is fitted to."""
        for start in range(0, len(self.fitted), BATCH):
            yield from self._shown(self.fitted[start : start + BATCH])

    def accuracies(
        self, runners: Mapping[str, Scores], tell: Callable[[int, int], None] = lambda *_: None
    ) -> dict[str, float]:
        """Percent of the tested clips that each names rightly; ties count against it."""
        right = dict.fromkeys(runners, 0)
        for start in range(0, len(self.tested), BATCH):
            rows = self.tested[start : start + BATCH]
            turns = list(self._shown(rows))
            labels = self.store.labels[rows]
            for name, scores in runners.items():
                logits = np.mean([scores(shown) for shown in turns], axis=0)
                own = logits[np.arange(len(rows)), labels]
                right[name] += int(((logits >= own[:, None]).sum(axis=1) == 1).sum())
            tell(start + len(rows), len(self.tested))
        return {name: 100 * count / len(self.tested) for name, count in right.items()}

    def _shown(self, rows: np.ndarray) -> Iterator[np.ndarray]:
        clips = [self.store.clip(int(row)) for row in rows]
        return self.recogniser.shown(clips)


def _check_classes(recogniser: Recogniser, store: Store) -> None:
    ours, theirs = recogniser.classes, tuple(store.classes)
    if ours and theirs and ours != theirs:
        raise ValueError(f"{store.path.name} has other classes than the network was trained on")
    if len(store) and store.labels.max() >= recogniser.network.classes:
        raise ValueError(
            f"{store.path.name} has label {store.labels.max()}; the network knows "
            f"{recogniser.network.classes} classes"
        )
