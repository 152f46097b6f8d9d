"""A training step asks the device for no value: on the meta device, tensors have none to give."""

from contextlib import nullcontext

import pytest
import torch
from together import SKD, scene
from torch.utils._python_dispatch import TorchDispatchMode

from skeldistill.data.batch import Batch
from skeldistill.distillation.distill import Distiller
from skeldistill.distillation.reviser import Reviser
from skeldistill.losses import graph_matching, part_contrastive, part_features, vertex_pairs
from skeldistill.losses.loss import Loss

META = torch.device("meta")
PLKD = {"KL": {}, "PartContrastive": {"adapt": True}}
CASES = {
    "SKD": SKD,
    "SKD as printed": {"ReversedKL": {}, "GraphMatching": {"form": "paper"}},
    "PLKD": PLKD,
    "global": {"KL": {}, "GlobalContrastive": {}},
    "parts": {"KL": {}, "PartGraphMatching": {"segments": 2}},
}


@pytest.fixture
def without_values(monkeypatch):
    """Autocast knows no meta device."""
    for module in (graph_matching, part_contrastive, part_features):
        monkeypatch.setattr(module, "without_autocast", lambda _: nullcontext())


def on_meta(terms: dict[str, dict]) -> tuple[Distiller, Batch]:
    distiller, batch = single(terms)
    assert distiller.teacher is not None
    distiller.to(META)
    distiller.teacher.to(META)
    return distiller, batch.to(META)


def single(terms: dict[str, dict], **options) -> tuple[Distiller, Batch]:
    """In single precision."""
    distiller, batch = scene(terms, **options)
    assert distiller.teacher is not None
    distiller.float()
    distiller.teacher.float()
    return distiller, batch


@pytest.mark.parametrize("revised", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_a_step_waits_for_no_value(without_values, case, revised):
    distiller, moved = on_meta(CASES[case])
    learned = list(distiller.parameters())
    said, task, terms = distiller(moved, 0)
    if revised:
        reviser = Reviser()
        gradients, _ = reviser(task, terms, learned, (said.logits, said.features))
        assert reviser._tangents_exist
    else:
        gradients = torch.autograd.grad(task + sum(terms.values()), learned, allow_unused=True)
    assert all(one.device == META for one in gradients if one is not None)
    assert moved.matched is not None
    for wait in (task.item, moved.matched.nonzero, moved.labels.tolist):
        with pytest.raises((RuntimeError, NotImplementedError)):  # so would have any above
            wait()


def test_the_host_sends_to_the_device_without_waiting(without_values):
    class Sends(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            kwargs = kwargs or {}
            if func is torch.ops.aten._to_copy.default and args[0].device.type == "cpu":
                assert kwargs.get("non_blocking") or args[0].ndim == 0, args[0].shape
            if func is torch.ops.aten.copy_.default and args[0].device == META:
                assert args[1].device == META or args[1].ndim == 0
            return func(*args, **kwargs)

    for terms in (SKD, PLKD):
        distiller, moved = on_meta(terms)
        distiller(moved, 0)  # what is kept from the first step on is sent once
        with Sends():
            distiller(moved, 0)


@pytest.mark.parametrize("form", ["paper", "release"])
def test_what_the_host_knows_leaves_out_graphs_and_changes_nothing(form, monkeypatch):
    found, sizes = [], []
    real = vertex_pairs._some_at_a_time

    def watched(matching, student, *rest):
        sizes.append(len(student))
        return real(matching, student, *rest)

    monkeypatch.setattr(vertex_pairs, "_some_at_a_time", watched)
    distiller, batch = single({"GraphMatching": {"form": form}}, matched=(0, 1, 4))
    assert batch.teacher_joints is not None
    teacher_joints = batch.teacher_joints.clone()
    teacher_joints[0, 1] = 0
    object.__setattr__(batch, "teacher_joints", teacher_joints)
    (loss,) = distiller.losses.values()
    student, teacher = distiller.student(batch.joints), distiller.ask_teacher(batch)
    moved = batch.to(META)  # its host knows
    everybody = torch.ones(7, 2, dtype=torch.bool)
    assert isinstance(loss, Loss)
    for expected in (None, moved.persons_in_both(), everybody):
        loss.expect(expected)
        value = loss(student, teacher, batch.labels)
        (gradient,) = torch.autograd.grad(value, student.features, retain_graph=True)
        found.append((value, gradient))
    assert sizes == [3, 3, 14]  # clips 1 and 4 have one person each in both views, so has clip 0
    for other in found[1:]:
        torch.testing.assert_close(other, found[0])


def test_what_the_host_cannot_know_it_does_not_say():
    _, batch = scene(SKD)
    assert batch.persons_in_both() is None  # not moved: a look costs nothing
    moved = batch.to(META)
    known = moved.persons_in_both()
    assert known is not None
    assert known.shape == (7, 2)
    assert moved.matches_on_host.tolist() == [0, 1, 2, 4, 6]
    assert moved.to(META).host is batch
    without = Batch(joints=batch.joints, labels=batch.labels, clips=batch.clips)
    assert without.to(META).persons_in_both() is None
    remembered = torch.zeros(9, 2, dtype=torch.bool)
    remembered[4] = True
    known = without.to(META).persons_in_both(remembered)
    assert known is not None
    assert known.nonzero().tolist() == [[4, 0]]
    assert without.to(META).persons_in_both(remembered[:, :1]) is None
