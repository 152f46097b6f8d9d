"""Shelves: folders of exchangeable parts, found by name.

One part is one class in one file; the re-export line in the shelf's ``__init__.py`` is its
registration, and the class's name is its name in recipes, reports and documents.
"""

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any


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


def build(kind: str, part: type, options: Mapping[str, Any], *given: Any) -> Any:
    """Make a part from the options of a recipe, so that a wrong option is one clear line."""
    accepted = [
        name
        for name, parameter in list(inspect.signature(part).parameters.items())[len(given) :]
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    for option in options:
        if option not in accepted:
            raise ValueError(
                f"{kind} {part.__name__} has no option {option!r}; {nearest(option, accepted)}"
            )
    try:
        return part(*given, **options)
    except TypeError as error:
        raise ValueError(f"{kind} {part.__name__}: {error}") from error
