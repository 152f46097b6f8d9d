"""AlphaPose: the JSON that its demo leaves, one flat list of everybody in every image."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skeldistill import layouts
from skeldistill.clip import Clip
from skeldistill.readers import detections, json_files, source_files
from skeldistill.readers.reader import Source

RESULTS = "alphapose-results"
"""What AlphaPose calls its file, whatever the video."""
WHAT = "an alphapose-results.json, a folder of such files, or a folder of folders with one each"


@dataclass(frozen=True, kw_only=True)
class AlphaPose:
    """Reads AlphaPose's result JSON (``--format`` left at its default); every video is a clip.

    Names a file, a folder of ``*.json``, or a folder whose folders hold an
    ``alphapose-results.json`` each. The images' names say clip and frame: ``12.jpg`` is frame 12
    of the clip called as the file (as its folder, if that is ``alphapose-results``), and
    ``walk_0012.jpg`` or ``walk/0012.jpg`` is frame 12 of ``walk``. Frames without anybody are
    lost, those before the first person too: numbers count from 0, or from 1 if none is lower. A
    clip that would be lost for as long as it has frames, or longer, is taken to be cut from the
    middle of a longer video, and begins with its lowest number. People are followed by ``idx``
    where AlphaPose tracked them, else linked by nearness; those of the highest mean confidence are
    kept; clips have no label.

    Args:
        persons: how many to keep at most.
        layout: of the joints; by default coco17 for 17 joints (and the first 17 of a whole
            body's 133), body25 for 25 and halpe26 for 26 (and the first 26 of 136).
        units: of the coordinates.
        size: (height, width) of all images in pixels, which the files do not tell.
        first: the number of every clip's first frame, or ``lowest``: the lowest that it has.

    Raises:
        ValueError: an option is out of range.
    """

    persons: int = 2
    layout: str | None = None
    units: str = "pixels"
    size: source_files.Size = None
    first: source_files.First = None

    def __post_init__(self) -> None:
        if self.persons < 1:
            raise ValueError(f"alphapose: persons must be at least 1, got {self.persons}")
        source_files.check_first("alphapose", self.first)
        source_files.check_size("alphapose", self.size)
        if self.layout is not None:
            layouts.find(self.layout)

    def describe(self, path: Path) -> Source:
        """The layout of the first person found, and how many clips there are."""
        found = self._found(Path(path))
        return Source(layout=found.layout, channels=2, units=self.units, num_clips=len(found.clips))

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips by name."""
        yield from self._found(Path(path)).read(self.persons)

    def _found(self, path: Path) -> detections.Detections:
        clips: dict[str, dict[int, list[Any]]] = {}
        poses: list[list[Any]] = []
        for file in _files(path):
            name = file.absolute().parent.name if file.stem == RESULTS else file.stem
            mine: dict[str, dict[int, list[Any]]] = {}
            with source_files.naming(file):
                for one in detections.people(json_files.load(file)):
                    image = json_files.field(one, "image_id", str, "an entry")
                    clip, number = detections.place(image, name)
                    mine.setdefault(clip, {}).setdefault(number, []).append(one)
                    poses = poses or [one["keypoints"]]
                twice = [clip for clip in mine if clip in clips]
                if twice:
                    raise ValueError(f"clip {twice[0]!r} is in another file too; rename one")
            clips |= mine
        if not clips:
            raise ValueError(f"{path} has nobody in any image; name {WHAT}")
        with source_files.naming(path):
            layout = detections.layout_of(poses, self.layout)
        return detections.Detections(
            clips=clips,
            layout=layout,
            key="idx",
            first=self.first,
            sizes=dict.fromkeys(clips, self.size),
        )


def _files(path: Path) -> list[Path]:
    inside = sorted(path.glob(f"*/{RESULTS}.json")) if path.is_dir() else []
    return inside or source_files.find(path, ".json", WHAT)
