"""The task losses: say the action that is shown."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from skeldistill.clip import UNLABELLED
from skeldistill.losses.loss import Loss, LossContext, mean_over_clips, precise
from skeldistill.prediction import Prediction


def binary_cross_entropy(
    logits: Float[Tensor, "n k"], labels: Int[Tensor, " n"]
) -> Float[Tensor, " n"]:
    """Every class is asked "this one or not", over softmax probabilities: SKD eq. (2).

    Returns:
        The sum over classes for every clip.
    """
    classes = logits.shape[1]
    shown = functional.one_hot(labels, classes).bool()
    # log(1 - p_j): the others' share; 1 - softmax would round to 0 at scores far apart
    own = torch.eye(classes, dtype=torch.bool, device=logits.device)
    others = logits.unsqueeze(1).masked_fill(own, -torch.inf).logsumexp(dim=2)
    log_not = others - logits.logsumexp(dim=1, keepdim=True)
    log_yes = functional.log_softmax(logits, dim=1)
    return -torch.where(shown, log_yes, log_not).sum(dim=1)


class SoftmaxTask(Loss):
    """Softmax cross-entropy: PLKD eq. (2) and (5), and what SKD's released code does.

    Args:
        about: not needed.
        label_smoothing: the share of a label that is spread over all classes.
    """

    in_shares = True

    def __init__(self, about: LossContext | None = None, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(
                f"SoftmaxTask needs label_smoothing at least 0 and below 1, got {label_smoothing}"
            )
        self.label_smoothing = label_smoothing

    def forward(
        self, student: Prediction, teacher: Prediction, labels: Int[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """The mean over clips with a label; the teacher is not looked at."""
        return mean_over_clips(
            functional.cross_entropy(
                precise(student.logits),
                labels,
                ignore_index=UNLABELLED,
                label_smoothing=self.label_smoothing,
                reduction="none",
            ),
            labels != UNLABELLED,
        )


class BinaryTask(Loss):
    """The task loss that SKD prints, a sum of binary cross-entropies: eq. (2)."""

    in_shares = True

    def __init__(self, about: LossContext | None = None) -> None:
        super().__init__()

    def forward(
        self, student: Prediction, teacher: Prediction, labels: Int[Tensor, " n"]
    ) -> Float[Tensor, ""]:
        """The mean over clips with a label; the teacher is not looked at."""
        known = labels != UNLABELLED
        each = binary_cross_entropy(precise(student.logits), labels.clamp(min=0))
        return mean_over_clips(each, known)
