"""High skeletons for the training clips alone: the teacher teaches, and is not tested."""

import json

import numpy as np
import pytest
import yaml
from stores import named, small_experiment, small_store

from skeldistill import recipe
from skeldistill.data.pairing import evaluation_clips


@pytest.fixture
def told(tmp_path):
    """A recipe whose high view has the training clips alone."""
    said = small_experiment(tmp_path, ["teacher", "low", "PLKD"])
    clips = named(24, "train")
    high = small_store(tmp_path / "high.arrow", clips)
    low = small_store(tmp_path / "low.arrow", clips + named(12, "test", 24), seed=1)
    said["data"] = {"high": {"store": str(high.path)}, "low": {"store": str(low.path)}}
    return said


@pytest.fixture
def recipe_file(told, tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(told), encoding="utf-8")
    return path


def test_everything_goes_on_without_figures_of_the_teacher(skeldistill, recipe_file, tmp_path):
    code, out, err = skeldistill("run", recipe_file)
    assert code == 0, err
    lines = " ".join(err.split())
    assert "teacher: the high view has no clip that is tested (split 'test', or held" in lines
    assert lines.index("trained and not measured") < lines.index("low, seed 0")
    assert "report lacks" not in err
    root = tmp_path / "runs/small"
    results = json.loads((root / "results.json").read_text(encoding="utf-8"))
    teacher, low, student = results["methods"]
    assert teacher["top1"] is teacher["top5"] is teacher["confusion"] is None
    assert low["gap_closed"] is student["gap_closed"] is results["gap"] is None
    assert student["top1"]["mean"] >= 0
    assert [one["method"] for one in results["comparisons"]] == ["PLKD"]
    assert np.load(root / "features.npz")["methods"].tolist() == ["low", "PLKD"]
    for words, said in (
        (("report", root), "figures:"),
        (("compare", f"{root}:PLKD", f"{root}:low"), "PLKD"),
        (("part-matrix", root), "left arm"),
        (("robustness", root, "--degradations", "Jitter"), "PLKD"),
        (("run", recipe_file, "--plan"), "3"),
        (("train", recipe_file), "teacher: not measured (0 clips"),
    ):
        code, out, err = skeldistill(*words)
        assert (code, "nan" in out) == (0, False), (words, err)
        assert said in out, words
    for words, why in (
        (("compare", f"{root}:teacher", f"{root}:low"), "'teacher' was tested on no clip"),
        (("evaluate", root / "fold0/teacher/seed0"), "was tested on no clip; name a store"),
        (("robustness", root, "--methods", "teacher"), "has a clip to be tested on"),
    ):
        code, _, err = skeldistill(*words)
        assert code == 1, words
        assert why in err


def test_an_experiment_of_such_a_teacher_alone_ends_well(skeldistill, recipe_file):
    code, out, err = skeldistill("run", recipe_file, "--methods", "teacher")
    assert code == 0, err
    assert "report:" in out


def test_what_is_held_out_of_the_low_view_alone_tests_no_teacher(tmp_path, told):
    data = recipe.parse(told).data.model_copy(update={"validation": 0.25})
    clips = named(24, "train")
    low = small_store(tmp_path / "low.arrow", clips)
    fold = data.folds[0]
    judged = set(low.ids[evaluation_clips(low, low, low, fold, data).rows].tolist())
    high = small_store(tmp_path / "high.arrow", [one for one in clips if one[0] not in judged])
    assert len(evaluation_clips(high, high, low, fold, data)) == 0
    assert len(judged) == 6


def test_a_low_view_without_a_test_clip_is_refused(tmp_path, told):
    data = recipe.parse(told).data
    low = small_store(tmp_path / "low.arrow", named(24, "train"))
    with pytest.raises(ValueError, match="no clip in split 'test'"):
        evaluation_clips(low, low, low, data.folds[0], data)
