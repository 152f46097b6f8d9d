"""Parts of one's own: what they do not keep of a contract is one line that names them."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from skeldistill import checkpoint, degradations, networks
from skeldistill.clip import applied
from skeldistill.data.batch import Batch
from skeldistill.degradations import Degradation
from skeldistill.degradations.seeding import apply
from skeldistill.distillation.distill import Distiller
from skeldistill.layouts import COCO17, Layout
from skeldistill.losses import KL, Loss, SoftmaxTask
from skeldistill.losses.loss import require_defined
from skeldistill.networks import Network
from skeldistill.networks.contract import require_said, require_stated
from skeldistill.prediction import Prediction, presence
from skeldistill.recipe import LossTerm


class Unstated(Network):
    """All but what others ask of a network; as users write it, without a word on types."""

    def __init__(self, layout, *, classes, persons, channels):
        super().__init__(layout, classes=classes, persons=persons, channels=channels)
        self.body = nn.Linear(channels, 4)
        self.classifier = nn.Linear(4, classes)

    def forward(self, joints: Tensor) -> Prediction:
        features = self.body(joints).movedim(4, 2)
        logits = self.classifier(features.mean(dim=(1, 3, 4)))
        return Prediction(logits, features, presence(joints, joints.shape[2]))


class Own(Unstated):
    """The least that a network may be."""

    feature_channels = 4
    temporal_stride = 1


class Forgetful(Own):
    """Does not keep an argument."""

    def __init__(self, layout, *, classes, persons, channels, heads=2):
        super().__init__(layout, classes=classes, persons=persons, channels=channels)


class Silent(Network):
    """Has no forward."""


def made(part: type = Own) -> Network:
    return part(COCO17, classes=5, persons=2, channels=3)


def clips(n: int = 3) -> Tensor:
    return torch.ones(n, 2, 8, 17, 3)


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Forgetful, "network Forgetful does not keep its argument 'heads'"),
        (Unstated, "network Unstated does not state feature_channels; set self.feature_channels"),
        (Silent, "network Silent does not define forward"),
    ],
)
def test_a_network_that_lacks_something_is_refused(part, said):
    require_stated(made())
    with pytest.raises(ValueError, match=re.escape(said)):
        require_stated(made(part))


def test_what_is_no_network_of_ours_is_refused():
    with pytest.raises(ValueError, match="Linear is no network of ours"):
        require_stated(nn.Linear(3, 5))


def test_a_checkpoint_that_could_not_be_made_again_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"set self\.heads when it is made"):
        checkpoint.save(tmp_path / "network.safetensors", made(Forgetful), about={})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", networks.SHELF)
def test_the_networks_of_the_shelf_state_all(name):
    with torch.device("meta"):
        require_stated(networks.find(name)(COCO17, classes=5, persons=2))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda one: one.logits, "network Own gives Tensor; forward returns Prediction("),
        (lambda one: one._replace(features=None), "gives features of type NoneType, where"),
        (
            lambda one: one._replace(features=one.features[:, 0]),
            "gives features of shape (3, 4, 8, 17), where (n, m, c, t', v) is (3, 2, 4, 8, 17)",
        ),
        (lambda one: one._replace(logits=one.logits[:, :3]), "(n, k) is (3, 5)"),
        (
            lambda one: one._replace(present=one.present.any(dim=1)),
            "gives present of shape (3, 8), where (n, m, t') is (3, 2, 8)",
        ),
        (lambda one: one._replace(features=one.features[:, :, :3]), "is (3, 2, 4, 8, 17)"),
    ],
)
def test_a_prediction_of_other_shapes_is_refused_and_not_broadcast(answer, said):
    said_rightly = made()(clips())
    assert require_said(made(), clips(), said_rightly) is said_rightly
    with pytest.raises(ValueError, match=re.escape(said)):
        require_said(made(), clips(), answer(said_rightly))


class Told(Loss):
    """Gives what it is told to."""

    def __init__(self, value) -> None:
        super().__init__()
        self.value = value

    def terms(self, student: Prediction, teacher: Prediction, labels: Tensor) -> dict:
        return {"told": self.value}


def a_step(student: Network, loss: Loss) -> None:
    distiller = Distiller(student, SoftmaxTask(), made(), {"Told": (LossTerm(name="Told"), loss)})
    places = torch.arange(3)
    batch = Batch(
        joints=clips(),
        labels=places,
        clips=places,
        teacher_joints=clips(),
        matched=torch.ones(3, dtype=torch.bool),
    )
    distiller.train()(batch, 0)


@pytest.mark.parametrize(
    ("value", "came"),
    [(torch.ones(3), "shape (3,)"), (None, "NoneType"), (1.5, "float")],
)
def test_a_loss_that_is_no_number_of_torch_is_refused(value, came):
    a_step(made(), KL())
    with pytest.raises(ValueError, match=re.escape(f"loss Told gives {came}; a loss is one")):
        a_step(made(), Told(value))


def test_training_looks_at_what_the_student_says():
    student = made()
    student.classes = 6
    with pytest.raises(ValueError, match="network Own gives logits"):
        a_step(student, KL())


def test_a_loss_that_defines_nothing_is_refused():
    require_defined(KL())
    with pytest.raises(ValueError, match="loss Loss defines neither forward nor terms"):
        require_defined(Loss())
    with pytest.raises(ValueError, match="ReLU is no loss of ours"):
        require_defined(nn.ReLU())


@dataclass(frozen=True, kw_only=True)
class Gives(Degradation):
    """Gives what it is told to; states no severities."""

    what: str = "both"

    def __call__(self, joints, scores, *, layout: Layout, rng: np.random.Generator):
        if self.what == "the clip it was given":
            joints[:] = 0
        answers = {"joints": joints, "fewer joints": (joints[:, :, 1:], scores[:, :, 1:])}
        return answers.get(self.what, (joints[:, 1:], scores[:, 1:]))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("joints", "Gives gives ndarray; of joints (1, 4, 17, 2) and scores (1, 4, 17)"),
        ("fewer joints", "Gives gives (1, 4, 16, 2) and (1, 4, 16); of joints (1, 4, 17, 2)"),
        ("the clip it was given", "Gives: assignment destination is read-only"),
    ],
)
def test_a_degradation_that_gives_something_else_is_named(what, said, rng):
    joints, scores = np.ones((1, 4, 17, 2), np.float32), np.ones((1, 4, 17), np.float32)
    joints.flags.writeable = False  # as in a store
    shorter, _ = applied(Gives(), joints, scores, layout=COCO17, rng=rng)
    assert shorter.shape == (1, 3, 17, 2)
    with pytest.raises(ValueError, match=re.escape(said)):
        apply([Gives(what=what)], joints, scores, COCO17, rng)


def test_a_degradation_without_severities_says_so(monkeypatch):
    monkeypatch.setitem(degradations.SHELF, "Gives", Gives)
    with pytest.raises(ValueError, match="Gives states 0 severities, where robustness needs five"):
        degradations.at_severity("Gives", 3)


def test_a_network_of_ones_own_has_a_cost(skeldistill, monkeypatch):
    monkeypatch.setitem(networks.SHELF, "Own", Own)
    status, out, _ = skeldistill("cost", "Own", "--frames", "8")
    assert status == 0
    assert "Own" in out


def test_where_an_error_arose_is_shown_on_request(skeldistill, monkeypatch):
    assert skeldistill("layouts", "coco18")[0] == 1
    monkeypatch.setenv("SKELDISTILL_TRACEBACK", "1")
    with pytest.raises(ValueError, match="no layout called 'coco18'"):
        skeldistill("layouts", "coco18")
