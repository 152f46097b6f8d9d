"""Layouts from YAML files: as good as those of the shelf, or one line that says what is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from skeldistill import layouts, readers
from skeldistill.data.drawing import drawn, sides
from skeldistill.data.importing import import_source
from skeldistill.data.store import Store
from skeldistill.layouts import PENN13, Layout
from skeldistill.report.clips import joint_sides

SIX = {
    "joints": ["nose", "left_wrist", "right_wrist", "left_ankle", "right_ankle", "hip_centre"],
    "bones": {
        "nose": "hip_centre",
        "left_wrist": "nose",
        "right_wrist": "nose",
        "left_ankle": "hip_centre",
        "right_ankle": "hip_centre",
    },
    "centre": "hip_centre",
}
TAIL = {**SIX, "joints": [*SIX["joints"], "tail"], "bones": {**SIX["bones"], "tail": "nose"}}
PARTS = {
    "head": ["nose"],
    "left_arm": ["left_wrist"],
    "right_arm": ["right_wrist"],
    "left_leg": ["left_ankle"],
    "right_leg": ["right_ankle", "tail"],
}


def written(folder: Path, data: Any, name: str = "six.yaml") -> Path:
    path = folder / name
    path.write_text(data if isinstance(data, str) else yaml.safe_dump(data), encoding="utf-8")
    return path


@pytest.mark.parametrize("layout", layouts.SHELF.values(), ids=lambda one: one.name)
def test_every_layout_survives_its_file(layout: Layout, tmp_path: Path) -> None:
    again = layouts.find(str(written(tmp_path, layouts.to_yaml(layout), "other.yml")))
    assert again.to_dict() == layout.to_dict()
    short = {key: layout.to_dict()[key] for key in ("joints", "bones", "centre")}
    derived = layouts.from_yaml(written(tmp_path, short, f"{layout.name}.yaml"))
    assert derived.to_dict() == layout.to_dict()


def test_a_short_file_is_a_whole_layout(tmp_path: Path) -> None:
    layout = layouts.find(str(written(tmp_path, SIX)))
    assert layout.name == "six"
    assert layout.mirrored.tolist() == [0, 2, 1, 4, 3, 5]
    assert layout.part_members.sum(axis=1).tolist() == [1] * 5
    tailed = layouts.from_yaml(written(tmp_path, {**TAIL, "parts": PARTS, "name": "Fox"}))
    assert (tailed.name, tailed.parts["right_leg"]) == ("fox", ("right_ankle", "tail"))


BAD = {
    "list": ([1], "it must state name, joints"),
    "no yaml": ("joints: [", "is no YAML"),
    "code": ("joints: !!python/object/apply:os.getcwd []", "is no YAML"),
    "missing": ({"joints": ["nose"]}, "lacks 'bones'"),
    "unknown key": ({**SIX, "center": "nose"}, "did you mean 'centre'"),
    "not a list": ({**SIX, "joints": "nose"}, "joints must be a list of joints"),
    "not a mapping": ({**SIX, "bones": [["a", "b"]]}, "bones must be a mapping, child: parent"),
    "number": ({**SIX, "joints": ["nose", 3]}, "joints holds 3 where a name belongs"),
    "truth": ("joints: [no]\nbones: {}\ncentre: no", "put it in quotes"),
    "unknown joint": ({**SIX, "centre": "noze"}, "did you mean 'nose'"),
    "no such part": (TAIL, "nothing says in which part joint 'tail' is"),
    "parts": ({**SIX, "parts": ["head"]}, "parts must name the joints of head"),
    "lone left": (
        {**SIX, "joints": [one for one in SIX["joints"] if one != "right_wrist"],
         "bones": {one: two for one, two in SIX["bones"].items() if one != "right_wrist"}},
        "joint 'left_wrist' has no 'right_wrist' that mirrors it",
    ),
    "no arm": ({"joints": ["nose"], "bones": {}, "centre": "nose"}, "no joint in part 'left_arm'"),
    "empty": ("", "it must state"),
    "large": ("#" * 2**21, "too large"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "said"), BAD.values(), ids=BAD)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, data: Any, said: str) -> None:
    path = written(tmp_path, data)
    with pytest.raises(ValueError, match=said) as error:
        layouts.find(str(path))
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"gone\.yaml"):
        layouts.find(str(tmp_path / "gone.yaml"))
    with pytest.raises(OSError, match=r"gone\.yaml"):
        readers.find("pyskl", layout=str(tmp_path / "gone.yaml"))


def test_a_layout_from_a_file_goes_all_the_way(tmp_path: Path, rng: np.random.Generator) -> None:
    path = written(tmp_path, SIX)
    table = tmp_path / "a.csv"
    cells = ",".join(f"{joint}_x,{joint}_y" for joint in SIX["joints"])
    rows = [f"{t},{','.join(map(str, rng.integers(1, 9, 12)))}" for t in range(5)]
    table.write_text("\n".join([f"frame,{cells}", *rows]))
    reader = readers.find("csv", layout=str(path))
    store = import_source(reader, table, tmp_path / "a.arrow", progress=False)
    again = Store.open(store.path).layout
    assert again.to_dict() == layouts.from_yaml(path).to_dict()
    view = drawn(store.clip(0))
    assert joint_sides(view) == ["middle", "left", "right", "left", "right", "middle"]


def test_sides_of_the_shelf_need_not_be_told(tmp_path: Path) -> None:
    for layout in layouts.SHELF.values():
        words = [joint.split("_")[0] for joint in layout.joints]
        expected = [word if word in ("left", "right") else "middle" for word in words]
        assert sides(layout) == expected
    assert sides(PENN13)[:2] == ["middle", "left"]
