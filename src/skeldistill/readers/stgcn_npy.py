"""STGCNNpy: the arrays of ST-GCN and 2s-AGCN, one ``.npy`` and one pickle of labels a split."""

import reprlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skeldistill import layouts
from skeldistill.clip import UNLABELLED, Clip
from skeldistill.layouts import Layout
from skeldistill.readers import padding, source_files, unpickling
from skeldistill.readers.reader import Division, Source

JOINTS = ("_data.npy", "_data_joint.npy")
"""How the files of joints end; those of bones and motions lie beside them."""

SPLITS = ("train", "val", "test")
WHAT = "a file .npy of axes N C T V M, or the folder of `train_data.npy` and `val_data.npy`"


@dataclass(frozen=True, kw_only=True)
class STGCNNpy:
    """Reads arrays of shape ``(N, C, T, V, M)``, or ``(C, T, V, M)`` for a single clip.

    Names a file or a folder; of a folder all ``*_data.npy`` and ``*_data_joint.npy`` are read, or
    all ``.npy`` if there is none. Ids and labels come from the pickle ``train_label.pkl`` beside
    ``train_data.npy``; without it clips are called after the file and have no label. The split is
    the file's first word, train, val or test. Zeros at a clip's end, and persons after the last who
    is there, are left out. A joint is lost where its score is 0; without scores none is, not even
    at the origin, where a body may be centred on it.

    Args:
        layout: name of the joints' layout; by default the one layout with as many joints. 25 are
            those of NTU RGB+D, and OpenPose's if it is said.
        scored: whether the last channel is the score, as in Kinetics-skeleton; by default it is,
            unless the layout is of a sensor that measures depth (ntu25, kinect20), if there are
            three channels.
        units: of the coordinates; by default metres in three dimensions, else normalised.

    Raises:
        ValueError: the layout is not known.
    """

    layout: str | None = None
    scored: bool | None = None
    units: str | None = None

    def __post_init__(self) -> None:
        if self.layout is not None:
            layouts.find(self.layout)

    @property
    def divisions(self) -> tuple[Division, ...]:
        """By the names of the files."""
        return (Division(train="train", test="val", about="train_data.npy and val_data.npy"),)

    def describe(self, path: Path) -> Source:
        """The first file's layout and dimensions, and the number of clips in all."""
        arrays = [_array(file) for file in _files(Path(path))]
        with source_files.naming(path):
            layout, scored = self._kind(arrays[0])
        channels = arrays[0].shape[1] - scored
        return Source(
            layout=layout,
            channels=channels,
            units=self.units or ("metres" if channels == 3 else "normalised"),
            num_clips=sum(len(array) for array in arrays),
        )

    def read(self, path: Path) -> Iterator[Clip]:
        """The clips by file, in the order of the array."""
        for file in _files(Path(path)):
            array = _array(file)
            names, labels = _labels(file, len(array))
            with source_files.naming(file):
                layout, scored = self._kind(array)
            split = file.stem.split("_")[0]
            for index in range(len(array)):
                with source_files.naming(f"{file}: clip {index}"), np.errstate(over="ignore"):
                    values = np.ascontiguousarray(array[index].transpose(3, 1, 2, 0))
                    joints, scores = padding.without(values.astype(np.float32), scored=scored)
                    clip = Clip(
                        id=names[index],
                        joints=joints,
                        scores=scores,
                        layout=layout,
                        label=labels[index],
                        splits=(split,) if split in SPLITS else (),
                    )
                yield clip

    def _kind(self, array: np.ndarray) -> tuple[Layout, bool]:
        _, channels, frames, num_joints, persons = array.shape
        padding.check_sizes(persons, frames)
        layout = padding.layout_of(num_joints, self.layout)
        if self.layout is None and channels == 3 and layout is layouts.NTU25:
            padding.refuse_scores(array[0], layout)
        usual = channels == 3 and layout.name not in padding.IN_SPACE
        scored = usual if self.scored is None else self.scored
        if channels - scored not in (2, 3):
            raise ValueError(
                f"it has {channels} channels{' with the score' if scored else ''}; 2 or 3 "
                "coordinates are possible (see option `scored`)"
            )
        return layout, scored


def _files(path: Path) -> list[Path]:
    files = source_files.find(path, ".npy", WHAT)
    return [file for file in files if file.name.endswith(JOINTS)] or files


def _array(file: Path) -> np.ndarray:
    """The array, mapped into memory and not read, always with five axes."""
    try:
        array = np.lib.format.open_memmap(file, mode="r")
    except OSError:
        raise
    except Exception as error:  # a damaged header may provoke any of them
        why = source_files.line(error)
        raise ValueError(f"{file} is damaged or no array of numbers ({why})") from error
    array = array[None] if array.ndim == 4 else array
    if array.dtype.kind not in "fiu" or array.ndim != 5 or array.size == 0:
        raise ValueError(f"{file} is {array.dtype} of shape {array.shape}; name {WHAT}")
    return array


def _labels(file: Path, count: int) -> tuple[Sequence[str], Sequence[int]]:
    """The ids and labels in the pickle beside the array, if there is one."""
    stem = file.stem
    pickle = file.with_name(f"{stem.split('_data')[0]}_label.pkl")
    if "_data" not in stem or not pickle.is_file():
        names = [stem] if count == 1 else [f"{stem}_{index:06d}" for index in range(count)]
        return names, [UNLABELLED] * count
    with source_files.naming(pickle):
        data = unpickling.load(pickle)
        if not isinstance(data, list | tuple) or len(data) != 2:
            raise ValueError("it must hold two lists, of names and of labels")
        names, labels = (_list(column) for column in data)
        if len(names) != count or len(labels) != count:
            raise ValueError(
                f"it has {len(names)} names and {len(labels)} labels for {count} clips"
            )
        for name, label in zip(names, labels, strict=True):
            if not isinstance(name, str) or type(label) is not int or not -1 <= label < 2**31:
                raise ValueError(
                    f"clip {reprlib.repr(name)} has label {reprlib.repr(label)}; it needs a name "
                    "and a whole number"
                )
    return [name.removesuffix(".skeleton") for name in names], labels


def _list(column: Any) -> list[Any]:
    if isinstance(column, unpickling.PickledArray):
        return np.asarray(column).reshape(-1).tolist()
    return list(column) if isinstance(column, list | tuple) else []
