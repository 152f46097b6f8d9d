"""What cannot be matched vertex with vertex is refused before anything is trained."""

import re
from dataclasses import replace

import numpy as np
import pytest
from stores import named, small_experiment, small_store

from skeldistill import recipe
from skeldistill.clip import Clip
from skeldistill.data.store import Store
from skeldistill.data.store_writer import StoreWriter
from skeldistill.layouts import PENN13
from skeldistill.readers.reader import Source
from skeldistill.training.experiment import check_all
from skeldistill.training.perform import check
from skeldistill.training.task import Task


@pytest.fixture
def told(tmp_path):
    return small_experiment(tmp_path, ["teacher", "SKD", "PLKD"], test=8)


def checked(told, tmp_path, method="SKD"):
    return check(
        Task(recipe=recipe.parse(told), root=tmp_path / "run", method=method, fold=0, seed=0)
    )


def test_maps_of_other_sizes(told, tmp_path):
    told["methods"] = {"teacher": {"sampling": {"frames": 16}}, "SKD": None, "PLKD": None}
    with pytest.raises(ValueError, match=r"maps of the same .* \(1, 2, 13\) .* \(1, 4, 13\)"):
        checked(told, tmp_path)
    checked(told, tmp_path, "PLKD")


@pytest.mark.parametrize("choice", ["replay", "zeros"])
def test_frames_of_other_moments(told, tmp_path, choice):
    checked(told, tmp_path)
    told["data"]["low"]["degradations"] = [{"name": "DroppedFrames", "keep": 3}]
    checked(told, tmp_path)  # chosen as moments of the clip
    told["sampling"]["frame_choice"] = choice
    with pytest.raises(ValueError, match=rf"frames in the student's view .*{choice}.*HeldFrames"):
        checked(told, tmp_path)
    checked(told, tmp_path, "PLKD")
    told["data"]["low"]["degradations"] = [{"name": "HeldFrames", "keep": 3}]
    checked(told, tmp_path)


def test_frames_chosen_in_two_ways(told, tmp_path):
    told["methods"] = {"teacher": {"sampling": {"frame_choice": "zeros"}}, "SKD": None}
    with pytest.raises(ValueError, match="student's frames are chosen by 'uniform'"):
        checked(told, tmp_path)


def crowd(path, certain):
    """Clips of two people, of whom the one or the other is more certain."""
    source = Source(layout=PENN13, channels=2, units="pixels", classes=("a", "b"))
    with StoreWriter(path, source, provenance={}) as writer:
        for number, (split, first) in enumerate(certain):
            scores = np.ones((2, 8, 13), np.float32)
            scores[1 if first else 0] = 0.5
            joints = np.random.default_rng(number).normal(0, 1, (2, 8, 13, 2)).astype(np.float32)
            clip = Clip(id=f"c{number}", joints=joints, scores=scores, layout=PENN13)
            writer.write(replace(clip, label=number % 2, splits=(split,)))
    return {"store": str(path)}


@pytest.mark.parametrize(("persons", "apart"), [(1, 2), (2, 0)])
def test_pairs_that_show_other_people_are_told(told, tmp_path, persons, apart):
    splits = ["train"] * 4 + ["test"] * 2
    high, low = [True] * 6, [True, False, True, False, True, False]
    told["data"] = {
        "high": crowd(tmp_path / "many.arrow", zip(splits, high, strict=True)),
        "low": crowd(tmp_path / "others.arrow", zip(splits, low, strict=True)),
    }
    told["sampling"] = {"frames": 8, "persons": persons}
    notes = checked(told, tmp_path, "PLKD")
    assert len(notes) == bool(apart)
    assert all(note.startswith(f"in {apart} of 4 pairs of clips") for note in notes)
    assert checked(told, tmp_path, "teacher") == []


@pytest.mark.parametrize("lacking", [0, 12])
def test_matches_that_the_high_view_lacks_are_told(told, tmp_path, lacking):
    clips = named(24, "train") + named(8, "test", 24)
    small_store(tmp_path / "low.arrow", clips)
    small_store(tmp_path / "some.arrow", clips[lacking:])
    told["data"] = {
        "high": {"store": str(tmp_path / "some.arrow")},
        "low": {"store": str(tmp_path / "low.arrow")},
        "paired": 0.8,  # of each class of eight six, by rounding
    }
    told["methods"] = {"teacher": {}, "PLKD": {}, "paired": {"clips": "paired"}}
    notes = checked(told, tmp_path, "PLKD")
    assert len(notes) == bool(lacking)
    told_of = r"\d+ of 24 training clips \(\d+%\) have a high-quality match, fewer than data"
    assert all(re.match(told_of, note) for note in notes)
    assert checked(told, tmp_path, "paired") == []


def test_actions_that_nobody_trains_on_are_told(told, tmp_path):
    small_store(
        tmp_path / "high.arrow",
        [(f"t{i}", i % 2, "train") for i in range(12)]
        + [(f"e{i}", i % 3, "test") for i in range(6)]
        + [(f"o{i}", 2, "other") for i in range(4)],
    )
    told["data"]["folds"] = [
        {"train": "train", "test": "test"},
        {"train": "train", "test": "other"},
    ]
    parsed = recipe.parse(told)
    words = "clips that are tested are of actions which no training clip of split 'train' has"
    assert checked(told, tmp_path, "teacher") == [f"2 of 6 {words}"]
    assert check_all(parsed, tmp_path / "all") == [
        f"teacher, SKD, PLKD: 2 of 6 {words}",
        f"teacher, SKD, PLKD: 4 of 4 {words}",
    ]


def test_a_precision_that_only_gpus_have(told, tmp_path, monkeypatch):
    told["training"] = {**told.get("training", {}), "precision": "16-mixed"}
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="16-mixed needs a GPU; take bf16-mixed"):
        checked(told, tmp_path, "teacher")


def test_a_head_alone_needs_a_body_of_before():
    told = {"name": "a", "data": {"high": {"store": "a.arrow"}}}
    with pytest.raises(ValueError, match=r"methods.low.*train_only_head needs start_from"):
        recipe.parse({**told, "methods": {"low": {"train_only_head": True}}})


def test_tested_clips_that_were_trained_on_are_told(told, tmp_path):
    assert not [note for note in checked(told, tmp_path, "teacher") if "very same joints" in note]
    twice = tmp_path / "twice.arrow"
    store = Store.open(told["data"]["high"]["store"])
    source = Source(layout=store.layout, channels=2, units="pixels", classes=store.classes)
    with StoreWriter(twice, source, provenance={}) as writer:
        clips = [store.clip(row) for row in range(len(store))]
        tested = [clip for clip in clips if "test" in clip.splits]
        first = next(clip for clip in clips if "train" in clip.splits)
        for clip in clips:
            copied = clip is tested[0] or clip is tested[1]
            writer.write(
                replace(clip, joints=first.joints, scores=first.scores) if copied else clip
            )
    told["data"]["high"]["store"] = str(twice)
    (note,) = [note for note in checked(told, tmp_path, "teacher") if "very same joints" in note]
    assert note.startswith(f"2 of {len(tested)} clips that are tested")
    assert repr(first.id) in note
