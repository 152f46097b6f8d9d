"""Stream fusion: the sum of what runs say, clip by clip, and the command that shows it."""

import csv
import functools
import json

import numpy as np
import pytest
from stores import named, small_store

from skeldistill.training.evaluate import Said
from skeldistill.training.fusion import fuse, softmax


def said(logits, labels=(0, 1), ids=("a", "b")) -> Said:
    return Said(
        logits=np.array(logits, np.float32), labels=np.array(labels, np.int64), ids=tuple(ids)
    )


JOINT = said([[2, 1, 0], [3, 0, 1]])
BONE = said([[0, 0, 8], [0, 4, 1]], labels=(1, 0), ids=("b", "a"))  # the same clips, turned round


def test_scores_are_added_by_weight_clip_by_clip():
    fused = fuse([JOINT, BONE], [1.0, 0.5])
    np.testing.assert_array_equal(fused.logits, [[2, 3, 0.5], [3, 0, 5]])
    assert fused.ids == ("a", "b")
    assert fused.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(fuse([JOINT], [1.0]).logits, JOINT.logits)
    np.testing.assert_array_equal(fuse([JOINT, BONE], [1.0, 0.0]).logits, JOINT.logits)


def test_of_probabilities_the_weighted_mean_is_what_it_says():
    fused = fuse([JOINT, BONE], [3.0, 1.0], probabilities=True)
    expected = (3 * softmax(JOINT.logits) + softmax(BONE.logits[::-1])) / 4
    np.testing.assert_allclose(softmax(fused.logits), expected, rtol=1e-5)
    far = said([[500, 0, 0], [500, 0, 0]])
    assert np.isfinite(fuse([far, JOINT], [1.0, 1.0], probabilities=True).logits).all()


@pytest.mark.parametrize(
    ("other", "weights", "expected"),
    [
        (BONE, [1.0], "one weight for each run, got 1 for 2"),
        (BONE, [1.0, -1.0], "0 or more"),
        (BONE, [0.0, 0.0], "one at least above 0"),
        (BONE, [1.0, float("inf")], "together at most 1e"),
        (BONE, [1.0, float("nan")], "0 or more"),
        (said([[0, 0, 0], [0, 0, 0]], ids=("a", "c")), [1.0, 1.0], "other clips than run 1 .*'b'"),
        (said([[0, 0, 0]], [0], ["a"]), [1.0, 1.0], "other clips than run 1 .*1 and 2.*'b'"),
        (said([[0, 0, 0], [0, 0, 0]], labels=(1, 1)), [1.0, 1.0], "other labels"),
        (said([[0, 0], [0, 0]]), [1.0, 1.0], "2 classes but run 1 3"),
    ],
)
def test_what_does_not_belong_together_is_refused(other, weights, expected):
    with pytest.raises(ValueError, match=expected) as error:
        fuse([JOINT, other], weights)
    assert "\n" not in str(error.value)


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two finished runs, of joints and of bones, and the store of their clips."""
    from skeldistill import recipe
    from skeldistill.training.experiment import run_one

    folder = tmp_path_factory.mktemp("fusion")
    small_store(folder / "clips.arrow", named(24, "train") + named(12, "test", 24))
    for stream in ("joint", "bone"):
        experiment = {
            "name": stream,
            "data": {"high": {"store": str(folder / "clips.arrow")}},
            "sampling": {"frames": 8, "stream": stream},
            "training": {"epochs": 1, "batch_size": 8, "warmup": 0, "learning_rate": 0.05},
            "teacher": {"name": "DeepLSTM", "width": 0.125},
            "methods": ["teacher"],
        }
        run_one(recipe.parse(experiment), folder / stream, "teacher", 0, 0)
    return folder


@pytest.fixture
def evaluate(skeldistill, monkeypatch, folder):
    monkeypatch.chdir(folder)
    return functools.partial(skeldistill, "evaluate")


RUNS = tuple(f"{stream}/fold0/teacher/seed0" for stream in ("joint", "bone"))


def test_finished_runs_are_fused_as_they_were_evaluated(evaluate, folder):
    code, out, err = evaluate(*RUNS, "--weights", "1,0.5", "--out", "said.csv")
    assert code == 0, err
    for run in RUNS:
        assert run in out
    assert "fused" in out
    assert "12 clips: top-1" in out
    with (folder / "said.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 12
    code, out, _ = evaluate(*RUNS, "--weights", "1,0.5", "--json")
    found = json.loads(out)
    assert found["clips"] == 12
    assert found["fused_by"] == "logits"
    assert [row["weight"] for row in found["runs"]] == [1, 0.5]
    joint = json.loads((folder / RUNS[0] / "measured.json").read_text(encoding="utf-8"))
    assert found["runs"][0]["top1"] == joint["top1"]
    logits = [dict(zip(*_said(folder / run), strict=True)) for run in RUNS]
    labels = dict(zip(*_said(folder / RUNS[0], "labels"), strict=True))
    right = [(logits[0][i] + 0.5 * logits[1][i]).argmax() == labels[i] for i in labels]
    assert found["fused"]["top1"] == pytest.approx(100 * np.mean(right))


def _said(folder, what="logits"):
    with np.load(folder / "said.npz") as arrays:
        return arrays["ids"].tolist(), arrays[what]


def test_networks_are_fused_on_a_store(evaluate):
    networks = [f"{run}/network.safetensors" for run in RUNS]
    code, out, err = evaluate(*networks, "clips.arrow", "--split", "test", "--json")
    assert code == 0, err
    on_store = json.loads(out)
    code, out, _ = evaluate(*RUNS, "--json")
    kept = json.loads(out)
    assert on_store["fused"] == kept["fused"]
    assert on_store["clips"] == kept["clips"]
    code, out, err = evaluate(RUNS[0], networks[1], "clips.arrow", "--probabilities", "--json")
    assert code == 0, err
    assert json.loads(out)["fused_by"] == "probabilities"
    assert json.loads(out)["clips"] == 36
    code, out, _ = evaluate(RUNS[0], "--json")
    assert json.loads(out).keys() == {"clips", "runs"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((*RUNS, "--weights", "1"), "one for each of the 2 runs"),
        ((*RUNS, "--weights", "1,much"), "write numbers"),
        ((*RUNS, "--split", "test"), "give one after the runs"),
        (("clips.arrow",), "give runs first"),
        (("nowhere",), "nowhere is not the folder of a finished run"),
        ((f"{RUNS[0]}/network.safetensors",), "or a store to evaluate networks on"),
    ],
)
def test_mistakes_are_one_line(evaluate, words, expected):
    code, out, err = evaluate(*words)
    assert code == 1
    assert expected in " ".join(err.split())
    assert err.count("\n") == 1
    assert not out


def test_runs_on_other_classes_are_refused(evaluate, folder):
    from skeldistill import checkpoint

    other = folder / "other"
    other.mkdir()
    network, about = checkpoint.load(folder / RUNS[0] / "network.safetensors")
    checkpoint.save(
        other / "network.safetensors", network, about={**about, "classes": ["run", "sit", "fly"]}
    )
    (other / "said.npz").write_bytes((folder / RUNS[0] / "said.npz").read_bytes())
    code, _, err = evaluate(RUNS[0], other)
    assert code == 1
    assert "other was trained on other classes" in err
