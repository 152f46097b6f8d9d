"""What MS-G3D is built from: graphs of several scales, windows in space-time, dilated branches.

Axes of the formulas: k scale (bones in between), v and u joints, w and x frames of a window.
"""

from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.networks import adjacency
from skeldistill.networks.blocks import (
    Pointwise,
    affine,
    normalised_together,
    pointwise,
    side_by_side,
)
from skeldistill.networks.through_time import (
    EachFrame,
    InTurn,
    Path,
    Together,
    added,
    convolved,
    path,
    residual,
)
from skeldistill.networks.through_time import Window as FramesAround

DILATIONS = (1, 2, 3, 4)
"""Frames between the taps of the dilated branches."""

BRANCHES = len(DILATIONS) + 2
"""The dilated branches, the largest of three frames, and the frame itself."""


def disentangled(
    between: Float[np.ndarray, "v v"], scales: int, by_column: bool
) -> Float32[np.ndarray, "k v v"]:
    """For each number of bones, exactly the joints that far away, and the joint itself (eq. 4).

    Args:
        between: how many bones lie between two joints.
        scales: how many matrices; the first is the joint alone.
        by_column: columns sum to 1, as in PYSKL; otherwise ``D^-1/2 A D^-1/2``.
    """
    itself = np.eye(len(between), dtype=bool)
    matrices = []
    for hop in range(scales):
        links = ((between == hop) | itself).astype(float)
        sums = links.sum(axis=1)
        shared = links / np.sqrt(sums[:, None] * sums)
        matrices.append(adjacency.normalised(links) if by_column else shared)
    return np.stack(matrices).astype(np.float32)


def over_frames(between: Float[np.ndarray, "v v"], frames: int) -> Float[np.ndarray, "wv wv"]:
    """Bones between the joints of several frames: a joint is linked to itself in all others."""
    tiled = np.tile(between, (frames, frames))
    return np.where((tiled == 0) & ~np.eye(len(tiled), dtype=bool), 1, tiled)


class MultiScale(nn.Module):
    """What a graph of several scales learns: links beside those of the body, and weights."""

    adjacency: Float[Tensor, "k v v"]

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        matrices: Float32[np.ndarray, "k v v"],
        pyskl: bool,
    ) -> None:
        super().__init__()
        self.pyskl = pyskl
        k, v, _ = matrices.shape
        # Only PYSKL's weights bring their graph.
        self.register_buffer("adjacency", torch.from_numpy(matrices), persistent=pyskl)
        shape = (k, v, v) if pyskl else (k * v, v)
        self.learned = nn.Parameter(torch.empty(shape).uniform_(-1e-6, 1e-6))
        self.mixing = nn.Conv2d(k * channels_in, channels_out, 1)
        self.normalisation = nn.BatchNorm2d(channels_out)

    def matrices(self) -> Float[Tensor, "k v v"]:
        """What joint v (second axis) takes from joint u (third axis)."""
        matrices = self.adjacency + self.learned.view_as(self.adjacency)
        return matrices.transpose(1, 2) if self.pyskl else matrices


class MultiScaleGraph(MultiScale):
    """The joints of one frame, each scale with its own weights (eq. 5).

    ``out[v] = ReLU(BN(sum_k sum_u (A[k, v, u] + B[k, v, u]) W[k] x[u] + b))``, B being learned.
    """

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d t v"]:
        """Gather from all distances, then mix channels."""
        b, c, t, v = x.shape
        gather = (
            self.matrices().transpose(0, 1).reshape(-1, v)
        )  # rows (v, k): k c is one axis below
        frames = x.permute(0, 2, 3, 1).reshape(b * t, v, c)
        gathered = torch.bmm(gather.expand(b * t, -1, -1), frames).view(b, t, v, -1)
        y = pointwise(gathered.permute(0, 3, 1, 2), self.mixing.weight, self.mixing.bias)
        return self.normalisation(y).relu_()


class Window(MultiScale):
    """G3D (section 3.3): the joints of several frames as one graph, then its frames made one.

    The authors unfold the clip into overlapping windows, multiply each by one matrix over all
    joints of all its frames, and reorder the result to mix channels. With the joints as channels
    that product is a convolution over frames, so nothing is unfolded here. Where it is cheaper,
    channels are mixed first: once a frame, instead of once for every window that the frame is in.
    """

    def __init__(
        self,
        channels_in: int,
        inner: int,
        channels_out: int,
        matrices: Float32[np.ndarray, "k v v"],
        pyskl: bool,
        *,
        frames: int,
        stride: int,
    ) -> None:
        super().__init__(channels_in, inner, matrices, pyskl)
        self.frames, self.stride = frames, stride
        self.widens = inner > channels_in
        self.collapse = nn.Conv3d(inner, channels_out, (1, frames, 1))
        self.collapse_normalisation = nn.BatchNorm2d(channels_out)

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d s v"]:
        """Windows around every `stride`-th frame, zeros around the clip."""
        y = self._of_frames(x, self._by_scale())
        y = self._of_windows(y, self._kernel(), self.frames // 2)
        return self._made_one(y)

    def through_time(self) -> Path:
        """A window; its graph and weights are laid out once, and each frame once."""
        half = self.frames // 2
        of_frames = partial(self._of_frames, by_scale=self._by_scale().detach())
        of_windows = partial(self._of_windows, kernel=self._kernel().detach(), padding=0)
        around = FramesAround(of_windows, before=half, after=half, stride=self.stride)
        return InTurn(EachFrame(of_frames), around, EachFrame(self._made_one))

    def _of_frames(
        self, x: Float[Tensor, "b c t v"], by_scale: Float[Tensor, "kd c 1 1"]
    ) -> Float[Tensor, "b i t e"]:
        """Joints as channels, after mixing those where that comes first.

        Without the bias, so that zeros around the clip are still zeros.
        """
        if self.widens:
            return x.transpose(1, 3)
        y = pointwise(x, by_scale, None).permute(0, 2, 3, 1)  # (b, t, u, k d)
        y = y.unflatten(3, (len(self.adjacency), -1)).permute(0, 1, 4, 3, 2).flatten(3)
        return y.permute(0, 3, 1, 2)  # (b, k u, t, d)

    def _of_windows(
        self, x: Float[Tensor, "b i t e"], kernel: Float[Tensor, "o i w"], padding: int
    ) -> Float[Tensor, "b o s e"]:
        """Gathered from all frames; `padding` of them are zeros at either end."""
        x = x.contiguous(memory_format=torch.channels_last)
        return functional.conv2d(x, kernel[..., None], None, (self.stride, 1), (padding, 0))

    def _made_one(self, y: Float[Tensor, "b o s e"]) -> Float[Tensor, "b d s v"]:
        """Mixed, if not before; then a window's frames become one."""
        assert self.mixing.bias is not None
        if self.widens:
            y = y.permute(0, 2, 3, 1).unflatten(3, (-1, len(self.adjacency)))  # (b, s, c, v w, k)
            y = y.permute(0, 1, 3, 4, 2).flatten(3)  # (b, s, v w, k c)
            y = pointwise(y.permute(0, 3, 1, 2), self.mixing.weight, self.mixing.bias)
        else:
            y = y.transpose(1, 3) + self.mixing.bias[:, None, None]
        y = self.normalisation(y).relu_()
        y = y.permute(0, 2, 3, 1).unflatten(2, (-1, self.frames)).flatten(3)  # (b, s, v, w d)
        weight = self.collapse.weight.squeeze((2, 4)).transpose(1, 2).flatten(1)
        y = pointwise(y.permute(0, 3, 1, 2), weight[:, :, None, None], self.collapse.bias)
        return self.collapse_normalisation(y)

    def _by_scale(self) -> Float[Tensor, "kd c 1 1"]:
        """The weights of all scales, one scale after another."""
        weight = self.mixing.weight.unflatten(1, (len(self.adjacency), -1))
        return weight.transpose(0, 1).flatten(0, 1)

    def _kernel(self) -> Float[Tensor, "o i w"]:
        """What joint v in frame w of a window takes from joint u in frame x of it.

        Of each scale (v w k, u, x) where channels are mixed later, else of all (v w, k u, x).
        """
        frames = (self.frames, -1)
        kernel = self.matrices().unflatten(1, frames).unflatten(3, frames).permute(2, 1, 0, 4, 3)
        return kernel.flatten(0, 2) if self.widens else kernel.flatten(0, 1).flatten(1, 2)


class MultiScaleTemporal(nn.Module):
    """Branches of different reach over frames, side by side (section 3.4, MS-TCN)."""

    def __init__(
        self, channels_in: int, channels_out: int, stride: int = 1, *, activated: bool = True
    ) -> None:
        super().__init__()
        each = channels_out // BRANCHES
        self.stride, self.activated = stride, activated
        self.entries = nn.ModuleList(nn.Conv2d(channels_in, each, 1) for _ in range(BRANCHES - 1))
        self.entry_norms = nn.ModuleList(nn.BatchNorm2d(each) for _ in range(BRANCHES - 1))
        self.dilated = nn.ModuleList(
            nn.Conv2d(each, each, (3, 1), (stride, 1), (dilation, 0), (dilation, 1))
            for dilation in DILATIONS
        )
        self.plain = Pointwise(channels_in, each, stride)
        self.exit_norms = nn.ModuleList(nn.BatchNorm2d(each) for _ in range(BRANCHES))
        self.residual: nn.Module = nn.Identity()
        if stride > 1 or channels_in != channels_out:
            self.residual = nn.Sequential(
                Pointwise(channels_in, channels_out, stride), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d s v"]:
        """Mix frames; all branches enter through one product."""
        weight, bias = (side_by_side(self.entries, name) for name in ("weight", "bias"))
        entered = normalised_together(pointwise(x, weight, bias), self.entry_norms).relu_()
        *parts, last = entered.chunk(BRANCHES - 1, dim=1)
        branches = [layer(part) for layer, part in zip(self.dilated, parts, strict=True)]
        branches.append(functional.max_pool2d(last, (3, 1), (self.stride, 1), (1, 0)))
        branches.append(self.plain(x))
        y = normalised_together(torch.cat(branches, dim=1), self.exit_norms) + self.residual(x)
        return y.relu_() if self.activated else y

    def through_time(self) -> Path:
        """All branches but the frame itself as one window, frame by frame.

        Weights and norms are laid side by side once, and not in every step.
        """
        reach = max(DILATIONS)
        around = FramesAround(self._around, before=reach, after=reach, stride=self.stride)
        weight, bias = (side_by_side(self.entries, name).detach() for name in ("weight", "bias"))
        factor, shift = _affine_of_all(self.entry_norms)
        enter = partial(
            pointwise, weight=weight * factor[:, None, None, None], bias=bias * factor + shift
        )
        branches = Together(
            InTurn(EachFrame(enter), EachFrame(functional.relu), around),
            path(self.plain),
            combine=partial(torch.cat, dim=1),
        )
        mixed = InTurn(branches, EachFrame(partial(_scaled, *_affine_of_all(self.exit_norms))))
        if self.activated:
            return residual(mixed, self.residual)
        return Together(mixed, path(self.residual), combine=added)

    def _around(self, x: Float[Tensor, "b d t v"]) -> Float[Tensor, "b e s v"]:
        """The branches of frames that have all others around them.

        What entered is not negative, so zeros around the clip are never the largest.
        """
        reach, t = max(DILATIONS), x.shape[2]
        *parts, last = x.chunk(BRANCHES - 1, dim=1)
        branches = []
        for layer, part, apart in zip(self.dilated, parts, DILATIONS, strict=True):
            assert isinstance(layer, nn.Conv2d)
            branches.append(convolved(layer, part[:, :, reach - apart : t - reach + apart]))
        three = last[:, :, reach - 1 : t - reach + 1]
        branches.append(functional.max_pool2d(three, (3, 1), (self.stride, 1)))
        return torch.cat(branches, dim=1)

    @staticmethod
    def official_names(official: str, own: str) -> dict[str, str]:
        """The authors' names of its modules, the same in PYSKL."""
        names = {
            f"{official}.branches.{BRANCHES - 2}.4": f"{own}.exit_norms.{BRANCHES - 2}",
            f"{official}.branches.{BRANCHES - 1}.0": f"{own}.plain",
            f"{official}.branches.{BRANCHES - 1}.1": f"{own}.exit_norms.{BRANCHES - 1}",
            f"{official}.residual.conv": f"{own}.residual.0",
            f"{official}.residual.bn": f"{own}.residual.1",
        }
        for i in range(BRANCHES - 1):
            names[f"{official}.branches.{i}.0"] = f"{own}.entries.{i}"
            names[f"{official}.branches.{i}.1"] = f"{own}.entry_norms.{i}"
        for i in range(len(DILATIONS)):
            names[f"{official}.branches.{i}.3.conv"] = f"{own}.dilated.{i}"
            names[f"{official}.branches.{i}.3.bn"] = f"{own}.exit_norms.{i}"
        return names


def _affine_of_all(norms: nn.ModuleList) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """What some batch norms side by side do in evaluation: factors and shifts."""
    pairs = [affine(norm) for norm in norms if isinstance(norm, nn.BatchNorm2d)]
    factors, shifts = zip(*pairs, strict=True)
    return torch.cat(factors).detach(), torch.cat(shifts).detach()


def _scaled(
    factor: Float[Tensor, " d"], shift: Float[Tensor, " d"], x: Float[Tensor, "b d t v"]
) -> Float[Tensor, "b d t v"]:
    """Every channel by its factor, and its shift added."""
    return x * factor[:, None, None] + shift[:, None, None]
