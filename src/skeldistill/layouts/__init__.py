"""The shelf of layouts: one file a joint order.

Joints are named the same way on every layout (``left_wrist`` is one thing everywhere), so that
mirrors, parts and conversions never speak of numbers. Parts follow one rule: neck and upper spine
go with the head, shoulders with the arms, hips with the legs; joints in the middle of the torso
are in no part. A layout that is not here is stated in a YAML file (`from_yaml`).
"""

from skeldistill.layouts.body25 import BODY25
from skeldistill.layouts.coco17 import COCO17
from skeldistill.layouts.halpe26 import HALPE26
from skeldistill.layouts.jhmdb15 import JHMDB15
from skeldistill.layouts.kinect20 import KINECT20
from skeldistill.layouts.layout import PARTS, Layout
from skeldistill.layouts.mediapipe33 import MEDIAPIPE33
from skeldistill.layouts.ntu25 import NTU25
from skeldistill.layouts.openpose18 import OPENPOSE18
from skeldistill.layouts.penn13 import PENN13
from skeldistill.layouts.yaml_files import ENDINGS, from_yaml, to_yaml
from skeldistill.shelf import take

SHELF = {
    layout.name: layout
    for layout in (
        BODY25,
        COCO17,
        HALPE26,
        JHMDB15,
        KINECT20,
        MEDIAPIPE33,
        NTU25,
        OPENPOSE18,
        PENN13,
    )
}


def find(name: str) -> Layout:
    """The layout called `name`, in upper or lower case, or stated in the YAML file of that name.

    Raises:
        OSError: a YAML file cannot be read.
        ValueError: one line that names the nearest layout, or what is wrong with the file.
    """
    if name.lower().endswith(ENDINGS):
        return from_yaml(name)
    return take("layout", SHELF, name.lower())


def with_joints(count: int) -> Layout:
    """The one layout with this many joints; ValueError if none or several have it.

    BODY25 is not counted: 25 joints are NTU25, unless they were found in images.
    """
    found = [
        layout for layout in SHELF.values() if layout.num_joints == count and layout is not BODY25
    ]
    if len(found) != 1:
        known = ", ".join(f"{layout.name} ({layout.num_joints})" for layout in SHELF.values())
        raise ValueError(f"no single layout has {count} joints; name one of {known}")
    return found[0]


__all__ = [
    "BODY25",
    "COCO17",
    "HALPE26",
    "JHMDB15",
    "KINECT20",
    "MEDIAPIPE33",
    "NTU25",
    "OPENPOSE18",
    "PARTS",
    "PENN13",
    "SHELF",
    "Layout",
    "find",
    "from_yaml",
    "to_yaml",
    "with_joints",
]
