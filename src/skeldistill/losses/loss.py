"""The contract of a loss: what the student should change, given what the teacher says."""

from jaxtyping import Float, Int
from torch import Tensor, nn

from skeldistill.prediction import Prediction


class Loss(nn.Module):
    """A loss sees predictions and labels, and knows no network.

    Clips without a high-quality match come with an absent teacher (``teacher.present`` all false
    and zeros elsewhere). A loss that needs the match leaves them out of its mean; its value is 0,
    with gradients, when no clip of the batch has one.

    A loss made of several (graph matching: node and edge) says so in `terms`, since gradient
    revision treats each on its own; all others define `forward` alone.
    """

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


def paired(
    student: Prediction, teacher: Prediction
) -> tuple[Prediction, Prediction, Int[Tensor, " b"]]:
    """The clips that have a high-quality match: both predictions, and their rows in the batch."""
    index = teacher.present.flatten(1).any(dim=1).nonzero().squeeze(1)
    return student.rows(index), teacher.rows(index), index
