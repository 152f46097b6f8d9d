"""Exporting: from a store to the files of other programs."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from skeldistill.clip import Clip
from skeldistill.data.store import Store
from skeldistill.files import whole

ENDINGS = (".pkl", ".pickle")


def export_pyskl(store: Store, path: Path) -> None:
    """Write a store as an annotation pickle of PYSKL and mmaction2.

    Numbers that half precision holds exactly are written so, as PYSKL does; the rest stays whole.
    A pickle that was imported comes back as it was: arrays with their types, labels, sizes and
    other plain entries, and splits (their ids in the order of the clips; ids of clips that are
    not there are gone).

    Raises:
        OSError: the file cannot be written.
        ValueError: its name is that of another kind of file.
    """
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise ValueError(f"{path}: a pickle is written, so end its name in .pkl")
    data = {
        "split": {name: store.ids[store.in_split(name)].tolist() for name in store.split_names},
        "annotations": [_annotation(store.clip(index)) for index in range(len(store))],
    }
    with whole(path) as partial, partial.open("wb") as file:
        _Pickler(file, protocol=4).dump(data)


_Machine: Any = pickle._Pickler  # type: ignore[attr-defined]


# The machine in C lets nobody say what a name is called.
class _Pickler(_Machine):
    """Calls numpy's parts as they were called before numpy 2, which finds them there as well.

    PYSKL and mmaction2 run where there is no ``numpy._core``.
    """

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = str(obj.__module__)
        if not module.startswith("numpy._core."):
            super().save_global(obj, name)
            return
        self.save(module.replace("numpy._core.", "numpy.core."))
        self.save(name or obj.__name__)
        self.write(pickle.STACK_GLOBAL)
        self.memoize(obj)


def _annotation(clip: Clip) -> dict[str, Any]:
    unusual = clip.extra.get("pyskl", {})
    single = unusual.get("single", ())
    annotation = {
        "frame_dir": clip.id,
        "label": clip.label,
        "total_frames": clip.num_frames,
        "keypoint": _smallest(clip.joints, "keypoint" in single),
    }
    seen = np.any(clip.joints != 0, axis=(2, 3))[..., None]
    if clip.joints.shape[3] == 2 or np.any(clip.scores != seen):
        annotation["keypoint_score"] = _smallest(clip.scores, "keypoint_score" in single)
    if clip.size is not None:
        annotation["img_shape"] = clip.size
        annotation["original_shape"] = tuple(clip.extra.get("original_shape", clip.size))
    annotation |= unusual.get("also", {})
    return {name: one for name, one in annotation.items() if name not in unusual.get("absent", ())}


def _smallest(numbers: np.ndarray, single: bool) -> np.ndarray:
    if single:
        return np.array(numbers)
    with np.errstate(over="ignore"):
        half = numbers.astype(np.float16)
    return half if np.array_equal(half, numbers) else np.array(numbers)
