"""Laws of the shelf of losses, and the losses on scores."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from skeldistill import losses
from skeldistill.layouts import JHMDB15, MEDIAPIPE33, PARTS, Layout
from skeldistill.losses import Loss, LossContext
from skeldistill.losses.kl import divergence
from skeldistill.losses.task import binary_cross_entropy
from skeldistill.prediction import Prediction
from skeldistill.shelf import build

GOLDEN = load_file(Path(__file__).parent / "golden" / "skd_losses.safetensors")
LABELS = torch.tensor([0, 1, 0, 2, 1, 3])
CLASSES = 4
TASKS = ("SoftmaxTask", "BinaryTask")
every_loss = pytest.mark.parametrize("name", losses.SHELF)
every_distillation_loss = pytest.mark.parametrize(
    "name", [name for name in losses.SHELF if name not in TASKS]
)


def context(student: int = 8, teacher: int = 8, layout: Layout = JHMDB15) -> LossContext:
    return LossContext(
        student_layout=layout,
        teacher_layout=JHMDB15,
        student_channels=student,
        teacher_channels=teacher,
        classes=CLASSES,
    )


def predicted(
    seed: int, channels: int = 8, layout: Layout = JHMDB15, frames: int = 3
) -> Prediction:
    """What an untrained network says of six clips of two persons, the second often absent."""
    chance = torch.Generator().manual_seed(seed)
    shape = (len(LABELS), 2, channels, frames, layout.num_joints)
    present = torch.ones(len(LABELS), 2, frames, dtype=torch.bool)
    present[::2, 1] = False
    features = torch.rand(shape, generator=chance) * present[:, :, None, :, None]
    logits = torch.randn(len(LABELS), CLASSES, generator=chance)
    return Prediction(logits.requires_grad_(), features.requires_grad_(), present)


def sure(channels: int = 8) -> Prediction:
    """A teacher that is always right and whose classes stand at right angles, in every part."""
    features = predicted(0, channels).features.detach() * 0
    for clip, label in enumerate(LABELS):
        features[clip, :, label] = 1 + torch.arange(JHMDB15.num_joints) / 10
    logits = 50.0 * torch.nn.functional.one_hot(LABELS, CLASSES)
    return Prediction(logits, features, torch.ones(6, 2, 3, dtype=torch.bool))


def made(name: str, adapt: bool, about: LossContext | None = None) -> Loss:
    torch.manual_seed(0)
    options = {"adapt": adapt} if name not in (*TASKS, "KL", "ReversedKL") else {}
    return build("loss", losses.find(name), options, about or context())


def gradients(value: Tensor, *of: Tensor) -> list[Tensor]:
    found = torch.autograd.grad(value, of, allow_unused=True)
    return [torch.zeros(()) if one is None else one for one in found]


@every_loss
def test_only_the_student_learns(name):
    student, teacher, loss = predicted(1), predicted(2), made(name, adapt=True)
    loss(student, teacher, LABELS).backward()
    learnt = [tensor.grad for tensor in (student.logits, student.features)]
    assert any(gradient is not None and gradient.abs().max() > 0 for gradient in learnt)
    assert teacher.logits.grad is None
    assert teacher.features.grad is None
    for parameter in loss.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().max() > 0


@every_loss
def test_a_perfect_student_pays_the_floor(name):
    loss, teacher = made(name, adapt=False), sure()
    floor = loss(teacher, teacher, LABELS)
    if name not in ("PartContrastive", "GlobalContrastive"):
        assert floor == pytest.approx(0, abs=1e-6)
    for seed in range(5):
        assert loss(predicted(seed), teacher, LABELS) > floor


@every_loss
@pytest.mark.parametrize("adapt", [True, False])
def test_stays_finite_at_scores_of_1e4(name, adapt):
    student, teacher = (
        Prediction((1e4 * one.logits).detach().requires_grad_(), 1e4 * one.features, one.present)
        for one in (predicted(1), predicted(2))
    )
    value = made(name, adapt)(student, teacher, LABELS)
    assert value.isfinite()
    for gradient in gradients(value, student.logits, student.features):
        assert gradient.isfinite().all()


@every_distillation_loss
@pytest.mark.parametrize("adapt", [True, False])
def test_is_zero_with_gradients_when_no_clip_is_paired(name, adapt):
    student, said, loss = predicted(1), predicted(2), made(name, adapt)
    absent = Prediction(said.logits * 0, said.features * 0, torch.zeros_like(said.present))
    value = loss(student, absent, LABELS)
    assert value == 0
    for gradient in gradients(value, student.logits, student.features, *loss.parameters()):
        assert (gradient == 0).all()


@every_loss
def test_takes_batches_in_which_some_clips_are_solitary(name):
    student, said, loss = predicted(1), predicted(2), made(name, adapt=True)
    there = torch.tensor([True, False, True, True, False, True])
    present = said.present & there[:, None, None]
    teacher = Prediction(said.logits, said.features * there[:, None, None, None, None], present)
    value = loss(student, teacher, LABELS)
    for gradient in gradients(value, student.logits, student.features):
        assert gradient.isfinite().all()
    if name in ("KL", "ReversedKL", "GraphMatching", "PartGraphMatching"):
        alone = loss(student.rows(there), teacher.rows(there), LABELS[there])
        torch.testing.assert_close(value, alone)


@every_loss
def test_the_order_of_clips_does_not_matter(name):
    student, teacher, loss = predicted(1), predicted(2), made(name, adapt=True)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    expected = loss(student, teacher, LABELS)
    value = loss(student.rows(order), teacher.rows(order), LABELS[order])
    torch.testing.assert_close(value, expected)


@every_loss
def test_the_order_of_classes_does_not_matter(name):
    student, teacher, loss = predicted(1), predicted(2), made(name, adapt=True)
    renamed = torch.tensor([2, 0, 3, 1])  # class i is now class renamed[i]
    weights = torch.rand(CLASSES, len(PARTS), generator=torch.Generator().manual_seed(3))
    if name == "PartContrastive":
        loss.set_part_weights(weights)
    expected = loss(student, teacher, LABELS)
    if name == "PartContrastive":
        loss.set_part_weights(weights[renamed.argsort()])
    moved = (
        Prediction(one.logits[:, renamed.argsort()], one.features, one.present)
        for one in (student, teacher)
    )
    torch.testing.assert_close(loss(*moved, renamed[LABELS]), expected)


@every_loss
def test_terms_add_up(name):
    student, teacher, loss = predicted(1), predicted(2), made(name, adapt=True)
    terms = loss.terms(student, teacher, LABELS)
    torch.testing.assert_close(sum(terms.values()), loss(student, teacher, LABELS))
    assert all(value.shape == () for value in terms.values())


@every_loss
def test_half_precision_is_computed_in_single(name):
    rounded = [
        Prediction(one.logits.bfloat16(), one.features.bfloat16(), one.present)
        for one in (predicted(1), predicted(2))
    ]
    loss = made(name, adapt=False)
    exact = loss(
        *(Prediction(one.logits.float(), one.features.float(), one.present) for one in rounded),
        LABELS,
    )
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(*rounded, LABELS)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, exact)


@pytest.mark.parametrize("name", ["PartContrastive", "GlobalContrastive", "PartGraphMatching"])
def test_takes_two_layouts_widths_and_frame_counts(name):
    student = predicted(1, channels=5, layout=MEDIAPIPE33, frames=4)
    loss = made(name, True, context(student=5, layout=MEDIAPIPE33))
    value = loss(student, predicted(2), LABELS)
    assert value.isfinite()
    assert gradients(value, student.features)[0].abs().max() > 0


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("KL", {"temperature": 0.0}, "KL needs temperature above 0, got 0.0"),
        ("KL", {"temperatur": 2.0}, "did you mean 'temperature'"),
        ("ReversedKL", {"temperature": -1.0}, "above 0"),
        ("SoftmaxTask", {"label_smoothing": 1.0}, "below 1, got 1.0"),
        ("PartContrastive", {"positive_weight": 2.0}, "between 0 and 1, got 2.0"),
        ("PartContrastive", {"adapt": False}, "one width, got 6"),
        ("GlobalContrastive", {"temperature": 0.0}, "above 0"),
        ("GraphMatching", {"adapt": False}, "one width, got 6"),
        ("GraphMatching", {"balance": 1.5}, "between 0 and 1"),
        ("GraphMatching", {"balance": 1.0, "node": False}, "nothing to match"),
        ("PartGraphMatching", {"segments": 0}, "at least 1 segment, got 0"),
    ],
)
def test_options_that_cannot_be_are_one_clear_line(name, options, said):
    with pytest.raises(ValueError, match=said) as error:
        build("loss", losses.find(name), options, context(student=6))
    assert "\n" not in str(error.value)


def test_an_unknown_loss_names_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'GraphMatching'"):
        losses.find("GraphMatchin")


def test_softmax_and_kl_equal_the_released_code():
    logits = GOLDEN["loss.in.student_logits"].requires_grad_()
    labels = GOLDEN["loss.in.label"]
    shape = (2, 1, 16, 5, 7)
    student = Prediction(logits, torch.zeros(shape), torch.ones(2, 1, 5, dtype=torch.bool))
    teacher = student._replace(logits=GOLDEN["loss.in.teacher_logits"])
    for name, key in (("SoftmaxTask", "ce"), ("KL", "kl")):
        value = losses.find(name)(context())(student, teacher, labels)
        torch.testing.assert_close(value[None], GOLDEN[f"loss.out.{key}"], atol=1e-6, rtol=0)
        (gradient,) = gradients(value, logits)
        torch.testing.assert_close(gradient, GOLDEN[f"loss.grad.{key}"], atol=1e-6, rtol=0)


def test_binary_task_is_eq_2_of_skd():
    logits = predicted(1).logits.detach().double()
    expected = 0.0
    for row, label in zip(logits, LABELS, strict=True):
        probability = torch.softmax(row, dim=0)
        for j in range(CLASSES):
            shown = float(label == j)
            expected -= shown * math.log(probability[j])
            expected -= (1 - shown) * math.log(1 - probability[j])
    value = binary_cross_entropy(logits, LABELS).mean()
    assert value == pytest.approx(expected / len(LABELS), rel=1e-12)
    wrong = torch.tensor([[1e4, 0.0, 0.0]])  # 1 - p is 0 in single precision, its log is not
    assert binary_cross_entropy(wrong, torch.tensor([1])) == pytest.approx(2e4 - math.log(2))


def test_divergence_is_eq_5_of_skd_in_either_order():
    target, estimate = (predicted(seed).logits.detach().double() for seed in (1, 2))
    for tau in (1.0, 3.0):
        expected = []
        for row, other in zip(target / tau, estimate / tau, strict=True):
            p, q = torch.softmax(row, 0), torch.softmax(other, 0)
            expected.append(tau**2 * sum(p[j] * math.log(p[j] / q[j]) for j in range(CLASSES)))
        torch.testing.assert_close(divergence(target, estimate, tau), torch.stack(expected))
    student, teacher = predicted(1), predicted(2)
    forward = losses.KL(temperature=2.0)(student, teacher, LABELS)
    torch.testing.assert_close(forward, divergence(teacher.logits, student.logits, 2.0).mean())
    backward = losses.ReversedKL(temperature=2.0)(student, teacher, LABELS)
    torch.testing.assert_close(backward, divergence(student.logits, teacher.logits, 2.0).mean())
