"""Rank pooling: liblinear's regression, its order of frames, and fitting instead of training."""

import numpy as np
import pytest
import torch
from stores import named, small_store

from skeldistill import checkpoint, recipe
from skeldistill.layouts import PENN13
from skeldistill.networks import RankPooling
from skeldistill.networks.rank_pooling import rank, smooth
from skeldistill.training.experiment import run
from skeldistill.training.perform import check
from skeldistill.training.task import NETWORK, Task


def walks(b=3, t=12, d=6, seed=0):
    """Sequences that drift."""
    rng = np.random.default_rng(seed)
    return torch.from_numpy(np.cumsum(rng.normal(size=(b, t, d)), axis=1))


def clips(n=3, m=2, t=12, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, m, t, 13, 3, generator=generator).double().cumsum(dim=2)


# ---------------------------------------------------------------- the formulas


@pytest.mark.parametrize(("t", "d"), [(1, 4), (10, 39), (48, 26), (300, 26)])
def test_the_direction_is_that_of_support_vector_regression(t, d):
    from sklearn.svm import LinearSVR

    present = torch.ones(3, t, dtype=torch.bool)
    present[1, t // 2 + 1 :] = False
    frames = smooth(walks(3, t, d), present)
    directions = rank(frames, present)
    single = rank(frames.float(), present)
    for i in range(3):
        count = int(present[i].sum())
        regression = LinearSVR(
            C=1.0,
            epsilon=0.1,
            loss="squared_epsilon_insensitive",
            dual=False,
            fit_intercept=False,
            tol=1e-10,
            max_iter=100_000,
        )
        regression.fit(frames[i, :count].numpy(), np.arange(1, count + 1))
        expected = torch.from_numpy(regression.coef_)
        assert (directions[i] - expected).norm() < 1e-6 * expected.norm()
        assert (single[i] - expected).norm() < 1e-3 * expected.norm()


@pytest.mark.parametrize("kind", [torch.float64, torch.float32])
@pytest.mark.parametrize(("t", "d"), [(1, 4), (10, 39), (300, 75)])
def test_exports_find_the_same_direction_by_other_operations(t, d, kind, monkeypatch):
    present = torch.ones(3, t, dtype=torch.bool)
    present[1, t // 2 :] = present[2] = False
    frames = smooth(walks(3, t, d), present).to(kind)
    near = {"rtol": 0, "atol": 1e-10 if kind == torch.float64 else 1e-3}

    def asked():
        shown = frames.clone().requires_grad_()
        direction = rank(shown, present)
        (gradient,) = torch.autograd.grad(direction.square().sum(), shown)
        return direction.detach(), gradient / gradient.abs().max()

    exact, gradient = asked()
    assert exact.dtype == kind
    assert (exact[2] == 0).all()
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    approached, other = asked()
    torch.testing.assert_close(approached / exact.norm(), exact / exact.norm(), **near)
    torch.testing.assert_close(other, gradient, **near)


def test_autocast_changes_no_direction():
    present = torch.ones(2, 10, dtype=torch.bool)
    frames = smooth(walks(2, 10, 6), present).float()
    with torch.autocast("cpu", torch.bfloat16):
        inside = rank(frames, present)
    assert torch.equal(inside, rank(frames, present))


def test_smoothing_frame_by_frame():
    frames, present = walks(2, 7, 5), torch.ones(2, 7, dtype=torch.bool)
    present[0, 2] = present[1, 5:] = False
    smoothed = smooth(frames, present)
    for i in range(2):
        so_far = []
        for t in range(7):
            if not present[i, t]:
                assert (smoothed[i, t] == 0).all()
                continue
            so_far.append(frames[i, t].numpy())
            mean = np.mean(so_far, axis=0)
            rooted = np.sign(mean) * np.sqrt(np.abs(mean))
            expected = rooted / np.linalg.norm(rooted)
            np.testing.assert_allclose(smoothed[i, t].numpy(), expected, rtol=1e-12)


# ---------------------------------------------------------------- what it describes


def test_a_clip_backwards_has_its_two_directions_exchanged():
    network = RankPooling(PENN13, classes=3).double()
    forwards, backwards = network.describe(clips()), network.describe(clips().flip(2))
    torch.testing.assert_close(forwards.roll(39, dims=1), backwards)
    assert not torch.allclose(forwards, backwards)


def test_absent_frames_and_persons_change_nothing():
    network = RankPooling(PENN13, classes=3).double()
    joints = clips()
    joints[:, 1] = 0
    padded = torch.cat([joints[:, :, :5], 0 * joints[:, :, :4], joints[:, :, 5:]], dim=2)
    torch.testing.assert_close(network.describe(padded), network.describe(joints))
    alone = RankPooling(PENN13, classes=3, persons=1).double()
    torch.testing.assert_close(alone.describe(joints[:, :1]), network.describe(joints))
    nobody = network.describe(0 * joints)
    assert (nobody == 0).all()


def test_features_are_the_smoothed_frames():
    network = RankPooling(PENN13, classes=3).double()
    said = network(clips())
    forwards = said.features[:, :, :3]
    first = clips()[:, :, :1].permute(0, 1, 4, 2, 3)
    torch.testing.assert_close(forwards[..., :1, :].sign(), first.sign())
    torch.testing.assert_close(
        said.features.square().sum(dim=(2, 4)), torch.full((3, 2, 12), 2.0).double()
    )


# ---------------------------------------------------------------- fitting


def rising(labels, seed=0):
    """Clips in which another joint rises for every class."""
    joints = 1 + 0.1 * torch.randn(len(labels), 1, 10, 13, 2, generator=torch.manual_seed(seed))
    for joint, label in zip(joints, labels, strict=True):
        joint[0, :, 3 * label, 1] += torch.linspace(0, 2, 10)
    return joints


def test_it_is_fitted_to_clips_and_labels():
    labels = torch.tensor([0, 1, 2] * 8)
    network = RankPooling(PENN13, classes=4, persons=1, channels=2)
    network.fit_closed_form(
        [(rising(labels[:10]), labels[:10]), (rising(labels[10:], 1), labels[10:])]
    )
    with torch.no_grad():
        said = network(rising(labels, seed=2)).logits
    assert (said.argmax(dim=1) == labels).float().mean() > 0.9
    assert (said[:, 3] == -1).all()  # a class that was never shown
    again = RankPooling(PENN13, classes=4, persons=1, channels=2)
    again.fit_closed_form(
        [(rising(labels[:10]), labels[:10]), (rising(labels[10:], 1), labels[10:])]
    )
    assert torch.equal(network.classifier.weight, again.classifier.weight)  # no chance in it


@pytest.mark.parametrize("classes", [[1], [0, 1]])
def test_one_or_two_classes(classes):
    labels = torch.tensor(classes * 6)
    network = RankPooling(PENN13, classes=2, persons=1, channels=2)
    network.fit_closed_form([(rising(labels), labels)])
    with torch.no_grad():
        said = network(rising(labels, seed=1)).logits
    assert (said.argmax(dim=1) == labels).float().mean() > 0.9


def test_mistakes_are_one_line():
    network = RankPooling(PENN13, classes=2)
    with pytest.raises(ValueError, match="clips to be fitted to, got none"):
        network.fit_closed_form([])
    with pytest.raises(ValueError, match=r"penalty above 0, got 0\.0"):
        RankPooling(PENN13, classes=2, penalty=0.0)


# ---------------------------------------------------------------- in an experiment


@pytest.fixture
def experiment(tmp_path):
    for name, seed in (("high", 0), ("low", 1)):
        clips = named(36, "train") + named(12, "test", 36)
        small_store(tmp_path / f"{name}.arrow", clips, seed=seed)
    return {
        "name": "small",
        "data": {name: {"store": str(tmp_path / f"{name}.arrow")} for name in ("high", "low")},
        "sampling": {"frames": 8},
        "training": {"epochs": 1, "batch_size": 8, "warmup": 0},
        "teacher": {"name": "STGCN", "width": 0.125},
        "student": {"name": "RankPooling"},
        "methods": ["low+augmentation"],
        "seeds": [0],
    }


def test_a_whole_experiment_fits_it(experiment, tmp_path):
    parsed = recipe.parse(experiment)
    results = run(parsed, tmp_path / "run")
    row = results["methods"][0]
    assert row["network"] == "RankPooling"
    (epoch,) = row["curves"][0]["epochs"]
    assert epoch["epoch"] == 1
    assert epoch["top1"] > 50  # of three classes
    assert epoch["terms"] == {"task": epoch["loss"]}
    task = Task(recipe=parsed, root=tmp_path / "run", method="low+augmentation", fold=0, seed=0)
    network, _ = checkpoint.load(task.folder / NETWORK)
    assert isinstance(network, RankPooling)
    assert (network.classifier.weight != 0).any()
    before = (task.folder / NETWORK).stat()
    run(parsed, tmp_path / "run")
    assert (task.folder / NETWORK).stat() == before


def test_it_teaches_but_cannot_be_taught(experiment, tmp_path):
    experiment |= {"methods": {"teacher": None, "KL": None}, "seeds": [0]}
    task = Task(recipe=recipe.parse(experiment), root=tmp_path / "run", method="KL", fold=0, seed=0)
    with pytest.raises(ValueError, match=r"RankPooling is fitted to labels alone.* taught KL;"):
        check(task)
    experiment["teacher"], experiment["student"] = experiment["student"], experiment["teacher"]
    results = run(recipe.parse(experiment), tmp_path / "other")
    assert set(results["methods"][1]["curves"][0]["epochs"][0]["terms"]) == {"task", "KL"}
