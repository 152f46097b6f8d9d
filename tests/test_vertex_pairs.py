"""Pairs of vertices, a tile at a time: the same numbers, and never more than a tile at once."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from skeldistill.losses import vertex_pairs
from skeldistill.losses.vertex_pairs import match_root, match_squared

forms = pytest.mark.parametrize("match", [match_squared, match_root])


def graphs(b=2, c=3, d=4, v=11, dtype=torch.float64) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(0)
    student = torch.randn(b, c, v, generator=chance, dtype=dtype).requires_grad_()
    return student, torch.randn(b, d, v, generator=chance, dtype=dtype)


def all_at_once(match, student: Tensor, teacher: Tensor) -> Tensor:
    """The formula on all pairs, differentiated by autograd."""
    found = []
    for graph in (student, teacher):
        squared = (graph[:, :, :, None] - graph[:, :, None, :]).square().sum(dim=1)
        if match is match_root:
            off = 1 - torch.eye(graph.shape[2], dtype=graph.dtype)
            squared = (squared + (1 - off)).sqrt() * off
            squared = squared / (squared.sum(dim=(1, 2), keepdim=True) / off.sum())
        found.append(squared)
    return functional.smooth_l1_loss(*found, reduction="none").mean(dim=(1, 2))


@forms
@pytest.mark.parametrize("side", [2, 3, 4, 5, 10, 11])  # 11 vertices: tiles of unequal sides
def test_tiles_equal_all_pairs_at_once(match, side, monkeypatch):
    monkeypatch.setattr(vertex_pairs, "PAIRS_AT_ONCE", side**2)
    student, teacher = graphs()
    cotangent = torch.tensor([0.3, -2.0], dtype=torch.float64)
    values, expected = match(student, teacher), all_at_once(match, student, teacher)
    torch.testing.assert_close(values, expected)
    found, gradient = (
        torch.autograd.grad(one, student, cotangent)[0] for one in (values, expected)
    )
    torch.testing.assert_close(found, gradient)


@forms
def test_gradients_of_tiles_hold_by_finite_differences(match, monkeypatch):
    monkeypatch.setattr(vertex_pairs, "PAIRS_AT_ONCE", 9)
    student, teacher = graphs(b=1, v=7)
    assert torch.autograd.gradcheck(lambda x: match(x, teacher), student)


@forms
def test_equal_vertices_stay_finite_across_tiles(match, monkeypatch):
    monkeypatch.setattr(vertex_pairs, "PAIRS_AT_ONCE", 9)
    _, teacher = graphs(b=1, v=7)
    student = torch.ones(1, 3, 7, dtype=torch.float64, requires_grad=True)
    values = match(student, teacher)
    (gradient,) = torch.autograd.grad(values.sum(), student)
    assert values.isfinite().all()
    assert (gradient == 0).all()


class Largest(TorchDispatchMode):
    """Keeps the size of the largest tensor that any operation gives."""

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = func(*args, **(kwargs or {}))
        for tensor in given if isinstance(given, tuple | list) else (given,):
            if isinstance(tensor, Tensor):
                self.elements = max(self.elements, tensor.numel())
        return given


@forms
def test_no_more_than_a_tile_is_held(match, monkeypatch):
    monkeypatch.setattr(vertex_pairs, "PAIRS_AT_ONCE", 400)
    student, teacher = graphs(b=1, v=150, dtype=torch.float32)
    with Largest() as largest:
        match(student, teacher).sum().backward()
    assert largest.elements <= 150 * 7  # both networks' vertices side by side, beyond any tile


@forms
def test_no_gradient_where_none_is_asked_for(match):
    student, teacher = graphs()
    assert not match(student.detach(), teacher).requires_grad
    with torch.no_grad():
        torch.testing.assert_close(match(student, teacher), all_at_once(match, student, teacher))
