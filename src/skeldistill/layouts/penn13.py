"""The 13 joints of Penn Action's human annotation."""

from skeldistill.layouts.layout import Layout

PENN13 = Layout(
    name="penn13",
    joints=(
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
    ),
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
    mirror={
        "left_shoulder": "right_shoulder",
        "left_elbow": "right_elbow",
        "left_wrist": "right_wrist",
        "left_hip": "right_hip",
        "left_knee": "right_knee",
        "left_ankle": "right_ankle",
    },
    parts={
        "head": ("head",),
        "left_arm": (
            "left_shoulder",
            "left_elbow",
            "left_wrist",
        ),
        "right_arm": (
            "right_shoulder",
            "right_elbow",
            "right_wrist",
        ),
        "left_leg": (
            "left_hip",
            "left_knee",
            "left_ankle",
        ),
        "right_leg": (
            "right_hip",
            "right_knee",
            "right_ankle",
        ),
    },
)
