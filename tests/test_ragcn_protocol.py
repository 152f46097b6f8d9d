"""RA-GCN's tests of occlusion: all that a network is shown is blanked, after it was computed."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from stores import named, small_experiment, small_store

from skeldistill import checkpoint, degradations, networks, recipe
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import evaluation_clips
from skeldistill.data.store import Store
from skeldistill.data.views import derived
from skeldistill.layouts import NTU25
from skeldistill.recipe import Data, Fold, Part, Sampling, View
from skeldistill.robustness import sweep as robustness
from skeldistill.robustness.answers import Kept
from skeldistill.robustness.runs import finished
from skeldistill.robustness.sweep import sweep
from skeldistill.training.evaluate import evaluate
from skeldistill.training.experiment import run
from skeldistill.training.task import NETWORK

FRAMES = 300
"""As many as the authors' network is shown."""
LEFT_ARM = [4, 5, 6, 7, 21, 22]
SPINE_MID = 1


def authors_input(clip: np.ndarray, lost: tuple[slice, slice | list[int]]) -> np.ndarray:
    """A padded clip (t, v, c) as the authors' network is shown it, in their loops: (c, t, v).

    RA-GCNv1: branches of the whole clip first, then 0 in all channels of what is occluded.
    """
    x = clip.transpose(2, 0, 1)
    c, t, v = x.shape
    made = np.zeros((3 * c, t, v), np.float32)
    made[:c] = x
    for i in range(t - 1):
        made[c : 2 * c, i] = x[:, i + 1] - x[:, i]
    for i in range(v):
        made[2 * c :, :, i] = x[:, :, i] - x[:, :, 1]
    frames, joints = lost
    made[:, frames, joints] = 0
    return made


def padded(seed: int = 0, length: int = 80) -> np.ndarray:
    """A clip of one person, padded by zeros to `FRAMES`."""
    clip = np.zeros((FRAMES, 25, 3), np.float32)
    clip[:length] = np.random.default_rng(seed).normal(0, 1, (length, 25, 3))
    return clip


PROTOCOL = [
    ("RAGCNParts", {"part": 1}, (slice(None), LEFT_ARM)),
    ("RAGCNParts", {"part": 5}, (slice(None), [0, 1, 2, 3, 20])),  # the joint others are seen from
    ("RAGCNFrames", {"frames": 10}, (slice(45, 55), slice(None))),
    ("RAGCNFrames", {"frames": 50}, (slice(25, 75), slice(None))),
]


@pytest.fixture
def seen_by_streams(monkeypatch):
    """What RA-GCN's first stream is given, without its mask of ones."""
    seen = []
    network = networks.find("RAGCN")(NTU25, classes=3, persons=1, streams=1, width=0.125).eval()
    forward = network.networks[0].forward
    monkeypatch.setattr(
        network.networks[0],
        "forward",
        lambda x, adjacency: (seen.append(x), forward(x, adjacency))[1],
    )
    return network, seen


@pytest.mark.parametrize(("name", "options", "lost"), PROTOCOL)
def test_ragcn_is_shown_what_the_authors_show_it(seen_by_streams, name, options, lost):
    network, seen = seen_by_streams
    clip = padded()
    blanked = degradations.find(name)(**options).blanked(FRAMES, NTU25)
    joints = torch.from_numpy(clip)[None, None]
    with torch.no_grad():
        said = network.with_blanks(joints, torch.from_numpy(blanked))
        expected = authors_input(clip, lost)
        theirs = torch.from_numpy(expected).unflatten(0, (3, 3))[None, ..., None]
        torch.testing.assert_close(said.logits, network.from_branches(theirs).logits)
    assert np.array_equal(seen[0][0, 0].permute(2, 0, 1), expected)


def shown_with_blanks(seen_by_streams, clip, degradation):
    """What the first stream is shown of a clip of one person, ``(t, v, 9)``."""
    network, seen = seen_by_streams
    blanked = degradation.blanked(FRAMES, NTU25)
    with torch.no_grad():
        network.with_blanks(torch.from_numpy(clip)[None, None], torch.from_numpy(blanked))
    return seen[0][0, 0].numpy()


def test_the_hole_in_time_by_hand(seen_by_streams):
    clip = padded()
    shown = shown_with_blanks(seen_by_streams, clip, degradations.find("RAGCNFrames")(frames=10))
    joint, velocity, centred = np.split(shown, 3, axis=-1)
    assert not shown[45:55].any()
    # The last velocity before the hole reaches into it, and is the true one all the same.
    assert np.array_equal(velocity[44], clip[45] - clip[44])
    assert np.array_equal(joint[55], clip[55])
    assert np.array_equal(velocity[55], clip[56] - clip[55])
    # Padding is as it was: 0 but for the velocity that leads into it.
    assert np.array_equal(velocity[79], -clip[79])
    assert not shown[80:].any()
    assert not centred[:, SPINE_MID].any()


def test_joints_seen_from_a_lost_one_stay_true(seen_by_streams):
    clip = padded()
    shown = shown_with_blanks(seen_by_streams, clip, degradations.find("RAGCNParts")(part=5))
    assert not shown[:, [0, 1, 2, 3, 20]].any()
    assert np.array_equal(shown[10, 7, 6:], clip[10, 7] - clip[10, SPINE_MID])


@pytest.mark.parametrize("name", ["ResGCNB19", "EfficientGCNB0"])
def test_other_networks_of_three_branches_lose_all_channels(name):
    network = networks.find(name)(NTU25, classes=3, persons=1, channels=3, width=0.25).eval()
    joints = torch.randn(1, 1, 64, 25, 3)
    blanked = degradations.find("RAGCNParts")(part=1).blanked(64, NTU25)
    given = network.branches(joints).clone()
    given[..., LEFT_ARM, :] = 0
    with torch.no_grad():
        said = network.with_blanks(joints, torch.from_numpy(blanked))
        torch.testing.assert_close(said.logits, network.from_branches(given).logits)


@pytest.mark.parametrize("stream", ["joint", "bone", "velocity", "bone_velocity"])
def test_a_stream_is_blanked_after_it_was_computed(tmp_path, stream):
    store = small_store(tmp_path / "s.arrow", named(3, "test"), layout=NTU25, channels=3, frames=70)
    sampling = Sampling(frames=100, persons=1, stream=stream, frame_choice="zeros")
    clips = evaluation_clips(store, store, store, Fold(), Data(high=View(store="s")))
    whole = Side(store=store, sampling=sampling)
    network = networks.find("STGCN")(NTU25, classes=3, persons=1, channels=3, width=0.125).eval()
    for name, options, (frames, joints) in PROTOCOL:
        part = degradations.find(name)(**options)
        side = Side(store=store, sampling=sampling, blanked=part.blanked(100, NTU25))
        said = evaluate(network, Examples(clips=clips, student=side)).logits
        (batch,) = Examples(clips=clips, student=whole).testing(8)
        batch.joints[:, :, frames, joints] = 0
        with torch.no_grad():
            np.testing.assert_array_equal(said, network(batch.joints).logits)


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """A finished experiment on NTU's joints, some lost: RA-GCN, and ST-GCN on completed ones."""
    folder = tmp_path_factory.mktemp("protocol")
    told = small_experiment(folder, (), epochs=8, learning_rate=0.05)
    clips = named(12, "train") + named(12, "test", 12)
    whole = small_store(folder / "whole.arrow", clips, layout=NTU25, channels=3, frames=60)
    lost = Part.model_validate({"name": "JointOcclusion", "probability": 0.4})
    high = derived(whole, (lost,), None, 0, folder)
    told["data"]["high"]["store"] = str(high.path)
    told["sampling"] = {"frames": 60, "persons": 1}
    told["student"] = {"name": "RAGCN", "streams": 1, "frames": 60, "width": 0.125}
    told["methods"] = {
        "low": {},
        "completed": {"completion": {"name": "LinearInterpolation"}, "network": "teacher"},
    }
    run(recipe.parse(told), folder / "run")
    return folder / "run"


def test_a_sweep_blanks_what_each_network_is_shown(experiment, tmp_path, monkeypatch):
    answers = []
    monkeypatch.setattr(
        robustness, "evaluate", lambda *a, **k: (answers.append(evaluate(*a, **k)), answers[-1])[1]
    )
    names = ["RAGCNParts", "RAGCNFrames", "RAGCNParts:shown=false"]
    found = sweep([experiment], names)
    assert [entry["name"] for entry in found["degradations"]] == names
    for place, task in enumerate(finished(experiment)):
        kept = Kept(task, "own", 0)
        assert "RAGCNParts 1 [{'part': 3}] shown" in kept
        assert "RAGCNParts 1 [{'part': 3}]" not in kept  # under which others were kept before
        assert "RAGCNParts:shown=false 1 [{'part': 3, 'shown': False}]" in kept
        network, _ = checkpoint.load(task.folder / NETWORK)
        data, method = task.recipe.data, task.recipe.methods[task.method]
        store = Store.open(Path(data.high.store))
        seen = derived(store, (), method.completion, 0, tmp_path)
        side = Side(store=seen, sampling=task.recipe.sampling_of(task.method))
        clips = evaluation_clips(seen, seen, seen, data.folds[0], data)
        (batch,) = Examples(clips=clips, student=side).testing(64)
        with torch.no_grad():
            if task.method == "low":
                branches = network.branches(batch.joints)
                branches[..., 12:20, :] = 0
                laid = branches.unflatten(4, (3, 3)).permute(0, 4, 5, 2, 3, 1)
                logits = network.from_branches(laid).logits
            else:
                batch.joints[..., 12:20, :] = 0
                logits = network(batch.joints).logits
        legs = answers[place * (1 + 5 * len(names)) + 5]  # the fifth severity, after clean
        np.testing.assert_allclose(legs.logits, logits.numpy(), rtol=1e-4, atol=1e-6)
        assert np.array_equal(kept["RAGCNParts 5 [{'part': 4}] shown"][1], legs.right)


@pytest.mark.parametrize("where", ["view", "augmentation"])
def test_recipes_are_refused_in_one_line_before_training(tmp_path, skeldistill, where):
    told = small_experiment(tmp_path, ["low"])
    part = {"name": "RAGCNParts", "part": 1}
    if where == "view":
        told["data"]["low"]["degradations"] = [part]
    else:
        told["methods"] = {"low": {"augmentation": [part]}}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    code, _, err = skeldistill("run", path, "--out", tmp_path / "run")
    assert code == 1
    assert len(err.strip().splitlines()) == 1
    assert "RAGCNParts blanks what a trained network is shown" in err
    part["shown"] = False
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    assert skeldistill("run", path, "--out", tmp_path / "run")[0] == 0
