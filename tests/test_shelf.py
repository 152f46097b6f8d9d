"""Parts found and made by name: what does not fit is one line that says what would."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pytest

from skeldistill import degradations
from skeldistill.shelf import build


@dataclass(frozen=True, kw_only=True)
class Mender:
    """A part with an option of every kind."""

    given: object = None
    width: float = 1.0
    frames: int = 8
    layout: str | None = None
    ends: bool = True
    windows: tuple[int, ...] = ()
    names: Sequence[str] = ()
    form: Literal["paper", "release"] = "paper"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("width", "wide", "mender Mender: width: "),
        ("frames", 2.5, "mender Mender: frames: "),
        ("layout", ["coco17"], "(got ['coco17'])"),
        ("ends", "perhaps", "mender Mender: ends: "),
        ("windows", 3, "mender Mender: windows: "),
        ("widht", 1.0, "has no option 'widht'; did you mean 'width'?"),
    ],
)
def test_an_option_of_the_wrong_kind_is_one_line(option, value, said):
    with pytest.raises(ValueError, match=r"Mender") as caught:
        build("mender", Mender, {option: value})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_plain_values_become_what_the_option_is():
    made = build(
        "mender",
        Mender,
        {"width": 2, "layout": 17, "windows": [1, 2], "names": ["a"], "form": "papr"},
    )
    assert made == Mender(width=2.0, layout="17", windows=(1, 2), names=["a"], form="papr")  # type: ignore[arg-type]
    thing = object()
    assert build("mender", Mender, {"given": thing}).given is thing


def test_an_option_that_is_needed_is_named():
    with pytest.raises(
        ValueError, match=r"JointOcclusion needs probability; give probability=\.\.\."
    ):
        build("degradation", degradations.find("JointOcclusion"), {})


class Untold:
    """A part whose author says no types."""

    def __init__(self, width=1.0, *, layout=None):
        self.width, self.layout = width, layout


@dataclass(frozen=True, kw_only=True)
class Postponed:
    """A part as in a file with `from __future__ import annotations`."""

    frames: "int" = 8
    form: "Literal['paper', 'release']" = "paper"


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A part with a type that is imported for checkers alone."""

    frames: "Nowhere" = 8  # type: ignore[name-defined]  # noqa: F821


def test_options_without_types_are_taken_as_they_are():
    made = build("mender", Untold, {"width": 2, "layout": "coco17"})
    assert (made.width, made.layout) == (2, "coco17")
    assert build("mender", Elsewhere, {"frames": 3}).frames == 3


def test_types_may_be_written_as_text():
    assert build("mender", Postponed, {"frames": 3, "form": "release"}).form == "release"
    with pytest.raises(ValueError, match=r"mender Postponed: frames: .* \(got 2\.5\)"):
        build("mender", Postponed, {"frames": 2.5})
