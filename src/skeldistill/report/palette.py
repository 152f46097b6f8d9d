"""Colours, lines and text that all figures share."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, PURPLE, GOLD, GREY = (
    "#0068a8",
    "#c75100",
    "#007a5a",
    "#a34e86",
    "#8f6500",
    "#9aa4ae",
)
"""Told apart by readers of every kind of colour vision, and by their lightness on grey paper."""

STYLES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))

LONGEST = 32
"""Letters of a class name on an axis; the tables have all of them."""

MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")

SIDES = {"left": BLUE, "right": ORANGE, "middle": "#4a545e"}
"""Of the body, as the page colours them."""


def plain(text: Any) -> str:
    """Text that matplotlib takes neither for a formula nor, in a legend, for one to leave out."""
    shown = str(text).replace("$", r"\$")
    return f"\u200b{shown}" if shown.startswith("_") else shown


def brief(text: Any) -> str:
    """The same, cut where an axis of such names would leave no room for what it measures."""
    words = str(text)
    return plain(words if len(words) <= LONGEST else f"{words[: LONGEST - 1]}\u2026")


@contextmanager
def text_stays_text(salt: str) -> Iterator[None]:
    """Text stays text in SVG files, so that a paper's typesetter can change its font.

    A class name in a script that the font lacks is drawn as boxes, not refused.
    """
    style = mpl.rc_context(rc={"svg.fonttype": "none", "svg.hashsalt": salt})
    with style, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def inline(figure: Figure, name: str) -> str:
    """A figure as part of a page: SVG without the file's head and matplotlib's metadata."""
    text = io.StringIO()
    with text_stays_text(name):
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    # A page needs no names of formats, and nothing here reaches over its frame: so the page holds
    # no address at all, as its test demands.
    return re.sub(r' (xmlns(:xlink)?|clip-path)="[^"]*"', "", svg)
