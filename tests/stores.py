"""Small stores for tests."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from skeldistill.clip import Clip
from skeldistill.data.store import Store
from skeldistill.data.store_writer import StoreWriter
from skeldistill.layouts import PENN13, Layout
from skeldistill.readers.reader import Source


def small_store(
    path: Path,
    clips: Sequence[tuple[str, int, str]],
    *,
    layout: Layout = PENN13,
    channels: int = 2,
    classes: Sequence[str] = ("run", "sit", "wave"),
    frames: int = 12,
    seed: int = 0,
    size: tuple[int, int] | None = None,
) -> Store:
    """A store of (id, label, split); the label shows in how the joints move."""
    rng = np.random.default_rng(seed)
    source = Source(layout=layout, channels=channels, units="pixels", classes=tuple(classes))
    with StoreWriter(path, source, provenance={"reader": "test"}) as writer:
        for clip_id, label, split in clips:
            joints = rng.normal(0, 1, (1, 1, layout.num_joints, channels))
            steps = np.arange(frames)[None, :, None, None] / frames
            joints = joints + np.sin(2 * np.pi * (label + 1) * steps) + rng.normal(0, 0.05)
            joints = joints + rng.normal(0, 0.05, joints.shape)
            writer.write(
                Clip(
                    id=clip_id,
                    joints=(100 * joints).astype(np.float32),
                    layout=layout,
                    label=label,
                    splits=(split,),
                    size=size,
                )
            )
    return Store.open(path)


def small_experiment(
    folder: Path, methods: Sequence[str], *, test: int = 12, seeds: Sequence[int] = (0,), **training
) -> dict:
    """What a recipe says of an experiment of seconds: a high view, and a low one made from it."""
    small_store(folder / "high.arrow", named(24, "train") + named(test, "test", 24))
    network = {"name": "STGCN", "width": 0.125}
    return {
        "name": "small",
        "data": {
            "high": {"store": str(folder / "high.arrow")},
            "low": {"degradations": [{"name": "JointOcclusion", "probability": 0.3}]},
        },
        "sampling": {"frames": 8},
        "training": {"epochs": 1, "batch_size": 8, "warmup": 0, **training},
        "teacher": network,
        "student": network,
        "methods": list(methods),
        "seeds": list(seeds),
    }


def named(count: int, split: str, start: int = 0, classes: int = 3) -> list[tuple[str, int, str]]:
    """(id, label, split) for `count` clips."""
    return [(f"clip{i:03d}", i % classes, split) for i in range(start, start + count)]
