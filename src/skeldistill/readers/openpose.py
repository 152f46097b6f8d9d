"""OpenPose: what `--write_json` leaves, one JSON file a frame."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skeldistill import layouts
from skeldistill.clip import Clip
from skeldistill.layouts import BODY25, OPENPOSE18, Layout
from skeldistill.readers import json_files, source_files, tracking
from skeldistill.readers.reader import Source

ENDING = "_keypoints.json"
NAME = re.compile(r"(?:(.*)_)?([0-9]{1,18})_keypoints\.json", re.DOTALL)
LAYOUTS = (BODY25, OPENPOSE18)
FIELDS = ("pose_keypoints_2d", "pose_keypoints")
"""Where the body's joints are, in new and in old versions."""

WHAT = "a folder of OpenPose's *_keypoints.json, or the folder of such folders"


@dataclass(frozen=True, kw_only=True)
class OpenPose:
    """Reads folders of OpenPose's ``<video>_<frame>_keypoints.json``; every video is a clip.

    Names a folder of such files, a folder of such folders, or one file (a clip of one frame).
    The ids are the videos' names, with the folder before them where two are called the same.
    Frames that have no file, or nobody in theirs, are lost. People are followed by ``person_id``
    where OpenPose tracked them, else linked by nearness, and those of the highest mean confidence
    are kept; clips have no label.

    Args:
        persons: how many to keep at most.
        layout: "body25" or "openpose18"; by default the one of the first person found.
        units: of the coordinates; others than pixels if OpenPose ran with ``--keypoint_scale``.
        size: (height, width) of all images in pixels, which the files do not tell.

    Raises:
        ValueError: an option is out of range.
    """

    persons: int = 2
    layout: str | None = None
    units: str = "pixels"
    size: source_files.Size = None

    def __post_init__(self) -> None:
        if self.persons < 1:
            raise ValueError(f"openpose: persons must be at least 1, got {self.persons}")
        source_files.check_size("openpose", self.size)
        if self.layout is not None and layouts.find(self.layout) not in LAYOUTS:
            raise ValueError(f"openpose: layout {self.layout!r} must be body25 or openpose18")

    def describe(self, path: Path) -> Source:
        """The layout of the first person found, and how many clips there are."""
        clips = _clips(Path(path))
        return Source(
            layout=self._layout(clips), channels=2, units=self.units, num_clips=len(clips)
        )

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips by folder and name."""
        clips = _clips(Path(path))
        layout = self._layout(clips)
        for name, files in clips.items():
            with source_files.naming(f"clip {name!r} in {next(iter(files.values())).parent}"):
                clip = self._clip(name, files, layout)
            yield clip

    def _layout(self, clips: Mapping[str, Mapping[int, Path]]) -> Layout:
        if self.layout is not None:
            return layouts.find(self.layout)
        for files in clips.values():
            for number in sorted(files):
                with source_files.naming(files[number]):
                    for pose, _ in _poses(files[number]):
                        return _with_numbers(len(pose))
        return BODY25  # nobody anywhere: any layout is as good

    def _clip(self, name: str, files: Mapping[int, Path], layout: Layout) -> Clip:
        found: dict[int, tracking.People] = {}
        for number in sorted(files):
            with source_files.naming(files[number].name):
                found[number] = _people(_poses(files[number]), layout)
        people = source_files.in_order(found, tracking.nobody(layout))
        tracks = tracking.follow(people)
        joints, scores = tracking.surest(people, tracks, self.persons)
        extra = tracking.left_out(people, tracks, self.persons)
        return Clip(
            id=name, joints=joints, scores=scores, layout=layout, size=self.size, extra=extra
        )


def _clips(path: Path) -> dict[str, dict[int, Path]]:
    """The files of every clip by the number of the frame."""
    grouped: dict[tuple[str, str], dict[int, Path]] = {}
    for folder in source_files.with_files(path, ENDING, WHAT):
        place = (folder if folder.is_dir() else folder.parent).resolve().name
        for file in source_files.find(folder, ENDING, WHAT):
            name = NAME.fullmatch(file.name)
            if name is None:
                raise ValueError(f"{file}: its name must be as video_000000000000{ENDING}")
            numbers = grouped.setdefault((place, name[1] or place), {})
            if int(name[2]) in numbers:
                raise ValueError(f"{file} is frame {int(name[2])}, as {numbers[int(name[2])]}")
            numbers[int(name[2])] = file
    return source_files.by_name(grouped)


def _poses(file: Path) -> list[tuple[list[Any], Any]]:
    """The flat list x, y, confidence, x ... of everybody who has one, and the person's id."""
    people = json_files.field(json_files.load(file), "people", list)
    poses = []
    for person in people:
        name = next(
            (one for one in FIELDS if isinstance(person, dict) and one in person), FIELDS[0]
        )
        pose = json_files.field(person, name, list, "a person")
        poses.append((pose, person.get("person_id")))
    return [(pose, one) for pose, one in poses if pose]


def _with_numbers(count: int) -> Layout:
    for layout in LAYOUTS:
        if 3 * layout.num_joints == count:
            return layout
    raise ValueError(f"a person has {count} numbers; 75 (BODY_25) or 54 (COCO) are known")


def _people(found: list[tuple[list[Any], Any]], layout: Layout) -> tracking.People:
    if not found:
        return tracking.nobody(layout)
    poses, ids = [pose for pose, _ in found], [one for _, one in found]
    table = json_files.numbers(poses, (None, 3 * layout.num_joints), "people's joints")
    return tracking.seen(table.reshape(len(poses), layout.num_joints, 3), ids)
