"""One step of a network that runs frame by frame: a pure function of frames and state.

`StreamingStep` is what an export needs; `skeldistill.deploy.streaming.Stream` is what users call.

    step = StreamingStep(network)                     # or with window=...
    state = step.start(rows)                          # a list of tensors, called step.state_names
    said, state = step(frames, state)                 # frames (n, m, step.frames, v, c)

A step takes ``step.frames`` frames at once, which is the network's temporal stride. The first step
begins with ``step.phase`` frames of zeros that stand before the clip, so that a frame's result
comes as early as it can. After step u (from 0) the last map's frame ``u - step.lag`` is known.
To end a clip of T frames, write T into the state called "length", fill up with zeros, and go on
until ``ceil(T / step.frames) + step.lag`` steps are done; the scores are then the whole clip's.
The first axis of every tensor of the state is the rows, which may come and go: ``start(1)`` is
what a new one begins with.
"""

from typing import NamedTuple, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from skeldistill.networks.network import Network
from skeldistill.networks.through_time import ENDLESS, Chunk, Passage, Timing


class Said(NamedTuple):
    """What a step says.

    logits: scores of what was pooled up to now. features, present: the newest frame of the last
    map, and who is in the frames that it stands for. seen: who is in the frames of this step.
    """

    logits: Float[Tensor, "n k"]
    features: Float[Tensor, "n m c 1 v"]
    present: Bool[Tensor, "n m 1"]
    seen: Bool[Tensor, "n m t"]


class StreamingStep(nn.Module):
    """The next frames of several clips, and what was kept of those before.

    frames: how many frames a step takes. phase: how many of the first step stand before the clip.
    lag: steps until the first frame of the last map is out. delay: frames after a frame that are
    needed for its result. receptive_field: frames that one frame of the last map sees, `ENDLESS`
    where it sees all before it. warm: steps after which no layer meets frames from before the clip
    (see `forward`).

    Args:
        network: a network that can run frame by frame; best folded (`skeldistill.deploy.folding`).
        window: pool over the last so many frames, in whole strides; None: since the start.

    Raises:
        ValueError: the network cannot run frame by frame, or the window is below 1.
    """

    def __init__(self, network: Network, window: int | None = None) -> None:
        super().__init__()
        if window is not None and window < 1:
            raise ValueError(f"window must be at least 1 frame, got {window}")
        self.network = network
        self.path = network.through_time()
        self.frames = network.temporal_stride
        self.pooling: Pooling = (
            SinceStart() if window is None else LastFrames(-(-window // self.frames))
        )
        timings = [self._dry_run(phase)[0].timing for phase in range(self.frames)]
        delays = [self._delay(timing, phase) for phase, timing in enumerate(timings)]
        # Not before all frames that a frame of the last map stands for: somebody may be in them.
        self.delay = min(delay for delay in delays if delay >= self.frames - 1)
        self.phase = delays.index(self.delay)
        timing = timings[self.phase]
        assert (timing.frames, timing.stride) == (1, self.frames), "temporal_stride is wrong"
        self.lag = timing.lag
        self.receptive_field = min(timing.before + 1 + timing.after, ENDLESS)
        end, passage = self._dry_run(self.phase)
        self._initial, self.warm = passage.initial, passage.warm
        self.vertices = end.x.shape[3]
        self._pooled = end.x.mean(dim=(2, 3))[None].expand(-1, network.persons, -1)
        self.state_names = [
            *("position", "length", "seen", "pooled"),
            *(f"layer_{i}" for i in range(len(self._initial))),
        ]

    def start(self, rows: int) -> list[Tensor]:
        """The state of so many clips before their first frame."""
        device = self._initial[0].device if self._initial else self._pooled.device
        m, kept = self.network.persons, max(0, self.delay + 1 - self.frames)
        return [
            torch.zeros(rows, dtype=torch.int64, device=device),
            torch.full((rows,), ENDLESS, dtype=torch.int64, device=device),
            torch.zeros(rows, m, kept, dtype=torch.bool, device=device),
            self.pooling.start(self._pooled.expand(rows, -1, -1)),
            *(_repeated(initial, rows) for initial in self._initial),
        ]

    def forward(
        self, frames: Float[Tensor, "n m t v c"], state: list[Tensor], steady: bool = False
    ) -> tuple[Said, list[Tensor]]:
        """Take the next frames.

        Args:
            frames: `self.frames` of them, normalised as the network expects; zeros where a clip
                has none any more.
            state: what the step before returned.
            steady: every row has done `warm` steps and none has ended, so that nobody needs to
                look for frames outside the clips; the result is the same, and a little faster.
        """
        position, length, seen_before, pooled, *layers = state
        # An export learns here that these have as many rows as the frames.
        position, length = position.view(frames.shape[0]), length.view(frames.shape[0])
        passage = Passage(layers, None if steady else position, length)
        chunk = Chunk(_folded(frames), Timing(frames=self.frames, lag=self.phase))
        features = self.path(chunk, passage).x.unflatten(0, (frames.shape[0], -1))
        features = features.expand(-1, self.network.persons, -1, -1, -1)  # persons may be merged
        number = position - self.lag
        exists = (number >= 0) & (number * self.frames < length)
        last = (length + self.frames - 1) // self.frames
        pooled, mean = self.pooling.add(
            pooled, features.mean(dim=(3, 4)), torch.minimum(number + 1, last), exists
        )
        seen = (frames != 0).flatten(3).any(dim=3)
        all_seen = torch.cat([seen_before, seen], dim=2)
        first = all_seen.shape[2] - self.delay - 1
        said = Said(
            logits=self.network.classifier(mean.mean(dim=1)),
            features=features,
            present=all_seen[:, :, max(0, first) : first + self.frames].any(dim=2, keepdim=True),
            seen=seen,
        )
        kept = all_seen[:, :, self.frames :] if seen_before.shape[2] else seen_before
        return said, [position + 1, length, kept, pooled, *passage.kept]

    def _delay(self, timing: Timing, phase: int) -> int:
        return self.frames * timing.lag + self.frames - 1 - phase

    @torch.no_grad()
    def _dry_run(self, phase: int) -> tuple[Chunk, Passage]:
        """One row's first chunk, to see the timing and what every layer keeps."""
        network = self.network
        shape = (1, network.persons, self.frames, network.layout.num_joints, network.channels)
        frames = torch.zeros(shape).to(next(network.parameters()))
        passage = Passage(None, None, torch.full((1,), ENDLESS))
        chunk = Chunk(_folded(frames), Timing(frames=self.frames, lag=phase))
        return self.path(chunk, passage), passage


class Pooling(Protocol):
    """How the frames of the last map become one."""

    def start(self, like: Float[Tensor, "n m c"]) -> Tensor:
        """What is kept before the first frame."""
        ...

    def add(
        self,
        kept: Tensor,
        x: Float[Tensor, "n m c"],
        count: Int[Tensor, " n"],
        exists: Bool[Tensor, " n"],
    ) -> tuple[Tensor, Float[Tensor, "n m c"]]:
        """What is kept with one frame more (the count-th, where it exists), and the mean."""
        ...


class SinceStart:
    """The mean of all frames since the start."""

    def start(self, like: Float[Tensor, "n m c"]) -> Float[Tensor, "n m c"]:
        """The mean of nothing."""
        return torch.zeros_like(like, memory_format=torch.contiguous_format)

    def add(
        self,
        kept: Float[Tensor, "n m c"],
        x: Float[Tensor, "n m c"],
        count: Int[Tensor, " n"],
        exists: Bool[Tensor, " n"],
    ) -> tuple[Float[Tensor, "n m c"], Float[Tensor, "n m c"]]:
        """A running mean: unlike a running sum, it stays exact however long it runs."""
        share = exists.to(x.dtype) / count.clamp(min=1)
        mean = kept + (x - kept) * share[:, None, None]
        return mean, mean


class LastFrames:
    """The mean of the last `length` frames, or of those there are."""

    def __init__(self, length: int) -> None:
        self.length = length

    def start(self, like: Float[Tensor, "n m c"]) -> Float[Tensor, "n w m c"]:
        """No frames yet."""
        n, m, c = like.shape
        return like.new_zeros(n, self.length, m, c)

    def add(
        self,
        kept: Float[Tensor, "n w m c"],
        x: Float[Tensor, "n m c"],
        count: Int[Tensor, " n"],
        exists: Bool[Tensor, " n"],
    ) -> tuple[Float[Tensor, "n w m c"], Float[Tensor, "n m c"]]:
        """The oldest makes room."""
        moved = torch.cat([kept[:, 1:], x[:, None]], dim=1)
        kept = torch.where(exists[:, None, None, None], moved, kept)
        return kept, kept.sum(dim=1) / count.clamp(1, self.length).to(x.dtype)[:, None, None]


def _folded(frames: Float[Tensor, "n m t v c"]) -> Float[Tensor, "b c t v"]:
    """Persons join the rows; channels last, as the frames lie in memory."""
    return frames.flatten(0, 1).permute(0, 3, 1, 2)


def _repeated(initial: Float[Tensor, "1 m c t v"], rows: int) -> Float[Tensor, "n m c t v"]:
    """The same for so many rows, channels last in memory."""
    return initial.movedim(2, 4).repeat(rows, 1, 1, 1, 1).movedim(4, 2)
