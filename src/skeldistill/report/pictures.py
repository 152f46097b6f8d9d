"""Clips as pictures that need no page: a moving GIF, or a PNG of some moments."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from skeldistill.files import whole
from skeldistill.report.clips import SIZE
from skeldistill.report.palette import SIDES

CELL = 200
"""Side of one skeleton's square, in pixels; a line of text stands below."""
TEXT = 16
FINER = 2
"""Everything is drawn larger by this and then made smaller, so that lines are smooth."""
ACROSS = 4
"""Squares side by side at most, in a moving picture."""
MOMENTS = 6
STEP = 80
"""Milliseconds between two frames of a moving picture."""
LONGEST = 100
"""Frames of a moving picture at most."""

PALE = {"left": "#c9def0", "right": "#fbd9c9", "middle": "#dcdfe4"}
"""Where a lost joint was seen last; others have the colours of `palette.SIDES`."""

Played = Sequence[dict[str, Any]]


def moving(clips: Played, path: Path) -> None:
    """Write a GIF in which all clips play at once, their views side by side.

    Args:
        clips: as `report.clips.clips` makes them.
        path: the file; it appears whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    count = max(2, min(LONGEST, math.ceil(1000 * max(clip["seconds"] for clip in clips) / STEP)))
    views = max(len(clip["views"]) for clip in clips)
    beside = max(1, ACROSS // views)
    rows = [clips[i : i + beside] for i in range(0, len(clips), beside)]
    size = (CELL * views * min(beside, len(clips)), (CELL + TEXT) * len(rows))
    frames = []
    for number in range(count):
        picture = Image.new("RGB", size, "white")
        for down, row in enumerate(rows):
            for across, clip in enumerate(row):
                for place, view in enumerate(clip["views"]):
                    at = _frame(clip, view, number)
                    corner = (CELL * (across * views + place), (CELL + TEXT) * down)
                    picture.paste(_cell(view, at, _words(clip, view)), corner)
        frames.append(picture.quantize(colors=32))
    with whole(path) as partial:
        frames[0].save(
            partial, "GIF", save_all=True, append_images=frames[1:], duration=STEP, loop=0
        )


def moments(clips: Played, path: Path) -> None:
    """Write a PNG with some moments of every clip, one row for each view.

    Args:
        clips: as `report.clips.clips` makes them.
        path: the file; it appears whole or not at all.

    Raises:
        OSError: the file cannot be written.
    """
    rows = [(clip, view) for clip in clips for view in clip["views"]]
    picture = Image.new("RGB", (CELL * MOMENTS, (CELL + TEXT) * len(rows)), "white")
    for down, (clip, view) in enumerate(rows):
        count = len(view["data"]["frames"])
        for across in range(MOMENTS):
            at = min(count - 1, int((across + 0.5) * count / MOMENTS))
            cell = _cell(view, at, _words(clip, view) if across == 0 else "")
            picture.paste(cell, (CELL * across, (CELL + TEXT) * down))
    with whole(path) as partial:
        picture.save(partial, "PNG")


def _frame(clip: dict[str, Any], view: dict[str, Any], number: int) -> int:
    """Which of a view's frames is on at a frame of the picture; a clip begins again at its end."""
    share = (number * STEP / 1000 / clip["seconds"]) % 1 if clip["seconds"] else 0
    return min(int(share * len(view["data"]["frames"])), len(view["data"]["frames"]) - 1)


def _words(clip: dict[str, Any], view: dict[str, Any]) -> str:
    return f"{clip['true']}: {view['caption']}"


def _cell(view: dict[str, Any], at: int, words: str) -> Image.Image:
    side = CELL * FINER
    body = Image.new("RGB", (side, side), "white")
    pen = ImageDraw.Draw(body)
    numbers, lost = view["data"]["frames"][at], view["data"]["lost"][at]
    places = [(x * side / SIZE, y * side / SIZE) for x, y in zip(*[iter(numbers)] * 2, strict=True)]
    sides = view["sides"]
    for pale in (True, False):  # what is seen is drawn over what is not
        colours = PALE if pale else SIDES
        for child, parent in view["data"]["bones"]:
            if ("1" in (lost[child], lost[parent])) is pale and _inside(places, child, parent):
                pen.line([places[child], places[parent]], fill=colours[sides[child]], width=5)
        for joint, (x, y) in enumerate(places):
            if (lost[joint] == "1") is pale and _inside(places, joint):
                pen.ellipse([x - 5, y - 5, x + 5, y + 5], fill=colours[sides[joint]])
    cell = Image.new("RGB", (CELL, CELL + TEXT), "white")
    cell.paste(body.resize((CELL, CELL), Image.Resampling.LANCZOS), (0, 0))
    fitting = words if len(words) <= CELL // 6 else f"{words[: CELL // 6 - 3]}..."
    plain = fitting.encode("ascii", "replace").decode()  # the built-in font knows no more
    ImageDraw.Draw(cell).text((4, CELL + 2), plain, fill="#111827")
    return cell


def _inside(places: Sequence[tuple[float, float]], *joints: int) -> bool:
    """Whether joints have a place at all: one that is never seen stands far outside."""
    return all(min(places[joint]) > -0.9 * CELL * FINER for joint in joints)
