"""Convert: the joints of one layout, said in another, where that is well defined."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from skeldistill.clip import Clip
from skeldistill.data.rewriting import rewrite
from skeldistill.data.store import Store
from skeldistill.layouts import Layout

STAND_INS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "head": (("nose",),),
    "neck": (("left_shoulder", "right_shoulder"),),
    "belly": (("left_shoulder", "right_shoulder", "left_hip", "right_hip"),),
    "hip_centre": (("spine_base",), ("left_hip", "right_hip")),
    "spine_base": (("hip_centre",), ("left_hip", "right_hip")),
    "spine": (("spine_mid",),),
    "spine_mid": (("spine",),),
    "shoulder_centre": (("spine_shoulder",), ("left_shoulder", "right_shoulder")),
    "spine_shoulder": (("shoulder_centre",), ("left_shoulder", "right_shoulder")),
}
"""Joint -> what it is taken for where a source does not have it: the middle of these joints."""


def sources(source: Layout, target: Layout) -> dict[str, tuple[str, ...]]:
    """For every joint of `target`, the joints of `source` in whose middle it is.

    A joint of the same name is taken as it is. If there is none, only joints on the axis of the
    body have a stand-in; the end of a limb, an eye or an ear never has one.

    Raises:
        ValueError: one line that names the joints that `source` cannot say.
    """
    found = {joint: _found(joint, source) for joint in target.joints}
    missing = [joint for joint, parts in found.items() if not parts]
    if missing:
        raise ValueError(
            f"layout {source.name!r} cannot become {target.name!r}: it has nothing for "
            f"{', '.join(missing)}; train on {source.name!r} as it is, or take another layout"
        )
    return found


def convert(
    joints: Float32[np.ndarray, "*frames v c"],
    scores: Float32[np.ndarray, "*frames v"],
    source: Layout,
    target: Layout,
) -> tuple[Float32[np.ndarray, "*frames w c"], Float32[np.ndarray, "*frames w"]]:
    """The same bodies in another layout, so that sources with different joints can be compared.

    Joints are matched by name; a head that is missing is where the nose is, a neck in the middle
    of the shoulders, a belly in the middle of shoulders and hips. A joint in the middle of
    several has the lowest of their scores, and is lost if one of them is.

    Args:
        joints: of layout `source`; they are not changed.
        scores: 0 (lost) to 1.
        source: the layout that the joints are in.
        target: the layout that is wanted.

    Raises:
        ValueError: the joints are not of `source`, or `source` lacks joints that `target` needs.
    """
    if joints.shape[-2] != source.num_joints:
        raise ValueError(
            f"there are {joints.shape[-2]} joints, but layout {source.name!r} has "
            f"{source.num_joints}; pass the layout of the joints"
        )
    places = [[source.index(part) for part in parts] for parts in sources(source, target).values()]
    moved = np.stack([joints[..., place, :].mean(axis=-2) for place in places], axis=-2)
    sure = np.stack([scores[..., place].min(axis=-1) for place in places], axis=-1)
    moved[sure == 0] = 0
    return moved, sure


def convert_store(store: Store, target: Layout, path: Path, *, quiet: bool = False) -> Store:
    """Write all clips of a store in another layout, so that two sources have the same joints.

    Raises:
        OSError: the new store cannot be written.
        ValueError: the store's layout lacks joints that `target` needs, or `path` is the store.
    """
    sources(store.layout, target)

    def clips() -> Iterator[Clip]:
        for index in range(len(store)):
            clip = store.clip(index)
            joints, scores = convert(clip.joints, clip.scores, clip.layout, target)
            yield replace(clip, joints=joints, scores=scores, layout=target)

    done = {"converted": {"from": store.layout.name, "to": target.name}}
    return rewrite(store, path, clips(), done, layout=target, quiet=quiet)


def _found(joint: str, source: Layout) -> tuple[str, ...]:
    if joint in source.joints:
        return (joint,)
    for parts in STAND_INS.get(joint, ()):
        if set(parts) <= set(source.joints):
            return parts
    return ()
