"""A network frame by frame: the same scores as for the whole clip, a fixed delay later.

    stream = Stream(network)               # a network that can (STGCN, LiveGCN, ...)
    for frame in frames:                   # (n, m, v, c): n tracks, m persons in each
        said = stream.push(frame)          # None for the first `stream.delay` frames
    said = stream.finish()                 # equal to network(clip)

Frames must be normalised as the network was trained. How layers remember is told by
`skeldistill.networks.through_time`; one step as a pure function, for exports, is
`skeldistill.deploy.streaming_step.StreamingStep` (here as ``stream.step``).
"""

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from skeldistill.deploy.folding import folded
from skeldistill.deploy.streaming_step import Said, StreamingStep
from skeldistill.networks.network import Network
from skeldistill.prediction import Prediction, presence


class Stream:
    """Several tracks (rows) that a network recognises while they go on.

    After every frame of a clip was pushed, `finish` says what ``network(clip)`` says, for clips of
    any length; where the network takes only some lengths (`frame_counts`), its layers still take
    all. While they go on, `push` says what is known of the frames so far: with a temporal stride
    s, its scores change with every s-th frame. Rows may be reset and ended on their own, so that
    tracks of different ages share one batch.

    delay: frames after a frame that are needed before its result is out.
    receptive_field: frames that one frame of the features sees; `ENDLESS` (of `through_time`) where
        it sees all before it (DeepLSTM).

    Args:
        network: a network of the shelf that can run frame by frame; a copy of it is used, its
            batch norms folded.
        window: pool over the last so many frames (in whole strides) instead of since the start.
        features: whether `finish` returns the features of all frames (of the window, if there is
            one). Without, it returns the last frame's, and memory never grows: for cameras.

    Raises:
        ValueError: the network cannot run frame by frame.
    """

    def __init__(
        self, network: Network, window: int | None = None, *, features: bool = True
    ) -> None:
        network.through_time()  # before the work of folding
        self.step = StreamingStep(folded(network), window)
        self.delay, self.receptive_field = self.step.delay, self.step.receptive_field
        self._every_frame = window is None and features
        self._kept_maps: int | None = None if self._every_frame else 1
        if window is not None and features:
            self._kept_maps = -(-window // self.step.frames)
        self._frames = np.zeros(0, np.int64)
        self.reset()

    @torch.inference_mode()
    def push(self, frame: Float[Tensor, "n m v c"]) -> Prediction | None:
        """Take the next frame of every track, and say what is known by now.

        Args:
            frame: as many rows as in the first frame after the start, or a `reset` of all.

        Returns:
            The scores of what is pooled up to now, with the newest frame of the features; None
            while no track is past its delay. Tracks that are not yet have scores of 0, and nobody
            is present in them.

        Raises:
            ValueError: the frame's shape is wrong.
        """
        self._check(frame)
        if not len(self._frames):
            self._begin(len(frame))
        slots = (self._frames + self.step.phase) % self.step.frames
        if (slots == slots[0]).all():
            self._pending[:, :, slots[0]] = frame
        else:
            self._pending[torch.arange(len(slots)), :, torch.from_numpy(slots)] = frame
        self._frames += 1
        due = np.flatnonzero(slots == self.step.frames - 1)
        if len(due):
            self._advance(due)
        return self._latest if (self._steps > self.step.lag).any() else None

    @torch.inference_mode()
    def finish(self, tracks: Sequence[int] | None = None) -> Prediction:
        """End the clips of some tracks, or of all, and say what the network says about them.

        The tracks are reset; they are answered in the order in which they are named. Where clips
        differ in length, the features of shorter ones are followed by zeros, and nobody is present
        there.

        Raises:
            ValueError: no frame was pushed, or there is no such track.
        """
        rows = self._rows(tracks)
        if not len(rows) or not self._frames[rows].all():
            raise ValueError("a clip without frames cannot be finished; push its frames first")
        for row in rows:
            slot = (self._frames[row] + self.step.phase) % self.step.frames
            self._pending[row, :, slot:] = 0
        at = self.step.state_names.index("length")
        ends = torch.from_numpy(self._frames[rows]).to(self._state[at])
        self._state[at] = _with(self._state[at], torch.from_numpy(rows), ends)
        needed = -(-self._frames // self.step.frames) + self.step.lag
        while len(due := np.sort(rows[self._steps[rows] < needed[rows]])):
            self._advance(due, ending=True)
            self._pending[torch.from_numpy(due)] = 0
        said = self._whole(rows)
        self.reset(tracks)
        return said

    @torch.inference_mode()
    def reset(self, tracks: Sequence[int] | None = None) -> None:
        """Forget the frames of some tracks, which start anew with the next frame; None: of all.

        After a reset of all, another number of tracks may be pushed.

        Raises:
            ValueError: there is no such track.
        """
        if tracks is None:
            self._frames = self._steps = np.zeros(0, np.int64)
            self._state: list[Tensor] = []
            return
        rows = self._rows(tracks)
        if not len(rows):
            return
        self._frames[rows] = self._steps[rows] = 0
        self._put(rows, self.step.start(len(rows)))
        index = torch.from_numpy(rows)
        self._pending[index] = 0
        logits, features, present, _ = self._latest
        self._latest = Prediction(
            _with(logits, index, 0), _with(features, index, 0), _with(present, index, False)
        )
        for row in rows:
            self._past[row] = _Past(self._kept_maps)

    def _begin(self, n: int) -> None:
        network = self.step.network
        m, v, c = network.persons, network.layout.num_joints, network.channels
        like = next(network.parameters())
        self._frames, self._steps = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self._state = self.step.start(n)
        self._pending = like.new_zeros(n, m, self.step.frames, v, c)
        self._past = [_Past(self._kept_maps) for _ in range(n)]
        features = like.new_zeros(n, m, network.feature_channels, 1, self.step.vertices)
        present = torch.zeros(n, m, 1, dtype=torch.bool, device=like.device)
        self._latest = Prediction(like.new_zeros(n, network.classes), features, present)

    def _advance(self, rows: np.ndarray, ending: bool = False) -> None:
        """Let some rows, whose pending frames are complete, do a step."""
        everything, index = len(rows) == len(self._frames), torch.from_numpy(rows)
        steady = not ending and bool(self._steps[rows].min() >= self.step.warm)
        frames = self._pending if everything else self._pending[index]
        state = self._state if everything else [part[index] for part in self._state]
        said, state = self.step(frames, state, steady)
        if everything:
            self._state = state
        else:
            self._put(rows, state)
        number = self._steps[rows] - self.step.lag
        exists = number >= 0
        if ending:
            exists &= number * self.step.frames < self._frames[rows]
        self._steps[rows] += 1
        self._say(rows, said, exists)

    def _put(self, rows: np.ndarray, state: list[Tensor]) -> None:
        """Let some rows have this state."""
        for part, new in zip(self._state, state, strict=True):
            part[torch.from_numpy(rows)] = new

    def _say(self, rows: np.ndarray, said: Said, exists: np.ndarray) -> None:
        """Remember what is new, for `push` and for `finish`."""
        if len(rows) == len(self._frames) and exists.all():
            self._latest = Prediction(said.logits, said.features, said.present)
        elif exists.any():
            index, new = torch.from_numpy(rows[exists]), torch.from_numpy(exists)
            self._latest = Prediction(
                _with(self._latest.logits, index, said.logits[new]),
                _with(self._latest.features, index, said.features[new]),
                _with(self._latest.present, index, said.present[new]),
            )
        for i, row in enumerate(rows):
            past = self._past[row]
            if self._every_frame:
                past.seen.append(said.seen[i])
            if exists[i]:
                past.maps.append((said.features[i], said.present[i]))

    def _whole(self, rows: np.ndarray) -> Prediction:
        """What is known of some rows whose clips have ended."""
        clips = [self._past[row].whole() for row in rows]
        longest = max(features.shape[2] for features, _ in clips)
        features = [_padded(features, longest, axis=2) for features, _ in clips]
        present = [_padded(present, longest, axis=1) for _, present in clips]
        if self._every_frame:
            for i, row in enumerate(rows):
                seen = torch.cat(list(self._past[row].seen), dim=1)[:, self.step.phase :]
                seen = seen[None, :, : self._frames[row], None, None].to(features[i].dtype)
                exact = presence(seen, clips[i][0].shape[2])[0]
                present[i] = _padded(exact, longest, axis=1)
        logits = self._latest.logits[torch.from_numpy(rows)]
        return Prediction(logits, torch.stack(features), torch.stack(present))

    def _rows(self, tracks: Sequence[int] | None) -> np.ndarray:
        n = len(self._frames)
        rows = np.array(range(n) if tracks is None else list(dict.fromkeys(tracks)), np.int64)
        if len(rows) and (rows.min() < 0 or rows.max() >= n):
            raise ValueError(f"there are {n} tracks, 0 to {n - 1}; got {list(tracks or ())}")
        return rows

    def _check(self, frame: Tensor) -> None:
        network, n = self.step.network, len(self._frames)
        expected = (network.persons, network.layout.num_joints, network.channels)
        if frame.ndim != 4 or not len(frame) or frame.shape[1:] != expected:
            raise ValueError(
                f"{type(network).__name__} expects a frame of shape (n, m, v, c) with (m, v, c) "
                f"{expected}, got shape {tuple(frame.shape)}"
            )
        if n and len(frame) != n:
            raise ValueError(
                f"the stream has {n} tracks, got a frame of {len(frame)}; reset() it to change that"
            )


class _Past:
    """What one track's `finish` needs of the frames before."""

    def __init__(self, length: int | None) -> None:
        self.maps: deque[tuple[Tensor, Tensor]] = deque(maxlen=length)
        self.seen: list[Tensor] = []

    def whole(self) -> tuple[Float[Tensor, "m c s v"], Bool[Tensor, "m s"]]:
        features, present = zip(*self.maps, strict=True)
        return torch.cat(features, dim=2), torch.cat(present, dim=1)


def _with(whole: Tensor, index: Tensor, part: Tensor | int) -> Tensor:
    """A copy with other rows at some places."""
    changed = whole.clone()
    changed[index] = part
    return changed


def _padded(x: Tensor, length: int, axis: int) -> Tensor:
    """Zeros behind it, up to a length."""
    return torch.cat(
        [x, x.new_zeros(*x.shape[:axis], length - x.shape[axis], *x.shape[axis + 1 :])], dim=axis
    )
