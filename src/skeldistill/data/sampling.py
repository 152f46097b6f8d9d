"""From ragged clips to the equal arrays a network sees: frames, persons, normalisation, chance.

All of it works on whole batches without a loop over clips. Chance is drawn once for a batch, as
`Choice`, and used for both views, so that teacher and student see the same moments, turned the
same way.
"""

from dataclasses import dataclass, fields, replace

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int

from skeldistill.data.joined import Joined
from skeldistill.data.store import Store
from skeldistill.data.upright import UP, place_of, standing
from skeldistill.layouts import Layout
from skeldistill.layouts.trunk import trunk
from skeldistill.recipe import Sampling

CACHED = 2**21
"""Bytes of coordinates that are worked on at a time."""
ROUGHLY = 8
"""Every so many frames give a first guess of where a clip is."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The chance of one batch, in terms that hold for any view of its clips.

    moments: where in the clip each frame is taken, 0 (start) to 1 (end), ``(n, t)``.
    angles: turns in radians. sizes: factors. shears: of x by y. mirrored: left for right.
    noise_seed: for joint noise. coins: uniform draws that decide which view a clip shows when
    views are mixed.
    """

    moments: Float64[np.ndarray, "n t"]
    angles: Float64[np.ndarray, " n"]
    sizes: Float64[np.ndarray, " n"]
    shears: Float64[np.ndarray, " n"]
    mirrored: Bool[np.ndarray, " n"]
    coins: Float64[np.ndarray, " n"]
    noise_seed: int = 0

    def moments_for(self, frames: int) -> Float64[np.ndarray, "n f"]:
        """The moments of so many frames, which go through the clip as the drawn ones do."""
        drawn = self.moments.shape[1]
        if frames == drawn:
            return self.moments
        at = (np.arange(frames) + 0.5) * drawn / frames - 0.5  # among the drawn ones
        before = np.clip(np.floor(at).astype(np.int64), 0, max(drawn - 2, 0))
        after = np.minimum(before + 1, drawn - 1)
        steps = self.moments[:, after] - self.moments[:, before]
        return np.clip(self.moments[:, before] + (at - before) * steps, 0, 1)

    def some(self, kept: Bool[np.ndarray, " n"] | slice) -> "Choice":
        """The same chance for some of the clips."""
        chosen = {
            field.name: getattr(self, field.name)[kept]
            for field in fields(self)
            if field.name != "noise_seed"
        }
        return replace(self, **chosen)


def draw(count: int, sampling: Sampling, rng: np.random.Generator) -> Choice:
    """Training's choice for `count` clips."""
    frames = sampling.frames
    span = rng.uniform(sampling.crop, 1.0, (count, 1))
    start = rng.uniform(0.0, 1.0, (count, 1)) * (1 - span)
    within = (np.arange(frames) + rng.uniform(0.0, 1.0, (count, frames))) / frames
    turn = np.deg2rad(sampling.rotation)
    return Choice(
        moments=start + span * within,
        angles=rng.uniform(-turn, turn, count),
        sizes=rng.uniform(1 - sampling.scaling, 1 + sampling.scaling, count),
        shears=rng.uniform(-sampling.shear, sampling.shear, count),
        mirrored=rng.uniform(0.0, 1.0, count) < sampling.mirror,
        coins=rng.uniform(0.0, 1.0, count),
        noise_seed=int(rng.integers(2**62)),
    )


def without_chance(drawn: Sampling, seen: Sampling) -> bool:
    """Whether a clip looks the same under every choice that is drawn.

    Args:
        drawn: what choices are drawn for.
        seen: of the view that is shown.
    """
    turned = drawn.rotation or drawn.scaling or drawn.shear or drawn.mirror
    changes = turned or drawn.mixup or seen.noise
    return seen.frame_choice in ("replay", "zeros") and not changes


def plain(count: int, sampling: Sampling, turn: int = 0) -> Choice:
    """Testing's choice: no chance; `turn` counts up to ``sampling.test_clips``."""
    frames = sampling.frames
    within = (np.arange(frames) + (turn + 0.5) / sampling.test_clips) / frames
    return Choice(
        moments=np.broadcast_to(within, (count, frames)),
        angles=np.zeros(count),
        sizes=np.ones(count),
        shears=np.zeros(count),
        mirrored=np.zeros(count, bool),
        coins=np.ones(count),
    )


def sample(
    ragged: Store | Joined,
    rows: Int[np.ndarray, " n"],
    choice: Choice,
    sampling: Sampling,
    layout: Layout,
    channels: int,
    image_sizes: Float32[np.ndarray, "n 2"] | None = None,
) -> tuple[Float32[np.ndarray, "n m t v c"], Float32[np.ndarray, "n m t v"]]:
    """Gather frames and persons, normalise, and apply the batch's chance to what is seen.

    Lost joints, absent persons and padded frames are 0 in coordinates and score.
    """
    joints, scores = _gather(ragged, rows, choice, sampling, layout.num_joints, channels)
    rng = np.random.default_rng(choice.noise_seed) if choice.noise_seed else None
    # Some clips at a time: what each step needs besides is small enough to be taken again at once,
    # where the system would hand out a large array page by page.
    step = max(1, CACHED // max(joints[:1].nbytes, 1))
    for start in range(0, len(rows), step):
        some = slice(start, start + step)
        sizes = None if image_sizes is None else image_sizes[some]
        _change(joints[some], scores[some], choice.some(some), sampling, layout, sizes, rng)
    return joints, scores


def _change(
    joints: np.ndarray,
    scores: np.ndarray,
    choice: Choice,
    sampling: Sampling,
    layout: Layout,
    image_sizes: np.ndarray | None,
    rng: np.random.Generator | None,
) -> None:
    """All that happens to gathered clips, where they stand."""
    if sampling.least_score:
        scores *= scores >= sampling.least_score
    _normalise(joints, scores, sampling, layout, image_sizes)
    if choice.mirrored.any():
        _mirror(joints, scores, choice.mirrored, layout)
    if choice.angles.any() or choice.shears.any() or (choice.sizes != 1).any():
        _turn(joints, choice, UP if sampling.normalisation == "body" else 1)
    if sampling.noise and rng is not None:
        joints += rng.normal(0, sampling.noise, joints.shape).astype(np.float32)
    lost = scores <= 0
    if lost.any():
        joints[lost] = 0


def _gather(
    ragged: Store | Joined,
    rows: np.ndarray,
    choice: Choice,
    sampling: Sampling,
    num_joints: int,
    channels: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The chosen frames of the most certain persons, straight from the flat array."""
    lengths = ragged.num_frames[rows][:, None]
    persons = np.arange(sampling.persons)
    order = persons_by_score(ragged, rows, sampling.persons, num_joints)
    there = persons < ragged.num_persons[rows][:, None]

    def take(frames: np.ndarray, inside: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        place = order[:, :, None] * lengths[:, None] + frames[:, None]  # (n, m, t)
        scores = _rows_of(ragged.coordinates, ragged.score_offsets[rows], place, num_joints)
        joints = _rows_of(
            ragged.coordinates, ragged.joint_offsets[rows], place, num_joints * channels
        )
        joints = joints.reshape(*scores.shape, channels)
        for absent in (~there, None if inside is None else ~(inside[:, None] & there[..., None])):
            if absent is not None and absent.any():
                joints[absent] = scores[absent] = 0
        return joints, scores

    count, moments = np.arange(sampling.frames)[None], choice.moments_for(sampling.frames)
    if sampling.frame_choice == "uniform":
        return take(np.minimum((moments * lengths).astype(np.int64), lengths - 1))
    if sampling.frame_choice == "replay":
        return take(count % lengths)
    if sampling.frame_choice == "zeros":
        return take(np.minimum(count, lengths - 1), count < lengths)
    exact = np.clip(moments * lengths - 0.5, 0, lengths - 1)  # resize
    before = exact.astype(np.int64)
    after = np.minimum(before + 1, lengths - 1)
    return _between(take(before), take(after), (exact - before).astype(np.float32))


def _rows_of(flat: np.ndarray, offsets: np.ndarray, place: np.ndarray, width: int) -> np.ndarray:
    """`width` consecutive values from each place, counted in widths from each clip's offset."""
    starts = offsets[:, None, None] + place * width
    return np.lib.stride_tricks.sliding_window_view(flat, width)[starts]


def _between(
    before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray], share: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Linear in time where both ends are seen, else the end that is."""
    share = share[:, None, :, None]
    share = np.where(before[1] == 0, 1.0, np.where(after[1] == 0, 0.0, share)).astype(np.float32)
    joints = before[0] * (1 - share[..., None]) + after[0] * share[..., None]
    return joints, before[1] * (1 - share) + after[1] * share


def persons_by_score(
    ragged: Store | Joined, rows: np.ndarray, persons: int, num_joints: int
) -> Int[np.ndarray, "n m"]:
    """The persons to show, the most certain first; the loop runs over crowded clips alone."""
    order = np.broadcast_to(np.arange(persons), (len(rows), persons)).copy()
    for place in np.flatnonzero(ragged.num_persons[rows] > persons):
        row = rows[place]
        people, size = ragged.num_persons[row], ragged.num_frames[row] * num_joints
        start = ragged.score_offsets[row]
        scores = ragged.coordinates[start : start + people * size].reshape(people, size)
        chosen = np.argsort(-scores.mean(axis=1), kind="stable")[:persons]
        order[place] = np.sort(chosen)  # keep the source's order among the chosen
    # Persons that the clip lacks read the first one's frames; the caller blanks them.
    return np.where(order < ragged.num_persons[rows][:, None], order, 0)


def _normalise(
    joints: np.ndarray,
    scores: np.ndarray,
    sampling: Sampling,
    layout: Layout,
    image_sizes: np.ndarray | None,
) -> None:
    """Move and scale the joints where they stand; what becomes of lost ones is no matter."""
    if sampling.normalisation == "image":
        if image_sizes is None:
            raise ValueError(
                "sampling.normalisation is 'image' but this view's store knows no image sizes; "
                "use 'clip', 'centre' or 'none'"
            )
        half = image_sizes[:, ::-1] / 2  # (height, width) -> (x, y)
        _subtract(joints, half)
        joints /= half[:, None, None, None]
    elif sampling.normalisation == "centre":
        _subtract(joints, place_of(joints, scores, [layout.centre_index]))
    elif sampling.normalisation in ("spine", "body"):
        _subtract(joints, place_of(joints, scores, trunk(layout).origin))
        if sampling.normalisation == "body":
            _transform(joints, standing(joints, scores, layout))
    elif sampling.normalisation == "clip":
        # One centre and one scale for all persons and frames keep who stands and moves where.
        # Certain joints decide them: what an estimator guesses lies anywhere, even far outside
        # the image. A rough centre goes first, as single precision is coarse far from the origin.
        total = np.maximum(scores.sum(axis=(1, 2, 3)), 1e-6)[:, None]
        few = scores[:, :, ::ROUGHLY]
        rough = _weighted_sum(few, joints[:, :, ::ROUGHLY])
        _subtract(joints, rough / np.maximum(few.sum(axis=(1, 2, 3)), 1e-6)[:, None])
        _subtract(joints, _weighted_sum(scores, joints) / total)
        spread = _weighted_sum(scores, np.square(joints)).sum(axis=1, keepdims=True) / total
        joints /= np.sqrt(np.maximum(spread, 1e-12))[:, :, None, None, None]


def _weighted_sum(scores: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Of every clip's joints, ``(n, c)``; a matrix product is several times as fast as sums."""
    n, c = len(joints), joints.shape[-1]
    return np.matmul(scores.reshape(n, 1, -1), joints.reshape(n, -1, c))[:, 0]


def _subtract(joints: np.ndarray, place: np.ndarray) -> None:
    """Take each clip's place ``(n, c)`` from all its joints."""
    n, _, _, v, c = joints.shape
    # a whole frame in a row: numpy is slow where the last axis is 2 or 3 long
    frames = joints.reshape(n, -1, v * c)
    frames -= np.tile(place, v)[:, None]


def _mirror(joints: np.ndarray, scores: np.ndarray, mirrored: np.ndarray, layout: Layout) -> None:
    """Swap left and right of some clips, where they stand."""
    flipped = joints[mirrored][..., layout.mirrored, :]
    flipped[..., 0] *= -1
    joints[mirrored] = flipped
    scores[mirrored] = scores[mirrored][..., layout.mirrored]


def _turn(joints: np.ndarray, choice: Choice, upright: int) -> None:
    """Turn, size and shear: in the image for 2-D joints, around the upright axis for 3-D."""
    channels = joints.shape[-1]
    cosine, sine = np.cos(choice.angles), np.sin(choice.angles)
    other = 1 if channels == 2 else 3 - upright  # the axis that x turns into
    matrix = np.zeros((len(joints), channels, channels))
    matrix[:, range(channels), range(channels)] = 1
    matrix[:, 0, 0], matrix[:, 0, other] = cosine, -sine
    matrix[:, other, 0], matrix[:, other, other] = sine, cosine
    matrix[:, 0, upright] += choice.shears
    _transform(joints, matrix * choice.sizes[:, None, None])


def _transform(joints: np.ndarray, matrices: np.ndarray) -> None:
    """Multiply all joints of each clip by its matrix ``(n, c, c)``."""
    flat = joints.reshape(len(joints), -1, joints.shape[-1])
    flat[:] = np.matmul(flat, matrices.transpose(0, 2, 1).astype(np.float32))
