"""The shelf of degradations: one file for each thing that goes wrong.

A degradation is a frozen part with options of its own, called with one clip's joints and scores::

    worse = degradations.find("JointOcclusion")(probability=0.3)
    joints, scores = worse(clip.joints, clip.scores, layout=clip.layout, rng=rng)

Three ways of losing frames are three parts (`HeldFrames`, `InterpolatedFrames`,
`DroppedFrames`), and so are occlusion by frame and by clip (`JointOcclusion`,
`ClipJointOcclusion`). Everything that depends on lengths is measured in body sizes, so that it
means the same in pixels and in metres.

Two published protocols act on what a network is shown instead of on a clip (`Degradation.shown`):
`skeldistill robustness` has them, views and augmentation do not (`for_clips`).
"""

from collections.abc import Mapping
from typing import Any

from skeldistill.degradations.block_dropout import BlockDropout
from skeldistill.degradations.burst_occlusion import BurstOcclusion
from skeldistill.degradations.clip_joint_occlusion import ClipJointOcclusion
from skeldistill.degradations.confidence_occlusion import ConfidenceOcclusion
from skeldistill.degradations.degradation import Degradation
from skeldistill.degradations.dropped_frames import DroppedFrames
from skeldistill.degradations.held_frames import HeldFrames
from skeldistill.degradations.identity import Identity
from skeldistill.degradations.identity_switch import IdentitySwitch
from skeldistill.degradations.interpolated_frames import InterpolatedFrames
from skeldistill.degradations.jitter import Jitter
from skeldistill.degradations.joint_occlusion import JointOcclusion
from skeldistill.degradations.left_right_swap import LeftRightSwap
from skeldistill.degradations.lost_frames import LostFrames
from skeldistill.degradations.lost_person import LostPerson
from skeldistill.degradations.part_occlusion import PartOcclusion
from skeldistill.degradations.quantisation import Quantisation
from skeldistill.degradations.ragcn_frames import RAGCNFrames
from skeldistill.degradations.ragcn_parts import RAGCNParts
from skeldistill.degradations.random_frames import RandomFrames
from skeldistill.degradations.scale_drift import ScaleDrift
from skeldistill.degradations.seeding import apply, clip_rng, degrade
from skeldistill.degradations.translation_drift import TranslationDrift
from skeldistill.shelf import build, take

SHELF: dict[str, type[Degradation]] = {
    part.__name__: part
    for part in (
        BlockDropout,
        BurstOcclusion,
        ClipJointOcclusion,
        ConfidenceOcclusion,
        DroppedFrames,
        HeldFrames,
        IdentitySwitch,
        InterpolatedFrames,
        Jitter,
        JointOcclusion,
        LeftRightSwap,
        LostFrames,
        LostPerson,
        PartOcclusion,
        Quantisation,
        RAGCNFrames,
        RAGCNParts,
        RandomFrames,
        ScaleDrift,
        TranslationDrift,
    )
}


def find(name: str) -> type[Degradation]:
    """The class called `name`, to be given its options; ValueError names the nearest one."""
    return take("degradation", SHELF, name)


def for_clips(name: str, options: Mapping[str, Any]) -> Degradation:
    """A degradation with the options of a recipe, for a view or for augmentation.

    Raises:
        ValueError: no such degradation, other options, or one that acts on no clip.
    """
    part: Degradation = build("degradation", find(name), options)
    if part.shown:
        raise ValueError(
            f"{name} blanks what a trained network is shown, and so makes no view and no "
            "augmentation: `skeldistill robustness` has it; shown: false lets clips lose the joints"
        )
    return part


def at_severity(name: str, severity: int) -> Degradation:
    """A degradation at one of its calibrated severities: 0 (nothing happens) to 5 (hard).

    Raises:
        ValueError: no such degradation, or another severity.
    """
    part = find(name)
    if severity not in range(6):
        raise ValueError(f"severity must be a whole number from 0 to 5, got {severity!r}")
    return part(**options_at(name, severity)) if severity else Identity()


def options_at(name: str, severity: int) -> Mapping[str, Any]:
    """The options of a degradation at a severity from 1 to 5.

    Raises:
        ValueError: no such degradation, or one that does not state five severities.
    """
    severities = find(name).severities
    if len(severities) != 5:
        raise ValueError(
            f"degradation {name} states {len(severities)} severities, where robustness needs five "
            "sets of options, from mild to hard; state them in its class"
        )
    return severities[severity - 1]


__all__ = [
    "SHELF",
    "BlockDropout",
    "BurstOcclusion",
    "ClipJointOcclusion",
    "ConfidenceOcclusion",
    "Degradation",
    "DroppedFrames",
    "HeldFrames",
    "Identity",
    "IdentitySwitch",
    "InterpolatedFrames",
    "Jitter",
    "JointOcclusion",
    "LeftRightSwap",
    "LostFrames",
    "LostPerson",
    "PartOcclusion",
    "Quantisation",
    "RAGCNFrames",
    "RAGCNParts",
    "RandomFrames",
    "ScaleDrift",
    "TranslationDrift",
    "apply",
    "at_severity",
    "clip_rng",
    "degrade",
    "find",
    "for_clips",
    "options_at",
]
