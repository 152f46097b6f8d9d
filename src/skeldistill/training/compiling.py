"""Networks compiled by ``torch.compile`` while they train, and computed as ever where that fails.

A network is compiled in place, so that its modules keep their names. What is compiled is decided
in a trial before the first step: there a missing compiler or an operation that it does not know is
found out, and not in the middle of a training. Later nothing is compiled anew.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import islice

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from skeldistill import processes
from skeldistill.data.dataset import Examples
from skeldistill.distillation.distill import Distiller
from skeldistill.recipe import Training

LOG = logging.getLogger(__name__)


def compiled_for(
    fabric: Fabric,
    distiller: Distiller,
    examples: Examples,
    training: Training,
    *,
    revised: bool,
) -> list[nn.Module]:
    """Compile what can be, if it is wanted: the teacher, and a student that is not revised.

    Revision walks the graph that autograd keeps of the student, of which a compiled network leaves
    one node.

    Args:
        fabric: where the networks stand by now, in the precision that they train in.
        distiller: student and teacher.
        examples: training clips, of which two batches are tried.
        training: says whether it is wanted.
        revised: whether gradients are.

    Returns:
        What was compiled; for `leave_eager`.
    """
    if not training.compile:
        return []
    if processes.count() > 1:
        LOG.warning("several processes normalise batches together, which cannot be compiled")
        return []
    networks: list[nn.Module] = []
    if not revised or not distiller.losses:
        networks.append(distiller.student)
    if distiller.teacher is not None and examples.teacher is not None:  # it is asked in every step
        networks.append(distiller.teacher)

    def trial() -> None:
        # two, since how many clips have a match may differ, which has to be seen
        for batch in islice(examples.training(training.batch_size, seed=0, epoch=0), 2):
            with fabric.autocast():
                _, task, terms = distiller(batch.to(fabric.device), 0)
            fabric.backward(task + sum(terms.values()))
        distiller.zero_grad(set_to_none=True)

    distiller.train()
    changed = [*distiller.buffers(), *distiller.parameters()]  # RA-GCN's masks are parameters
    if networks and compile_networks(networks, trial, changed):
        return networks
    return []


def compile_networks(
    networks: Sequence[nn.Module], trial: Callable[[], object], changed: Iterable[Tensor]
) -> bool:
    """Compile networks in place, unless that fails: then all stay eager, and the log says so.

    Args:
        networks: those to compile.
        trial: computes with them as a step does, there and back. All sizes that should be computed
            by compiled code must occur in it: see `compiled_alone`.
        changed: what a step changes by itself, such as running statistics; after the trial they
            are what they were before.

    Returns:
        Whether they are compiled.
    """
    before = [(tensor, tensor.detach().clone()) for tensor in changed]
    try:
        for network in networks:
            network.compile(options={"fallback_random": True})  # dropout as ever
        trial()
    except Exception as error:  # of many kinds: whatever the compiler says
        LOG.warning("torch.compile fails, so all is computed without: %s", _first_line(error))
        leave_eager(networks)
        return False
    finally:
        with torch.no_grad():
            for tensor, was in before:
                tensor.copy_(was)
    return True


def leave_eager(networks: Sequence[nn.Module]) -> None:
    """Undo `compile_networks`."""
    for network in networks:
        network._compiled_call_impl = None  # torch has no word for it


def compiled_alone(compiled: bool) -> AbstractContextManager:
    """A context in which nothing is compiled anew: what the trial did not see is computed eagerly.

    So no step waits for a compiler, or fails by it, because its batch is smaller than others.
    """
    return torch.compiler.set_stance("eager_on_recompile") if compiled else nullcontext()


def _first_line(error: Exception) -> str:
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
