"""Layout conversion: joints by name, middles by hand, and what cannot be said."""

import itertools

import numpy as np
import pytest

from skeldistill import layouts
from skeldistill.data.convert import STAND_INS, convert, sources
from skeldistill.layouts import (
    BODY25,
    COCO17,
    HALPE26,
    JHMDB15,
    KINECT20,
    MEDIAPIPE33,
    NTU25,
    OPENPOSE18,
    PENN13,
    Layout,
)

PROMISED = [
    (MEDIAPIPE33, COCO17), (HALPE26, COCO17), (BODY25, COCO17), (OPENPOSE18, COCO17),
    (COCO17, PENN13), (MEDIAPIPE33, PENN13), (NTU25, PENN13), (NTU25, KINECT20),
    (MEDIAPIPE33, JHMDB15), (COCO17, JHMDB15), (JHMDB15, PENN13), (COCO17, OPENPOSE18),
]  # fmt: skip
pairs = pytest.mark.parametrize(
    ("source", "target"), PROMISED, ids=lambda layout: layout.name if layout else ""
)
POSSIBLE = []
for one, other in itertools.product(layouts.SHELF.values(), repeat=2):
    try:
        sources(one, other)
        POSSIBLE.append((one, other))
    except ValueError:
        continue


def body(layout: Layout, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    joints = rng.normal(size=(2, 5, layout.num_joints, 2)).astype(np.float32)
    scores = rng.uniform(0.1, 1, (2, 5, layout.num_joints)).astype(np.float32)
    scores[rng.random(scores.shape) < 0.2] = 0
    joints[scores == 0] = 0
    return joints, scores


@pairs
def test_same_names_are_same_joints(
    source: Layout, target: Layout, rng: np.random.Generator
) -> None:
    joints, scores = body(source, rng)
    moved, sure = convert(joints, scores, source, target)
    for place, joint in enumerate(target.joints):
        if joint in source.joints:
            np.testing.assert_array_equal(moved[..., place, :], joints[..., source.index(joint), :])
            np.testing.assert_array_equal(sure[..., place], scores[..., source.index(joint)])


@pytest.mark.parametrize(
    ("source", "target"), POSSIBLE, ids=lambda layout: layout.name if layout else ""
)
def test_mirror_and_conversion_can_change_places(
    source: Layout, target: Layout, rng: np.random.Generator
) -> None:
    joints, scores = body(source, rng)
    before = joints.copy()
    moved, sure = convert(joints, scores, source, target)
    np.testing.assert_array_equal(joints, before)
    assert moved.shape == (2, 5, target.num_joints, 2)
    assert not moved[sure == 0].any()
    m, w = source.mirrored, target.mirrored
    mirrored, its_sure = convert(joints[:, :, m], scores[:, :, m], source, target)
    np.testing.assert_allclose(mirrored, moved[:, :, w], atol=1e-6)
    np.testing.assert_array_equal(its_sure, sure[:, :, w])


@pytest.mark.parametrize("layout", layouts.SHELF.values(), ids=lambda layout: layout.name)
def test_to_itself_nothing_changes(layout: Layout, rng: np.random.Generator) -> None:
    joints, scores = body(layout, rng)
    moved, sure = convert(joints, scores, layout, layout)
    np.testing.assert_array_equal(moved, joints)
    np.testing.assert_array_equal(sure, scores)


def test_middles_by_hand() -> None:
    joints = np.zeros((1, 17, 2), np.float32)
    scores = np.full((1, 17), 0.9, np.float32)
    places = {"nose": (3, 9), "left_shoulder": (4, 8), "right_shoulder": (2, 7),
              "left_hip": (5, 1), "right_hip": (1, 2)}  # fmt: skip
    for joint, place in places.items():
        joints[0, COCO17.index(joint)] = place
    scores[0, COCO17.index("left_shoulder")] = 0.5
    moved, sure = convert(joints, scores, COCO17, JHMDB15)
    told = {joint: moved[0, JHMDB15.index(joint)].tolist() for joint in ("head", "neck", "belly")}
    assert told == {"head": [3, 9], "neck": [3, 7.5], "belly": [3, 4.5]}
    assert sure[0, JHMDB15.index("neck")] == np.float32(0.5)
    assert sure[0, JHMDB15.index("head")] == np.float32(0.9)
    joints[0, COCO17.index("right_hip")] = scores[0, COCO17.index("right_hip")] = 0
    moved, sure = convert(joints, scores, COCO17, JHMDB15)
    assert moved[0, JHMDB15.index("belly")].tolist() == [0, 0]
    assert sure[0, JHMDB15.index("belly")] == 0
    assert sure[0, JHMDB15.index("neck")] == np.float32(0.5)


def test_spine_of_both_kinects() -> None:
    found = sources(NTU25, KINECT20)
    assert {joint: parts for joint, parts in found.items() if parts != (joint,)} == {
        "hip_centre": ("spine_base",),
        "spine": ("spine_mid",),
        "shoulder_centre": ("spine_shoulder",),
    }


def test_hips_stand_for_their_middle_only_without_better() -> None:
    assert sources(HALPE26, BODY25)["hip_centre"] == ("hip_centre",)
    assert sources(COCO17, OPENPOSE18)["neck"] == ("left_shoulder", "right_shoulder")


def test_joints_off_the_axis_have_no_stand_in() -> None:
    assert not [joint for joint in STAND_INS if joint.startswith(("left_", "right_"))]


@pytest.mark.parametrize(
    ("source", "target", "missing"),
    [
        (PENN13, COCO17, "nose, left_eye"),
        (COCO17, KINECT20, "spine, left_hand"),
        (KINECT20, NTU25, "left_hand_tip"),
        (COCO17, BODY25, "left_big_toe"),
    ],
)
def test_what_cannot_be_said_is_named(source: Layout, target: Layout, missing: str) -> None:
    with pytest.raises(ValueError, match=missing) as error:
        sources(source, target)
    assert f"layout {source.name!r} cannot become {target.name!r}" in str(error.value)


def test_joints_of_another_layout_are_refused() -> None:
    joints, scores = np.zeros((4, 15, 2), np.float32), np.zeros((4, 15), np.float32)
    with pytest.raises(ValueError, match="there are 15 joints, but layout 'coco17' has 17"):
        convert(joints, scores, COCO17, PENN13)
