"""How fast clips become batches, against a loop over clips that does the same steps."""

import tempfile
import time
from pathlib import Path

import numpy as np
from timing import in_turn

from skeldistill.clip import Clip
from skeldistill.data.dataset import Side
from skeldistill.data.sampling import draw
from skeldistill.data.store import Store, StoreWriter
from skeldistill.layouts import COCO17, NTU25
from skeldistill.readers import Source
from skeldistill.recipe import Sampling

CLIPS, BATCH = 2048, 64
SHAPES = {
    "1 x 40-90 x 17 x 2": (COCO17, 2, 1, 90),
    "2 x 40-150 x 25 x 3": (NTU25, 3, 2, 150),
}
"""Persons, frames, joints and coordinates; the second is NTU RGB+D's."""


def measure() -> dict[str, float]:
    """Clips a second of a core, ours and the loop's, and their ratio, 100 frames of each."""
    figures: dict[str, float] = {}
    for shape, (layout, channels, persons, longest) in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            store = made(Path(folder) / "bench.arrow", layout, channels, persons, longest)
            sampling = Sampling(frames=100, persons=persons, rotation=15.0, scaling=0.1)
            figures |= {f"{shape}: {what}": one for what, one in raced(store, sampling).items()}
    return figures


def made(path, layout, channels, persons, longest):
    """A store of bodies that sway: what they do is no matter here."""
    rng = np.random.default_rng(0)
    source = Source(layout=layout, channels=channels, units="metres")
    with StoreWriter(path, source) as writer:
        for number in range(CLIPS):
            frames = int(rng.integers(40, longest + 1))
            joints = rng.normal(2, 0.5, (persons, frames, layout.num_joints, channels))
            clip = Clip(id=str(number), joints=joints.astype(np.float32), layout=layout, label=0)
            writer.write(clip)
    return Store.open(path)


def raced(store, sampling):
    """Ours and the loop in turn, over the same batches; both must give the same."""
    side = Side(store=store, sampling=sampling)
    rng = np.random.default_rng(0)
    batches = [rng.integers(0, CLIPS, BATCH) for _ in range(16)]
    choices = [draw(BATCH, sampling, rng) for _ in batches]
    still = sampling.model_copy(update={"rotation": 0.0, "scaling": 0.0})
    unturned = [draw(BATCH, still, rng) for _ in batches]

    def ours(choices=choices):
        for rows, choice in zip(batches, choices, strict=True):
            side.arrays(rows, choice)

    def loop():
        for rows, choice in zip(batches, choices, strict=True):
            np.stack([one(store, row, choice, i) for i, row in enumerate(rows.tolist())])

    expected = [one(store, row, choices[0], i) for i, row in enumerate(batches[0].tolist())]
    np.testing.assert_allclose(side.arrays(batches[0], choices[0]), np.stack(expected), atol=1e-4)
    contestants = {"ours": ours, "unturned": lambda: ours(unturned), "loop": loop}
    seconds = in_turn(contestants, rounds=5, clock=time.process_time)
    clips = BATCH * len(batches)
    return {
        "clips a second, ours": clips / seconds["ours"],
        "clips a second, ours, without turning": clips / seconds["unturned"],
        "clips a second, per-clip NumPy loop (baseline)": clips / seconds["loop"],
        "times faster than the loop": seconds["loop"] / seconds["ours"],
    }


def one(store, row, choice, i):
    """One clip the usual way: read, choose frames, normalise, turn, and add the scores."""
    clip = store.clip(row)
    frames = np.minimum((choice.moments[i] * clip.num_frames).astype(int), clip.num_frames - 1)
    joints, scores = clip.joints[:, frames], clip.scores[:, frames]
    seen = scores > 0
    count = max(seen.sum(), 1)
    joints = (joints - joints[seen].sum(axis=0) / count) * seen[..., None]
    joints = joints / np.sqrt(max(np.square(joints).sum() / count, 1e-12))
    cosine, sine = np.cos(choice.angles[i]), np.sin(choice.angles[i])
    matrix = np.eye(joints.shape[-1])
    matrix[np.ix_([0, -1], [0, -1])] = [[cosine, -sine], [sine, cosine]]
    joints = joints @ (matrix * choice.sizes[i]).T
    if joints.shape[-1] == 2:
        joints = np.concatenate([joints, scores[..., None]], axis=-1)
    return joints.astype(np.float32)
