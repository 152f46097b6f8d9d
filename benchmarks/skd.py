"""A step of SKD, ready to run: teacher and student of one kind, random clips, three losses."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from skeldistill import layouts, losses, networks
from skeldistill.data.batch import Batch
from skeldistill.distillation.distill import Distiller
from skeldistill.distillation.gradient_revision import revised_gradients
from skeldistill.distillation.reviser import Reviser, pointwise_weights
from skeldistill.losses.loss import LossContext
from skeldistill.recipe import LossTerm

Step = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What is distilled, and how large it is."""

    network: str = "STGCN"
    layout: str = "coco17"
    frames: int = 64
    clips: int = 8
    persons: int = 1
    width: float = 1.0


def distiller_and_batch(setting: Setting) -> tuple[Distiller, Batch]:
    torch.manual_seed(0)
    layout = layouts.find(setting.layout)
    make = networks.find(setting.network)
    student, teacher = (
        make(layout, classes=60, persons=setting.persons, width=setting.width) for _ in range(2)
    )
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
    joints = torch.randn(setting.clips, setting.persons, setting.frames, layout.num_joints, 3)
    batch = Batch(
        joints=joints,
        labels=torch.randint(0, 60, (setting.clips,)),
        clips=torch.arange(setting.clips),
        teacher_joints=joints,
        matched=torch.ones(setting.clips, dtype=torch.bool),
    )
    distiller = Distiller(student, losses.find("SoftmaxTask")(about), teacher, terms)
    return distiller, batch


def in_bf16(distiller: Distiller, device: str = "cpu") -> Distiller:
    """The same, whose networks and losses compute under autocast."""

    def mixed(run: Callable) -> Callable:
        def inside(*arguments: object) -> object:
            with torch.autocast(device, torch.bfloat16):
                return run(*arguments)

        return inside

    distiller.forward = mixed(distiller.forward)
    distiller.student.forward = mixed(distiller.student.forward)  # where it is asked by itself
    return distiller


def student_alone(distiller: Distiller, batch: Batch) -> Step:
    def step() -> None:
        distiller.zero_grad()
        said = distiller.student(batch.joints)
        distiller.task(said, said, batch.labels).backward()

    return step


def three_losses(distiller: Distiller, batch: Batch) -> Step:
    def step() -> None:
        distiller.zero_grad()
        _, task, terms = distiller(batch, 0)
        (task + sum(terms.values())).backward()

    return step


def one_backward_a_loss(distiller: Distiller, batch: Batch) -> Step:
    learned = list(distiller.parameters())

    def step() -> None:
        _, task, terms = distiller(batch, 0)
        revised_gradients(task, terms, learned)

    return step


def revised(distiller: Distiller, batch: Batch) -> Step:
    return _with(Reviser(), distiller, batch)


def quick(distiller: Distiller, batch: Batch) -> Step:
    return _with(Reviser(pointwise_weights(distiller.student)), distiller, batch)


def _with(reviser: Reviser, distiller: Distiller, batch: Batch) -> Step:
    learned = list(distiller.parameters())

    def step() -> object:
        said, task, terms = distiller(batch, 0)
        return reviser(task, terms, learned, (said.logits, said.features))

    return step


STEPS = {
    "student alone": student_alone,
    "three losses summed": three_losses,
    "one backward pass a loss": one_backward_a_loss,
    "revised": revised,
    "revised, quick": quick,
}
