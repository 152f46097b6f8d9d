"""The shelf of losses: one file a formula, a paper's equation numbers beside it."""

from skeldistill.losses.adaptation import AdaptationLayer
from skeldistill.losses.global_contrastive import GlobalContrastive
from skeldistill.losses.graph_matching import GraphMatching
from skeldistill.losses.kl import KL, ReversedKL
from skeldistill.losses.loss import Loss, LossContext
from skeldistill.losses.part_contrastive import PartContrastive
from skeldistill.losses.part_graph_matching import PartGraphMatching
from skeldistill.losses.task import BinaryTask, SoftmaxTask
from skeldistill.shelf import take

SHELF: dict[str, type[Loss]] = {
    loss.__name__: loss
    for loss in (
        KL,
        BinaryTask,
        GlobalContrastive,
        GraphMatching,
        PartContrastive,
        PartGraphMatching,
        ReversedKL,
        SoftmaxTask,
    )
}


def find(name: str) -> type[Loss]:
    """The loss called `name`; ValueError names the nearest one."""
    return take("loss", SHELF, name)


__all__ = [
    "KL",
    "SHELF",
    "AdaptationLayer",
    "BinaryTask",
    "GlobalContrastive",
    "GraphMatching",
    "Loss",
    "LossContext",
    "PartContrastive",
    "PartGraphMatching",
    "ReversedKL",
    "SoftmaxTask",
    "find",
]
