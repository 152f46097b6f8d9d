"""Several processes that train one network together, as torchrun starts them.

Every process takes its share of each batch. Within `together` a loss is this process's share of the
loss of the whole batch: the shares, and so their gradients, add up over the processes. Where there
is one process, all functions here do nothing.
"""

import datetime
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, distributed

PATIENCE = datetime.timedelta(days=7)
"""How long a process waits for others: the first evaluates, or waits for another machine, alone.

A process that died is noticed all the same: by torchrun, and by its closed connections.
"""

Gradient = Sequence[Tensor | None]

_clips: ContextVar[int | None] = ContextVar("clips", default=None)


def count() -> int:
    """How many processes train together."""
    return _number("WORLD_SIZE", 1)


def rank() -> int:
    """Which of them this one is; the first, 0, alone writes files and talks."""
    return _number("RANK", 0)


def first() -> bool:
    """Whether this is the process that writes files and talks."""
    return rank() == 0


def _number(name: str, default: int) -> int:
    value = os.environ.get(name, "") or str(default)
    if not value.isdigit():
        raise ValueError(f"{name} is {value!r} in the environment; torchrun sets it to a number")
    return int(value)


def device() -> torch.device:
    """The device of this process, where there are several."""
    if torch.cuda.is_available():
        return torch.device("cuda", _number("LOCAL_RANK", 0) % torch.cuda.device_count())
    return torch.device("cpu")


@contextmanager
def joined() -> Iterator[None]:
    """Meet the other processes that torchrun has started, if any, and part at the end.

    Raises:
        ValueError: the environment names several processes, but not where they meet; or one of
            them has ended.
    """
    if count() == 1 or distributed.is_initialized():
        yield
        return
    if missing := [
        name for name in ("RANK", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ
    ]:
        raise ValueError(
            f"WORLD_SIZE is {count()} in the environment but {', '.join(missing)} is missing; "
            "start with torchrun, or unset WORLD_SIZE"
        )
    backend = "gloo"
    if device().type == "cuda":
        torch.cuda.set_device(device())
        # of two processes on one device the faster library wants nothing to do
        alone = torch.cuda.device_count() >= _number("LOCAL_WORLD_SIZE", count())
        backend = "nccl" if alone and distributed.is_nccl_available() else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield
    except RuntimeError as error:
        if "Connection" not in str(error):  # as gloo says it of a process that is no more
            raise
        raise ValueError("another process has ended, and says why itself") from error
    finally:
        distributed.destroy_process_group()


def require_joined() -> None:
    """Refuse to train a share of the clips without the processes that have the others."""
    if count() > 1 and not distributed.is_initialized():
        raise ValueError(
            f"WORLD_SIZE is {count()} in the environment, but this process has not joined the "
            "others; train within processes.joined(), or unset WORLD_SIZE"
        )


def wait_for_all() -> None:
    """Go on when every process has come here."""
    if distributed.is_initialized():
        summed(torch.zeros(1, device=_meeting_place()))


@contextmanager
def first_goes_ahead() -> Iterator[None]:
    """The others begin when the first process has ended, so that they find its files."""
    if not first():
        wait_for_all()
    yield
    if first():
        wait_for_all()


def told(value: int) -> int:
    """What the first process says."""
    if not distributed.is_initialized():
        return value
    said = torch.tensor([value], device=_meeting_place())
    distributed.broadcast(said, 0)
    return int(said)


def share_of(clips: int) -> slice:
    """Which clips of a batch this process takes; shares differ by one clip at most."""
    return slice(clips * rank() // count(), clips * (rank() + 1) // count())


@contextmanager
def together(clips: int) -> Iterator[None]:
    """A step on a batch of so many clips in all; sums below go over all processes.

    All processes must do the same in it, in the same order.
    """
    if count() == 1 or not distributed.is_initialized():
        yield
        return
    before = _clips.set(clips)
    try:
        yield
    finally:
        _clips.reset(before)


@contextmanager
def alone() -> Iterator[None]:
    """Within `together`: what follows looks at the clips of this process alone."""
    before = _clips.set(None)
    try:
        yield
    finally:
        _clips.reset(before)


def several() -> bool:
    """Whether this is a step that several processes take `together`."""
    return _clips.get() is not None


def share(clips: int) -> float:
    """What `clips` clips weigh in a mean over the whole batch."""
    every = _clips.get()
    return 1.0 if every is None else clips / every


def total(value: Shaped[Tensor, "*any"]) -> Shaped[Tensor, "*any"]:
    """The sum over the processes; a constant."""
    return summed(value.detach()) if several() else value


def total_with_gradient(value: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """The sum over the processes, through which the gradients of all of them pass."""
    return _Total.apply(value) if several() else value


def total_gradients(gradients: Gradient, parameters: Sequence[Tensor]) -> list[Tensor | None]:
    """Gradients of the whole batch, from every process's own.

    Args:
        gradients: a tensor a parameter, None where the loss does not touch it.
        parameters: in the same order.

    Returns:
        The sums; None where the loss touches the parameter in no process.
    """
    if not several() or not parameters:
        return list(gradients)
    # one long tensor and one exchange; behind the gradients stands which ones there are
    there = torch.tensor([float(one is not None) for one in gradients])
    parts = [
        (torch.zeros_like(parameter) if gradient is None else gradient).flatten()
        for gradient, parameter in zip(gradients, parameters, strict=True)
    ]
    long = torch.cat([*parts, there.to(parameters[0])])
    distributed.all_reduce(long)
    *sums, there = long.split([*(part.numel() for part in parts), len(parts)])
    # looked at, which waits for the device, only if some are missing here
    missing = any(one is None for one in gradients)
    present = (there > 0).tolist() if missing else [True] * len(parts)
    return [
        one.view_as(parameter).to(parameter.dtype) if is_there else None
        for one, parameter, is_there in zip(sums, parameters, present, strict=True)
    ]


def stacked(tensor: Shaped[Tensor, "*any"]) -> Shaped[Tensor, "every ..."]:
    """What all processes have of one shape, in order, as constants, in one exchange."""
    found = [torch.empty_like(tensor) for _ in range(count())]
    distributed.all_gather(found, tensor.detach().contiguous())
    return torch.stack(found)


def rows(tensor: Shaped[Tensor, "n ..."]) -> tuple[Shaped[Tensor, "every ..."], int]:
    """The rows of all processes in order, as constants, and where this one's begin."""
    if not several():
        return tensor, 0
    tensor = tensor.detach()
    mine = torch.zeros(count(), dtype=torch.long, device=tensor.device)
    mine[rank()] = len(tensor)
    lengths = summed(mine).tolist()
    padded = tensor.new_zeros(max(lengths), *tensor.shape[1:])
    padded[: len(tensor)] = tensor
    found = [torch.empty_like(padded) for _ in lengths]
    distributed.all_gather(found, padded)
    every = [one[:length] for one, length in zip(found, lengths, strict=True)]
    return torch.cat(every), sum(lengths[: rank()])


def as_the_first(tensors: Sequence[Tensor]) -> None:
    """Overwrite tensors with the first process's."""
    if distributed.is_initialized():
        for tensor in tensors:
            same = tensor.detach().contiguous()
            distributed.broadcast(same, 0)
            tensor.detach().copy_(same)


class _Total(torch.autograd.Function):
    """Every process's value moves the total, and the total every process's loss."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return summed(value)

    @staticmethod
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *cotangents: Tensor
    ) -> Tensor:
        return summed(cotangents[0])


def summed(value: Shaped[Tensor, "*any"]) -> Shaped[Tensor, "*any"]:
    """The sum over the processes, of which there are several, outside `together` too."""
    value = value.clone(memory_format=torch.contiguous_format)
    distributed.all_reduce(value)
    return value


def _meeting_place() -> torch.device:
    """Where tensors must lie that are sent."""
    on_device = distributed.get_backend() == "nccl"
    return device() if on_device else torch.device("cpu")
