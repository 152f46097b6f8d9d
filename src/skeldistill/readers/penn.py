"""Penn: the annotation of Penn Action, one MATLAB file a clip."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skeldistill.clip import Clip
from skeldistill.layouts import PENN13
from skeldistill.readers import matlab
from skeldistill.readers.reader import Division, Source
from skeldistill.shelf import nearest

CLASSES = (
    "baseball_pitch",
    "baseball_swing",
    "bench_press",
    "bowl",
    "clean_and_jerk",
    "golf_swing",
    "jump_rope",
    "jumping_jacks",
    "pullup",
    "pushup",
    "situp",
    "squat",
    "strum_guitar",
    "tennis_forehand",
    "tennis_serve",
)
SPELLINGS = {"strumming_guitar": "strum_guitar"}
FIELDS = {
    "action": str,
    "pose": str,
    "x": np.ndarray,
    "y": np.ndarray,
    "visibility": np.ndarray,
    "train": np.ndarray,
    "dimensions": np.ndarray,
}
HIDDEN_SCORE = 0.5
CORNER = 2.0
"""Hidden joints nearer to the image's first pixel than this were never placed by an annotator."""


@dataclass(frozen=True, kw_only=True)
class Penn:
    """Reads the folder ``labels`` of Penn Action, or the folder that holds it, or one file of it.

    13 joints in pixels, one person. Visible joints score 1, hidden ones that the annotator placed
    all the same score 0.5, and hidden ones left in the image's corner (two of five) are lost.
    Splits ``train`` and ``test`` follow the flag in each file: 1,258 and 1,068 clips, where
    papers print 1,163 and 1,163. Boxes are not read; in two files they disagree with the joints.

    Args:
        lose_hidden: lose every joint that was not visible, placed or not.
    """

    lose_hidden: bool = False

    @property
    def divisions(self) -> tuple[Division, ...]:
        """The flag of the files; papers print 1,163 and 1,163."""
        about = "the flag in each file"
        return (Division(train="train", test="test", about=about, clips=(1258, 1068)),)

    def describe(self, path: Path) -> Source:
        """What holds for all of Penn Action, and how many files there are."""
        return Source(
            layout=PENN13,
            channels=2,
            units="pixels",
            classes=CLASSES,
            num_clips=len(_files(path)),
        )

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips by their numbers; an id is the file's name without its ending."""
        for file in _files(path):
            yield self._clip(file)

    def _clip(self, file: Path) -> Clip:
        data = _load(file)
        try:
            x, y, visible = (_table(data[name], name) for name in ("x", "y", "visibility"))
            if not x.shape == y.shape == visible.shape:
                raise ValueError(
                    f"x, y, visibility have shapes {x.shape} {y.shape} {visible.shape}"
                )
            joints = np.stack([x, y], axis=-1)[None]
            shown = (visible > 0)[None]
            placed = shown | np.any(joints >= CORNER, axis=-1)
            scores = np.where(shown, 1.0, 0.0 if self.lose_hidden else HIDDEN_SCORE)
            scores = np.where(placed, scores, 0.0).astype(np.float32)
            joints[scores == 0] = 0
            return Clip(
                id=file.stem,
                joints=joints,
                scores=scores,
                layout=PENN13,
                label=_label(data["action"]),
                splits=(_split(data["train"]),),
                size=_size(data["dimensions"]),
                extra={"viewpoint": data["pose"]},
            )
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error


def _files(path: Path) -> list[Path]:
    path = Path(path)
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"no folder {path}; name Penn Action's folder `labels`")
    folder = path / "labels" if (path / "labels").is_dir() else path
    files = sorted(folder.glob("*.mat"))
    if not files:
        raise ValueError(f"{folder} has no .mat file; name Penn Action's folder `labels`")
    return files


def _load(file: Path) -> dict[str, Any]:
    data = matlab.load(file)
    for name, kind in FIELDS.items():
        if not isinstance(data.get(name), kind):
            what = "text" if kind is str else "array"
            raise ValueError(f"{file} has no {what} {name!r}; it is no annotation of Penn Action")
    return data


def _table(value: np.ndarray, name: str) -> np.ndarray:
    """One number for every frame and joint."""
    if value.dtype.kind not in "fiub" or value.ndim != 2 or value.shape[1] != PENN13.num_joints:
        raise ValueError(
            f"{name} is {value.dtype} of shape {value.shape}; it needs a number for every frame "
            f"and each of {PENN13.num_joints} joints"
        )
    with np.errstate(over="ignore"):  # what becomes infinite is refused by the clip
        return value.astype(np.float32)


def _label(action: str) -> int:
    action = SPELLINGS.get(action, action)
    if action not in CLASSES:
        raise ValueError(f"action {action!r} is none of Penn Action's; {nearest(action, CLASSES)}")
    return CLASSES.index(action)


def _split(value: np.ndarray) -> str:
    flag = value.item() if value.size == 1 else value.tolist()[:3]
    if flag not in (1, -1):
        raise ValueError(f"train is {flag}; it must be 1 (train) or -1 (test)")
    return "train" if flag == 1 else "test"


def _size(value: np.ndarray) -> tuple[int, int]:
    sides = value.reshape(-1)
    if value.dtype.kind not in "fiu" or len(sides) < 2 or not np.all((sides > 0) & (sides < 2**31)):
        raise ValueError(f"dimensions are {sides.tolist()[:3]}; they need rows and columns")
    return int(sides[0]), int(sides[1])
