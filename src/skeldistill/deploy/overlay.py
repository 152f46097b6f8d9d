"""Overlay: a video with skeletons, actions and how sure they are drawn onto it."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from skeldistill.deploy.encoding import encoder
from skeldistill.deploy.following import Moment, Pose
from skeldistill.deploy.predict import Action, Seen
from skeldistill.layouts import PARTS, Layout

ENDINGS = (".mp4", ".mkv", ".mov", ".avi")
COLOURS = ("#f0e442", "#56b4e9", "#e69f00", "#3f7fff", "#ff5a36")
"""Of the parts, in their order: head, left arm, right arm, left leg, right leg."""

TORSO = "#e8e8e8"
DARK = (24, 26, 31)
CANVAS = 480
"""Pixels of the longer side where there is no picture to draw on."""

MOST_PLACES = 200_000
"""Joints from which the size of a canvas is told."""

UNSURE = 0.3
"""Joints below this confidence are drawn small, and their bones thin."""


Filming = Callable[[np.ndarray, Moment, Sequence[Action]], None]
"""Takes a frame's picture, who is in it, and what they do."""


class Kept:
    """The people of every frame, kept on the disk until it is known what they did."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        self._places: list[np.ndarray] = []
        self._count = 0

    def watched(self, moments: Iterable[Moment]) -> Iterator[Moment]:
        """The same frames, kept as they pass by."""
        for moment in moments:
            self._keep(moment)
            yield moment

    def moments(self) -> Iterator[Moment]:
        """All that was kept, in order."""
        self._file.seek(0)
        while True:
            try:
                number, time = np.load(self._file, allow_pickle=False).tolist()
            except EOFError:
                return
            table = np.load(self._file, allow_pickle=False)
            people = {int(row[0, -1]): Pose(joints=row[:, :-2], scores=row[:, -2]) for row in table}
            yield Moment(number=int(number), time=float(time), people=people)

    def bounds(self) -> Float[np.ndarray, "2 2"]:
        """The corners of the part of the plane in which nearly all joints are."""
        if not self._places:
            return np.array([[0.0, 0.0], [1.0, 1.0]])
        # what an estimator guesses may lie anywhere: the outermost hundredth does not count
        return np.percentile(np.concatenate(self._places), (1, 99), axis=0)

    def close(self) -> None:
        """Let go of the disk."""
        self._file.close()

    def _keep(self, moment: Moment) -> None:
        np.save(self._file, np.array([moment.number, moment.time], np.float64))
        rows = [
            np.column_stack([pose.joints, pose.scores, np.full(len(pose.scores), float(who))])
            for who, pose in moment.people.items()
        ]
        table = np.stack(rows).astype(np.float32) if rows else np.zeros((0, 1, 4), np.float32)
        np.save(self._file, table)
        for pose in moment.people.values():
            seen = in_plane(pose.joints)[pose.scores > 0]
            if self._count < MOST_PLACES:
                self._places.append(seen)
                self._count += len(seen)


def in_plane(joints: Float[np.ndarray, "v c"]) -> Float[np.ndarray, "v 2"]:
    """Joints as they are drawn: y points downwards, as it does in pictures but not in space."""
    plane = joints[:, :2].astype(np.float64)
    return plane * (1, -1) if joints.shape[1] == 3 else plane


@dataclass(frozen=True, kw_only=True)
class Placing:
    """Where a joint is drawn: its place times `scale` plus `shift`, on (height, width) pixels."""

    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    size: tuple[int, int]

    @classmethod
    def fitting(cls, bounds: Float[np.ndarray, "2 2"]) -> "Placing":
        """The whole of what is between two corners, with a margin."""
        sides = np.maximum(bounds[1] - bounds[0], 1e-6)
        scale = 0.8 * CANVAS / float(sides.max())
        width, height = (max(CANVAS // 2, round(float(side) * scale / 0.8)) for side in sides)
        middle = bounds.mean(axis=0) * scale
        shift = (width / 2 - float(middle[0]), height / 2 - float(middle[1]))
        return cls(scale=scale, shift=shift, size=(height, width))

    def __call__(self, joints: Float[np.ndarray, "v c"]) -> Float[np.ndarray, "v 2"]:
        """Columns and rows; what is far outside is brought near, where drawing can bear it."""
        places = in_plane(joints) * self.scale + self.shift
        return np.clip(places, -4 * max(self.size), 5 * max(self.size))


def draw(
    image: UInt8[np.ndarray, "h w 3"],
    moment: Moment,
    actions: Sequence[Action],
    layout: Layout,
    placing: Placing,
) -> UInt8[np.ndarray, "h w 3"]:
    """One frame with everybody in it and what they do; the picture given is not changed.

    Args:
        image: the picture, red, green and blue.
        moment: who is in it.
        actions: what is going on in this frame.
        layout: of the joints.
        placing: from joints to pixels of the picture.
    """
    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    thick = max(1.0, min(image.shape[:2]) / 160)
    font = ImageFont.load_default(size=max(10.0, 7 * thick))
    doing = {action.person: _words(action) for action in actions if action.label is not None}
    for who, pose in moment.people.items():
        places = placing(pose.joints)
        _skeleton(pen, places, pose.scores, layout, thick)
        if who in doing:
            seen = places[pose.scores > 0]
            top = (float(seen[:, 0].min()), float(seen[:, 1].min()) - 12 * thick)
            _label(pen, doing[who], top, font, canvas.size)
    if None in doing:
        _label(pen, doing[None], (2 * thick, 2 * thick), font, canvas.size)
    return np.asarray(canvas)


def film(
    path: Path,
    pictures: Iterator[UInt8[np.ndarray, "h w 3"]] | None,
    kept: Kept,
    actions: Sequence[Action],
    seen: Seen,
) -> None:
    """Write the video with everything drawn, whole or not at all.

    Args:
        path: its ending chooses the container (see `ENDINGS`).
        pictures: the frames; None draws on a dark canvas that all joints fit on.
        kept: the people of the same frames.
        actions: what was recognised in them.
        seen: where they come from.

    Raises:
        ValueError: the ending is not known, or it cannot be encoded.
    """
    check(path)
    if pictures is None or seen.size is None:
        placing, aspect = Placing.fitting(kept.bounds()), 1.0
        pictures = _blank(placing.size)
    else:
        placing, aspect = Placing(size=seen.size), seen.aspect
    waiting = sorted(actions, key=lambda action: action.first_frame)
    going: list[Action] = []
    with encoder(path, placing.size, seen.rate, aspect) as add:
        for image, moment in zip(pictures, kept.moments(), strict=False):
            while waiting and waiting[0].first_frame <= moment.number:
                going.append(waiting.pop(0))
            going = [action for action in going if action.last_frame >= moment.number]
            add(draw(image, moment, going, seen.layout, placing), moment.time)


@contextmanager
def filming(path: Path, seen: Seen) -> Iterator[Filming]:
    """Gives a function that draws the next frame: for cameras, which cannot be seen twice.

    The video appears when the block ends well; until then it grows on the disk.

    Args:
        path: its ending chooses the container (see `ENDINGS`).
        seen: where the frames come from.

    Raises:
        ValueError: the ending is not known, or it cannot be encoded.
    """
    check(path)
    assert seen.size is not None  # every video has one
    placing = Placing(size=seen.size)
    with encoder(path, seen.size, seen.rate, seen.aspect) as add:

        def draw_next(
            image: UInt8[np.ndarray, "h w 3"], moment: Moment, actions: Sequence[Action]
        ) -> None:
            add(draw(image, moment, actions, seen.layout, placing), moment.time)

        yield draw_next


def check(path: Path) -> None:
    """Refuse the name of an overlay that cannot be written."""
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"overlay {path}: its name must end with one of {' '.join(ENDINGS)}")


def _words(action: Action) -> str:
    return f"{action.label}  {100 * action.confidence:.0f} %"


def _skeleton(
    pen: ImageDraw.ImageDraw,
    places: np.ndarray,
    scores: np.ndarray,
    layout: Layout,
    thick: float,
) -> None:
    colours = _joint_colours(layout)
    for child, parent in layout.bone_indices:
        if min(scores[child], scores[parent]) > 0:
            sure = min(scores[child], scores[parent]) >= UNSURE
            ends = [tuple(places[child].tolist()), tuple(places[parent].tolist())]
            colour = colours[child] if colours[child] != TORSO else colours[parent]
            pen.line(ends, fill=colour, width=round(2 * thick) if sure else 1)
    for joint in np.flatnonzero(scores > 0).tolist():
        x, y = places[joint].tolist()
        radius = 1.5 * thick if scores[joint] >= UNSURE else 0.7 * thick
        pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colours[joint])


def _joint_colours(layout: Layout) -> list[str]:
    colours = [TORSO] * layout.num_joints
    for part, colour in zip(PARTS, COLOURS, strict=True):
        for joint in layout.parts[part]:
            colours[layout.index(joint)] = colour
    return colours


def _label(
    pen: ImageDraw.ImageDraw,
    words: str,
    corner: tuple[float, float],
    font: Any,
    size: tuple[int, int],
) -> None:
    """White on a dark box, moved until all of it is in the picture."""
    left, top, right, bottom = pen.textbbox((0, 0), words, font=font)
    x = min(max(0.0, corner[0]), max(0.0, size[0] - (right - left) - 4))
    y = min(max(0.0, corner[1]), max(0.0, size[1] - (bottom - top) - 4))
    pen.rectangle((x, y, x + right - left + 4, y + bottom - top + 4), fill=DARK)
    pen.text((x + 2 - left, y + 2 - top), words, fill="white", font=font)


def _blank(size: tuple[int, int]) -> Iterator[np.ndarray]:
    image = np.empty((*size, 3), np.uint8)
    image[:] = DARK
    while True:
        yield image
