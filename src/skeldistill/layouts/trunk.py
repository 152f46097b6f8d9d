"""The trunk of a layout: which joints tell where a body is and which way it stands."""

from dataclasses import dataclass

from skeldistill.layouts.layout import Layout

BASES = ("spine_base", "hip_centre", "mid_hip")
MIDDLES = ("spine_mid", "spine")
HIPS = ("left_hip", "right_hip")
SHOULDERS = ("left_shoulder", "right_shoulder")


@dataclass(frozen=True)
class Trunk:
    """Places on the axis ``v``; where several are named, their mean is meant.

    origin: the middle of the spine. bottom, top: the spine's line upwards. across: lines from the
    left to the right of the body, the first of them that is seen counts.
    """

    origin: tuple[int, ...]
    bottom: tuple[int, ...]
    top: tuple[int, ...]
    across: tuple[tuple[int, int], ...]


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
    hips = layout.index(HIPS[0]), layout.index(HIPS[1])
    shoulders = layout.index(SHOULDERS[0]), layout.index(SHOULDERS[1])
    base = [layout.index(joint) for joint in BASES if joint in layout.joints]
    middle = [layout.index(joint) for joint in MIDDLES if joint in layout.joints]
    return Trunk(
        origin=tuple(middle[:1]) or (*hips, *shoulders),
        bottom=tuple(base[:1]) or hips,
        top=tuple(middle[:1]) or shoulders,
        across=(shoulders, hips),
    )
