"""What proportions tell: units, axes, joints in another order, left for right."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from skeldistill import readers
from skeldistill.clip import Clip
from skeldistill.data import bodies
from skeldistill.data.checking import check
from skeldistill.data.importing import import_source
from skeldistill.data.store import Store, StoreWriter
from skeldistill.layouts import COCO17
from skeldistill.readers import Source


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    return list(readers.find("synthetic", clips=16).read(Path()))


def look(path: Path, clips: list[Clip], **changes: object) -> list[str]:
    about = {"layout": clips[0].layout, "channels": clips[0].joints.shape[3], "units": "pixels"}
    with StoreWriter(path / "a.arrow", Source(**{**about, **changes})) as writer:
        for clip in clips:
            writer.write(clip)
    return [finding.line for finding in bodies.look(Store.open(path / "a.arrow"))]


def changed(clips: list[Clip], change: Callable[[np.ndarray], np.ndarray]) -> list[Clip]:
    return [replace(one, joints=np.ascontiguousarray(change(one.joints))) for one in clips]


def test_sound_bodies_give_no_reason(tmp_path: Path, clips: list[Clip]) -> None:
    assert look(tmp_path, clips) == []


@pytest.mark.parametrize("options", [{"view": "low"}, {"layout": "ntu25"}, {"layout": "penn13"}])
def test_nor_do_cheap_ones_or_those_in_space(tmp_path: Path, options: dict[str, str]) -> None:
    reader = readers.find("synthetic", clips=32, **options)
    store = import_source(reader, None, tmp_path / "a.arrow", progress=False)
    assert list(bodies.look(store)) == []


@pytest.mark.parametrize(
    ("units", "scale", "said"),
    [
        ("pixels", 1 / 640, "strange for pixels; are these shares of an image"),
        ("metres", 1, "strange for metres; are these millimetres"),
        ("normalised", 1, "strange for normalised; are these pixels"),
        ("parsecs", 1e9, "none that are known (metres, pixels, normalised, body)"),
        ("body", 1e-3, None),
    ],
)
def test_strange_units_are_told(
    tmp_path: Path, clips: list[Clip], units: str, scale: float, said: str | None
) -> None:
    lines = look(tmp_path, changed(clips, lambda x: x * np.float32(scale)), units=units)
    assert [said in line for line in lines] == ([True] if said else [])


def test_axes_in_another_order_are_told(tmp_path: Path, clips: list[Clip]) -> None:
    (line,) = look(tmp_path, changed(clips, lambda x: x[..., ::-1]))
    assert "not upright along the second axis" in line


def test_joints_in_another_order_are_told(tmp_path: Path, clips: list[Clip]) -> None:
    lines = look(tmp_path, changed(clips, lambda x: x[:, :, ::-1]))
    assert any("in the order of layout 'coco17'?" in line for line in lines)


@pytest.mark.parametrize("joints", [("knee", "ankle"), ("hip", "knee", "ankle"), ("wrist",)])
def test_left_for_right_in_some_joints_is_told(
    tmp_path: Path, clips: list[Clip], joints: tuple[str, ...]
) -> None:
    order = [
        COCO17.mirrored[v] if joint.split("_")[-1] in joints else v
        for v, joint in enumerate(COCO17.joints)
    ]
    (line,) = look(tmp_path, changed(clips, lambda x: x[:, :, order]))
    assert "are left and right swapped in some joints?" in line
    assert joints[0] in line


def test_clips_without_anybody_have_no_proportions(tmp_path: Path, clips: list[Clip]) -> None:
    nobody = changed(clips[:2], np.zeros_like)
    nobody = [replace(one, scores=np.zeros_like(one.scores)) for one in nobody]
    assert look(tmp_path, nobody) == []
    found = bodies.proportions(Store.open(tmp_path / "a.arrow"))
    assert found.bones.shape == (0, 16)


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("penn", "penn_action", []),
        ("nw_ucla", "nw_ucla", []),
        ("pyskl", "jhmdb/jhmdb14_mediapipe33.pkl", []),
        ("pyskl", "jhmdb/jhmdb14_human15.pkl", ["strange for pixels"]),
    ],
)
def test_real_people_are_people(
    tmp_path: Path,
    real_data: Callable[[str], Path],
    name: str,
    source: str,
    expected: list[str],
) -> None:
    reader, path = readers.find(name), real_data(source)
    if path.is_dir():  # a tenth will do
        kind = ".mat" if name == "penn" else ".json"
        for file in sorted(path.rglob(f"*{kind}"))[::10]:
            (tmp_path / file.name).symlink_to(file)
        path = tmp_path
    store = import_source(reader, path, tmp_path / "a.arrow", progress=False)
    lines = [finding.line for finding in bodies.look(store)]
    assert [want in line for want, line in zip(expected, lines, strict=True)] == [True] * len(lines)
    told = [finding.line for finding in check(store)]
    # a tenth of a data set is not the whole of it, and is told so
    counted = [line for line in told if "where the whole data set has" in line]
    assert len(counted) == (2 if name != "pyskl" else 0)
