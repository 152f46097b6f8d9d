"""Words of the command line: ``--option key=value``, values as in YAML, and lists of names."""

from collections.abc import Collection, Sequence
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


def whole_numbers(text: str, option: str) -> tuple[int, ...]:
    """Numbers with commas between, each once; ValueError for what is none."""
    pieces = [piece.strip() for piece in text.split(",")]
    if not all(piece.isdecimal() for piece in pieces):
        raise ValueError(f"{option} {text}: write whole numbers, such as 0,1,2")
    return tuple(dict.fromkeys(map(int, pieces)))


def listed(text: str, known: Collection[str]) -> list[str]:
    """Names with commas between; a known name may hold commas itself."""
    pieces = text.split(",")
    names: list[str] = []
    while pieces:
        starts = {",".join(pieces[:count]).strip(): count for count in range(len(pieces), 0, -1)}
        name = next((name for name in starts if name in known), pieces[0].strip())
        names.append(name)
        del pieces[: starts[name]]
    return names
