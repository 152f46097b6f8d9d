"""Who is trained on what: matches, solitary clips, held-out clips, and no leak."""

import numpy as np
import pytest
from stores import named, small_store

from skeldistill.data.pairing import (
    SOLITARY,
    evaluation_clips,
    teacher_clips,
    training_clips,
)
from skeldistill.recipe import Data, Fold, View

FOLD = Fold()


def data(**changes):
    return Data(high=View(store="unused"), **changes)


@pytest.fixture
def views(tmp_path):
    low = small_store(tmp_path / "low.arrow", named(60, "train") + named(30, "test", 60))
    others = [("unmatched/1", 0, "train"), ("unmatched/2", 1, "train")]
    high_clips = named(50, "train") + named(30, "test", 60) + others
    high = small_store(tmp_path / "high.arrow", high_clips[::-1], seed=1)
    return high, low


def ids(store, rows):
    return [str(store.ids[row]) for row in rows]


def test_every_match_has_the_same_name_and_the_rest_are_solitary(views):
    high, low = views
    clips = training_clips(low, high, FOLD, data())
    assert len(clips) == 60
    for row, match in zip(clips.rows, clips.teacher_rows, strict=True):
        name = str(low.ids[row])
        if int(name[4:]) < 50:
            assert high.ids[match] == name
        else:
            assert match == SOLITARY
    assert len(clips.only_paired()) == 50


def test_the_teacher_also_learns_from_clips_without_a_low_view(views):
    high, low = views
    clips = teacher_clips(high, low, FOLD, data())
    assert len(clips) == 52
    assert not any("clip06" in name for name in ids(high, clips.rows))


def test_part_of_the_clips_keeps_its_match_class_by_class(views):
    high, low = views
    half = data(paired=0.5)
    clips = training_clips(low, high, FOLD, half)
    assert len(clips) == 60
    kept = clips.teacher_rows != SOLITARY
    assert (np.bincount(clips.labels[kept], minlength=3) >= 7).all()
    assert 23 <= kept.sum() <= 30
    again = training_clips(low, high, FOLD, half)
    np.testing.assert_array_equal(clips.teacher_rows, again.teacher_rows)
    other = training_clips(low, high, FOLD, data(paired=0.5, seed=1))
    assert (other.teacher_rows != clips.teacher_rows).any()
    teacher = set(ids(high, teacher_clips(high, low, FOLD, half).rows))
    assert teacher == set(ids(low, clips.only_paired().rows))  # the paired part alone


def test_held_out_clips_are_trained_on_by_nobody(views):
    high, low = views
    held = data(validation=0.25)
    judged = set(ids(low, evaluation_clips(low, low, low, FOLD, held).rows))
    assert len(judged) == 15
    assert all(int(name[4:]) < 60 for name in judged)
    assert not judged & set(ids(low, training_clips(low, high, FOLD, held).rows))
    assert not judged & set(ids(high, teacher_clips(high, low, FOLD, held).rows))


def test_clips_of_one_group_are_held_out_together(tmp_path):
    clips = [(f"video{i // 4}/clip{i}", 0, "train") for i in range(40)]
    store = small_store(tmp_path / "grouped.arrow", clips + named(3, "test"))
    held = data(validation=0.3, group=r"^video\d+")
    judged = ids(store, evaluation_clips(store, store, store, FOLD, held).rows)
    videos = [name.split("/")[0] for name in judged]
    assert all(videos.count(video) == 4 for video in set(videos))
    assert len(judged) == 12


def test_no_teacher_is_judged_by_clips_that_it_learnt_from(tmp_path):
    """Views with other clips count other shares of their classes; one decides for both."""
    clips = named(60, "train")
    low = small_store(tmp_path / "low.arrow", [*clips[:40], *named(3, "test", 60)])
    high = small_store(tmp_path / "high.arrow", [*clips[7:], *named(3, "test", 60)], seed=1)
    held = data(validation=0.25)
    judged = ids(high, evaluation_clips(high, high, low, FOLD, held).rows)
    assert judged
    assert not set(judged) & set(ids(high, teacher_clips(high, low, FOLD, held).rows))
    assert set(judged) <= set(ids(low, evaluation_clips(low, low, low, FOLD, held).rows))


def test_a_teacher_learns_from_nothing_of_a_group_that_is_held_out(tmp_path):
    clips = [(f"video{i // 4}/clip{i}", 0, "train") for i in range(40)]
    low = small_store(tmp_path / "low.arrow", [*clips[::2], *named(3, "test")])
    high = small_store(tmp_path / "high.arrow", [*clips, *named(3, "test")], seed=1)
    held = data(validation=0.3, group=r"^video\d+")
    judged = ids(high, evaluation_clips(high, high, low, FOLD, held).rows)
    learnt = ids(high, teacher_clips(high, low, FOLD, held).rows)
    assert {name.split("/")[0] for name in judged}.isdisjoint(n.split("/")[0] for n in learnt)
    assert len(judged) + len(learnt) == 40


def test_a_group_of_several_actions_is_held_out_whole(tmp_path):
    # subjects do not do all actions equally often, so that each action would choose other subjects
    labels = np.random.default_rng(0).integers(0, 3, 120).tolist()
    clips = [(f"S{i % 12}/{i}", label, "train") for i, label in enumerate(labels)]
    store = small_store(tmp_path / "subjects.arrow", clips + named(3, "test"))
    for seed in range(5):
        held = data(validation=0.25, group=r"^S\d+", seed=seed)
        judged = ids(store, evaluation_clips(store, store, store, FOLD, held).rows)
        learnt = ids(store, training_clips(store, store, FOLD, held).rows)
        assert judged
        assert not {name.split("/")[0] for name in judged} & {n.split("/")[0] for n in learnt}


def test_a_group_that_is_no_pattern_is_refused(views):
    _, low = views
    with pytest.raises(ValueError, match=r"data\.group '\(' is no pattern"):
        evaluation_clips(low, low, low, FOLD, data(validation=0.3, group="("))


def test_the_test_split_is_judged_when_nothing_is_held_out(views):
    _, low = views
    assert len(evaluation_clips(low, low, low, FOLD, data())) == 30


def test_a_clip_in_training_of_one_view_and_testing_of_the_other_is_refused(tmp_path):
    low = small_store(tmp_path / "low.arrow", named(6, "train") + named(3, "test", 6))
    high = small_store(tmp_path / "high.arrow", [*named(9, "train"), ("x", 0, "test")])
    with pytest.raises(ValueError, match=r"3 clips .* are in training split"):
        training_clips(low, high, FOLD, data())


def test_labels_that_disagree_between_views_are_refused(tmp_path):
    low = small_store(tmp_path / "low.arrow", [("a", 0, "train"), ("b", 1, "test")])
    high = small_store(tmp_path / "high.arrow", [("a", 2, "train"), ("b", 1, "test")])
    with pytest.raises(ValueError, match=r"label 0 in low.arrow but 2 in high.arrow"):
        training_clips(low, high, FOLD, data())


def test_a_split_that_is_not_there_is_named(views):
    high, low = views
    with pytest.raises(ValueError, match="trian"):
        training_clips(low, high, Fold(train="trian"), data())


def test_recordings_that_nothing_tells_teach_nobody_while_some_are_held_out(tmp_path):
    """Of a high clip with a name of its own nobody knows whether it is one of those held out."""
    clips = [(f"video{i // 4}/clip{i}", 0, "train") for i in range(40)]
    unnamed = [(f"unmatched/{i}", 0, "train") for i in range(9)]
    low = small_store(tmp_path / "low.arrow", clips + named(3, "test"))
    high = small_store(tmp_path / "high.arrow", [*clips[8:], *unnamed, *named(3, "test")], seed=1)
    for group, left in ((r"^video\d+", 0), ("", 9)):  # without a pattern an id is a recording
        held = data(validation=0.3, group=group)
        learnt = ids(high, teacher_clips(high, low, FOLD, held).rows)
        assert sum(name.startswith("unmatched") for name in learnt) == left
    assert len(teacher_clips(high, low, FOLD, data(group=r"^video\d+"))) == 41


def test_the_high_views_clips_are_looked_through_for_leaks_too(tmp_path):
    low = small_store(tmp_path / "low.arrow", named(6, "train") + named(3, "test", 6))
    other = small_store(tmp_path / "high.arrow", [*named(9, "train"), ("x", 0, "test")])
    with pytest.raises(ValueError, match=r"3 clips .* of high\.arrow and in test split .* low"):
        teacher_clips(other, low, FOLD, data())
    with pytest.raises(ValueError, match=r"6 clips .* are in training split 'train'"):
        teacher_clips(low, low, Fold(train="train", test="train"), data())
    alone = small_store(tmp_path / "alone.arrow", [("x", 0, "train"), ("x ", 0, "test")])
    assert len(teacher_clips(alone, low, FOLD, data())) == 1


def test_held_out_clips_without_a_label_are_measured_on_by_nobody(tmp_path):
    clips = [(n, -1 if i % 4 == 0 else k, s) for i, (n, k, s) in enumerate(named(60, "train"))]
    store = small_store(tmp_path / "store.arrow", clips + named(3, "test", 60))
    judged = evaluation_clips(store, store, store, FOLD, data(validation=0.25))
    assert 8 <= len(judged) < 15  # of each class a quarter, and of those without one
    assert (judged.labels >= 0).all()
