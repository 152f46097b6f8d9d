"""Deep LSTM and Res-TCN: twins by hand, and which losses they can be taught with."""

from dataclasses import replace

import pytest
import torch
from stores import named, small_store
from torch.nn import functional

from skeldistill import cost, losses, recipe
from skeldistill.data.batch import Batch
from skeldistill.distillation.distill import Distiller
from skeldistill.layouts import PENN13
from skeldistill.losses import LossContext
from skeldistill.networks import ASGCN, DeepLSTM, ResTCN
from skeldistill.shelf import build
from skeldistill.training.experiment import run
from skeldistill.training.perform import check
from skeldistill.training.task import Task


def clips(n=2, m=2, t=9):
    return torch.randn(n, m, t, 13, 3, generator=torch.Generator().manual_seed(0)).double()


# ---------------------------------------------------------------- Deep LSTM


def test_deep_lstm_step_by_step():
    torch.manual_seed(0)
    network = DeepLSTM(PENN13, classes=4, width=0.125).double().eval()
    joints, layer = clips(), network.recurrent
    size = network.feature_channels
    with torch.no_grad():
        frames = joints.permute(0, 2, 1, 3, 4).reshape(2, 9, -1)  # both persons in one vector
        frames = functional.batch_norm(
            frames.transpose(1, 2),
            network.normalisation.running_mean,
            network.normalisation.running_var,
            eps=1e-5,
        ).transpose(1, 2)
        for depth in range(2):
            weights = [
                getattr(layer, f"{kind}_l{depth}")
                for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            ]
            hidden = cell = torch.zeros(2, size).double()
            states = []
            for t in range(9):
                gates = frames[:, t] @ weights[0].T + hidden @ weights[1].T + sum(weights[2:])
                take, forget, new, show = gates.chunk(4, dim=1)
                cell = torch.sigmoid(forget) * cell + torch.sigmoid(take) * torch.tanh(new)
                hidden = torch.sigmoid(show) * torch.tanh(cell)
                states.append(hidden)
            frames = torch.stack(states, dim=1)
        said = network(joints)
    for person in range(2):
        torch.testing.assert_close(said.features[:, person, :, :, 0], frames.transpose(1, 2))
    torch.testing.assert_close(said.logits, network.classifier(frames.mean(dim=1)))


def test_deep_lstm_loses_states_in_training_alone():
    torch.manual_seed(0)
    network = DeepLSTM(PENN13, classes=4, width=0.25).double()
    joints = clips()
    assert not torch.equal(network(joints).logits, network(joints).logits)
    network.eval()
    assert torch.equal(network(joints).logits, network(joints).logits)
    alone = DeepLSTM(PENN13, classes=4, width=0.125, layers=1)
    assert alone(joints.float()).features.shape == (2, 2, 16, 9, 1)
    with pytest.raises(ValueError, match="1 layer at least and dropout from 0 to below 1"):
        DeepLSTM(PENN13, classes=4, layers=0)


def test_the_cost_of_recurrent_layers_is_counted():
    network = DeepLSTM(PENN13, classes=15, persons=1)
    each = 4 * 128 * (39 + 128) + 4 * 128 * (128 + 128)
    assert cost.multiply_adds(network, 48) == 48 * each + 128 * 15


# ---------------------------------------------------------------- Res-TCN


def convolved_in_keras(x, layer, stride):
    """Padding "same" of Keras, frame by frame; x: (n, c, t)."""
    n, _, t = x.shape
    out = -(-t // stride)
    padding = max((out - 1) * stride + 8 - t, 0)
    before = padding // 2
    said = torch.zeros(n, len(layer.weight), out, dtype=x.dtype)
    for s in range(out):
        said[:, :, s] = layer.bias
        for k in range(8):
            place = s * stride + k - before
            if 0 <= place < t:
                said[:, :, s] += x[:, :, place] @ layer.weight[:, :, 0, k].T
    return said


@pytest.mark.parametrize("t", [1, 2, 7, 12])
def test_res_tcn_in_the_authors_order(t):
    torch.manual_seed(0)
    network = ResTCN(PENN13, classes=4, width=0.125).double().eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    joints = clips(t=t)

    def active(x, norm):
        statistics = norm.running_mean, norm.running_var, norm.weight, norm.bias
        return functional.relu(functional.batch_norm(x, *statistics, eps=1e-3))

    with torch.no_grad():
        x = joints.permute(0, 1, 3, 4, 2).reshape(2, -1, t)
        x = convolved_in_keras(x, network.first, 1)
        for i, block in enumerate(network.blocks):
            stride = 2 if i in (3, 6) else 1
            y = convolved_in_keras(active(x, block.normalisation), block.convolution, stride)
            if i in (3, 6):
                weight, bias = block.residual.weight[:, :, 0, 0], block.residual.bias
                x = (weight @ x[:, :, ::2]) + bias[:, None]
            x = x + y
        x = active(x, network.normalisation)
        said = network(joints)
    torch.testing.assert_close(said.features[:, 0, :, :, 0], x)
    torch.testing.assert_close(said.features[:, 1, :, :, 0], x)
    torch.testing.assert_close(said.logits, network.classifier(x.mean(dim=2)))


# ---------------------------------------------------------------- losses


def about(**without_joints):
    return LossContext(
        student_layout=PENN13,
        teacher_layout=PENN13,
        student_channels=8,
        teacher_channels=8,
        classes=3,
        without_joints=without_joints,
    )


@pytest.mark.parametrize("name", ["PartContrastive", "PartGraphMatching", "GraphMatching"])
@pytest.mark.parametrize("side", ["student", "teacher"])
def test_losses_that_compare_joints_refuse_networks_without(name, side):
    with pytest.raises(ValueError, match=rf"^{name} compares .*features of DeepLSTM \({side}\)"):
        build("loss", losses.find(name), {}, about(**{side: "DeepLSTM"}))
    for other in ("KL", "GlobalContrastive"):
        build("loss", losses.find(other), {}, about(**{side: "DeepLSTM"}))


@pytest.fixture
def experiment(tmp_path):
    for name in ("high", "low"):
        small_store(tmp_path / f"{name}.arrow", named(24, "train") + named(8, "test", 24))
    part = {"name": "ResTCN", "width": 0.125}
    return {
        "name": "small",
        "data": {name: {"store": str(tmp_path / f"{name}.arrow")} for name in ("high", "low")},
        "sampling": {"frames": 8},
        "training": {"epochs": 1, "batch_size": 8, "warmup": 0, "learning_rate": 0.05},
        "teacher": part,
        "student": part,
        "seeds": [0],
    }


def test_res_tcn_teaches_and_learns_what_has_no_joints(experiment, tmp_path):
    experiment["methods"] = {
        "teacher": None,
        "SKD": None,
        "bank": {"losses": [{"name": "GlobalContrastive", "bank": True}]},
    }
    results = run(recipe.parse(experiment), tmp_path / "run")
    terms = [set(row["curves"][0]["epochs"][0]["terms"]) for row in results["methods"]]
    assert terms[1] == {"task", "KL", "node", "edge"}
    assert terms[2] == {"task", "GlobalContrastive"}


def test_what_cannot_be_taught_is_said_before_anything_is_trained(experiment, tmp_path):
    experiment["methods"] = {"teacher": None, "SKD": None, "PLKD": None}
    experiment["student"] = {"name": "DeepLSTM", "width": 0.125}
    part = {"name": "STGCN", "width": 0.125}
    for teacher, method, said in (
        (part, "SKD", r"GraphMatching compares .* DeepLSTM \(student\)"),
        (part, "PLKD", r"PartContrastive compares .* DeepLSTM \(student\)"),
        (experiment["teacher"], "PLKD", r"PartContrastive compares .* DeepLSTM \(student\)"),
    ):
        parsed = recipe.parse({**experiment, "teacher": teacher})
        task = Task(recipe=parsed, root=tmp_path / "run", method=method, fold=0, seed=0)
        with pytest.raises(ValueError, match=said):
            check(task)


def test_frames_that_a_network_does_not_take_are_refused_first(experiment, tmp_path):
    experiment["student"] = {"name": "ShiftGCN", "width": 0.125}
    experiment["sampling"]["frames"] = 6
    parsed = recipe.parse({**experiment, "methods": ["low"]})
    with pytest.raises(ValueError, match="ShiftGCN needs a multiple of 4 frames, got 6"):
        check(Task(recipe=parsed, root=tmp_path / "run", method="low", fold=0, seed=0))


def test_a_teacher_is_not_shown_what_its_student_must_foretell():
    torch.manual_seed(0)
    teacher, student = (
        ASGCN(PENN13, classes=3, persons=1, channels=2, width=0.125, reconstruction=True)
        for _ in range(2)
    )
    term = recipe.LossTerm(name="GraphMatching")
    loss = losses.GraphMatching(
        replace(about(), student_channels=32, teacher_channels=32, without_joints={})
    )
    distiller = Distiller(student, losses.SoftmaxTask(), teacher, {"GraphMatching": (term, loss)})
    joints = torch.randn(2, 1, 267, 13, 2)
    batch = Batch(
        joints=joints,
        labels=torch.tensor([0, 1]),
        clips=torch.arange(2),
        teacher_joints=joints,
        matched=torch.tensor([True, True]),
    )
    _, _, terms = distiller.train()(batch, 0)
    assert set(terms) == {"node", "edge"}
    with torch.no_grad():
        seen = teacher(joints[:, :, :257]).logits
    torch.testing.assert_close(distiller.ask_teacher(batch).logits, seen)
    torch.testing.assert_close(
        distiller.eval().ask_teacher(batch).logits, teacher(joints).logits.detach()
    )
