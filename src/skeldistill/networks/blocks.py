"""What several networks are built from.

Maps are ``(b, c, t, v)`` tensors (b: persons of all clips) that lie in memory with channels last,
the order in which the joints arrive: every reshape below is free, and convolutions on CPUs are
fastest so.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, library, nn
from torch.nn import functional


class GraphConvolution(nn.Module):
    """A weight matrix for each partition of a joint's neighbours (ST-GCN eq. 10).

    ``out[c', w] = sum_k sum_v A[k, v, w] (sum_c W[k, c', c] x[c, v] + b[k, c'])``

    The authors multiply with W first and then sum over the neighbours. Here the sum comes first
    unless a block narrows, since it is cheaper on the narrow side; either way the result of the
    one is already laid out as the input of the other. What the biases add depends on the joint
    alone.
    """

    def __init__(self, channels_in: int, channels_out: int, partitions: int) -> None:
        super().__init__()
        self.partitions = partitions
        # Holds the weights in the authors' shape, partitions first: (k c', c, 1, 1).
        self.convolution = nn.Conv2d(channels_in, partitions * channels_out, 1)

    def forward(
        self, x: Float[Tensor, "b c t v"], adjacency: Float[Tensor, "k v v"]
    ) -> Float[Tensor, "b d t v"]:
        """Gather from the neighbours and mix channels, whichever is better first."""
        b, c, t, v = x.shape
        k, weight, bias = self.partitions, self.convolution.weight, self.convolution.bias
        assert bias is not None
        if len(weight) < k * c:
            mixed = pointwise(x, weight, bias).permute(0, 2, 3, 1).reshape(b * t, v * k, -1)
            gather = adjacency.permute(2, 1, 0).reshape(v, v * k)  # columns (v, k), as mixed lies
            gathered = torch.bmm(gather.expand(b * t, -1, -1), mixed)
            return gathered.view(b, t, v, -1).permute(0, 3, 1, 2)
        gather = adjacency.permute(2, 0, 1).reshape(v * k, v)  # rows (w, k): k c is one axis below
        frames = x.permute(0, 2, 3, 1).reshape(b * t, v, c)
        gathered = torch.bmm(gather.expand(b * t, -1, -1), frames).view(b, t, v, k * c)
        weight = weight.view(k, -1, c).transpose(0, 1).reshape(-1, k * c, 1, 1)
        offset = bias.view(k, -1).t() @ adjacency.sum(dim=1)  # (c', w)
        return pointwise(gathered.permute(0, 3, 1, 2), weight, None) + offset[:, None]


class Pointwise(nn.Conv2d):
    """A 1x1 convolution, over every `stride`-th frame."""

    def __init__(self, channels_in: int, channels_out: int, stride: int = 1) -> None:
        super().__init__(channels_in, channels_out, 1, (stride, 1))

    def forward(self, input: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d s v"]:
        """Mix the channels of every joint."""
        # Not the convolution's own stride: from 8 channels, of 3 images, its backward pass
        # writes beyond its memory on CPUs (PyTorch 2.13).
        if self.stride[0] > 1 and torch.compiler.is_compiling():
            # Of a slice, an export would tell odd numbers of frames from even ones.
            kept = torch.arange(0, input.shape[2], self.stride[0], device=input.device)
            return pointwise(input.index_select(2, kept), self.weight, self.bias)
        return pointwise(every(self.stride[0], input), self.weight, self.bias)


def every(stride: int, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c s v"]:
    """Every stride-th frame, such that the gradient has its channels last in memory as well."""
    return x.permute(0, 2, 3, 1)[:, ::stride].permute(0, 3, 1, 2) if stride > 1 else x


def pointwise(
    x: Float[Tensor, "b c t v"], weight: Float[Tensor, "d c 1 1"], bias: Float[Tensor, " d"] | None
) -> Float[Tensor, "b d t v"]:
    """A 1x1 convolution, the fastest way on one CPU thread.

    In training as a matrix product, whose gradients take half as long. Otherwise as a convolution,
    which PyTorch gives to a slow kernel when the images are few; which axes are images and which
    are pixels makes no difference here, so that frames are the images where there are more.
    """
    if torch.compiler.is_compiling():  # an export should work for any number of clips
        return functional.conv2d(x, weight, bias)
    if torch.is_grad_enabled():
        return functional.linear(x.permute(0, 2, 3, 1), weight.flatten(1), bias).permute(0, 3, 1, 2)
    b, c, t, v = x.shape
    if b >= t:
        return functional.conv2d(x, weight, bias)
    frames = x.permute(0, 2, 3, 1).reshape(t, b * v, 1, c).permute(0, 3, 1, 2)
    mixed = functional.conv2d(frames, weight, bias)
    return mixed.permute(0, 2, 3, 1).reshape(b, t, v, -1).permute(0, 3, 1, 2)


def normalised(
    x: Float[Tensor, "b c t v"], normalisation: nn.BatchNorm1d
) -> Float[Tensor, "b c t v"]:
    """Every channel of every joint on its own, by a batch norm over (v c)."""
    b, c, t, v = x.shape
    y = normalisation(x.permute(0, 2, 3, 1).reshape(b * t, v * c))
    return y.view(b, t, v, c).permute(0, 3, 1, 2)


def normalised_persons(
    x: Float[Tensor, "b c t v"], normalisation: nn.BatchNorm1d, persons: int
) -> Float[Tensor, "b c t v"]:
    """Every channel of every joint of every person on its own, by a batch norm over (m v c)."""
    rows = x.unflatten(0, (-1, persons)).permute(0, 3, 1, 4, 2)  # (n, t, m, v, c)
    y = normalisation(rows.flatten(2).flatten(0, 1)).view(rows.shape)
    return y.transpose(1, 2).flatten(0, 1).permute(0, 3, 1, 2)


def normalised_together(
    x: Float[Tensor, "b c t v"], norms: Sequence[nn.Module] | nn.ModuleList
) -> Float[Tensor, "b c t v"]:
    """Normalise channels by several modules side by side, in one pass over them."""
    mean, variance, weight, bias = (
        side_by_side(norms, name) for name in ("running_mean", "running_var", "weight", "bias")
    )
    first = norms[0]
    assert isinstance(first, nn.BatchNorm2d)
    assert first.momentum is not None
    x = functional.batch_norm(
        x, mean, variance, weight, bias, first.training, first.momentum, first.eps
    )
    if first.training:  # the statistics above are copies
        sizes = [len(norm.get_buffer("running_mean")) for norm in norms]
        means, variances = mean.split(sizes), variance.split(sizes)
        for norm, its_mean, its_variance in zip(norms, means, variances, strict=True):
            norm.get_buffer("running_mean").copy_(its_mean)
            norm.get_buffer("running_var").copy_(its_variance)
            norm.get_buffer("num_batches_tracked").add_(1)
    return x


def affine(
    normalisation: nn.BatchNorm1d | nn.BatchNorm2d,
) -> tuple[Float[Tensor, " d"], Float[Tensor, " d"]]:
    """What a batch norm does to every channel in evaluation: its factor and its shift."""
    mean, variance = normalisation.running_mean, normalisation.running_var
    assert mean is not None
    assert variance is not None
    factor = (variance + normalisation.eps).rsqrt()
    if normalisation.affine:
        factor = factor * normalisation.weight
        return factor, normalisation.bias - mean * factor
    return factor, -mean * factor


def side_by_side(modules: Sequence[nn.Module] | nn.ModuleList, name: str) -> Tensor:
    """One tensor of every module, as of one wide module."""
    return torch.cat([getattr(module, name) for module in modules])


def weights(layers: nn.ModuleList) -> list[Tensor]:
    """The weights of some convolutions."""
    return [layer.weight for layer in layers if isinstance(layer, nn.Conv2d)]


def biases(layers: nn.ModuleList) -> list[Tensor]:
    """The biases of some convolutions."""
    return [
        layer.bias for layer in layers if isinstance(layer, nn.Conv2d) and layer.bias is not None
    ]


def fan_out(layer: nn.Conv2d) -> nn.Conv2d:
    """Draw weights that keep the size of gradients (He et al. 2015); biases are 0."""
    nn.init.kaiming_normal_(layer.weight, mode="fan_out")
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


class Dropout(nn.Module):
    """Dropout that draws one random byte for each value: many times faster on CPUs.

    The probability is met to within 1/512 (0.5 exactly); what is kept is scaled by what is really
    kept, so the mean never changes.
    """

    def __init__(self, probability: float) -> None:
        super().__init__()
        if not 0 <= probability < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {probability}")
        self.probability = probability

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c t v"]:
        """Lose values at random in training; nothing happens in evaluation."""
        if not self.training or self.probability == 0:
            return x
        b, c, t, v = x.shape
        kept = max(1, round(256 * (1 - self.probability)))
        words = torch.empty((x.numel() + 7) // 8, dtype=torch.int64, device=x.device)
        if torch.compiler.is_compiling():
            _random_bits(words)
        else:
            words.random_(-(2**63), None)
        drawn = words.view(torch.uint8)[: x.numel()]
        # Drawn in the order of memory (channels last), so that the product is one straight pass.
        # As numbers of x's kind: a product with booleans would turn them into such, twice.
        keep = (drawn < kept).to(x.dtype).mul_(256 / kept)
        return x * keep.view(b, t, v, c).permute(0, 3, 1, 2)


@library.custom_op("skeldistill::random_bits", mutates_args=("words",))
def _random_bits(words: Tensor) -> None:
    """Overwrite 64-bit words with random bits: one operation to a compiler.

    It would end its graph at `random_`, and draw by a generator of its own.
    """
    words.random_(-(2**63), None)


def initialise(network: nn.Module) -> None:
    """Draw weights as ST-GCN's training does: N(0, 0.02), normalisation N(1, 0.02), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
