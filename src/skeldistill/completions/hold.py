"""The last that was seen, until there is more."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from skeldistill.completions.completion import Completion
from skeldistill.completions.guess import GUESS
from skeldistill.completions.neighbours_in_time import at, seen_last
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class Hold(Completion):
    """Fill a lost joint with the place where it was last seen.

    Looks at no later frame, so that a live stream can be completed so too. Before it is first seen
    a joint stays lost. A filled joint's score is half of the one it was last seen with.
    """

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """The joints with what came before in their gaps."""
        seen = scores > 0
        last = seen_last(seen)
        filled = ~seen & (last >= 0)
        return (
            np.where(filled[..., None], at(joints, last), joints),
            np.where(filled, GUESS * at(scores, last), scores),
        )
