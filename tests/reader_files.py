"""Files for readers, and what readers are held to."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from skeldistill import readers
from skeldistill.clip import Clip


def annotation(name: str = "a", frames: int = 4, **changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "frame_dir": name,
        "label": 1,
        "total_frames": frames,
        "img_shape": (240, 320),
        "original_shape": (240, 320),
        "keypoint": rng.random((2, frames, 17, 2)).astype(np.float16),
        "keypoint_score": np.full((2, frames, 17), 0.5, np.float16),
        **changes,
    }


def pickled(path: Path, data: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(data, protocol))
    return path


def clips_of(reader: readers.Reader, path: Path) -> list[Clip]:
    return list(reader.read(path))


def refused(reader: readers.Reader, path: Path, said: str) -> None:
    for look in (reader.describe, lambda path: list(reader.read(path))):
        try:
            look(path)
        except (ValueError, OSError) as error:
            line = str(error)
    assert said in line
    assert path.name in line
    assert "\n" not in line


def mutated(whole: bytes, rng: np.random.Generator) -> bytes:
    broken = bytearray(whole)
    for place in rng.integers(0, len(whole), rng.integers(1, 8)):
        broken[place] = rng.integers(0, 256)
    if rng.random() < 0.2:
        broken = broken[: rng.integers(0, len(broken))]
    if rng.random() < 0.2:
        start, end = sorted(rng.integers(0, len(broken) + 1, 2))
        broken[start:start] = broken[start:end]
    return bytes(broken)


def outcomes(reader: readers.Reader, path: Path, whole: bytes, times: int) -> set[str]:
    rng = np.random.default_rng(1)
    seen = set()
    for _ in range(times):
        path.write_bytes(mutated(whole, rng))
        try:
            assert all(isinstance(clip, Clip) for clip in reader.read(path))
            seen.add("clips")
        except (ValueError, OSError) as error:
            seen.add(str(error).replace("\n", "<a second line>"))
    return seen
