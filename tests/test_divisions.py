"""Official splits: those that readers promise are those that their clips come with."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from format_files import WRITERS, body, skeleton_text
from stores import named, small_store

from skeldistill import readers, recipe
from skeldistill.data.pairing import paired_ids, training_clips
from skeldistill.readers.ntu import MINI, XSUB_120


@pytest.mark.parametrize("name", WRITERS)
def test_clips_are_in_the_splits_that_are_promised(
    name: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    reader = readers.find(name)
    found = {split for clip in reader.read(WRITERS[name](tmp_path, rng)) for split in clip.splits}
    divisions = readers.divisions(reader)
    promised = {split for one in divisions for split in (one.train, one.test)}
    if divisions:
        assert found <= promised
        assert all(one.about and one.train != one.test for one in divisions)
    else:
        assert name in ("alphapose", "coco_result", "csv", "openpose", "openpifpaf")


def test_every_data_set_of_both_papers_has_its_divisions() -> None:
    promised = {
        ("penn", ()): ["train"],
        ("ntu", ()): ["xsub_train", "xview_train"],
        ("ntu", (("actions", 120),)): ["xsub_train", "xset_train", "mini_train"],
        ("kinetics_skeleton", ()): ["train"],
        ("sysu", ()): [
            f"setting{setting}_seeded{repeat:02d}_train"
            for setting in (1, 2)
            for repeat in range(1, 31)
        ],
    }
    for (name, options), trains in promised.items():
        found = readers.divisions(readers.find(name, **dict(options)))
        assert [one.train for one in found] == trains


def test_counts_of_ntu_follow_the_missing_list(tmp_path: Path) -> None:
    everything = readers.divisions(readers.find("ntu"))
    assert {sum(one.clips or ()) for one in everything} == {56880}
    listed = tmp_path / "missing.txt"
    listed.write_text("Some words\nabove\n\nS001C001P001R001A001\n")
    left = readers.divisions(readers.find("ntu", missing=str(listed)))
    assert {sum(one.clips or ()) for one in left} == {56880 - 302}


def test_splits_of_the_users_file_are_divisions(tmp_path: Path) -> None:
    file = tmp_path / "splits.json"
    file.write_text(json.dumps({"a_train": ["x/video1"], "a_test": ["y/video1"], "b": ["z"]}))
    found = readers.divisions(readers.find("sysu", splits=str(file)))
    assert [(one.train, one.test) for one in found] == [("a_train", "a_test")]


def test_mini_ntu_has_ten_new_actions_of_new_subjects(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    assert len(MINI) == 10
    assert set(MINI) <= set(range(61, 121))
    text = skeleton_text([[(1, joints)] for joints in body(rng, 12, 25, 3)])
    for subject in (38, 45, 44):
        for action in (1, 60, 61, 62, 115, 120):
            name = f"S018C001P{subject:03d}R001A{action:03d}.skeleton"
            (tmp_path / name).write_text(text)
    clips = list(readers.find("ntu", actions=120).read(tmp_path))
    told = {
        clip.id[8:12] + clip.id[16:]: split
        for clip in clips
        for split in clip.splits
        if split.startswith("mini")
    }
    assert told == {
        "P045A061": "mini_train", "P045A115": "mini_train",
        "P044A061": "mini_test", "P044A115": "mini_test",
    }  # fmt: skip
    assert 45 in XSUB_120
    assert not any(
        split.startswith("mini")
        for clip in readers.find("ntu", actions=60).read(tmp_path / "S018C001P038R001A001.skeleton")
        for split in clip.splits
    )


def test_the_list_of_paired_clips_is_the_same_everywhere(tmp_path: Path) -> None:
    store = small_store(tmp_path / "a.arrow", named(60, "train"))
    mixed = named(60, "train")
    mixed = [mixed[i] for i in np.random.default_rng(1).permutation(60)]
    other = small_store(tmp_path / "b.arrow", mixed, seed=5)
    for share in (0.8, 0.7):
        ids = paired_ids(store, "train", share)
        assert sorted(ids) == sorted(paired_ids(other, "train", share))
        assert Counter(int(one[4:]) % 3 for one in ids) == dict.fromkeys(range(3), 20 * share)
    assert set(paired_ids(store, "train", 0.7)) < set(paired_ids(store, "train", 0.8))
    assert paired_ids(store, "train", 0.7) != paired_ids(store, "train", 0.7, seed=1)
    # by hand: in each class those whose SHA-256 of "paired:0:id" begins lowest
    ranks = {one: hashlib.sha256(f"paired:0:{one}".encode()).hexdigest() for one, _, _ in mixed}
    expected = [
        one
        for label in range(3)
        for one in sorted((one for one, mine, _ in mixed if mine == label), key=ranks.get)[:14]
    ]
    assert sorted(paired_ids(store, "train", 0.7)) == sorted(expected)


@pytest.mark.parametrize("solitary", [0, 11])
def test_the_list_is_what_training_keeps(tmp_path: Path, solitary: int) -> None:
    clips = [*named(30, "train"), *named(6, "test", start=30)]
    low = small_store(tmp_path / "low.arrow", clips)
    high = small_store(tmp_path / "high.arrow", clips[solitary:])
    data = recipe.Data(high=recipe.View(store="high.arrow"), paired=0.7, seed=3)
    kept = training_clips(low, high, recipe.Fold(), data).only_paired()
    assert low.ids[kept.rows].tolist() == paired_ids(low, "train", 0.7, 3, high)
    assert set(low.ids[kept.rows]) <= set(paired_ids(low, "train", 0.7, 3))
    with pytest.raises(ValueError, match="share must be above 0"):
        paired_ids(low, "train", 1.5)
    with pytest.raises(ValueError, match="no clip in split 'trian'"):
        paired_ids(low, "trian", 0.5)
