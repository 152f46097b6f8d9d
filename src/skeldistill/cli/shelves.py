"""Commands that tell what there is: layouts, parts, the recipe's schema."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def layouts(
    layout: Annotated[
        str | None, typer.Argument(help="A layout, or a YAML file that states one: print it.")
    ] = None,
) -> None:
    """List the layouts with their joints, or print one as YAML: the start of a file of your own.

    Example: `skeldistill layouts coco17 > mine.yaml`
    """
    from skeldistill.layouts import SHELF, find, to_yaml

    if layout is not None:
        typer.echo(to_yaml(find(layout)), nl=False)
        return
    table = Table("layout", "joints", "centre", "names")
    for one in SHELF.values():
        table.add_row(one.name, str(one.num_joints), one.centre, " ".join(one.joints))
    Console().print(table)


def parts() -> None:
    """List every part that a recipe may name: readers, degradations, completions, networks, losses.

    Example: `skeldistill parts`
    """
    from skeldistill import completions, degradations, losses, networks, readers

    shelves = {
        "readers": readers.SHELF,
        "degradations": degradations.SHELF,
        "completions": completions.SHELF,
        "networks": networks.SHELF,
        "losses": losses.SHELF,
    }
    table = Table("shelf", "part", "what it is")
    for shelf, members in shelves.items():
        for name, part in members.items():
            said = (part.__doc__ or "").strip().splitlines()
            table.add_row(shelf, name, said[0] if said else "")
            shelf = ""
        table.add_section()
    Console().print(table)


def schema() -> None:
    """Print the JSON Schema of recipes, for editors that check YAML while you type.

    Example: `skeldistill schema > recipe.schema.json`
    """
    from skeldistill.recipe import Recipe

    typer.echo(json.dumps(Recipe.model_json_schema(), indent=2))
