"""What a network costs for one clip: parameters, multiply-adds, memory, time.

Everything is measured on our own network, whose order of operations may be cheaper than the
authors' (`GraphConvolution` gathers from the neighbours first): ST-GCN with the spatial partition,
25 joints, 300 frames and 2 persons needs 17.09 G multiply-adds in the official order and a little
less here.
"""

import copy
import math
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from skeldistill.networks.network import Network


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What one clip costs.

    parameters: trainable numbers. multiply_adds: of matrix products and convolutions, one each.
    peak_memory: bytes of the intermediate results alive at once, weights not included.
    latency_ms: median milliseconds of the processor's time on one thread.
    """

    parameters: int
    multiply_adds: int
    peak_memory: int
    latency_ms: float


def measure(network: Network, frames: int, repeats: int = 5) -> Cost:
    """All costs of one clip of so many frames; the network is left as it was."""
    return Cost(
        parameters=parameters(network),
        multiply_adds=multiply_adds(network, frames),
        peak_memory=peak_memory(network, frames),
        latency_ms=latency(network, frames, repeats),
    )


def parameters(network: nn.Module) -> int:
    """How many numbers training may change (frozen ones count: they could be)."""
    return sum(weight.numel() for weight in network.parameters())


def multiply_adds(network: Network, frames: int) -> int:
    """Multiply-adds of one clip in matrix products and convolutions (half its FLOPs).

    Additions, normalisation and activations do not count, the sums over neighbouring joints do.
    """
    still, clip = _ready(network, frames)
    lstm = torch.ops.aten.lstm  # one operation, which the counter does not know by either name
    unknown: dict[Any, Any] = dict.fromkeys((lstm, lstm.input), _recurrent_flops)
    unknown[torch.ops.aten.baddbmm_] = _added_product_flops
    counter = FlopCounterMode(display=False, custom_mapping=unknown)
    with torch.inference_mode(), counter:
        still(clip)
    return counter.get_total_flops() // 2


def _recurrent_flops(
    frames: Sequence[int], _: Any, weights: Sequence[Sequence[int]], *__: Any, **___: Any
) -> int:
    """FLOPs of recurrent layers, from the shapes of their input (n, t, d), weights and biases."""
    return 2 * frames[0] * frames[1] * sum(math.prod(one) for one in weights if len(one) == 2)


def _added_product_flops(
    _: Any, first: Sequence[int], second: Sequence[int], *__: Any, **___: Any
) -> int:
    """FLOPs of batches of products that are added in place, (b, n, m) and (b, m, p)."""
    return 2 * math.prod(first) * second[2]


def peak_memory(network: Network, frames: int) -> int:
    """The most bytes of results alive at once while one clip is recognised, weights apart.

    From the sizes of all tensors that operations return; a library's scratch space inside an
    operation is not seen.
    """
    still, clip = _ready(network, frames)
    with torch.inference_mode(), _Memory() as memory:
        still(clip)
    return memory.peak


def latency(network: Network, frames: int, repeats: int = 5) -> float:
    """Median milliseconds from one clip's joints to its scores, on one CPU thread.

    Of the processor's time: what other programs, or a progress bar, take does not count.
    """
    still, clip = _ready(network, frames)
    spent = []
    with torch.inference_mode(), one_thread():
        still(clip)
        for _ in range(repeats):
            began = time.thread_time()
            still(clip)
            spent.append(time.thread_time() - began)
    return 1000 * sorted(spent)[len(spent) // 2]


def _ready(network: Network, frames: int) -> tuple[Network, Float[Tensor, "n m t v c"]]:
    """A copy on the CPU, in evaluation mode, and a clip for it."""
    if frames < 1:
        raise ValueError(f"the cost of a clip needs at least 1 frame, got {frames}")
    still = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    shape = (1, still.persons, frames, still.layout.num_joints, still.channels)
    return still, torch.ones(shape, dtype=next(still.parameters()).dtype)


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch computes on one thread within the block."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Memory(TorchDispatchMode):
    """Adds up the storages that operations return, until they are freed."""

    def __init__(self) -> None:
        super().__init__()
        self.alive = 0
        self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        before = {t.untyped_storage()._cdata for t in tree_leaves(args) if isinstance(t, Tensor)}
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage(), before)
        return result

    def _see(self, storage: torch.UntypedStorage, before: set[int]) -> None:
        place, size = storage._cdata, storage.nbytes()
        if place in before or place in self._known:
            return  # a view, or changed in place
        self._known.add(place)
        self.alive += size
        self.peak = max(self.peak, self.alive)
        weakref.finalize(storage, self._free, place, size)

    def _free(self, place: int, size: int) -> None:
        self._known.discard(place)
        self.alive -= size
