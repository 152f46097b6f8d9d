"""Revision along the task gradient: what one backward pass a loss gives, in fewer passes."""

import copy
import dataclasses

import pytest
import torch
from stores import named, small_store
from torch import Tensor
from torch.autograd.function import once_differentiable

from skeldistill import losses, networks, recipe
from skeldistill.data.batch import Batch
from skeldistill.distillation import reviser as module
from skeldistill.distillation.distill import Distiller
from skeldistill.distillation.gradient_revision import revised_gradients
from skeldistill.distillation.reviser import Reviser, pointwise_weights
from skeldistill.layouts import COCO17, PENN13
from skeldistill.losses.loss import LossContext
from skeldistill.prediction import Prediction
from skeldistill.recipe import LossTerm
from skeldistill.training.perform import perform
from skeldistill.training.task import Task

SKD = {"KL": 1.0, "GraphMatching": 1.0}
ALL = SKD | {"PartContrastive": 2.0}
NARROW = {"width": 0.125}


def pair(student="STGCN", terms=SKD, *, teacher_layout=PENN13, dtype=torch.float64, seed=0):
    """A distiller in training whose losses conflict, and a batch with a solitary clip."""
    torch.manual_seed(seed)
    made = networks.find(student)(PENN13, classes=3, persons=2, **NARROW)
    teacher = networks.find("STGCN")(teacher_layout, classes=3, persons=2, width=0.25)
    about = LossContext(
        student_layout=PENN13,
        teacher_layout=teacher_layout,
        student_channels=made.feature_channels,
        teacher_channels=teacher.feature_channels,
        classes=3,
    )
    parts = {
        name: (LossTerm(name=name, weight=weight), losses.find(name)(about))
        for name, weight in terms.items()
    }
    distiller = Distiller(made, losses.find("SoftmaxTask")(about), teacher, parts).to(dtype)
    teacher.to(dtype)
    with torch.no_grad():
        for weight in (*distiller.parameters(), *teacher.parameters()):
            weight += 0.1 * torch.randn_like(weight)
    frames = made.fewer_frames(8)
    joints = torch.randn(6, 2, frames, 13, 3)
    matched = torch.tensor([True, True, True, False, True, True])
    batch = Batch(
        joints=joints,
        labels=torch.arange(6) % 3,
        clips=torch.arange(6),
        teacher_joints=torch.randn(5, 2, frames, teacher_layout.num_joints, 3),
        matched=matched,
    )
    return distiller.train(), in_precision(batch, dtype)


def in_precision(batch: Batch, dtype: torch.dtype) -> Batch:
    """A batch is single precision by its type; the tests want more."""
    for name in ("joints", "teacher_joints"):
        object.__setattr__(batch, name, getattr(batch, name).to(dtype))
    return batch


def judged(distiller: Distiller, batch: Batch):
    """Task loss, terms, and what the terms see of the student; always the same dropout."""
    torch.manual_seed(1)
    said, task, terms = distiller(batch, 0)
    return task, terms, (said.logits, said.features)


def revise(reviser: Reviser, distiller: Distiller, batch: Batch):
    task, terms, seen = judged(distiller, batch)
    return reviser(task, terms, learned_of(distiller), seen)


def one_by_one(distiller: Distiller, batch: Batch):
    task, terms, _ = judged(distiller, batch)
    return revised_gradients(task, terms, learned_of(distiller))


def learned_of(distiller: Distiller) -> list[Tensor]:
    return [weight for weight in distiller.parameters() if weight.requires_grad]


def both_ways(distiller: Distiller, batch: Batch, reviser: Reviser):
    """The same step by the reviser, and by one backward pass a loss."""
    other = copy.deepcopy(distiller)
    found = revise(reviser, distiller, batch), one_by_one(other, batch)
    # statistics of normalisation among them: seen once
    torch.testing.assert_close(distiller.state_dict(), other.state_dict(), rtol=0, atol=0)
    return found


def no_other_way(*_: object) -> None:
    raise AssertionError("there was no need for one backward pass a loss")


def close(found, expected, rtol: float) -> None:
    """Equal gradients and reports; inner products err by a share of both lengths."""
    largest = max(gradient.abs().max().item() for gradient in expected[0] if gradient is not None)
    for one, other in zip(found[0], expected[0], strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, rtol=rtol, atol=rtol * largest)
    assert list(found[1]) == list(expected[1])
    for name, conflict in found[1].items():
        other = expected[1][name]
        cosine = 1 if other.cosine is None else max(abs(other.cosine.item()), 1e-9)
        assert conflict.strength.item() == pytest.approx(other.strength.item(), rel=rtol / cosine)
        assert conflict.conflicted == other.conflicted


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    ("student", "terms"),
    [
        *((name, ALL) for name in ("STGCN", "AGCN", "ResGCNB19", "ShiftGCN", "MSG3D")),
        # whose features lie on the way to the logits
        *((name, ALL) for name in ("RAGCN", "PEGCN")),
        *((name, {"KL": 1, "ReversedKL": 0.5}) for name in ("CTRGCN", "PRGCN")),
    ],
)
def test_equals_one_backward_pass_a_loss(student, terms, seed, monkeypatch):
    distiller, batch = pair(student, terms, seed=seed)
    monkeypatch.setattr(module, "revised_gradients", no_other_way)
    found, expected = both_ways(distiller, batch, Reviser())
    close(found, expected, rtol=1e-9)
    assert all(conflict.cosine is None for conflict in found[1].values())


def test_some_of_these_conflict():
    """Else the tests above would show nothing."""
    steps = [pair(seed=seed) for seed in range(3)]
    reports = [both_ways(*step, Reviser())[0][1] for step in steps]
    assert any(conflict.strength > 0 for report in reports for conflict in report.values())


def test_single_precision_is_precise_enough():
    found, expected = both_ways(*pair(dtype=torch.float32), Reviser())
    close(found, expected, rtol=1e-5)


def test_two_body_layouts():
    terms = {"PartContrastive": 1.0, "GlobalContrastive": 1.0}
    found, expected = both_ways(*pair(terms=terms, teacher_layout=COCO17), Reviser())
    close(found, expected, rtol=1e-9)
    assert any(one.cosine is not None for one in expected[1].values())


@pytest.mark.parametrize("learning", [("blocks.9", "classifier"), ("classifier",)])
def test_frozen_weights(learning):
    distiller, batch = pair()
    for name, weight in distiller.student.named_parameters():
        weight.requires_grad_(name.startswith(learning))
    found, expected = both_ways(distiller.train(), batch, Reviser())
    close(found, expected, rtol=1e-9)


def test_nobody_to_compare_with():
    distiller, batch = pair(dtype=torch.float32)
    empty = dataclasses.replace(
        batch, teacher_joints=torch.zeros(0, 2, 8, 13, 3), matched=batch.matched & False
    )
    found, expected = both_ways(distiller, empty, Reviser())
    close(found, expected, rtol=1e-5)


def test_one_loss_is_differentiated_by_itself():
    found, expected = both_ways(*pair(terms={"KL": 1.0}), Reviser())
    close(found, expected, rtol=0)
    assert found[1]["KL"].cosine is not None


class Once(torch.autograd.Function):
    """An operation that can be differentiated once only."""

    @staticmethod
    def forward(ctx, x):
        return 2 * x

    @staticmethod
    @once_differentiable
    def backward(ctx, cotangent):
        return 2 * cotangent


def test_a_network_that_tangents_cannot_pass_is_revised_all_the_same(monkeypatch):
    distiller, batch = pair()
    plain = distiller.student.forward

    def forward(joints: Tensor) -> Prediction:
        said = plain(joints)
        return said._replace(features=Once.apply(said.features))

    distiller.student.forward = forward
    reviser, found = Reviser(), []
    for _ in range(2):
        found.append(revise(reviser, distiller, batch))
        assert all(one.cosine is not None for one in found[-1][1].values())
        monkeypatch.setattr(module, "tangents", no_other_way)  # not tried again
    close(found[1], one_by_one(distiller, batch), rtol=1e-9)


def test_a_loss_that_sees_more_than_it_should_is_revised_all_the_same():
    distiller, batch = pair()
    learned = learned_of(distiller)

    def step():
        task, terms, seen = judged(distiller, batch)
        return task, terms | {"size": distiller.student.classifier.weight.square().sum()}, seen

    task, terms, _ = step()
    expected = revised_gradients(task, terms, learned)
    task, terms, seen = step()
    close(Reviser()(task, terms, learned, seen), expected, rtol=1e-9)


def test_quick_revision_compares_some_gradients_and_steps_with_all():
    distiller, batch = pair(seed=1)
    learned, compared = learned_of(distiller), pointwise_weights(distiller.student)
    assert 0 < len(compared) < len(learned)
    assert all(weight.shape[2:].numel() == 1 for weight in compared)
    task, terms, _ = judged(distiller, batch)
    _, report = revised_gradients(task, terms, compared)
    task, terms, _ = judged(distiller, batch)
    total = task * (1 + sum(one.strength for one in report.values())) + sum(terms.values())
    expected = torch.autograd.grad(total, learned, allow_unused=True), report
    close(revise(Reviser(compared), distiller, batch), expected, rtol=1e-9)


def test_sixteen_bits():
    distiller, batch = pair(dtype=torch.float32)
    other = copy.deepcopy(distiller)
    with torch.autocast("cpu", torch.bfloat16):
        task, terms, seen = judged(distiller, batch)
        expected = one_by_one(other, batch)
    found = Reviser()(task, terms, learned_of(distiller), seen)
    for name, conflict in found[1].items():
        assert conflict.cosine is None
        assert conflict.strength.item() == pytest.approx(
            expected[1][name].strength.item(), rel=0.1, abs=0.01
        )
    lengths = [sum((g.double() ** 2).sum() for g in one[0]) for one in (found, expected)]
    assert lengths[0].item() == pytest.approx(lengths[1].item(), rel=0.05)


@pytest.mark.parametrize(
    ("revision", "precision"),
    [(True, "32-true"), ("quick", "32-true"), (True, "bf16-mixed"), (False, "bf16-mixed")],
)
def test_a_recipe_trains_with_it(revision, precision, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "revised_gradients", no_other_way)
    small_store(tmp_path / "high.arrow", named(24, "train") + named(8, "test", 24))
    task = Task(
        recipe=recipe.parse(
            {
                "name": "small",
                "data": {"high": {"store": str(tmp_path / "high.arrow")}},
                "sampling": {"frames": 8},
                "training": {"epochs": 2, "batch_size": 8, "warmup": 1, "precision": precision},
                "teacher": {"name": "STGCN", **NARROW},
                "student": {"name": "STGCN", **NARROW},
                "methods": {"teacher": None, "SKD": {"gradient_revision": revision}},
                "seeds": [0],
            }
        ),
        root=tmp_path,
        method="SKD",
        fold=0,
        seed=0,
    )
    for needed in task.needs:
        perform(needed)
    perform(task)
    shares = task.measured()["history"][-1]["conflicts"]
    assert set(shares) == ({"KL", "node", "edge"} if revision else set())
    assert all(0 <= share <= 1 for share in shares.values())


def test_a_recipe_refuses_other_words():
    method = {"losses": [{"name": "KL"}], "gradient_revision": "fast"}
    with pytest.raises(ValueError, match="gradient_revision"):
        recipe.parse(
            {
                "name": "x",
                "data": {"high": {"store": "x"}},
                "teacher": "STGCN",
                "student": "STGCN",
                "methods": {"teacher": None, "KL": method},
            }
        )
