"""Clips of synthetic people, made on the spot: a source that needs no files."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from skeldistill.clip import Clip
from skeldistill.layouts import Layout
from skeldistill.layouts import find as find_layout
from skeldistill.readers.reader import Division, Source
from skeldistill.readers.synthetic_actions import ACTIONS, act
from skeldistill.readers.synthetic_body import Person, born, perform
from skeldistill.readers.synthetic_errors import cheaply
from skeldistill.shelf import nearest

PEOPLE = 45
"""How many people perform; with 16 actions, 720 clips are each person doing each action once."""

_VIEWS = ("high", "low")
_IN_METRES = ("kinect20", "ntu25")
_SIZE = (720, 1280)
# streams of chance: what one draws must not depend on how much another drew
_BODY, _PERFORMANCE, _HIGH, _LOW = range(4)


@dataclass(frozen=True)
class Camera:
    """Where a clip is seen from; angles in radians, distance in metres, the rest in pixels."""

    yaw: float
    pitch: float
    distance: float
    focal: float
    middle: tuple[float, float]

    def see(self, joints: Float[np.ndarray, "t v 3"]) -> Float[np.ndarray, "t v 3"]:
        """Joints from the camera: metres to its right, up, and away from it."""
        (sy, sp), (cy, cp) = np.sin([self.yaw, self.pitch]), np.cos([self.yaw, self.pitch])
        turn = np.array([[cy, 0, sy], [-sp * -sy, cp, -sp * cy], [cp * -sy, sp, cp * cy]])
        return joints @ (turn.T * (1, 1, -1)) + (0, 0, self.distance)

    def project(self, seen: Float[np.ndarray, "t v 3"]) -> Float[np.ndarray, "t v 2"]:
        """Pixels, to the right and down."""
        return seen[..., :2] * (1, -1) * self.focal / seen[..., 2:] + self.middle


@dataclass(frozen=True, kw_only=True)
class Synthetic:
    """Articulated people who perform sixteen actions, seen well (high) or cheaply (low).

    Both views show the same performances under the same ids, frame by frame. The high view has
    every joint to within some millimetres. The low view is what a cheap estimator would say:
    joints lost in bursts (wrists and ankles first), jitter that grows with speed, lag, left and
    right swapped, outliers, frames without anybody, and scores that tell some of it.
    People differ in size, proportions, handedness, tempo and style; two of three are in split
    ``train`` and the others in ``test``. Clip i depends on `seed` and i alone.

    Args:
        clips: how many; from 48 on every action is in both splits, 720 are a whole round.
        view: "high" or "low".
        seed: another seed is another population.
        layout: kinect20 and ntu25 come in metres from the camera (right, up, away), all others
            in pixels.
        shortest, longest: frames of a clip, both included, at about 25 a second.

    Raises:
        ValueError: for an option that is out of range, or a layout or view that is not known.
    """

    clips: int = 720
    view: str = "high"
    seed: int = 0
    layout: str = "coco17"
    shortest: int = 40
    longest: int = 90

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"synthetic: clips must be at least 1, got {self.clips}")
        if self.seed < 0:
            raise ValueError(f"synthetic: seed must be 0 or more, got {self.seed}")
        if self.view not in _VIEWS:
            raise ValueError(f"synthetic: no view {self.view!r}; {nearest(self.view, _VIEWS)}")
        if not 8 <= self.shortest <= self.longest:
            raise ValueError(
                f"synthetic: shortest is {self.shortest} and longest is {self.longest} frames; "
                "they need 8 <= shortest <= longest"
            )
        find_layout(self.layout)

    @property
    def divisions(self) -> tuple[Division, ...]:
        """Across subjects."""
        return (Division(train="train", test="test", about="two of three people train"),)

    def describe(self, path: Path | None = None) -> Source:
        """What will come; there is nothing to look at, so the path is ignored."""
        metres = find_layout(self.layout).name in _IN_METRES
        return Source(
            layout=find_layout(self.layout),
            channels=3 if metres else 2,
            units="metres" if metres else "pixels",
            classes=tuple(action.name for action in ACTIONS),
            num_clips=self.clips,
        )

    def read(self, path: Path | None = None) -> Iterator[Clip]:
        """The clips, made one by one; the path is ignored."""
        layout = find_layout(self.layout)
        for index in range(self.clips):
            yield self._clip(index, layout)

    def _clip(self, index: int, layout: Layout) -> Clip:
        label, subject = index % len(ACTIONS), index % PEOPLE
        person = _person(self.seed, subject)
        rng = np.random.default_rng((self.seed, _PERFORMANCE, index))
        frames = int(rng.integers(self.shortest, self.longest + 1))
        place = int(rng.integers(3))
        camera = _camera(place, rng)
        angles, lift = act(ACTIONS[label], person, frames, rng=rng)
        body = perform(person, angles, lift, layout)
        seen = camera.see(body - (0, 0.55 * person.stature, 0))
        joints, scores = self._estimate(seen, camera, person, layout, index)
        return Clip(
            id=f"synthetic-{self.seed}-{index:05d}",
            joints=joints[None].astype(np.float32),
            scores=scores[None].astype(np.float32),
            layout=layout,
            label=label,
            splits=("test" if subject % 3 == 2 else "train",),
            subject=subject,
            camera=place,
            size=None if layout.name in _IN_METRES else _SIZE,
        )

    def _estimate(
        self,
        seen: Float[np.ndarray, "t v 3"],
        camera: Camera,
        person: Person,
        layout: Layout,
        index: int,
    ) -> tuple[Float[np.ndarray, "t v c"], Float[np.ndarray, "t v"]]:
        size = person.stature
        true = seen
        if layout.name not in _IN_METRES:
            true, size = camera.project(seen), size * camera.focal / camera.distance
        if self.view == "low":
            rng = np.random.default_rng((self.seed, _LOW, index))
            far = np.clip((seen[..., 2] - camera.distance) / (0.12 * person.stature), 0, 1)
            return cheaply(true, far, size, layout, rng=rng)
        rng = np.random.default_rng((self.seed, _HIGH, index))
        return true + rng.normal(0, 0.003 * size, true.shape), np.ones(true.shape[:2])


@lru_cache(maxsize=4 * PEOPLE)
def _person(seed: int, subject: int) -> Person:
    return born(np.random.default_rng((seed, _BODY, subject)))


def _camera(place: int, rng: np.random.Generator) -> Camera:
    """One of three places (from the left, ahead, from the right), never quite the same."""
    return Camera(
        yaw=np.radians((-36, 0, 36)[place] + rng.uniform(-20, 20)),
        pitch=np.radians(rng.uniform(-4, 22)),
        distance=rng.uniform(3.4, 6.0),
        focal=rng.uniform(780, 1050),
        middle=(640 + rng.uniform(-200, 200), 360 + rng.uniform(-40, 40)),
    )
