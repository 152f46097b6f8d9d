"""How fast clips become batches, against a loop over clips that does the same steps."""

import tempfile
from pathlib import Path

import numpy as np
from timing import in_turn

from skeldistill import readers
from skeldistill.data.dataset import Side
from skeldistill.data.importing import import_source
from skeldistill.data.sampling import draw
from skeldistill.recipe import Sampling

CLIPS, BATCH = 2048, 64


def measure() -> dict[str, float]:
    """Clips a second on one core, ours and the loop's, and their ratio."""
    with tempfile.TemporaryDirectory() as folder:
        reader = readers.find("synthetic", clips=CLIPS)
        store = import_source(reader, None, Path(folder) / "bench.arrow", progress=False)
        sampling = Sampling(frames=100, persons=1, rotation=15.0, scaling=0.1)
        side = Side(store=store, sampling=sampling)
        rng = np.random.default_rng(0)
        batches = [rng.integers(0, CLIPS, BATCH) for _ in range(32)]
        choices = [draw(BATCH, sampling, rng) for _ in batches]

        def ours() -> None:
            for rows, choice in zip(batches, choices, strict=True):
                side.arrays(rows, choice)

        def loop() -> None:
            for rows, choice in zip(batches, choices, strict=True):
                np.stack([one(store, row, choice, i) for i, row in enumerate(rows.tolist())])

        expected = np.stack(
            [one(store, row, choices[0], i) for i, row in enumerate(batches[0].tolist())]
        )
        np.testing.assert_allclose(side.arrays(batches[0], choices[0]), expected, atol=1e-4)
        seconds = in_turn({"ours": ours, "loop": loop}, rounds=5)
    clips = BATCH * len(batches)
    return {
        "clips a second, ours": clips / seconds["ours"],
        "clips a second, per-clip NumPy loop (baseline)": clips / seconds["loop"],
        "times faster than the loop": seconds["loop"] / seconds["ours"],
    }


def one(store, row, choice, i):
    """One clip the usual way: read, choose frames, normalise, turn, and add the scores."""
    clip = store.clip(row)
    frames = np.minimum((choice.moments[i] * clip.num_frames).astype(int), clip.num_frames - 1)
    joints, scores = clip.joints[:1, frames], clip.scores[:1, frames]
    seen = scores > 0
    count = max(seen.sum(), 1)
    joints = (joints - joints[seen].sum(axis=0) / count) * seen[..., None]
    joints = joints / np.sqrt(max(np.square(joints).sum() / count, 1e-12))
    cosine, sine = np.cos(choice.angles[i]), np.sin(choice.angles[i])
    matrix = np.array([[cosine, -sine], [sine, cosine]]) * choice.sizes[i]
    return np.concatenate([joints @ matrix.T, scores[..., None]], axis=-1).astype(np.float32)
