"""OpenPifPaf: the JSON that `openpifpaf.predict` and `openpifpaf.video` leave."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skeldistill.clip import Clip
from skeldistill.layouts import COCO17
from skeldistill.readers import json_files, source_files, tracking
from skeldistill.readers.reader import Source

IMAGE = ".predictions.json"
VIDEO = ".openpifpaf.json"
PERSON = 1
"""The category of persons; what is found of other categories is skipped."""

NUMBERED = re.compile(r"(.*?)[-_]?([0-9]{1,18})", re.DOTALL)
WHAT = f"a file *{VIDEO} or *{IMAGE}, a folder of them, or a folder of such folders"


@dataclass(frozen=True, kw_only=True)
class OpenPifPaf:
    """Reads OpenPifPaf's JSON of videos and of numbered images; 17 joints of COCO in pixels.

    ``<video>.openpifpaf.json`` is a clip, one line a frame. ``<image>.predictions.json`` is a
    frame: images whose names differ only in their last number are a clip, in the order of that
    number. Frames that are not there are lost. People are followed by ``id_`` where OpenPifPaf
    tracked them, else linked by nearness, and those of the highest mean confidence are kept;
    clips have no label. Of a folder, the folders in it are read, too; clips of two folders that
    would be called the same are called ``folder/name``.

    Args:
        persons: how many to keep at most.
        size: (height, width) of all images in pixels, which the files do not tell.

    Raises:
        ValueError: an option is out of range.
    """

    persons: int = 2
    size: source_files.Size = None

    def __post_init__(self) -> None:
        if self.persons < 1:
            raise ValueError(f"openpifpaf: persons must be at least 1, got {self.persons}")
        source_files.check_size("openpifpaf", self.size)

    def describe(self, path: Path) -> Source:
        """The layout, and how many clips there are."""
        return Source(layout=COCO17, channels=2, units="pixels", num_clips=len(_clips(Path(path))))

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips by name: that of the video, or of the images without their number."""
        for name, files in _clips(Path(path)).items():
            if isinstance(files, Path):
                with source_files.naming(files):
                    clip = self._clip(name, _lines(files))
            else:
                with source_files.naming(f"clip {name!r} in {next(iter(files.values())).parent}"):
                    clip = self._clip(name, {number: _image(files[number]) for number in files})
            yield clip

    def _clip(self, name: str, found: Mapping[int, tracking.People]) -> Clip:
        people = source_files.in_order(found, tracking.nobody(COCO17))
        tracks = tracking.follow(people)
        joints, scores = tracking.surest(people, tracks, self.persons)
        extra = tracking.left_out(people, tracks, self.persons)
        return Clip(
            id=name, joints=joints, scores=scores, layout=COCO17, size=self.size, extra=extra
        )


def _clips(path: Path) -> dict[str, Path | dict[int, Path]]:
    """For every clip its file, or the files of its frames by number."""
    clips: dict[tuple[str, str], Path | dict[int, Path]] = {}
    for folder in source_files.with_files(path, ".json", WHAT):
        for file in source_files.find(folder, ".json", WHAT):
            _put(clips, file, alone=path.is_file())
    if not clips:
        raise ValueError(f"{path} has no file *{VIDEO} or *{IMAGE}; name {WHAT}")
    return source_files.by_name(clips)


def _put(clips: dict[tuple[str, str], Path | dict[int, Path]], file: Path, *, alone: bool) -> None:
    """Put a file where it belongs: a clip, a frame of one, or none if it is of another kind."""
    folder = file.parent.resolve().name
    if file.name.endswith(IMAGE):
        name, number = _numbered(file)
        frames = clips.setdefault((folder, name), {})
        if isinstance(frames, Path) or number in frames:
            raise ValueError(f"{file} comes twice, as frame {number} of clip {name!r}")
        frames[number] = file
    elif file.name.endswith(VIDEO) or alone:
        name = Path(file.name.removesuffix(VIDEO)).stem or file.name
        if (folder, name) in clips:
            raise ValueError(f"{file} comes twice, as clip {name!r}; put it in another folder")
        clips[folder, name] = file


def _numbered(file: Path) -> tuple[str, int]:
    """An image's clip and place in it; one that is only a number is of the clip of its folder."""
    image = Path(file.name.removesuffix(IMAGE))
    stem = image.stem if re.fullmatch(r"\.[A-Za-z]+", image.suffix) else image.name
    name = NUMBERED.fullmatch(stem)
    if name is None:
        return stem, 0
    return name[1] or file.parent.resolve().name, int(name[2])


def _lines(file: Path) -> dict[int, tracking.People]:
    """A video's people, frame by frame."""
    found: dict[int, tracking.People] = {}
    for count, text in enumerate(file.read_bytes().splitlines(), start=1):
        if not text.strip():
            continue
        with source_files.naming(f"line {count}"):
            entry = json_files.parse(text, "it")
            number = json_files.field(entry, "frame", int)
            if number in found:
                raise ValueError(f"frame {number} comes twice")
            found[number] = _people(json_files.field(entry, "predictions", list))
    return found


def _image(file: Path) -> tracking.People:
    with source_files.naming(file.name):
        predictions = json_files.load(file)
        if not isinstance(predictions, list):
            raise ValueError("it must be a list of predictions")
        return _people(predictions)


def _people(predictions: list[Any]) -> tracking.People:
    people = [
        one
        for one in predictions
        if not isinstance(one, dict) or one.get("category_id", PERSON) == PERSON
    ]
    if not people:
        return tracking.nobody(COCO17)
    poses = [json_files.field(one, "keypoints", list, "a prediction") for one in people]
    table = json_files.numbers(poses, (None, 3 * COCO17.num_joints), "people's keypoints")
    ids = [one.get("id_") for one in people]
    return tracking.seen(table.reshape(len(poses), COCO17.num_joints, 3), ids)
