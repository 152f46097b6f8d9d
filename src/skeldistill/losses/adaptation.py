"""Adaptation layers: bring the student's features to the teacher's width."""

from jaxtyping import Float
from torch import Tensor, nn


class AdaptationLayer(nn.Module):
    """r(x; mu) of SKD eq. (7): a 1 x 1 convolution with bias, after the student's last map.

    It belongs to a loss, not to the student: it is trained with it and left behind afterwards.

    Args:
        student_channels: width of what comes in.
        teacher_channels: width of what goes out.
    """

    def __init__(self, student_channels: int, teacher_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(student_channels, teacher_channels, kernel_size=1)

    def forward(self, features: Float[Tensor, "n *m c t v"]) -> Float[Tensor, "n *m d t v"]:
        """The map as the teacher would draw it."""
        adapted = self.convolution(features.reshape(-1, *features.shape[-3:]))
        return adapted.unflatten(0, features.shape[:-3])


def require_same_width(loss: str, student_channels: int, teacher_channels: int) -> None:
    """Refuse to compare features of two widths without an adaptation layer."""
    if student_channels != teacher_channels:
        raise ValueError(
            f"{loss} without adaptation needs features of one width, got {student_channels} "
            f"(student) and {teacher_channels} (teacher); set adapt to true"
        )
