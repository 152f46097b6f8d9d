"""Every network as its authors' code computes it: the same weights, their order of operations.

Plain eager PyTorch, maps with channels first in memory, and only what the authors do otherwise than
we do: a module of ours is asked by another `forward`. Written from descriptions of their code. What
is not imitated, because it would only slow the baseline down: the second, unused pass through
AS-GCN's second block, and its head that reconstructs.
"""

import copy
from collections.abc import Callable
from functools import partial
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.networks import (
    agcn,
    asgcn_layers,
    asgcn_links,
    ctrgcn,
    efficientgcn_layers,
    msg3d_layers,
    prgcn,
    rank_pooling,
    resgcn,
    shiftgcn,
    stgcnpp,
)
from skeldistill.networks.blocks import GraphConvolution, Pointwise
from skeldistill.networks.network import Network

OWN = ("LiveGCN",)
"""Networks that have no authors but us: their baseline is ST-GCN's order of operations."""


def in_official_order(network: Network) -> Network:
    """A copy that computes the same in the authors' order."""
    plain = copy.deepcopy(network)
    for module in plain.modules():
        if type(module) in FORWARD:
            module.forward = partial(FORWARD[type(module)], module)
    return plain


def graph_convolution(self: GraphConvolution, x: Tensor, adjacency: Tensor) -> Tensor:
    """ST-GCN: mix channels for every partition, then sum over neighbours."""
    mixed = self.convolution(x.contiguous()).unflatten(1, (self.partitions, -1))
    return torch.einsum("nkctv,kvw->nctw", mixed, adjacency).contiguous()


def pointwise(self: Pointwise, x: Tensor) -> Tensor:
    return nn.Conv2d.forward(self, x.contiguous())


# 2s-AGCN


def adaptive_graph(self: agcn.AdaptiveGraphConvolution, x: Tensor, adjacency: Tensor) -> Tensor:
    """One partition after another."""
    x = x.contiguous()
    b, c, t, v = x.shape
    total: Tensor | float = 0.0
    for k in range(self.partitions):
        queries = self.queries[k](x).permute(0, 3, 1, 2).contiguous().view(b, v, -1)
        keys = self.keys[k](x).view(b, -1, v)
        similar = torch.softmax(queries @ keys / keys.shape[1], dim=1)
        graph = adjacency[k] + self.learned[k] + similar
        total = self.values[k]((x.view(b, c * t, v) @ graph).view(b, c, t, v)) + total
    return functional.relu(self.normalisation(total) + self.residual(x))


# Shift-GCN


def spatial_shift(self: shiftgcn.SpatialUnit, x: Tensor) -> Tensor:
    """Shift by an index over all joints' channels, then a product for every frame."""
    x = x.contiguous()
    b, c, t, v = x.shape
    y = x.permute(0, 2, 3, 1).contiguous().view(b * t, v * c).index_select(1, self.shift_in)
    y = y.view(b * t, v, c) * (torch.tanh(self.mask) + 1)
    y = torch.einsum("nwc,cd->nwd", y, self.weight).contiguous() + self.bias
    y = self.normalisation(y.view(b * t, -1).index_select(1, self.shift_out))
    y = y.view(b, t, v, -1).permute(0, 3, 1, 2)
    return functional.relu(y + self.residual(x)).contiguous()


def temporal_shift(self: shiftgcn.TemporalShift, x: Tensor, reach: int | None) -> Tensor:
    """Their kernel in PyTorch: gather the two frames of every channel and mix them by distance."""
    x, t = x.contiguous(), x.shape[2]
    position = self.position + (0.5 if self.stride > 1 else 0.0)
    share = (position - position.floor())[:, None, None]
    channel = torch.arange(x.shape[1])[:, None]
    first = torch.arange(0, t, self.stride) + position.floor().long()[:, None]

    def frame(number: Tensor) -> Tensor:
        inside = (number >= 0) & (number < t)
        return x[:, channel, number.clamp(0, t - 1)] * inside[:, :, None]

    return frame(first) * (1 - share) + frame(first + 1) * share


# MS-G3D


def all_scales(self: msg3d_layers.MultiScale, x: Tensor) -> Tensor:
    """Sum over all joints of all scales at once, reorder, mix channels."""
    b, c, t, _ = x.shape
    matrices = self.matrices()
    summed = torch.einsum("vu,nctu->nctv", matrices.flatten(0, 1), x)
    summed = summed.view(b, c, t, len(matrices), -1).permute(0, 3, 1, 2, 4).contiguous()
    return functional.relu(self.normalisation(self.mixing(summed.view(b, -1, *summed.shape[3:]))))


def multi_scale_graph(self: msg3d_layers.MultiScaleGraph, x: Tensor) -> Tensor:
    return all_scales(self, x.contiguous())


def window(self: msg3d_layers.Window, x: Tensor) -> Tensor:
    """Unfold the clip into windows; the joints of all their frames are one axis."""
    b, c, _, v = x.shape
    frames = (self.frames, 1)
    unfolded = functional.unfold(
        x.contiguous(), frames, stride=(self.stride, 1), padding=(self.frames // 2, 0)
    )
    unfolded = unfolded.view(b, c, self.frames, -1, v).permute(0, 1, 3, 2, 4).contiguous()
    y = all_scales(self, unfolded.flatten(3)).unflatten(3, (self.frames, v))
    return self.collapse_normalisation(self.collapse(y).squeeze(3))


def dilated_branches(self: msg3d_layers.MultiScaleTemporal, x: Tensor) -> Tensor:
    """One branch after another."""
    ends = []
    for i, (entry, norm) in enumerate(zip(self.entries, self.entry_norms, strict=True)):
        y = functional.relu(norm(entry(x)))
        if i < len(self.dilated):
            y = self.dilated[i](y)
        else:
            y = functional.max_pool2d(y, (3, 1), (self.stride, 1), (1, 0))
        ends.append(self.exit_norms[i](y))
    ends.append(self.exit_norms[-1](self.plain(x)))
    y = torch.cat(ends, dim=1) + self.residual(x)
    return functional.relu(y) if self.activated else y


# ST-GCN++


def six_kinds(self: stgcnpp.MultiScaleConvolution, x: Tensor) -> Tensor:
    """One branch after another."""
    return self.transform(torch.cat([branch(x) for branch in self.branches], dim=1))


# CTR-GCN


def channelwise_graph(self: ctrgcn.ChannelwiseGraphConvolution, x: Tensor) -> Tensor:
    """One partition after another; channels are mixed before the mean over frames."""
    x = x.contiguous()
    total: Tensor | float = 0.0
    for k in range(self.partitions):
        target, source = self.targets[k](x).mean(dim=2), self.sources[k](x).mean(dim=2)
        related = self.relations[k](torch.tanh(target[..., :, None] - source[..., None, :]))
        graph = related * self.gate + self.learned[k]
        total = torch.einsum("ncuv,nctv->nctu", graph, self.values[k](x)) + total
    return functional.relu(self.normalisation(total) + self.residual(x)).contiguous()


# EfficientGCN and ResGCN


def swish(x: Tensor) -> Tensor:
    return x.mul_(x.sigmoid())


def spatial(self: efficientgcn_layers.Spatial, x: Tensor, adjacency: Tensor) -> Tensor:
    x = x.contiguous()
    y = self.normalisation(self.graph(x, adjacency * self.importance))
    return swish(y + self.residual(x))


def basic(self: efficientgcn_layers.Basic, x: Tensor) -> Tensor:
    return swish(self.convolution(x) + x)


def sand_glass(self: efficientgcn_layers.SandGlass, x: Tensor) -> Tensor:
    y = self.squeeze(swish(self.before(x)))
    return self.after(swish(self.expand(y))) + self.residual(x)


def joint_attention(self: efficientgcn_layers.Attention, x: Tensor) -> Tensor:
    t, v = x.shape[2:]
    means = torch.cat([x.mean(3, keepdim=True), x.mean(2, keepdim=True).transpose(2, 3)], dim=2)
    narrowing, norm, activation = self.squeeze
    squeezed = activation(normalised_like(norm, as_convolution(narrowing, means)))
    frames, joints = squeezed.split([t, v], dim=2)
    frames = torch.sigmoid(as_convolution(self.of_frames, frames))
    joints = torch.sigmoid(as_convolution(self.of_joints, joints.transpose(2, 3)))
    return swish(self.normalisation(x * (frames * joints)) + x)


def part_attention(self: resgcn.PartAttention, x: Tensor) -> Tensor:
    b, c = x.shape[:2]
    scores = self.of_parts(self.squeeze(functional.adaptive_avg_pool2d(x, 1).flatten(1)))
    shares = scores.view(b, c, -1).softmax(dim=2)[:, :, self.parts]
    return functional.relu(self.normalisation(x * shares[:, :, None]) + x)


def as_convolution(layer: nn.Linear, x: Tensor) -> Tensor:
    return functional.conv2d(x, layer.weight[:, :, None, None], layer.bias)


def normalised_like(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    return functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)


# AS-GCN, PR-GCN, rank pooling


def actional_structural(
    self: asgcn_layers.ActionalStructural, x: Tensor, structure: Tensor, links: Tensor
) -> Tensor:
    """Mix channels for every graph of the body and of the action, then sum over neighbours."""
    mixed = self.mixing(x.contiguous()).unflatten(1, (self.graphs, -1))
    body, action = mixed.split([len(structure), self.graphs - len(structure)], dim=1)
    y = torch.einsum("nkctv,kvw->nctw", body, structure * self.importance)
    return (y + torch.einsum("nkctv,nkvw->nctw", action, links)).contiguous()


def link_encoder(self: asgcn_links.LinkEncoder, motion: Tensor) -> Tensor:
    """From joints to pairs and back by products with zeros and ones."""
    senders, receivers = (
        functional.one_hot(of, self.pairs.joints).to(motion.dtype)
        for of in (self.pairs.senders, self.pairs.receivers)
    )
    joints = self.motion(motion)
    pairs = self.pair(torch.cat([receivers @ joints, senders @ joints], dim=2))
    joints = self.joint(receivers.t() @ pairs / self.pairs.joints)
    again = torch.cat([receivers @ joints, senders @ joints, pairs], dim=2)
    return self.types(self.pair_again(again))


def over_frames(self: prgcn.OverFrames, x: Tensor) -> Tensor:
    return self.layers(x.contiguous())


def ranked(self: rank_pooling.RankPooling, joints: Tensor):
    """One regression after another, by the library of the authors' code (liblinear)."""
    with mock.patch.object(rank_pooling, "rank", by_liblinear):
        return rank_pooling.RankPooling.forward(self, joints)


def by_liblinear(frames: Tensor, present: Tensor) -> Tensor:
    from sklearn.svm import LinearSVR

    machine = LinearSVR(
        C=rank_pooling.PENALTY,
        epsilon=rank_pooling.TOLERANCE,
        loss="squared_epsilon_insensitive",
        dual=False,
        fit_intercept=False,
        tol=1e-6,
        max_iter=100_000,
    )
    found = torch.zeros(frames.shape[0], frames.shape[2], dtype=frames.dtype)
    for i, (person, there) in enumerate(zip(frames, present, strict=True)):
        shown = person[there].double().numpy()
        machine.fit(shown, np.arange(1, len(shown) + 1))
        found[i] = torch.from_numpy(machine.coef_)
    return found


FORWARD: dict[type[nn.Module], Callable] = {
    GraphConvolution: graph_convolution,
    Pointwise: pointwise,
    agcn.AdaptiveGraphConvolution: adaptive_graph,
    shiftgcn.SpatialUnit: spatial_shift,
    shiftgcn.TemporalShift: temporal_shift,
    msg3d_layers.MultiScaleGraph: multi_scale_graph,
    msg3d_layers.Window: window,
    msg3d_layers.MultiScaleTemporal: dilated_branches,
    stgcnpp.MultiScaleConvolution: six_kinds,
    ctrgcn.ChannelwiseGraphConvolution: channelwise_graph,
    efficientgcn_layers.Spatial: spatial,
    efficientgcn_layers.Basic: basic,
    efficientgcn_layers.SandGlass: sand_glass,
    efficientgcn_layers.Attention: joint_attention,
    resgcn.PartAttention: part_attention,
    asgcn_layers.ActionalStructural: actional_structural,
    asgcn_links.LinkEncoder: link_encoder,
    prgcn.OverFrames: over_frames,
    rank_pooling.RankPooling: ranked,
}
"""How each kind of module is asked instead."""
