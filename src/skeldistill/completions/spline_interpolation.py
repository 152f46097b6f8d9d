"""Curves through the frames in which a joint was lost."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int

from skeldistill.completions.completion import Completion
from skeldistill.completions.linear_interpolation import LinearInterpolation
from skeldistill.completions.neighbours_in_time import at, seen_last, seen_next
from skeldistill.layouts import Layout


@dataclass(frozen=True, kw_only=True)
class SplineInterpolation(Completion):
    """Fill a lost joint on a smooth curve through where it was seen.

    A cubic Hermite spline: at each end of a gap the curve has the slope of the parabola through
    the three sightings around that end, or of the straight line where there are only two. Constant
    acceleration is filled exactly; a wild sighting bends the two nearest gaps only. Before the
    first and after the last sighting, and in scores, it does as `LinearInterpolation`.
    """

    def __call__(
        self,
        joints: Float32[np.ndarray, "m t v c"],
        scores: Float32[np.ndarray, "m t v"],
        *,
        layout: Layout,
    ) -> tuple[Float32[np.ndarray, "m t v c"], Float32[np.ndarray, "m t v"]]:
        """The joints with all gaps in time filled."""
        straight, filled_scores = LinearInterpolation()(joints, scores, layout=layout)
        seen, t = scores > 0, scores.shape[1]
        first, second = seen_last(seen), seen_next(seen)
        inside = ~seen & (first >= 0) & (second < t)
        # Sightings one further out on either side: what the frame next to an end points at.
        zeroth = np.where(first > 0, at(seen_last(seen), first - 1), -1)
        third = np.where(second < t - 1, at(seen_next(seen), second + 1), t)
        gap = np.maximum(second - first, 1)[..., None]
        slope = _slope(joints, first, second)
        start = _parabola(slope, gap, _slope(joints, zeroth, first), first - zeroth, zeroth >= 0)
        end = _parabola(slope, gap, _slope(joints, second, third), third - second, third < t)
        way = ((np.arange(t)[:, None] - first) / gap[..., 0])[..., None]
        bend = way * (1 - way) * gap * ((start - slope) * (1 - way) - (end - slope) * way)
        curve = (straight + bend).astype(np.float32)
        return np.where(inside[..., None], curve, straight), filled_scores


def _slope(
    joints: Float32[np.ndarray, "m t v c"],
    first: Int[np.ndarray, "m t v"],
    second: Int[np.ndarray, "m t v"],
) -> Float64[np.ndarray, "m t v c"]:
    """Way per frame between two sightings; of no meaning where one is missing."""
    step = at(joints, second).astype(np.float64) - at(joints, first)
    return step / np.maximum(second - first, 1)[..., None]


def _parabola(
    slope: Float64[np.ndarray, "m t v c"],
    gap: Int[np.ndarray, "m t v 1"],
    other_slope: Float64[np.ndarray, "m t v c"],
    other_gap: Int[np.ndarray, "m t v"],
    known: Bool[np.ndarray, "m t v"],
) -> Float64[np.ndarray, "m t v c"]:
    """The slope at a sighting, from the gaps on its two sides; of the one gap if it is alone."""
    other = np.maximum(other_gap, 1)[..., None]
    return np.where(known[..., None], (slope * other + other_slope * gap) / (gap + other), slope)
