"""A network as a program of tensor operations, which no code of ours is needed to run."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from skeldistill.deploy.folding import folded
from skeldistill.networks.network import Network


class Scores(nn.Module):
    """A network of which only the scores are wanted."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Float[Tensor, "n k"]:
        """The logits alone."""
        return self.network(joints).logits


@dataclass(frozen=True, kw_only=True)
class Program:
    """What `program_of` makes: joints ``(n, m, t, v, c)`` to logits ``(n, k)``, for any n.

    program: of torch.export, batch norms folded. frames: the one number of frames that it takes;
    None if it takes as many as the network does.
    """

    program: ExportedProgram
    frames: int | None

    @property
    def fewest(self) -> int:
        """The fewest frames that it takes: what the tracer took for granted stays true."""
        if self.frames is not None:
            return self.frames
        (name,) = self.program.graph_signature.user_inputs
        joints = next(node for node in self.program.graph.nodes if node.name == name).meta["val"]
        return int(self.program.range_constraints[joints.shape[2].node.expr].lower)


def program_of(network: Network, frames: int, *, any_frames: bool = True) -> Program:
    """The network as a program, for clips of `frames` frames and, where possible, of others.

    Args:
        network: left as it was.
        frames: what it usually sees.
        any_frames: try to leave the number of frames open.

    Raises:
        ValueError: it holds something that a program cannot say.
    """
    scores = Scores(folded(network)).eval()
    batches, times = {0: Dim.DYNAMIC}, {2: Dim.DYNAMIC}
    tries: list[tuple[dict[int, Any], int | None]] = [(batches, frames)]
    if any_frames:
        tries.insert(0, (batches | times, None))
    refusal: Exception | None = None
    for axes, fixed in tries:
        try:
            with quietly():
                program = torch.export.export(
                    scores, (example(network, frames),), dynamic_shapes=(axes,)
                )
        except Exception as error:  # whatever the tracer could not follow
            refusal = refusal or error
            continue
        return Program(program=program, frames=fixed)
    raise ValueError(refused(network, "torch.export", refusal)) from refusal


def example(network: Network, frames: int, n: int = 3) -> Float[Tensor, "n m t v c"]:
    """Some clips of made-up joints; the same in every run.

    By default 3: what is 1 or 2 would be taken for a number that never changes.
    """
    shape = (n, network.persons, frames, network.layout.num_joints, network.channels)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def refused(network: Network, by: str, error: Exception | None) -> str:
    """One line on why a network cannot be exported."""
    text = " ".join(str(error).split())
    return f"{type(network).__name__} cannot be exported: {by} says: {text[:200]}"


@contextmanager
def quietly() -> Iterator[None]:
    """Exporters warn about their own inner life, which the user can do nothing about."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(before)
