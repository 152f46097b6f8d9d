"""Replay: an estimator that says what a store holds already."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from skeldistill.data.store import Store
from skeldistill.layouts import Layout
from skeldistill.readers import tracking
from skeldistill.readers.tracking import People


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Skeletons that were stored before, for videos whose ids are those of the store's clips.

    Frame by frame, without looking at the picture; after a clip's last frame there is nobody.

    Args:
        store: the file, in pixels of the videos.

    Raises:
        OSError, ValueError: there is no such store, or it is damaged.
    """

    store: str

    def __post_init__(self) -> None:
        Store.open(self.store)

    @property
    def layout(self) -> Layout:
        """That of the store."""
        return Store.open(self.store).layout

    def about(self) -> Mapping[str, Any]:
        """What the store holds, by its fingerprint."""
        return {"estimator": "Replay", "store": Store.open(self.store).fingerprint}

    def open(self) -> "Replaying":
        """Open the store."""
        opened = Store.open(self.store)
        if opened.channels != 2:
            raise ValueError(f"{self.store} is in three dimensions; videos are in two")
        return Replaying(opened)


class Replaying:
    """Goes through the frames of one clip after the other."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._places = {name: place for place, name in enumerate(store.ids.tolist())}
        self._frames: list[People] = []
        self._next = 0

    def begin(self, path: Path | None, name: str) -> None:
        """Look the clip up."""
        if name not in self._places:
            raise ValueError(f"{self._store.path} has no clip {name!r} to replay")
        clip = self._store.clip(self._places[name])
        self._frames = frame_by_frame(clip.joints, clip.scores)
        self._next = 0

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], time: float) -> People:
        """The people of the next frame."""
        number, self._next = self._next, self._next + 1
        if number >= len(self._frames):
            return tracking.nobody(self._store.layout)
        return self._frames[number]

    def close(self) -> None:
        """Nothing is held."""


def frame_by_frame(joints: np.ndarray, scores: np.ndarray) -> list[People]:
    """A clip's joints ``(m, t, v, c)`` and scores ``(m, t, v)`` as the people of every frame."""
    there = np.any(scores > 0, axis=2)
    return [
        People(joints[there[:, t], t].astype(np.float32), scores[there[:, t], t].astype(np.float32))
        for t in range(joints.shape[1])
    ]
