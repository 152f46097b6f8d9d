"""Every recipe that ships can be read, names only parts that exist, and fits its networks."""

from pathlib import Path

import pytest
import torch

from skeldistill import completions, degradations, losses, networks, readers, recipe
from skeldistill.layouts import PENN13
from skeldistill.shelf import build

RECIPES = list(recipe.shipped().values())


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_names_only_what_the_shelves_have(path):
    loaded = recipe.load(path)
    assert loaded.name == path.stem
    for view in (loaded.data.high, loaded.data.low):
        if view.reader:
            readers.find(view.reader, **view.options)
        for part in view.degradations:
            build("degradation", degradations.find(part.name), part.options)
    networks.find(loaded.teacher.name)
    networks.find(loaded.student.name)
    for method in loaded.methods.values():
        for part in method.augmentation:
            build("degradation", degradations.find(part.name), part.options)
        if method.completion:
            build("completion", completions.find(method.completion.name), method.completion.options)
        for term in method.losses:
            losses.find(term.name)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_networks_take_the_options_and_frames_of_their_recipe(path):
    loaded = recipe.load(path)
    for name, method in loaded.methods.items():
        part = loaded.teacher if method.network == "teacher" else loaded.student
        sampling = loaded.sampling_of(name)
        options = {"classes": 15, "persons": sampling.persons, **part.options}
        with torch.device("meta"):
            network = build("network", networks.find(part.name), options, PENN13)
            network.check(torch.zeros(1, sampling.persons, sampling.frames, 13, 3))


@pytest.mark.parametrize("network", ["asgcn", "msg3d", "shiftgcn"])
def test_table_5_can_be_run_at_its_other_occlusion(network):
    path = recipe.shipped()[f"penn-table-5-{network}"]
    change = "data.low.degradations.0.probability=0.3"
    assert f"--set {change}" in path.read_text(encoding="utf-8")
    loaded = recipe.load(path, [change])
    assert loaded.data.low.degradations[0].options == {"probability": 0.3}
    assert {"low", "low+completion", "SKD", "SKD+completion"} < set(loaded.methods)


def test_a_name_is_the_recipe_that_ships_and_a_file_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert recipe.find(Path("penn-occlusion-0.6")) == recipe.shipped()["penn-occlusion-0.6"]
    (tmp_path / "demo").mkdir()  # a folder of that name is none
    assert recipe.find(Path("demo")) == recipe.shipped()["demo"]
    (tmp_path / "demo").rmdir()
    (tmp_path / "demo").write_text("name: mine", encoding="utf-8")
    assert recipe.find(Path("demo")) == Path("demo")
    for file in ("demo.yaml", "recipes/demo"):
        assert recipe.find(Path(file)) == Path(file)  # told by whoever opens it


def test_a_name_that_no_recipe_has_is_told_in_one_line(skeldistill):
    code, _, errors = skeldistill("run", "dmeo")
    assert code == 1
    assert errors.splitlines() == [
        "skeldistill: dmeo: neither a file nor a recipe that ships (`skeldistill recipes` lists "
        "them); did you mean 'demo'?"
    ]


@pytest.mark.parametrize("named", ["mine", "mine.yam"])
def test_a_file_that_was_probably_meant_is_named(named, tmp_path, skeldistill):
    (tmp_path / "mine.yaml").write_text("name: mine", encoding="utf-8")
    assert skeldistill("run", named)[2].endswith("did you mean 'mine.yaml'?\n")


def test_recipes_are_listed_and_printed_as_they_stand(skeldistill):
    code, listed, _ = skeldistill("recipes")
    assert code == 0
    assert all(name in listed for name in recipe.shipped())
    assert "built-in synthetic people" in listed
    code, printed, _ = skeldistill("recipes", "demo")
    assert printed == recipe.shipped()["demo"].read_text(encoding="utf-8")
    assert skeldistill("recipes", "demmo")[0] == 1


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_says_in_a_sentence_what_it_is(path):
    assert 20 < len(recipe.about(path)) < 160
