"""The contract of a completion: fills lost joints without knowing what they were."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32

from skeldistill.layouts import Layout


class Completion(ABC):
    """Fills lost joints (score 0) of one clip where it can. Frozen and free of chance."""

    if TYPE_CHECKING:  # of a class found by name, a checker cannot know the options

        def __init__(self, **options: Any) -> None: ...

    @abstractmethod
    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """The completed joints and scores; what could not be filled keeps score 0."""
