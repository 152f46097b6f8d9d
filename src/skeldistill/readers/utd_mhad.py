"""UTDMHAD: the skeletons of UTD-MHAD, one MATLAB file a clip."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skeldistill.clip import Clip
from skeldistill.layouts import KINECT20
from skeldistill.readers import mat_files, source_files
from skeldistill.readers.reader import Division, Source

CLASSES = (
    "swipe_left",
    "swipe_right",
    "wave",
    "clap",
    "throw",
    "arm_cross",
    "basketball_shoot",
    "draw_x",
    "draw_circle_clockwise",
    "draw_circle_counter_clockwise",
    "draw_triangle",
    "bowling",
    "boxing",
    "baseball_swing",
    "tennis_swing",
    "arm_curl",
    "tennis_serve",
    "push",
    "knock",
    "catch",
    "pickup_and_throw",
    "jog",
    "walk",
    "sit_to_stand",
    "stand_to_sit",
    "lunge",
    "squat",
)
SPINE = ("head", "shoulder_centre", "spine", "hip_centre")
"""The first joints in a file, downwards; all others are in the order of the layout."""

ORDER = [*(KINECT20.index(joint) for joint in SPINE), *range(len(SPINE), KINECT20.num_joints)]
NAME = re.compile(r"a(\d{1,2})_s(\d{1,2})_t(\d{1,2})_skeleton", re.ASCII)
ENDING = "_skeleton.mat"
WHAT = "UTD-MHAD's folder `Skeleton`"


@dataclass(frozen=True, kw_only=True)
class UTDMHAD:
    """Reads the folder ``Skeleton`` of UTD-MHAD, a folder that holds it, or one file of it.

    20 joints of Kinect v1 in metres, one person; a joint at the origin is lost. Action, subject
    and trial are those of the name ``a1_s1_t1_skeleton.mat``. The splits ``train`` and ``test``
    are the subjects of odd and even number (Chen et al. 2015).
    """

    @property
    def divisions(self) -> tuple[Division, ...]:
        """Cross-subject."""
        about = "subjects of odd number train, the others test"
        return (Division(train="train", test="test", about=about, clips=(431, 430)),)

    def describe(self, path: Path) -> Source:
        """What holds for all of UTD-MHAD, and how many files there are."""
        return Source(
            layout=KINECT20,
            channels=3,
            units="metres",
            classes=CLASSES,
            num_clips=len(_files(Path(path))),
        )

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips by action, subject and trial; an id is the name up to the trial."""
        for file in _files(Path(path)):
            with source_files.naming(file):
                clip = _clip(file)
            yield clip


def _files(path: Path) -> list[Path]:
    folder = path / "Skeleton"
    files = source_files.find(folder if folder.is_dir() else path, ENDING, WHAT)
    return sorted(files, key=_numbers)


def _numbers(file: Path) -> tuple[int, ...]:
    name = NAME.fullmatch(file.stem)
    if name is None:
        raise ValueError(f"{file}: its name must be as a1_s1_t1_skeleton.mat; name {WHAT}")
    return tuple(int(number) for number in name.groups())


def _clip(file: Path) -> Clip:
    action, subject, trial = _numbers(file)
    if not 1 <= action <= len(CLASSES):
        raise ValueError(f"action {action} is none of {len(CLASSES)}")
    table = mat_files.numbers(file, "d_skel", (KINECT20.num_joints, 3, None))
    joints = np.zeros((1, table.shape[2], KINECT20.num_joints, 3), np.float32)
    joints[0, :, ORDER] = table.transpose(0, 2, 1)
    return Clip(
        id=file.stem.removesuffix("_skeleton"),
        joints=joints,
        scores=np.any(joints != 0, axis=-1).astype(np.float32),
        layout=KINECT20,
        label=action - 1,
        splits=("train" if subject % 2 else "test",),
        subject=subject,
        extra={"trial": trial},
    )
