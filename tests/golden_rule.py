"""Weights and inputs of the golden files: functions of a name, a shape and a kind, not stored.

The rule: every tensor has its own random stream, seeded by the checksum of its official name; the
kind says how its draw is scaled. Golden files hold what the authors' code answers to them.
"""

import json
import math
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

GOLDEN = Path(__file__).parent / "golden"


def read(name: str) -> dict[str, Any]:
    return json.loads((GOLDEN / f"{name}.json").read_text())


def stream(text: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(zlib.crc32(text.encode())))


def state_dict(
    golden: Mapping[str, Any], starts: Mapping[str, np.ndarray] | None = None
) -> dict[str, np.ndarray]:
    """All tensors by official name; `starts` holds a graph's own values where weights add to it."""
    starts = starts or {}
    made = {}
    for name, kind, shape in golden["tensors"]:
        if kind == "graph" or (kind == "graph_plus" and name not in starts):
            continue
        values = KINDS[kind](stream(name + golden["salt"]), tuple(shape), golden["gain"])
        made[name] = (values + starts.get(name, 0.0)).astype(np.float32)
    return made


def inputs(golden: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The arguments of the network, in the authors' order of axes."""
    salt, spec = golden["salt"], golden["input"]
    whole = motion(tuple(spec["motion"]), stream("input" + salt)).astype(np.float32)
    made = {}
    for argument in spec["arguments"]:
        if "frames" in argument:
            values = whole[:, :, slice(*argument["frames"])]
        else:
            drawn = stream(argument["name"] + salt)
            values = drawn.uniform(*argument["uniform"], argument["shape"]).astype(np.float32)
        values = values.reshape(argument.get("reshape", values.shape))
        if "transpose" in argument:
            values = values.transpose(argument["transpose"])
        assert values.shape == tuple(argument["shape"])
        made[argument["name"]] = np.ascontiguousarray(values)
    return made


def motion(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Waves around a resting pose, with a little noise; axes (n, c, t, v, m)."""
    n, c, t, v, m = np.ogrid[tuple(slice(size) for size in shape)]
    moving = 0.5 * np.sin(0.37 * t * (c + 1) * (1 + 0.3 * n) + 0.61 * v + 1.3 * m)
    resting = (1 + 0.5 * n) * np.cos(1.9 * n * (c + 1) + 0.21 * v + 0.9 * m)
    return moving + resting + 0.1 * rng.standard_normal(shape)


def _normal(centre: float, spread: float) -> Callable[..., np.ndarray]:
    return lambda rng, shape, gain: centre + spread * rng.standard_normal(shape)


def _between(low: float, high: float) -> Callable[..., np.ndarray]:
    return lambda rng, shape, gain: rng.uniform(low, high, shape)


def _weight(rng: np.random.Generator, shape: tuple[int, ...], gain: float) -> np.ndarray:
    return gain * rng.standard_normal(shape) / math.sqrt(math.prod(shape[1:]))


def _graph(rng: np.random.Generator, shape: tuple[int, ...], gain: float) -> np.ndarray:
    return 0.25 * rng.standard_normal(shape) / math.sqrt(shape[-1])


KINDS: dict[str, Callable[..., np.ndarray]] = {
    "weight": _weight,
    "weight_query": lambda rng, shape, gain: _weight(rng, shape, 5.0),
    "weight_in_out": lambda rng, shape, gain: (
        gain * rng.standard_normal(shape) / math.sqrt(shape[0])
    ),
    "norm_scale": _normal(1.0, 0.1),
    "mask_one": _normal(1.0, 0.1),
    "bias": _normal(0.0, 0.1),
    "running_mean": _normal(0.0, 0.1),
    "running_var": _between(0.5, 1.5),
    "adjacency_add": _graph,
    "graph_plus": _graph,
    "gate": _normal(0.06, 0.02),
    "feature_mask": _normal(0.0, 0.3),
    "shift_position": _between(-1.8, 1.8),
    "zero": lambda rng, shape, gain: np.zeros(shape),
}
