"""What two processes do in the tests of `test_processes`; by itself, so that they start fast."""

import copy
import os
import sys
from pathlib import Path

import torch
from torch import Tensor

from skeldistill import losses, networks, processes
from skeldistill.data.batch import Batch
from skeldistill.distillation.distill import Distiller
from skeldistill.distillation.gradient_revision import revised_gradients
from skeldistill.distillation.reviser import Reviser, pointwise_weights
from skeldistill.distillation.synchronised import synchronised
from skeldistill.layouts import COCO17, PENN13
from skeldistill.losses.loss import LossContext
from skeldistill.recipe import LossTerm

SKD = {"KL": {}, "GraphMatching": {}}
CASES = {
    "SKD": SKD,
    "paper": {"ReversedKL": {}, "GraphMatching": {"form": "paper"}},
    "PLKD": {"PartContrastive": {"adapt": True}, "GlobalContrastive": {"temperature": 0.5}},
    "parts": {"PartGraphMatching": {"form": "paper", "segments": 2}},
    "one loss": {"KL": {}},
}
"""Losses by name with their options; where layouts may differ, they do."""


def scene(
    terms: dict[str, dict], student: str = "STGCN", *, matched: tuple[int, ...] = (0, 1, 2, 4, 6)
) -> tuple[Distiller, Batch]:
    """A distiller without dropout in double precision, and seven clips, some of them solitary.

    The two processes have three and four of them; in some the second person is absent.
    """
    torch.manual_seed(0)
    own = {"RAGCN": {"streams": 2, "frames": 8}}.get(student, {})
    made = networks.find(student)(PENN13, classes=3, persons=2, channels=3, width=0.125, **own)
    layout = PENN13 if "GraphMatching" in terms else COCO17
    teacher = networks.find("STGCN")(layout, classes=3, persons=2, channels=3, width=0.25)
    about = LossContext(
        student_layout=PENN13,
        teacher_layout=layout,
        student_channels=made.feature_channels,
        teacher_channels=teacher.feature_channels,
        classes=3,
    )
    parts = {
        name: (LossTerm(name=name), losses.find(name)(about, **options))
        for name, options in terms.items()
    }
    distiller = Distiller(made, losses.find("SoftmaxTask")(about), teacher, parts).double()
    teacher.double()
    with torch.no_grad():
        for weight in (*distiller.parameters(), *teacher.parameters()):
            weight += 0.1 * torch.randn_like(weight)
    for module in distiller.modules():
        if hasattr(module, "probability"):
            module.probability = 0.0  # dropout
    seen = torch.zeros(7, dtype=torch.bool)
    seen[list(matched)] = True
    joints = torch.randn(7, 2, 8, 13, 3)
    joints[[1, 3, 4], 1] = 0
    batch = Batch(
        joints=joints,
        labels=torch.tensor([0, 1, 0, 1, 1, 2, 0]),
        clips=torch.arange(7),
        teacher_joints=torch.randn(len(matched), 2, 8, layout.num_joints, 3),
        matched=seen,
    )
    return distiller.train(), batch


def step(distiller: Distiller, batch: Batch, way: str) -> dict:
    """Gradients, coefficients and statistics of a step, in one of the ways to revise."""
    distiller = copy.deepcopy(distiller)
    learned = [weight for weight in distiller.parameters() if weight.requires_grad]
    every = len(batch.labels)
    mine = batch.some(processes.share_of(every))
    for name in ("joints", "teacher_joints"):  # single precision by its type
        object.__setattr__(mine, name, getattr(mine, name).double())
    with processes.together(every):
        with synchronised():
            said, task, terms = distiller(mine, 0)
        if way == "one by one":
            gradients, report = revised_gradients(task, terms, learned)
        else:
            quick = pointwise_weights(distiller.student) if way == "quick" else None
            reviser = Reviser(quick)
            gradients, report = reviser(task, terms, learned, (said.logits, said.features))
            assert len(terms) < 2 or reviser._tangents_exist
        values = {name: processes.total(value) for name, value in {**terms, "task": task}.items()}
    return {
        "gradients": gradients,
        "values": values,
        "strengths": {name: one.strength for name, one in report.items()},
        "conflicted": {name: one.conflicted for name, one in report.items()},
        "statistics": {name: one for name, one in distiller.named_buffers() if "running" in name},
    }


def every_case() -> dict[str, dict]:
    """Every set of losses, student and way."""
    found = {name: step(*scene(terms), "tangent") for name, terms in CASES.items()}
    for way in ("one by one", "quick"):
        found[f"SKD, {way}"] = step(*scene(SKD), way)
    for student in ("CTRGCN", "RAGCN"):
        found[student] = step(*scene(SKD, student), "tangent")
    # all matches are of the second process's clips
    found["nobody matched here"] = step(*scene(SKD, matched=(4, 6)), "tangent")
    return found


def numbers() -> dict[str, Tensor]:
    """Sums and rows of what differs between processes."""
    rank, count = processes.rank(), processes.count()
    x = torch.arange(3.0, requires_grad=True)
    with processes.together(5):
        total = processes.total_with_gradient((rank + 1) * x)
        (rank + total).sum().backward()
        rows, first = processes.rows(torch.full((rank, 2), float(rank)))
        partial = processes.total_gradients(
            [torch.ones(2), None, None if rank else torch.ones(1)],
            [torch.zeros(2), torch.zeros(3), torch.zeros(1)],
        )
        with processes.alone():
            own = processes.total(torch.tensor(rank))
    assert isinstance(x.grad, Tensor)
    return {
        "total": total.detach(),
        "gradient": x.grad,
        "rows": rows,
        "first": torch.tensor(first),
        "partial": partial,
        "own": own,
        "share": torch.tensor(processes.share_of(7).stop),
        "count": torch.tensor(count),
    }


def main(out: Path) -> None:
    """Do all of it, and keep what this process has found."""
    torch.set_num_threads(1)
    with processes.joined():
        torch.save({"cases": every_case(), "numbers": numbers()}, out / f"{processes.rank()}.pt")


if __name__ == "__main__":
    assert os.environ["WORLD_SIZE"]
    main(Path(sys.argv[1]))
