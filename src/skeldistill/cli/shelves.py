"""Commands that tell what there is: layouts, parts, the recipe's schema, a network's cost."""

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from skeldistill.cli.options import parsed


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


def cost(
    network: Annotated[str, typer.Argument(help="A network of the shelf, or 'all'.")],
    layout: Annotated[str, typer.Option(help="The joints it works on.")] = "coco17",
    frames: Annotated[int, typer.Option(help="Frames of a clip.", min=1)] = 300,
    persons: Annotated[int, typer.Option(help="Persons of a clip.", min=1)] = 2,
    classes: Annotated[int, typer.Option(help="How many actions.", min=1)] = 60,
    option: Annotated[
        list[str] | None, typer.Option(help="Option of the network: key=value.")
    ] = None,
) -> None:
    """Say what a network costs: parameters, multiply-adds, memory and latency of one clip.

    Example: `skeldistill cost STGCN --layout ntu25 --option partition=spatial`
    """
    from skeldistill import cost as costs
    from skeldistill import layouts, networks
    from skeldistill.shelf import build

    options = parsed(option)
    names = list(networks.SHELF) if network == "all" else [network]
    table = Table("network", "parameters", "multiply-adds", "latency (1 thread)")
    for name in names:
        made = build(
            "network",
            networks.find(name),
            {"classes": classes, "persons": persons, **options},
            layouts.find(layout),
        )
        price = costs.measure(made, frames)
        table.add_row(
            name,
            f"{price.parameters:,}",
            f"{price.multiply_adds / 1e9:.2f} G",
            f"{price.latency_ms:.1f} ms",
        )
    Console().print(table)
