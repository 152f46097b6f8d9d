"""The shelf of completions: one file for each way of filling lost joints.

A completion is a frozen part, called with one clip's joints and scores::

    filled = completions.find("SlidingWindowAverage")(window=3)
    joints, scores = filled(clip.joints, clip.scores, layout=clip.layout)

None of them invents anything where nothing is seen, and a filled joint is never as sure as the
joints that it was made from (see `GUESS`).
"""

from skeldistill.completions.completion import Completion
from skeldistill.completions.guess import GUESS
from skeldistill.completions.hold import Hold
from skeldistill.completions.linear_interpolation import LinearInterpolation
from skeldistill.completions.neighbour_average import NeighbourAverage
from skeldistill.completions.sliding_window_average import SlidingWindowAverage
from skeldistill.completions.spline_interpolation import SplineInterpolation
from skeldistill.shelf import take

SHELF: dict[str, type[Completion]] = {
    part.__name__: part
    for part in (
        Hold,
        LinearInterpolation,
        NeighbourAverage,
        SlidingWindowAverage,
        SplineInterpolation,
    )
}


def find(name: str) -> type[Completion]:
    """The class called `name`, to be given its options; ValueError names the nearest one."""
    return take("completion", SHELF, name)


__all__ = [
    "GUESS",
    "SHELF",
    "Completion",
    "Hold",
    "LinearInterpolation",
    "NeighbourAverage",
    "SlidingWindowAverage",
    "SplineInterpolation",
    "find",
]
