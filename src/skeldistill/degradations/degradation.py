"""The contract of a degradation: what a view's joints look like after something went wrong."""

from typing import Protocol

import numpy as np
from jaxtyping import Float32

from skeldistill.layouts import Layout


class Degradation(Protocol):
    """Makes one clip's view worse. Frozen: chance comes in through `rng`.

    It never changes what it is given. Joints that it loses get score 0 and coordinates 0.
    """

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m s v c"], Float32[np.ndarray, "m s v"]]:
        """The worse joints and scores; the number of frames may become smaller."""
        ...
