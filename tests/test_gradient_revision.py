"""Gradient revision: the released code's numbers, eq. (14), and the optimum of eq. (13)."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from scipy.optimize import minimize
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.distillation.gradient_revision import conflicts, revise, revised_gradients
from skeldistill.losses.graph_matching import edge_loss, node_loss

GOLDEN = load_file(Path(__file__).parent / "golden" / "skd_losses.safetensors")
NAMES = ("body.weight", "body.bias", "adaption.weight", "adaption.bias", "fc.weight", "fc.bias")
SHAPES = [GOLDEN[f"gr.param.{name}"].shape for name in NAMES]


def unflattened(vector: Tensor) -> list[Tensor]:
    parts = vector.split([shape.numel() for shape in SHAPES])
    return [part.reshape(shape) for part, shape in zip(parts, SHAPES, strict=True)]


def projected(gradient: Tensor, task: Tensor) -> Tensor:
    """SKD eq. (14), where eq. (13) binds."""
    if gradient @ task >= 0:
        return gradient
    return gradient - (gradient @ task) / (task @ task) * task


def pieces(vector: Tensor) -> list[Tensor]:
    return [vector[:2], vector[2:].reshape(1, -1)]


def test_revises_the_released_gradients_as_the_released_code():
    raw = GOLDEN["gr.raw_grads_kl_edge_node_ce"].T
    *distillation, task = [unflattened(column) for column in raw]
    final = revise(task, distillation)
    for name, gradient in zip(NAMES, final, strict=True):
        torch.testing.assert_close(gradient, GOLDEN[f"gr.final_grad.{name}"], atol=1e-6, rtol=1e-5)
    flags = [bool(conflict.conflicted) for conflict in conflicts(task, distillation)]
    assert flags == [False, True, False]
    *revised, _ = GOLDEN["gr.revised_grads_kl_edge_node_ce"].T
    for column, expected in zip(raw[:3], revised, strict=True):
        torch.testing.assert_close(projected(column, raw[3]), expected, atol=1e-6, rtol=1e-5)


class Tiny(nn.Module):
    """The network of the golden numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 6, 1)
        self.adaption = nn.Conv2d(6, 6, 1)
        self.fc = nn.Linear(6, 10)
        state = {name: GOLDEN[f"gr.param.{name}"] for name in NAMES}
        self.load_state_dict(state)

    def losses(self) -> tuple[Tensor, dict[str, Tensor]]:
        features = self.body(GOLDEN["gr.x"]).relu()
        logits = self.fc(features.mean(dim=(2, 3)))
        adapted, teacher = self.adaption(features), GOLDEN["gr.teacher_feature"]
        target = functional.log_softmax(GOLDEN["gr.teacher_logits"], dim=1)
        kl = functional.kl_div(
            functional.log_softmax(logits, dim=1), target, reduction="batchmean", log_target=True
        )
        terms = {
            "kl": kl,
            "edge": edge_loss(adapted, teacher, form="release"),
            "node": node_loss(adapted, teacher, form="release"),
        }
        return functional.cross_entropy(logits, GOLDEN["gr.label"]), terms


def test_differentiates_and_revises_as_the_released_code():
    network = Tiny()
    parameters = [network.get_parameter(name) for name in NAMES]
    final, report = revised_gradients(*network.losses(), parameters)
    for name, gradient in zip(NAMES, final, strict=True):
        torch.testing.assert_close(gradient, GOLDEN[f"gr.final_grad.{name}"], atol=1e-5, rtol=1e-4)
    assert {name: bool(one.conflicted) for name, one in report.items()} == {
        "kl": False,
        "edge": True,
        "node": False,
    }
    # the task does not touch the adaptation layer, which must learn all the same
    assert final[2].abs().max() > 0
    assert all(parameter.grad is None for parameter in parameters)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10_000), count=st.integers(0, 4), scale=st.sampled_from([1e-6, 1, 1e6]))
def test_is_the_sum_of_algorithm_1(seed, count, scale):
    chance = torch.Generator().manual_seed(seed)
    task, *others = scale * torch.randn(count + 1, 6, generator=chance, dtype=torch.float64)
    found = revise(pieces(task), [pieces(one) for one in others])
    expected = task + sum(projected(one, task) for one in others)
    torch.testing.assert_close(torch.cat([one.flatten() for one in found]), expected)
    for one, conflict in zip(
        others, conflicts(pieces(task), [pieces(one) for one in others]), strict=True
    ):
        torch.testing.assert_close(conflict.cosine, torch.cosine_similarity(one, task, dim=0))
        assert conflict.conflicted == (one @ task < 0)
        assert conflict.strength == pytest.approx(max(0.0, -(one @ task) / (task @ task)))


@pytest.mark.parametrize("seed", range(6))
def test_is_the_optimum_of_appendix_a(seed):
    """Eq. (13) handed to a solver that knows nothing of eq. (14)."""
    task, other = np.random.default_rng(seed).standard_normal((2, 6))
    best = minimize(
        lambda x: 0.5 * np.sum((other - x) ** 2),
        x0=np.zeros(6),
        jac=lambda x: x - other,
        constraints={"type": "ineq", "fun": lambda x: x @ task, "jac": lambda x: task},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 200},
    ).x
    task, other = torch.from_numpy(task), torch.from_numpy(other)
    found = torch.cat([one.flatten() for one in revise(pieces(task), [pieces(other)])]) - task
    torch.testing.assert_close(found, torch.from_numpy(best), atol=1e-6, rtol=1e-6)


def test_none_counts_as_zero():
    a, b = torch.tensor([1.0, 0.0]), torch.tensor([3.0])
    found = revise([a, None, None], [[-2 * a, b, None], [None, b, None]])
    torch.testing.assert_close(found[0], a)  # -2a is projected away altogether
    torch.testing.assert_close(found[1], 2 * b)
    assert found[2] is None
    explicit = revise([a, 0 * b], [[-2 * a, b], [0 * a, b]])
    torch.testing.assert_close(found[:2], explicit)


def test_a_task_without_gradient_is_safe():
    a = torch.tensor([1.0, -2.0])
    for task in ([0 * a], [None]):
        (found,) = revise(task, [[a]])
        torch.testing.assert_close(found, a)
        (conflict,) = conflicts(task, [[a]])
        assert (conflict.cosine, conflict.strength, bool(conflict.conflicted)) == (0, 0, False)


def test_inner_products_are_summed_in_double():
    task = torch.cat([torch.tensor([1e4]), torch.full((100_000,), 1e-1)])
    other = torch.cat([torch.tensor([-1e4]), torch.full((100_000,), 1e-1)])
    (conflict,) = conflicts([task], [[other]])
    exact = (task.double() @ other.double()) / (task.double() @ task.double())
    assert conflict.strength.item() == pytest.approx(-exact.item(), rel=1e-12)


def test_terms_that_touch_nothing_count_as_zero():
    weight = torch.ones(3, requires_grad=True)
    found, report = revised_gradients(
        (weight**2).sum(), {"alone": torch.zeros(()), "other": weight.sum()}, [weight]
    )
    torch.testing.assert_close(found[0], 2 * weight + 1)
    assert report["alone"].strength == 0
    assert list(report) == ["alone", "other"]


def test_gradients_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="got 1 of the task and 2 of a distillation loss"):
        revise([torch.ones(1)], [[torch.ones(1), None]])
