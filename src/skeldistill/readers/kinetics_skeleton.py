"""Kinetics-skeleton: OpenPose on the videos of Kinetics-400, one JSON file a clip."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skeldistill.clip import UNLABELLED, Clip
from skeldistill.layouts import OPENPOSE18
from skeldistill.readers import json_files, source_files, tracking
from skeldistill.readers.reader import Division, Source

SPLITS = ("train", "val")
LABELS = "_label.json"
MIDDLE = 0.5
"""Of an image, counted from its corner; where joints that are lost lie for ST-GCN."""
WHAT = "the folder that holds `kinetics_train` and `kinetics_val`"


@dataclass(frozen=True, kw_only=True)
class KineticsSkeleton:
    """Reads the folder that holds ``kinetics_train`` and ``kinetics_val``, one of these, or a file.

    18 joints of OpenPose; x and y are shares of the image's width and height. All people are
    linked over the frames, and those of the highest mean confidence are kept. Splits ``train``
    and ``val`` go by the folder. A list of labels beside the folder (``kinetics_train_label.json``)
    gives the names of the classes, and clips without skeleton in it are left out, as ST-GCN does.

    Args:
        persons: how many to keep at most.
        centred: shares from -0.5 to 0.5, counted from the image's middle instead of its corner, as
            ST-GCN trains on them and as its arrays have them.

    Raises:
        ValueError: an option is out of range.
    """

    persons: int = 2
    centred: bool = False

    def __post_init__(self) -> None:
        if self.persons < 1:
            raise ValueError(f"kinetics_skeleton: persons must be at least 1, got {self.persons}")

    @property
    def divisions(self) -> tuple[Division, ...]:
        """Kinetics-400's own."""
        return (Division(train="train", test="val", about="the folder of the clip"),)

    def describe(self, path: Path) -> Source:
        """What holds for all of it, the classes that the lists of labels name, and how many."""
        path = Path(path)
        names: dict[int, str] = {}
        for folder in _folders(path):
            for about in _labels(folder).values():
                if about["label_index"] != UNLABELLED:
                    names[about["label_index"]] = about["label"]
        # a name for some of the labels only would stand at the wrong place
        whole = set(names) == set(range(len(names)))
        return Source(
            layout=OPENPOSE18,
            channels=2,
            units="normalised",
            classes=tuple(names[i] for i in range(len(names))) if whole else (),
            num_clips=sum(1 for _ in _files(path)),
        )

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips by split and name; an id is the file's name without its ending."""
        for file in _files(Path(path)):
            with source_files.naming(file):
                clip = self._clip(file)
            yield clip

    def _clip(self, file: Path) -> Clip:
        data = json_files.load(file)
        people = _frames(json_files.field(data, "data", list))
        tracks = tracking.link(people)
        joints, scores = tracking.surest(people, tracks, self.persons)
        if self.centred:
            joints = np.where((scores > 0)[..., None], joints - np.float32(MIDDLE), 0)
        return Clip(
            id=file.stem,
            joints=joints,
            scores=scores,
            layout=OPENPOSE18,
            label=_label(data.get("label_index")),
            splits=tuple(name for name in SPLITS if file.absolute().parent.name.endswith(name)),
            extra=tracking.left_out(people, tracks, self.persons),
        )


def _folders(path: Path) -> list[Path]:
    if path.is_file():
        return [path.parent]
    inside = [path / f"kinetics_{split}" for split in SPLITS]
    return [folder for folder in inside if folder.is_dir()] or [path]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder in _folders(path):
        labels = _labels(folder)
        for file in source_files.find(folder, ".json", WHAT):
            about = labels.get(file.stem, {})
            if not file.name.endswith(LABELS) and about.get("has_skeleton", True):
                yield file


def _labels(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    """The list of labels beside a folder, if there is one."""
    folder = folder.absolute()  # "." has no name
    file = folder.parent / f"{folder.name}{LABELS}"
    if not file.is_file():
        return {}
    with source_files.naming(file):
        data = json_files.load(file)
        if not isinstance(data, dict):
            raise ValueError("it must be an object with an entry for every clip")
        for name, about in data.items():
            json_files.field(about, "label", str, name[:40])
            json_files.field(about, "label_index", int, name[:40])
    return data


def _frames(data: list[Any]) -> list[tracking.People]:
    """Everybody in each frame from the first to the last that the file has."""
    found: dict[int, tracking.People] = {}
    for entry in data:
        index = json_files.field(entry, "frame_index", int, "a frame")
        if index in found:
            raise ValueError(f"it has frame {index} twice")
        found[index] = _people(json_files.field(entry, "skeleton", list, "a frame"))
    return source_files.in_order(found, tracking.nobody(OPENPOSE18))


def _people(skeletons: list[Any]) -> tracking.People:
    count = OPENPOSE18.num_joints
    poses = [json_files.field(one, "pose", list, "a skeleton") for one in skeletons]
    scores = [json_files.field(one, "score", list, "a skeleton") for one in skeletons]
    if not skeletons:
        return tracking.nobody(OPENPOSE18)
    return tracking.People(
        json_files.numbers(poses, (None, 2 * count), "pose").reshape(-1, count, 2),
        np.clip(json_files.numbers(scores, (None, count), "score"), 0, 1),
    )


def _label(value: Any) -> int:
    if value is None or value == UNLABELLED:
        return UNLABELLED
    if type(value) is not int or not 0 <= value < 2**31:
        raise ValueError(f"label_index is {str(value)[:40]!r}; it must count from 0")
    return value
