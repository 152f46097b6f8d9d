"""What a network is shown of some clips: sampled, as a stream, with the scores if it wants them.

Training, evaluation and deployment all take this way, so that no clip is prepared in two manners.
"""

import numpy as np
from jaxtyping import Float32, Int

from skeldistill.data.joined import Joined
from skeldistill.data.sampling import Choice, sample
from skeldistill.data.store import Store
from skeldistill.data.streams import stream
from skeldistill.layouts import Layout
from skeldistill.recipe import Sampling


def with_scores(sampling: Sampling, coordinates: int) -> bool:
    """Whether joints carry their score as one more channel: 2-D ones may, 3-D ones never do."""
    return sampling.confidence and coordinates == 2


def shown(
    ragged: Store | Joined,
    rows: Int[np.ndarray, " n"],
    choice: Choice,
    sampling: Sampling,
    layout: Layout,
    coordinates: int,
    image_sizes: Float32[np.ndarray, "n 2"] | None = None,
) -> Float32[np.ndarray, "n m t v c"]:
    """The clips of some rows, from coordinates as their source has them to a network's input."""
    joints, scores = sample(ragged, rows, choice, sampling, layout, coordinates, image_sizes)
    joints = stream(sampling.stream, joints, layout, scores > 0)
    if with_scores(sampling, coordinates):
        joints = np.concatenate([joints, scores[..., None]], axis=-1)
    return np.ascontiguousarray(joints, np.float32)
