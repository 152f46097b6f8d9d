"""Reading recipes: YAML in, changes as ``--set a.b=c`` asks, and one line for what is wrong."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from skeldistill.recipe.ready_made import DEFAULT_METHODS, spelt_out
from skeldistill.recipe.recipe import Recipe
from skeldistill.recipe.sections import one_line


class _Plain(yaml.SafeLoader):
    """YAML's plain values without dates, which no recipe holds: one is text, such as a name."""

    yaml_implicit_resolvers = {  # noqa: RUF012  # as PyYAML has it
        first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def load(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe, change it as `--set a.b=c` asks, and check it.

    Raises:
        OSError: the file cannot be read.
        ValueError: one line that says what is wrong with the recipe.
    """
    try:
        data = _values(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    for change in changes:
        data = changed(data, change)
    return parse(data, where=str(path))


def of_experiment(folder: Path) -> Recipe:
    """The recipe of an experiment's folder; ValueError in one line if it is none."""
    path = folder / "recipe.yaml"
    if not path.is_file():
        raise ValueError(
            f"{folder} is no experiment's folder, such as runs/demo: it has no {path.name}"
        )
    return load(path)


def parse(data: Any, where: str = "recipe") -> Recipe:
    """Check plain containers as a recipe; ValueError says in one line what is wrong."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise ValueError(f"{where}: {one_line(error)}") from None


def expanded(source: str) -> str:
    """A path with `$NAME` and `~` filled in; ValueError names a variable that is not set."""
    missing = [name for name in re.findall(r"\$\{?(\w+)", source) if name not in os.environ]
    if missing:
        raise ValueError(
            f"{source!r} needs the environment variable {missing[0]}, which is not set"
        )
    return os.path.expandvars(str(Path(source).expanduser()))


def changed(data: Any, change: str) -> Any:
    """A copy of a recipe's plain containers with one `a.b=c` applied, as `--set` takes it.

    What is changed within a ready-made method, or within the methods of a recipe that names none,
    leaves the rest of them as it is.

    Raises:
        ValueError: it is written otherwise, or names no place in a list.
    """
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise ValueError(f"--set {change}: write it as section.key=value")
    keys, value = path.split("."), typed(text, f"--set {change}")
    if keys[0] == "methods" and keys[1:] and isinstance(data, Mapping):
        data = {**data, "methods": spelt_out(data.get("methods", DEFAULT_METHODS))}
    return _put(data, keys, value, change)


def typed(text: str, where: str) -> Any:
    """A value on the command line, as YAML reads it; ValueError says where it is no YAML."""
    try:
        return _values(text)
    except yaml.YAMLError as error:
        why = getattr(error, "problem", None) or "unreadable"
        raise ValueError(f"{where}: the value is not YAML ({why})") from error


def _values(text: str) -> Any:
    """What `yaml.safe_load` reads, but for dates; yaml.YAMLError for what is no YAML."""
    loader = _Plain(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def _put(data: Any, keys: list[str], value: Any, change: str) -> Any:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(data, list | tuple):
        if not key.isdigit() or int(key) >= len(data):
            raise ValueError(f"--set {change}: {key!r} is no place in a list of {len(data)}")
        return [
            _put(old, rest, value, change) if i == int(key) else old for i, old in enumerate(data)
        ]
    if not isinstance(data, dict | None):
        raise ValueError(f"--set {change}: there is nothing below {data!r}; leave out {key!r}")
    data = data or {}
    return {**data, key: _put(data.get(key), rest, value, change)}
