"""Res-TCN (Kim and Reiter, CVPR Workshops 2017): convolutions over time alone."""

from functools import partial

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks.blocks import Dropout
from skeldistill.networks.network import Network
from skeldistill.networks.through_time import (
    EachFrame,
    InTurn,
    Path,
    Together,
    Window,
    added,
    as_one_vertex,
    path,
)
from skeldistill.prediction import Prediction, presence

BLOCKS = ((64, 1),) * 3 + ((128, 2),) + ((128, 1),) * 2 + ((256, 2),) + ((256, 1),) * 2
"""(channels, stride in time) of the nine blocks."""

FRAMES = 8
"""Frames that every convolution looks at: three before, the frame itself, four after."""


class ResTCN(Network):
    """Res-TCN: residual blocks of convolution over time; the joints are its input channels.

    Built as the authors' published code, whose weights are not public. All joints of all persons
    are mixed in the first layer: the features have one vertex instead of joints, and are the same
    for every person. The authors' penalty on the size of weights (1e-4) is the training's.

    Args:
        layout: the joints.
        classes: how many actions.
        persons: how many persons of a clip it sees; each has its own input weights.
        channels: input channels of a joint.
        width: factor of the channels 64, 128 and 256, rounded to multiples of 8.
        dropout: probability before each block's convolution.
    """

    temporal_stride = 4
    keeps_joints = False

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.5,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        self.dropout = dropout
        widths = [max(8, 8 * round(full * width / 8)) for full, _ in BLOCKS]
        self.first = over_frames(persons * layout.num_joints * channels, widths[0])
        self.blocks = nn.ModuleList(
            Block(narrow, wide, stride=stride, dropout=dropout)
            for narrow, wide, (_, stride) in zip(
                [widths[0], *widths[:-1]], widths, BLOCKS, strict=True
            )
        )
        self.feature_channels = widths[-1]
        self.normalisation = normalised(self.feature_channels)
        self.classifier = nn.Linear(self.feature_channels, classes)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        n, m, t, _, _ = joints.shape
        x = joints.permute(0, 1, 3, 4, 2).reshape(n, -1, 1, t)
        x = self.first(around(x))
        for block in self.blocks:
            x = block(x)
        x = functional.relu(self.normalisation(x))
        return Prediction(
            logits=self.classifier(x.mean(dim=(2, 3))),
            features=x.transpose(2, 3)[:, None].expand(-1, m, -1, -1, -1),
            present=presence(joints, x.shape[3]),
        )

    def through_time(self) -> Path:
        """All joints of all persons side by side, then block after block."""
        return InTurn(
            EachFrame(partial(as_one_vertex, persons=self.persons)),
            window(self.first),
            *(path(block) for block in self.blocks),
            path(self.normalisation),
            EachFrame(functional.relu),
        )


class Block(nn.Module):
    """Normalise, ReLU, dropout, convolution over frames; what came in is added as it came."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int, dropout: float) -> None:
        super().__init__()
        self.normalisation = normalised(channels_in)
        self.dropout = Dropout(dropout)
        self.convolution = over_frames(channels_in, channels_out, stride)
        self.residual: nn.Module = nn.Identity()
        if channels_in != channels_out or stride > 1:
            self.residual = nn.Conv2d(channels_in, channels_out, 1, (1, stride))

    def forward(self, x: Float[Tensor, "n c 1 t"]) -> Float[Tensor, "n d 1 s"]:
        """One block; a stride of 2 halves the frames."""
        y = self.dropout(functional.relu(self.normalisation(x)))
        return self.convolution(around(y)) + self.residual(x)

    def through_time(self) -> Path:
        """The block, frame by frame."""
        before = InTurn(path(self.normalisation), EachFrame(functional.relu), path(self.dropout))
        beside = path(self.residual)
        if isinstance(self.residual, nn.Conv2d):
            beside = window(self.residual)
        return Together(InTurn(before, window(self.convolution)), beside, combine=added)


def around(x: Float[Tensor, "n c 1 t"]) -> Float[Tensor, "n c 1 s"]:
    """Zeros before and after the clip, so that every frame has eight around it."""
    return functional.pad(x, ((FRAMES - 1) // 2, FRAMES // 2))


def window(layer: nn.Conv2d) -> Path:
    """The path of a convolution over the last axis, where paths have time on the one before it."""
    before = (layer.kernel_size[1] - 1) // 2
    after = layer.kernel_size[1] // 2
    function = partial(_turned, layer)
    return Window(function, before=before, after=after, stride=layer.stride[1])


def _turned(layer: nn.Conv2d, x: Float[Tensor, "n c t 1"]) -> Float[Tensor, "n d s 1"]:
    return layer(x.transpose(2, 3)).transpose(2, 3)


def over_frames(channels_in: int, channels_out: int, stride: int = 1) -> nn.Conv2d:
    """A convolution over eight frames, which are the last axis: a third faster on CPUs."""
    return nn.Conv2d(channels_in, channels_out, (1, FRAMES), (1, stride))


def normalised(channels: int) -> nn.BatchNorm2d:
    """Batch normalisation as the authors' library has it."""
    return nn.BatchNorm2d(channels, eps=1e-3)
