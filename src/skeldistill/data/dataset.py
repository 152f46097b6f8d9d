"""The road's end: batches of tensors, teacher's and student's view side by side."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64

from skeldistill import completions, degradations, recipe
from skeldistill.clip import applied
from skeldistill.data.batch import Batch
from skeldistill.data.joined import Joined
from skeldistill.data.pairing import SOLITARY, Clips
from skeldistill.data.sampling import Choice, draw, plain, without_chance
from skeldistill.data.shown import shown, with_scores
from skeldistill.data.store import Store
from skeldistill.degradations.seeding import apply, clip_rng
from skeldistill.layouts import Layout
from skeldistill.recipe import Sampling
from skeldistill.shelf import build


@dataclass(frozen=True, kw_only=True)
class Side:
    """How one of the two networks sees its view.

    augmentation: degradations drawn afresh for every clip and epoch, in training only.
    completion: what fills the joints that augmentation loses (the store is complete already).
    blanked: where all that the network is shown is 0, in evaluation; see `Degradation.blanked`.
    """

    store: Store
    sampling: Sampling
    augmentation: tuple[recipe.Part, ...] = ()
    completion: recipe.Part | None = None
    blanked: Bool[np.ndarray, "t v"] | None = None

    @property
    def channels(self) -> int:
        """Input channels of a network on this side."""
        return self.store.channels + with_scores(self.sampling, self.store.channels)

    @property
    def layout(self) -> Layout:
        """The joints of a network on this side."""
        return self.store.layout

    @cached_property
    def _degradations(self) -> list[degradations.Degradation]:
        return [degradations.for_clips(part.name, part.options) for part in self.augmentation]

    @cached_property
    def _fill(self) -> completions.Completion | None:
        if self.completion is None:
            return None
        part = completions.find(self.completion.name)
        return build("completion", part, self.completion.options)

    def arrays(
        self,
        rows: Int64[np.ndarray, " n"],
        choice: Choice,
        *,
        seed: int = 0,
        epoch: int | None = None,
    ) -> Float32[np.ndarray, "n m t v c"]:
        """The clips of some rows, all of the way from the store to what the network sees.

        With an epoch the clips are augmented, else they are as the store has them.
        """
        ragged = self.store
        sizes = self._image_sizes(rows) if self.sampling.normalisation == "image" else None
        if epoch is not None and self._degradations:
            ragged = self._degraded(rows, seed, epoch)
            rows = np.arange(len(rows))
        return shown(ragged, rows, choice, self.sampling, self.layout, self.store.channels, sizes)

    def check(self, rows: Int64[np.ndarray, " n"]) -> None:
        """Refuse clips that cannot be shown as the sampling says, and what degrades no clip."""
        _ = self._degradations
        if self.sampling.normalisation == "image":
            self._image_sizes(rows)

    def _image_sizes(self, rows: np.ndarray) -> np.ndarray:
        name, units, sizes = self.store.path.name, self.store.units, self.store.sizes[rows]
        if units != "pixels":
            raise ValueError(
                f"sampling.normalisation is 'image' but {name} is in {units}, and images are "
                "measured in pixels; use 'clip', 'centre' or 'none'"
            )
        if (sizes < 1).any():
            raise ValueError(
                f"sampling.normalisation is 'image' but {name} has clips without an image size; "
                "import it with option size=[height,width] or with labels of a store that knows "
                "sizes, or use 'clip', 'centre' or 'none'"
            )
        return sizes.astype(np.float32)

    def _degraded(self, rows: np.ndarray, seed: int, epoch: int) -> Joined:
        worse = []
        for row in rows.tolist():
            clip = self.store.clip(row)
            rng = clip_rng(seed, clip.id, epoch)
            arrays = apply(
                self._degradations, clip.joints, clip.scores, layout=self.layout, rng=rng
            )
            if self._fill is not None:
                arrays = applied(self._fill, *arrays, layout=self.layout)
            worse.append(arrays)
        return Joined.of(worse)


@dataclass(frozen=True, kw_only=True)
class Examples:
    """Clips to train or test on: the student's side and, if there is one, the teacher's.

    mixed: the high view as the student would see it; in training, each clip with a high-quality
    match shows it instead of its own with probability `mix`.
    """

    clips: Clips
    student: Side
    teacher: Side | None = None
    mixed: Side | None = None
    mix: float = 0.0

    def __post_init__(self) -> None:
        # now, and not when the first batch is asked for: a teacher's hours may lie between
        matches = self.clips.teacher_rows[self.clips.teacher_rows != SOLITARY]
        self.student.check(self.clips.rows)
        for side in (self.teacher, self.mixed):
            if side is not None:
                side.check(matches)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def _sides(self) -> list[Side]:
        return [side for side in (self.student, self.teacher, self.mixed) if side is not None]

    @property
    def teacher_sees_the_same(self) -> bool:
        """Whether the teacher sees a clip in every epoch as in `testing`."""
        side = self.teacher
        return (
            side is not None
            and not side.augmentation
            and without_chance(self.student.sampling, side.sampling)
        )

    def batch(
        self,
        places: Int64[np.ndarray, " n"],
        choice: Choice,
        *,
        seed: int = 0,
        epoch: int | None = None,
    ) -> Batch:
        """The clips at some places among the examples, both sides under the same choice."""
        student = self.student.arrays(self.clips.rows[places], choice, seed=seed, epoch=epoch)
        matches = self.clips.teacher_rows[places]
        swapped = (choice.coins < self.mix) & (matches != SOLITARY)
        if self.mixed is not None and swapped.any():
            # with noise of their own: it is drawn clip after clip
            others = replace(choice.some(swapped), noise_seed=choice.noise_seed + 1)
            student[swapped] = self.mixed.arrays(matches[swapped], others, seed=seed, epoch=epoch)
        teacher = matched = None
        if self.teacher is not None:
            paired = matches != SOLITARY
            teacher = torch.from_numpy(
                self.teacher.arrays(matches[paired], choice.some(paired), seed=seed, epoch=epoch)
            )
            matched = torch.from_numpy(paired)
        return Batch(
            joints=torch.from_numpy(student),
            labels=torch.from_numpy(self.clips.labels[places]),
            clips=torch.from_numpy(np.asarray(places, np.int64)),
            teacher_joints=teacher,
            matched=matched,
        )

    def training(
        self,
        batch_size: int,
        *,
        seed: int,
        epoch: int,
        class_aware: bool = False,
        share: Callable[[int], slice] | None = None,
    ) -> Iterator[Batch]:
        """One epoch in a drawn order; seed and epoch alone decide all chance in it.

        The last batch is left out if it is smaller than half a batch (and not the only one):
        batch normalisation over a few clips only adds noise. Of every batch, `share` says for its
        number of clips which ones are wanted; all by default.
        """
        rng = np.random.default_rng([seed, epoch])
        order = _paired_order(self.clips.labels, rng) if class_aware else rng.permutation(len(self))
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            if start and len(places) < batch_size / 2:
                return
            sampling = self.student.sampling
            choice = draw(len(places), sampling, rng)
            some = slice(None) if share is None else share(len(places))
            if sampling.mixup:  # with clips from anywhere in the batch
                whole = self.batch(places, choice, seed=seed, epoch=epoch)
                yield whole.mixed(sampling.mixup, rng).some(some)
            elif share is not None and any(side.sampling.noise for side in self._sides):
                # drawn for the whole batch, clip after clip
                yield self.batch(places, choice, seed=seed, epoch=epoch).some(some)
            else:
                yield self.batch(places[some], choice.some(some), seed=seed, epoch=epoch)

    def testing(
        self, batch_size: int, turn: int = 0, *, seed: int = 0, epoch: int | None = None
    ) -> Iterator[Batch]:
        """All clips in order, their frames chosen without chance.

        `turn` counts the frame choices to average. With an epoch the clips are augmented, drawn
        from each clip's own chance.
        """
        for start in range(0, len(self), batch_size):
            places = np.arange(start, min(start + batch_size, len(self)))
            choice = plain(len(places), self.student.sampling, turn)
            yield self.batch(places, choice, seed=seed, epoch=epoch)


def _paired_order(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A drawn order in which clips stand in pairs of one class, so that positives exist.

    Clips left over of their class stand in twos as well, one at most in the end: so batches of an
    even size divide no pair.
    """
    order = rng.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    starts = np.flatnonzero(np.diff(labels[by_class], prepend=-2))
    groups = np.split(by_class, starts[1:])
    pairs = [group[: len(group) // 2 * 2] for group in groups]
    left = rng.permutation(np.array([group[-1] for group in groups if len(group) % 2], np.int64))
    last = len(left) // 2 * 2
    twos = np.concatenate([*pairs, left[:last]]).reshape(-1, 2)
    return np.concatenate([rng.permutation(twos).ravel(), left[last:]])
