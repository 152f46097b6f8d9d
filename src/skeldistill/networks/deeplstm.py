"""Deep LSTM: the recurrent baseline of NTU RGB+D (Shahroudy, Liu, Ng and Wang, CVPR 2016)."""

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skeldistill.layouts import Layout
from skeldistill.networks.network import Network
from skeldistill.networks.through_time import EachFrame, InTurn, Path, Recurrent, as_one_vertex
from skeldistill.prediction import Prediction, presence


class DeepLSTM(Network):
    """Deep LSTM: stacked recurrent layers read all joints of all persons, frame by frame.

    Which joint is which shows in their order alone, and the persons stand side by side: the
    features have one vertex instead of joints, and are the same for every person. There are no
    weights of the authors to load; the two layers are theirs, while the input normalisation, the
    width and the mean over frames before the classifier are ours.

    Args:
        layout: the joints.
        classes: how many actions.
        persons: how many persons of a clip it sees; each has its own input weights.
        channels: input channels of a joint.
        width: factor of the 128 units of a layer, rounded to multiples of 8.
        layers: recurrent layers, one upon the other.
        dropout: probability between the layers and before the classifier.
    """

    temporal_stride = 1
    lowest_feature = -1.0
    keeps_joints = False

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        width: float = 1.0,
        layers: int = 2,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        if layers < 1 or not 0 <= dropout < 1:
            raise ValueError(
                "DeepLSTM needs 1 layer at least and dropout from 0 to below 1, got "
                f"{layers} and {dropout}"
            )
        self.layers, self.dropout = layers, dropout
        together = persons * layout.num_joints * channels
        self.feature_channels = max(8, 8 * round(128 * width / 8))
        self.normalisation = nn.BatchNorm1d(together)
        self.recurrent = nn.LSTM(
            together,
            self.feature_channels,
            num_layers=layers,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,  # between layers; there is none to be between
        )
        self.lost = nn.Dropout(dropout)
        self.classifier = nn.Linear(self.feature_channels, classes)

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        n, m, t, v, c = joints.shape
        x = self.normalisation(joints.transpose(1, 2).reshape(n * t, m * v * c))
        start = x.new_zeros(self.layers, n, self.feature_channels)
        states, *_ = self.states(x.view(n, t, -1), start, start)
        return Prediction(
            logits=self.classifier(self.lost(states.mean(dim=1))),
            features=states.transpose(1, 2)[:, None, :, :, None].expand(-1, m, -1, -1, -1),
            present=presence(joints, t),
        )

    def through_time(self) -> Path:
        """The joints side by side, then what the layers know of them and of all before."""
        return InTurn(
            EachFrame(partial(as_one_vertex, persons=self.persons)),
            Recurrent(self._next, (2, self.feature_channels, self.layers)),
        )

    def _next(
        self, x: Float[Tensor, "n c t 1"], known: Float[Tensor, "n 2 e l 1"]
    ) -> tuple[Float[Tensor, "n e t 1"], Float[Tensor, "n 2 e l 1"]]:
        frames = self.normalisation(x.squeeze(3)).transpose(1, 2)
        hidden, cell = known.squeeze(4).permute(1, 3, 0, 2).contiguous()
        states, hidden, cell = self.states(frames, hidden, cell)
        now = torch.stack([hidden, cell]).permute(2, 0, 3, 1)
        return states.transpose(1, 2)[..., None], now[..., None]

    def states(
        self,
        frames: Float[Tensor, "n t d"],
        hidden: Float[Tensor, "l n e"],
        cell: Float[Tensor, "l n e"],
    ) -> tuple[Float[Tensor, "n t e"], Float[Tensor, "l n e"], Float[Tensor, "l n e"]]:
        """What the last layer knows after every frame, and what all know after the last one."""
        # Without AVX-512, processors have no recurrent layers in bfloat16, and PyTorch fails.
        with torch.autocast("cpu", enabled=False):
            # Not called as a module, whose copy of the list of its weights exports warn of.
            return torch.lstm(
                frames,
                (hidden, cell),
                list(self.recurrent.parameters()),
                self.recurrent.bias,
                self.layers,
                self.recurrent.dropout,
                self.training,
                False,  # one direction
                True,  # batch first
            )
