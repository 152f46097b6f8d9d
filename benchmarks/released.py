"""Our step of SKD beside the released algorithm: ST-GCN, 300 frames, 25 joints, two persons.

What is called released follows the description of SKD's released code, in our own words: ST-GCN in
the authors' order and layout, every pair of vertices of a person at once, one backward pass a loss,
gradients flattened into one vector a loss, and the teacher, though never stepped, in the graph: KL
and node loss go backwards through it as well. A second baseline mends that last point alone.
"""

import time

import torch
from memory import peak
from skd import Setting, Step, distiller_and_batch, in_bf16, quick, revised
from timing import in_turn
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.data.batch import Batch
from skeldistill.distillation.distill import Distiller
from skeldistill.networks.blocks import GraphConvolution
from skeldistill.networks.stgcn import Block

SETTING = Setting(layout="ntu25", frames=300, clips=4, persons=2)
BASELINES = ("released", "released, teacher frozen")


def measure(rounds: int = 1) -> dict[str, float]:
    """Seconds and megabytes of a whole step, and ratios to the released algorithm."""
    distiller, batch = distiller_and_batch(SETTING)
    ours = {"revised": with_sgd(revised), "revised, quick": with_sgd(quick)}
    steps = {name: make(distiller, batch) for name, make in ours.items()}
    mixed, _ = distiller_and_batch(SETTING)
    steps["revised, bf16"] = with_sgd(revised)(in_bf16(mixed), batch)
    steps |= {name: prepare(name) for name in BASELINES}
    seconds = in_turn(steps, rounds, time.process_time)
    megabytes = {name: peak(prepare(name)) for name in ("revised", *BASELINES)}
    figures = {f"s, {name}": spent for name, spent in seconds.items()}
    figures |= {f"MB, {name}": much for name, much in megabytes.items()}
    for baseline in BASELINES:
        for name in (*ours, "revised, bf16"):
            ratio = seconds[baseline] / seconds[name]
            figures[f"times faster than {baseline}, {name}"] = ratio
        ratio = megabytes["revised"] / megabytes[baseline]
        figures[f"memory, revised / {baseline}"] = ratio
    return figures


def prepare(name: str) -> Step:
    made = distiller_and_batch(SETTING)
    if name == "revised":
        return with_sgd(revised)(*made)
    return released(*made, teacher_in_graph=name == "released")


def with_sgd(make):
    """The whole step, the optimiser's included."""

    def made(distiller: Distiller, batch: Batch) -> Step:
        optimiser = sgd(distiller)
        gradients = make(distiller, batch)

        def step() -> None:
            found, _ = gradients()
            for parameter, gradient in zip(distiller.parameters(), found, strict=True):
                parameter.grad = gradient
            optimiser.step()

        return step

    return made


def sgd(distiller: Distiller) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        distiller.parameters(), lr=1e-4, momentum=0.9, nesterov=True, weight_decay=1e-4
    )


def released(distiller: Distiller, batch: Batch, *, teacher_in_graph: bool) -> Step:
    """One step of the released algorithm on the same weights."""
    student, teacher = distiller.student, distiller.teacher
    assert teacher is not None
    teacher.requires_grad_(teacher_in_graph)
    for network in (student, teacher):
        in_authors_order(network)
    adaptation = distiller.losses["GraphMatching"].adaptation
    optimiser = sgd(distiller)
    parameters = list(distiller.parameters())

    def gradient(loss: Tensor) -> Tensor:
        optimiser.zero_grad(set_to_none=False)
        loss.backward(retain_graph=True)
        return torch.cat([parameter.grad.flatten() for parameter in parameters])

    def step() -> None:
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        said = student(batch.joints)
        taught = teacher(batch.teacher_joints)
        ours = adaptation(said.features).flatten(0, 1)
        theirs = taught.features.flatten(0, 1)
        kl = functional.kl_div(
            said.logits.log_softmax(1), taught.logits.softmax(1), reduction="batchmean"
        )
        lessons = [kl, all_edges(ours, theirs), functional.mse_loss(ours, theirs)]
        vectors = [gradient(loss) for loss in lessons]
        task = gradient(functional.cross_entropy(said.logits, batch.labels))
        total = task.clone()
        for vector in vectors:
            product = vector @ task
            total += vector if product >= 0 else vector - product / (task @ task) * task
        place = 0
        for parameter in parameters:
            size = parameter.numel()
            parameter.grad.copy_(total[place : place + size].view_as(parameter))
            place += size
        optimiser.step()

    return step


def all_edges(student: Tensor, teacher: Tensor) -> Tensor:
    """The edge loss with all pairs of a person's vertices at once, differentiated by autograd."""
    values = []
    for ours, theirs in zip(student, teacher, strict=True):
        with torch.no_grad():
            taught = distances(theirs)
            taught = taught / taught[taught > 0].mean()
        found = distances(ours)
        found = found / found[found > 0].mean()
        values.append(functional.smooth_l1_loss(found, taught))
    return torch.stack(values).mean()


def distances(person: Tensor) -> Tensor:
    vertices = person.flatten(1).T
    squares = vertices.square().sum(dim=1)
    products = vertices @ vertices.T
    squared = (squares[:, None] + squares[None, :] - 2 * products).clamp(min=1e-12)
    return squared.sqrt() * (1 - torch.eye(len(vertices)))


class AuthorsOrder(nn.Module):
    """Mix channels for every partition, then sum over neighbours; channels first in memory."""

    def __init__(self, graph: GraphConvolution) -> None:
        super().__init__()
        self.convolution, self.partitions = graph.convolution, graph.partitions

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        mixed = self.convolution(x.contiguous())
        b, _, t, v = mixed.shape
        mixed = mixed.view(b, self.partitions, -1, t, v)
        return torch.einsum("nkctv,kvw->nctw", mixed, adjacency).contiguous()


def in_authors_order(network: nn.Module) -> None:
    for block in network.modules():
        if isinstance(block, Block):
            block.graph = AuthorsOrder(block.graph)
            block.dropout = nn.Dropout(block.dropout.probability)
