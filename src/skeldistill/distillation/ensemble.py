"""Several teachers that answer as one."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from skeldistill.networks.network import Network
from skeldistill.prediction import Prediction


class Ensemble(Network):
    """The mean of several networks' probabilities, on the same joints.

    Its logits are the logarithms of that mean; of each clip it may be that of some alone. Features
    cannot be averaged between networks that were trained apart: they are the first one's, as are
    all its other properties.

    Args:
        members: trained networks of the same joints and classes; the first is the one whose
            features are compared.

    Raises:
        ValueError: there is none, or they differ in joints, classes or input channels.
    """

    def __init__(self, members: Sequence[Network]) -> None:
        if not members:
            raise ValueError("an ensemble needs one network at least")
        first = members[0]
        for other in members[1:]:
            _refuse_other_task(first, other)
        super().__init__(
            first.layout, classes=first.classes, persons=first.persons, channels=first.channels
        )
        self.members = nn.ModuleList(members)
        self.feature_channels = first.feature_channels
        self.temporal_stride = first.temporal_stride
        self.classifier = first.classifier
        self.lowest_feature = first.lowest_feature
        self.keeps_joints = first.keeps_joints

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Ask all of them."""
        return self.ask(joints, joints.new_ones(len(joints), len(self.members)))

    def ask(
        self, joints: Float[Tensor, "n m t v c"], who: Shaped[Tensor, "n members"]
    ) -> Prediction:
        """Ask for each clip some of them: where `who` is 1 or true; at least one."""
        said: list[Prediction] = [member(joints) for member in self.members]
        each = torch.stack([one.logits.float().log_softmax(dim=1) for one in said], dim=1)
        share = (who / who.sum(dim=1, keepdim=True)).to(each.dtype)
        return said[0]._replace(logits=(each + share.log()[:, :, None]).logsumexp(dim=1))


def _refuse_other_task(first: Network, other: Network) -> None:
    def task(network: Network) -> str:
        layout, channels = network.layout.name, network.channels
        return f"{network.classes} classes from {layout!r} joints of {channels} channels"

    if not other.layout.same_as(first.layout) or task(other) != task(first):
        raise ValueError(f"teachers must see and name the same: {task(first)}; {task(other)}")
