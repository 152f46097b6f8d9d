"""COCO result: keypoints of people as COCO's evaluation takes them, or its annotators give them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from skeldistill import layouts
from skeldistill.clip import Clip
from skeldistill.readers import detections, json_files, source_files
from skeldistill.readers.reader import Source

WHAT = "a JSON file of COCO keypoint results, or a folder of them"
LABELLED = 2.0
"""An annotator's word on a joint: 0 not labelled, 1 labelled but hidden, 2 labelled and visible."""


class Image(NamedTuple):
    """What a list says of an image: clip and frame, and (height, width) if it is told."""

    clip: str
    number: int
    size: source_files.Size


Images = Mapping[int, Image]
"""By their ids."""


@dataclass(frozen=True, kw_only=True)
class COCOResult:
    """Reads COCO keypoint results, ``[{"image_id", "keypoints", ...}, ...]``, or COCO annotations.

    Images make clips by their names: those whose names differ only in the number at the end are
    one clip, called by what stands before it (``walk_0012.jpg`` and ``walk/0012.jpg`` are frame 12
    of ``walk``). The name is the ``image_id`` itself if that is text, else what `images` or the
    file's own list of images says. Numbers without a list are the frames of one clip, called as
    the file. Listed images in which nobody is found are lost frames. Without a list so are frames
    before the first person: numbers count from 0, or from 1 if none is lower; but a clip that would
    be lost for as long as it has frames, or longer, begins with its lowest number. People are
    followed by ``track_id`` if they have one, else linked by nearness; those of the highest mean
    confidence are kept; clips have no label. A joint's third number is its score, or in annotations
    its visibility: hidden joints score 0.5.

    Args:
        persons: how many to keep at most.
        images: a COCO annotation file whose list ``images`` gives ``file_name`` for each ``id``.
        layout: of the joints; by default coco17 for 17 joints (and the first 17 of a whole
            body's 133), body25 for 25, else the one layout with so many.
        units: of the coordinates.
        size: (height, width) of all images in pixels; by default what the list of images says of a
            clip's, if it is one size.
        first: the number of every clip's first frame, or ``lowest``: the lowest that it has.

    Raises:
        ValueError: an option is out of range, or `images` is no such file.
        OSError: `images` cannot be read.
    """

    persons: int = 2
    images: str | Path | None = None
    layout: str | None = None
    units: str = "pixels"
    size: source_files.Size = None
    first: source_files.First = None

    def __post_init__(self) -> None:
        if self.persons < 1:
            raise ValueError(f"coco_result: persons must be at least 1, got {self.persons}")
        source_files.check_first("coco_result", self.first)
        source_files.check_size("coco_result", self.size)
        if self.layout is not None:
            layouts.find(self.layout)
        if self.images is not None:
            _listed(Path(self.images))

    def describe(self, path: Path) -> Source:
        """The layout of the first person found, and how many clips there are."""
        found = self._found(Path(path))
        return Source(layout=found.layout, channels=2, units=self.units, num_clips=len(found.clips))

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips by name."""
        yield from self._found(Path(path)).read(self.persons)

    def _found(self, path: Path) -> detections.Detections:
        given = {} if self.images is None else _listed(Path(self.images))
        clips: dict[str, dict[int, list[Any]]] = {}
        first: list[list[Any]] = []
        kinds: set[bool] = set()
        listed = list(given.values())
        for file in source_files.find(path, ".json", WHAT):
            with source_files.naming(file):
                data = json_files.load(file)
                kinds.add(isinstance(data, dict))
                own = _images(data, file.stem) if isinstance(data, dict) else {}
                mine = _clips(data, own, given, file.stem)
                twice = [name for name in mine if name in clips]
                if twice:
                    raise ValueError(f"clip {twice[0]!r} is in another file too; rename one")
            clips |= mine
            listed += own.values()
            people = (one for frames in mine.values() for some in frames.values() for one in some)
            first = first or [one["keypoints"] for _, one in zip(range(1), people, strict=False)]
        for image in given.values():
            clips.setdefault(image.clip, {}).setdefault(image.number, [])
        if not clips or len(kinds) > 1:
            why = "results and annotations together" if clips else "nobody in any image"
            raise ValueError(f"{path} has {why}; name {WHAT}")
        with source_files.naming(path):
            layout = detections.layout_of(first, self.layout)
        sure = LABELLED if kinds == {True} else 1.0
        # a list of images has those without anybody too
        likely = source_files.LOWEST if given or kinds == {True} else None
        begin = likely if self.first is None else self.first
        return detections.Detections(
            clips=clips,
            layout=layout,
            key="track_id",
            first=begin,
            sizes=dict.fromkeys(clips, self.size) if self.size else _sizes(listed),
            sure=sure,
        )


def _clips(data: Any, own: Images, given: Images, name: str) -> dict[str, dict[int, list[Any]]]:
    """The people of each clip and frame, where frames that the file lists may have none."""
    entries = json_files.field(data, "annotations", list) if isinstance(data, dict) else data
    clips: dict[str, dict[int, list[Any]]] = {}
    for image in own.values():
        clips.setdefault(image.clip, {}).setdefault(image.number, [])
    images = {**given, **own}
    for one in detections.people(entries):
        clip, number = _place(one.get("image_id"), images, name)
        clips.setdefault(clip, {}).setdefault(number, []).append(one)
    return clips


def _place(image: Any, images: Images, name: str) -> tuple[str, int]:
    if isinstance(image, str):
        return detections.place(image, name)
    if type(image) is not int:
        raise ValueError(
            f"an entry has image_id {str(image)[:40]!r}; it must be a number or a name"
        )
    if not images:
        return name, image
    if image not in images:
        raise ValueError(f"an entry is of image {str(image)[:40]}, which the list of images lacks")
    return images[image].clip, images[image].number


def _images(data: Any, name: str) -> Images:
    """The images of a list; those called by a number alone are of clip `name`."""
    return {
        json_files.field(one, "id", int, "an image"): Image(
            *detections.place(json_files.field(one, "file_name", str, "an image"), name), _size(one)
        )
        for one in json_files.field(data, "images", list)
    }


def _size(image: Mapping[str, Any]) -> source_files.Size:
    height, width = image.get("height"), image.get("width")
    if type(height) is not int or type(width) is not int or min(height, width) < 1:
        return None
    return height, width


def _sizes(images: Iterable[Image]) -> dict[str, source_files.Size]:
    """For each clip the size of its images, unless it changes from one to the other."""
    told: dict[str, set[source_files.Size]] = {}
    for image in images:
        told.setdefault(image.clip, set()).add(image.size)
    return {clip: sizes.pop() for clip, sizes in told.items() if len(sizes) == 1}


def _listed(file: Path) -> Images:
    with source_files.naming(file):
        return _images(json_files.load(file), file.stem)
