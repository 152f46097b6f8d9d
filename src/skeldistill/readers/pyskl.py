"""PYSKL: the annotation pickles of PYSKL and mmaction2, old and new, with any joint layout."""

import json
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from skeldistill import layouts
from skeldistill.clip import UNLABELLED, Clip
from skeldistill.layouts import Layout
from skeldistill.readers import unpickling
from skeldistill.readers.reader import Source

WRITTEN = frozenset((
    "frame_dir", "filename", "label", "total_frames", "keypoint", "keypoint_score", "img_shape",
    "original_shape",
))  # fmt: skip
"""The entries of an annotation that a clip keeps as its own."""

LARGEST_IN_SPACE = 20
"""Metres that nobody stands away from a camera of depth; pixels soon are more."""


@dataclass(frozen=True, kw_only=True)
class PYSKL:
    """Reads a pickle of annotations, ``dict(split, annotations)`` or a bare list of them.

    Scores above 1, which heat maps give now and then, count as 1; a joint of score 0 is lost and
    gets coordinates 0. Clips that no split names are read; a split may name ids that are not in
    the file (PYSKL ignores them too), but not only such ids.

    Args:
        layout: name of the joints' layout; by default the one layout with as many joints; needed
            for 25 in the image, which may be Kinect's or OpenPose's.
        units: of the coordinates; by default pixels in two dimensions and metres in three.
        classes: action names by label; by default those of ``{"classes": [...]}`` in a file
            ``classes.json`` beside the pickle, if there is one.
        nan_lost: joints with a coordinate or score that is NaN are lost, instead of a mistake.

    Raises:
        ValueError: the layout is not known.
    """

    layout: str | None = None
    units: str | None = None
    classes: Sequence[str] = ()
    nan_lost: bool = False
    # A pickle can only be read whole: `describe` hands on to `read` what it had to load.
    _loaded: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.layout is not None:
            layouts.find(self.layout)

    def describe(self, path: Path) -> Source:
        """The layout and dimensions of the first annotation stand for all."""
        annotations, _ = self._load(path)
        keypoint = _keypoint(annotations[0], path)
        channels = keypoint.shape[3]
        _refuse_scores(annotations[0], path)
        return Source(
            layout=self._layout(keypoint, path),
            channels=channels,
            units=self.units or ("pixels" if channels == 2 else "metres"),
            classes=self._classes(path),
            num_clips=len(annotations),
        )

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips in the order of the pickle."""
        annotations, splits = self._load(path)
        self._loaded.clear()
        _refuse_scores(annotations[0], path)
        layout = self._layout(_keypoint(annotations[0], path), path)
        classes = self._classes(path)
        for annotation in annotations:
            yield _clip(annotation, path, layout, splits, classes, self.nan_lost)

    def _load(self, path: Path) -> tuple[list[Any], Mapping[str, tuple[str, ...]]]:
        path = Path(path)
        if path.is_dir():
            raise ValueError(f"{path} is a folder; name a pickle in it")
        about = path.stat()
        key = (path, about.st_mtime_ns, about.st_size)
        if key not in self._loaded:
            data = unpickling.load(path)
            self._loaded.clear()
            self._loaded[key] = (_annotations(data, path), _splits(data, path))
        return self._loaded[key]

    def _layout(self, keypoint: np.ndarray, path: Path) -> Layout:
        if self.layout is not None:
            return layouts.find(self.layout)
        if keypoint.shape[2:] == (25, 2):
            raise ValueError(
                f"{path} has 25 joints in the image; pass option layout=body25 (OpenPose) or "
                "layout=ntu25 (Kinect)"
            )
        try:
            return layouts.with_joints(keypoint.shape[2])
        except ValueError as error:
            raise ValueError(f"{path}: {error}, as option `layout`") from error

    def _classes(self, path: Path) -> tuple[str, ...]:
        beside = Path(path).parent / "classes.json"
        if self.classes or not beside.is_file():
            return tuple(self.classes)
        try:
            names = json.loads(beside.read_text(encoding="utf-8"))["classes"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f'{beside} must hold {{"classes": [names by label]}}') from error
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f'{beside} must hold {{"classes": [names by label]}}')
        return tuple(names)


def _annotations(data: Any, path: Path) -> list[Any]:
    if isinstance(data, dict) and "annotations" not in data and "keypoint" in data:
        return [data]  # one annotation alone
    annotations = data.get("annotations") if isinstance(data, dict) else data
    if not isinstance(annotations, list) or not all(isinstance(one, dict) for one in annotations):
        raise ValueError(f"{path} is no PYSKL pickle; it must hold a list of annotations")
    if not annotations:
        raise ValueError(f"{path} holds no annotation")
    return annotations


def _splits(data: Any, path: Path) -> dict[str, tuple[str, ...]]:
    """The splits that each id is in."""
    named = data.get("split") if isinstance(data, dict) else None
    if named is None:
        return {}
    if not isinstance(named, dict):
        raise ValueError(f"{path}: `split` must say which ids are in which split")
    known = {_id(one) for one in _annotations(data, path)}
    splits: dict[str, tuple[str, ...]] = {}
    for name, listed in named.items():
        ids = _plain(listed)
        if not isinstance(name, str) or not isinstance(ids, list | tuple):
            raise ValueError(f"{path}: split {name!r} must be a list of ids")
        found = [one for one in ids if isinstance(one, str) and one in known]
        if ids and not found:
            raise ValueError(f"{path}: split {name!r} names {len(ids)} clips, none in the file")
        for one in dict.fromkeys(found):
            splits[one] = (*splits.get(one, ()), name)
    return splits


def _plain(value: Any) -> Any:
    """An array as lists, whatever else as it is."""
    return np.asarray(value).tolist() if isinstance(value, unpickling.PickledArray) else value


def _id(annotation: Mapping[str, Any]) -> str:
    name = annotation.get("frame_dir", annotation.get("filename"))
    return name if isinstance(name, str) else ""


def _keypoint(annotation: Mapping[str, Any], path: Path) -> np.ndarray:
    where = f"{path}: annotation {_id(annotation)!r}"
    if "keypoint" not in annotation:
        more = " but points to other files (raw_file)" if "raw_file" in annotation else ""
        raise ValueError(
            f"{where} holds no keypoints{more}; make a pickle with `keypoint` in every annotation"
        )
    keypoint = _numbers(annotation["keypoint"], where)
    if keypoint.ndim != 4:
        raise ValueError(
            f"{where} has keypoints of shape {keypoint.shape}; they need four axes: persons, "
            "frames, joints, coordinates"
        )
    return keypoint


def _refuse_scores(annotation: Mapping[str, Any], path: Path) -> None:
    """Refuse (x, y, score), which would be taken for places in space; ValueError."""
    keypoint = _keypoint(annotation, path)
    if keypoint.shape[3] != 3 or not keypoint.size:
        return
    flat, third = keypoint[..., :2], keypoint[..., 2]
    if third.min() >= 0 and third.max() <= 1 and np.abs(flat).max() > LARGEST_IN_SPACE:
        raise ValueError(
            f"{path}: annotation {_id(annotation)!r} has a third coordinate between 0 and 1 beside "
            f"others up to {np.abs(flat).max():.0f}, as scores are; put it into `keypoint_score`"
        )


def _numbers(value: Any, where: str) -> np.ndarray:
    if not isinstance(value, np.ndarray | unpickling.PickledArray):
        raise ValueError(f"{where} has no array where numbers belong")
    array = np.asarray(value)
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{where} has an array of {array.dtype} where numbers belong")
    with np.errstate(over="ignore"):  # what becomes infinite is refused by the clip
        return array.astype(np.float32)


def _clip(
    annotation: Mapping[str, Any],
    path: Path,
    layout: Layout,
    splits: Mapping[str, tuple[str, ...]],
    classes: tuple[str, ...],
    nan_lost: bool,
) -> Clip:
    name = _id(annotation)
    where = f"{path}: annotation {name!r}"
    if not name:
        raise ValueError(f"{path} has an annotation without a name (`frame_dir`)")
    joints = _keypoint(annotation, path)
    frames = annotation.get("total_frames", joints.shape[1])
    if type(frames) is not int or frames != joints.shape[1]:
        raise ValueError(f"{where} has {joints.shape[1]} frames but says {reprlib.repr(frames)}")
    label = annotation.get("label", UNLABELLED)
    if type(label) is not int or (classes and label >= len(classes)):
        among = f"0 to {len(classes) - 1}" if classes else "a whole number"
        raise ValueError(f"{where} has label {reprlib.repr(label)}; it must be {among}")
    size = _size(annotation.get("img_shape"), where) if joints.shape[3] == 2 else None
    original = _size(annotation.get("original_shape"), where)
    extra: dict[str, Any] = _unusual(annotation)
    if original not in (None, size):
        extra["original_shape"] = list(original)
    scores = _scores(annotation.get("keypoint_score"), joints, where)
    if nan_lost:
        scores = _without_nan(joints, scores)
    scored: dict[str, Any] = {} if scores is None else {"scores": scores}
    try:
        return Clip(
            id=name,
            joints=joints,
            **scored,
            layout=layout,
            label=label,
            splits=splits.get(name, ()),
            size=size,
            extra=extra,
        )
    except ValueError as error:
        lost = "" if nan_lost or not np.isnan(joints).any() else ", or pass option nan_lost=true"
        raise ValueError(f"{path}: {str(error).removeprefix(f'{path}: ')}{lost}") from error


def _without_nan(joints: np.ndarray, scores: np.ndarray | None) -> np.ndarray:
    """Scores that are 0 where a joint is NaN, which becomes 0, too."""
    gone = np.isnan(joints).any(axis=3)
    if scores is None:  # as `Clip` has it, of what is left: whoever is seen at all is sure
        joints[gone] = 0
        seen = np.any(joints != 0, axis=(2, 3))[..., None]
        return (seen & ~gone).astype(np.float32)
    gone |= np.isnan(scores)
    joints[gone] = 0
    return np.where(gone, 0, scores).astype(np.float32)


def _unusual(annotation: Mapping[str, Any]) -> dict[str, Any]:
    """What must be known to write the same annotation again, where it is not as PYSKL's own.

    single: arrays that take single precision without need. also: other plain entries. absent:
    entries that PYSKL's files have and this one lacks.
    """
    found = {
        "single": [
            name
            for name in ("keypoint", "keypoint_score")
            if name in annotation and _needlessly_single(annotation[name])
        ],
        "also": {
            name: value
            for name, value in annotation.items()
            if name not in WRITTEN and type(value) in (str, int, float, bool, type(None))
        },
        "absent": ["original_shape"]
        if annotation.get("img_shape") and annotation.get("original_shape") is None
        else [],
    }
    told = {name: value for name, value in found.items() if value}
    return {"pyskl": told} if told else {}


def _needlessly_single(value: Any) -> bool:
    if not isinstance(value, np.ndarray | unpickling.PickledArray):
        return False
    array = np.asarray(value)
    if array.dtype != np.float32:
        return False
    with np.errstate(over="ignore"):
        return bool(np.array_equal(array.astype(np.float16), array))


def _scores(value: Any, joints: np.ndarray, where: str) -> np.ndarray | None:
    """Scores between 0 and 1, if there are any; joints lost by them lose their coordinates too."""
    if value is None:
        return None
    scores = _numbers(value, where)
    if scores.shape != joints.shape[:3]:
        raise ValueError(
            f"{where} has scores of shape {scores.shape}; joints need {joints.shape[:3]}"
        )
    scores = np.clip(scores, 0, 1)
    joints[scores == 0] = 0
    return scores


def _size(value: Any, where: str) -> tuple[int, int] | None:
    """(height, width), as PYSKL writes `img_shape`."""
    if value is None:
        return None
    given = _plain(value)
    sides = given if isinstance(given, list | tuple) else ()
    if len(sides) != 2 or not all(type(side) is int and 0 < side < 2**31 for side in sides):
        raise ValueError(
            f"{where} has image size {reprlib.repr(given)}; it must be (height, width)"
        )
    return tuple(sides)
