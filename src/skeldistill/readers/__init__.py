"""The shelf of readers: one file a format, from files to clips."""

from typing import Any

from skeldistill.readers.kinetics_skeleton import KineticsSkeleton
from skeldistill.readers.ntu import NTU
from skeldistill.readers.nw_ucla import NWUCLA
from skeldistill.readers.openpifpaf import OpenPifPaf
from skeldistill.readers.openpose import OpenPose
from skeldistill.readers.penn import Penn
from skeldistill.readers.pyskl import PYSKL
from skeldistill.readers.reader import Reader, Source
from skeldistill.readers.synthetic import Synthetic
from skeldistill.shelf import build, pick

SHELF: dict[str, type[Reader]] = {
    "kinetics_skeleton": KineticsSkeleton,
    "ntu": NTU,
    "nw_ucla": NWUCLA,
    "openpifpaf": OpenPifPaf,
    "openpose": OpenPose,
    "penn": Penn,
    "pyskl": PYSKL,
    "synthetic": Synthetic,
}


def find(name: str, **options: Any) -> Reader:
    """A reader of the format called `name`, made with its options.

    Raises:
        ValueError: one line that names the nearest reader or option.
    """
    return build("reader", pick("reader", SHELF, name.lower()), options)


__all__ = [
    "NTU",
    "NWUCLA",
    "PYSKL",
    "SHELF",
    "KineticsSkeleton",
    "OpenPifPaf",
    "OpenPose",
    "Penn",
    "Reader",
    "Source",
    "find",
]
