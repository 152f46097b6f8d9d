"""Sweeps of degradations over finished models, and what is drawn of them."""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from browser import Browser
from scipy import stats
from stores import small_experiment

from skeldistill import checkpoint, degradations, recipe
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import evaluation_clips
from skeldistill.data.store import Store
from skeldistill.data.views import derived
from skeldistill.recipe import Part
from skeldistill.report import robustness as report
from skeldistill.report.page import fill
from skeldistill.robustness import sweep as robustness
from skeldistill.robustness.answers import CACHE, Kept, Swept
from skeldistill.robustness.rows import Method, Reference, best_clean, comparisons, rows
from skeldistill.robustness.runs import finished, labelled
from skeldistill.robustness.settings import USUAL, Setting, named
from skeldistill.robustness.sweep import sweep
from skeldistill.training.evaluate import evaluate
from skeldistill.training.experiment import run
from skeldistill.training.task import Task

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
    assert swept["relative_to"] == {"name": "teacher", "accuracy": teacher["clean"]["mean"]}


def test_what_is_kept_is_relative_to_whoever_teaches_not_to_others_on_the_high_view(tmp_path):
    told = small_experiment(tmp_path, (), learning_rate=0.05)
    told["methods"] = {"student on high": {"view": "high"}, "teacher": {}, "KL": {}}
    run(recipe.parse(told), tmp_path / "run")
    assert sweep([tmp_path / "run"], NAMES[:1], methods=["KL"])["relative_to"]["name"] == "teacher"


@pytest.fixture
def weak(experiment, tmp_path):
    """The same experiment, but that its teacher names every fourth clip alone."""
    folder = shutil.copytree(experiment, tmp_path / "weak")
    for task in finished(folder, ["teacher"]):
        said = task.said()
        logits = np.eye(said.logits.shape[1], dtype=np.float32)[said.labels]
        logits[np.arange(len(logits)) % 4 > 0] *= -1
        np.savez(task.folder / "said.npz", logits=logits, labels=said.labels, ids=said.ids)
    return folder


def test_a_weak_teacher_does_not_make_its_students_robust(experiment, weak, swept):
    both = sweep([experiment, weak], NAMES)
    assert both["relative_to"] == swept["relative_to"] | {"name": "run: teacher"}
    kept = {row["name"]: row["kept"] for row in both["methods"]}
    assert kept["weak: low"] == kept["run: low"] == swept["methods"][1]["kept"]
    assert sweep([weak, experiment], NAMES)["relative_to"] == {
        "name": "weak: teacher",
        "accuracy": 25.0,
    }
    told = f"run: teacher ({swept['relative_to']['accuracy']:.1f} %)"
    assert told in report.kept_note(both)
    assert told in report.summary(both)
    assert told in report.as_latex(both).replace(r"\%", "%")
    assert report.kept_note(both) in report.content(both)["kept_note"]


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
    clips = evaluation_clips(worse, worse, worse, task.recipe.data.folds[0], task.recipe.data)
    side = Side(store=worse, sampling=task.recipe.sampling_of("low"))
    values = []
    for each in finished(experiment, ["low"]):
        network, _ = checkpoint.load(each.folder / "network.safetensors")
        values.append(evaluate(network, Examples(clips=clips, student=side)).accuracy(1))
    assert swept["methods"][1]["curves"]["DroppedFrames"][4]["mean"] == pytest.approx(
        np.mean(values)
    )


def _severities(name):
    return degradations.find(name).severities


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
    path = finished(experiment)[0].folder / CACHE
    whole = path.read_text(encoding="utf-8")
    path.write_text('{"mark": ', encoding="utf-8")
    assert sweep([experiment], NAMES) == swept
    old = {"mark": json.loads(whole)["mark"], "accuracies": {"own 0": {"clean []": 100.0}}}
    path.write_text(json.dumps(old), encoding="utf-8")  # of a version that kept no clips
    assert sweep([experiment], NAMES) == swept


def test_what_is_kept_of_the_clips_is_a_bit_for_each(experiment, swept):
    task = finished(experiment)[0]
    held = json.loads((task.folder / CACHE).read_text(encoding="utf-8"))
    assert held["clips"]["own"] == list(task.said().ids)
    assert {len(bits) for bits in held["right"]["own 0"].values()} == {4}  # of 12 clips, in hex
    ids, right = Kept(task, "own", 0)["clean []"]
    assert (list(ids), right.tolist()) == (list(task.said().ids), task.said().right.tolist())


def test_two_experiments_of_one_name_are_told_apart(experiment, swept, tmp_path):
    other = shutil.copytree(experiment, tmp_path / "other" / "run")
    both = sweep([experiment, other], NAMES[:1], methods=["low"])
    mine = f"{experiment.parent.name}/run"
    assert [row["name"] for row in both["methods"]] == [f"{mine}: low", "other/run: low"]
    assert both["title"] == f"Robustness of {mine}, other/run"
    kept = {row["name"]: row["kept"] for row in sweep([experiment], NAMES[:1])["methods"]}
    assert both["relative_to"]["name"] == f"{mine}: teacher"  # though it is not among the methods
    assert both["methods"][0]["kept"] == kept["low"]


def test_runs_are_called_as_shortly_as_tells_them_apart(tmp_path, monkeypatch):
    told = labelled([tmp_path / "a/runs/x", tmp_path / "b/runs/x", tmp_path / "b/y"])
    assert list(told.values()) == ["a/runs/x", "b/runs/x", "y"]
    (tmp_path / "b/y").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "b/y")
    assert list(labelled([Path(), tmp_path / "b" / "y"]).values()) == ["y"]  # one folder, once
    assert list(labelled([tmp_path, tmp_path / tmp_path.name]).values()) == [
        f"{tmp_path.parent.name}/{tmp_path.name}",
        f"{tmp_path.name}/{tmp_path.name}",
    ]


def test_a_method_need_not_be_in_every_run(experiment, tmp_path):
    told = small_experiment(tmp_path, ("teacher", "low+augmentation"), learning_rate=0.05)
    run(recipe.parse(told), tmp_path / "second")
    both = sweep([experiment, tmp_path / "second"], NAMES[:1], methods=["low", "low+augmentation"])
    names = [row["name"] for row in both["methods"]]
    assert names == ["run: low", "second: low+augmentation"]
    with pytest.raises(ValueError, match=r"second has no method low; leave the run out"):
        sweep([experiment, tmp_path / "second"], NAMES[:1], methods=["low"])


def test_options_hold_at_every_severity():
    text = "usual, PartOcclusion:part=left_arm,share=0.5,Jitter,RAGCNParts:shown=false"
    names = named(text)
    assert names == (*USUAL, "PartOcclusion:part=left_arm,share=0.5", "RAGCNParts:shown=false")
    arm, parts = (Setting(degradation=name, severity=1) for name in names[-2:])
    assert (arm.made.part, arm.made.share) == ("left_arm", 0.5)
    assert parts.options == {"part": 3, "shown": False}
    assert not parts.made.shown
    assert Setting(degradation="RAGCNParts", severity=1).made.shown


@pytest.fixture
def made(tmp_path):
    """Makes a method of the low view: what each training named rightly, clean and made worse."""
    told = recipe.parse(small_experiment(tmp_path, ["low"]))

    def make(name, clean, worse, first=0):
        swept = []
        for seed, said in enumerate(zip(clean, worse, strict=True)):
            task = Task(recipe=told, root=tmp_path, method="low", fold=0, seed=seed)
            keys = ("clean", *(f"Jitter {severity}" for severity in range(1, 6)))
            ids = [f"clip{place}" for place in range(first, first + len(said[0]))]
            asked = {key: (ids, np.array(said[key != "clean"])) for key in keys}
            swept.append(Swept(task=task, asked=asked))
        return Method(name=name, swept=swept)

    return make


def test_the_interval_of_what_is_kept_is_of_the_clips_by_hand(made):
    """Trainings that all say the same: their spread is none, that of the clips is."""
    low = made("low", [[1] * 10] * 3, [[1] * 7 + [0] * 3] * 3)
    (row,) = rows([low], ["Jitter"], Reference(name="teacher", accuracy=80.0))
    half = stats.t.ppf(0.975, 9) * np.sqrt(0.7 * 0.3 / 9)
    for found, scale in ((row["curves"]["Jitter"][0], 1), (row["kept"], 1 / 0.8)):
        assert found["mean"] == pytest.approx(70 * scale)
        assert found["low"] == pytest.approx(100 * (0.7 - half) * scale)
    assert row["kept"]["high"] == pytest.approx(100 / 0.8)


def summary(methods):
    reference = best_clean(methods)
    return report.summary(
        {
            "relative_to": {"name": reference.name, "accuracy": reference.accuracy},
            "methods": rows(methods, ["Jitter"], reference),
            "comparisons": comparisons(methods),
        }
    )


def test_the_most_is_said_of_what_is_above_noise_only(made):
    many, clean = 100, [[1] * 100] * 2
    best, near, least = (
        made(name, clean, [[1] * right + [0] * (many - right)] * 2)
        for name, right in (("best", 90), ("near", 89), ("least", 20))
    )
    said = summary([near, least, best])
    assert "best keeps 90.0 % of the clean accuracy of near (100.0 %); least keeps 20.0 %." in said
    assert "In mean top-1 best is better than least by 70.0 points" in said
    assert "the most of 2 students; least keeps" in summary([best, least])
    close = summary([best, near])
    assert "the most" not in close
    assert "best and near cannot be told apart" in close


def test_one_seed_or_other_clips_make_nobody_the_best(made):
    few = made("few", [[1] * 40], [[1] * 36 + [0] * 4])
    least = made("least", [[1] * 40], [[0] * 40])
    assert "one seed does not show" in summary([few, least])
    other = made("other", [[1] * 40] * 2, [[0] * 40] * 2, first=20)
    best = made("best", [[1] * 40] * 2, [[1] * 40] * 2)
    assert comparisons([other, best]) == []
    assert "and so are not compared" in summary([other, best])
    for said in (summary([few, least]), summary([other, best])):
        assert "the most" not in said


def test_nothing_is_relative_to_a_teacher_that_is_never_right(made):
    with pytest.raises(ValueError, match="teacher names no clip rightly"):
        rows([made("low", [[1]], [[1]])], ["Jitter"], Reference(name="teacher", accuracy=0.0))


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


def test_what_is_blanked_is_said(swept):
    assert report.shown_note(swept) == ""
    entries = [{"name": "RAGCNParts", "severities": [{"part": 1}] * 5, "shown": True}]
    note = report.shown_note({**swept, "degradations": entries})
    assert note.startswith("Blanked in what each network is shown")
    assert note.endswith(": RAGCNParts.")


@pytest.mark.parametrize("clean", [0.0, 100.0])
def test_where_all_clips_are_right_or_wrong_no_interval_is_drawn(swept, clean):
    one = {**swept["methods"][1], "runs": 3, "clean": {"mean": clean, "low": None, "high": None}}
    (axes, _) = report.figure({**swept, "methods": [one]}).axes[:2]
    (band,) = axes.collections
    assert {x for path in band.get_paths() for x in path.vertices[:, 0]} == {1, 2, 3, 4, 5}


def test_no_two_lines_of_a_figure_look_alike(swept):
    one = swept["methods"][1]
    views = ["high", *["low"] * 5, "high", *["low"] * 5]
    methods = [{**one, "name": f"method {i}", "view": view} for i, view in enumerate(views)]
    (entry, _) = swept["degradations"]
    severities = [{**severity, "burst": 3} for severity in entry["severities"]]
    entry = {**entry, "severities": severities}
    drawn = report.figure({**swept, "methods": methods, "degradations": [entry]})
    (axes,) = drawn.axes
    patterns = {str(line._dash_pattern) + line.get_color() for line in axes.lines}
    assert len(patterns) == len(axes.lines) == 12
    ticks = [tick.get_text() for tick in axes.get_xticklabels()]
    assert ticks == ["clean", *(f"{severity['probability']:g}" for severity in severities)]


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
        (("--degradations", "Jitter:deviaton=1"), "did you mean 'deviation'"),
        (("--degradations", "Jitter:deviation"), "write 'deviation' as option=value"),
        (("--degradations", "Jitter:deviation=0.1"), "the same at all severities"),
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
