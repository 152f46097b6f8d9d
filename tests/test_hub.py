"""Models to share: what others get, and where they get it from."""

import json
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
import yaml
from exporting import RECIPE, about, clips_in, saved, seasoned

import skeldistill
from skeldistill import checkpoint, networks, recipe
from skeldistill.cli import main
from skeldistill.deploy.hub import export_hub, from_pretrained, without_paths
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.layouts import PENN13


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder within its experiment: fold0/SKD/seed1."""
    root = tmp_path_factory.mktemp("experiment")
    folder = root / "fold0" / "SKD" / "seed1"
    saved(folder / "network.safetensors")
    history = [{"epoch": 0, "loss": 1.25, "seconds": 0.5}]
    measured = {"top1": 81.25, "top5": 99.5, "clips": 48, "history": history}
    (folder / "measured.json").write_text(json.dumps(measured))
    top1 = {"mean": 80.5, "low": 78.0, "high": 83.0, "values": [81.25, 79.75]}
    results = {
        "name": "small",
        "methods": [{"name": "SKD", "top1": top1, "curves": [{"epochs": history}]}],
        "comparisons": [{"method": "SKD", "sentence": "SKD is better than low by 3.0 points."}],
    }
    (root / "results.json").write_text(json.dumps(results))
    return folder


@pytest.fixture(scope="module")
def shared(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub") / "shared"
    export_hub(run, folder, accuracy="on 5 clips of mine.arrow: top-1 80.00 %")
    return folder


def test_the_folder_gives_the_same_recogniser(run, shared, tmp_path):
    assert {path.name for path in shared.iterdir()} == {
        "README.md", "model.safetensors", "recipe.yaml",
    }  # fmt: skip
    clips = [clips_in(tmp_path / "low.arrow").clip(row) for row in range(4)]
    ours, theirs = Recogniser.load(run), skeldistill.from_pretrained(shared)
    np.testing.assert_array_equal(ours.logits(clips), theirs.logits(clips))
    assert theirs.classes == ("run", "sit", "wave")
    assert theirs.sampling == ours.sampling


@pytest.mark.parametrize("name", ["recipe.yaml", "README.md"])
def test_what_is_no_earlier_export_is_not_written_over(run, name, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(ValueError, match=f"holds a {name} that would be written over"):
        export_hub(run, tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "mine"}


def test_an_earlier_export_is_written_anew_unless_its_card_was_filled_in(run, tmp_path):
    card = tmp_path / "README.md"
    export_hub(run, tmp_path, accuracy="on 5 clips: top-1 80.00 %")
    export_hub(run, tmp_path, accuracy="on 5 clips: top-1 60.00 %")
    assert "60.00" in card.read_text()
    assert "80.00" not in card.read_text()
    filled = card.read_text().replace("## Limits", "## Limits\n\n- Not for the dark.")
    card.write_text(filled)
    with pytest.raises(ValueError, match=r"README\.md was filled in since it was written; move"):
        export_hub(run, tmp_path)
    assert card.read_text() == filled


def test_the_card_says_what_was_measured_and_how(shared):
    card = (shared / "README.md").read_text()
    header = yaml.safe_load(card.split("---")[1])
    assert header["library_name"] == "skeldistill"
    for words in (
        "run, sit, wave",
        "top-1 81.25 %",
        "80.50 %, 95 % interval 78.00 to 83.00",
        "SKD is better than low by 3.0 points.",
        "on 5 clips of mine.arrow: top-1 80.00 %",
        "taught by `teacher`",
        "penn13",
        "8 frames",
        "held out: `test`",
    ):
        assert words in card, words
    assert "{" not in card


def test_results_of_an_earlier_training_are_not_told(run, tmp_path):
    folder = tmp_path / "fold0" / "SKD" / "seed1"
    shutil.copytree(run, folder)
    shutil.copy(run.parents[2] / "results.json", tmp_path)
    measured = json.loads((run / "measured.json").read_text())
    later = measured | {"top1": 90.0, "history": [{**measured["history"][0], "seconds": 40.5}]}
    (folder / "measured.json").write_text(json.dumps(later))
    export_hub(folder, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "top-1 90.00 %" in card
    assert "95 % interval" not in card
    assert "better than low" not in card


def card_of(tmp_path, network, **changes):
    """The card of a network whose recipe is changed."""
    told = about()
    told["recipe"] = recipe.parse(RECIPE | changes).model_dump(mode="json")
    checkpoint.save(tmp_path / "network.safetensors", network, about=told)
    (tmp_path / "measured.json").write_text('{"top1": 81.25, "top5": 99.5, "clips": 48}')
    export_hub(tmp_path / "network.safetensors", tmp_path / "out")
    return (tmp_path / "out" / "README.md").read_text()


def test_the_card_does_not_call_held_out_what_nobody_looked_at(tmp_path):
    card = card_of(tmp_path, seasoned(networks.ST2sGCN), data=RECIPE["data"] | {"validation": 0.25})
    told = "trained on 75 % of split `train`; measured on the rest of it, `test` was not looked at"
    assert told in card
    measured = "these weights, on the rest of split `train` (`test` was not looked at): top-1 81.25"
    assert measured in card
    assert "held out" not in card
    assert "held-out" not in card


def test_the_card_names_every_teacher(tmp_path):
    methods = {
        "teacher": {},
        "other": {"view": "high", "network": "teacher", "seed": 1},
        "SKD": {"losses": ["KL"], "teacher": ["teacher", "other"]},
    }
    card = card_of(tmp_path, seasoned(networks.ST2sGCN), methods=methods)
    assert "taught by `teacher`, `other` with KL" in card
    assert "3 epochs of batches of 4" in card


def test_the_card_tells_what_was_fitted_in_closed_form(tmp_path):
    network = networks.RankPooling(PENN13, classes=3, persons=2, channels=3)
    card = card_of(tmp_path, network, student={"name": "RankPooling"})
    assert "- fitted in closed form\n" in card
    assert "epochs" not in card


def test_a_lonely_network_has_a_card_too(tmp_path):
    network, about = checkpoint.load(saved(tmp_path / "network.safetensors"))
    about = {key: about[key] for key in ("classes", "units", "sampling", "coordinates")}
    checkpoint.save(tmp_path / "bare.safetensors", network, about=about)
    export_hub(tmp_path / "network.safetensors", tmp_path / "out")
    assert (tmp_path / "out" / "recipe.yaml").exists()
    export_hub(tmp_path / "bare.safetensors", tmp_path / "out")
    assert "nobody measured it" in (tmp_path / "out" / "README.md").read_text()
    assert not (tmp_path / "out" / "recipe.yaml").exists()
    assert from_pretrained(tmp_path / "out").classes == ("run", "sit", "wave")


def test_paths_of_the_machine_are_not_told(shared):
    for file in shared.iterdir():
        assert b"somebody" not in file.read_bytes()
    told = yaml.safe_load((shared / "recipe.yaml").read_text())
    assert told["data"]["low"]["store"] == "low.arrow"
    assert recipe.parse(told).methods["SKD"].losses


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/home/me/a.pkl", "a.pkl"),
        ("C:\\Users\\me\\a.pkl", "a.pkl"),
        ("~/a.pkl", "a.pkl"),
        ("$DATA/a.pkl", "$DATA/a.pkl"),
        ("stores/a.arrow", "stores/a.arrow"),
    ],
)
def test_what_is_left_of_a_path(path, left):
    options = {"missing": path, "splits": [path, {"test": path}], "people": 2}
    view = {"source": path, "options": options, "degradations": [{"options": {"like": path}}]}
    recipe = {"data": {"low": view, "group": "/[a-z]+"}, "methods": {"x": {"start_from": path}}}
    about = {"recipe": recipe}
    told = without_paths(about)["recipe"]
    assert told["data"]["group"] == "/[a-z]+"
    assert told["methods"]["x"]["start_from"] == left
    assert told["data"]["low"] == {
        "source": left,
        "options": {"missing": left, "splits": [left, {"test": left}], "people": 2},
        "degradations": [{"options": {"like": left}}],
    }
    assert about["recipe"]["data"]["low"]["source"] == path


def test_a_repository_is_fetched_once_asked_for(shared, monkeypatch):
    asked = []

    def download(repository, file, revision=None):
        asked.append((repository, file, revision))
        return str(shared / file)

    fake = types.SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    loaded = from_pretrained("somebody/their-model", revision="v1")
    assert loaded.layout.name == "penn13"
    assert asked == [("somebody/their-model", "model.safetensors", "v1")]


def test_a_repository_that_is_not_there_is_one_clear_line(monkeypatch):
    def download(*_, **__):
        raise RuntimeError("404\nno such thing")

    fake = types.SimpleNamespace(hf_hub_download=download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    with pytest.raises(OSError, match="somebody/nothing") as error:
        from_pretrained("somebody/nothing")
    assert "\n" not in str(error.value)


def test_without_the_library_the_line_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match=r"pip install 'skeldistill\[hub\]'"):
        from_pretrained("somebody/nothing")


@pytest.mark.parametrize("name", ["no/such/folder", "nothing", "https://host/x", "../up/here"])
def test_what_is_neither_path_nor_repository(name):
    with pytest.raises(FileNotFoundError, match="OWNER/NAME"):
        from_pretrained(name)


def test_a_repository_that_holds_no_weights_of_ours_is_refused(tmp_path, monkeypatch):
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04cos\nsystem\n.")
    fake = types.SimpleNamespace(
        hf_hub_download=lambda *_, **__: str(tmp_path / "model.safetensors")
    )
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    with pytest.raises(ValueError, match="no checkpoint"):
        from_pretrained("somebody/hostile")


def test_the_command_measures_and_writes(run, tmp_path, monkeypatch, capsys):
    store = clips_in(tmp_path / "low.arrow")
    words = ["export", run, tmp_path / "out", "--format", "hub", "--store", store.path]
    monkeypatch.setattr(sys, "argv", ["skeldistill", *map(str, words)])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code, capsys.readouterr().err
    assert "on 24 clips of low.arrow: top-1" in (tmp_path / "out" / "README.md").read_text()


def test_importing_the_package_stays_light():
    code = "import sys, skeldistill; skeldistill.from_pretrained; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
