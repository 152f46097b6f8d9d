"""The 25 joints of Kinect v2, as in NTU RGB+D; bones as in ST-GCN.

ST-GCN hangs the hand tips on the thumbs, PYSKL on the hands.
"""

from skeldistill.layouts.layout import Layout
from skeldistill.layouts.naming import mirror, parts

JOINTS = (
    "spine_base",
    "spine_mid",
    "neck",
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
    "spine_shoulder",
    "left_hand_tip",
    "left_thumb",
    "right_hand_tip",
    "right_thumb",
)

NTU25 = Layout(
    name="ntu25",
    joints=JOINTS,
    bones={
        "spine_base": "spine_mid",
        "spine_mid": "spine_shoulder",
        "neck": "spine_shoulder",
        "head": "neck",
        "left_shoulder": "spine_shoulder",
        "left_elbow": "left_shoulder",
        "left_wrist": "left_elbow",
        "left_hand": "left_wrist",
        "right_shoulder": "spine_shoulder",
        "right_elbow": "right_shoulder",
        "right_wrist": "right_elbow",
        "right_hand": "right_wrist",
        "left_hip": "spine_base",
        "left_knee": "left_hip",
        "left_ankle": "left_knee",
        "left_foot": "left_ankle",
        "right_hip": "spine_base",
        "right_knee": "right_hip",
        "right_ankle": "right_knee",
        "right_foot": "right_ankle",
        "left_hand_tip": "left_thumb",
        "left_thumb": "left_hand",
        "right_hand_tip": "right_thumb",
        "right_thumb": "right_hand",
    },
    centre="spine_shoulder",
    mirror=mirror(JOINTS),
    parts=parts(JOINTS),
)
