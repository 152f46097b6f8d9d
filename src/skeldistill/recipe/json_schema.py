"""The JSON Schema of recipes as people write them, which is less than what is made of them."""

from typing import Any

from skeldistill.recipe.ready_made import METHODS
from skeldistill.recipe.recipe import Recipe

NOTHING = {"type": "null"}


def schema() -> dict[str, Any]:
    """What a recipe may hold: methods by name alone, parts by name alone, sections left empty."""
    whole = Recipe.model_json_schema()
    named, recipe, method = whole["$defs"], whole["properties"], whole["$defs"]["Method"]
    for part in ("Part", "LossTerm"):
        named[part] = {"anyOf": [{"type": "string"}, named[part]]}
    for side in ("teacher", "student"):  # options alone are the default network's
        alone = {"type": "object", "not": {"required": ["name"]}}
        recipe[side] = {"anyOf": [{"$ref": "#/$defs/Part"}, alone]}
    for section in ("sampling", "training"):
        one = {"$ref": f"#/$defs/{section.title()}"}
        recipe[section] = {"anyOf": [one, NOTHING]}
        method["properties"][section] = one | {"description": f"changes to `{section}`"}
    mapping = recipe["methods"]
    mapping["additionalProperties"] = {"anyOf": [mapping["additionalProperties"], NOTHING]}
    listed = {"type": "array", "minItems": 1, "items": {"enum": list(METHODS)}}
    recipe["methods"] = {"anyOf": [listed, mapping]}
    whole["required"].remove("methods")  # without them, the usual ones
    return whole
