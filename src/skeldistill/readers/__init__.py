"""The shelf of readers: one file a format, from files to clips."""

from typing import Any

from skeldistill.readers.alphapose import AlphaPose
from skeldistill.readers.coco_result import COCOResult
from skeldistill.readers.csv import CSV
from skeldistill.readers.ctrgcn_npz import CTRGCNNpz
from skeldistill.readers.jhmdb import JHMDB
from skeldistill.readers.kinetics_skeleton import KineticsSkeleton
from skeldistill.readers.ntu import NTU
from skeldistill.readers.nw_ucla import NWUCLA
from skeldistill.readers.openpifpaf import OpenPifPaf
from skeldistill.readers.openpose import OpenPose
from skeldistill.readers.penn import Penn
from skeldistill.readers.pyskl import PYSKL
from skeldistill.readers.reader import Division, Reader, Source
from skeldistill.readers.stgcn_npy import STGCNNpy
from skeldistill.readers.synthetic import Synthetic
from skeldistill.readers.sysu import SYSU
from skeldistill.readers.utd_mhad import UTDMHAD
from skeldistill.shelf import build, take

SHELF: dict[str, type[Reader]] = {
    "alphapose": AlphaPose,
    "coco_result": COCOResult,
    "csv": CSV,
    "ctrgcn_npz": CTRGCNNpz,
    "jhmdb": JHMDB,
    "kinetics_skeleton": KineticsSkeleton,
    "ntu": NTU,
    "nw_ucla": NWUCLA,
    "openpifpaf": OpenPifPaf,
    "openpose": OpenPose,
    "penn": Penn,
    "pyskl": PYSKL,
    "stgcn_npy": STGCNNpy,
    "synthetic": Synthetic,
    "sysu": SYSU,
    "utd_mhad": UTDMHAD,
}


def find(name: str, **options: Any) -> Reader:
    """A reader of the format called `name`, made with its options.

    Raises:
        ValueError: one line that names the nearest reader or option.
    """
    return build("reader", take("reader", SHELF, name.lower()), options)


def divisions(reader: Reader) -> tuple[Division, ...]:
    """The official divisions of what a reader reads; none if only the files can say."""
    return getattr(reader, "divisions", ())


__all__ = [
    "CSV",
    "JHMDB",
    "NTU",
    "NWUCLA",
    "PYSKL",
    "SHELF",
    "SYSU",
    "UTDMHAD",
    "AlphaPose",
    "COCOResult",
    "CTRGCNNpz",
    "Division",
    "KineticsSkeleton",
    "OpenPifPaf",
    "OpenPose",
    "Penn",
    "Reader",
    "STGCNNpy",
    "Source",
    "Synthetic",
    "divisions",
    "find",
]
