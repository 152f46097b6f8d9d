"""NW-UCLA: Northwestern-UCLA Multiview Action 3D, one JSON file a clip."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skeldistill.clip import Clip
from skeldistill.layouts import KINECT20
from skeldistill.readers import json_files, source_files
from skeldistill.readers.reader import Division, Source

ACTIONS = {
    1: "pick_up_with_one_hand",
    2: "pick_up_with_two_hands",
    3: "drop_trash",
    4: "walk_around",
    5: "sit_down",
    6: "stand_up",
    8: "donning",
    9: "doffing",
    11: "throw",
    12: "carry",
}
"""By the number in a file's name; 7 and 10 do not exist."""

TEST_VIEW = 3
NAME = re.compile(r"a(\d\d)_s(\d\d)_e(\d\d)_v(\d\d)", re.ASCII)
WHAT = "NW-UCLA's folder `all_sqe`"


@dataclass(frozen=True, kw_only=True)
class NWUCLA:
    """Reads the folder ``all_sqe`` of NW-UCLA, or the folder that holds it, or one file of it.

    20 joints of Kinect v1 in metres, one person; a joint at the origin is lost. The action, the
    subject and the camera are those of the name ``aNN_sNN_eNN_vNN.json``. Views 1 and 2 are the
    split ``train`` (1,020 clips), view 3 is ``test`` (464), the set's cross-view protocol. In the
    copy that was looked at (1,484 files), 95 of view 3 are those of view 2 by another name.
    """

    @property
    def divisions(self) -> tuple[Division, ...]:
        """Cross-view."""
        about = "views 1 and 2 train, view 3 tests"
        return (Division(train="train", test="test", about=about, clips=(1020, 464)),)

    def describe(self, path: Path) -> Source:
        """What holds for all of NW-UCLA, and how many files there are."""
        return Source(
            layout=KINECT20,
            channels=3,
            units="metres",
            classes=tuple(ACTIONS.values()),
            num_clips=len(_files(path)),
        )

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips by name; an id is the file's name without its ending."""
        for file in _files(path):
            with source_files.naming(file):
                clip = _clip(file)
            yield clip


def _files(path: Path) -> list[Path]:
    folder = Path(path) / "all_sqe"
    return source_files.find(folder if folder.is_dir() else path, ".json", WHAT)


def _clip(file: Path) -> Clip:
    name = NAME.fullmatch(file.stem)
    if name is None:
        raise ValueError(f"its name must be as a01_s01_e00_v01.json; name {WHAT}")
    action, subject, _, view = (int(number) for number in name.groups())
    if action not in ACTIONS:
        raise ValueError(f"there is no action {action}; known: {', '.join(map(str, ACTIONS))}")
    skeletons = json_files.field(json_files.load(file), "skeletons", list)
    joints = json_files.numbers(skeletons, (None, KINECT20.num_joints, 3), "skeletons")[None]
    return Clip(
        id=file.stem,
        joints=joints,
        scores=np.any(joints != 0, axis=-1).astype(np.float32),
        layout=KINECT20,
        label=list(ACTIONS).index(action),
        splits=("test" if view == TEST_VIEW else "train",),
        subject=subject,
        camera=view,
    )
