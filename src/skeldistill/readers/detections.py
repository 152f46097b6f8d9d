"""Detections: flat lists of people found in images, as AlphaPose and COCO's results keep them."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from skeldistill import layouts
from skeldistill.clip import Clip
from skeldistill.layouts import BODY25, COCO17, HALPE26, Layout
from skeldistill.readers import json_files, source_files, tracking

PERSON = 1
"""The category of persons; what is found of other categories is skipped."""

IN_IMAGES = {25: BODY25, 133: COCO17, 136: HALPE26}
"""Numbers of joints that are found in images, and the layout that the first of them are.

25 are OpenPose's, as Kinect's are not found in images; the others are of whole bodies.
"""

NUMBERED = re.compile(r"(.*?)[-_]?([0-9]{1,18})", re.DOTALL)

Frames = Mapping[int, list[Mapping[str, Any]]]
"""The people of a clip, as their file describes them, by the number of the frame."""


def place(image: str, otherwise: str) -> tuple[str, int]:
    """The clip that an image is of, and its number there.

    Images whose names, folders included, differ only in the number at the end are one clip, called
    by what stands before: ``walk_0012.jpg`` and ``walk/0012.jpg`` are frame 12 of ``walk``.

    Args:
        image: the name, with or without an ending.
        otherwise: the clip of images that are called by a number alone.

    Raises:
        ValueError: the name does not end with a number.
    """
    path = PurePosixPath(image.replace("\\", "/"))
    stem = path.stem if re.fullmatch(r"\.[A-Za-z]\w*", path.suffix) else path.name
    name = NUMBERED.fullmatch(stem)
    if name is None:
        raise ValueError(
            f"image {image[:80]!r} needs a number at the end of its name, as in walk_0012.jpg; it "
            "says which frame it is"
        )
    folders = [part for part in path.parent.parts if part not in ("/", "..")]
    return "/".join([*folders, *([name[1]] if name[1] else [])]) or otherwise, int(name[2])


@dataclass(frozen=True, kw_only=True)
class Detections:
    """What a flat list says, put in order: for every clip its frames, for every frame its people.

    layout: of all of them. key: what holds a person's tracker id. first: the number of a clip's
    first frame, as far as the user says it. sizes: (height, width) of the clips' images, where they
    are known. sure: the third number of a joint that is as sure as can be.
    """

    clips: Mapping[str, Frames]
    layout: Layout
    key: str
    first: source_files.First
    sizes: Mapping[str, source_files.Size]
    sure: float = 1.0

    def read(self, persons: int) -> Iterator[Clip]:
        """The clips by name, with the `persons` surest people of each."""
        lowest = source_files.counted_from(min(min(frames) for frames in self.clips.values()))
        for name in sorted(self.clips):
            with source_files.naming(f"clip {name!r}"):
                found = {t: self._people(people) for t, people in self.clips[name].items()}
                first = source_files.beginning(found, self.first, lowest)
                frames = source_files.in_order(found, tracking.nobody(self.layout), first)
                tracks = tracking.follow(frames)
                joints, scores = tracking.surest(frames, tracks, persons)
                clip = Clip(
                    id=name,
                    joints=joints,
                    scores=scores,
                    layout=self.layout,
                    size=self.sizes.get(name),
                    extra=tracking.left_out(frames, tracks, persons),
                )
            yield clip

    def _people(self, people: list[Mapping[str, Any]]) -> tracking.People:
        if not people:
            return tracking.nobody(self.layout)
        table = json_files.numbers([one["keypoints"] for one in people], (None, None), "keypoints")
        table = table.reshape(len(people), -1, 3)
        whole = IN_IMAGES.get(table.shape[1]) is self.layout
        if table.shape[1] != self.layout.num_joints and not whole:
            raise ValueError(
                f"a person has {table.shape[1]} joints, layout {self.layout.name!r} has "
                f"{self.layout.num_joints}; pass another as option `layout`"
            )
        sure = np.array([1, 1, self.sure], np.float32)
        triples = table[:, : self.layout.num_joints] / sure
        return tracking.seen(triples, [one.get(self.key) for one in people])


def people(entries: Any) -> Iterator[Mapping[str, Any]]:
    """The entries that are persons, each with keypoints.

    Raises:
        ValueError: this is no list of people with keypoints.
    """
    if not isinstance(entries, list):
        raise ValueError(f"it must be a list of people found, got {type(entries).__name__}")
    for one in entries:
        if isinstance(one, dict) and one.get("category_id", PERSON) != PERSON:
            continue
        pose = json_files.field(one, "keypoints", list, "an entry")
        if not pose or len(pose) % 3:
            raise ValueError(
                f"an entry has {len(pose)} keypoint numbers; they must be x, y, confidence, x ..."
            )
        yield one


def layout_of(poses: Iterable[list[Any]], name: str | None) -> Layout:
    """The layout called `name`, or that of the first pose; ValueError if no single one fits."""
    if name is not None:
        return layouts.find(name)
    for pose in poses:
        count = len(pose) // 3
        try:
            return IN_IMAGES.get(count) or layouts.with_joints(count)
        except ValueError as error:
            raise ValueError(f"{error}, as option `layout`") from error
    return COCO17  # nobody anywhere: any layout is as good
