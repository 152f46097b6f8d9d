"""Weights of other codebases become models: mapped, told, refused, and run end to end."""

import csv
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pyskl_names
import pytest
import torch
from stores import named, small_store

from skeldistill import checkpoint
from skeldistill.data.store import Store
from skeldistill.data.store_writer import StoreWriter
from skeldistill.deploy import official
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.layouts import COCO17
from skeldistill.networks import STGCN
from skeldistill.readers.reader import Source

NAMES = ("run", "sit", "wave")
SHORT = ("--sampling", "frames=16", "--sampling", "test_clips=2")


@pytest.fixture(scope="module")
def state():
    return pyskl_names.state_dict(pyskl_names.stgcn, 17, 2, 3, "fc_cls")


@pytest.fixture
def weights(state, tmp_path):
    """A file as PYSKL leaves it, its list of actions, and a store of 2-D clips with image sizes."""
    path = tmp_path / "epoch_16.pth"
    torch.save({"meta": {"epoch": 16}, "state_dict": OrderedDict(state)}, path)
    (tmp_path / "names.txt").write_text("run\nsit\n\nwave\n", encoding="utf-8")
    plain = small_store(tmp_path / "plain.arrow", named(4, "test"), layout=COCO17)
    source = Source(layout=COCO17, channels=2, units="pixels", classes=NAMES)
    with StoreWriter(tmp_path / "low.arrow", source, provenance={}) as writer:
        for row in range(4):
            clip = plain.clip(row)
            writer.write(replace(clip, joints=clip.joints + 200, size=(400, 600)))
    return path


def words(weights, *more):
    return (
        "import-weights", "STGCN", weights, "--layout", "coco17", "--classes", "names.txt",
        "--preparation", "pyskl-2d", "--option", "partition=spatial", "--out", "made", *more,
    )  # fmt: skip


def test_from_a_file_of_pyskl_to_named_actions(skeldistill, weights, state, tmp_path):
    code, out, err = skeldistill(*words(weights, *SHORT))
    assert code == 0, err
    assert f"mapped: {len(state)} tensors" in out
    assert "missing: none" in out
    assert "left over: none" in out
    code, out, err = skeldistill("predict", "made", "low.arrow", "--whole", "--out", "said.csv")
    assert code == 0, err
    with (tmp_path / "said.csv").open(newline="") as text:
        said = [(row["source"], row["label"]) for row in csv.DictReader(text)]

    twin = STGCN(COCO17, classes=3, persons=2, channels=3, partition="spatial")
    checkpoint.load_official(twin, state)
    store = Store.open(tmp_path / "low.arrow")
    expected = []
    for row in range(len(store)):
        clip = store.clip(row)
        logits = np.zeros(3)
        for turn in range(2):
            frames = np.floor(12 * (np.arange(16) + (turn + 0.5) / 2) / 16).astype(int)
            seen = np.zeros((1, 2, 16, 17, 3), np.float32)
            seen[0, 0, ..., :2] = clip.joints[0, frames] / [300, 200] - 1
            seen[0, 0, ..., 2] = 1
            with torch.inference_mode():
                logits += twin.eval()(torch.from_numpy(seen)).logits[0].numpy() / 2
        expected.append((clip.id, NAMES[logits.argmax()]))
        ours = Recogniser.load(tmp_path / "made").logits([clip])[0]
        np.testing.assert_allclose(ours, logits, atol=1e-4)
    assert said == expected


def test_the_folder_can_be_shared_and_started_from(skeldistill, weights, tmp_path):
    assert skeldistill(*words(weights, *SHORT))[0] == 0
    code, _, err = skeldistill("export", "made", "shared", "--format", "hub")
    assert code == 0, err
    assert "epoch_16.pth" in (tmp_path / "shared/README.md").read_text(encoding="utf-8")
    code, out, err = skeldistill("evaluate", "made", "low.arrow", "--split", "test")
    assert code == 0, err
    assert out.startswith("4 clips: top-1 ")
    source, about = checkpoint.load(tmp_path / "made/network.safetensors")
    assert about["imported"]["missing"] == []
    target = STGCN(COCO17, classes=5, persons=2, channels=3, partition="spatial")
    fresh = checkpoint.carry_over(source, target)
    assert set(fresh) == {"classifier.weight", "classifier.bias"}


def test_weights_that_do_not_fill_the_network_are_only_kept_when_asked(
    skeldistill, weights, state, tmp_path
):
    lacking = dict(state)
    del lacking["cls_head.fc_cls.bias"]
    torch.save({"state_dict": lacking | {"surplus": torch.ones(1)}}, weights)
    code, _, err = skeldistill(*words(weights, *SHORT))
    assert code == 1
    assert "lacks 1 tensors of STGCN, such as 'cls_head.fc_cls.bias'" in err
    assert not (tmp_path / "made").exists()
    code, out, _ = skeldistill(*words(weights, *SHORT, "--partial"))
    assert code == 0
    assert "missing: cls_head.fc_cls.bias" in out
    assert "left over: surplus" in out


def test_weights_that_are_no_numbers_are_refused(skeldistill, weights, state):
    torch.save({"state_dict": state | {"cls_head.fc_cls.bias": torch.full((3,), np.nan)}}, weights)
    code, _, err = skeldistill(*words(weights, *SHORT))
    assert code == 1
    assert "no numbers" in err


def test_a_file_that_would_run_code_is_refused(skeldistill, weights, tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harmed"), "w"))

    torch.save({"state_dict": Harm()}, weights)
    code, _, err = skeldistill(*words(weights))
    assert code == 1
    assert "not run" in err
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--preparation", "pyskl"), "no preparation called 'pyskl'; did you mean 'pyskl-"),
        (("--sampling", "frame=16"), "unknown key 'frame'"),
        (("--classes", "4"), "cls_head.fc_cls.weight has shape (3, 256)"),
        (("--classes", "nowhere.txt"), "nowhere.txt"),
        (("--classes", "1"), "two actions"),
        (("--layout", "ntu25"), "its layout, partition"),
        (("--option", "persons=1"), "option persons"),
        (("--sampling", "stream=bone"), "hang the hips on the nose"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(skeldistill, weights, more, message):
    code, _, err = skeldistill(*words(weights, *more))
    assert code == 1
    assert message in err
    assert err.count("\n") == 1


def test_a_list_of_actions_names_each_once(tmp_path):
    path = tmp_path / "names.txt"
    path.write_text("run\nsit\nrun\n", encoding="utf-8")
    with pytest.raises(ValueError, match="'run' twice"):
        official.actions(str(path))


@pytest.mark.parametrize("name", official.PREPARATIONS)
def test_every_preparation_can_be_run(name):
    prepared = official.preparation(name, {"frames": 8})
    assert prepared.sampling.frames == 8
    assert prepared.sampling.confidence == (prepared.coordinates == 2)
