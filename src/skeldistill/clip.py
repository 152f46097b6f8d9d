"""Clip: one performed action, as the joints of one or more persons over some frames."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from skeldistill.layouts import Layout

UNLABELLED = -1
"""The label of a clip whose action is not known."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """One clip of one view. Checks itself: a Clip that exists is sound.

    Args:
        id: the clip's name; the high and the low view of one clip share it.
        joints: coordinates, ``(m, t, v, c)`` with 2 or 3 channels, in the source's own units.
            A lost joint has score 0 and coordinates 0.
        scores: how sure the source is of each joint, 0 (lost) to 1. ``None``: every joint
            of every frame in which the person was seen at all (is not all zero) counts as sure.
        label: the place of the action among the source's classes, or `UNLABELLED`.
        layout: names the axis ``v``.
        splits: the official splits that the clip belongs to, such as ``("split1_train",)``.
        subject, camera: whom and whence, where the source says so.
        size: (height, width) of the image in pixels, for 2-D sources that know it.

    Raises:
        ValueError: shapes that disagree, no person, no frame, coordinates that are not numbers,
            scores outside 0 to 1, a label below `UNLABELLED`.
    """

    id: str
    joints: Float32[np.ndarray, "m t v c"] = field(repr=False)  # pages of numbers
    layout: Layout
    label: int = UNLABELLED
    scores: Float32[np.ndarray, "m t v"] = field(default=None, repr=False)  # type: ignore[assignment]
    splits: tuple[str, ...] = ()
    subject: int | None = None
    camera: int | None = None
    size: tuple[int, int] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.joints.ndim != 4:
            self._refuse(
                f"joints have shape {self.joints.shape}; they need four axes, (m, t, v, c)"
            )
        self._check_shape()
        if not np.isfinite(self.joints).all():
            place = tuple(int(i) for i in np.argwhere(~np.isfinite(self.joints))[0])
            self._refuse(
                f"coordinate at (person, frame, joint, channel) {place} is not a finite number; "
                "give lost joints score 0 and coordinates 0"
            )
        self._check_scores()
        if self.label < UNLABELLED:
            self._refuse(f"label is {self.label}; labels count from 0 ({UNLABELLED}: not known)")

    def _check_shape(self) -> None:
        m, t, v, c = self.joints.shape
        if v != self.layout.num_joints:
            self._refuse(
                f"clip has {v} joints but layout {self.layout.name!r} has "
                f"{self.layout.num_joints}; pass the layout of the files"
            )
        if c not in (2, 3):
            self._refuse(f"joints have {c} coordinates; 2 or 3 are possible (scores stand apart)")
        if m < 1 or t < 1:
            self._refuse(f"clip has {m} persons and {t} frames; it needs at least one of each")

    def _check_scores(self) -> None:
        m, t, v, _ = self.joints.shape
        if self.scores is None:
            seen = np.any(self.joints != 0, axis=(2, 3))
            scores = np.broadcast_to(seen[..., None], (m, t, v)).astype(np.float32)
            object.__setattr__(self, "scores", scores)
        if self.scores.shape != (m, t, v):
            self._refuse(f"scores have shape {self.scores.shape}; joints need {(m, t, v)}")
        if not (np.all(self.scores >= 0) and np.all(self.scores <= 1)):
            self._refuse("scores must lie between 0 and 1")

    @property
    def num_persons(self) -> int:
        """The length of the axis ``m``."""
        return self.joints.shape[0]

    @property
    def num_frames(self) -> int:
        """The length of the axis ``t``."""
        return self.joints.shape[1]

    def with_joints(
        self, joints: Float32[np.ndarray, "m t v c"], scores: Float32[np.ndarray, "m t v"]
    ) -> "Clip":
        """The same clip seen otherwise: a degraded or completed view of it."""
        return replace(self, joints=joints, scores=scores)

    def _refuse(self, why: str) -> None:
        raise ValueError(f"clip {self.id!r}: {why}")


def applied(
    part: Callable[..., Any],
    joints: Float32[np.ndarray, "m t v c"],
    scores: Float32[np.ndarray, "m t v"],
    **told: Any,
) -> tuple[Float32[np.ndarray, "m s v c"], Float32[np.ndarray, "m s v"]]:
    """What a degradation or a completion makes of a clip, held to what it must give.

    Args:
        part: called with joints, scores and what is told.
        joints: of the clip.
        scores: of the clip.
        told: the layout, and the chance of a degradation.

    Raises:
        ValueError: the part refuses the clip, or gives anything but joints and scores of the same
            persons and joints; the line names the part.
    """
    name = type(part).__name__
    try:
        answer = part(joints, scores, **told)
    except ValueError as error:  # of numpy's it would not be known where in a run it came from
        raise ValueError(f"{name}: {error}") from error
    came = [np.shape(one) for one in answer] if isinstance(answer, tuple) else []
    m, _, v, c = joints.shape
    frames = came[0][1] if came and len(came[0]) == 4 else 0
    if came != [(m, frames, v, c), (m, frames, v)]:
        got = " and ".join(map(str, came)) if len(came) > 1 else type(answer).__name__
        raise ValueError(
            f"{name} gives {got}; of joints {joints.shape} and scores {scores.shape} it must "
            "return both, of as many persons, joints and coordinates"
        )
    return answer
