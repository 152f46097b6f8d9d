"""The 17 joints of COCO; bones as in PYSKL's tree, so that its weights fit."""

from skeldistill.layouts.layout import Layout
from skeldistill.layouts.naming import mirror, parts

JOINTS = (
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
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

COCO17 = Layout(
    name="coco17",
    joints=JOINTS,
    bones={
        "left_ankle": "left_knee",
        "left_knee": "left_hip",
        "right_ankle": "right_knee",
        "right_knee": "right_hip",
        "left_hip": "left_shoulder",
        "right_hip": "right_shoulder",
        "left_wrist": "left_elbow",
        "left_elbow": "left_shoulder",
        "right_wrist": "right_elbow",
        "right_elbow": "right_shoulder",
        "left_shoulder": "nose",
        "right_shoulder": "nose",
        "left_eye": "nose",
        "left_ear": "left_eye",
        "right_eye": "nose",
        "right_ear": "right_eye",
    },
    centre="nose",
    mirror=mirror(JOINTS),
    parts=parts(JOINTS),
)
