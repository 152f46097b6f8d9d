"""Distinct clips: which answers, of several folds, are about the same clip."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64


@dataclass(frozen=True, kw_only=True, eq=False)
class Distinct:
    """The clips behind the answers of some folds, numbered in the order they are met.

    Official divisions may overlap: JHMDB's three ask 527 times about 369 clips. Answers about one
    clip are alike, so they are one draw of chance and not several.

    places: for each fold, the number of each of its clips. count: of distinct clips.
    """

    places: tuple[Int64[np.ndarray, " _"], ...]
    count: int

    @classmethod
    def of(
        cls,
        folds: Sequence[Float64[np.ndarray, "_ _"]],
        ids: Sequence[Sequence[str]] | None = None,
    ) -> "Distinct":
        """The clips of some folds by their ids; without ids every answer has a clip of its own.

        Raises:
            ValueError: there are not as many ids as clips.
        """
        sizes = [fold.shape[1] for fold in folds]
        if ids is None:
            ids = [[f"{place} {row}" for row in range(size)] for place, size in enumerate(sizes)]
        if [len(fold) for fold in ids] != sizes:
            raise ValueError(
                f"folds of {sizes} clips came with {[len(fold) for fold in ids]} ids; "
                "give each clip its id"
            )
        known: dict[str, int] = {}
        places = [[known.setdefault(str(one), len(known)) for one in fold] for fold in ids]
        return cls(places=tuple(np.array(fold, np.int64) for fold in places), count=len(known))

    @cached_property
    def groups(self) -> tuple[tuple[tuple[int, ...], Int64[np.ndarray, " _"]], ...]:
        """Folds that share clips, directly or by way of others, and the clips of each group."""
        groups: list[tuple[tuple[int, ...], frozenset[int]]] = []
        for fold, places in enumerate(self.places):
            own = frozenset(places.tolist())
            met = [group for group in groups if group[1] & own]
            groups = [group for group in groups if group not in met]
            joined = tuple(sorted([fold, *(one for folds, _ in met for one in folds)]))
            groups.append((joined, own.union(*(clips for _, clips in met))))
        groups.sort(key=lambda group: group[0])
        return tuple((folds, np.array(sorted(clips), np.int64)) for folds, clips in groups)

    def sums(self, folds: Sequence[np.ndarray]) -> Float64[np.ndarray, " n"]:
        """For each distinct clip the sum of what the folds have for it."""
        total = np.zeros(self.count)
        for places, values in zip(self.places, folds, strict=True):
            total += np.bincount(places, values, self.count)
        return total
