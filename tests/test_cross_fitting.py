"""Teachers that leave out parts of their clips answer for these, and for these alone."""

import numpy as np
import pytest
import torch
from stores import named, small_experiment, small_store

from skeldistill import recipe
from skeldistill.data.pairing import parts_of, teacher_clips
from skeldistill.distillation.ensemble import Ensemble
from skeldistill.layouts import PENN13
from skeldistill.networks import STGCN
from skeldistill.training import perform
from skeldistill.training.examples import clips_to_learn, who_answers
from skeldistill.training.experiment import run


def parts(count):
    return {
        f"part {k}": {"view": "high", "network": "teacher", "leave_out": [k, count]}
        for k in range(count)
    }


@pytest.fixture
def told(tmp_path):
    said = small_experiment(tmp_path, ["teacher"], test=8)
    taught = {"losses": [{"name": "KL"}], "teacher": ["part 0", "part 1", "part 2"]}
    return said | {"methods": {**parts(3), "KL": taught}}


def test_recordings_are_left_out_as_a_whole_and_classes_evenly(tmp_path):
    clips = [(f"film{i // 2:02d}_{i % 2}", i // 2 % 3, "train") for i in range(36)]
    store = small_store(tmp_path / "a.arrow", clips)
    data = recipe.Data(high=recipe.View(store="a"), group=r"film\d+")
    rows = np.arange(36)
    part = parts_of(store, rows, 3, data)
    assert (part[0::2] == part[1::2]).all()
    for label in range(3):
        assert (np.bincount(part[store.labels == label]) == 4).all()
    order = np.random.default_rng(0).permutation(36)
    np.testing.assert_array_equal(parts_of(store, rows[order], 3, data), part[order])
    other = data.model_copy(update={"seed": 1})
    assert (parts_of(store, rows, 3, other) != part).any()


def test_who_answers_for_a_clip_has_not_trained_on_it(tmp_path):
    high = small_store(tmp_path / "high.arrow", named(24, "train") + named(8, "test", 24))
    low = small_store(tmp_path / "low.arrow", [*named(20, "train", 4), ("alone", 1, "train")])
    parsed = recipe.parse(
        {"name": "a", "data": {"high": {"store": "high"}}, "methods": {"teacher": None, **parts(3)}}
    )
    members = [parsed.methods[f"part {k}"] for k in range(3)]
    fold, data = parsed.data.folds[0], parsed.data
    student = clips_to_learn(
        recipe.Method(losses=(recipe.LossTerm(name="KL"),)), high, low, fold, data
    )
    who = who_answers(members, student, high, low, fold, data)
    assert who.shape == (len(student), 3)
    trained = [set(clips_to_learn(one, high, low, fold, data).rows.tolist()) for one in members]
    everybody = set(teacher_clips(high, low, fold, data).rows.tolist())
    assert set.union(*trained) == everybody
    assert all(trained)
    for row, answering in zip(student.teacher_rows.tolist(), who.tolist(), strict=True):
        if row == -1:
            assert all(answering)
        else:
            assert answering == [row not in one for one in trained]
            assert sum(answering) == 1
    plain = [parsed.methods["teacher"]]
    assert who_answers(plain, student, high, low, fold, data) is None
    assert who_answers([], student, high, low, fold, data) is None


def test_an_ensemble_asks_whom_it_is_told():
    torch.manual_seed(0)
    members = [STGCN(PENN13, classes=4, persons=1, width=0.125).eval() for _ in range(3)]
    joints = torch.randn(5, 1, 8, 13, 3)
    who = torch.tensor([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 1, 1]], dtype=torch.bool)
    with torch.no_grad():
        said = Ensemble(members).ask(joints, who).logits.exp()
        each = torch.stack([one(joints).logits.softmax(dim=1) for one in members], dim=1)
    for clip in range(5):
        torch.testing.assert_close(said[clip], each[clip, who[clip]].mean(dim=0))


def test_a_student_learns_what_those_say_that_did_not_train_on_its_clip(
    told, tmp_path, monkeypatch
):
    """Answers of the mean of all, or of a teacher that trained on all clips, are another lesson."""

    def loss(name):
        found = run(recipe.parse(told), tmp_path / name)
        (row,) = [row for row in found["methods"] if row["name"] == "KL"]
        return row["curves"][0]["epochs"][0]["loss"]

    honest = loss("honest")
    assert loss("again") == honest
    with monkeypatch.context() as all_answer:
        all_answer.setattr(perform, "who_answers", lambda *_: None)
        assert loss("mean") != honest
    told["methods"] |= {"teacher": {"view": "high", "network": "teacher"}}
    told["methods"]["KL"] |= {"teacher": "teacher"}
    assert loss("whole") != honest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"part 0": {"view": "high", "leave_out": [3, 3]}}, r"leave_out is \[3, 3\]"),
        ({"part 0": {"view": "high", "leave_out": [0, 1]}}, r"one part of several"),
        ({"part 0": {"leave_out": [0, 3]}}, "is for teachers"),
        ({"KL": {"losses": [{"name": "KL"}], "teacher": ["part 0", "part 1"]}}, "for every clip"),
        ({"KL": {"losses": [{"name": "KL"}], "teacher": "part 0"}}, r"\[0, 3\] to \[2, 3\]"),
        (
            {"KL": {"losses": [{"name": "KL"}], "teacher": ["teacher", "part 1", "part 2"]}},
            "for every clip once",
        ),
    ],
)
def test_parts_that_do_not_add_up(told, change, said):
    told["methods"] |= {"teacher": {"view": "high", "network": "teacher"}, **change}
    with pytest.raises(ValueError, match=said):
        recipe.parse(told)


def test_mixed_clips_are_left_out_by_nobody(told):
    told["methods"]["KL"]["sampling"] = {"mixup": 0.4}
    with pytest.raises(ValueError, match=r"mixes clips .* left both of them out"):
        recipe.parse(told)
