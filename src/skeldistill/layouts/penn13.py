"""The 13 joints of Penn Action's human annotation."""

from skeldistill.layouts.layout import Layout
from skeldistill.layouts.naming import mirror, parts

JOINTS = (
    "head",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
)

PENN13 = Layout(
    name="penn13",
    joints=JOINTS,
    bones={
        "left_shoulder": "head",
        "right_shoulder": "head",
        "left_elbow": "left_shoulder",
        "left_wrist": "left_elbow",
        "right_elbow": "right_shoulder",
        "right_wrist": "right_elbow",
        "left_hip": "left_shoulder",
        "right_hip": "right_shoulder",
        "left_knee": "left_hip",
        "left_ankle": "left_knee",
        "right_knee": "right_hip",
        "right_ankle": "right_knee",
    },
    centre="head",
    mirror=mirror(JOINTS),
    parts=parts(JOINTS),
)
