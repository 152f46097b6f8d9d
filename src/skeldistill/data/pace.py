"""How fast a clip went, where its source tells it: frames a second, or each frame's time."""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from jaxtyping import Float64

from skeldistill.data.store import Store

MOST_RATE = 1e6
"""Frames per second; no source is that fast."""

ENOUGH = 1000
"""Clips that are looked at, evenly spread over a store."""


def told_rate(told: Any) -> float | None:
    """Frames per second as a source tells them; None where it tells none."""
    number = isinstance(told, int | float) and not isinstance(told, bool)
    return float(told) if number and 1 / MOST_RATE < told < MOST_RATE else None


def told_times(extra: Mapping[str, Any], frames: int) -> Float64[np.ndarray, " t"] | None:
    """When a clip's frames were seen: seconds that go on; None where the source does not tell."""
    with suppress(ValueError, TypeError, OverflowError):
        times = np.asarray(extra.get("times"), np.float64)
        fits = times.shape == (frames,) and bool(np.isfinite(times).all())
        if fits and (np.diff(times) >= 0).all() and (len(times) == 1 or times[-1] > times[0]):
            return times
    return None


def clip_seconds(store: Store) -> float | None:
    """The usual (median) duration of a store's clips; None unless most of them tell their pace."""
    rows = np.unique(np.linspace(0, len(store) - 1, ENOUGH).astype(int)) if len(store) else []
    found = []
    for row in rows:
        told = store.table["extra"][int(row)].as_py()
        seconds = _seconds(json.loads(told) if told else {}, int(store.num_frames[row]))
        if seconds is not None:
            found.append(seconds)
    return float(np.median(found)) if len(found) > len(rows) / 2 else None


def slowed(extra: Mapping[str, Any], before: int, after: int) -> Mapping[str, Any]:
    """What a clip of `before` frames tells, once `after` frames of it are left for all its time."""
    if before == after or not {"rate", "times"} & set(extra):
        return extra
    rate = told_rate(extra.get("rate"))
    seconds = _seconds(extra, before)
    if rate is None and seconds is not None:
        rate = before / seconds
    kept = {name: value for name, value in extra.items() if name not in ("rate", "times")}
    return kept if rate is None else kept | {"rate": rate * after / before}


def _seconds(extra: Mapping[str, Any], frames: int) -> float | None:
    times = told_times(extra, frames)
    if times is not None and len(times) > 1:
        return (
            float(times[-1] - times[0]) * len(times) / (len(times) - 1)
        )  # the last one lasts, too
    rate = told_rate(extra.get("rate"))
    return None if rate is None else frames / rate
