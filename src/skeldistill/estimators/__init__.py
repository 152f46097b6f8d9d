"""The shelf of pose estimators: from the pictures of a video to the people in them."""

import re
from typing import Any

from skeldistill.estimators.command import Command
from skeldistill.estimators.estimator import Estimator, Session
from skeldistill.estimators.mediapipe import MediaPipe
from skeldistill.estimators.replay import Replay
from skeldistill.estimators.rtmpose import RTMPose
from skeldistill.recipe.reading import typed
from skeldistill.shelf import build, take

SHELF: dict[str, type[Estimator]] = {
    "command": Command,
    "mediapipe": MediaPipe,
    "replay": Replay,
    "rtmpose": RTMPose,
}


def find(name: str, **options: Any) -> Estimator:
    """The estimator called `name`, made with its options.

    Raises:
        ValueError: one line that names the nearest estimator or option.
    """
    return build("estimator", take("estimator", SHELF, name.lower()), options)


def parse(text: str) -> Estimator:
    """An estimator as the command line writes it: ``name`` or ``name:option=value,option=value``.

    Values are read as in YAML. A comma is part of a value unless another option follows it.

    Raises:
        ValueError: one line that says what is wrong with the text.
    """
    name, colon, rest = text.partition(":")
    options: dict[str, Any] = {}
    for one in re.split(r",(?=\w+=)", rest) if colon else []:
        key, equals, value = one.partition("=")
        if not equals:
            raise ValueError(f"estimator {text!r}: write {one!r} as option=value")
        options[key] = typed(value, f"estimator {text!r}: {key}")
    return find(name, **options)


__all__ = [
    "SHELF",
    "Command",
    "Estimator",
    "MediaPipe",
    "RTMPose",
    "Replay",
    "Session",
    "find",
    "parse",
]
