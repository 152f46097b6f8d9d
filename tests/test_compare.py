"""Finished methods of any two experiments, compared by clip."""

import json
from dataclasses import replace

import numpy as np
import pytest

from skeldistill.training.between import between, open_finished


def finish(root, method, seed, right, *, fold=0, ids=None, labels=None, **measured):
    """What a finished training leaves, with the given clips named rightly."""
    labels = np.arange(len(right)) % 3 if labels is None else labels
    answers = np.where(right, labels, (labels + 1) % 3)
    folder = root / f"fold{fold}" / method / f"seed{seed}"
    folder.mkdir(parents=True)
    ids = np.array(ids if ids is not None else [f"c{i}" for i in range(len(right))])
    logits = np.eye(3, dtype=np.float32)[answers]
    np.savez(folder / "said.npz", logits=logits, labels=labels.astype(np.int64), ids=ids)
    (folder / "measured.json").write_text(json.dumps(measured))


@pytest.fixture
def runs(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    for seed in (0, 1):
        finish(a, "SKD", seed, np.array([1, 1, 1, 0], bool))
        # the other experiment has the clips in another order, and one more
        finish(
            b,
            "low",
            seed,
            np.array([1, 0, 0, 1, 1], bool),
            ids=["c3", "c2", "c1", "c0", "x"],
            labels=np.array([0, 2, 1, 0, 0]),
        )
    return a, b


def test_clips_are_paired_by_id(runs):
    a, b = runs
    found = between(open_finished(f"{a}:SKD"), open_finished(f"{b}:low"))
    assert (found.clips, found.left_out) == (4, 1)
    assert found.accuracies == (75, 50)
    assert (found.comparison.gained, found.comparison.lost) == (2, 1)
    assert found.comparison.difference == 25


def test_a_clip_of_several_folds_is_one_clip(tmp_path):
    right = {"a": np.array([1, 1, 1, 0, 1, 1], bool), "b": np.array([1, 0, 0, 0, 0, 0], bool)}
    for name, said in right.items():
        for fold in range(3):
            for seed in (0, 1):
                finish(tmp_path / "r", name, seed, said, fold=fold)
    found = between(open_finished(f"{tmp_path}/r:a"), open_finished(f"{tmp_path}/r:b"))
    assert (found.clips, found.distinct, len(found.folds)) == (18, 6, 3)
    assert (found.comparison.gained, found.comparison.lost) == (4, 0)
    assert found.comparison.p > 0.05  # 4 of 4 coins; as 12 clips they would look certain


def test_a_method_is_no_better_than_itself(runs):
    one = open_finished(f"{runs[0]}:SKD")
    found = between(one, one).comparison
    assert (found.difference, found.p, found.mcnemar_p, found.cohens_h) == (0, 1, 1, 0)


def test_experiments_of_one_name_are_told_apart(tmp_path, monkeypatch):
    for folder, right in (("new", [1, 1]), ("old", [1, 0])):
        finish(tmp_path / folder / "demo", "SKD", 0, np.array(right, bool))
    monkeypatch.chdir(tmp_path / "new" / "demo")
    new, old = open_finished(".:SKD"), open_finished("../../old/demo:SKD")
    assert new.name == "demo:SKD"
    assert between(new, old).sentence.startswith(".:SKD against ../../old/demo:SKD: +50.0")
    assert between(new, new).sentence.startswith("demo:SKD against demo:SKD: +0.0")


def test_seeds_that_differ_are_paired_in_order(tmp_path):
    right = np.array([1, 0, 1], bool)
    for method, seeds in (("one", (0, 1, 2)), ("two", (7, 8))):
        for seed in seeds:
            finish(tmp_path / "r", method, seed, right)
    found = between(open_finished(f"{tmp_path}/r:one"), open_finished(f"{tmp_path}/r:two"))
    assert found.seeds == ((0, 7), (1, 8))


def test_trainings_of_several_recipes_are_no_seeds_of_one_method(tmp_path):
    for seed, kind in enumerate(("old", "new", "new")):
        finish(tmp_path / "r", "SKD", seed, np.array([1, 0], bool), kind=kind)
        finish(tmp_path / "r", "low", seed, np.array([1, 0], bool), kind="new")
    finish(tmp_path / "r", "low", 3, np.array([1, 0], bool))  # by an older version
    assert set(open_finished(f"{tmp_path}/r:low").said[0]) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match=r"fold0/SKD/seed0 and fold0/SKD/seed1 .*other settings"):
        open_finished(f"{tmp_path}/r:SKD")


def test_the_command_ends_in_a_sentence(runs, skeldistill):
    a, b = runs
    for extra in ([], ["--json"]):
        code, said, err = skeldistill("compare", f"{a}:SKD", f"{b}:low", *extra)
        assert code == 0, err
        if extra:
            assert json.loads(said)["comparison"]["difference"] == 25
        else:
            assert said.splitlines()[-1].startswith("a:SKD and b:low cannot be told apart: +25.0")
            assert "McNemar" in said


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        ("a:SKD", "nowhere:low", "no such experiment"),
        ("a:PLKD", "b:low", "no finished method 'PLKD'; it has SKD"),
        ("a", "b:low", "recipe.yaml"),
    ],
)
def test_what_cannot_be_compared_is_refused(runs, left, right, message):
    folder = runs[0].parent
    with pytest.raises(ValueError, match=message):
        between(open_finished(f"{folder}/{left}"), open_finished(f"{folder}/{right}"))


def test_damaged_answers_are_named_in_one_line(runs, skeldistill):
    damaged = runs[0] / "fold0/SKD/seed1/said.npz"
    whole = damaged.read_bytes()
    for left in (0, len(whole) // 2):
        damaged.write_bytes(whole[:left])
        code, _, err = skeldistill("compare", f"{runs[0]}:SKD", f"{runs[1]}:low")
        assert code == 1
        assert f"{damaged} is damaged" in err
        assert "delete its folder" in err


def test_other_data_is_refused(runs, tmp_path):
    finish(tmp_path / "c", "low", 0, np.ones(4, bool), labels=np.array([1, 1, 1, 1]))
    finish(tmp_path / "d", "low", 0, np.ones(4, bool), ids=["p", "q", "r", "s"])
    mine = open_finished(f"{runs[0]}:SKD")
    other = replace(mine, said={fold: dict(seeds) for fold, seeds in mine.said.items()})
    for seeds in other.said.values():
        for seed, one in seeds.items():
            seeds[seed] = replace(one, logits=np.pad(one.logits, ((0, 0), (0, 2))))
    with pytest.raises(ValueError, match=r"tells 3 actions .* the other 5; .* data"):
        between(mine, other)
    with pytest.raises(ValueError, match="other data"):
        between(mine, open_finished(f"{tmp_path}/c:low"))
    with pytest.raises(ValueError, match="other clips"):
        between(mine, open_finished(f"{tmp_path}/d:low"))
