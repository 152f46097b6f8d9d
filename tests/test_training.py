"""A whole experiment on small stores: it learns, resumes exactly, and skips what is done."""

import io
import itertools
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision import MixedPrecision
from rich.console import Console
from stores import named, small_store

from skeldistill import checkpoint, recipe
from skeldistill.data.store import Store
from skeldistill.data.store_writer import StoreWriter
from skeldistill.data.views import derived, open_views
from skeldistill.layouts import COCO17
from skeldistill.readers.reader import Source
from skeldistill.training import state, task, train
from skeldistill.training.evaluate import Said
from skeldistill.training.examples import examples_of, teacher_examples
from skeldistill.training.experiment import list_tasks, run
from skeldistill.training.outside import evaluate_run
from skeldistill.training.perform import check, perform
from skeldistill.training.pool import _perform
from skeldistill.training.settle import settle, spreads
from skeldistill.training.task import Task, look_again

SMALL = {"name": "STGCN", "width": 0.125}


@pytest.fixture
def experiment(tmp_path):
    """A recipe on two small views that can be learned in seconds."""
    high = named(36, "train") + named(12, "test", 36)
    small_store(tmp_path / "high.arrow", high)
    small_store(tmp_path / "low.arrow", [*high[6:], ("alone", 1, "train")], seed=1)
    return {
        "name": "small",
        "data": {
            "high": {"store": str(tmp_path / "high.arrow")},
            "low": {
                "store": str(tmp_path / "low.arrow"),
                "degradations": [{"name": "JointOcclusion", "probability": 0.3}],
            },
        },
        "sampling": {"frames": 8},
        "training": {"epochs": 4, "batch_size": 8, "warmup": 1, "learning_rate": 0.05},
        "teacher": SMALL,
        "student": SMALL,
        "seeds": [0],
    }


def test_a_whole_experiment_gives_results_for_every_method(experiment, tmp_path):
    experiment["methods"] = list(recipe.METHODS)
    experiment["training"]["epochs"] = 2
    parsed = recipe.parse(experiment)
    results = run(parsed, tmp_path / "run")
    assert [row["name"] for row in results["methods"]] == list(recipe.METHODS)
    for row in results["methods"]:
        assert 0 <= row["top1"]["mean"] <= row["top5"]["mean"] <= 100
        assert np.sum(row["confusion"]) == 12
        epochs = row["curves"][0]["epochs"]
        assert [entry["epoch"] for entry in epochs] == [1, 2]
        if row["kind"] == "distilled":
            terms = set(epochs[0]["terms"]) - {"task"}
            revised = terms if parsed.methods[row["name"]].gradient_revision else set()
            assert revised == set(epochs[0]["conflicts"]) == set(epochs[0]["strengths"])
            for epoch in epochs:  # what conflicts in no step adds nothing in any
                added, conflicting = epoch["strengths"], epoch["conflicts"]
                assert {k for k in revised if added[k] > 0} == {
                    k for k in revised if conflicting[k] > 0
                }
            assert terms
    on_disk = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert on_disk["methods"] == json.loads(json.dumps(results["methods"]))
    again = recipe.load(tmp_path / "run" / "recipe.yaml")
    assert again == parsed
    assert results["clips"][0]["said"].keys() == set(recipe.METHODS)


def test_a_network_learns_what_can_be_learned(experiment, tmp_path):
    experiment["training"] |= {"epochs": 12}
    parsed = recipe.parse({**experiment, "methods": ["teacher"]})
    results = run(parsed, tmp_path / "run")
    assert results["methods"][0]["top1"]["mean"] > 80


def only(experiment, method, root):
    return Task(recipe=recipe.parse(experiment), root=root, method=method, fold=0, seed=0)


class Killed(Exception):
    pass


@pytest.mark.parametrize("method", ["low+augmentation", "SKD"])
def test_an_interrupted_run_goes_on_exactly(experiment, tmp_path, method):
    experiment["methods"] = ["teacher", method]
    whole, broken = (
        only(experiment, method, tmp_path / "a"),
        only(experiment, method, tmp_path / "b"),
    )
    for one in (whole, broken):
        for needed in one.needs:
            perform(needed)
    perform(whole)

    def kill(step):
        if step.epoch == 2 and step.step == 2:
            raise Killed

    with pytest.raises(Killed):
        perform(broken, kill)
    assert not broken.done
    assert (broken.folder / state.STATE).exists()
    perform(broken)
    for key in ("loss", "top1", "terms", "conflicts"):
        mine = [entry[key] for entry in broken.measured()["history"]]
        assert mine == [entry[key] for entry in whole.measured()["history"]]
    np.testing.assert_array_equal(whole.said().logits, broken.said().logits)
    epochs = [entry["seconds"] for entry in broken.measured()["history"]]
    assert broken.measured()["seconds"] == sum(epochs)  # both sessions of it
    assert not (broken.folder / state.STATE).exists()


def test_the_scale_of_halves_goes_on_too(experiment, tmp_path, monkeypatch):
    """Steps that overflow are left out until the scale has come down; that is not done twice."""

    def halves(_):
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**24, growth_interval=3)
        plugin = MixedPrecision("16-mixed", "cpu", scaler)
        return Fabric(accelerator="cpu", devices=1, plugins=plugin)

    monkeypatch.setattr(train, "_fabric", halves)
    experiment["methods"] = ["teacher"]
    whole, broken = (only(experiment, "teacher", tmp_path / name) for name in "ab")
    perform(whole)

    def kill(step):
        if step.epoch == 3:
            raise Killed

    with pytest.raises(Killed):
        perform(broken, kill)
    kept = torch.load(broken.folder / state.STATE, weights_only=True)["precision"]
    assert kept["scale"] < 2.0**24
    perform(broken)
    np.testing.assert_array_equal(whole.said().logits, broken.said().logits)


def test_a_state_of_before_has_no_scale(tmp_path):
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    entry = {"epoch": 1, "terms": {}, "conflicts": {}, "skipped": {}}
    state.save(tmp_path, model, optimizer, [entry])
    kept = torch.load(tmp_path / state.STATE, weights_only=True)
    del kept["precision"]
    torch.save(kept, tmp_path / state.STATE)
    scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    plugin = MixedPrecision("16-mixed", "cpu", scaler)
    assert state.load(tmp_path, model, optimizer, plugin) == [entry]
    assert scaler.get_scale() == 8.0


def test_a_state_cut_short_falls_back_to_the_one_before(experiment, tmp_path, caplog):
    experiment["methods"] = ["teacher"]
    one = only(experiment, "teacher", tmp_path / "a")

    def kill(step):
        if step.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        perform(one, kill)
    newest = one.folder / state.STATE
    newest.write_bytes(newest.read_bytes()[:1000])
    with caplog.at_level("WARNING"):
        perform(one)
    assert "state.pt is broken; going on after epoch 1, from state-before.pt" in caplog.text
    whole = only(experiment, "teacher", tmp_path / "b")
    perform(whole)
    assert one.measured()["top1"] == whole.measured()["top1"]
    np.testing.assert_array_equal(one.said().logits, whole.said().logits)


def test_no_damaged_state_is_taken_for_a_sound_one(tmp_path):
    """Whatever bit is turned or block is lost: what loads is what was saved, or nothing does."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(40, 40), torch.nn.BatchNorm1d(40))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    state.save(tmp_path, model, optimizer, [])
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    sound = (tmp_path / state.STATE).read_bytes()
    rng = np.random.default_rng(0)
    passed = 0
    for turn in range(300):
        content = bytearray(sound)
        place = int(rng.integers(len(content)))
        if turn % 3 == 0:
            content[place] ^= 1 << int(rng.integers(8))
        elif turn % 3 == 1:
            content[place : place + 512] = bytes(len(content[place : place + 512]))
        else:
            del content[place:]
        (tmp_path / state.STATE).write_bytes(content)
        torch.nn.init.zeros_(model[0].weight)
        if state.load(tmp_path, model, optimizer) is not None:
            passed += 1
            for name, tensor in model.state_dict().items():
                torch.testing.assert_close(tensor, kept[name], rtol=0, atol=0)
    assert passed < 30  # what is no content, such as the time that a part was written


def test_what_is_done_is_skipped_and_what_changed_is_not(experiment, tmp_path):
    experiment["methods"] = ["teacher", "low"]
    experiment["training"]["epochs"] = 1
    run(recipe.parse(experiment), tmp_path / "run")
    tasks = {one.method: one for one in list_tasks(recipe.parse(experiment), tmp_path / "run")}
    before = {name: one.folder.joinpath("measured.json").stat() for name, one in tasks.items()}
    run(recipe.parse(experiment), tmp_path / "run")
    for name, one in tasks.items():
        assert one.folder.joinpath("measured.json").stat() == before[name]
    experiment["methods"] = {"teacher": None, "low": {"training": {"epochs": 2}}}
    run(recipe.parse(experiment), tmp_path / "run")
    assert tasks["teacher"].folder.joinpath("measured.json").stat() == before["teacher"]
    assert len(tasks["low"].measured()["history"]) == 2


def test_a_changed_teacher_makes_its_students_anew(experiment, tmp_path):
    plain = only({**experiment, "methods": ["teacher", "KL"]}, "KL", tmp_path)
    other = only(
        {**experiment, "methods": {"teacher": {"training": {"epochs": 9}}, "KL": None}},
        "KL",
        tmp_path,
    )
    assert plain.fingerprint != other.fingerprint


def test_a_state_of_another_recipe_is_not_gone_on_with(experiment, tmp_path):
    experiment["methods"] = ["teacher"]
    one = only(experiment, "teacher", tmp_path / "a")

    def kill(step):
        if step.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        perform(one, kill)
    experiment["training"]["learning_rate"] = 0.01
    other = only(experiment, "teacher", tmp_path / "a")
    perform(other)
    fresh = only(experiment, "teacher", tmp_path / "b")
    perform(fresh)
    np.testing.assert_array_equal(other.said().logits, fresh.said().logits)


@pytest.mark.parametrize("epoch", [0, 1])
def test_a_loss_that_is_no_number_stops_with_one_line(experiment, tmp_path, monkeypatch, epoch):
    monkeypatch.setattr(train, "learning_rate", lambda _, now: 1e30 if now >= epoch else 0.01)
    experiment["methods"] = ["teacher"]
    one = only(experiment, "teacher", tmp_path / "a")
    said = rf"the loss is (nan|inf) in epoch {epoch + 1}, step \d \(clips c"
    with pytest.raises(ValueError, match=said) as error:
        perform(one)
    assert f"the state of before is kept in {one.folder}" in str(error.value)
    kept = torch.load(one.folder / state.STATE, weights_only=True)
    assert len(kept["history"]) == epoch
    assert all(weight.isfinite().all() for weight in kept["model"].values())
    assert not (one.folder / task.NETWORK).exists()


def test_weights_that_the_last_step_spoils_are_not_kept(experiment, tmp_path, monkeypatch):
    """The loss is that of before the step, and says nothing of them."""
    rates = {"now": 0.01}
    monkeypatch.setattr(train, "learning_rate", lambda *_: rates["now"])

    def watch(done):
        if (done.epoch + 1, done.step + 1) == (done.epochs, done.steps):
            rates["now"] = 1e38

    experiment["methods"] = ["teacher"]
    one = only(experiment, "teacher", tmp_path / "a")
    said = r"the weights grow beyond all numbers after a loss of \d"
    with pytest.raises(ValueError, match=said) as error:
        perform(one, watch)
    assert not (one.folder / task.NETWORK).exists()
    kept = torch.load(one.folder / state.STATE, weights_only=True)
    assert all(weight.isfinite().all() for weight in kept["model"].values())
    assert f"epoch {len(kept['history']) + 1}," in str(error.value)


def test_the_learning_rate_warms_up_and_falls():
    cosine = recipe.Training(epochs=10, warmup=2, learning_rate=1.0)
    rates = [train.learning_rate(cosine, epoch / 2) for epoch in range(21)]
    assert rates[2] == pytest.approx(0.5)
    assert rates[4] == pytest.approx(1.0)
    assert rates[20] == pytest.approx(0.0)
    assert all(a >= b for a, b in itertools.pairwise(rates[4:]))
    steps = recipe.Training(epochs=10, warmup=0, schedule="steps", milestones=(3, 6))
    assert [round(train.learning_rate(steps, epoch), 6) for epoch in (0.0, 3.0, 7.0)] == [
        0.1,
        0.01,
        0.001,
    ]


def test_mistakes_are_found_before_anything_is_trained(experiment, tmp_path):
    for change, said in (
        ({"student": {"name": "STGNC"}}, "did you mean 'STGCN'"),
        ({"student": {"name": "STGCN", "widht": 1}}, "did you mean 'width'"),
        ({"methods": {"teacher": None, "KL": {"losses": [{"name": "KLL"}]}}}, "'KL'"),
        (
            {"methods": {"teacher": None, "KL": {"losses": [{"name": "KL", "temp": 1}]}}},
            "temperature",
        ),
        ({"methods": {"low": {"completion": "SlidingAverage"}}}, "SlidingWindowAverage"),
        ({"data": {**experiment["data"], "folds": [{"train": "trian"}]}}, "train"),
    ):
        with pytest.raises(ValueError, match=said):
            run(recipe.parse({**experiment, **change}), tmp_path / "run")
    assert not list((tmp_path / "run").glob("fold*/*/*/measured.json"))


def test_the_same_seed_gives_the_same_network_and_another_does_not(experiment, tmp_path):
    experiment["methods"] = ["teacher"]
    experiment["training"]["epochs"] = 1
    one = only(experiment, "teacher", tmp_path / "a")
    same = only(experiment, "teacher", tmp_path / "b")
    other = Task(recipe=one.recipe, root=tmp_path / "a", method="teacher", fold=0, seed=1)
    for each in (one, same, other):
        torch.manual_seed(int(each.seed) + 99)  # what came before must not matter
        perform(each)
    np.testing.assert_array_equal(one.said().logits, same.said().logits)
    assert (one.said().logits != other.said().logits).any()


@pytest.mark.slow
def test_several_at_once_give_what_one_after_another_gives(experiment, tmp_path):
    experiment["methods"] = ["teacher", "low", "KL"]
    experiment["training"]["epochs"] = 1
    parsed = recipe.parse(experiment)
    one = run(parsed, tmp_path / "one")
    two = run(parsed, tmp_path / "two", jobs=2)
    for a, b in zip(one["methods"], two["methods"], strict=True):
        assert a["confusion"] == b["confusion"]
    shutil.rmtree(tmp_path / "two")


def test_a_student_can_start_from_another_runs_weights(experiment, tmp_path):
    experiment["methods"] = ["teacher"]
    first = only(experiment, "teacher", tmp_path / "first")
    perform(first)
    other = small_store(
        tmp_path / "other.arrow",
        named(24, "train", classes=2) + named(8, "test", 24, classes=2),
        classes=("one", "two"),
        layout=COCO17,
    )
    weights = str(first.folder / task.NETWORK)
    experiment["data"] = {"high": {"store": str(other.path)}}
    experiment["methods"] = {
        "all": {"start_from": weights},
        "head": {"start_from": weights, "train_only_head": True},
    }
    started = {name: only(experiment, name, tmp_path / "second") for name in ("all", "head")}
    source, _ = checkpoint.load(first.folder / task.NETWORK)
    for name, one in started.items():
        perform(one)
        fresh = one.measured()["not_carried_over"]
        assert "classifier.weight" in fresh  # two classes instead of three
        assert "normalisation.weight" in fresh  # 17 joints instead of 13
        assert "blocks.3.temporal.weight" not in fresh
        network, _ = checkpoint.load(one.folder / task.NETWORK)
        same = torch.equal(network.blocks[3].temporal.weight, source.blocks[3].temporal.weight)
        assert same == (name == "head")
        entry = network.normalisation  # of other joints than the source's: it must learn
        assert not torch.equal(entry.weight, torch.ones_like(entry.weight))
        assert not torch.equal(entry.running_mean, torch.zeros_like(entry.running_mean))
        assert one.done
    # other weights under the same path are another start
    checkpoint.save(first.folder / task.NETWORK, source, about={"changed": True})
    assert not any(one.done for one in started.values())


@pytest.mark.parametrize("content", [None, b"weights"])
def test_a_start_that_is_not_there_or_no_checkpoint_is_refused_before_training(
    experiment, tmp_path, monkeypatch, content
):
    path = tmp_path / "weights.safetensors"
    if content:
        path.write_bytes(content)
    experiment["methods"] = {"teacher": None, "student": {"start_from": "$WHERE/" + path.name}}
    with pytest.raises(ValueError, match="WHERE, which is not set"):
        run(recipe.parse(experiment), tmp_path / "run")
    monkeypatch.setenv("WHERE", str(tmp_path))
    with pytest.raises((OSError, ValueError), match=str(path)):
        run(recipe.parse(experiment), tmp_path / "run")
    assert not list(tmp_path.glob("run/fold0"))


def test_a_recipe_refused_for_its_source_leaves_nothing_behind(experiment, tmp_path):
    experiment["data"]["high"] = {"reader": "penn", "source": str(tmp_path / "nowhere")}
    with pytest.raises((OSError, ValueError), match="nowhere"):
        run(recipe.parse(experiment), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_stray_label_is_no_million_classes(experiment, tmp_path):
    clips = [*named(24, "train"), ("stray", 1_000_000, "train"), *named(6, "test", 24)]
    small_store(tmp_path / "stray.arrow", clips, classes=())
    experiment["data"] = {"high": {"store": str(tmp_path / "stray.arrow")}}
    with pytest.raises(ValueError, match=r"labels go up to 1000000 though only 4 occur"):
        run(recipe.parse(experiment), tmp_path / "run")


def test_scores_that_never_changed_in_training_are_not_magnified_later(experiment, tmp_path):
    experiment["methods"] = ["teacher"]
    experiment["training"]["epochs"] = 46  # until no more of the spread 1 is left to start with
    one = only(experiment, "teacher", tmp_path / "run")
    perform(one)
    network, _ = checkpoint.load(one.folder / task.NETWORK)
    scores = slice(2, None, 3)  # of (x, y, score) of every joint: all 1
    assert torch.equal(network.normalisation.running_var[scores], torch.ones(13))
    assert not torch.equal(network.normalisation.running_var[0::3], torch.ones(13))
    joints = torch.randn(8, 1, 8, 13, 3)
    joints[..., 2] = 1
    less_sure = joints.clone()
    less_sure[..., 2] = 0.9
    said = network(joints).logits
    assert (network(less_sure).logits - said).abs().max() < 0.3 * said.std()


def test_a_refused_recipe_leaves_a_finished_experiment_as_it_was(experiment, tmp_path):
    experiment["methods"] = ["teacher"]
    run(recipe.parse(experiment), tmp_path / "run")
    before = (tmp_path / "run" / "recipe.yaml").read_text(encoding="utf-8")
    experiment["methods"] = {"teacher": None, "student": {"losses": [{"name": "KLL"}]}}
    with pytest.raises(ValueError, match="KLL"):
        run(recipe.parse(experiment), tmp_path / "run")
    assert (tmp_path / "run" / "recipe.yaml").read_text(encoding="utf-8") == before


def test_a_3d_teacher_teaches_a_2d_student_on_other_joints(experiment, tmp_path):
    experiment["data"] = {
        "high": {"reader": "synthetic", "options": {"clips": 48, "layout": "kinect20"}},
        "low": {"reader": "synthetic", "options": {"clips": 48, "view": "low"}},
    }
    experiment["methods"] = {
        "teacher": None,
        "PLKD": None,
        "parts": {"losses": [{"name": "PartGraphMatching"}, {"name": "GlobalContrastive"}]},
    }
    experiment["training"]["epochs"] = 1
    results = run(recipe.parse(experiment), tmp_path / "run")
    assert set(results["methods"][2]["curves"][0]["epochs"][0]["terms"]) == {
        "task",
        "part_node",
        "part_edge",
        "GlobalContrastive",
    }
    with pytest.raises(ValueError, match="GraphMatching needs one layout"):
        run(recipe.parse({**experiment, "methods": ["teacher", "SKD"]}), tmp_path / "run")


def test_solitary_clips_and_a_bank(experiment, tmp_path):
    experiment["data"]["paired"] = 0.5
    losses = [{"name": "PartContrastive", "bank": True, "temperature": 0.5}]
    experiment["methods"] = {
        "teacher": None,
        "bank": {"losses": losses},
        "paired clips": {"losses": losses, "clips": "paired"},
        "one class at a time": {
            "losses": [{"name": "PartContrastive"}],
            "training": {"batches": "class_aware"},
        },
    }
    experiment["training"]["epochs"] = 1
    results = run(recipe.parse(experiment), tmp_path / "run")
    first = {row["name"]: row["curves"][0]["epochs"][0] for row in results["methods"]}
    assert first["bank"]["skipped"] == {"PartContrastive": 0.0}
    assert first["teacher"]["skipped"] == {}


def test_views_that_show_different_classes_make_networks_of_one_size(experiment, tmp_path):
    clips = named(12, "train") + named(6, "test", 12)
    small_store(tmp_path / "high.arrow", [one for one in clips if one[1] < 2], classes=())
    small_store(tmp_path / "low.arrow", clips, classes=())
    experiment["methods"] = ["teacher", "KL"]
    experiment["training"] = {"epochs": 1, "batch_size": 8, "warmup": 0}
    results = run(recipe.parse(experiment), tmp_path / "run")
    assert results["classes"] == ["0", "1", "2"]


def test_a_teacher_teaches_from_what_it_was_trained_on(experiment, tmp_path):
    experiment["methods"] = {"teacher": {"completion": "SlidingWindowAverage"}}
    parsed = recipe.parse(experiment)
    high, low = open_views(parsed.data, tmp_path / "run" / "views")
    asked = Task(recipe=parsed, root=tmp_path / "run", method="teacher", fold=0, seed=0)
    completed = teacher_examples(asked, high, low).student.store
    assert completed.provenance != high.provenance
    assert completed.ids.tolist() == high.ids.tolist()


def test_a_completed_teacher_learns_from_the_clips_of_a_plain_one(experiment, tmp_path):
    experiment["data"]["paired"] = 0.5
    experiment["methods"] = {"plain": {"view": "high"}, "completed": {"view": "high"}}
    experiment["methods"]["completed"]["completion"] = "SlidingWindowAverage"
    experiment["methods"]["low"] = {}
    parsed = recipe.parse(experiment)
    views = open_views(parsed.data, tmp_path / "run" / "views")
    trained = {
        name: examples_of(only(experiment, name, tmp_path / "run"), method, *views)[0].clips
        for name, method in parsed.methods.items()
    }
    assert len(trained["low"]) == 31
    assert len(trained["plain"]) < 25
    np.testing.assert_array_equal(trained["plain"].rows, trained["completed"].rows)


@pytest.mark.parametrize("lost", [0.0, 0.3])
def test_clips_shown_in_their_high_view_are_completed_too(experiment, tmp_path, lost):
    """Whatever that view, or the augmentation, has lost."""
    occlusion = {"name": "JointOcclusion", "probability": 0.3}
    filled = {"completion": "LinearInterpolation"}
    student = {**filled, "mix": 1.0, "losses": [{"name": "KL"}]}
    student["augmentation"] = [occlusion | {"probability": lost}]
    experiment["data"]["high"]["degradations"] = [occlusion]
    experiment["methods"] = {"teacher": {"view": "high", **filled}, "mixed": student}
    parsed = recipe.parse(experiment)
    views = open_views(parsed.data, tmp_path / "run" / "views")
    one = only(experiment, "mixed", tmp_path / "run")
    examples, _ = examples_of(one, parsed.methods["mixed"], *views)
    batch = next(examples.training(16, seed=0, epoch=0))
    shown = batch.joints[batch.matched]
    assert (shown[..., 2] > 0).float().mean() > 0.99
    if not lost:
        torch.testing.assert_close(shown, batch.teacher_joints)


def test_a_loss_that_starts_later_brings_its_weights_in_then(experiment, tmp_path):
    losses = [{"name": "KL"}, {"name": "GraphMatching", "start": 1}]
    experiment["methods"] = {"teacher": None, "later": {"losses": losses}}
    experiment["training"]["epochs"] = 2
    results = run(recipe.parse(experiment), tmp_path / "run")
    first, second = results["methods"][1]["curves"][0]["epochs"]
    assert "node" not in first["terms"]
    assert second["terms"]["node"] > 0


def test_clips_written_anew_under_the_same_path_are_learnt_from(experiment, tmp_path):
    experiment["methods"] = ["teacher"]
    parsed = recipe.parse(experiment)
    run(parsed, tmp_path / "run")
    before = only(experiment, "teacher", tmp_path / "run").measured()["fingerprint"]
    small_store(tmp_path / "high.arrow", named(36, "train") + named(12, "test", 36), seed=5)
    run(parsed, tmp_path / "run")
    assert only(experiment, "teacher", tmp_path / "run").measured()["fingerprint"] != before


@pytest.mark.parametrize("after", ["low", "low+augmentation"])
def test_clips_written_anew_while_a_run_goes_on_are_refused(
    experiment, tmp_path, monkeypatch, after
):
    experiment["methods"] = ["low", "low+augmentation"]
    done = []

    def then_change(task, watch):
        perform(task, watch)
        done.append(task)
        if task.method == after:
            small_store(tmp_path / "low.arrow", named(36, "train") + named(12, "test", 36), seed=2)

    monkeypatch.setattr("skeldistill.training.turns.perform", then_change)
    with pytest.raises(ValueError, match=r"^data\.low changed while the run went on"):
        run(recipe.parse(experiment), tmp_path / "run")
    assert [task.method for task in done][-1] == after
    assert not (tmp_path / "run" / "results.json").exists()
    monkeypatch.undo()
    run(recipe.parse(experiment), tmp_path / "run")


def test_a_process_of_its_own_learns_from_what_the_run_has_seen(experiment, tmp_path):
    experiment["methods"] = ["low"]
    one = only(experiment, "low", tmp_path / "run")
    seen = one.views
    small_store(tmp_path / "low.arrow", named(36, "train") + named(12, "test", 36), seed=2)
    look_again()
    with pytest.raises(ValueError, match=r"^data\.low changed"):
        _perform(one, seen)


def test_finished_trainings_of_other_settings_are_named_before_they_are_lost(experiment, tmp_path):
    experiment["methods"] = ["teacher"]
    run(recipe.parse(experiment), tmp_path / "run")
    experiment["training"]["epochs"] = 1
    heard = Console(file=io.StringIO(), width=200)
    run(recipe.parse(experiment), tmp_path / "run", console=heard)
    said = heard.file.getvalue()
    assert "1 finished trainings had other settings" in said
    assert "teacher" in said


def test_a_teacher_begins_from_other_weights_than_its_students(experiment, tmp_path):
    experiment["methods"] = ["teacher", "low", "low+completion"]
    experiment["training"] |= {"epochs": 1, "learning_rate": 1e-9}
    found = []
    for method in experiment["methods"]:
        one = only(experiment, method, tmp_path / "run")
        perform(one)
        network, _ = checkpoint.load(one.folder / task.NETWORK)
        found.append(network.blocks[0].temporal.weight)
    teacher, student, other = found
    torch.testing.assert_close(student, other, rtol=0, atol=1e-6)
    assert (teacher - student).abs().max() > 0.01


def test_logits_that_are_no_numbers_name_nothing():
    logits = np.array([[np.nan, 1, 2], [np.nan, 0, 1], [3, 1, 2]], np.float32)
    said = Said(logits=logits, labels=np.array([0, 2, 0]), ids=("a", "b", "c"))
    assert said.accuracy(1) == pytest.approx(100 / 3)
    nothing = np.full((2, 3), np.nan, np.float32)
    assert Said(logits=nothing, labels=np.array([0, 1]), ids=("a", "b")).accuracy(5) == 0


def test_a_confusion_matrix_holds_as_many_right_as_there_are():
    """A tie counts against the network there, too, as does what is no number."""
    logits = np.array([[1, 1, 0], [np.nan] * 3, [0, 2, 2], [0, 0, 3]], np.float32)
    said = Said(logits=logits, labels=np.array([0, 0, 1, 2]), ids=tuple("abcd"))
    assert said.answers.tolist() == [1, 1, 2, 2]
    assert np.trace(said.confusion()) == said.right.sum() == 1
    assert said.confusion().sum() == 4


def test_a_teacher_may_see_more_frames_than_its_student(experiment, tmp_path):
    experiment["methods"] = {
        "teacher": {"sampling": {"frames": 24}},
        "KL": {"losses": [{"name": "KL"}]},
    }
    one = only(experiment, "KL", tmp_path / "run")
    views = open_views(one.recipe.data, tmp_path / "run" / "views")
    trained, _ = examples_of(one, one.recipe.methods["KL"], *views)
    batch = next(trained.training(8, seed=0, epoch=0))
    assert batch.joints.shape[2] == 8
    assert batch.teacher_joints.shape[2] == 24


def test_changed_clips_make_their_runs_anew(experiment, tmp_path):
    experiment["methods"] = ["teacher"]
    one = only(experiment, "teacher", tmp_path / "run")
    before = one.fingerprint
    moved = tmp_path / "moved.arrow"
    shutil.copy(tmp_path / "high.arrow", moved)
    experiment["data"]["high"] = {"store": str(moved)}
    assert only(experiment, "teacher", tmp_path / "run").fingerprint == before
    small_store(moved, named(36, "train") + named(12, "test", 36), seed=5)
    assert only(experiment, "teacher", tmp_path / "other").fingerprint != before


def test_a_revised_step_moves_every_weight_along_its_own_gradient():
    """The fused optimizer reads gradients in the order of memory, whatever their strides."""
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(4, 3, 9, 1))
    gradient = torch.randn(4, 3, 9, 1).contiguous(memory_format=torch.channels_last)
    expected = weight.detach() - 0.1 * gradient
    optimizer = torch.optim.SGD([weight], lr=0.1, fused=True)
    train.set_gradients([weight], [gradient])
    optimizer.step()
    torch.testing.assert_close(weight.detach(), expected)
    train.set_gradients([weight], [None])
    assert weight.grad is None


@pytest.mark.parametrize("method", ["low", "SKD"])
def test_the_fused_optimizer_learns_what_the_plain_one_does(
    experiment, tmp_path, monkeypatch, method
):
    """Of a whole training: whatever the step reads, it reads as what it is."""
    experiment["methods"] = ["teacher", method]
    fused, plain = (only(experiment, method, tmp_path / name) for name in ("fused", "plain"))
    for one in (fused, plain):
        for needed in one.needs:
            perform(needed)
    perform(fused)
    made = torch.optim.SGD
    monkeypatch.setattr(
        torch.optim, "SGD", lambda *given, fused, **options: made(*given, fused=False, **options)
    )
    perform(plain)
    states = [
        checkpoint.load(one.folder / "network.safetensors")[0].state_dict()
        for one in (fused, plain)
    ]
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name], rtol=1e-3, atol=1e-4, msg=name)


def test_a_start_knows_what_its_channels_and_its_head_stood_for(experiment, tmp_path):
    """Depth is no score, and as many actions are not the same ones."""
    names = ("three", "other", "actions")
    clips = named(24, "train") + named(8, "test", 24)
    deep = small_store(tmp_path / "deep.arrow", clips, channels=3, classes=names)
    experiment["methods"] = {"teacher": None}
    experiment["data"] = {"high": {"store": str(deep.path)}}
    first = only(experiment, "teacher", tmp_path / "first")
    perform(first)
    flat = small_store(tmp_path / "flat.arrow", clips)
    experiment["data"] = {"high": {"store": str(flat.path)}}
    experiment["methods"] = {"low": {"start_from": str(first.folder / task.NETWORK)}}
    second = only(experiment, "low", tmp_path / "second")
    perform(second)
    fresh = second.measured()["not_carried_over"]
    assert {"classifier.weight", "normalisation.weight"} <= set(fresh)
    assert "blocks.0.graph.convolution.weight" in fresh
    assert "blocks.3.temporal.weight" not in fresh


@pytest.mark.parametrize(
    "method", [{"augmentation": [{"name": "Jitter"}], "augment": "high"}, {"mix": 0.5}]
)
def test_who_learns_from_high_clips_is_asked_about_the_same_joints(experiment, tmp_path, method):
    clips = named(24, "train") + named(8, "test", 24)
    deep = small_store(tmp_path / "deep.arrow", clips, channels=3)
    flat = small_store(tmp_path / "flat.arrow", clips)
    experiment["data"] = {"high": {"store": str(deep.path)}, "low": {"store": str(flat.path)}}
    experiment["methods"] = {"low": method}
    one = only(experiment, "low", tmp_path / "run")
    with pytest.raises(ValueError, match="needs both views on the same joints; high has penn13"):
        check(one)


@pytest.mark.parametrize("steps", [30, 218, 400])
def test_scores_that_never_changed_pass_unmagnified(steps):
    layer = torch.nn.BatchNorm1d(2)
    begun = spreads(layer)
    shown = torch.ones(8, 2)
    for _ in range(steps):
        layer(shown + torch.tensor([0.0, 0.1]) * torch.randn(8, 2))
    settle(layer.eval(), begun)
    assert layer.running_var[0] == 1
    assert layer.running_var[1] < 0.1


@pytest.mark.parametrize("steps", [0, 1, 5, 60])
def test_statistics_that_were_carried_over_are_no_leftovers(steps):
    layer = torch.nn.BatchNorm1d(3)
    layer.running_var.copy_(torch.tensor([1e-3, 0.5, 0.5]))
    begun = spreads(layer)
    spread = torch.tensor([1e-3, 0.5, 0.0]).sqrt()
    for _ in range(steps):
        layer(1 + spread * torch.randn(8, 3))
    trained = layer.running_var.clone()
    settle(layer.eval(), begun)
    assert torch.equal(layer.running_var[:2], trained[:2])
    assert layer.running_var[2] == (1 if steps else 0.5)


def test_a_head_trained_alone_keeps_the_statistics_of_its_body(experiment, tmp_path):
    experiment["methods"] = ["teacher"]
    first = only(experiment, "teacher", tmp_path / "first")
    perform(first)
    weights = str(first.folder / task.NETWORK)
    experiment["methods"] = {
        "head": {"view": "high", "start_from": weights, "train_only_head": True}
    }
    head = only(experiment, "head", tmp_path / "second")
    perform(head)
    before, after = (checkpoint.load(one.folder / task.NETWORK)[0] for one in (first, head))
    kept = dict(before.named_buffers())
    for name, statistic in after.named_buffers():
        if name.endswith("running_var"):
            assert torch.equal(statistic, kept[name]), name


def test_a_student_knows_the_actions_that_only_the_high_view_names(experiment, tmp_path):
    clips = named(36, "train") + named(12, "test", 36)
    nameless = small_store(tmp_path / "nameless.arrow", clips, classes=())
    experiment["data"]["low"] = {"store": str(nameless.path)}
    experiment["methods"] = ["low"]
    low = only(experiment, "low", tmp_path / "run")
    perform(low)
    assert checkpoint.load(low.folder / task.NETWORK)[1]["classes"] == ["run", "sit", "wave"]


def test_a_leak_in_a_later_fold_is_refused_before_the_first_is_trained(experiment, tmp_path):
    clips = named(24, "train") + named(8, "test", 24)
    store = small_store(tmp_path / "two.arrow", clips)
    source = Source(layout=store.layout, channels=2, units="pixels", classes=store.classes)
    with StoreWriter(tmp_path / "leaky.arrow", source, provenance={}) as writer:
        for row in range(len(store)):
            more = ("b", "c") if row == 3 else ("b" if row < 24 else "c",)
            writer.write(replace(store.clip(row), splits=(*store.clip(row).splits, *more)))
    folds = [{"train": "train", "test": "test"}, {"train": "b", "test": "c"}]
    experiment["data"] = {"high": {"store": str(tmp_path / "leaky.arrow")}, "folds": folds}
    experiment["methods"] = ["teacher"]
    with pytest.raises(
        ValueError, match=r"1 clips \(such as 'clip003'\) are in training split 'b'"
    ):
        run(recipe.parse(experiment), tmp_path / "run")
    assert not list(tmp_path.glob("run/fold*"))


def test_a_store_is_completed_as_the_networks_training_was(experiment, tmp_path):
    experiment["methods"] = {"low+completion": {"completion": "LinearInterpolation"}}
    one = only(experiment, "low+completion", tmp_path / "run")
    perform(one)
    low = open_views(one.recipe.data, one.root / "views", quiet=True)[1]
    said, _ = evaluate_run(one.folder, low.path, "test")
    np.testing.assert_allclose(said.logits, one.said().logits, atol=1e-5)
    filled = derived(low, (), one.recipe.methods["low+completion"].completion, 0, tmp_path)
    with pytest.raises(ValueError, match="a view whose lost joints LinearInterpolation has filled"):
        evaluate_run(one.folder, filled.path, "test")


def test_a_store_in_other_units_is_not_evaluated(experiment, tmp_path):
    experiment["methods"] = ["low"]
    one = only(experiment, "low", tmp_path / "run")
    perform(one)
    store = Store.open(tmp_path / "low.arrow")
    source = Source(layout=store.layout, channels=2, units="normalised", classes=store.classes)
    with StoreWriter(tmp_path / "shares.arrow", source, provenance={}) as writer:
        for row in store.in_split("test"):
            writer.write(store.clip(int(row)))
    with pytest.raises(
        ValueError, match=r"trained on joints in pixels but shares\.arrow is in norm"
    ):
        evaluate_run(one.folder, tmp_path / "shares.arrow")


def test_no_momentum_is_no_nesterov(experiment, tmp_path):
    experiment["training"]["momentum"] = 0
    experiment["methods"] = ["low"]
    low = only(experiment, "low", tmp_path / "run")
    perform(low)
    assert low.done
