"""Laws that every layout on the shelf obeys, and what a bad one is told."""

import json
from typing import Any

import numpy as np
import pytest

from skeldistill import layouts
from skeldistill.layouts import PARTS, PENN13, Layout

every_layout = pytest.mark.parametrize("layout", layouts.SHELF.values(), ids=lambda one: one.name)


@every_layout
def test_bones_are_a_tree(layout: Layout) -> None:
    assert len(layout.bones) == layout.num_joints - 1
    for joint in range(layout.num_joints):
        for _ in range(layout.num_joints):
            joint = layout.parents[joint]
        assert joint == layout.centre_index


@every_layout
def test_mirror_twice_changes_nothing(layout: Layout) -> None:
    twice = layout.mirrored[layout.mirrored]
    np.testing.assert_array_equal(twice, np.arange(layout.num_joints))


@every_layout
def test_mirror_goes_by_name(layout: Layout) -> None:
    for place, joint in enumerate(layout.joints):
        other = layout.joints[layout.mirrored[place]]
        swapped = {"left": joint.replace("left", "right"), "righ": joint.replace("right", "left")}
        assert other == swapped.get(joint[:4], joint)


@every_layout
def test_mirror_keeps_bones(layout: Layout) -> None:
    m = layout.mirrored
    np.testing.assert_array_equal(layout.parents[m], m[layout.parents])


@every_layout
def test_mirror_swaps_parts(layout: Layout) -> None:
    swapped = [
        PARTS.index(part) for part in ("head", "right_arm", "left_arm", "right_leg", "left_leg")
    ]
    members = layout.part_members
    np.testing.assert_array_equal(members[:, layout.mirrored], members[swapped])


@every_layout
def test_five_parts_apart_and_not_empty(layout: Layout) -> None:
    assert layout.part_members.shape == (5, layout.num_joints)
    assert layout.part_members.any(axis=1).all()
    assert (layout.part_members.sum(axis=0) <= 1).all()


@every_layout
def test_survives_plain_containers(layout: Layout) -> None:
    again = Layout.from_dict(json.loads(json.dumps(layout.to_dict())))
    assert again.same_as(layout)
    assert again.to_dict() == layout.to_dict()
    assert again.bone_indices == layout.bone_indices


@every_layout
def test_is_found_by_its_name(layout: Layout) -> None:
    assert layouts.find(layout.name) is layout
    assert layouts.find(layout.name.upper()) is layout
    usual = layouts.NTU25 if layout is layouts.BODY25 else layout  # both have 25 joints
    assert layouts.with_joints(layout.num_joints) is usual


def test_numbers_of_joints() -> None:
    numbers = {name: layout.num_joints for name, layout in layouts.SHELF.items()}
    assert numbers.items() >= {
        "penn13": 13, "jhmdb15": 15, "mediapipe33": 33, "coco17": 17, "openpose18": 18,
        "ntu25": 25, "kinect20": 20,
    }.items()  # fmt: skip


def changed(**changes: Any) -> dict[str, Any]:
    return {**PENN13.to_dict(), **changes}


def without(mapping: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name != key}


BONES, PARTS_OF_PENN = dict(PENN13.bones), PENN13.to_dict()["parts"]
BAD = {
    "lacks a field": (without(changed(), "mirror"), "lacks 'mirror'"),
    "joint twice": (changed(joints=[*PENN13.joints, "head"]), "joint twice"),
    "unknown joint": (changed(centre="heat"), "did you mean 'head'"),
    "not connected": (changed(bones=without(BONES, "left_hip")), "not connected"),
    "circle": (changed(bones={**BONES, "left_shoulder": "left_hip"}), "circle"),
    "centre has a parent": (changed(bones={**BONES, "head": "left_hip"}), "no parent"),
    "mirrored twice": (
        changed(mirror={**PENN13.mirror, "head": "left_wrist"}),
        "mirrors a joint twice",
    ),
    "lacks a part": (changed(parts=without(PARTS_OF_PENN, "head")), "needs"),
    "empty part": (changed(parts={**PARTS_OF_PENN, "head": []}), "no joint in part 'head'"),
    "in two parts": (changed(parts={**PARTS_OF_PENN, "head": ["left_hip"]}), "in two parts"),
}


@pytest.mark.parametrize(("data", "said"), BAD.values(), ids=BAD)
def test_bad_layout_is_one_clear_line(data: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        Layout.from_dict(data)
    assert "\n" not in str(error.value)


def test_unknown_names_get_a_hint() -> None:
    with pytest.raises(ValueError, match="did you mean 'coco17'"):
        layouts.find("coco71")
    with pytest.raises(ValueError, match="no single layout has 14 joints; name one of"):
        layouts.with_joints(14)
    with pytest.raises(ValueError, match="did you mean 'left_wrist'"):
        PENN13.index("left_wrst")
