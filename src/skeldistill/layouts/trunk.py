"""The trunk of a layout: which joints tell where a body is and which way it stands."""

from dataclasses import dataclass

from skeldistill.layouts.layout import Layout

BASES = ("spine_base", "hip_centre", "mid_hip")
MIDDLES = ("spine_mid", "spine")
HIPS = ("left_hip", "right_hip")
SHOULDERS = ("left_shoulder", "right_shoulder")


Line = tuple[tuple[int, ...], tuple[int, ...]]
"""From the middle of some joints to that of others."""


@dataclass(frozen=True)
class Trunk:
    """Places on the axis ``v``; where several are named, their mean is meant.

    origin: the middle of the spine. up, across: lines upwards, and from the left to the right of
    the body; the first of them that is seen counts.
    """

    origin: tuple[int, ...]
    up: tuple[Line, ...]
    across: tuple[Line, ...]


def trunk(layout: Layout) -> Trunk:
    """The trunk of any layout with shoulders and hips.

    Of Kinect's layouts the spine's own joints, as in 2s-AGCN, PYSKL and CTR-GCN; of others the
    middle of the hips and that of the shoulders.

    Raises:
        ValueError: the layout has no shoulders or no hips.
    """
    lacking = [joint for joint in (*SHOULDERS, *HIPS) if joint not in layout.joints]
    if lacking:
        raise ValueError(
            f"layout {layout.name!r} has no {' and no '.join(lacking)}, which normalisation by the "
            "trunk needs; set sampling.normalisation to 'clip' or 'centre'"
        )
    hips, shoulders = (tuple(map(layout.index, pair)) for pair in (HIPS, SHOULDERS))
    base = tuple(layout.index(joint) for joint in BASES if joint in layout.joints)[:1]
    middle = tuple(layout.index(joint) for joint in MIDDLES if joint in layout.joints)[:1]
    between = (hips, shoulders)
    return Trunk(
        origin=middle or (*hips, *shoulders),
        up=((base, middle), between) if base and middle else (between,),
        across=tuple(((left,), (right,)) for left, right in (shoulders, hips)),
    )
