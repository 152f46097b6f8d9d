"""NTU: the .skeleton files of NTU RGB+D 60 and 120, one text file a clip."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skeldistill.clip import Clip
from skeldistill.layouts import NTU25
from skeldistill.readers import ntu_bodies, source_files, tracking
from skeldistill.readers.ntu_actions import ACTIONS
from skeldistill.readers.reader import Division, Source

# fmt: off
XSUB_60 = frozenset((
    1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38,
))
"""The subjects of NTU RGB+D 60 who train; the others test."""

XSUB_120 = XSUB_60 | frozenset((
    45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86,
    89, 91, 92, 93, 94, 95, 97, 98, 100, 103,
))
"""The subjects of NTU RGB+D 120 who train."""
# fmt: on

MINI = tuple(range(61, 121, 6))
"""The ten actions of mini-NTU120. SKD (table IV) says only that neither they nor their subjects
are in NTU RGB+D 60; here they are every sixth of the sixty new actions."""
OLD_SUBJECTS = 40
"""Subjects 1 to 40 perform in NTU RGB+D 60."""

XVIEW = frozenset((2, 3))
"""The cameras of NTU RGB+D 60 that train; camera 1 tests."""

NAME = re.compile(r"S(\d{3})C(\d{3})P(\d{3})R(\d{3})A(\d{3})", re.ASCII)
COLOUR_SIZE = (1080, 1920)
TRACKING_SCORES = np.array([0.0, 0.5, 1.0])
"""By the sensor's word on a joint: not tracked, inferred, tracked."""
WHAT = "the folder of NTU's .skeleton files"


@dataclass(frozen=True, kw_only=True)
class NTU:
    """Reads the folder of NTU RGB+D's .skeleton files, or one of them.

    25 joints of Kinect v2 in metres; tracked joints score 1, inferred ones 0.5. Of several
    bodies, those that last too short or are too wide for a person are left out, the others come
    in the order of their motion, and tracks that never overlap are one person. A clip in which
    nobody is seen comes with all joints lost. Splits, by the name ``SsssCcccPpppRrrrAaaa``:
    ``xsub_train/_test`` and ``xview_train/_test``, or for 120 actions ``xsub_`` and ``xset_``
    (even setups train), and mini-NTU120 as ``mini_``: `MINI`'s ten actions by the subjects who are
    not in NTU RGB+D 60, divided as ``xsub_`` is.

    Args:
        actions: 60 for NTU RGB+D, 120 for NTU RGB+D 120.
        persons: how many to keep at most.
        plane: give the joints in the pixels of the colour image instead (2-D, 1080 x 1920): the
            same bodies in the same order, so that both are views of one clip.
        denoise: leave out what is no person; if not, all bodies come in the order of motion.
        missing: the official list of clips with missing skeletons (or any list of names, one a
            line); they are left out. Header lines above the first name are skipped.

    Raises:
        ValueError: an option is out of range, or the list names no clip.
        OSError: the list cannot be read.
    """

    actions: int = 60
    persons: int = 2
    plane: bool = False
    denoise: bool = True
    missing: str | Path | None = None

    def __post_init__(self) -> None:
        if self.actions not in (60, 120):
            raise ValueError(f"ntu: actions must be 60 or 120, got {self.actions}")
        if self.persons < 1:
            raise ValueError(f"ntu: persons must be at least 1, got {self.persons}")
        if self.missing is not None:
            listed(Path(self.missing))

    @property
    def divisions(self) -> tuple[Division, ...]:
        """Cross-subject, and cross-view or cross-setup; the list of missing clips takes 302."""
        if self.actions == 60:
            counts = [(40320, 16560), (37920, 18960)]
            if self.missing is not None:
                counts = [(40091, 16487), (37646, 18932)]
            about = {"xsub": "20 of 40 subjects train", "xview": "cameras 2 and 3 train"}
            told = zip(about.items(), counts, strict=True)
            return tuple(
                Division(train=f"{name}_train", test=f"{name}_test", about=line, clips=clips)
                for (name, line), clips in told
            )
        about = {
            "xsub": "53 of 106 subjects train",
            "xset": "setups of even number train",
            "mini": f"every sixth new action ({MINI[0]}, {MINI[1]} ... {MINI[-1]}), new subjects: "
            "those of xsub train",
        }
        return tuple(
            Division(train=f"{name}_train", test=f"{name}_test", about=line)
            for name, line in about.items()
        )

    def describe(self, path: Path) -> Source:
        """What holds for all of NTU RGB+D, and how many files there are."""
        return Source(
            layout=NTU25,
            channels=2 if self.plane else 3,
            units="pixels" if self.plane else "metres",
            classes=ACTIONS[: self.actions],
            num_clips=len(self._files(path)),
        )

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips by name; an id is the file's name without its ending."""
        for file in self._files(path):
            with source_files.naming(file):
                clip = self._clip(file)
            yield clip

    def _files(self, path: Path) -> list[Path]:
        files = source_files.find(path, ".skeleton", WHAT)
        missing = frozenset() if self.missing is None else listed(Path(self.missing))
        files = [file for file in files if file.stem not in missing]
        if not files:
            raise ValueError(f"{path} has only clips that {self.missing} leaves out")
        return files

    def _clip(self, file: Path) -> Clip:
        name = NAME.fullmatch(file.stem)
        if name is None:
            raise ValueError(f"its name must be as S001C001P001R001A001.skeleton; name {WHAT}")
        setup, camera, subject, replication, action = (int(number) for number in name.groups())
        if not 1 <= action <= self.actions:
            more = "; for NTU RGB+D 120 pass option `actions` 120" if self.actions == 60 else ""
            raise ValueError(f"action {action} is none of {self.actions}{more}")
        num_frames, bodies = ntu_bodies.parse(file.read_text(encoding="ascii"))
        if self.denoise:
            bodies = ntu_bodies.people(bodies)
        else:
            bodies = sorted(bodies, key=ntu_bodies.motion, reverse=True)
        people = len(ntu_bodies.seats(bodies, len(bodies)))
        found = {tracking.FOUND: people} if people > self.persons else {}
        joints, scores = self._joints(ntu_bodies.seats(bodies, self.persons), num_frames)
        return Clip(
            id=file.stem,
            joints=joints,
            scores=scores,
            layout=NTU25,
            label=action - 1,
            splits=self._splits(setup, camera, subject, action),
            subject=subject,
            camera=camera,
            size=COLOUR_SIZE if self.plane else None,
            extra={"setup": setup, "replication": replication, **found},
        )

    def _joints(
        self, people: list[list[ntu_bodies.Body]], num_frames: int
    ) -> tuple[np.ndarray, np.ndarray]:
        columns = slice(3, 5) if self.plane else slice(0, 3)
        channels = columns.stop - columns.start
        # an empty clip keeps one place, as a clip has at least one person
        shape = (max(1, len(people)), num_frames, NTU25.num_joints)
        joints, scores = np.zeros((*shape, channels), np.float32), np.zeros(shape, np.float32)
        for person, tracks in enumerate(people):
            for body in tracks:
                joints[person, body.frames] = body.values[..., columns]
                scores[person, body.frames] = _scores(body.values[..., 5])
        scores[~np.isfinite(joints).all(axis=-1)] = 0
        joints[scores == 0] = 0
        return joints, scores

    def _splits(self, setup: int, camera: int, subject: int, action: int) -> tuple[str, ...]:
        if self.actions == 60:
            train = {"xsub": subject in XSUB_60, "xview": camera in XVIEW}
        else:
            train = {"xsub": subject in XSUB_120, "xset": setup % 2 == 0}
            if action in MINI and subject > OLD_SUBJECTS:
                train["mini"] = train["xsub"]
        return tuple(f"{name}_{'train' if yes else 'test'}" for name, yes in train.items())


def listed(file: Path) -> frozenset[str]:
    """The clips that a list of missing skeletons names, one a line.

    Raises:
        OSError: it cannot be read.
        ValueError: it names no clip, or has another line after the first name.
    """
    with source_files.naming(file):
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
        names = [line.removesuffix(".skeleton") for line in lines if line]
        # the official lists open with three lines of prose; read as names they would be clips
        while names and not NAME.fullmatch(names[0]):
            names.pop(0)
        strange = [name for name in names if not NAME.fullmatch(name)]
        if strange or not names:
            raise ValueError(
                f"it must name clips as S001C001P001R001A001, one a line, "
                f"got {strange[0][:60] if strange else 'none'!r}"
            )
    return frozenset(names)


def _scores(states: np.ndarray) -> np.ndarray:
    if not np.isin(states, (0, 1, 2)).all():
        raise ValueError("it has a joint whose tracking state is none of 0, 1, 2")
    return TRACKING_SCORES[states.astype(np.int64)]
