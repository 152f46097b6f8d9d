"""What a step of distillation costs: plain, with SKD's three losses, and with gradient revision."""

import torch
from timing import in_turn

from skeldistill import layouts, losses, networks
from skeldistill.data.dataset import Batch
from skeldistill.distillation.distill import Distiller
from skeldistill.distillation.gradient_revision import revised_gradients
from skeldistill.losses.loss import LossContext
from skeldistill.recipe import LossTerm


def measure(frames: int = 64, clips: int = 8) -> dict[str, float]:
    """Milliseconds of each step, and ratios to the plain three-loss step."""
    torch.manual_seed(0)
    layout = layouts.find("coco17")
    make = networks.find("STGCN")
    student = make(layout, classes=60, persons=1)
    teacher = make(layout, classes=60, persons=1)
    about = LossContext(
        student_layout=layout,
        teacher_layout=layout,
        student_channels=student.feature_channels,
        teacher_channels=teacher.feature_channels,
        classes=60,
    )
    terms = {
        name: (LossTerm(name=name), losses.find(name)(about)) for name in ("KL", "GraphMatching")
    }
    distiller = Distiller(student, losses.find("SoftmaxTask")(about), teacher, terms)
    joints = torch.randn(clips, 1, frames, 17, 3)
    batch = Batch(
        joints=joints,
        labels=torch.randint(0, 60, (clips,)),
        clips=torch.arange(clips),
        teacher_joints=joints,
        matched=torch.ones(clips, dtype=torch.bool),
    )
    learned = list(distiller.parameters())

    def plain() -> None:
        distiller.zero_grad()
        said = student(batch.joints)
        distiller.task(said, said, batch.labels).backward()

    def three() -> None:
        distiller.zero_grad()
        _, task, parts = distiller(batch, 0)
        (task + sum(parts.values())).backward()

    def revised() -> None:
        _, task, parts = distiller(batch, 0)
        revised_gradients(task, parts, learned)

    seconds = in_turn({"plain": plain, "three": three, "revised": revised}, rounds=5)
    return {
        "ms, student alone": 1000 * seconds["plain"],
        "ms, three losses summed (baseline)": 1000 * seconds["three"],
        "ms, three losses, gradients revised": 1000 * seconds["revised"],
        "revised / three losses": seconds["revised"] / seconds["three"],
        "three losses / student alone": seconds["three"] / seconds["plain"],
    }
