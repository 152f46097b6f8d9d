"""The 18 joints of OpenPose's COCO model, as in Kinetics-skeleton; bones as in ST-GCN."""

from skeldistill.layouts.layout import Layout
from skeldistill.layouts.naming import mirror, parts

JOINTS = (
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)

OPENPOSE18 = Layout(
    name="openpose18",
    joints=JOINTS,
    bones={
        "right_wrist": "right_elbow",
        "right_elbow": "right_shoulder",
        "left_wrist": "left_elbow",
        "left_elbow": "left_shoulder",
        "left_ankle": "left_knee",
        "left_knee": "left_hip",
        "right_ankle": "right_knee",
        "right_knee": "right_hip",
        "left_hip": "left_shoulder",
        "right_hip": "right_shoulder",
        "left_shoulder": "neck",
        "right_shoulder": "neck",
        "nose": "neck",
        "left_eye": "nose",
        "right_eye": "nose",
        "left_ear": "left_eye",
        "right_ear": "right_eye",
    },
    centre="neck",
    mirror=mirror(JOINTS),
    parts=parts(JOINTS),
)
