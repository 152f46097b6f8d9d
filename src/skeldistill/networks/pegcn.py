"""PE-GCN (Yu, Yoon and Jeon, 2020): predictive encoding, against noisy skeletons."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks.agcn import AGCN
from skeldistill.networks.network import Network, renamed
from skeldistill.networks.stgcn import STGCN
from skeldistill.prediction import Prediction
from skeldistill.shelf import pick

BACKBONES: dict[str, type[AGCN] | type[STGCN]] = {"AGCN": AGCN, "STGCN": STGCN}
"""The networks that can be predictively encoded."""


class PEGCN(Network):
    """PE-GCN: a recurrent layer predicts the clean features of a person from the noisy ones.

    Equal to the authors' network, whose weights it loads (the two files of theirs in one
    dictionary). What it says passes the recurrent layer, a GRU; what it says without stands in
    ``network.backbone(joints)``. The authors' GRU runs, by the order of its axes, along the clips
    of a batch, so that a prediction depends on the clips before it. Here it runs along the
    persons of a clip, unless `across_batch` asks for the authors' way.

    Trained on clean clips alone it is a backbone with a GRU; `training_losses` are the authors'.

    Args:
        layout: the joints and bones.
        classes: how many actions.
        persons: how many persons of a clip it sees.
        channels: input channels of a joint.
        backbone: "AGCN" (the authors') or "STGCN".
        width: factor of the backbone's channels.
        across_batch: the GRU runs along the clips of the batch, each person place on its own.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        backbone: str = "AGCN",
        width: float = 1.0,
        across_batch: bool = False,
    ) -> None:
        super().__init__()
        self.layout, self.classes, self.persons, self.channels = layout, classes, persons, channels
        self.width, self.across_batch = width, across_batch
        self.backbone_name = backbone
        part = pick("backbone", BACKBONES, backbone)
        self.encoder = part(
            layout, classes=classes, persons=persons, channels=channels, width=width
        )
        self.feature_channels = self.encoder.feature_channels
        self.temporal_stride = self.encoder.temporal_stride
        self.recurrent = nn.GRU(self.feature_channels, self.feature_channels)
