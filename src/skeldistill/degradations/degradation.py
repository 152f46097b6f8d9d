"""The contract of a degradation: what a view's joints look like after something went wrong."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float32

from skeldistill.layouts import Layout


class Degradation(ABC):
    """Makes one clip's view worse. Frozen: chance comes in through `rng`.

    It never changes what it is given. Joints that it loses get score 0 and coordinates 0; joints
    that were lost before stay so. Joints that it only moves keep their score: the source does not
    know that it errs.
    """

    severities: ClassVar[tuple[Mapping[str, Any], ...]] = ()
    """Five sets of options, from mild to hard; see `at_severity`."""

    shortens: ClassVar[bool] = False
    """Whether the clip may come back with fewer frames."""

    shown: bool = False
    """Whether it acts on what a network is shown rather than on the clip; see `blanked`."""

    if TYPE_CHECKING:  # of a class found by name, a checker cannot know the options

        def __init__(self, **options: Any) -> None: ...

    @abstractmethod
    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
        rng: np.random.Generator,
    ) -> tuple[Float32[np.ndarray, "m s v c"], Float32[np.ndarray, "m s v"]]:
        """The worse joints and scores; the number of frames may become smaller."""

    def blanked(self, frames: int, layout: Layout) -> Bool[np.ndarray, "t v"]:
        """Where all that a network is shown of so many frames is made 0, in every person.

        Of degradations that are `shown`. The clip itself stays whole: frames are chosen from it,
        and streams and branches computed of it, before anything is blanked.
        """
        raise AssertionError(f"{type(self).__name__} acts on clips")
