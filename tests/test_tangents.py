"""Tangents: the Jacobian times a direction, over a graph that is already there."""

import inspect

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.autograd.functional import jvp
from torch.nn import functional

from skeldistill import networks
from skeldistill.distillation import tangents as module
from skeldistill.distillation.tangents import NoTangent, reached_otherwise, tangents
from skeldistill.layouts import PENN13

TRAINED = [
    name for name, part in networks.SHELF.items() if not getattr(part, "closed_form_passes", 0)
]


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def made(name: str) -> nn.Module:
    part = networks.find(name)
    narrow = {"width": 0.125} if "width" in inspect.signature(part).parameters else {}
    torch.manual_seed(0)
    network = part(PENN13, classes=4, persons=1, **narrow).double().train()
    with torch.no_grad():
        for weight in network.parameters():  # gates and last layers may start at 0
            weight += 0.05 * torch.randn_like(weight)
    return network


@pytest.mark.parametrize("name", TRAINED)
def test_inner_products_through_every_network(name):
    """<J^T c, J^T d> = <c, J J^T d>, whatever a network is made of, in training with dropout."""
    network = made(name)
    frames = next(count for count in network.frame_counts if count >= 8)
    said = network(drawn(2, 1, frames, 13, 3))
    outputs, learned = [said.logits, said.features], list(network.parameters())
    cotangents = [drawn(*output.shape, seed=1) for output in outputs]
    task = torch.autograd.grad(
        said.logits.logsumexp(1).sum(), learned, retain_graph=True, allow_unused=True
    )
    moved = tangents(outputs, learned, task)
    found = sum((one * other).sum() for one, other in zip(moved, cotangents, strict=True))
    gradients = torch.autograd.grad(outputs, learned, cotangents, allow_unused=True)  # still there
    pairs = zip(gradients, task, strict=True)
    expected = sum((a * b).sum() for a, b in pairs if a is not None and b is not None)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=0)


OPERATIONS = {
    "convolution": lambda x, w: functional.conv2d(x, w, w[:, 0, 0, 0], (2, 1), (1, 0)),
    "fixed weights": lambda x, w: functional.conv2d(x, w.detach(), w[:, 0, 0, 0]),
    "fixed input": lambda x, w: functional.conv2d(x.detach(), w, padding=1),
    "bias alone": lambda x, w: functional.conv2d(x.detach(), w.detach(), w[:, 0, 0, 0]),
    "groups": lambda x, w: functional.conv2d(x, w[:, :1], groups=4, dilation=2, padding=2),
    "transposed": lambda x, w: functional.conv_transpose2d(x, w, stride=2),
    "normalised": lambda x, w: functional.batch_norm(
        x, None, None, w[:, 0, 0, 0], w[:, 0, 0, 1], training=True
    ),
    "normalised, shift alone": lambda x, w: functional.batch_norm(
        x, None, None, w[:, 0, 0, 0].detach(), w[:, 0, 0, 1], training=True
    ),
    "normalised, scale alone": lambda x, w: functional.batch_norm(
        x.detach(), None, None, w[:, 0, 0, 1], training=True
    ),
    "normalised, frozen": lambda x, w: functional.batch_norm(
        x,
        torch.full((4,), 0.3).double(),
        torch.full((4,), 2.0).double(),
        w[:, 0, 0, 0],
        w[:, 0, 0, 1],
    ),
    "products": lambda x, w: (x * w[:, :, :1, :1].sum(0) * 3) * x[:, :1] + w[0, 0, 0, 0] * 2,
    "sums": lambda x, w: x.sum((-1, 1), keepdim=True) - 2 * x + torch.sub(w[0, 0, 0, 0], x),
    "matrices": lambda x, w: torch.bmm(x[0], x[1].transpose(-1, -2)) @ w.flatten(1)[:, :5].T,
    "flat matrices": lambda x, w: x.flatten(1) @ x.flatten(1).T @ w.flatten(1)[:2, :3],
    "linear": lambda x, w: functional.linear(
        x.flatten(1)[:, :9], w.flatten(1)[:, :9], w[:, 0, 0, 0]
    ),
    "axes": lambda x, w: x.permute(-1, 0, 2, 1).transpose(-2, 0).unsqueeze(1).squeeze(1).flip(0),
    "pieces": lambda x, w: torch.cat(
        [
            x[:, 1:3],
            *x.split([1, 3], dim=1),
            w[:2, :, :2, :2].mean((2, 3), keepdim=True).expand(2, 4, 5, 5),
        ],
        dim=1,
    ),
    "curves": lambda x, w: x.relu() + x.sigmoid() * x.tanh() + x.softmax(2) + functional.silu(x),
    "more curves": lambda x, w: functional.elu(x) + functional.gelu(x) + x.abs() + (-x).exp(),
    "rooted": lambda x, w: (x.square() + 1).sqrt().log_softmax(1) / (2 + w.std()),
    "largest": lambda x, w: functional.max_pool2d(x, 2) + x.amax((2, 3), keepdim=True),
    "written into": lambda x, w: x.clone().index_copy(1, torch.tensor([2]), 2 * x[:, :1]),
    "in place": lambda x, w: (x * 2).add_(w[0, 0, 0, 0]).add_(x).relu_(),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_equals_differentiating_twice(name):
    x, w = drawn(2, 4, 5, 5).requires_grad_(), drawn(4, 4, 3, 3, seed=1).requires_grad_()
    directions = drawn(2, 4, 5, 5, seed=2), drawn(4, 4, 3, 3, seed=3)
    operation = OPERATIONS[name]
    (found,) = tangents([operation(x, w)], [x, w], directions)
    _, expected = jvp(operation, (x.detach(), w.detach()), directions)
    torch.testing.assert_close(found, expected)


def test_what_does_not_move_has_no_tangent():
    x, w = drawn(3).requires_grad_(), drawn(3, seed=1).requires_grad_()
    assert tangents([x * 2, w * x], [x, w], [None, None]) == [None, None]
    still, moved = tangents([x.sin(), w * x], [x, w], [None, drawn(3, seed=2)])
    assert still is None
    torch.testing.assert_close(moved, x * drawn(3, seed=2))


def test_a_parameter_is_its_own_output():
    x = drawn(3).requires_grad_()
    leaf, twice = tangents([x.view(3), 2 * x], [x], [torch.ones(3, dtype=torch.float64)])
    torch.testing.assert_close(torch.stack([leaf, twice]).mean(1), torch.tensor([1.0, 2]).double())


def test_sixteen_bits_stay_sixteen_bits():
    convolution = nn.Conv2d(2, 3, 1)
    with torch.autocast("cpu", torch.bfloat16):
        output = convolution(torch.randn(2, 2, 4, 4)).relu()
    (found,) = tangents(
        [output], list(convolution.parameters()), [torch.ones(3, 2, 1, 1), torch.ones(3)]
    )
    assert found.dtype == torch.bfloat16


class Once(torch.autograd.Function):
    """As the edge loss: differentiable once."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    @once_differentiable
    def backward(ctx, cotangent):
        return 2 * ctx.saved_tensors[0] * cotangent


def test_what_cannot_be_passed_is_said():
    x = drawn(3).requires_grad_()
    with pytest.raises(NoTangent, match="written in Python"):
        tangents([Once.apply(x)], [x], [drawn(3)])
    freed = x * x
    freed.sum().backward()
    with pytest.raises(NoTangent, match="Mul"):
        tangents([freed], [x], [drawn(3)])


def test_a_rule_that_no_longer_fits_torch_is_said(monkeypatch):
    monkeypatch.setitem(module.RULES, "SinBackward0", lambda node, moved: node._saved_gone)
    x = drawn(3).requires_grad_()
    with pytest.raises(NoTangent, match="_saved_gone"):
        tangents([x.sin()], [x], [drawn(3)])


def test_tells_whether_losses_know_more_than_the_outputs():
    x, w = drawn(3).requires_grad_(), drawn(3, seed=1).requires_grad_()
    output = x * 2
    own = (output * w).sum()
    assert not reached_otherwise([own], [output], [x])
    assert reached_otherwise([own], [output], [x, w])
    assert reached_otherwise([own, (output * x).sum()], [output], [x])
    assert reached_otherwise([x.sum()], [output], [x])
    first, second = torch.stack([x, 2 * x]).unbind(0)
    assert reached_otherwise([second.sum()], [first], [x])  # another output of the same node
