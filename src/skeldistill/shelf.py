"""Shelves: folders of exchangeable parts, found by name.

One part is one class in one file; the re-export line in the shelf's ``__init__.py`` is its
registration, and the class's name is its name in recipes, reports and documents. Installed packages
put parts of their own on shelves, too; see `load_installed`.
"""

import difflib
import functools
import importlib.metadata
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

INSTALLED = "skeldistill.parts"
"""The group of entry points by which installed packages name modules with parts."""


def nearest(name: str, names: Iterable[str]) -> str:
    """A hint for an error line: the name that was probably meant, or all names there are."""
    names = sorted(names)
    lowered = {known.lower(): known for known in names}
    close = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    if close:
        return f"did you mean {lowered[close[0]]!r}?"
    return f"known: {', '.join(names) or 'none'}"


def pick(kind: str, parts: Mapping[str, Any], name: str) -> Any:
    """The part called `name`; raises ValueError naming the nearest one if there is none."""
    if name not in parts:
        raise ValueError(f"no {kind} called {name!r}; {nearest(name, parts)}")
    return parts[name]


@functools.cache
def load_installed() -> None:
    """Import the modules that installed packages name as holding parts, once.

    A module puts its parts on the shelves itself, such as ``networks.SHELF["Mine"] = Mine``.

    Raises:
        ValueError: one line, if a module cannot be imported.
    """
    for found in importlib.metadata.entry_points(group=INSTALLED):
        try:
            found.load()
        except Exception as error:  # whatever a stranger's module does
            package = found.dist.name if found.dist else "an installed package"
            raise ValueError(
                f"{found.value}, which {package} says holds parts for skeldistill, cannot be "
                f"imported: {type(error).__name__}: {error}"
            ) from error


def take(kind: str, shelf: Mapping[str, Any], name: str) -> Any:
    """The part called `name`, of ours or of installed packages; ValueError names the nearest."""
    if name not in shelf:
        load_installed()
    return pick(kind, shelf, name)


PLAIN = str | int | float | list | dict | None
"""What a recipe or a command line can give as an option."""


def parameters(part: type) -> dict[str, inspect.Parameter]:
    """What a part is made with, by name; an annotation that is text is what it stands for."""
    try:
        signature = inspect.signature(part, eval_str=True)
    except Exception:  # whatever the text says, such as a name that is imported for checkers alone
        signature = inspect.signature(part)
    return dict(signature.parameters)


def annotated(parameter: inspect.Parameter) -> bool:
    """Whether the type of an option is known: not all who write a part of their own say it."""
    return parameter.annotation is not parameter.empty and not isinstance(parameter.annotation, str)


def _fitting(where: str, option: inspect.Parameter, value: Any) -> Any:
    """A plain value as the type that an option is annotated with; ValueError if it is none."""
    if not isinstance(value, PLAIN) or not annotated(option):
        return value
    from pydantic import ConfigDict, TypeAdapter, ValidationError  # most commands need no part

    lenient = ConfigDict(arbitrary_types_allowed=True, coerce_numbers_to_str=True)
    try:
        return TypeAdapter(option.annotation, config=lenient).validate_python(value)
    except ValidationError as error:
        wrong = error.errors()[0]
        if wrong["type"] == "literal_error":  # the part names the nearest word
            return value
        raise ValueError(f"{where}: {wrong['msg']} (got {value!r})") from None


def build(kind: str, part: type, options: Mapping[str, Any], *given: Any) -> Any:
    """Make a part from the options of a recipe, so that a wrong option is one clear line."""
    accepted = {
        name: parameter
        for name, parameter in list(parameters(part).items())[len(given) :]
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    }
    fitting: dict[str, Any] = {}
    for option, value in options.items():
        if option not in accepted:
            raise ValueError(
                f"{kind} {part.__name__} has no option {option!r}; {nearest(option, accepted)}"
            )
        fitting[option] = _fitting(f"{kind} {part.__name__}: {option}", accepted[option], value)
    needed = [
        option
        for option, parameter in accepted.items()
        if parameter.default is parameter.empty and option not in fitting
    ]
    if needed:
        raise ValueError(
            f"{kind} {part.__name__} needs {' and '.join(needed)}; give {needed[0]}=..."
        )
    try:
        return part(*given, **fitting)
    except TypeError as error:
        raise ValueError(f"{kind} {part.__name__}: {error}") from error
