"""The synthetic body and its actions: human bones, angles that mean what they say."""

import numpy as np
import pytest

from skeldistill import layouts
from skeldistill.readers.synthetic_actions import ACTIONS, STANDING, act
from skeldistill.readers.synthetic_body import SEGMENTS, born, mirrored, perform

RIGID = [
    (f"{side}_{one}", f"{side}_{two}")
    for side in ("left", "right")
    for one, two in (
        ("shoulder", "elbow"),
        ("elbow", "wrist"),
        ("wrist", "hand"),
        ("hip", "knee"),
        ("knee", "ankle"),
        ("ankle", "foot"),
    )
] + [("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"), ("neck", "spine_mid")]


def angles_of(**rows):
    angles = np.repeat(STANDING[None, :-1], 2, axis=0)
    for name, row in rows.items():
        angles[:, SEGMENTS.index(name)] = row
    return angles


def joints_of(person, angles, layout="ntu25"):
    layout = layouts.find(layout)
    joints = perform(person, angles, np.zeros(len(angles)), layout)[0]
    return dict(zip(layout.joints, joints, strict=True))


@pytest.fixture
def person():
    return born(np.random.default_rng(3))


def test_bones_keep_their_length_and_are_human(rng):
    layout = layouts.find("ntu25")
    for action in ACTIONS:
        someone = born(rng)
        joints = perform(someone, *act(action, someone, 60, rng=rng), layout)
        for one, two in RIGID:
            bone = joints[:, layout.index(one)] - joints[:, layout.index(two)]
            length = np.linalg.norm(bone, axis=-1)
            np.testing.assert_allclose(length, length[0], rtol=1e-9)
        one, two = layout.index("left_hip"), layout.index("left_knee")
        assert 0.33 < np.linalg.norm(joints[0, one] - joints[0, two]) < 0.53
        one, two = layout.index("left_shoulder"), layout.index("left_elbow")
        assert 0.21 < np.linalg.norm(joints[0, one] - joints[0, two]) < 0.40
        assert joints[..., 1].min() > -0.12  # nobody sinks into the ground


def test_people_differ_within_human_range(rng):
    people = [born(rng) for _ in range(300)]
    statures = [person.stature for person in people]
    assert min(statures) >= 1.5
    assert max(statures) <= 1.95
    assert np.std(statures) > 0.05
    assert 0 < np.mean([person.left_handed for person in people]) < 0.25


def test_standing_upright(person):
    joints = joints_of(person, angles_of(), "coco17")
    assert 0.85 < joints["nose"][1] / person.stature < 0.97
    assert joints["left_shoulder"][0] > 0.1 > -0.1 > joints["right_shoulder"][0]
    assert joints["left_wrist"][1] < joints["left_elbow"][1] < joints["left_shoulder"][1]
    assert abs(joints["left_ankle"][1] - 0.039 * person.stature) < 0.01
    assert joints["nose"][2] > joints["left_ear"][2]  # it looks ahead


def test_joint_angles_mean_what_they_say(person):
    ahead = joints_of(person, angles_of(right_upper_arm=(90, 0, 0), right_forearm=(0, 0, 0)))
    assert ahead["right_wrist"][2] > 0.4
    assert abs(ahead["right_wrist"][1] - ahead["right_shoulder"][1]) < 0.01
    aside = joints_of(person, angles_of(left_upper_arm=(0, 90, 0), left_forearm=(0, 0, 0)))
    assert aside["left_wrist"][0] > 0.55
    crossed = joints_of(person, angles_of(left_upper_arm=(0, 0, 90), left_forearm=(90, 0, 0)))
    assert crossed["left_wrist"][0] < crossed["left_elbow"][0] - 0.2  # twisted inwards
    kneeling = joints_of(person, angles_of(left_shank=(90, 0, 0)))
    assert kneeling["left_ankle"][2] < kneeling["left_knee"][2] - 0.3
    bowing = joints_of(person, angles_of(chest=(90, 0, 0)))
    assert bowing["head"][2] > 0.4
    turned = joints_of(person, angles_of(chest=(0, 0, 40)))
    assert turned["left_shoulder"][2] < turned["right_shoulder"][2]  # to the left


def test_angles_stop_at_their_limits(person):
    far = joints_of(person, angles_of(left_forearm=(400, 80, 50)))
    limit = joints_of(person, angles_of(left_forearm=(150, 0, 0)))
    np.testing.assert_allclose(far["left_wrist"], limit["left_wrist"])


def test_mirrored_movement_is_the_mirror_image(person, rng):
    angles = rng.normal(0, 20, (4, len(SEGMENTS), 3))
    layout = layouts.find("ntu25")
    one = perform(person, angles, np.zeros(4), layout)
    two = perform(person, mirrored(angles), np.zeros(4), layout)[:, layout.mirrored]
    np.testing.assert_allclose(one, two * (-1, 1, 1), atol=1e-9)


def test_actions_do_what_they_are_called(person):
    layout = layouts.find("ntu25")
    seen = {}
    for action in ACTIONS:
        tracks = [act(action, person, 80, rng=np.random.default_rng(k)) for k in range(5)]
        seen[action.name] = np.stack([perform(person, *track, layout) for track in tracks])

    def track(name, joint):
        return seen[name][:, :, layout.index(joint)] / person.stature

    for name in ("wave", "raise_hand", "jumping_jack"):
        wrists = np.stack([track(name, f"{side}_wrist") for side in ("left", "right")])
        assert (wrists[..., 1].max(axis=(0, 2)) > 0.9).all(), name
    for name in ("drink", "phone_call"):
        mouth = track(name, "head")
        hands = np.stack([track(name, f"{side}_hand") for side in ("left", "right")])
        assert (np.linalg.norm(hands - mouth, axis=-1).min(axis=(0, 2)) < 0.16).all(), name
    for name in ("clap", "rub_hands"):
        apart = np.linalg.norm(track(name, "left_hand") - track(name, "right_hand"), axis=-1)
        assert (apart.min(axis=1) < 0.12).all(), name
    for name in ("squat", "sit_down"):
        assert (track(name, "spine_base")[..., 1].min(axis=1) < 0.42).all(), name
    assert (track("sit_down", "spine_base")[:, -1, 1] < 0.42).all()  # and stays there
    assert (track("squat", "spine_base")[:, -1, 1] > 0.48).all()
    for name in ("bow", "pick_up"):
        assert (track(name, "head")[..., 1].min(axis=1) < 0.82).all(), name
    ankles = np.stack([track("kick", f"{side}_ankle") for side in ("left", "right")])
    assert (ankles[..., 2].max(axis=(0, 2)) > 0.25).all()
