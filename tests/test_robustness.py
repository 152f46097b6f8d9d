"""Sweeps of degradations over finished models, and what is drawn of them."""

import csv
import io
import json

import numpy as np
import pytest
from browser import Browser
from stores import small_experiment

from skeldistill import checkpoint, recipe
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import evaluation_clips
from skeldistill.data.store import Store
from skeldistill.data.views import derived
from skeldistill.recipe import Part
from skeldistill.report import robustness as report
from skeldistill.report.page import fill
from skeldistill.training import robustness
from skeldistill.training.evaluate import evaluate
from skeldistill.training.experiment import run
from skeldistill.training.robustness import finished, sweep

NAMES = ("JointOcclusion", "DroppedFrames")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """The folder of a finished experiment, its low view a degraded high one."""
    folder = tmp_path_factory.mktemp("robustness")
    methods, training = ("teacher", "low", "low+completion"), {"epochs": 2, "learning_rate": 0.05}
    told = small_experiment(folder, methods, seeds=(0, 1), **training)
    parsed = recipe.parse(told)
    run(parsed, folder / "run")
    return folder / "run"


@pytest.fixture(scope="module")
def swept(experiment):
    return sweep([experiment], NAMES)


def test_every_method_has_a_point_for_every_severity(swept):
    assert [row["name"] for row in swept["methods"]] == ["teacher", "low", "low+completion"]
    for row in swept["methods"]:
        assert set(row["curves"]) == set(NAMES)
        assert all(len(points) == 5 for points in row["curves"].values())
        assert row["runs"] == 2


def test_kept_is_the_mean_over_everything_relative_to_the_clean_teacher(swept):
    teacher, low, _ = swept["methods"]
    means = [point["mean"] for points in low["curves"].values() for point in points]
    assert low["kept"]["mean"] == pytest.approx(100 * np.mean(means) / teacher["clean"]["mean"])
    assert low["relative_to"] == "teacher"


def test_what_is_kept_is_relative_to_whoever_teaches_not_to_others_on_the_high_view(tmp_path):
    told = small_experiment(tmp_path, (), learning_rate=0.05)
    told["methods"] = {"student on high": {"view": "high"}, "teacher": {}, "KL": {}}
    run(recipe.parse(told), tmp_path / "run")
    (row,) = sweep([tmp_path / "run"], NAMES[:1], methods=["KL"])["methods"]
    assert row["relative_to"] == "teacher"


def test_clean_is_the_view_before_the_recipe_made_it_worse(experiment, swept):
    tasks = [task for task in finished(experiment) if task.method == "teacher"]
    clean = np.mean([task.measured()["top1"] for task in tasks])
    assert swept["methods"][0]["clean"]["mean"] == pytest.approx(clean)


def test_a_point_is_what_evaluating_a_degraded_store_gives(experiment, swept, tmp_path):
    """Chance belongs to the clip, so a view on disk with the same draws gives the same answers."""
    task = finished(experiment, ["low"])[0]
    store = Store.open(experiment.parent / "high.arrow")
    part = Part.model_validate({"name": "DroppedFrames", **_severities("DroppedFrames")[4]})
    worse = derived(store, (part,), None, 0, tmp_path)  # draws nothing: no chance in it
    clips = evaluation_clips(worse, worse, task.recipe.data.folds[0], task.recipe.data)
    side = Side(store=worse, sampling=task.recipe.sampling_of("low"))
    values = []
    for each in finished(experiment, ["low"]):
        network, _ = checkpoint.load(each.folder / "network.safetensors")
        values.append(evaluate(network, Examples(clips=clips, student=side)).accuracy(1))
    assert swept["methods"][1]["curves"]["DroppedFrames"][4]["mean"] == pytest.approx(
        np.mean(values)
    )


def _severities(name):
    return robustness.degradations.find(name).severities


def test_what_was_measured_is_not_measured_again(experiment, swept, monkeypatch):
    other = sweep([experiment], NAMES[:1], methods=["low"], seed=2, on="high")

    def refuse(*_, **__):
        raise AssertionError("measured again")

    monkeypatch.setattr(robustness, "evaluate", refuse)
    assert sweep([experiment], NAMES) == swept
    assert sweep([experiment], NAMES[:1], methods=["low"], seed=2, on="high") == other
    with pytest.raises(AssertionError, match="again"):
        sweep([experiment], NAMES, seed=1)


def test_a_broken_cache_is_measured_anew(experiment, swept):
    path = finished(experiment)[0].folder / robustness.CACHE
    path.write_text('{"mark": ', encoding="utf-8")
    assert sweep([experiment], NAMES) == swept


def test_two_experiments_are_told_apart(experiment, swept):
    both = sweep([experiment, experiment], NAMES[:1], methods=["low"])
    assert [row["name"] for row in both["methods"]] == ["run: low"] * 2
    kept = {row["name"]: row["kept"] for row in sweep([experiment], NAMES[:1])["methods"]}
    assert both["methods"][0]["relative_to"] == "teacher"  # though it is not among the methods
    assert both["methods"][0]["kept"] == kept["low"]


def test_the_table_holds_every_point(swept):
    lines = list(csv.DictReader(io.StringIO(report.as_csv(swept))))
    assert len(lines) == 3 * (1 + 2 * 5)
    first = swept["methods"][0]["curves"]["JointOcclusion"][0]["mean"]
    found = [
        line
        for line in lines
        if (line["method"], line["degradation"], line["severity"])
        == ("teacher", "JointOcclusion", "1")
    ]
    assert [float(line["top1"]) for line in found] == [first]


def test_the_table_for_a_paper_has_a_line_a_method(swept):
    text = report.as_latex(swept)
    lines = [line for line in text.splitlines() if line.endswith(r" \\")]
    assert len(lines) == 1 + 3
    assert {line.count(" & ") for line in lines} == {2 + len(NAMES)}
    assert r"Clean top-1 \%" in lines[0]


def test_from_the_command_line(skeldistill, experiment, swept, tmp_path):
    code, out, err = skeldistill(
        "robustness", experiment, "--degradations", ",".join(NAMES), "--out", tmp_path / "made"
    )
    assert code == 0, err
    assert "keeps" in out
    assert json.loads((tmp_path / "made/robustness.json").read_text()) == swept
    assert (tmp_path / "made/robustness.tex").read_text() == report.as_latex(swept)
    assert (tmp_path / "made/robustness.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "made/robustness.html").read_text(encoding="utf-8")
    assert "low+completion" in page
    assert "<svg" in page
    assert "http" not in page.replace("http://www.w3.org", "")  # the namespace of drawings


def test_a_browser_sorts_the_table(swept, tmp_path):
    page = tmp_path / "robustness.html"
    page.write_text(fill("robustness.html", report.content(swept)), encoding="utf-8")
    names = "[...document.querySelectorAll('.sortable tbody th')].map((one) => one.textContent)"
    with Browser(tmp_path / "home") as browser:
        browser.go(page.as_uri())
        browser.until("document.readyState === 'complete'")
        browser.run("document.querySelectorAll('.sortable button')[1].click()")
        found = browser.run(names)
        assert browser.errors == []
    ranked = sorted(swept["methods"], key=lambda method: -method["clean"]["mean"])
    assert found == [method["name"] for method in ranked]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--degradations", "JointOclusion"), "JointOcclusion"),
        (("--methods", "lo"), "low"),
        (("--on", "middle"), "own, high, low"),
    ],
)
def test_a_mistake_is_one_line(skeldistill, experiment, words, said):
    code, _, err = skeldistill("robustness", experiment, *words)
    assert code == 1
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_nothing_finished_is_said(skeldistill, experiment, tmp_path):
    (tmp_path / "recipe.yaml").write_bytes((experiment / "recipe.yaml").read_bytes())
    code, _, err = skeldistill("robustness", tmp_path)
    assert code == 1
    assert "no finished training" in err
