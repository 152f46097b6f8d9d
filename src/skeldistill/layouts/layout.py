"""Layout: which joints a skeleton has, how they hang together, and what mirrors what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from skeldistill.shelf import nearest

PARTS = ("head", "left_arm", "right_arm", "left_leg", "right_leg")
"""The five body parts of PLKD (section 3.3.1), in the order of the part axis ``p``."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Joints, bones, centre, mirror pairs and parts, all by joint name.

    Args:
        name: what recipes and stores call it, in lower case.
        joints: joint names, in the order of the joint axis ``v``.
        bones: child -> parent; every joint but the centre is a child once, so bones form a tree.
        centre: the root of the tree.
        mirror: left joint -> right joint; joints that are not named mirror to themselves.
        parts: the five parts of `PARTS` -> their joints. A joint may be in no part (PLKD leaves
            the torso open; here it belongs to none) but never in two.

    Raises:
        ValueError: when any of this does not hold.
    """

    name: str
    joints: tuple[str, ...] = field(repr=False)  # a name is enough wherever a layout is shown
    bones: Mapping[str, str] = field(repr=False)
    centre: str = field(repr=False)
    mirror: Mapping[str, str] = field(repr=False)
    parts: Mapping[str, tuple[str, ...]] = field(repr=False)

    def __post_init__(self) -> None:
        if len(set(self.joints)) != len(self.joints):
            raise ValueError(f"layout {self.name!r} names a joint twice")
        self._check_names()
        self._check_tree()
        self._check_parts()

    @property
    def num_joints(self) -> int:
        """How many joints there are: the length of the axis ``v``."""
        return len(self.joints)

    def index(self, joint: str) -> int:
        """The place of a joint on the axis ``v``; raises ValueError naming the nearest joint."""
        if joint not in self.joints:
            raise ValueError(
                f"layout {self.name!r} has no joint {joint!r}; {nearest(joint, self.joints)}"
            )
        return self.joints.index(joint)

    @cached_property
    def centre_index(self) -> int:
        """The place of the centre on the axis ``v``."""
        return self.index(self.centre)

    @cached_property
    def bone_indices(self) -> tuple[tuple[int, int], ...]:
        """(child, parent) places of every bone, in the order the layout lists them."""
        return tuple(
            (self.index(child), self.index(parent)) for child, parent in self.bones.items()
        )

    @cached_property
    def parents(self) -> Int[np.ndarray, " v"]:
        """Each joint's parent; the centre is its own."""
        parents = np.arange(self.num_joints)
        for child, parent in self.bone_indices:
            parents[child] = parent
        return parents

    @cached_property
    def mirrored(self) -> Int[np.ndarray, " v"]:
        """Each joint's partner on the other side; joints in the middle are their own."""
        mirrored = np.arange(self.num_joints)
        for left, right in self.mirror.items():
            mirrored[self.index(left)] = self.index(right)
            mirrored[self.index(right)] = self.index(left)
        return mirrored

    @cached_property
    def part_members(self) -> Bool[np.ndarray, "p v"]:
        """Which joint is in which of the five parts."""
        members = np.zeros((len(PARTS), self.num_joints), bool)
        for row, part in enumerate(PARTS):
            members[row, [self.index(joint) for joint in self.parts[part]]] = True
        return members

    def to_dict(self) -> dict[str, Any]:
        """Plain containers, as a store keeps it and as a YAML file may state it."""
        return {
            "name": self.name,
            "joints": list(self.joints),
            "bones": dict(self.bones),
            "centre": self.centre,
            "mirror": dict(self.mirror),
            "parts": {part: list(joints) for part, joints in self.parts.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Layout":
        """The inverse of `to_dict`; raises ValueError for what is missing or does not hold."""
        needed = ("name", "joints", "bones", "centre", "mirror", "parts")
        for name in needed:
            if name not in data:
                raise ValueError(f"layout lacks {name!r}; it needs {', '.join(needed)}")
        return cls(
            name=data["name"],
            joints=tuple(data["joints"]),
            bones=dict(data["bones"]),
            centre=data["centre"],
            mirror=dict(data["mirror"]),
            parts={part: tuple(joints) for part, joints in data["parts"].items()},
        )

    def same_as(self, other: "Layout") -> bool:
        """Whether both name the same joints in the same order, with the same bones."""
        return self.joints == other.joints and dict(self.bones) == dict(other.bones)

    def _check_names(self) -> None:
        named = [
            *self.bones,
            *self.bones.values(),
            self.centre,
            *self.mirror,
            *self.mirror.values(),
        ]
        for joint in named + [joint for joints in self.parts.values() for joint in joints]:
            self.index(joint)
        paired = [*self.mirror, *self.mirror.values()]
        if len(set(paired)) != len(paired):
            raise ValueError(f"layout {self.name!r} mirrors a joint twice")

    def _check_tree(self) -> None:
        for joint in self.joints:
            seen = [joint]
            while seen[-1] != self.centre:
                if seen[-1] not in self.bones:
                    raise ValueError(
                        f"layout {self.name!r}: joint {joint!r} is not connected to the centre "
                        f"{self.centre!r}; give {seen[-1]!r} a parent"
                    )
                seen.append(self.bones[seen[-1]])
                if len(seen) > len(self.joints):
                    raise ValueError(
                        f"layout {self.name!r}: bones go round in a circle at {joint!r}"
                    )
        if self.centre in self.bones:
            raise ValueError(
                f"layout {self.name!r}: the centre {self.centre!r} must have no parent"
            )

    def _check_parts(self) -> None:
        if set(self.parts) != set(PARTS):
            raise ValueError(f"layout {self.name!r} has parts {sorted(self.parts)}; needs {PARTS}")
        joints = [joint for part in PARTS for joint in self.parts[part]]
        if len(set(joints)) != len(joints):
            raise ValueError(f"layout {self.name!r} puts a joint in two parts")
        empty = [part for part in PARTS if not self.parts[part]]
        if empty:
            raise ValueError(f"layout {self.name!r} has no joint in part {empty[0]!r}")
