"""The 15 joints of JHMDB's human annotation."""

from skeldistill.layouts.layout import Layout
from skeldistill.layouts.naming import mirror, parts

JOINTS = (
    "neck",
    "belly",
    "head",
    "right_shoulder",
    "left_shoulder",
    "right_hip",
    "left_hip",
    "right_elbow",
    "left_elbow",
    "right_knee",
    "left_knee",
    "right_wrist",
    "left_wrist",
    "right_ankle",
    "left_ankle",
)

JHMDB15 = Layout(
    name="jhmdb15",
    joints=JOINTS,
    bones={
        "belly": "neck",
        "head": "neck",
        "right_shoulder": "neck",
        "left_shoulder": "neck",
        "right_hip": "belly",
        "left_hip": "belly",
        "right_elbow": "right_shoulder",
        "left_elbow": "left_shoulder",
        "right_knee": "right_hip",
        "left_knee": "left_hip",
        "right_wrist": "right_elbow",
        "left_wrist": "left_elbow",
        "right_ankle": "right_knee",
        "left_ankle": "left_knee",
    },
    centre="neck",
    mirror=mirror(JOINTS),
    parts=parts(JOINTS),
)
