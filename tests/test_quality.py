"""Where the gap is: groups of clips by what their low view has lost."""

import copy

import numpy as np
import pytest
from fake_results import fake
from hypothesis import given, settings
from hypothesis import strategies as st

from skeldistill import recipe
from skeldistill.clip import Clip
from skeldistill.data.store import Store, StoreWriter
from skeldistill.layouts import PENN13
from skeldistill.readers import Source
from skeldistill.report.page import render
from skeldistill.report.quality import lost, quality
from skeldistill.training.quality import by_quality, edges, lost_joints
from skeldistill.training.task import SAID, Task

RECIPE = recipe.parse(
    {
        "name": "q",
        "data": {"high": {"store": "high.arrow"}},
        "teacher": {"name": "STGCN"},
        "methods": ["teacher", "low"],
        "seeds": [0, 1],
    }
)


def store_of_losses(path, shares) -> Store:
    """Clips of one frame and ten frames' worth of loss: the share of frames without anybody."""
    source = Source(layout=PENN13, channels=2, units="pixels", classes=("a", "b"))
    with StoreWriter(path, source) as writer:
        for number, share in enumerate(shares):
            scores = np.ones((1, 10, 13), np.float32)
            scores[:, : round(10 * share)] = 0
            joints = np.ones((1, 10, 13, 2), np.float32)
            writer.write(
                Clip(
                    id=f"c{number}",
                    joints=joints,
                    scores=scores,
                    layout=PENN13,
                    label=0,
                    splits=("test",),
                )
            )
    return Store.open(path)


def answered(root, method, seed, rights) -> Task:
    task = Task(recipe=RECIPE, root=root, method=method, fold=0, seed=seed)
    task.folder.mkdir(parents=True)
    logits = np.array([[1, 0] if right else [0, 1] for right in rights.values()], np.float32)
    np.savez(
        task.folder / SAID,
        logits=logits,
        labels=np.zeros(len(rights), np.int64),
        ids=np.array(list(rights)),
    )
    return task


def test_lost_joints_are_counted(tmp_path):
    store = store_of_losses(tmp_path / "low.arrow", [0, 0.3, 1])
    assert lost_joints(store) == pytest.approx({"c0": 0.0, "c1": 0.3, "c2": 1.0})


def test_places_that_nobody_takes_have_no_joints_to_lose(tmp_path):
    scores = np.zeros((3, 4, 10, 13), np.float32)  # three clips of four places
    scores[0, 0] = 1  # one person, always seen
    scores[1, 1] = 1
    scores[1, 3, 5:] = 1  # two persons, of whom the second comes late
    source = Source(layout=PENN13, channels=2, units="pixels")
    with StoreWriter(tmp_path / "low.arrow", source) as writer:
        for name, one in zip("abc", scores, strict=True):
            joints = np.ones((*one.shape, 2), np.float32)
            writer.write(Clip(id=name, joints=joints, scores=one, layout=PENN13))
    assert lost_joints(Store.open(tmp_path / "low.arrow")) == {"a": 0.0, "b": 0.25, "c": 1.0}


def test_by_hand(tmp_path):
    low = store_of_losses(tmp_path / "low.arrow", [0, 0, 0.4, 1, 0.6])
    teacher = {"c0": True, "c1": True, "c2": True, "c3": True, "of the high view alone": False}
    tasks = {
        "teacher": [answered(tmp_path, "teacher", seed, teacher) for seed in (0, 1)],
        "low": [
            answered(tmp_path, "low", seed, rights | {"c4": bool(seed), "not in the store": True})
            for seed, rights in enumerate(
                (
                    {"c0": True, "c1": False, "c2": False, "c3": False},
                    {"c0": True, "c1": True, "c2": True, "c3": False},
                )
            )
        ],
    }
    none, some, everything, alone = by_quality(low, tasks, ("teacher", "low"))
    assert (none["clips"], some["clips"], everything["clips"]) == (2, 1, 1)
    assert none["top1"] == {"teacher": 100, "low": 75}
    assert some["top1"] == {"teacher": 100, "low": 50}
    assert everything["top1"] == {"teacher": 100, "low": 0}
    # 8 answers a method: one, one and two wrong answers of the student
    assert [group["gap"] for group in (none, some, everything)] == [12.5, 12.5, 25]
    assert alone == {"least": 0.6, "most": 0.6, "clips": 1, "top1": {"low": 50}, "gap": None} | {
        key: pytest.approx(0.6) for key in ("least", "most")
    }
    assert by_quality(low, tasks, None)[0]["gap"] is None


def test_clips_that_have_lost_alike_make_no_groups(tmp_path):
    low = store_of_losses(tmp_path / "low.arrow", [0, 0])
    rights = {"c0": True, "c1": False}
    tasks = {"low": [answered(tmp_path, "low", 0, rights)]}
    assert by_quality(low, tasks, None) == []


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40))
def test_every_clip_is_in_one_group_and_no_group_is_empty(shares):
    ends = edges(np.array(shares))
    assert ends == sorted(set(ends))
    groups = np.searchsorted(ends, shares)
    assert set(groups) == set(range(len(ends)))
    for number, group in enumerate(groups):
        extreme = shares[number] in (0, 1)
        same = [share for share, one in zip(shares, groups, strict=True) if one == group]
        assert not extreme or set(same) == {shares[number]} or shares[number] == max(same)


def test_the_page_names_the_groups_and_says_where_the_gap_is():
    results = fake()
    shown = quality(results)
    named = [row["lost"] for row in shown["rows"]]
    assert named == ["none", "1 to 12 %", "13 to 40 %", "42 to 90 %", "all"]
    assert shown["gap"] == ("teacher", "student")
    assert shown["sentence"].startswith("The teacher is 37.2 points ahead on them; 47 % have lost")
    assert "6 % have lost everything and account for +5.0, which no student" in shown["sentence"]
    assert "Where the gap is" in render(results)
    results["by_quality"].append(
        {"least": 0.5, "most": 1.0, "clips": 7, "top1": {"student": 20.0}, "gap": None}
    )
    assert quality(results)["rows"][-1]["lost"] == "no high view"
    assert quality(results)["sentence"] == shown["sentence"]
    assert render(results).count("no high view") == 1
    assert lost({"least": 0.2, "most": 1.0}) == "20 to 100 %"


def test_without_teacher_or_groups_less_is_said():
    results = fake()
    alone = copy.deepcopy(results)
    for group in alone["by_quality"]:
        group["gap"] = None
    shown = quality(alone)
    assert shown["gap"] is None
    assert shown["sentence"] == ""
    assert "Points of the gap" not in render(alone)
    assert quality(results | {"by_quality": []}) is None
    behind = copy.deepcopy(results)
    for group in behind["by_quality"]:
        group["gap"] = -1.0
    assert quality(behind)["sentence"] == "The teacher is not ahead on these clips."
