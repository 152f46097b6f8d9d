"""The command line from end to end: what a user types, what it says, and how it fails."""

import io
import json
import signal
import subprocess
import sys

import numpy as np
import pytest
import yaml
from rich.console import Console
from stores import named, small_store

from skeldistill.cli import stopping
from skeldistill.cli.experiments import load
from skeldistill.cli.options import listed, whole_numbers
from skeldistill.data.store_writer import StoreWriter
from skeldistill.training import experiment
from skeldistill.training.bars import shown

RECIPE = {
    "name": "small",
    "data": {
        "high": {"reader": "synthetic", "options": {"clips": 96, "view": "high"}},
        "low": {"reader": "synthetic", "options": {"clips": 96, "view": "low"}},
    },
    "sampling": {"frames": 8},
    "training": {"epochs": 1, "batch_size": 16, "warmup": 0},
    "teacher": {"name": "STGCN", "width": 0.125},
    "student": {"name": "STGCN", "width": 0.125},
    "seeds": [0],
}


@pytest.fixture
def recipe_file(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE), encoding="utf-8")
    return path


def test_the_main_job_from_recipe_to_report(skeldistill, recipe_file, tmp_path):
    code, out, err = skeldistill("run", recipe_file, "--set", "methods=[teacher, low, SKD, PLKD]")
    assert code == 0, err
    for name in ("teacher", "low", "SKD", "PLKD"):
        assert name in out
    page = (tmp_path / "runs" / "small" / "report.html").read_text(encoding="utf-8")
    assert "jumping" in page
    results = json.loads((tmp_path / "runs/small/results.json").read_text(encoding="utf-8"))
    assert len(results["methods"]) == 4
    assert results["methods"][3]["part_matrix"]

    code, out, _ = skeldistill("report", "runs/small")
    assert code == 0
    assert "top1_mean" in (tmp_path / "runs/small/table.csv").read_text(encoding="utf-8")

    code, out, _ = skeldistill("part-matrix", "runs/small", "--out", "parts.png")
    assert code == 0
    assert "left arm" in out
    assert (tmp_path / "parts.png").read_bytes().startswith(b"\x89PNG")

    low = next((tmp_path / "runs/small/views").glob("low-*.arrow"))
    network = tmp_path / "runs/small/fold0/SKD/seed0/network.safetensors"
    code, out, _ = skeldistill("evaluate", network, low, "--split", "test", "--out", "said.csv")
    assert code == 0
    assert f"{results['methods'][2]['top1']['mean']:.2f}" in out
    lines = (tmp_path / "said.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + sum(map(sum, results["methods"][2]["confusion"]))


def test_views_without_a_test_clip_in_common_end_in_a_report(skeldistill, tmp_path):
    clips = named(24, "train")
    high = small_store(tmp_path / "high.arrow", clips + named(9, "test", 24))
    low = small_store(tmp_path / "low.arrow", clips + named(9, "test", 40))
    views = {"high": {"store": str(high.path)}, "low": {"store": str(low.path)}}
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE | {"data": views}), encoding="utf-8")
    code, out, err = skeldistill("run", path, "--set", "methods=[teacher, low, SKD]")
    assert code == 0, err
    assert "report lacks" not in err
    assert "report:" in out
    held = np.load(tmp_path / "runs/small/features.npz")
    assert held["methods"].tolist() == ["low", "SKD"]
    assert len(held["ids"]) == 9


def test_a_run_ends_in_a_table_though_features_fail(skeldistill, recipe_file, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("torn\napart")

    monkeypatch.setattr("skeldistill.training.features.keep", fail)
    code, out, err = skeldistill("run", recipe_file, "--set", "methods=[low]")
    assert code == 0
    assert "the report lacks what networks see: torn apart\n" in err
    assert "report:" in out


def test_fewer_methods_and_seeds_than_a_report_has_are_told_before(
    skeldistill, recipe_file, tmp_path
):
    whole = ("run", recipe_file, "--set", "methods=[teacher, low]")
    for words, lacks in (
        (whole, None),
        ((*whole, "--methods", "low"), "will lack teacher; "),
        ((*whole, "--seeds", "0,1"), None),
        ((*whole, "--seeds", "1", "--methods", "low"), "will lack teacher, seed 0; "),
        (whole, None),
    ):
        code, _, err = skeldistill(*words)
        assert code == 0, err
        assert lacks in err if lacks else "will lack" not in err
    results = json.loads((tmp_path / "runs/small/results.json").read_text(encoding="utf-8"))
    assert [method["name"] for method in results["methods"]] == ["teacher", "low"]


def test_one_method_alone(skeldistill, recipe_file):
    code, out, err = skeldistill("train", recipe_file, "--method", "low")
    assert code == 0, err
    assert "top-1" in out
    code, out, err = skeldistill("distill", recipe_file)
    assert code == 0, err
    assert "SKD: top-1" in out
    code, _, err = skeldistill("distill", recipe_file, "--method", "low")
    assert code == 1
    assert "use `skeldistill train`" in err


def test_data_in_looked_at_and_checked(skeldistill, tmp_path):
    code, out, _ = skeldistill(
        "data", "import", "synthetic", "-", "low.arrow", "--option", "clips=64",
        "--option", "view=low",
    )  # fmt: skip
    assert code == 0
    assert "64 clips" in out
    code, out, _ = skeldistill("data", "info", "low.arrow")
    assert code == 0
    assert "coco17" in out
    code, out, _ = skeldistill("data", "check", "low.arrow")
    assert "errors" in out
    skeldistill("data", "import", "synthetic", "-", "high.arrow", "--option", "clips=64")
    code, out, _ = skeldistill("data", "show", "low.arrow", "--pair", "high.arrow", "--clips", 3)
    assert code == 0
    assert (tmp_path / "clips.html").read_text(encoding="utf-8").count('class="clip"') == 3


def test_beginning_anew_forgets_only_what_was_asked_for(
    skeldistill, recipe_file, tmp_path, monkeypatch
):
    def stopped(*_, **__):
        raise ValueError("stopped")

    monkeypatch.setattr(experiment, "run_one", stopped)
    names = ("teacher/seed0", "low/seed0", "low/seed1")
    folders = [tmp_path / "runs/small/fold0" / name for name in names]
    for folder in (*folders, tmp_path / "runs/small/fold_of_mine"):
        folder.mkdir(parents=True)
    skeldistill("train", recipe_file, "--method", "low", "--resume")
    assert all(folder.exists() for folder in folders)
    skeldistill("train", recipe_file, "--method", "low", "--restart")
    assert [folder.exists() for folder in folders] == [True, False, True]
    assert (tmp_path / "runs/small/fold_of_mine").exists()


def test_damaged_results_are_named(skeldistill, tmp_path):
    (tmp_path / "results.json").write_text("{", encoding="utf-8")
    code, _, err = skeldistill("report", ".")
    assert code == 1
    assert "results.json is damaged" in err


def test_folders_that_are_no_runs_are_told_what_they_are(skeldistill, tmp_path):
    code, _, err = skeldistill("report", tmp_path)
    assert code == 1
    assert "no finished experiment" in err
    (tmp_path / "recipe.yaml").write_text("name: a", encoding="utf-8")
    code, _, err = skeldistill("evaluate", tmp_path, "low.arrow")
    assert code == 1
    assert "is an experiment; name one of its runs" in err


def test_what_there_is(skeldistill):
    assert "mediapipe33" in skeldistill("layouts")[1]
    assert "JointOcclusion" in skeldistill("parts")[1]
    assert "persons" in skeldistill("parts", "alphapose")[1].partition("option")[2]
    assert "persons" not in skeldistill("parts", "STGCN")[1].partition("option")[2]
    told = skeldistill("parts", "SlidingWindowAverage")[1]
    assert "frames in the window" in told
    assert "window" in told.splitlines()[-3]
    code, _, err = skeldistill("parts", "SlidingWindow")
    assert code == 1
    assert "did you mean 'SlidingWindowAverage'" in err
    assert "properties" in json.loads(skeldistill("schema")[1])
    code, out, _ = skeldistill("cost", "STGCN", "--frames", 16, "--persons", 1)
    assert code == 0
    assert "STGCN" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "nowhere.yaml"], "nowhere.yaml: No such file"),
        (["run", "recipe.yaml", "--set", "training.epoch=3"], "did you mean 'epochs'?"),
        (["run", "recipe.yaml", "--set", "student.name=STCGN"], "did you mean 'STGCN'?"),
        (["run", "recipe.yaml", "--set", "data.high.store=gone.arrow"], "either a store"),
        (["run", "recipe.yaml", "--set", "data.folds=[{train: trian}]"], "trian"),
        (["run", "recipe.yaml", "--methods", "lo"], "did you mean 'low'?"),
        (["run", "recipe.yaml", "--seeds", "x"], "whole numbers"),
        (["run", "recipe.yaml", "--set", "seeds=[0, 0]"], "names one twice"),
        (["train", "recipe.yaml", "--fold", "3"], "no fold 3"),
        (["data", "info", "recipe.yaml"], "recipe.yaml"),
        (["data", "info", "gone.arrow"], "gone.arrow"),
        (["data", "import", "pysk", "a.pkl", "b.arrow"], "did you mean 'pyskl'?"),
        (["data", "import", "pyskl", "a.pkl", "b.arrow"], "a.pkl"),
        (["data", "import", "penn", ".", "b.arrow", "--option", "hide=1"], "no option"),
        (["data", "import", "pyskl", "a.pkl", "b.arrow", "--option", "layout=[1"], "not YAML"),
        (["data", "import", "pyskl", "a.pkl", "b.arrow", "--option", "layout=3"], "no layout"),
        (["run", "recipe.yaml", "--set", "name=../up"], "name"),
        (["evaluate", "recipe.yaml", "gone.arrow"], "recipe.yaml"),
        (["report", "."], "results.json"),
        (["cost", "STGCN", "--layout", "coco18"], "did you mean 'coco17'?"),
    ],
)
def test_a_mistake_is_one_line_and_a_status(skeldistill, recipe_file, tmp_path, words, said):
    before = {path.name for path in tmp_path.rglob("*.arrow")}
    code, _, err = skeldistill(*words)
    assert code == 1
    assert said in err
    assert len([line for line in err.strip().splitlines() if "━" not in line]) == 1  # but bars
    assert {path.name for path in tmp_path.glob("*.arrow")} == before


def test_numbers_with_commas_between():
    assert whole_numbers("0, 1,2,1", "--seeds") == (0, 1, 2)
    for wrong in ("", "0,", "-1", "1.5"):
        with pytest.raises(ValueError, match="write whole numbers"):
            whole_numbers(wrong, "--seeds")


def test_methods_are_run_with_all_that_they_need(recipe_file):
    changes = ["methods={teacher: {}, low: {}, KL: {start_from: low}, SKD: {}}"]
    assert list(load(recipe_file, changes, "KL, teacher").methods) == ["teacher", "low", "KL"]


def test_an_error_has_a_line_of_its_own_where_bars_are_not_drawn_anew():
    told = io.StringIO()
    with pytest.raises(ValueError, match="too late"), shown([], Console(file=told)):
        raise ValueError("too late")
    assert told.getvalue().endswith("\n")


def test_wrong_words_on_the_command_line_are_explained(skeldistill):
    code, _, err = skeldistill("rum")
    assert code == 2
    assert "rum" in err


def test_evaluating_on_another_layout_says_which(skeldistill, recipe_file, tmp_path):
    skeldistill("train", recipe_file)
    small_store(tmp_path / "penn.arrow", named(4, "test"))
    network = tmp_path / "runs/small/fold0/teacher/seed0/network.safetensors"
    code, _, err = skeldistill("evaluate", network, tmp_path / "penn.arrow")
    assert code == 1
    assert "coco17" in err
    assert "penn13" in err


WITHOUT_TORCH = """
--help
run --help
run nowhere.yaml
train nowhere.yaml
distill nowhere.yaml
run recipe.yaml --plan --restart
train recipe.yaml --method nobody
train recipe.yaml --fold 3
report nowhere
part-matrix nowhere
robustness nowhere
evaluate run.safetensors --split test
evaluate run.safetensors --weights 1,2
predict nowhere film.mp4
predict run.safetensors film.mp4 --window long
export nowhere out
export run.safetensors out --split test
serve nowhere
serve run.safetensors --window long
reproduce nowhere
cost STGCN --layout nowhere
import-weights STGCN w.pt --layout nowhere --classes 3 --preparation ctr-gcn --out out
data import nowhere - out.arrow
data info nowhere.arrow
data check nowhere.arrow
data info low.arrow
data check low.arrow
layouts
schema
"""


def test_help_slips_and_stores_come_without_loading_torch(recipe_file, tmp_path):
    small_store(tmp_path / "low.arrow", named(6, "test"))
    (tmp_path / "run.safetensors").touch()
    code = (
        "import sys\n"
        "from skeldistill.cli import main\n"
        "for line in sys.stdin.read().strip().splitlines():\n"
        "    sys.argv = ['skeldistill', *line.split()]\n"
        "    try: main()\n"
        "    except SystemExit: assert 'torch' not in sys.modules, line\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=WITHOUT_TORCH,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "whole comparison" in done.stdout


def ctrl_c() -> None:
    raise KeyboardInterrupt  # not by its signal, which is ignored where tests run in the background


def sigterm() -> None:
    signal.raise_signal(signal.SIGTERM)


@pytest.mark.parametrize("stop", [ctrl_c, sigterm])
def test_a_stopped_command_says_how_to_go_on(skeldistill, recipe_file, monkeypatch, stop):
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(experiment, "run", lambda *_, **__: stop())
    code, _, err = skeldistill("run", recipe_file)
    assert code == 130
    assert "goes on where it left off" in err
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("stop", [ctrl_c, sigterm])
def test_a_stopped_import_leaves_nothing_and_promises_nothing(
    skeldistill, tmp_path, monkeypatch, stop
):
    monkeypatch.setattr(StoreWriter, "_check", lambda *_: stop())
    code, _, err = skeldistill("data", "import", "synthetic", "-", "made/a.arrow")
    assert (code, err.splitlines()[-1]) == (130, "stopped")
    assert not list(tmp_path.glob("made/*"))


def test_torchrun_ends_its_processes_itself(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    before = signal.getsignal(signal.SIGTERM)
    with stopping.stopped_well():
        assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("low", ["low"]),
        ("low, PLKD", ["low", "PLKD"]),
        ("low, paired,low", ["low, paired", "low"]),
        ("PLKD,low, paired", ["PLKD", "low, paired"]),
        ("lo,low", ["lo", "low"]),
        ("low,", ["low", ""]),
    ],
)
def test_names_in_a_list_may_hold_commas(text, names):
    assert listed(text, {"low", "low, paired", "PLKD"}) == names


def test_a_method_with_a_comma_is_chosen_by_its_name(tmp_path):
    path = tmp_path / "recipe.yaml"
    methods = {"teacher": {}, "low": {}, "low, paired": {"clips": "paired"}}
    path.write_text(yaml.safe_dump({**RECIPE, "methods": methods}))
    assert list(load(path, [], "teacher,low, paired").methods) == ["teacher", "low, paired"]
