"""How maps pass a network in time: what a network says so that it can run frame by frame.

A network that can run so defines ``through_time() -> Path``: the way of the joints' map
``(b, c, t, v)`` to its last map, which is then pooled by the mean and scored by ``classifier``.
Paths are built from few parts:

- `EachFrame`: a function that treats every frame alone (joints, channels, normalisation, ReLU);
- `Window`: a function of some frames around (`path` makes it from convolutions and largest values);
- `Recurrent`: a function of a frame and of what it knew after the frame before;
- `InTurn`: one path after another;
- `Together`: paths side by side, brought to the same moment and combined (residuals, branches).

A path takes a `Chunk`, the next few frames, and gives the next few of its own. What it must
remember of earlier chunks goes through a `Passage`, never into the path itself: a step is a pure
function of the frames and of what was kept.

    chunk of joints   t   t+1  t+2  t+3 |
    after a window    t-4 t-3  t-2  t-1 |  two frames around: a lag of 2 ... and so on

The whole-clip network pads every layer with zeros (or nothing, for largest values) at both ends of
the clip. So what a layer says about frames outside the clip must not reach the next window:
`Passage.within` replaces it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.networks.blocks import Dropout

ENDLESS = 2**40
"""A length that no clip reaches."""


class Timing(NamedTuple):
    """Which frames the chunks of one map hold.

    frames: how many. lag: how many of its own frames it is behind. stride: how many of the
    clip's frames one of them stands for. before, after: the clip's frames that one of them sees
    on either side.
    """

    frames: int
    lag: int = 0
    stride: int = 1
    before: int = 0
    after: int = 0


class Chunk(NamedTuple):
    """The next frames of a map, for the persons of all rows."""

    x: Float[Tensor, "b c t v"]
    timing: Timing


class Passage:
    """What one step remembers: hands every layer what it kept, and collects what it keeps now.

    Args:
        past: what the step before collected, in the same order, each ``(n, m, c, t, v)`` of the
            last few frames of a map; None at the very start.
        position: the step's number since each row's start; None where all frames are known to
            lie within their clips.
        length: frames of each row's clip, `ENDLESS` until known.
    """

    def __init__(
        self,
        past: Sequence[Tensor] | None,
        position: Int[Tensor, " n"] | None,
        length: Int[Tensor, " n"],
    ) -> None:
        self.past = None if past is None else iter(past)
        self.position, self.length = position, length
        self.kept: list[Tensor] = []
        self.initial: list[Tensor] = []
        self.warm = 0
        """Steps after which no frame from before the clip is met any more."""

    def continued(
        self, x: Float[Tensor, "b c t v"], frames: int, fill: float = 0.0
    ) -> Float[Tensor, "b c s v"]:
        """The chunk with so many frames of the past before it; `fill` at the start."""
        if frames <= 0:
            return x[:, :, -frames:]
        if self.past is None:
            b, c, _, v = x.shape
            n = self.length.shape[0]
            past = x.new_full((n, b // n, frames, v, c), fill).movedim(4, 2)  # channels last
            self.initial.append(past)
        else:
            past = next(self.past)
        whole = torch.cat([past.flatten(0, 1), x], dim=2)
        self.kept.append(whole[:, :, -frames:].unflatten(0, past.shape[:2]))
        return whole

    def known(self, start: Float[Tensor, "n m c t v"]) -> Float[Tensor, "n m c t v"]:
        """What a recurrent layer knew after the chunk before; `start` at the start."""
        if self.past is None:
            self.initial.append(start)
            return start
        return next(self.past)

    def within(self, chunk: Chunk, fill: float) -> Float[Tensor, "b c t v"]:
        """The chunk with `fill` in place of frames that lie before the clip or after its end."""
        frames, lag = chunk.timing[:2]
        self.warm = max(self.warm, -(-lag // frames))
        if self.position is None:
            return chunk.x
        inside = existing(self.position, self.length, chunk.timing)
        rows = chunk.x.unflatten(0, (inside.shape[0], -1))  # persons apart
        return torch.where(inside[:, None, None, :, None], rows, fill).flatten(0, 1)


def existing(
    position: Int[Tensor, " n"], length: Int[Tensor, " n"], timing: Timing
) -> Bool[Tensor, "n t"]:
    """Which frames of a chunk exist: neither before the start nor after the end."""
    first = position * timing.frames - timing.lag
    number = first[:, None] + torch.arange(timing.frames, device=first.device)
    return (number >= 0) & (number * timing.stride < length[:, None])


class Path:
    """A way through (a part of) a network, frame by frame."""

    def __call__(self, chunk: Chunk, passage: Passage) -> Chunk:
        """The next frames of what comes out."""
        raise AssertionError("every path defines __call__")


class EachFrame(Path):
    """A function of maps that treats every frame alone."""

    def __init__(
        self, function: Callable[[Float[Tensor, "b c t v"]], Float[Tensor, "b d t w"]]
    ) -> None:
        self.function = function

    def __call__(self, chunk: Chunk, passage: Passage) -> Chunk:
        """Apply it."""
        return chunk._replace(x=self.function(chunk.x))


class Window(Path):
    """A function of `before` frames, the frame itself and `after` frames, for every stride-th.

    Args:
        function: takes ``before + t + after`` frames, gives every stride-th of the t in the
            middle; a few frames more at the end must make no difference to it.
        before: frames that it sees before a frame.
        after: frames that it sees after a frame; they are what makes it lag behind.
        stride: of how many frames one is computed.
        fill: what frames outside the clip hold.
    """

    def __init__(
        self,
        function: Callable[[Float[Tensor, "b c t v"]], Float[Tensor, "b d s v"]],
        *,
        before: int,
        after: int,
        stride: int = 1,
        fill: float = 0.0,
    ) -> None:
        self.function, self.before, self.after = function, before, after
        self.stride, self.fill = stride, fill

    def __call__(self, chunk: Chunk, passage: Passage) -> Chunk:
        """As many frames as now have all their frames after them."""
        now, stride = chunk.timing, self.stride
        # The newest frame j of a step is the last one with j * stride + after within the chunk.
        lag = -(-(now.lag + self.after - stride + 1) // stride)
        x = passage.within(chunk, self.fill)
        x = passage.continued(x, lag * stride + self.before - now.lag, self.fill)
        timing = Timing(
            frames=now.frames // stride,
            lag=lag,
            stride=now.stride * stride,
            before=now.before + self.before * now.stride,
            after=now.after + self.after * now.stride,
        )
        return Chunk(self.function(x), timing)


class Recurrent(Path):
    """A function of every frame and of what it knew after the frame before it.

    It must come before any `Window` that lags, since it would take frames from before the clip.

    Args:
        function: takes frames and what it knew, ``(n, *size, 1)``; gives as many frames, and what
            it knows now.
        size: of what it knows, which is zeros before the first frame.
    """

    def __init__(
        self,
        function: Callable[
            [Float[Tensor, "n c t v"], Float[Tensor, "n m d k 1"]],
            tuple[Float[Tensor, "n d t v"], Float[Tensor, "n m d k 1"]],
        ],
        size: tuple[int, int, int],
    ) -> None:
        self.function, self.size = function, size

    def __call__(self, chunk: Chunk, passage: Passage) -> Chunk:
        """As many frames as came in; each sees all before it."""
        assert chunk.timing.lag == 0, "frames from before the clip would be remembered"
        start = chunk.x.new_zeros(passage.length.shape[0], *self.size, 1)
        x, now = self.function(chunk.x, passage.known(start))
        passage.kept.append(now)
        return Chunk(x, chunk.timing._replace(before=ENDLESS))


class InTurn(Path):
    """One path after another."""

    def __init__(self, *paths: Path) -> None:
        self.paths = paths

    def __call__(self, chunk: Chunk, passage: Passage) -> Chunk:
        """Through all of them."""
        for each in self.paths:
            chunk = each(chunk, passage)
        return chunk


class Together(Path):
    """Paths side by side; those that are ahead wait for the last one, then all are combined."""

    def __init__(
        self,
        *paths: Path,
        combine: Callable[[list[Float[Tensor, "b _ t v"]]], Float[Tensor, "b d t v"]],
    ) -> None:
        self.paths, self.combine = paths, combine

    def __call__(self, chunk: Chunk, passage: Passage) -> Chunk:
        """All of them, at the same moment."""
        ends = [each(chunk, passage) for each in self.paths]
        lag = max(end.timing.lag for end in ends)
        frames = ends[0].timing.frames
        maps = [passage.continued(end.x, lag - end.timing.lag)[:, :, :frames] for end in ends]
        timing = ends[0].timing._replace(
            lag=lag,
            before=max(end.timing.before for end in ends),
            after=max(end.timing.after for end in ends),
        )
        return Chunk(self.combine(maps), timing)


def as_one_vertex(x: Float[Tensor, "b c t v"], persons: int) -> Float[Tensor, "n d t 1"]:
    """All channels of all joints of all persons of a row as the channels of one vertex."""
    rows = x.unflatten(0, (-1, persons))
    return rows.permute(0, 1, 4, 2, 3).flatten(1, 3)[..., None]


def added(maps: list[Float[Tensor, "b c t v"]]) -> Float[Tensor, "b c t v"]:
    """The sum of some maps, in their order."""
    return sum(maps[1:], start=maps[0])


def residual(main: Path, beside: nn.Module | None) -> Path:
    """A path with a residual connection beside it, where there is one, and a ReLU at the end."""
    both = main if beside is None else Together(main, path(beside), combine=added)
    return InTurn(both, EachFrame(functional.relu))


def path(module: nn.Module) -> Path:
    """The path of a layer, a sequence of layers, or whatever has a method ``through_time()``.

    Raises:
        ValueError: the module is none of these, so nobody knows how it treats time.
    """
    own = getattr(module, "through_time", None)
    if own is not None:
        return own()
    if isinstance(module, nn.Sequential):
        return InTurn(*(path(layer) for layer in module))
    if isinstance(module, nn.Conv2d | nn.MaxPool2d):
        return _over_frames(module)
    if isinstance(module, FRAMEWISE):
        return EachFrame(module)
    raise ValueError(
        f"{type(module).__name__} does not say how it treats time, so it cannot run frame by "
        "frame; give it a method through_time()"
    )


FRAMEWISE = (nn.BatchNorm2d, nn.Identity, nn.ReLU, nn.SiLU, nn.Hardswish, Dropout)
"""Layers that, in evaluation, treat every value or every frame alone."""


def _over_frames(layer: nn.Conv2d | nn.MaxPool2d) -> Path:
    kernel, stride, padding, dilation = (
        _over_time(size)
        for size in (layer.kernel_size, layer.stride, layer.padding, layer.dilation)
    )
    if isinstance(layer, nn.Conv2d) and kernel == stride == layer.groups == 1:
        return EachFrame(partial(convolved, layer))
    if 2 * padding != dilation * (kernel - 1):
        raise ValueError(
            f"a layer over {kernel} frames, {dilation} apart, padded with {padding} changes the "
            f"number of frames; pad with {dilation * (kernel - 1) / 2:g} to run frame by frame"
        )
    fill = 0.0
    if isinstance(layer, nn.Conv2d):
        function = partial(convolved, layer)
    else:
        function = nn.MaxPool2d((kernel, 1), (stride, 1), dilation=(dilation, 1))
        fill = float("-inf")
    return Window(function, before=padding, after=padding, stride=stride, fill=fill)


def _over_time(size: int | str | tuple[int, ...] | None) -> int:
    """What a layer's setting says about the first axis of two, time."""
    first = size[0] if isinstance(size, tuple) else size
    assert isinstance(first, int)
    return first


def convolved(layer: nn.Conv2d, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d s v"]:
    """A convolution over time without its padding, which the frames around take the place of.

    For a few frames, one matrix product is faster on CPUs than PyTorch's convolutions.
    """
    (kernel, _), (stride, _), (dilation, _) = layer.kernel_size, layer.stride, layer.dilation
    if layer.groups > 1:
        steps, apart = (stride, 1), (dilation, 1)
        return functional.conv2d(x, layer.weight, layer.bias, steps, 0, apart, layer.groups)
    last = x.shape[2] - dilation * (kernel - 1)
    frames = x.permute(0, 2, 3, 1)
    if kernel > 1 or stride > 1:
        shifts = range(0, dilation * kernel, dilation)
        frames = torch.cat([frames[:, i : i + last : stride] for i in shifts], dim=3)
    weight = layer.weight.permute(0, 2, 3, 1).flatten(1)  # no copy where channels come last
    return functional.linear(frames, weight, layer.bias).permute(0, 3, 1, 2)
