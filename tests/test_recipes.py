"""Every recipe that ships can be read, and names only parts that exist."""

from pathlib import Path

import pytest

from skeldistill import completions, degradations, losses, networks, readers, recipe
from skeldistill.shelf import build

RECIPES = sorted((Path(__file__).parent.parent / "recipes").glob("*.yaml"))


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
