"""Nothing goes wrong."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float32

from skeldistill.degradations.degradation import Degradation
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class Identity(Degradation):
    """Severity 0 of every degradation: the view as it is."""

    severities: ClassVar = ({},) * 5

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """Copies of both, so that a caller may write into what it gets."""
        return joints.copy(), scores.copy()
