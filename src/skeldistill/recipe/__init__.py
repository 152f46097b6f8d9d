"""The recipe: one experiment as frozen, checked data; YAML in, YAML and JSON Schema out.

A recipe names data, networks, training and the methods to compare. What it leaves out comes from
its family (`strong` or `paper`); the resolved recipe states everything and is a recipe itself.
"""

from skeldistill.recipe.json_schema import schema
from skeldistill.recipe.reading import changed, expanded, load, of_experiment, parse
from skeldistill.recipe.ready_made import DEFAULT_METHODS, FAMILIES, METHODS
from skeldistill.recipe.recipe import Recipe, folder_name
from skeldistill.recipe.sections import (
    Data,
    Fold,
    LossTerm,
    Method,
    Part,
    Sampling,
    Section,
    Training,
    View,
)
from skeldistill.recipe.shipped import about, find, shipped

__all__ = [
    "DEFAULT_METHODS",
    "FAMILIES",
    "METHODS",
    "Data",
    "Fold",
    "LossTerm",
    "Method",
    "Part",
    "Recipe",
    "Sampling",
    "Section",
    "Training",
    "View",
    "about",
    "changed",
    "expanded",
    "find",
    "folder_name",
    "load",
    "of_experiment",
    "parse",
    "schema",
    "shipped",
]
