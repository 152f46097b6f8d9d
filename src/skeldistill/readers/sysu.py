"""SYSU: SYSU 3D Human-Object Interaction, one MATLAB file a clip."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skeldistill.clip import Clip
from skeldistill.layouts import KINECT20
from skeldistill.readers import json_files, mat_files, source_files
from skeldistill.readers.reader import Division, Source

CLASSES = (
    "drinking",
    "pouring",
    "calling_phone",
    "playing_phone",
    "wearing_backpack",
    "packing_backpack",
    "sitting_chair",
    "moving_chair",
    "taking_out_wallet",
    "taking_from_wallet",
    "mopping",
    "sweeping",
)
"""In the order of the data set's paper, which is that of the folders video1 to video12."""

REPEATS = 30
MATLAB = "sklWorld.mat"
FOLDERS = ("SYSU3DAction/3DvideoNorm", "3DvideoNorm")
VIDEO = re.compile(r"video([0-9]{1,4})")
WHAT = "SYSU's folder `3DvideoNorm`"


@dataclass(frozen=True, kw_only=True)
class SYSU:
    """Reads the folder ``3DvideoNorm`` of SYSU 3D HOI, a folder that holds it, or one file of it.

    20 joints of Kinect v1 in metres, one person; a joint at the origin is lost. The ids are
    ``subject/video3``, whose number is the action; subjects count from 1 in the order of names.

    Papers train on half of each class (setting 1) or half of the subjects (setting 2), and mean
    over 30 official divisions. Name them as option `splits` if you have them. If not, there are
    30 made here for each setting, ``setting1_seeded01_train``, ``setting1_seeded01_test`` and so
    on: the same on every machine for the same clips and seed, but not the official ones, so
    that results are comparable with those of papers only on average.

    Args:
        splits: a JSON file with the ids in each split, ``{"setting1_01_train": [...], ...}``.
        seed: another seed makes other divisions.

    Raises:
        OSError, ValueError: the file of splits cannot be read or is no such file.
    """

    splits: str | Path | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.splits is not None:
            _named(Path(self.splits))

    @property
    def divisions(self) -> tuple[Division, ...]:
        """Both settings, 30 times each: those made here, or those of the user's file."""
        if self.splits is not None:
            names = list(_named(Path(self.splits)))
            return tuple(
                Division(train=name, test=other, about=f"as {self.splits} says")
                for name in names
                if name.endswith("_train") and (other := f"{name[: -len('train')]}test") in names
            )
        halves = {1: "half of each class trains", 2: "half of the subjects train"}
        return tuple(
            Division(
                train=f"setting{setting}_seeded{repeat:02d}_train",
                test=f"setting{setting}_seeded{repeat:02d}_test",
                about=f"{half}; made here, seed {self.seed}",
                clips=(240, 240),
            )
            for setting, half in halves.items()
            for repeat in range(1, REPEATS + 1)
        )

    def describe(self, path: Path) -> Source:
        """What holds for all of SYSU, and how many files there are."""
        return Source(
            layout=KINECT20,
            channels=3,
            units="metres",
            classes=CLASSES,
            num_clips=len(_files(Path(path))),
        )

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips by subject and video."""
        files = _files(Path(path))
        ids = [_id(file) for file in files]
        subjects = sorted({subject for subject, _ in ids})
        splits = self._splits(ids, Path(path))
        for file, (subject, action) in zip(files, ids, strict=True):
            name = f"{subject}/video{action}"
            with source_files.naming(file):
                table = mat_files.numbers(file, "SW", (KINECT20.num_joints, 3, None))
                joints = np.ascontiguousarray(table.transpose(2, 0, 1))[None]
                clip = Clip(
                    id=name,
                    joints=joints,
                    scores=np.any(joints != 0, axis=-1).astype(np.float32),
                    layout=KINECT20,
                    label=action - 1,
                    splits=splits.get(name, ()),
                    subject=subjects.index(subject) + 1,
                    extra={"subject_name": subject},
                )
            yield clip

    def _splits(self, ids: Sequence[tuple[str, int]], path: Path) -> Mapping[str, tuple[str, ...]]:
        names = [f"{subject}/video{action}" for subject, action in ids]
        if self.splits is not None:
            return _given(_named(Path(self.splits)), names, self.splits)
        if path.is_file():
            return {}  # half of a single clip is no split
        splits: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
        for repeat in range(1, REPEATS + 1):
            half: set[str] = set()
            for action in range(1, len(CLASSES) + 1):
                of_class = [f"{subject}/video{action}" for subject, one in ids if one == action]
                half |= _half(of_class, f"{self.seed} setting 1 {repeat} {action}")
            people = _half({subject for subject, _ in ids}, f"{self.seed} setting 2 {repeat}")
            for name, (subject, _) in zip(names, ids, strict=True):
                splits[name] += (
                    f"setting1_seeded{repeat:02d}_{'train' if name in half else 'test'}",
                    f"setting2_seeded{repeat:02d}_{'train' if subject in people else 'test'}",
                )
        return splits


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"no file or folder {path}; name {WHAT}")
    folder = next((path / name for name in FOLDERS if (path / name).is_dir()), path)
    files = sorted(folder.glob(f"*/video*/{MATLAB}"), key=_id)
    if not files:
        raise ValueError(f"{folder} has no file subject/video1/{MATLAB}; name {WHAT}")
    return files


def _id(file: Path) -> tuple[str, int]:
    """Subject and action of a file, from its folders."""
    folder = file.absolute().parent
    video = VIDEO.fullmatch(folder.name)
    if video is None or not 1 <= int(video[1]) <= len(CLASSES):
        raise ValueError(f"{file} must be in a folder video1 to video{len(CLASSES)} of a subject")
    return folder.parent.name, int(video[1])


def _half(names: Iterable[str], what: str) -> set[str]:
    """A half by chance; of an odd number the smaller one."""
    # by digests and not by a generator: the same for ever, whatever the version of numpy
    order = sorted(names, key=lambda name: hashlib.sha256(f"{what} {name}".encode()).digest())
    return set(order[: len(order) // 2])


def _named(file: Path) -> Mapping[str, Sequence[str]]:
    """The ids in each split, from the user's file."""
    with source_files.naming(file):
        data = json_files.load(file)
        right = isinstance(data, dict) and all(
            isinstance(ids, list) and all(isinstance(one, str) for one in ids)
            for ids in data.values()
        )
        if not right:
            raise ValueError('it must say {"name of the split": ["subject/video1", ...], ...}')
    return data


def _given(
    named: Mapping[str, Sequence[str]], names: Sequence[str], file: object
) -> dict[str, tuple[str, ...]]:
    splits: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    for split, ids in named.items():
        unknown = [one for one in ids if one not in splits]
        if unknown and len(unknown) == len(ids):
            raise ValueError(f"{file}: split {split!r} names no clip that is here: {unknown[0]!r}")
        for one in dict.fromkeys(ids):
            if one in splits:
                splits[one] += (split,)
    return splits
