"""What a sweep asks networks about: degradations at their severities."""

import re
from dataclasses import dataclass
from typing import Any

from skeldistill import degradations
from skeldistill.degradations import SHELF, Degradation
from skeldistill.recipe import Part
from skeldistill.recipe.reading import typed
from skeldistill.shelf import build

USUAL = (
    "JointOcclusion",
    "BurstOcclusion",
    "PartOcclusion",
    "HeldFrames",
    "LostFrames",
    "Jitter",
    "LeftRightSwap",
    "TranslationDrift",
)
"""One degradation of each kind, for a first look."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A degradation at one of its severities, 1 to 5; severity 0 is the clean view.

    degradation: its name; options after a colon, as in ``RAGCNParts:shown=false``, hold at every
    severity.
    """

    degradation: str
    severity: int

    @property
    def key(self) -> str:
        """Its name in files."""
        return f"{self.degradation} {self.severity}" if self.severity else "clean"

    @property
    def options(self) -> dict[str, Any]:
        """Those of the severity, and those that are given."""
        name, _, given = self.degradation.partition(":")
        options = dict(degradations.options_at(name, self.severity))
        for one in re.split(r",(?=\w+=)", given) if given else ():
            key, equals, value = one.partition("=")
            if not equals:
                raise ValueError(f"degradation {self.degradation!r}: write {one!r} as option=value")
            options[key] = typed(value, f"degradation {self.degradation!r}")
        return options

    @property
    def parts(self) -> tuple[Part, ...]:
        """As a recipe would name it."""
        if not self.severity:
            return ()
        name = self.degradation.partition(":")[0]
        return (Part.model_validate({"name": name, **self.options}),)

    @property
    def made(self) -> Degradation:
        """The degradation itself."""
        if not self.severity:
            return degradations.Identity()
        name = self.degradation.partition(":")[0]
        return build("degradation", degradations.find(name), self.options)


CLEAN = Setting(degradation="", severity=0)


def named(text: str) -> tuple[str, ...]:
    """The degradations that a text names with commas between, each once.

    ``usual`` and ``all`` stand for several; options stand as `Setting` takes them.
    """
    several = {"usual": USUAL, "all": tuple(SHELF)}
    # a comma before another option goes on with the same degradation
    pieces = [piece.strip() for piece in re.split(r",(?!\s*\w+=)", text)]
    return tuple(dict.fromkeys(n for piece in pieces for n in several.get(piece, (piece,))))
