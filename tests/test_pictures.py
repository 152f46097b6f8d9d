"""Clips as pictures, and the commands on stores from end to end."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stores import named, small_store
from typer.testing import CliRunner

from skeldistill import degradations
from skeldistill.cli import app
from skeldistill.data.store import Store
from skeldistill.layouts import COCO17
from skeldistill.report.gallery import gallery, write
from skeldistill.report.pictures import CELL, MOMENTS, TEXT


def run(*words: object) -> str:
    done = CliRunner().invoke(app, ["data", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def painted(picture: Image.Image) -> np.ndarray:
    """How many pixels of each square are not white."""
    dark = (np.asarray(picture.convert("L")) < 240).astype(int)
    rows, columns = dark.shape[0] // (CELL + TEXT), dark.shape[1] // CELL
    squares = dark.reshape(rows, CELL + TEXT, columns, CELL)[:, :CELL]
    return squares.sum(axis=(1, 3))


def test_moments_of_both_views(tmp_path: Path) -> None:
    low = small_store(tmp_path / "low.arrow", named(6, "train"))
    high = small_store(tmp_path / "high.arrow", named(6, "train"), seed=1)
    write(low, high, 3, tmp_path / "clips.png")
    with Image.open(tmp_path / "clips.png") as picture:
        assert picture.size == (MOMENTS * CELL, 6 * (CELL + TEXT))
        assert painted(picture).min() > 100


def test_a_moving_picture_moves(tmp_path: Path) -> None:
    store = small_store(tmp_path / "low.arrow", named(6, "train"), frames=40)
    write(store, None, 5, tmp_path / "clips.gif")
    with Image.open(tmp_path / "clips.gif") as picture:
        assert picture.n_frames > 10
        assert picture.size == (4 * CELL, 2 * (CELL + TEXT))
        first = painted(picture)
        assert first[0].min() > 100
        assert (first[1] > 100).tolist() == [True, False, False, False]
        picture.seek(9)
        assert (painted(picture)[0] != first[0]).all()


def test_lost_joints_are_pale(tmp_path: Path) -> None:
    store = small_store(tmp_path / "low.arrow", named(1, "train"))
    worse = degradations.find("JointOcclusion")(probability=0.9)
    write(store, None, 1, tmp_path / "clips.png", [worse])
    with Image.open(tmp_path / "clips.png") as picture:
        dark = (np.asarray(picture.convert("L")) < 130).reshape(2, CELL + TEXT, -1)[:, :CELL]
    assert dark[1].sum() > 3 * dark[0].sum() or dark[0].sum() > 3 * dark[1].sum()


@pytest.mark.parametrize("name", degradations.SHELF)
def test_any_degradation_can_be_drawn(name: str, tmp_path: Path) -> None:
    store = small_store(tmp_path / "low.arrow", named(3, "train"), layout=COCO17)
    worse = degradations.at_severity(name, 3)
    (one, other) = (gallery(store, None, 2, [worse], seed).played for seed in (0, 0))
    assert one == other
    assert [view["caption"] for view in one[0]["views"]] == ["low", f"low + {name}"]


def test_other_endings_are_refused(tmp_path: Path) -> None:
    store = small_store(tmp_path / "low.arrow", named(3, "train"))
    with pytest.raises(ValueError, match=r"shown as .html, .gif or .png"):
        write(store, None, 2, tmp_path / "clips.mp4")


def test_show_draws_what_goes_wrong(tmp_path: Path) -> None:
    store = small_store(tmp_path / "low.arrow", named(3, "train"))
    out = tmp_path / "a.png"
    words = ("show", store.path, "--out", out, "--clips", 1, "--degradation", "Jitter")
    run(*words, "--severity", 5)
    severe = out.read_bytes()
    run(*words, "--option", "deviation=0.0001")
    assert out.read_bytes() != severe
    for wrong in (
        ["--severity", "3"],
        ["--degradation", "Jitter", "--severity", "3", "--option", "a=1"],
    ):
        done = CliRunner().invoke(app, ["data", "show", str(store.path), *wrong])
        assert isinstance(done.exception, ValueError)


def test_check_and_fix(tmp_path: Path) -> None:
    store = small_store(tmp_path / "low.arrow", [*named(3, "train"), *named(3, "test", 3)])
    pair = small_store(tmp_path / "high.arrow", named(6, "train"), seed=1)
    done = CliRunner().invoke(app, ["data", "check", str(store.path), "--pair", str(pair.path)])
    assert done.exit_code == 1
    assert f"{pair.path}: 0 errors" in done.output
    out = tmp_path / "fixed.arrow"
    said = run("check", store.path, "--fix", out)
    assert "fixed: nothing to put right" in said
    assert Store.open(out).fingerprint == store.fingerprint


def test_an_error_in_the_other_view_is_left_when_this_one_is_fixed(tmp_path: Path) -> None:
    store = small_store(tmp_path / "low.arrow", named(6, "train"))
    lost = small_store(tmp_path / "high.arrow", named(6, "train"))
    content = bytearray(lost.path.read_bytes())
    values = np.float32(lost.clip(2).joints).tobytes()
    place = content.index(values)
    content[place : place + len(values)] = np.full(len(values) // 4, np.nan, np.float32).tobytes()
    lost.path.write_bytes(content)
    words = ["--pair", str(lost.path), "--fix", str(tmp_path / "fixed.arrow")]
    done = CliRunner().invoke(app, ["data", "check", str(store.path), *words])
    assert f"{lost.path}: 1 error, " in done.output
    assert done.exit_code == 1


def test_convert_export_pairs_and_splits(tmp_path: Path) -> None:
    store = small_store(tmp_path / "low.arrow", named(9, "train"), layout=COCO17)
    assert "layout penn13" in run("convert", store.path, "penn13", tmp_path / "penn.arrow")
    assert "9 clips" in run("export", store.path, tmp_path / "low.pkl")
    data = pickle.loads((tmp_path / "low.pkl").read_bytes())
    assert len(data["annotations"]) == 9
    listed = tmp_path / "paired.txt"
    run("pairs", store.path, "--share", 0.7, "--out", listed)
    assert listed.read_text().splitlines() == run("pairs", store.path, "--share", 0.7).split()
    high = small_store(tmp_path / "high.arrow", named(5, "train"), layout=COCO17)
    given = run("pairs", store.path, "--pair", high.path, "--share", 0.7).split()
    assert given == [one for one in listed.read_text().split() if one in high.ids]
    assert "mini_train" in run("splits", "ntu", "--option", "actions=120")
    assert "setting2_seeded30_test" in run("splits", "sysu")
    assert "those of the file" in run("splits", "pyskl")


def test_import_with_labels(tmp_path: Path) -> None:
    pose = [1.0, 2.0, 0.9] * 17
    people = [{"image_id": f"clip{i:03d}_0.jpg", "keypoints": pose} for i in range(3)]
    (tmp_path / "a.json").write_text(json.dumps(people))
    high = small_store(tmp_path / "high.arrow", named(3, "train"))
    out = tmp_path / "low.arrow"
    run("import", "alphapose", tmp_path / "a.json", out, "--labels", high.path)
    assert Store.open(out).labels.tolist() == high.labels.tolist()


def test_layouts_can_be_printed_and_used(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["layouts", "coco17"])
    (tmp_path / "mine.yaml").write_text(done.output)
    again = CliRunner().invoke(app, ["layouts", str(tmp_path / "mine.yaml")])
    assert again.output == done.output
    assert "mediapipe33" in CliRunner().invoke(app, ["layouts"]).output
