"""CTRGCNNpz: the archives of CTR-GCN, both splits of one benchmark in a ``.npz``."""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skeldistill import layouts
from skeldistill.clip import Clip
from skeldistill.layouts import Layout
from skeldistill.readers import padding, source_files
from skeldistill.readers.reader import Division, Source

SPLITS = ("train", "test")
MOST_CLASSES = 100_000
WHAT = "a file .npz of CTR-GCN, such as NTU60_CS.npz"


@dataclass(frozen=True, kw_only=True)
class CTRGCNNpz:
    """Reads ``x_train``, ``y_train``, ``x_test`` and ``y_test`` of an archive.

    ``x`` is ``(N, T, persons x joints x 3)`` in metres, ``y`` one-hot ``(N, classes)`` or the
    labels themselves. The archive has no names: ids are ``train_000000`` and so on. Zeros at a
    clip's end, and persons after the last who is there, are left out. No joint is lost, not even
    at the origin, where a body may be centred on it. It is read clip by clip, however large it is.

    Args:
        layout: name of the joints' layout.

    Raises:
        ValueError: the layout is not known.
    """

    layout: str = "ntu25"

    def __post_init__(self) -> None:
        layouts.find(self.layout)

    @property
    def divisions(self) -> tuple[Division, ...]:
        """The two halves of the archive."""
        return (Division(train=SPLITS[0], test=SPLITS[1], about="x_train and x_test"),)

    def describe(self, path: Path) -> Source:
        """The layout, and how many clips the archive says it has."""
        file = _file(Path(path))
        with _opened(file) as archive:
            count = sum(_Rows(archive, f"x_{split}").shape[0] for split in SPLITS)
        return Source(layout=layouts.find(self.layout), channels=3, units="metres", num_clips=count)

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips of the training split, then those of the test split."""
        layout, file = layouts.find(self.layout), _file(Path(path))
        with _opened(file) as archive:
            for split in SPLITS:
                x, y = _Rows(archive, f"x_{split}"), _Rows(archive, f"y_{split}")
                persons = _persons(x, y, layout)
                for index in range(x.shape[0]):
                    values = x.next().reshape(x.shape[1], persons, layout.num_joints, 3)
                    label = _label(y.next())
                    joints, scores = padding.without(values.swapaxes(0, 1), scored=False)
                    yield Clip(
                        id=f"{split}_{index:06d}",
                        joints=np.ascontiguousarray(joints),
                        scores=scores,
                        layout=layout,
                        label=label,
                        splits=(split,),
                    )


class _Rows:
    """An array in an archive, read row by row, so that it may be larger than the memory."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        if f"{name}.npy" not in archive.namelist():
            raise ValueError(f"it has no array {name!r}; name {WHAT}")
        self._name = name
        self._stream = archive.open(f"{name}.npy")
        version = np.lib.format.read_magic(self._stream)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        self.shape, columns_first, self._dtype = read(self._stream)
        if self._dtype.kind not in "fiub" or columns_first or not self.shape:
            raise ValueError(f"{name} is {self._dtype} of shape {self.shape}, no rows of numbers")

    def next(self) -> np.ndarray:
        """The next row, as float32."""
        size = math.prod(self.shape[1:]) * self._dtype.itemsize
        data = self._stream.read(size)
        if len(data) < size:
            raise ValueError(f"{self._name} ends too early; fetch the archive again")
        with np.errstate(over="ignore"):  # what becomes infinite is refused by the clip
            return np.frombuffer(data, self._dtype).reshape(self.shape[1:]).astype(np.float32)


@contextmanager
def _opened(file: Path) -> Iterator[zipfile.ZipFile]:
    """The archive; whatever is wrong with it is one line that names it."""
    try:
        with zipfile.ZipFile(file) as archive, source_files.naming(file):
            yield archive
    except (OSError, ValueError):
        raise
    except Exception as error:  # a damaged archive may provoke any of them
        raise ValueError(f"{file} is damaged or no .npz ({source_files.line(error)})") from error


def _file(path: Path) -> Path:
    files = source_files.find(path, ".npz", WHAT)
    if len(files) > 1:
        raise ValueError(f"{path} has several .npz; name one, such as {files[0]}")
    return files[0]


def _persons(x: _Rows, y: _Rows, layout: Layout) -> int:
    """How many persons a row holds, once the shapes of both arrays are found to fit."""
    per_person = 3 * layout.num_joints
    if len(x.shape) != 3 or x.shape[2] % per_person or x.shape[0] != y.shape[0]:
        raise ValueError(
            f"x has shape {x.shape} and y {y.shape}; they need clips x frames x (persons x "
            f"{layout.num_joints} joints x 3), and as many labels"
        )
    if len(y.shape) > 2 or math.prod(y.shape[1:]) > MOST_CLASSES:
        raise ValueError(f"y has shape {y.shape}; it must be labels, one-hot or not")
    persons = x.shape[2] // per_person
    padding.check_sizes(persons, x.shape[1])
    return persons


def _label(row: np.ndarray) -> int:
    if row.ndim == 0:
        label = float(row)
        if not (label.is_integer() and 0 <= label < MOST_CLASSES):
            raise ValueError(f"label {label} does not count from 0")
        return int(label)
    if np.count_nonzero(row) != 1:
        raise ValueError(f"a row of y names {np.count_nonzero(row)} classes; it must name one")
    return int(row.argmax())
