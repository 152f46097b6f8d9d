"""JHMDB: the human annotation of Joint-annotated HMDB, one MATLAB file a clip."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skeldistill.clip import Clip
from skeldistill.layouts import JHMDB15
from skeldistill.readers import mat_files, source_files
from skeldistill.readers.reader import Division, Source
from skeldistill.shelf import nearest

CLASSES = (
    "brush_hair",
    "catch",
    "clap",
    "climb_stairs",
    "golf",
    "jump",
    "kick_ball",
    "pick",
    "pour",
    "pullup",
    "push",
    "run",
    "shoot_ball",
    "shoot_bow",
    "shoot_gun",
    "sit",
    "stand",
    "swing_baseball",
    "throw",
    "walk",
    "wave",
)
SPLITS = (1, 2, 3)
SIDES = {"1": "train", "2": "test"}
SIZE = (240, 320)
MATLAB = "joint_positions.mat"
WHAT = "JHMDB's folder, with `joint_positions` and `splits` in it"


@dataclass(frozen=True, kw_only=True)
class JHMDB:
    """Reads JHMDB's folder (``joint_positions`` and ``splits``), the first alone, or one file.

    15 joints of one person, all annotated in every frame, in pixels of 240 x 320; an occluded
    joint may lie outside of the image. The ids are ``class/video``. The three splits,
    ``split1_train``, ``split1_test`` and so on, are those of the lists ``splits/*.txt``; without
    that folder clips are in no split.

    Args:
        world: give the coordinates relative to the image's centre and divided by the person's
            scale (JHMDB's ``pos_world``) instead of pixels.
    """

    world: bool = False

    @property
    def divisions(self) -> tuple[Division, ...]:
        """JHMDB's own three."""
        return tuple(
            Division(
                train=f"split{number}_train",
                test=f"split{number}_test",
                about=f"the lists splits/*_test_split{number}.txt",
            )
            for number in SPLITS
        )

    def describe(self, path: Path) -> Source:
        """What holds for all of JHMDB, and how many files there are."""
        return Source(
            layout=JHMDB15,
            channels=2,
            units="normalised" if self.world else "pixels",
            classes=CLASSES,
            num_clips=len(_files(Path(path))),
        )

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips by class and name."""
        files = _files(Path(path))
        splits = _splits(files[0].absolute().parent.parent.parent)
        for file in files:
            with source_files.naming(file):
                clip = self._clip(file, splits)
            yield clip

    def _clip(self, file: Path, splits: Mapping[str, tuple[str, ...]]) -> Clip:
        video, action = file.absolute().parent.name, file.absolute().parent.parent.name
        if action not in CLASSES:
            raise ValueError(f"{action!r} is no class of JHMDB; {nearest(action, CLASSES)}")
        name = f"{action}/{video}"
        table = mat_files.numbers(file, "pos_world" if self.world else "pos_img", (2, 15, None))
        return Clip(
            id=name,
            joints=np.ascontiguousarray(table.transpose(2, 1, 0))[None],
            # all are annotated, so a joint in the very corner is one too
            scores=np.ones((1, table.shape[2], JHMDB15.num_joints), np.float32),
            layout=JHMDB15,
            label=CLASSES.index(action),
            splits=splits.get(name, ()),
            size=None if self.world else SIZE,
        )


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"no file or folder {path}; name {WHAT}")
    folder = path / "joint_positions" if (path / "joint_positions").is_dir() else path
    files = sorted(folder.glob(f"*/*/{MATLAB}"))
    if not files:
        raise ValueError(f"{folder} has no file class/video/{MATLAB}; name {WHAT}")
    return files


def _splits(joint_positions: Path) -> dict[str, tuple[str, ...]]:
    """The splits that each clip is in, from the lists in the folder beside."""
    splits: dict[str, tuple[str, ...]] = {}
    folder = joint_positions.parent / "splits"
    for action in CLASSES:
        for number in SPLITS:
            file = folder / f"{action}_test_split{number}.txt"
            if not file.is_file():
                continue
            with source_files.naming(file):
                for name, side in _listed(file):
                    clip = f"{action}/{name}"
                    splits[clip] = (*splits.get(clip, ()), f"split{number}_{side}")
    return splits


def _listed(file: Path) -> Iterator[tuple[str, str]]:
    """The videos that a list names, each with its side."""
    for text in file.read_text(encoding="utf-8").splitlines():
        words = text.split()
        if not words:
            continue
        if len(words) != 2 or words[1] not in ("0", *SIDES):
            raise ValueError(f"{text[:80]!r} must be a video and 1 (train) or 2 (test)")
        if words[1] in SIDES:
            yield words[0].removesuffix(".avi"), SIDES[words[1]]
