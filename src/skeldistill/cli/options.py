"""Options of parts on the command line: ``--option key=value``, values as in YAML."""

from collections.abc import Sequence
from typing import Any


def parsed(options: Sequence[str] | None) -> dict[str, Any]:
    """The options as a recipe would hold them; ValueError for one that is no key=value."""
    from skeldistill.recipe.reading import typed

    given: dict[str, Any] = {}
    for option in options or []:
        key, equals, value = option.partition("=")
        if not equals:
            raise ValueError(f"--option {option}: write it as key=value")
        given[key] = typed(value, f"--option {option}")
    return given
