"""What a recipe need not spell out: methods by name alone, and the defaults of its family."""

from collections.abc import Mapping
from typing import Any

from skeldistill.shelf import pick

SLIDING = {"name": "SlidingWindowAverage", "window": 3}
LOST = ({"name": "JointOcclusion", "probability": 0.3},)
HARDER: dict[str, Any] = {
    "augmentation": LOST,
    "completion": {"name": "LinearInterpolation"},
}
"""Clips that lose joints in training, and whose lost joints are filled."""
SKD_LOSSES = ({"name": "KL"}, {"name": "GraphMatching"})
METHODS: dict[str, dict[str, Any]] = {
    "teacher": {"view": "high", "network": "teacher"},
    "low": {},
    "low+completion": {"completion": SLIDING},
    "low+augmentation": {"augmentation": LOST},
    "low+augmentation+completion": HARDER,
    "low+high": {"mix": 0.5},
    "KL": {"losses": ({"name": "KL"},)},
    # what held-out clips chose among 32 students (docs/study.md)
    "KL+augmentation+completion": {
        **HARDER,
        "losses": ({"name": "KL", "temperature": 4},),
        "gradient_revision": False,
    },
    "SKD": {"losses": SKD_LOSSES},
    "SKD+completion": {"losses": SKD_LOSSES, "completion": SLIDING},
    "SKD+high": {"losses": SKD_LOSSES, "mix": 0.5},
    "GlobalMSC": {"losses": ({"name": "GlobalContrastive"},)},
    "PLKD": {"losses": ({"name": "PartContrastive"},)},
    "SKD+PLKD": {"losses": (*SKD_LOSSES, {"name": "PartContrastive"})},
}
"""The methods that a recipe may ask for by name alone."""

DEFAULT_METHODS = (
    "teacher",
    "low",
    "low+completion",
    "low+augmentation",
    "low+augmentation+completion",
    "SKD",
    "SKD+completion",
    "PLKD",
    "KL+augmentation+completion",
)
"""Both papers' methods, what held-out clips chose, and each one's like without a teacher."""

FAMILIES: dict[str, dict[str, Any]] = {
    "strong": {
        "sampling": {"rotation": 15.0, "scaling": 0.1},
        "training": {},
    },
    "paper": {
        "sampling": {
            "frames": 300,
            "persons": 2,
            "frame_choice": "replay",
            "normalisation": "image",
        },
        "training": {
            "schedule": "steps",
            "milestones": (15, 30, 45),
            "weight_decay": 1e-4,
            "warmup": 0,
        },
    },
}
"""What each family sets when the recipe does not: `paper` as SKD IV-A prints it."""


def find(name: str) -> dict[str, Any]:
    """A method by its name alone; ValueError names the nearest one."""
    return pick("ready-made method", METHODS, name)


def spelt_out(given: Any) -> Any:
    """Methods by name with all that they are; what is no list or mapping stays, to be refused."""
    if isinstance(given, Mapping):
        return {
            name: METHODS.get(name, {}) | dict(body or {})
            if isinstance(body or {}, Mapping)
            else body
            for name, body in given.items()
        }
    if isinstance(given, list | tuple):
        return {str(name): find(str(name)) for name in given}
    return given
