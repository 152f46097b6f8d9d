"""Graph matching: golden numbers, naive twins of every formula, and the sizes it refuses."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from skeldistill.layouts import JHMDB15, MEDIAPIPE33
from skeldistill.losses import GraphMatching, LossContext, PartGraphMatching, vertex_pairs
from skeldistill.losses.graph_matching import edge_loss, node_loss, require_form
from skeldistill.prediction import Prediction

GOLDEN = load_file(Path(__file__).parent / "golden" / "skd_losses.safetensors")
every_form = pytest.mark.parametrize("form", ["paper", "release"])


def maps(n=3, m=2, c=4, t=2, v=3, dtype=torch.float64) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(n + 10 * m)
    student, teacher = torch.randn(2, n, m, c, t, v, generator=chance, dtype=dtype)
    return student.requires_grad_(), 2 * teacher


def huber(x: Tensor, y: Tensor) -> Tensor:
    """SKD eq. (11)."""
    return (x - y) ** 2 / 2 if abs(x - y) <= 1 else abs(x - y) - 0.5


def squared_pairs(person: Tensor) -> Tensor:
    vertices = person.flatten(1).T
    return torch.stack([torch.stack([((a - b) ** 2).sum() for b in vertices]) for a in vertices])


def naive_paper_edges(student: Tensor, teacher: Tensor) -> Tensor:
    """SKD eq. (9)-(10), pair by pair; persons are more graphs of the mini-batch."""
    graphs = [[squared_pairs(person) for person in one.flatten(0, 1)] for one in (student, teacher)]
    betas = [torch.stack(pairs).mean() for pairs in graphs]
    values = []
    for ours, theirs in zip(*graphs, strict=True):
        pairs = zip(ours.flatten() / betas[0], theirs.flatten() / betas[1], strict=True)
        values.append(torch.stack([huber(x, y) for x, y in pairs]).mean())
    return torch.stack(values).mean()


def naive_release_edges(student: Tensor, teacher: Tensor) -> Tensor:
    values = []
    for ours, theirs in zip(student.flatten(0, 1), teacher.flatten(0, 1), strict=True):
        relative = []
        for person in (ours, theirs):
            squared = squared_pairs(person)
            off = ~torch.eye(len(squared), dtype=torch.bool)
            distances = torch.zeros_like(squared)
            distances[off] = squared[off].clamp(min=1e-12).sqrt()
            relative.append(distances / distances[distances > 0].mean())
        pairs = zip(relative[0].flatten(), relative[1].flatten(), strict=True)
        values.append(torch.stack([huber(x, y) for x, y in pairs]).mean())
    return torch.stack(values).mean()


@pytest.mark.parametrize(("loss", "key"), [(edge_loss, "edge"), (node_loss, "node")])
def test_equals_the_released_code(loss, key):
    student = GOLDEN["loss.in.student_feature"].clone().requires_grad_()
    value = loss(student, GOLDEN["loss.in.teacher_feature"], form="release")
    torch.testing.assert_close(value[None], GOLDEN[f"loss.out.{key}"], atol=1e-6, rtol=0)
    (gradient,) = torch.autograd.grad(value, student)
    torch.testing.assert_close(gradient, GOLDEN[f"loss.grad.{key}"], atol=1e-7, rtol=1e-4)


@every_form
def test_a_collapsed_student_stays_finite(form):
    for constant in (0.0, 0.37, 1e4):
        student = torch.full((1, 16, 5, 7), constant, requires_grad=True)
        value = edge_loss(student, GOLDEN["loss.in.teacher_feature"][:1], form=form)
        if form == "release":
            golden = GOLDEN["loss.out.edge_degenerate_student"]
            torch.testing.assert_close(value[None], golden, atol=1e-6, rtol=0)
        assert value.isfinite()
        (gradient,) = torch.autograd.grad(value, student)
        assert gradient.isfinite().all()


def test_nodes_are_eq_7():
    student, teacher = maps()
    n, m, c, t, v = student.shape
    total = 0.0
    for i in range(n):
        for person in range(m):
            for j in range(t):
                for k in range(v):
                    gap = student[i, person, :, j, k] - teacher[i, person, :, j, k]
                    total += (gap**2).sum()
    torch.testing.assert_close(
        node_loss(student, teacher), total / (n * m * t * v), rtol=1e-12, atol=0
    )
    release = node_loss(student, teacher, form="release")
    torch.testing.assert_close(release, total / (n * m * t * v * c))


@pytest.mark.parametrize(
    ("form", "naive"), [("paper", naive_paper_edges), ("release", naive_release_edges)]
)
def test_edges_are_their_naive_twin(form, naive):
    student, teacher = maps()
    value, expected = edge_loss(student, teacher, form=form), naive(student, teacher)
    torch.testing.assert_close(value, expected)
    ours, theirs = (torch.autograd.grad(one, student)[0] for one in (value, expected))
    torch.testing.assert_close(ours, theirs)
    wide = edge_loss(student, torch.cat([teacher, teacher * 0], dim=2), form=form)
    torch.testing.assert_close(wide, value)  # distances do not need the same width


@every_form
def test_edge_gradients_hold_by_finite_differences(form):
    student, teacher = maps(n=2, m=1)
    assert torch.autograd.gradcheck(lambda x: edge_loss(x, teacher, form=form), student)


@every_form
def test_a_few_graphs_at_a_time_are_the_same(form, monkeypatch):
    student, teacher = maps(n=4, dtype=torch.float32)
    whole = edge_loss(student, teacher, form=form)
    (expected,) = torch.autograd.grad(whole, student)
    monkeypatch.setattr(vertex_pairs, "PAIRS_AT_ONCE", 3 * 6**2)
    value = edge_loss(student, teacher, form=form)
    torch.testing.assert_close(value, whole)
    torch.testing.assert_close(torch.autograd.grad(value, student)[0], expected)


@every_form
def test_edges_see_neither_place_nor_size(form):
    student, teacher = maps()
    value = edge_loss(student, teacher, form=form)
    torch.testing.assert_close(edge_loss(7 * student + 3, teacher, form=form), value)
    assert edge_loss(5 * teacher + 1, teacher, form=form) == pytest.approx(0, abs=1e-12)


@every_form
@pytest.mark.parametrize("loss", [node_loss, edge_loss])
def test_absent_persons_weigh_nothing(loss, form):
    student, teacher = maps()
    one = loss(student[:, 0], teacher[:, 0], form=form)
    present = torch.tensor([[True, False]] * 3)
    spoilt = student.detach().clone()
    spoilt[:, 1] = torch.nan
    assert loss(spoilt, teacher, form=form, present=present) == pytest.approx(one.item())
    everybody = loss(student, teacher, form=form, present=torch.ones(3, 2, dtype=torch.bool))
    torch.testing.assert_close(everybody, loss(student, teacher, form=form))
    nobody = loss(student, teacher, form=form, present=torch.zeros(3, 2, dtype=torch.bool))
    assert nobody == 0
    assert (torch.autograd.grad(nobody, student)[0] == 0).all()


def test_clips_weigh_the_same_whatever_their_persons():
    student, teacher = maps()
    present = torch.tensor([[True, True], [True, False], [False, False]])
    first, second = (
        node_loss(student[i : i + 1], teacher[i : i + 1], present=present[i : i + 1])
        for i in range(2)
    )
    torch.testing.assert_close(node_loss(student, teacher, present=present), (first + second) / 2)


def context(**changes) -> LossContext:
    known = {
        "student_layout": JHMDB15,
        "teacher_layout": JHMDB15,
        "student_channels": 4,
        "teacher_channels": 4,
        "classes": 3,
    }
    return LossContext(**(known | changes))


def prediction(features: Tensor) -> Prediction:
    n, m, _, s, _ = features.shape
    return Prediction(torch.zeros(n, 3), features, torch.ones(n, m, s, dtype=torch.bool))


@pytest.mark.parametrize("form", ["paper", "release"])
def test_lambda_weighs_nodes_against_edges(form):
    student, teacher = maps(v=15, dtype=torch.float32)
    labels = torch.zeros(3, dtype=torch.long)
    node, edge = node_loss(student, teacher, form=form), edge_loss(student, teacher, form=form)

    def terms(**options):
        loss = GraphMatching(context(), adapt=False, form=form, **options)
        found = loss.terms(prediction(student), prediction(teacher), labels)
        return {name: value.item() for name, value in found.items()}

    node, edge = node.item(), edge.item()
    assert terms(balance=0.3) == pytest.approx({"node": 0.3 * node, "edge": 0.7 * edge})
    assert terms(balance=None) == pytest.approx({"node": node, "edge": edge})
    assert list(terms(edge=False)) == ["node"]
    assert list(terms(balance=0.0)) == ["edge"]


def test_only_persons_in_both_views_are_matched():
    student, teacher = (prediction(one) for one in maps(v=15, dtype=torch.float32))
    labels = torch.zeros(3, dtype=torch.long)
    loss = GraphMatching(context(), adapt=False)
    both = torch.tensor([[True, False], [True, True], [False, True]])
    student.present[0, 1] = False
    teacher.present[2, 0] = False
    found = loss.terms(student, teacher, labels)
    for name, each in (("node", node_loss), ("edge", edge_loss)):
        expected = each(student.features, teacher.features, form="release", present=both) / 2
        torch.testing.assert_close(found[name], expected)


def test_the_adaptation_layer_widens_the_student():
    loss = GraphMatching(context(student_channels=2))
    assert sum(parameter.numel() for parameter in loss.parameters()) == 4 * 2 + 4
    student, _ = maps(v=15, dtype=torch.float32)
    weight = loss.adaptation.convolution.weight[:, :, 0, 0]
    by_hand = torch.einsum("dc,nmctv->nmdtv", weight, student[:, :, :2])
    by_hand = by_hand + loss.adaptation.convolution.bias[:, None, None]
    torch.testing.assert_close(loss.adaptation(student[:, :, :2]), by_hand)


def test_maps_that_cannot_be_matched_are_one_clear_line():
    labels = torch.zeros(3, dtype=torch.long)
    student, teacher = (prediction(one) for one in maps(v=15, dtype=torch.float32))
    loss = GraphMatching(context())
    with pytest.raises(ValueError, match=r"\(2, 1, 15\) \(student\) and \(2, 2, 15\)"):
        loss(student._replace(features=student.features[:, :, :, :1]), teacher, labels)
    with pytest.raises(ValueError, match=r"one layout for both.*use PartGraphMatching"):
        GraphMatching(context(student_layout=MEDIAPIPE33))
    with pytest.raises(ValueError, match="no form called 'papr'; did you mean 'paper'"):
        require_form("papr")


def test_part_graphs_match_the_means_of_parts():
    student, teacher = maps(t=4, v=15, dtype=torch.float32)
    labels = torch.zeros(3, dtype=torch.long)
    loss = PartGraphMatching(context(), adapt=False, segments=2, balance=None)
    terms = loss.terms(prediction(student), prediction(teacher), labels)
    graphs = []
    for features in (student, teacher):
        graph = torch.zeros(3, 4, 2, 5)
        for part, members in enumerate(JHMDB15.part_members):
            for segment in range(2):
                some = features[:, :, :, 2 * segment : 2 * segment + 2][..., members]
                graph[:, :, segment, part] = some.mean(dim=(1, 3, 4))
        graphs.append(graph)
    torch.testing.assert_close(terms["part_node"], node_loss(*graphs, form="release"))
    torch.testing.assert_close(terms["part_edge"], edge_loss(*graphs, form="release"))
