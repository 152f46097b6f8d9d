"""Shift-GCN (Cheng et al., CVPR 2020): joints and frames are mixed by moving channels about.

Moving costs no multiplication. In space every channel goes round the joints by its own number of
places; in time every channel moves by its own learned, fractional number of frames.
"""

import math
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks.blocks import Pointwise, fan_out, normalised_persons, pointwise
from skeldistill.networks.network import Network, renamed
from skeldistill.networks.through_time import EachFrame, InTurn, Path, Window, path, residual
from skeldistill.prediction import Prediction, presence

BLOCKS = ((64, 1),) * 4 + ((128, 2),) + ((128, 1),) * 2 + ((256, 2),) + ((256, 1),) * 2
"""(channels, stride in time) of the ten blocks."""


class ShiftGCN(Network):
    """Shift-GCN: ten blocks of spatial shift and temporal shift around plain matrix products.

    Equal to the authors' network, whose weights it loads; bones are not used at all. Both shifts
    are ordinary tensor operations, so it runs on any device. Pooling is the authors': the mean
    over frames and joints, then over persons.

    Args:
        layout: the joints.
        classes: how many actions.
        persons: how many persons of a clip it sees.
        channels: input channels of a joint.
        width: factor of the channels 64, 128 and 256, rounded to multiples of 8.
        official_gradient: learn the temporal shifts by the sign of their gradient, as the
            authors' code does (see `SignedGradient`), instead of by the gradient itself.

    Raises:
        ValueError: (forward) the number of frames is no multiple of 4.
    """

    temporal_stride = 4
    frame_counts = range(4, 2**31, 4)

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        width: float = 1.0,
        official_gradient: bool = False,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        self.official_gradient = official_gradient
        self.normalisation = nn.BatchNorm1d(persons * layout.num_joints * channels)
        blocks: list[Block] = []
        for full, stride in BLOCKS:
            blocks.append(
                Block(
                    blocks[-1].channels if blocks else channels,
                    max(8, 8 * round(full * width / 8)),
                    layout.num_joints,
                    stride=stride,
                    residual=bool(blocks),
                    official_gradient=official_gradient,
                )
            )
        self.blocks = nn.ModuleList(blocks)
        self.feature_channels = blocks[-1].channels
        self.classifier = nn.Linear(self.feature_channels, classes)
        self._initialise()

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        n, m = joints.shape[:2]
        x = joints.flatten(0, 1).permute(0, 3, 1, 2)
        x = normalised_persons(x, self.normalisation, m)
        reach = self._reach(joints.shape[2])
        for block in self.blocks:
            x = block(x, reach)
        pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
        return Prediction(
            logits=self.classifier(pooled),
            features=x.unflatten(0, (n, m)),
            present=presence(joints, x.shape[2]),
        )

    def through_time(self) -> Path:
        """Normalisation, then block after block, as far around as the shifts reach by now.

        Layers take any number of frames, so clips that are pushed may end after any of them.
        """
        normalise = partial(
            normalised_persons, normalisation=self.normalisation, persons=self.persons
        )
        return InTurn(EachFrame(normalise), *(path(block) for block in self.blocks))

    def official_names(self) -> dict[str, str]:
        """The names of kchengiva/Shift-GCN."""
        modules = {"data_bn": "normalisation", "fc": "classifier"}
        for i in range(len(self.blocks)):
            official, own = f"l{i + 1}", f"blocks.{i}"
            modules |= {
                f"{official}.gcn1.Linear_weight": f"{own}.spatial.weight",
                f"{official}.gcn1.Linear_bias": f"{own}.spatial.bias",
                f"{official}.gcn1.Feature_Mask": f"{own}.spatial.mask",
                f"{official}.gcn1.shift_in": f"{own}.spatial.shift_in",
                f"{official}.gcn1.shift_out": f"{own}.spatial.shift_out",
                f"{official}.gcn1.bn": f"{own}.spatial.normalisation",
                f"{official}.gcn1.down": f"{own}.spatial.residual",
                f"{official}.tcn1.bn": f"{own}.temporal.normalisation_in",
                f"{official}.tcn1.bn2": f"{own}.temporal.normalisation_out",
                f"{official}.tcn1.temporal_linear": f"{own}.temporal.convolution",
                f"{official}.residual.conv": f"{own}.residual.0",
                f"{official}.residual.bn": f"{own}.residual.1",
            }
            for side in ("shift_in", "shift_out"):
                modules[f"{official}.tcn1.{side}.ypos"] = f"{own}.temporal.{side}.position"
                modules[f"{official}.tcn1.{side}.xpos"] = f"{own}.temporal.{side}.across_joints"
        return renamed(self.state_dict(), modules)

    def _reach(self, t: int) -> int | None:
        """Frames that the farthest shift needs on either side; None where values are not known.

        No more than the clip has: whoever looks beyond its ends sees zeros. So positions that are
        no numbers, or endless, come as far as the loss, where they are told of.

        Off the CPU this waits for the device, once a forward pass: to gather frames instead would
        have to add up gradients place by place on the way back.
        """
        if torch.compiler.is_compiling():
            return None
        positions = [m.position.detach() for m in self.modules() if isinstance(m, TemporalShift)]
        farthest = torch.cat(positions).abs().max().item()  # all in one transfer
        return math.ceil(farthest + 0.5) if farthest < t else t + 1

    def _initialise(self) -> None:
        """As the authors do; shifts and masks start as their own modules say."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                fan_out(module)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, 0.0, math.sqrt(2 / self.classes))


class Block(nn.Module):
    """Mix joints, mix frames, and what came in added."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        joints: int,
        *,
        stride: int,
        residual: bool,
        official_gradient: bool,
    ) -> None:
        super().__init__()
        self.channels = channels_out
        self.spatial = SpatialUnit(channels_in, channels_out, joints)
        self.temporal = TemporalUnit(channels_out, stride, official_gradient)
        self.residual: nn.Module | None = None
        if residual and stride == 1 and channels_in == channels_out:
            self.residual = nn.Identity()
        elif residual:
            self.residual = _projection(channels_in, channels_out, stride)

    def forward(self, x: Float[Tensor, "b c t v"], reach: int | None) -> Float[Tensor, "b d s v"]:
        """One block; a stride of 2 halves the frames."""
        y = self.temporal(self.spatial(x), reach)
        return (y if self.residual is None else y + self.residual(x)).relu_()

    def through_time(self) -> Path:
        """The block, frame by frame."""
        return residual(InTurn(EachFrame(self.spatial), path(self.temporal)), self.residual)


class SpatialUnit(nn.Module):
    """Non-local spatial shift (section 3.2): shift, weigh, multiply, shift back.

    Joint i takes channel j from joint i + j, going round; so one product sees all joints.
    """

    shift_in: Int[Tensor, " vc"]
    shift_out: Int[Tensor, " vd"]

    def __init__(self, channels_in: int, channels_out: int, joints: int) -> None:
        super().__init__()
        # In the state, since official files hold them; weights trained with others need others.
        self.register_buffer("shift_in", round_the_joints(joints, channels_in, 1))
        self.register_buffer("shift_out", round_the_joints(joints, channels_out, -1))
        self.mask = nn.Parameter(torch.zeros(joints, channels_in))
        self.weight = nn.Parameter(torch.randn(channels_in, channels_out) / channels_out**0.5)
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.normalisation = nn.BatchNorm1d(joints * channels_out)
        self.residual: nn.Module = nn.Identity()
        if channels_in != channels_out:
            self.residual = _projection(channels_in, channels_out)

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d t v"]:
        """Mix joints and channels of every frame."""
        b, c, t, v = x.shape
        y = x.permute(0, 2, 3, 1).reshape(b * t, v * c).index_select(1, self.shift_in)
        y = (y * (torch.tanh(self.mask) + 1).flatten()).view(b, t, v, c).permute(0, 3, 1, 2)
        y = pointwise(y, self.weight.t()[:, :, None, None], self.bias).permute(0, 2, 3, 1)
        y = self.normalisation(y.reshape(b * t, -1).index_select(1, self.shift_out))
        return (y.view(b, t, v, -1).permute(0, 3, 1, 2) + self.residual(x)).relu_()


class TemporalUnit(nn.Module):
    """Adaptive temporal shift (section 3.3) before and after a product over channels."""

    def __init__(self, channels: int, stride: int, official_gradient: bool) -> None:
        super().__init__()
        self.normalisation_in = nn.BatchNorm2d(channels)
        self.shift_in = TemporalShift(channels, 1, official_gradient)
        self.convolution = Pointwise(channels, channels)
        self.shift_out = TemporalShift(channels, stride, official_gradient)
        self.normalisation_out = nn.BatchNorm2d(channels)

    def forward(self, x: Float[Tensor, "b c t v"], reach: int | None) -> Float[Tensor, "b c s v"]:
        """Mix frames and channels of every joint."""
        y = self.shift_in(self.normalisation_in(x), reach)
        y = self.shift_out(self.convolution(y).relu_(), reach)
        return self.normalisation_out(y)

    def through_time(self) -> Path:
        """Both shifts, frame by frame."""
        return InTurn(
            path(self.normalisation_in),
            path(self.shift_in),
            path(self.convolution),
            EachFrame(functional.relu),
            path(self.shift_out),
            path(self.normalisation_out),
        )


class TemporalShift(nn.Module):
    """Every channel is seen a learned number of frames later (eq. 6), linear between frames."""

    across_joints: Float[Tensor, " c"]

    def __init__(self, channels: int, stride: int, official_gradient: bool) -> None:
        super().__init__()
        self.stride, self.official_gradient = stride, official_gradient
        self.position = nn.Parameter(torch.empty(channels).uniform_(-1, 1))
        # Official files hold a shift across joints as well, which is 0 and never learned.
        self.register_buffer("across_joints", torch.zeros(channels))

    def forward(self, x: Float[Tensor, "b c t v"], reach: int | None) -> Float[Tensor, "b c s v"]:
        """Shift by convolution, or by gathering where `reach` is not known (in an export)."""
        position = self.position
        if self.official_gradient:
            position = SignedGradient.apply(position)
        position = self._of_stride(position)
        if reach is None:
            return shifted_by_gathering(x, position, self.stride)
        return shifted_by_convolution(x, position, self.stride, reach)

    def through_time(self) -> Path:
        """A window of the frames that the weights reach now; later changes are not followed."""
        position = self._of_stride(self.position.detach())
        before = max(0, -math.floor(position.min().item()))
        after = max(0, math.ceil(position.max().item()))
        function = partial(
            functional.conv2d,
            weight=hats(position, -before, after),
            stride=(self.stride, 1),
            groups=len(position),
        )
        return Window(function, before=before, after=after, stride=self.stride)

    def _of_stride(self, position: Float[Tensor, " c"]) -> Float[Tensor, " c"]:
        """Measured from the middle of the two frames that become one."""
        return position + 0.5 if self.stride > 1 else position


class SignedGradient(torch.autograd.Function):
    """The same positions, learned as in the authors' code: by steps of equal length.

    Their gradient is replaced by 0.01 times its sign, and by 0.0001 where it is 0.
    """

    @staticmethod
    def forward(ctx: object, position: Tensor) -> Tensor:
        """Change nothing."""
        return position.view_as(position)

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        """Keep the sign alone."""
        (gradient,) = gradients
        return torch.where(gradient == 0, 1e-4, 0.01 * gradient.sign())


def shifted_by_convolution(
    x: Float[Tensor, "b c t v"], position: Float[Tensor, " c"], stride: int, reach: int
) -> Float[Tensor, "b c s v"]:
    """Frame ``h * stride + position[c]`` of every channel, 0 outside the clip.

    Linear interpolation is a convolution of each channel with a hat of width 2 around its
    position: by far the fastest form on CPUs, and its gradient is that of the interpolation.
    `reach` is at least the largest ``|position|``, or the number of frames.
    """
    weight = hats(position, -reach, reach)
    return functional.conv2d(x, weight, stride=(stride, 1), padding=(reach, 0), groups=x.shape[1])


def hats(position: Float[Tensor, " c"], first: int, last: int) -> Float[Tensor, "c 1 w 1"]:
    """How much every channel takes from the frames `first` to `last`, counted from its own."""
    taps = torch.arange(first, last + 1, device=position.device, dtype=position.dtype)
    return (1 - (taps - position[:, None]).abs()).clamp(min=0)[:, None, :, None]


def shifted_by_gathering(
    x: Float[Tensor, "b c t v"], position: Float[Tensor, " c"], stride: int
) -> Float[Tensor, "b c s v"]:
    """The same for positions of any size, whose values need not be known beforehand."""
    b, _, t, v = x.shape
    first = torch.arange(0, t, stride, device=x.device)[:, None] + position.floor().long()
    share = position - position.floor()

    def frame(number: Int[Tensor, "s c"]) -> Float[Tensor, "b c s v"]:
        inside = (number >= 0) & (number < t)
        index = number.clamp(0, t - 1).t()[None, :, :, None].expand(b, -1, -1, v)
        return x.gather(2, index) * inside.t()[:, :, None]

    share = share[:, None, None]
    return frame(first) * (1 - share) + frame(first + 1) * share


def round_the_joints(joints: int, channels: int, step: int) -> Int[Tensor, " vc"]:
    """Where each (joint, channel) place takes its value from, ``step * channel`` joints on."""
    place = torch.arange(joints * channels)
    return (place + step * channels * (place % channels)) % (joints * channels)


def _projection(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(Pointwise(channels_in, channels_out, stride), nn.BatchNorm2d(channels_out))
