"""The recipes that ship with the package: named on the command line, no file of the user's."""

from itertools import takewhile
from pathlib import Path

from skeldistill.shelf import nearest

FOLDER = Path(__file__).parents[1] / "recipes"


def shipped() -> dict[str, Path]:
    """The file of each, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.yaml"))}


def find(named: Path) -> Path:
    """The recipe that a command line names: a file, else one that ships.

    Raises:
        ValueError: a bare name that neither a file nor a recipe that ships has.
    """
    if named.is_file() or named.suffix == ".yaml" or len(named.parts) > 1:
        return named
    known = shipped()
    if named.name not in known:
        files = [path.name for path in Path().glob("*.yaml")]
        raise ValueError(
            f"{named}: neither a file nor a recipe that ships (`skeldistill recipes` lists them); "
            f"{nearest(named.name, [*known, *files])}"
        )
    return known[named.name]


def about(path: Path) -> str:
    """The first sentence that a recipe says of itself at its head."""
    lines = path.read_text(encoding="utf-8").splitlines()
    head = [line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), lines)]
    return " ".join(head).partition(". ")[0].removesuffix(".")
