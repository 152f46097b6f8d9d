"""The terminal: what is written there stands as it is."""

from rich.console import Console


def console(*, stderr: bool = False, narrowest: int = 0) -> Console:
    """A console for texts that others wrote: paths, names of classes, methods and runs.

    Rich would take `[left]` in a name for a style and leave it out, and `[/left]` for an error.

    Args:
        stderr: to the standard error output.
        narrowest: columns that a table needs: a narrower terminal wraps lines, but loses none.
    """
    made = Console(stderr=stderr, markup=False, emoji=False)
    made.width = max(made.width, narrowest)
    return made


def counted(count: int, word: str) -> str:
    """How many there are, as one says it: 1 clip, 2 clips."""
    return f"{count} {word if count == 1 else f'{word}s'}"
