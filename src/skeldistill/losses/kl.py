"""Kullback-Leibler divergence between the class probabilities of teacher and student."""

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from skeldistill.losses.loss import Loss, LossContext, matched, mean_over_clips, positive, precise
from skeldistill.prediction import Prediction


def divergence(
    target: Float[Tensor, "n k"], estimate: Float[Tensor, "n k"], temperature: float = 1.0
) -> Float[Tensor, " n"]:
    """KL(target || estimate) of softened softmax probabilities, times temperature squared.

    Args:
        target: logits ``(n, k)`` of the first distribution.
        estimate: logits ``(n, k)`` of the second.
        temperature: tau of SKD eq. (4).
    """
    log_target = functional.log_softmax(precise(target) / temperature, dim=1)
    log_estimate = functional.log_softmax(precise(estimate) / temperature, dim=1)
    # all in log space: a softmax is exactly 0 at scores of 1e4, and its logarithm lost
    each = functional.kl_div(log_estimate, log_target, reduction="none", log_target=True)
    return temperature**2 * each.sum(dim=1)


class KL(Loss):
    """Say what the teacher says, KL(teacher || student): the teacher is the target.

    SKD's released code and Hinton et al. 2015; SKD eq. (5) prints the other order, which is
    `ReversedKL`.

    Args:
        about: not needed.
        temperature: tau of SKD eq. (4); above 1 softens both sides.
    """

    in_shares = True

    def __init__(self, about: LossContext | None = None, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = positive(self, "temperature", temperature)

    def forward(
        self, student: Prediction, teacher: Prediction, labels: Int[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """The mean over paired clips."""
        each = divergence(teacher.logits.detach(), student.logits, self.temperature)
        return mean_over_clips(each, matched(teacher))


class ReversedKL(Loss):
    """KL(student || teacher), in the order that SKD eq. (5) prints.

    Args:
        about: not needed.
        temperature: tau of SKD eq. (4); above 1 softens both sides.
    """

    in_shares = True

    def __init__(self, about: LossContext | None = None, *, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = positive(self, "temperature", temperature)

    def forward(
        self, student: Prediction, teacher: Prediction, labels: Int[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """The mean over paired clips."""
        each = divergence(student.logits, teacher.logits.detach(), self.temperature)
        return mean_over_clips(each, matched(teacher))
