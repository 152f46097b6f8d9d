"""Clips in memory, laid out as a store lays them out: different lengths in one flat array."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64


@dataclass(frozen=True, kw_only=True)
class Joined:
    """What augmentation made of some clips, ready to be sampled like those of a store.

    coordinates: all numbers in one row. joint_offsets, score_offsets: where each clip's joints and
    scores begin, ``(n,)``. num_persons, num_frames: of each clip, ``(n,)``.
    """

    coordinates: Float32[np.ndarray, " numbers"]
    joint_offsets: Int64[np.ndarray, " n"]
    score_offsets: Int64[np.ndarray, " n"]
    num_persons: Int64[np.ndarray, " n"]
    num_frames: Int64[np.ndarray, " n"]

    @classmethod
    def of(cls, clips: Sequence[tuple[np.ndarray, np.ndarray]]) -> "Joined":
        """Join clips, each given as its joints ``(m, t, v, c)`` and scores ``(m, t, v)``."""
        pieces = [array.ravel() for clip in clips for array in clip]
        offsets = np.concatenate([[0], np.cumsum([piece.size for piece in pieces])[:-1]])
        return cls(
            coordinates=np.concatenate(pieces),
            joint_offsets=offsets[0::2],
            score_offsets=offsets[1::2],
            num_persons=np.array([joints.shape[0] for joints, _ in clips]),
            num_frames=np.array([joints.shape[1] for joints, _ in clips]),
        )
