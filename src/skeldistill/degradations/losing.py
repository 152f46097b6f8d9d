"""How a joint is lost: the one place that says what is left of it."""

import numpy as np
from jaxtyping import Bool, Float32


def lose(
    joints: Float32[np.ndarray, "m t v c"],
    scores: Float32[np.ndarray, "m t v"],
    lost: Bool[np.ndarray, "#m #t #v"],
) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
    """The view without the joints that `lost` marks: score 0 and coordinates 0, exactly."""
    nothing = np.float32(0)
    return np.where(lost[..., None], nothing, joints), np.where(lost, nothing, scores)
