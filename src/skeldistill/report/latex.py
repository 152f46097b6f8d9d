"""Tables for a paper, with the rules of the booktabs package."""

from collections.abc import Sequence

from skeldistill.report.reading import UNKNOWN

PACKAGE = r"% needs \usepackage{booktabs}"

_MARKS = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    UNKNOWN: "--",
    **{mark: f"\\{mark}" for mark in "&%$#_{}"},
}


def plain(text: str) -> str:
    """Text that LaTeX prints as it stands; all marks in one pass, so that none is taken twice."""
    return " ".join("".join(_MARKS.get(letter, letter) for letter in text).split())


def bold(text: str) -> str:
    """What is LaTeX already, in bold."""
    return rf"\textbf{{{text}}}"


def comment(text: str) -> str:
    """A line that LaTeX does not print, whatever stands in it."""
    return f"% {' '.join(text.split())}"


def tabular(
    headings: Sequence[str], groups: Sequence[Sequence[Sequence[str]]], *, words: int = 1
) -> list[str]:
    """The lines of a table.

    Args:
        headings: of the columns, as LaTeX.
        groups: of lines of cells, as LaTeX; there is a rule between two groups.
        words: how many columns, from the first, hold words and not numbers.
    """
    columns = "l" * words + "r" * (len(headings) - words)
    lines = [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", _line(headings)]
    for group in groups:
        lines += [r"\midrule", *map(_line, group)]
    return [*lines, r"\bottomrule", r"\end{tabular}"]


def _line(cells: Sequence[str]) -> str:
    line = " & ".join(cells) + r" \\"
    # A bracket or a star that comes first would be an argument of the rule or line before.
    return f"{{}}{line}" if line.startswith(("[", "*")) else line
