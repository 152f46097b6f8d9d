"""Two processes that train together give what one gives."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import together
import torch
import yaml
from safetensors.torch import load_file
from stores import named, small_store

from skeldistill import losses, networks, processes
from skeldistill import recipe as recipes
from skeldistill.data.batch import Batch
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import SOLITARY, Clips
from skeldistill.distillation.distill import Distiller
from skeldistill.distillation.synchronised import synchronised
from skeldistill.layouts import PENN13
from skeldistill.recipe import Part, Sampling, Training
from skeldistill.training.experiment import run
from skeldistill.training.train import fit

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this torch has no torch.distributed"
)
FOLDER = Path(__file__).parent


def start(words: list, count: int = 2) -> list[subprocess.Popen]:
    """Start a command as torchrun would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    told = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    told |= {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": 1}
    return [
        subprocess.Popen(
            [sys.executable, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=FOLDER,
            env=os.environ
            | {name: str(value) for name, value in told.items()}
            | {"RANK": str(rank), "LOCAL_RANK": str(rank), "CUDA_VISIBLE_DEVICES": ""},
        )
        for rank in range(count)
    ]


def ended(started: list[subprocess.Popen]) -> list[tuple[str, str]]:
    """What the processes said, once they have ended well."""
    try:
        said = [process.communicate(timeout=240) for process in started]
    finally:
        for process in started:
            process.kill()
    assert all(process.returncode == 0 for process in started), said
    return said


@pytest.fixture(scope="module")
def alone():
    torch.set_num_threads(1)
    return together.every_case()


@pytest.fixture(scope="module")
def found(tmp_path_factory, alone):
    """What each of two processes has found."""
    folder = tmp_path_factory.mktemp("two")
    ended(start([FOLDER / "together.py", folder]))
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def test_gradients_and_coefficients_are_those_of_one_process(found, alone):
    for name, expected in alone.items():
        for rank in range(2):
            here = found[rank]["cases"][name]
            for kind in ("gradients", "values", "strengths", "statistics"):
                torch.testing.assert_close(
                    here[kind], expected[kind], rtol=1e-9, atol=1e-11, msg=f"{name}: {kind}"
                )
            assert here["conflicted"] == expected["conflicted"]


def test_the_cases_are_of_use(alone):
    conflicts = [bool(one) for case in alone.values() for one in case["conflicted"].values()]
    assert any(conflicts)
    assert not all(conflicts)
    terms = {name for case in together.CASES.values() for name in case}
    assert terms == set(losses.SHELF) - {"SoftmaxTask", "BinaryTask"}


def test_all_losses_of_the_shelf_know_of_shares():
    assert all(loss.in_shares for loss in losses.SHELF.values())


def test_sums_and_rows_over_the_processes(found):
    zero, one = (each["numbers"] for each in found)
    for here in (zero, one):
        assert here["total"].tolist() == [0.0, 3.0, 6.0]  # 1 x + 2 x
        assert here["rows"].tolist() == [[1.0, 1.0]]  # of the second process alone
        assert [None if each is None else each.tolist() for each in here["partial"]] == [
            [2.0, 2.0],
            None,
            [1.0],
        ]
    assert zero["gradient"].tolist() == [2.0] * 3  # both losses hang on it
    assert one["gradient"].tolist() == [4.0] * 3
    assert (int(zero["own"]), int(one["own"])) == (0, 1)
    assert (int(zero["share"]), int(one["share"])) == (3, 7)


def test_shares_make_the_batch(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    for clips in (4, 7, 16):
        shares = []
        for rank in range(4):
            monkeypatch.setenv("RANK", str(rank))
            shares.append(range(clips)[processes.share_of(clips)])
        assert [place for share in shares for place in share] == list(range(clips))
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_one_process_is_left_alone(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    x = torch.arange(3.0, requires_grad=True)
    with processes.joined(), processes.together(3):
        assert not processes.several()
        assert processes.total(x) is x
        assert processes.total_with_gradient(x) is x
        assert processes.rows(x) == (x, 0)
        assert processes.total_gradients([x, None], [x, x]) == [x, None]
        assert processes.told(7) == 7
        assert processes.share(2) == 1.0


def test_batch_normalisation_may_stay_with_each_process(monkeypatch):
    monkeypatch.setattr(processes, "several", lambda: True)
    monkeypatch.setattr(processes, "stacked", lambda tensor: tensor.unsqueeze(0).expand(2, -1))
    monkeypatch.setattr(processes, "summed", lambda tensor: 2 * tensor)
    x, layers = torch.randn(6, 3, 4, 2), [torch.nn.BatchNorm2d(3) for _ in range(2)]
    said = []
    for layer, wanted in zip(layers, (True, False), strict=True):
        with synchronised(wanted):
            said.append(layer(x))
    torch.testing.assert_close(*said)  # as if both processes had the same clips
    assert ["Synchronised" in type(one.grad_fn).__name__ for one in said] == [True, False]


@pytest.mark.parametrize(
    ("error", "kind"),
    [("[gloo/pair.cc:553] Connection closed by peer [::1]", ValueError), ("no", RuntimeError)],
)
def test_the_end_of_another_process_is_one_line(monkeypatch, error, kind):
    for name, value in {
        "WORLD_SIZE": "2",
        "RANK": "1",
        "MASTER_ADDR": "nowhere",
        "MASTER_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(processes.distributed, "init_process_group", lambda *_, **__: None)
    monkeypatch.setattr(processes.distributed, "destroy_process_group", lambda: None)
    with pytest.raises(kind, match=r"another process has ended|no"), processes.joined():
        raise RuntimeError(error)


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two'"),
        ({"WORLD_SIZE": "2"}, "MASTER_ADDR, MASTER_PORT is missing; start with torchrun"),
    ],
)
def test_a_broken_environment_is_one_line(monkeypatch, environment, said):
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=said), processes.joined():
        pass


@pytest.mark.parametrize(("noise", "taught"), [(0.0, 0.0), (0.1, 0.1), (0.0, 0.1)])
def test_shares_of_examples_are_the_clips_of_one_process(tmp_path, noise, taught):
    store = small_store(tmp_path / "a.arrow", named(11, "train"))
    rows = np.arange(11)
    side = Side(
        store=store,
        sampling=Sampling(frames=6, rotation=20, scaling=0.2, mirror=0.5, noise=noise, crop=0.7),
        augmentation=(Part.model_validate({"name": "JointOcclusion", "probability": 0.5}),),
    )
    examples = Examples(
        clips=Clips(rows=rows, teacher_rows=np.where(rows % 3, rows, SOLITARY), labels=rows % 3),
        student=side,
        teacher=Side(store=store, sampling=side.sampling.model_copy(update={"noise": taught})),
    )

    def epoch(share=None) -> list[Batch]:
        return list(examples.training(4, seed=1, epoch=2, share=share))

    parts = [epoch(lambda clips, low=low: slice(low * clips // 2, (low + 1) * clips // 2))
             for low in (0, 1)]  # fmt: skip
    for whole, *halves in zip(epoch(), *parts, strict=True):
        for field in ("joints", "labels", "clips", "teacher_joints", "matched"):
            joined = torch.cat([getattr(half, field) for half in halves])
            assert torch.equal(getattr(whole, field), joined), field


@pytest.fixture
def recipe(tmp_path):
    small_store(tmp_path / "high.arrow", named(17, "train") + named(6, "test", 17))
    network = {"name": "STGCN", "width": 0.125, "dropout": 0.0}
    told = {
        "name": "small",
        "data": {
            "high": {"store": str(tmp_path / "high.arrow")},
            "low": {"degradations": [{"name": "JointOcclusion", "probability": 0.3}]},
            "paired": 0.7,
        },
        "sampling": {"frames": 8},
        # one step: rounding alone soon leads so small a network elsewhere
        "training": {"epochs": 1, "batch_size": 24, "warmup": 0, "learning_rate": 0.001},
        "teacher": network,
        "student": network,
        "methods": {
            "teacher": {},
            "all": {"losses": ["KL", "GraphMatching", "PartContrastive"]},
        },
        "seeds": [0],
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    return path


def test_a_whole_experiment_of_two_processes(recipe, tmp_path, skeldistill):
    two = start(["-m", "skeldistill", "run", recipe, "--out", tmp_path / "two"])
    code, _, said = skeldistill("run", recipe, "--out", tmp_path / "one")
    assert code == 0, said
    (first, _), (second, silent) = ended(two)
    assert "results.json" in first
    assert second == silent == ""  # one alone talks
    for method in ("teacher", "all"):
        one, both = (tmp_path / run / "fold0" / method / "seed0" for run in ("one", "two"))
        assert sorted(path.name.split(".")[0] for path in one.iterdir()) == sorted(
            path.name.split(".")[0] for path in both.iterdir()
        )
        weights, shared = (load_file(each / "network.safetensors") for each in (one, both))
        if method == "teacher":  # distances of equal vertices point where rounding likes
            torch.testing.assert_close(shared, weights, rtol=0, atol=1e-3)
        (mine,), (theirs,) = (
            json.loads((each / "measured.json").read_text(encoding="utf-8"))["history"]
            for each in (one, both)
        )
        assert theirs["terms"] == pytest.approx(mine["terms"], rel=1e-2)
        assert theirs["conflicts"].keys() == mine["conflicts"].keys()
        for key in ("top1", "skipped"):
            assert theirs[key] == mine[key]
    matrix, same = (
        load_file(tmp_path / run / "fold0/teacher/seed0/knowledge.safetensors")["misclassified"]
        for run in ("one", "two")
    )
    assert torch.equal(matrix, same)


def test_too_many_processes_for_a_batch_are_refused(monkeypatch, tmp_path):
    store = small_store(tmp_path / "a.arrow", named(13, "train"))
    clips = Clips(rows=np.arange(13), teacher_rows=np.arange(13), labels=np.arange(13) % 3)
    examples = Examples(clips=clips, student=Side(store=store, sampling=Sampling(frames=4)))
    monkeypatch.setenv("WORLD_SIZE", "6")  # batches of 8 and 5 clips
    with pytest.raises(ValueError, match="this process has not joined the others"):
        fit(together.scene({})[0], examples, Training(batch_size=8), seed=0, folder=tmp_path)
    monkeypatch.setattr(processes, "require_joined", lambda: None)
    distiller, _ = together.scene({})
    with pytest.raises(ValueError, match="6 processes cannot share a batch of 5 clips; start"):
        fit(distiller, examples, Training(batch_size=8), seed=0, folder=tmp_path)


def test_masks_made_from_a_share_become_those_of_the_first_process(monkeypatch, tmp_path):
    store = small_store(tmp_path / "a.arrow", named(6, "train"))
    clips = Clips(rows=np.arange(6), teacher_rows=np.arange(6), labels=np.arange(6) % 3)
    examples = Examples(clips=clips, student=Side(store=store, sampling=Sampling(frames=4)))
    student = networks.RAGCN(PENN13, classes=3, persons=1, width=0.125, streams=2, frames=4)
    made_alike = []
    monkeypatch.setattr(processes, "as_the_first", made_alike.extend)
    distiller = Distiller(student, losses.SoftmaxTask())
    fit(distiller, examples, Training(epochs=1), seed=0, folder=tmp_path)
    assert {id(mask) for mask in student.masks} <= {id(one) for one in made_alike}


def test_two_kinds_of_processes_at_once_are_refused(monkeypatch, recipe, tmp_path):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match="either torchrun or --jobs"):
        run(recipes.load(recipe), tmp_path / "run", jobs=2)
