"""The contract of a loss: what the student should change, given what the teacher says."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from skeldistill import processes
from skeldistill.layouts import Layout
from skeldistill.prediction import Prediction


@dataclass(frozen=True, kw_only=True)
class LossContext:
    """What a loss may know about the two networks when it is made.

    Args:
        student_layout, teacher_layout: the joints that each of them sees.
        student_channels, teacher_channels: the widths of their ``Prediction.features``.
        classes: how many actions there are.
        without_joints: "student" or "teacher" -> the name of its network, for those whose features
            have one vertex instead of the layout's joints.
    """

    student_layout: Layout
    teacher_layout: Layout
    student_channels: int
    teacher_channels: int
    classes: int
    without_joints: Mapping[str, str] = field(default_factory=dict)


class Loss(nn.Module):
    """A loss sees predictions and labels, and knows no network.

    Every loss of the shelf is made as ``Name(about, **options)``, `about` being a `LossContext`.

    The labels that a distillation loss sees are those of all clips: of one without a label it is
    what the teacher takes it for, and `UNLABELLED` where the teacher sees nobody.

    Clips without a high-quality match come with an absent teacher (``teacher.present`` all false
    and zeros elsewhere). A loss that needs the match leaves them out of its mean; its value is 0,
    with gradients, when no clip of the batch has one. No gradient ever reaches the teacher.

    A loss made of several (graph matching: node and edge) says so in `terms`, since gradient
    revision treats each on its own; all others define `forward` alone.

    in_shares: whether, where several processes take a step ``together``, the loss knows that it
    has a share of the clips, and gives its share of the mean over all (`mean_over_clips` sees to
    that). Other losses are asked for the mean over their clips, which is weighed by their number.
    compares_classes: whether it compares clips by their actions, and so cannot do with clips that
    are mixed of two.
    compares_vertices: whether it compares joint with joint in frame with frame, so that both maps
    must have the same, of the same moments.
    """

    in_shares: bool = False
    compares_classes: bool = False
    compares_vertices: bool = False

    def forward(
        self, student: Prediction, teacher: Prediction, labels: Int[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """The loss, a mean over clips."""
        return sum(self.terms(student, teacher, labels).values())  # type: ignore[return-value]

    def terms(
        self, student: Prediction, teacher: Prediction, labels: Int[Tensor, " n"]
    ) -> dict[str, Float[Tensor, ""]]:
        """The loss in parts, by name; the parts add up to `forward`."""
        return {type(self).__name__: self(student, teacher, labels)}

    def observe(self, clips: Int[Tensor, " n"]) -> None:
        """Hear which training clips, by their place in the training set, the next batch holds.

        Called before every step; most losses need not know.
        """

    def expect(self, persons: Bool[Tensor, "n m"] | None) -> None:
        """Hear, on the host, which persons of the next batch can be in both views.

        Called before every step, with None where that is not known without a look at the device.
        A loss can leave out the others without waiting for it; most need not know.
        """


def require_defined(loss: object) -> None:
    """Refuse a loss that says nothing of itself; ValueError names it."""
    name = type(loss).__name__
    if not isinstance(loss, Loss):
        raise ValueError(f"{name} is no loss of ours; derive it from skeldistill's Loss")
    if type(loss).forward is Loss.forward and type(loss).terms is Loss.terms:
        raise ValueError(f"loss {name} defines neither forward nor terms; define one of them")


def one_number(loss: Loss, value: object) -> Float[Tensor, ""]:
    """The value of a loss; raises ValueError if it is anything but one number, as a tensor."""
    if not isinstance(value, Tensor) or value.ndim:
        came = f"shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(
            f"loss {type(loss).__name__} gives {came}; a loss is one number, the mean over clips, "
            "as a tensor"
        )
    return value


def require_joints(loss: str, about: LossContext) -> None:
    """Refuse networks without joints in their features; ValueError names loss and network."""
    for side, network in about.without_joints.items():
        raise ValueError(
            f"{loss} compares joints or body parts, which the features of {network} ({side}) do "
            "not have; use KL or GlobalContrastive"
        )


def matched(teacher: Prediction) -> Bool[Tensor, " n"]:
    """Which clips have a high-quality match.

    A mask and not their rows, whose number only the device knows, and would have to be waited for.
    """
    return teacher.present.flatten(1).any(dim=1)


def mean_over_clips(
    values: Float[Tensor, " n"], counted: Bool[Tensor, " n"] | None = None
) -> Float[Tensor, ""]:
    """The mean, and 0 that still has a gradient where there is no clip.

    Args:
        values: of the clips.
        counted: which of them count; all, unless it is given.
    """
    if counted is not None:
        values = values * counted
    elif not processes.several():
        return values.sum() / max(len(values), 1)
    else:
        counted = torch.ones(len(values), dtype=torch.bool, device=values.device)
    return values.sum() / processes.total(counted.sum()).clamp(min=1)


def precise(tensor: Float[Tensor, "*any"]) -> Float[Tensor, "*any"]:
    """At least single precision: autocast hands over 16 bits, in which distances drown."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def without_autocast(tensor: Tensor) -> torch.autocast:
    """A context in which products keep the precision of their factors."""
    return torch.autocast(tensor.device.type, enabled=False)


def positive(loss: Loss, option: str, value: float) -> float:
    """An option that must be above 0; raises ValueError if it is not."""
    if not value > 0:
        raise ValueError(f"{type(loss).__name__} needs {option} above 0, got {value}")
    return value


def share(loss: Loss, option: str, value: float) -> float:
    """An option that must lie between 0 and 1; raises ValueError if it does not."""
    if not 0 <= value <= 1:
        raise ValueError(f"{type(loss).__name__} needs {option} between 0 and 1, got {value}")
    return value
