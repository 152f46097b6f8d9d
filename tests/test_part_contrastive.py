"""Part features and contrastive losses: a naive twin, solitary anchors, banks."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from skeldistill.data.dataset import Batch
from skeldistill.distillation.distill import Distiller
from skeldistill.layouts import JHMDB15, PARTS
from skeldistill.losses import GlobalContrastive, LossContext, PartContrastive, SoftmaxTask
from skeldistill.losses.part_contrastive import part_contrastive_loss, skipped_anchors
from skeldistill.losses.part_features import global_features, part_features, part_map
from skeldistill.networks import STGCN
from skeldistill.prediction import Prediction
from skeldistill.recipe import LossTerm

ABOUT = LossContext(
    student_layout=JHMDB15,
    teacher_layout=JHMDB15,
    student_channels=4,
    teacher_channels=4,
    classes=3,
)


def naive_loss(
    ours: Tensor, theirs: Tensor, labels, theirs_labels, pairs, weights, w=0.5, temperature=1.0
) -> Tensor:
    """PLKD eq. (6)-(11), clip by clip."""

    def similarity(i: int, j: int) -> Tensor:
        total = 0.0
        for p in range(ours.shape[1]):
            a, b = ours[i, p], theirs[j, p]
            total += (a @ b) / (a.norm() * b.norm()) * weights[labels[i], p]
        return torch.exp(total / temperature)

    each = []
    for i, label in enumerate(labels.tolist()):
        rows = [j for j in range(len(theirs)) if j != pairs[i]]
        positives = [similarity(i, j) for j in rows if theirs_labels[j] == label]
        negatives = [similarity(i, j) for j in rows if theirs_labels[j] != label]
        attracting = []
        if pairs[i] >= 0:
            attracting.append(similarity(i, int(pairs[i])))
        if positives and w > 0:
            attracting.append(w * sum(positives) / len(positives))
        if not attracting:
            continue
        repelling = sum(negatives) / len(negatives) if negatives else 0.0
        each.append(-torch.log(sum(attracting) / (sum(attracting) + repelling)))
    return torch.stack(each).mean() if each else torch.zeros((), dtype=torch.float64)


def drawn(seed: int, n: int = 5, b: int = 6, p: int = 5, classes: int = 3):
    """Anchors and rows, of which some are pairs of one label."""
    chance = torch.Generator().manual_seed(seed)
    ours = torch.randn(n, p, 4, generator=chance, dtype=torch.float64).requires_grad_()
    theirs = torch.randn(b, p, 4, generator=chance, dtype=torch.float64)
    labels = torch.randint(classes, (n,), generator=chance)
    theirs_labels = torch.randint(classes, (b,), generator=chance)
    pairs = torch.full((n,), -1)
    for i in range(min(n, b) // 2):
        pairs[i], theirs_labels[i] = i, labels[i]
    weights = torch.rand(classes, p, generator=chance, dtype=torch.float64)
    return ours, theirs, labels, theirs_labels, pairs, weights


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(1, 6),
    b=st.integers(0, 7),
    classes=st.integers(1, 4),
    w=st.sampled_from([0.0, 0.5, 1.0]),
    temperature=st.sampled_from([0.1, 1.0]),
)
def test_is_its_naive_twin(seed, n, b, classes, w, temperature):
    given = drawn(seed, n, b, classes=classes)
    value = part_contrastive_loss(*given, positive_weight=w, temperature=temperature)
    expected = naive_loss(*given, w=w, temperature=temperature)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(value, given[0])
    if expected.requires_grad:
        torch.testing.assert_close(gradient, torch.autograd.grad(expected, given[0])[0])
    else:
        assert (gradient == 0).all()


def test_gradients_hold_by_finite_differences():
    ours, *rest = drawn(3)
    assert torch.autograd.gradcheck(lambda x: part_contrastive_loss(x, *rest), ours)


def test_a_pair_by_hand():
    """One anchor, its own clip at cosine 1, another class at cosine 0; uniform weights."""
    ours = torch.tensor([1.0, 0.0]).expand(1, 5, 2)
    theirs = torch.stack([ours[0], torch.tensor([0.0, 1.0]).expand(5, 2)])
    value = part_contrastive_loss(
        ours,
        theirs,
        torch.tensor([0]),
        torch.tensor([0, 1]),
        torch.tensor([0]),
        torch.full((2, 5), 0.2),
    )
    assert value.item() == pytest.approx(-math.log(math.e / (math.e + 1)))


def test_anchors_with_nothing_to_be_like_are_skipped_and_counted():
    ours, theirs, _, _, _, weights = drawn(0)
    labels = torch.tensor([0, 1, 1, 2, 2])  # no row is of class 2
    theirs_labels = torch.tensor([0, 0, 0, 1, 1, 1])
    pairs = torch.tensor([0, 3, -1, -1, -1])
    taught = slice(0, 3)
    value = part_contrastive_loss(ours, theirs, labels, theirs_labels, pairs, weights)
    alone = part_contrastive_loss(
        ours[taught], theirs, labels[taught], theirs_labels, pairs[taught], weights
    )
    torch.testing.assert_close(value, alone)
    assert skipped_anchors(labels, theirs_labels, pairs) == 2
    # without weight on other positives, the solitary anchor of class 1 has nothing either
    assert skipped_anchors(labels, theirs_labels, pairs, positive_weight=0.0) == 3


def test_vanishing_features_are_finite():
    ours, *rest = drawn(1)
    ours = (ours * 0).detach().requires_grad_()
    value = part_contrastive_loss(ours, *rest, temperature=1e-4)
    assert value.isfinite()
    assert (torch.autograd.grad(value, ours)[0] == 0).all()


def prediction(seed: int = 0, n: int = 4, t: int = 3) -> Prediction:
    chance = torch.Generator().manual_seed(seed)
    present = torch.rand(n, 2, t, generator=chance) > 0.4
    present[:, 0, 0] = True
    features = torch.rand(n, 2, 4, t, JHMDB15.num_joints, generator=chance)
    return Prediction(torch.zeros(n, 3), features.requires_grad_(), present)


def test_part_features_are_means_of_who_is_there():
    said = prediction()
    found, whole = part_features(said, JHMDB15), global_features(said)
    assert found.shape == (4, 5, 4)
    for clip in range(4):
        for part, members in zip(range(5), JHMDB15.part_members, strict=True):
            joints = [
                said.features[clip, m, :, t, v]
                for m in range(2)
                for t in range(3)
                for v in members.nonzero()[0]
                if said.present[clip, m, t]
            ]
            torch.testing.assert_close(found[clip, part], torch.stack(joints).mean(dim=0))
        there = said.features[clip].permute(0, 2, 3, 1)[said.present[clip]]
        torch.testing.assert_close(whole[clip], there.mean(dim=(0, 1)))


def test_absent_persons_and_central_joints_weigh_nothing():
    said = prediction()
    spoilt = said.features.detach().clone()
    spoilt[~said.present[:, :, None, :, None].expand_as(spoilt)] = 1e6
    spoilt[..., ~JHMDB15.part_members.any(axis=0)] = 1e6
    found = part_features(said._replace(features=spoilt), JHMDB15)
    torch.testing.assert_close(found, part_features(said, JHMDB15))
    nobody = said._replace(present=torch.zeros_like(said.present))
    assert (part_features(nobody, JHMDB15) == 0).all()
    assert (part_map(nobody, JHMDB15, segments=2) == 0).all()


def test_a_part_map_of_one_segment_is_the_part_features():
    said = prediction()
    whole = part_features(said, JHMDB15)
    torch.testing.assert_close(part_map(said, JHMDB15)[:, :, 0], whole.transpose(1, 2))
    somewhere = torch.zeros_like(said.present)
    somewhere[:, 0, 0] = True  # nobody in the last two thirds: they take the whole clip's
    said = said._replace(present=somewhere)
    whole = part_features(said, JHMDB15).transpose(1, 2).unsqueeze(2)
    torch.testing.assert_close(part_map(said, JHMDB15, segments=3), whole.expand(-1, -1, 3, -1))


def test_features_of_another_layout_are_refused():
    said = prediction()
    with pytest.raises(ValueError, match="have 14 joints but layout 'jhmdb15' has 15"):
        part_features(said._replace(features=said.features[..., :14]), JHMDB15)


LABELS = torch.tensor([0, 1, 0, 2])


def test_compares_with_the_paired_clips_of_the_batch():
    student, teacher, loss = prediction(1), prediction(2), PartContrastive(ABOUT)
    loss.set_part_weights(torch.rand(3, 5, generator=torch.Generator().manual_seed(0)))
    teacher.present[1] = False  # solitary, and the only one of its class
    rows = torch.tensor([0, 2, 3])
    expected = part_contrastive_loss(
        part_features(student, JHMDB15),
        part_features(teacher.rows(rows), JHMDB15),
        LABELS,
        LABELS[rows],
        torch.tensor([0, -1, 1, 2]),
        loss.part_weights,
    )
    torch.testing.assert_close(loss(student, teacher, LABELS), expected)
    assert loss.skipped == 1


def test_what_a_loss_asks_of_the_teacher_is_an_option():
    loss = PartContrastive(ABOUT)
    assert (loss.part_matrix, loss.bank) == (True, False)
    loss = PartContrastive(ABOUT, part_matrix=False, bank=True)
    assert (loss.part_matrix, loss.bank) == (False, True)
    assert GlobalContrastive(ABOUT, bank=True).bank


def test_a_bank_takes_the_place_of_the_batch():
    student, teacher, loss = prediction(1), prediction(2), PartContrastive(ABOUT)
    chance = torch.Generator().manual_seed(5)
    bank, labels = torch.rand(6, 5, 4, generator=chance), torch.tensor([0, 0, 1, 1, 2, 2])
    loss.set_bank(bank, labels, clips=torch.tensor([3, 10, 4, 7, 0, 2]))
    loss.observe(torch.tensor([10, 99, 3, 5]))  # 99 and 5 are not in the bank
    expected = part_contrastive_loss(
        part_features(student, JHMDB15),
        bank,
        LABELS,
        labels,
        torch.tensor([1, -1, 0, -1]),
        loss.part_weights,
    )
    torch.testing.assert_close(loss(student, teacher, LABELS), expected)
    assert list(loss.state_dict()) == ["part_weights"]


def test_global_contrast_is_one_part():
    student, teacher, loss = prediction(1), prediction(2), GlobalContrastive(ABOUT)
    expected = part_contrastive_loss(
        global_features(student).unsqueeze(1),
        global_features(teacher).unsqueeze(1),
        LABELS,
        LABELS,
        torch.arange(4),
        torch.ones(3, 1),
    )
    torch.testing.assert_close(loss(student, teacher, LABELS), expected)
    with torch.inference_mode():
        bodies = global_features(teacher)
    loss.set_bank(bodies, LABELS, clips=torch.arange(4))
    loss.observe(torch.arange(4))
    value = loss(student, teacher, LABELS)
    torch.testing.assert_close(value, expected)
    value.backward()
    assert student.features.grad.abs().max() > 0


def test_what_does_not_fit_is_one_clear_line():
    loss = PartContrastive(ABOUT)
    with pytest.raises(ValueError, match=r"\(3, 5\), got \(3, 4\)"):
        loss.set_part_weights(torch.ones(3, 4))
    with pytest.raises(ValueError, match=r"\(5, 4\), got \(6, 5, 3\)"):
        loss.set_bank(torch.ones(6, len(PARTS), 3), torch.zeros(6).long(), torch.arange(6))
    loss.set_bank(torch.ones(6, len(PARTS), 4), torch.zeros(6).long(), torch.arange(6))
    with pytest.raises(ValueError, match="call observe"):
        loss(prediction(1), prediction(2), LABELS)


def test_widths_that_differ_bring_a_layer():
    assert PartContrastive(ABOUT).adaptation is None
    wider = LossContext(
        student_layout=JHMDB15,
        teacher_layout=JHMDB15,
        student_channels=3,
        teacher_channels=4,
        classes=3,
    )
    assert PartContrastive(wider).adaptation is not None
    assert PartContrastive(ABOUT, adapt=True).adaptation is not None


def test_a_loss_that_rests_skips_nobody():
    networks = [STGCN(JHMDB15, classes=3, persons=1, channels=2, width=0.125) for _ in range(2)]
    about = LossContext(
        student_layout=JHMDB15,
        teacher_layout=JHMDB15,
        student_channels=networks[0].feature_channels,
        teacher_channels=networks[1].feature_channels,
        classes=3,
    )
    term = LossTerm(name="PartContrastive", start=1, stop=2)
    losses = {"PartContrastive": (term, PartContrastive(about))}
    distiller = Distiller(networks[0], SoftmaxTask(), networks[1], losses).train()
    batch = Batch(
        joints=torch.randn(3, 1, 8, 15, 2),
        labels=torch.tensor([0, 1, 2]),
        clips=torch.arange(3),
        teacher_joints=torch.randn(1, 1, 8, 15, 2),
        matched=torch.tensor([True, False, False]),
    )
    counted = []
    for epoch in range(3):
        distiller(batch, epoch)
        counted.append({name: int(count) for name, count in distiller.skipped().items()})
    assert counted == [{}, {"PartContrastive": 2}, {}]
