"""Chance that belongs to a clip: the same in every epoch, run, process and Python version."""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from skeldistill.clip import Clip, applied
from skeldistill.degradations.degradation import Degradation
from skeldistill.layouts import Layout


def clip_rng(seed: int, clip_id: str, epoch: int | None = None) -> np.random.Generator:
    """The generator of one clip; with an epoch, another one in every epoch.

    Args:
        seed: of the whole data set.
        clip_id: the clip's name; the order in which clips come plays no part.
        epoch: given for augmentation, left out for a view that is bad once and for all.
    """
    # Not hash(): Python salts it anew in every process.
    digest = hashlib.sha256(f"{seed}\0{epoch}\0{clip_id}".encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, "<u4"))


def apply(
    parts: Sequence[Degradation],
    joints: Float32[np.ndarray, "m t v c"],
    scores: Float32[np.ndarray, "m t v"],
    layout: Layout,
    rng: np.random.Generator,
) -> tuple[Float32[np.ndarray, "m s v c"], Float32[np.ndarray, "m s v"]]:
    """Let several things go wrong, one after the other.

    Each part draws from a stream of its own, so that other options of one part leave the chance
    of the others as it was.
    """
    for part, stream in zip(parts, rng.spawn(len(parts)), strict=True):
        joints, scores = applied(part, joints, scores, layout=layout, rng=stream)
    return joints, scores


def degrade(
    clip: Clip, parts: Sequence[Degradation], *, seed: int, epoch: int | None = None
) -> Clip:
    """A worse view of a clip, drawn from the clip's own chance (see `clip_rng`)."""
    if not parts:
        return clip
    rng = clip_rng(seed, clip.id, epoch)
    return clip.with_joints(*apply(parts, clip.joints, clip.scores, clip.layout, rng))
