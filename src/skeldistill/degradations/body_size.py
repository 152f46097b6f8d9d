"""How big a person is in a clip, so that noise means the same in pixels and in metres."""

import numpy as np
from jaxtyping import Float32


def centres(
    joints: Float32[np.ndarray, "m t v c"], scores: Float32[np.ndarray, "m t v"]
) -> Float32[np.ndarray, "m t 1 c"]:
    """The mean of the joints seen in each frame; 0 where none is."""
    seen = (scores > 0)[..., None]
    count = np.maximum(seen.sum(axis=2, keepdims=True), 1)
    return ((joints * seen).sum(axis=2, keepdims=True, dtype=np.float64) / count).astype(np.float32)


def body_size(
    joints: Float32[np.ndarray, "m t v c"], scores: Float32[np.ndarray, "m t v"]
) -> Float32[np.ndarray, " m"]:
    """Each person's size in the clip's own units: about a third of the height of one who stands.

    It is the root mean square distance of the seen joints from their mean, taken in every frame
    that shows two joints or more; the median over those frames. A mean over what is seen hardly
    changes when joints are lost at random (a bounding box would shrink), and the median ignores
    single wild frames. A person of whom no frame shows two joints has size 0.
    """
    seen = scores > 0
    count = seen.sum(axis=2)
    apart = ((joints - centres(joints, scores)).astype(np.float64) ** 2).sum(axis=3)
    radius = np.sqrt((apart * seen).sum(axis=2) / np.maximum(count, 1))
    sizes = [
        np.median(of_person[shown]) if shown.any() else 0.0
        for of_person, shown in zip(radius, count >= 2, strict=True)
    ]
    return np.array(sizes, np.float32)
