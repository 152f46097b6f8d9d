"""Commands that tell what there is: layouts, parts, the recipe's schema."""

import inspect
import json
from collections.abc import Mapping
from typing import Annotated

import typer
from rich.table import Table

from skeldistill import terminal
from skeldistill.waiting import loading

FROM_THE_DATA = ("classes", "persons", "channels")
"""Options of networks that a recipe does not say: its data do."""


def layouts(
    layout: Annotated[
        str | None, typer.Argument(help="A layout, or a YAML file that states one: print it.")
    ] = None,
) -> None:
    """List the layouts with their joints, or print one as YAML: the start of a file of your own.

    Example: `skeldistill layouts coco17 > mine.yaml`
    """
    from skeldistill.layouts import SHELF, find, to_yaml
    from skeldistill.shelf import load_installed

    load_installed()
    if layout is not None:
        typer.echo(to_yaml(find(layout)), nl=False)
        return
    table = Table("layout", "joints", "centre", "names")
    for one in SHELF.values():
        table.add_row(one.name, str(one.num_joints), one.centre, " ".join(one.joints))
    terminal.console().print(table)


def parts(
    part: Annotated[
        str | None, typer.Argument(help="A part: say what it is, and all its options.")
    ] = None,
) -> None:
    """List every part that recipes and commands may name, or the options of one.

    Example: `skeldistill parts`

    Example: `skeldistill parts SlidingWindowAverage`
    """
    from skeldistill.shelf import load_installed, pick

    with loading():
        from skeldistill import completions, degradations, estimators, losses, networks, readers

        load_installed()
    shelves: dict[str, Mapping[str, type]] = {
        "readers": readers.SHELF,
        "degradations": degradations.SHELF,
        "completions": completions.SHELF,
        "networks": networks.SHELF,
        "losses": losses.SHELF,
        "estimators": estimators.SHELF,
    }
    if part is not None:
        _explain(pick("part", {n: one for of in shelves.values() for n, one in of.items()}, part))
        return
    table = Table("shelf", "part", "what it is", "options")
    for shelf, members in shelves.items():
        for name, one in members.items():
            said = (one.__doc__ or "").strip().splitlines()
            table.add_row(shelf, name, said[0] if said else "", ", ".join(_options(one)))
            shelf = ""
        table.add_section()
    terminal.console().print(table)


def _explain(part: type) -> None:
    """All that its docstring says, then every option with its default."""
    from skeldistill.shelf import annotated

    typer.echo(inspect.cleandoc(part.__doc__ or part.__name__))
    table = Table("option", "default", "kind")
    for name, option in _options(part).items():
        default = "(needed)" if option.default is option.empty else repr(option.default)
        kind = option.annotation if annotated(option) else ""
        table.add_row(name, default, kind.__name__ if isinstance(kind, type) else str(kind))
    typer.echo()
    if table.rows:
        terminal.console().print(table)
    else:
        typer.echo("It has no options.")


def _options(part: type) -> dict[str, inspect.Parameter]:
    """What a recipe may say of a part; the data say the rest."""
    from skeldistill.networks.network import Network
    from skeldistill.shelf import parameters

    told = FROM_THE_DATA if issubclass(part, Network) else ()
    return {
        name: parameter
        for name, parameter in parameters(part).items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in told
    }


def recipes(
    name: Annotated[str | None, typer.Argument(help="A recipe that ships: print it.")] = None,
) -> None:
    """List the recipes that ship, or print one: the start of a file of your own.

    Those of real data look for them in the folder that SKELDISTILL_DATA names.

    Example: `skeldistill recipes jhmdb-homogeneous > mine.yaml`
    """
    from skeldistill import recipe
    from skeldistill.shelf import pick

    known = recipe.shipped()
    if name is not None:
        typer.echo(pick("recipe that ships", known, name).read_text(encoding="utf-8"), nl=False)
        return
    table = Table("recipe", "what it is")
    for one, path in known.items():
        table.add_row(one, recipe.about(path))
    terminal.console().print(table)


def schema() -> None:
    """Print the JSON Schema of recipes, for editors that check YAML while you type.

    Example: `skeldistill schema > recipe.schema.json`
    """
    from skeldistill import recipe

    typer.echo(json.dumps(recipe.schema(), indent=2))
