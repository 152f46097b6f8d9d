"""What the tests of degradations are made of."""

import numpy as np

from skeldistill.layouts import COCO17


def some_clip(seed=0, *, persons=2, frames=20, layout=COCO17, channels=2, lost=0.2):
    """People who swing and walk, each joint in its own way, some joints already lost."""
    rng = np.random.default_rng(seed)
    shape = (persons, 1, layout.num_joints, channels)
    time = np.arange(frames)[None, :, None, None]
    rest, way = rng.normal(0, 60, shape), rng.normal(0, 2, (persons, 1, 1, channels))
    swing = 25 * np.sin(time * rng.uniform(0.1, 0.5, shape) + rng.uniform(0, 6, shape))
    scores = rng.uniform(0.05, 1, (persons, frames, layout.num_joints))
    scores = (scores * (rng.random(scores.shape) >= lost)).astype(np.float32)
    joints = 300 + rest + way * time + swing
    return (joints * (scores > 0)[..., None]).astype(np.float32), scores


def degraded(part, clip, layout=COCO17, seed=0):
    return part(*clip, layout=layout, rng=np.random.default_rng(seed))


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
