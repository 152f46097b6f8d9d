"""Several teachers that answer as one."""

import pytest
import torch
from stores import small_experiment

from skeldistill import networks, recipe
from skeldistill.checkpoint import read_weights
from skeldistill.distillation.ensemble import Ensemble
from skeldistill.layouts import COCO17, PENN13
from skeldistill.training.experiment import run, run_one
from skeldistill.training.task import NETWORK


def network(name="STGCN", layout=PENN13, classes=4, **options):
    made = networks.find(name)(layout, classes=classes, persons=1, width=0.125, **options)
    return made.eval()


@pytest.fixture
def joints():
    return torch.randn(3, 1, 8, 13, 3)


def test_probabilities_are_averaged_and_features_are_the_first_ones(joints):
    first, second = network(), network("ST2sGCN")
    with torch.no_grad():
        said = Ensemble([first, second])(joints)
        apart = [first(joints), second(joints)]
    mean = sum(one.logits.softmax(dim=1) for one in apart) / 2
    torch.testing.assert_close(said.logits.softmax(dim=1), mean)
    torch.testing.assert_close(said.logits.exp().sum(dim=1), torch.ones(3))
    torch.testing.assert_close(said.features, apart[0].features)
    torch.testing.assert_close(said.present, apart[0].present)


def test_one_alone_says_what_it_would_say_but_for_a_constant(joints):
    alone = network()
    with torch.no_grad():
        said, own = Ensemble([alone])(joints).logits, alone(joints).logits
    torch.testing.assert_close(said, own.log_softmax(dim=1))


def test_scores_of_1e4_stay_finite(joints):
    one, other = network(), network()
    with torch.no_grad():
        one.classifier.bias[0] = 1e4
        other.classifier.bias[1] = 1e4
        said = Ensemble([one, other])(joints).logits
    assert said.isfinite().all()
    torch.testing.assert_close(said[:, :2].softmax(dim=1), torch.full((3, 2), 0.5))


def test_all_must_see_and_name_the_same():
    with pytest.raises(ValueError, match=r"4 classes from 'penn13' joints.*5 classes"):
        Ensemble([network(), network(classes=5)])
    with pytest.raises(ValueError, match=r"'penn13'.*'coco17'"):
        Ensemble([network(), network(layout=COCO17)])
    with pytest.raises(ValueError, match="one network at least"):
        Ensemble([])


def methods(teacher):
    high = {"view": "high", "network": "teacher"}
    return {
        "one": high,
        "two": {**high, "training": {"label_smoothing": 0.1}},
        "twin": high,
        "slow": {**high, "sampling": {"frames": 4}},
        "KL": {"losses": [{"name": "KL"}, {"name": "GraphMatching"}], "teacher": teacher},
    }


def test_a_recipe_names_several_teachers(tmp_path):
    said = small_experiment(tmp_path, [])
    said["methods"] = methods(["one", "two"])
    made = recipe.parse(said)
    assert made.needs("KL") == ["one", "two"]
    results = run(made, tmp_path / "run")
    (student,) = (one for one in results["methods"] if one["name"] == "KL")
    assert "taught by one and two" in student["description"]
    assert student["curves"][0]["epochs"][0]["terms"]["KL"] > 0


def test_methods_with_the_same_settings_are_told_apart_by_their_seed(tmp_path):
    said = small_experiment(tmp_path, [])
    said["methods"] = methods(["one", "other"]) | {
        "other": {"view": "high", "network": "teacher", "seed": 1}
    }
    made = recipe.parse(said)
    assert "seed" not in made.model_dump()["methods"]["one"]  # finished runs stay finished
    assert made.model_dump()["methods"]["other"]["seed"] == 1
    one, other, twin = (
        read_weights(run_one(made, tmp_path / "run", name, 0, 0).folder / NETWORK)
        for name in ("one", "other", "twin")
    )
    assert all(torch.equal(one[name], twin[name]) for name in one)
    assert not torch.equal(one["classifier.weight"], other["classifier.weight"])


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        (["one", "slow"], "methods.KL.teacher names methods that sample or complete differently"),
        (["one", "twin"], "names 'one' and 'twin', which would be the same training"),
        (["one", "tow"], "methods.KL.teacher is 'tow'.*did you mean 'two'"),
        ([], "methods.KL.teacher names nobody"),
    ],
)
def test_teachers_that_cannot_teach_together_are_refused(tmp_path, teacher, said):
    asked = small_experiment(tmp_path, [])
    asked["methods"] = methods(teacher)
    with pytest.raises(ValueError, match=said):
        recipe.parse(asked)
