"""MediaPipe: Google's pose landmarker (BlazePose), from a local `.task` file."""

import math
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, UInt8

from skeldistill.estimators import images
from skeldistill.estimators.estimator import sha256, weights
from skeldistill.extras import require
from skeldistill.layouts import MEDIAPIPE33, Layout
from skeldistill.readers.tracking import People


@dataclass(frozen=True, kw_only=True)
class MediaPipe:
    """MediaPipe's 33 landmarks, with its Tasks API; `visibility` is taken as the score.

    One set of weights gives both qualities: ``tiles=2`` finds more and smaller people at several
    times the cost, ``short_side=128`` makes a cheap view. Say plainly of such a pair "same
    weights, degraded input". Visibility is no calibrated probability.

    Args:
        model: the `.task` file.
        people: how many to find at most, in a frame or in a tile of it.
        short_side: make frames that are larger so small; None leaves them as they are.
        tiles: look at so many times so many overlapping pieces of the frame as well; every frame
            on its own then, while with 1 people are followed from frame to frame.
        confidence: 0 to 1; below it nobody is found.

    Raises:
        ValueError: an option is out of range.
    """

    model: str | None = None
    people: int = 2
    short_side: int | None = None
    tiles: int = 1
    confidence: float | int = 0.5

    def __post_init__(self) -> None:
        if self.people < 1:
            raise ValueError(f"mediapipe: people must be at least 1, got {self.people}")
        if self.short_side is not None and self.short_side < 32:
            raise ValueError(f"mediapipe: short_side must be at least 32, got {self.short_side}")
        if not 1 <= self.tiles <= 8:
            raise ValueError(f"mediapipe: tiles must be 1 to 8, got {self.tiles}")
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"mediapipe: confidence must be 0 to 1, got {self.confidence}")

    @property
    def layout(self) -> Layout:
        """MediaPipe's 33 joints."""
        return MEDIAPIPE33

    def about(self) -> Mapping[str, Any]:
        """Options, the package's version and the model's checksum."""
        require("mediapipe", extra="mediapipe")
        options = {field.name: getattr(self, field.name) for field in fields(self)}
        del options["model"]
        return {
            "estimator": "MediaPipe",
            "version": metadata.version("mediapipe"),
            "model": sha256(weights(self.model, "mediapipe", "model")),
            **options,
        }

    def open(self) -> "Landmarking":
        """Load the model."""
        weights(self.model, "mediapipe", "model")
        return Landmarking(self)


class Landmarking:
    """A landmarker of MediaPipe; a new one for every video that is followed."""

    def __init__(self, options: MediaPipe) -> None:
        self._options = options
        self._mediapipe = require("mediapipe", extra="mediapipe")
        self._tasks = require("mediapipe.tasks.python", extra="mediapipe")
        self._vision = require("mediapipe.tasks.python.vision", extra="mediapipe")
        self._landmarker: Any = None
        self._stamp = -1
        self._used = False
        self.begin(None, "")

    def begin(self, path: Path | None, name: str) -> None:
        """Forget who was followed; what looks at every frame on its own has nothing to forget."""
        if self._landmarker is not None and (not self._follows or not self._used):
            return
        self.close()
        modes = self._vision.RunningMode
        least = self._options.confidence
        assert self._options.model is not None
        options = self._vision.PoseLandmarkerOptions(
            base_options=self._tasks.BaseOptions(
                model_asset_buffer=Path(self._options.model).read_bytes()
            ),
            running_mode=modes.VIDEO if self._follows else modes.IMAGE,
            num_poses=self._options.people,
            min_pose_detection_confidence=least,
            min_pose_presence_confidence=least,
            min_tracking_confidence=least,
        )
        try:
            with _silence():
                self._landmarker = self._vision.PoseLandmarker.create_from_options(options)
        except (RuntimeError, ValueError) as error:
            why = " ".join(str(error).split())[:200]
            raise ValueError(f"mediapipe cannot load {self._options.model} ({why})") from error
        self._stamp, self._used = -1, False

    @property
    def _follows(self) -> bool:
        return self._options.tiles == 1

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], time: float) -> People:
        """The landmarks of everybody, in pixels of the image."""
        with nullcontext() if self._used else _silence():
            found = self._look(image, time)
        self._used = True
        return found

    def _look(self, image: UInt8[np.ndarray, "h w 3"], time: float) -> People:
        small = images.shrunk(image, self._options.short_side)
        # back through each axis's own factor, since sides are rounded to whole pixels
        factor = np.array(image.shape[1::-1]) / np.array(small.shape[1::-1])
        if self._follows:
            # MediaPipe refuses times that do not grow
            self._stamp = max(self._stamp + 1, math.floor(1000 * time))
            found = self._read(self._landmarker.detect_for_video(self._picture(small), self._stamp))
            triples = found * np.array([*small.shape[1::-1], 1], np.float32)
        else:
            triples = images.distinct(np.concatenate([*self._tiled(small)]))
        triples[..., :2] *= factor
        return People(np.ascontiguousarray(triples[..., :2]), np.clip(triples[..., 2], 0, 1))

    def _tiled(self, image: np.ndarray) -> Iterator[Float32[np.ndarray, "people v 3"]]:
        """Who is found in the whole picture, and in each of its pieces."""
        for tile in images.tiles(image.shape[0], image.shape[1], self._options.tiles):
            found = self._read(self._landmarker.detect(self._picture(image[tile])))
            height, width = image[tile].shape[:2]
            found = found * np.array([width, height, 1], np.float32)
            yield found + np.array([tile[1].start, tile[0].start, 0], np.float32)

    def _picture(self, image: np.ndarray) -> Any:
        return self._mediapipe.Image(
            image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image)
        )

    def _read(self, result: Any) -> Float32[np.ndarray, "people v 3"]:
        """Landmarks as MediaPipe gives them: shares of the picture, and visibility."""
        found = [
            [(mark.x, mark.y, mark.visibility or 0) for mark in pose]
            for pose in result.pose_landmarks
        ]
        return np.array(found, np.float32).reshape(-1, MEDIAPIPE33.num_joints, 3)

    def close(self) -> None:
        """Let MediaPipe's threads end; without it they complain when the program ends."""
        if self._landmarker is not None:
            with _silence():
                self._landmarker.close()
            self._landmarker = None


_MUTED = threading.Lock()


@contextmanager
def _silence() -> Iterator[None]:
    """Dozens of lines that MediaPipe's own parts write about themselves, past Python's streams."""
    with _MUTED:  # two who point the same stream elsewhere would not bring it back
        kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)
