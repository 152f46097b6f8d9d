"""The 20 joints of Kinect v1, as in NW-UCLA and SYSU 3D HOI."""

from skeldistill.layouts.layout import Layout
from skeldistill.layouts.naming import mirror, parts

JOINTS = (
    "hip_centre",
    "spine",
    "shoulder_centre",
    "head",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "left_hand",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "right_hand",
    "left_hip",
    "left_knee",
    "left_ankle",
    "left_foot",
    "right_hip",
    "right_knee",
    "right_ankle",
    "right_foot",
)

KINECT20 = Layout(
    name="kinect20",
    joints=JOINTS,
    bones={
        "hip_centre": "spine",
        "spine": "shoulder_centre",
        "head": "shoulder_centre",
        "left_shoulder": "shoulder_centre",
        "left_elbow": "left_shoulder",
        "left_wrist": "left_elbow",
        "left_hand": "left_wrist",
        "right_shoulder": "shoulder_centre",
        "right_elbow": "right_shoulder",
        "right_wrist": "right_elbow",
        "right_hand": "right_wrist",
        "left_hip": "hip_centre",
        "left_knee": "left_hip",
        "left_ankle": "left_knee",
        "left_foot": "left_ankle",
        "right_hip": "hip_centre",
        "right_knee": "right_hip",
        "right_ankle": "right_knee",
        "right_foot": "right_ankle",
    },
    centre="shoulder_centre",
    mirror=mirror(JOINTS),
    parts=parts(JOINTS),
)
