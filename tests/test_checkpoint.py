"""Checkpoints: what is saved comes back, official names are understood, bad files are refused."""

import collections
import inspect
import json
import pickle
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from full_disk import room
from safetensors.torch import load_file, save_file

from skeldistill import checkpoint, layouts, networks
from skeldistill.layouts import BODY25, COCO17, NTU25, PENN13
from skeldistill.networks import STGCN, STsGCN

ABOUT = {"classes": ["wave", "jump"], "sampling": {"frames": 8}, "seed": 3}


def small(part=STGCN, layout=PENN13, **options):
    torch.manual_seed(0)
    return part(layout, **{"classes": 2, "width": 0.125, **options})


def authors_names(network) -> dict[str, str]:
    """Our name of every tensor -> its authors' own, where other codebases have names as well."""
    names = {}
    for theirs, ours in network.official_names().items():
        names.setdefault(ours, theirs)
    return names


def official(network, prefix="") -> dict[str, torch.Tensor]:
    """What the authors' training would have saved, with fresh values."""
    state = network.state_dict()
    return {
        prefix + theirs: torch.rand_like(state[ours]) if state[ours].is_floating_point() else
        state[ours].clone()
        for ours, theirs in authors_names(network).items()
    }  # fmt: skip


def refused(path: Path, call=checkpoint.load) -> str:
    with pytest.raises(ValueError, match=r".") as error:
        call(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


# ---------------------------------------------------------------- our own format


@pytest.mark.parametrize("name", networks.SHELF)
def test_what_is_saved_comes_back(name, tmp_path):
    network = networks.find(name)(COCO17, classes=3, persons=1)
    frames = next(count for count in network.frame_counts if count >= 8)
    network(torch.randn(2, 1, frames, 17, 3))  # so that the statistics are not those of the start
    checkpoint.save(tmp_path / "network.safetensors", network, about=ABOUT)
    again, about = checkpoint.load(tmp_path / "network.safetensors")
    assert about == ABOUT
    assert type(again) is type(network)
    assert again.options() == network.options()
    assert again.layout.same_as(COCO17)
    assert not again.training
    joints = torch.randn(1, 1, frames, 17, 3)
    with torch.no_grad():
        ours, theirs = network.eval()(joints), again(joints)
    assert torch.equal(ours.logits, theirs.logits)
    assert torch.equal(ours.features, theirs.features)


def test_options_come_back(tmp_path):
    network = small(STsGCN, partition="spatial", channels=2, edge_importance=False, dropout=0.1)
    checkpoint.save(tmp_path / "made" / "here.safetensors", network, about={})
    again, about = checkpoint.load(tmp_path / "made" / "here.safetensors")
    assert again.options() == network.options()
    assert about == {}


def test_a_path_may_be_text(tmp_path):
    path = str(tmp_path / "network.safetensors")
    checkpoint.save(path, small(), about=ABOUT)
    assert checkpoint.load(path)[1] == ABOUT
    assert checkpoint.read_weights(path)
    with pytest.raises(FileNotFoundError, match="no checkpoint at gone"):
        checkpoint.load("gone")


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "network.safetensors"
    checkpoint.save(path, small(), about=ABOUT)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="plain containers only"):
        checkpoint.save(path, small(), about={"when": object()})

    with room(50_000), pytest.raises(OSError, match="File too large") as error:
        checkpoint.save(path, small(), about=ABOUT)
    assert error.value.filename == str(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_is_one_clear_line(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no checkpoint at .*nowhere"):
        checkpoint.load(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no weights at .*nowhere"):
        checkpoint.read_weights(tmp_path / "nowhere")


def test_attention_to_joints_is_not_carried_to_as_many_and_one_more():
    source, target = (
        networks.find("AGCN")(layout, classes=2, width=0.125, attention=True)
        for layout in (BODY25, layouts.find("halpe26"))
    )
    left = checkpoint.carry_over(source, target)
    assert [name for name in left if name.endswith("attention.joints.weight")]


def test_a_tensor_beside_the_weights_is_not_taken_for_them(tmp_path):
    weights = small().state_dict()
    torch.save({"state_dict": weights, "best_acc1": torch.tensor(91.2)}, tmp_path / "a.pth")
    assert checkpoint.read_weights(tmp_path / "a.pth").keys() == weights.keys()
    torch.save({"best_acc1": torch.tensor(91.2), "model": None}, tmp_path / "b.pth")
    assert checkpoint.read_weights(tmp_path / "b.pth").keys() == {"best_acc1"}


@pytest.mark.parametrize("zipped", [True, False])
def test_objects_that_cannot_be_left_unread_are_told_of(tmp_path, zipped):
    content = {"state_dict": {"w": torch.zeros(1)}, "log": collections.defaultdict(list, a=[1])}
    path = tmp_path / "a.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ValueError, match="objects of other classes beside them; save the state_dict"
    ):
        checkpoint.read_weights(path)


@pytest.mark.parametrize("width", [float("inf"), float("nan"), 0.0])
def test_a_width_that_is_none_is_refused(width):
    with pytest.raises(ValueError, match="width must be positive numbers"):
        small(width=width)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_refused(share, tmp_path):
    path = tmp_path / "network.safetensors"
    checkpoint.save(path, small(), about=ABOUT)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    assert "truncated" in refused(path)


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    assert "no checkpoint of ours" in refused(path)
    path.write_bytes(pickle.dumps({"weight": 1}))
    assert "no checkpoint" in refused(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"network": "STGNC"}, "did you mean 'STGCN'"),
        ({"options": {"classes": 2, "colour": 1}}, "no option 'colour'"),
        ({"options": {"classes": 3, "width": 0.125}}, "size mismatch"),
        ({"layout": {"name": "penn13"}}, "layout lacks 'joints'"),
        ({"version": 7}, "version 7"),
        ({"layout": 3}, "foreign.safetensors"),
        ({"options": None}, "foreign.safetensors"),
    ],
)
def test_a_description_that_makes_no_network_is_refused(change, said, tmp_path):
    path = tmp_path / "foreign.safetensors"
    network = small()
    checkpoint.save(path, network, about=ABOUT)
    with checkpoint.safe_open(path, framework="pt") as file:
        description = json.loads(file.metadata()[checkpoint.KEY])
    text = json.dumps({**description, **change})
    save_file(network.state_dict(), path, metadata={checkpoint.KEY: text})
    assert said in refused(path)
    save_file(network.state_dict(), path, metadata={checkpoint.KEY: "{}"})
    assert "lacks 'version'" in refused(path)
    save_file(network.state_dict(), path, metadata={checkpoint.KEY: "not json"})
    refused(path)


# ---------------------------------------------------------------- official weights


@pytest.mark.parametrize("prefix", ["", "module.", "model.", "module.model."])
def test_official_names_fill_the_network(prefix):
    network = small(partition="spatial")
    state = official(network, prefix)
    report = checkpoint.load_official(network, state)
    assert report.complete
    assert len(report.mapped) == len(state)
    own = network.state_dict()
    for ours, theirs in authors_names(network).items():
        assert torch.equal(own[ours], state[prefix + theirs])


def test_the_report_names_what_is_missing_and_left_over():
    network = small()
    state = official(network)
    kept = network.state_dict()["blocks.4.temporal.bias"].clone()
    del state["st_gcn_networks.4.tcn.2.bias"], state["A"]
    state["optimizer"] = torch.zeros(1)
    state["fcn.weight"] = state["fcn.weight"][..., None, None]  # as the authors store it
    report = checkpoint.load_official(network, state)
    assert report.missing == ("st_gcn_networks.4.tcn.2.bias",)
    assert report.unexpected == ("optimizer",)
    assert not report.complete
    assert torch.equal(network.state_dict()["blocks.4.temporal.bias"], kept)


def test_weights_that_stand_there_twice_are_refused():
    """Which of them won was the order in the file."""
    given = official(small())
    twice = {**given, **{f"module.{name}": tensor + 1 for name, tensor in given.items()}}
    with pytest.raises(ValueError, match=f"{len(given)} weights stand twice in it"):
        checkpoint.load_official(small(), twice)


def test_weights_that_do_not_fit_change_nothing():
    network = small()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(ValueError, match=r"fcn.weight has shape \(9, 32\) but STGCN needs"):
        checkpoint.load_official(network, official(small(classes=9)))
    with pytest.raises(ValueError, match=r"^A has shape \(3, 13, 13\)"):
        checkpoint.load_official(network, official(small(partition="spatial")))
    with pytest.raises(ValueError, match="none of the 1 tensors"):
        checkpoint.load_official(network, {"backbone.weight": torch.zeros(1)})
    with pytest.raises(ValueError, match="none of the 0 tensors"):
        checkpoint.load_official(network, {})
    after = network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"epoch": 3, "state_dict": s}])
@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_reads_the_authors_files(wrap, suffix, tmp_path):
    state = official(small())
    path = tmp_path / f"weights{suffix}"
    torch.save(wrap(state), path)
    found = checkpoint.read_weights(path)
    assert found.keys() == state.keys()
    assert checkpoint.load_official(small(), found).complete


def test_reads_safetensors(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file({"weight": torch.arange(3.0)}, path)
    assert torch.equal(checkpoint.read_weights(path)["weight"], torch.arange(3.0))
    path.write_bytes(path.read_bytes()[:-4])
    assert "no weights" in refused(path, checkpoint.read_weights)


class Hostile:
    def __reduce__(self):
        return Path.touch, (Path("ran"),)


def test_files_that_hold_more_than_weights_are_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": Hostile()}, path)
    assert "not run" in refused(path, checkpoint.read_weights)
    torch.save({"state_dict": {"weight": torch.ones(2)}, "hook": Hostile()}, path)
    assert "not run" in refused(path, checkpoint.read_weights)
    path.write_bytes(pickle.dumps(Hostile()))
    refused(path, checkpoint.read_weights)
    assert not (tmp_path / "ran").exists()
    for content in (b"", b"PK\x03\x04 broken", b"no weights at all"):
        path.write_bytes(content)
        refused(path, checkpoint.read_weights)
    torch.save({"epoch": 3, "model": {"epoch": 2}}, path)
    assert "looked at the top" in refused(path, checkpoint.read_weights)


class HistoryBuffer:
    """As mmengine keeps its logs: of a class that is not here, with arrays inside."""

    def __init__(self):
        self._log_history = np.array([1.0, 2.0])
        self._max_length = np.int64(3)


def test_what_a_training_framework_keeps_beside_the_weights_is_left_unread(tmp_path, monkeypatch):
    path, weights = tmp_path / "epoch_16.pth", {"backbone.weight": torch.arange(3.0)}
    foreign = types.ModuleType("history_buffer")
    foreign.HistoryBuffer = HistoryBuffer
    with monkeypatch.context() as there:
        there.setitem(sys.modules, "history_buffer", foreign)
        there.setattr(HistoryBuffer, "__module__", "history_buffer")
        logs = {"log_scalars": {"train/loss": HistoryBuffer()}}
        torch.save({"meta": {"epoch": 16}, "state_dict": weights, "message_hub": logs}, path)
    read = checkpoint.read_weights(path)
    assert list(read) == list(weights)
    torch.testing.assert_close(read["backbone.weight"], weights["backbone.weight"])


# ---------------------------------------------------------------- starting from another network


def test_carry_over_takes_what_fits_and_keeps_the_graph():
    source, target = small(classes=2), small(layout=COCO17, classes=9)
    for tensor in source.state_dict().values():
        tensor.add_(1)
    graph = target.adjacency.clone()
    left = checkpoint.carry_over(source, target)
    assert "classifier.weight" in left
    assert "normalisation.running_mean" in left
    assert "blocks.0.importance" in left
    assert torch.equal(target.adjacency, graph)
    ours, theirs = target.state_dict(), source.state_dict()
    for name in ours:
        if name in theirs and "tracked" not in name and name != "adjacency":
            same = ours[name].shape == theirs[name].shape and torch.equal(ours[name], theirs[name])
            assert same == (name not in left), name
    with pytest.raises(ValueError, match="no weight of STGCN fits"):
        checkpoint.carry_over(source, small(layout=COCO17, classes=3, width=2.0, channels=2))


@pytest.mark.parametrize("name", networks.SHELF)
def test_weights_of_joints_are_not_carried_to_other_joints_of_the_same_number(name):
    part = networks.find(name)
    narrow = {"width": 0.125} if "width" in inspect.signature(part).parameters else {}
    with torch.device("meta"):
        source, target, other = (
            part(layout, classes=2, **narrow) for layout in (NTU25, BODY25, PENN13)
        )
    shapes = {one: tensor.shape for one, tensor in other.state_dict().items()}
    of_joints = [one for one in checkpoint._learned(target) if one in shapes]
    of_joints = [one for one in of_joints if shapes[one] != target.state_dict()[one].shape]
    assert checkpoint.carry_over(source, target) == tuple(of_joints)
    assert checkpoint.carry_over(source, source) == ()


def test_freezing_leaves_only_the_head_to_learn():
    network = small(dropout=0.0).train()
    checkpoint.freeze_all_but_head(network)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()  # as the training loop does in every epoch
    network(torch.randn(2, 2, 8, 13, 3)).logits.sum().backward()
    torch.optim.SGD([w for w in network.parameters() if w.requires_grad], 0.1).step()
    changed = {
        n for n, tensor in network.state_dict().items() if not torch.equal(before[n], tensor)
    }
    assert changed == {"classifier.weight", "classifier.bias"}


def test_what_is_frozen_beside_weights_that_start_anew_keeps_its_statistics():
    network = small(layout=COCO17, dropout=0.0)
    fresh = checkpoint.carry_over(small(dropout=0.0), network)
    checkpoint.freeze_all_but_head(network, fresh)
    assert "blocks.0.importance" in fresh  # so that its block is not frozen as a whole
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    network.train()
    network(torch.randn(2, 2, 8, 17, 3))
    state = network.state_dict()
    changed = {name for name in state if not torch.equal(before[name], state[name])}
    names = ("running_mean", "running_var", "num_batches_tracked")
    assert changed == {f"normalisation.{name}" for name in names}


def test_saved_files_can_be_read_by_safetensors_alone(tmp_path):
    network = small()
    checkpoint.save(tmp_path / "network.safetensors", network, about=ABOUT)
    assert load_file(tmp_path / "network.safetensors").keys() == network.state_dict().keys()


def test_as_many_actions_or_channels_of_another_kind_are_not_carried_over():
    source, target = small(classes=3), small(classes=3)
    assert checkpoint.carry_over(source, target) == ()
    left = checkpoint.carry_over(source, target, other_actions=True)
    assert left == ("classifier.weight", "classifier.bias")
    left = checkpoint.carry_over(source, target, other_inputs=True)
    entry = {"normalisation.weight", "normalisation.bias", "blocks.0.graph.convolution.weight"}
    assert entry <= set(left)
    assert not any("temporal" in name or "classifier" in name for name in left)
