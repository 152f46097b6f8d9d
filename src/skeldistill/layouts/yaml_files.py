"""A layout of one's own, from a YAML file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from skeldistill.layouts import naming
from skeldistill.layouts.layout import PARTS, Layout
from skeldistill.shelf import nearest

ENDINGS = (".yaml", ".yml")
"""What looks like such a file wherever a layout's name may stand."""

FIELDS = ("name", "joints", "bones", "centre", "mirror", "parts")
LARGEST = 2**20
"""Bytes of a file that may be a layout."""


def from_yaml(path: Path | str) -> Layout:
    """The layout that a YAML file states, to be used wherever a layout's name may stand.

    The file has a list ``joints``, a mapping ``bones`` (child: parent) and ``centre``. ``name``
    may be left out (the file's name), and so may ``mirror`` (left joint: right joint) and
    ``parts`` (`PARTS`: their joints) if joints are named as on the other layouts, ``left_wrist``
    and so on: both then follow from the names. `skeldistill layouts coco17` prints such a file.

    Raises:
        OSError: the file cannot be read.
        ValueError: one line that names the file and says what does not hold.
    """
    path = Path(path)
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("is too large for a layout")
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
        return Layout.from_dict(_completed(data, path.stem))
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from error


def to_yaml(layout: Layout) -> str:
    """A layout as the text of a file that `from_yaml` reads."""
    return yaml.safe_dump(layout.to_dict(), sort_keys=False, default_flow_style=None, width=88)


def _completed(data: Any, stem: str) -> dict[str, Any]:
    """All fields in plain containers of text, those that were left out from the joints' names."""
    if not isinstance(data, Mapping):
        raise ValueError(f"it must state {', '.join(FIELDS)}, got {type(data).__name__}")
    for key in data:
        if key not in FIELDS:
            raise ValueError(f"unknown key {key!r}; {nearest(str(key), FIELDS)}")
    missing = [name for name in ("joints", "bones", "centre") if name not in data]
    if missing:
        raise ValueError(f"it lacks {missing[0]!r}; it needs joints, bones and centre")
    joints = _names(data["joints"], "joints")
    return {
        "name": _name(data.get("name", stem), "name").lower(),
        "joints": joints,
        "bones": _pairs(data["bones"], "bones", "child: parent"),
        "centre": _name(data["centre"], "centre"),
        "mirror": _pairs(data["mirror"], "mirror", "left joint: right joint")
        if "mirror" in data
        else _mirror_by_name(joints),
        "parts": _parts(data["parts"]) if "parts" in data else _parts_by_name(joints),
    }


def _mirror_by_name(joints: Sequence[str]) -> Mapping[str, str]:
    pairs = naming.mirror(joints)
    alone = [(left, right) for left, right in pairs.items() if right not in joints]
    if alone:
        raise ValueError(
            f"joint {alone[0][0]!r} has no {alone[0][1]!r} that mirrors it; name it, or state "
            "`mirror`, in which what is left out mirrors itself"
        )
    return pairs


def _parts(value: Any) -> dict[str, list[str]]:
    if not isinstance(value, Mapping):
        raise ValueError(f"parts must name the joints of {', '.join(PARTS)}")
    return {_name(part, "parts"): _names(joints, f"part {part}") for part, joints in value.items()}


def _parts_by_name(joints: Sequence[str]) -> Mapping[str, Sequence[str]]:
    strange = [joint for joint in joints if not naming.has_place(joint)]
    if strange:
        raise ValueError(
            f"nothing says in which part joint {strange[0]!r} is; state `parts`, or name joints as "
            "the other layouts do (see `skeldistill layouts`)"
        )
    return naming.parts(joints)


def _names(value: Any, what: str) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f"{what} must be a list of joints, got {value!r:.60}")
    return [_name(one, what) for one in value]


def _pairs(value: Any, what: str, form: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} must be a mapping, {form}, got {value!r:.60}")
    return {_name(one, what): _name(other, what) for one, other in value.items()}


def _name(value: Any, what: str) -> str:
    # YAML takes a bare no, on or 12 for something else than text
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{what} holds {value!r:.60} where a name belongs; put it in quotes")
    return value
