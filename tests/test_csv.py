"""CSV files in both forms, and what is wrong with one."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeldistill import readers
from skeldistill.clip import UNLABELLED, Clip
from skeldistill.layouts import KINECT20, PENN13


def read(path: Path, text: str, **options: Any) -> dict[str, Clip]:
    file = path / "mine.csv"
    file.write_text(text, encoding="utf-8")
    reader = readers.find("csv", **options)
    source = reader.describe(path)
    clips = {clip.id: clip for clip in reader.read(path)}
    assert source.num_clips == len(clips)
    assert all(clip.joints.shape[3] == source.channels for clip in clips.values())
    return clips


def wide(rows: list[str], about: str = "clip,frame", ends: tuple[str, ...] = ("x", "y")) -> str:
    cells = ",".join(f"{joint}_{end}" for joint in PENN13.joints for end in ends)
    return "\n".join([f"{about},{cells}", *rows])


def cells(value: float, ends: int = 2) -> str:
    return ",".join(f"{value + i}" for i in range(13 * ends))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_both_forms_say_the_same(tmp_path_factory: Any, seed: int, deep: bool) -> None:
    rng = np.random.default_rng(seed)
    layout = KINECT20 if deep else PENN13
    axes = "xyz" if deep else "xy"
    shape = (2, int(rng.integers(1, 5)), layout.num_joints)
    scores = (rng.integers(1, 9, shape) / 8 * (rng.random(shape) > 0.2)).astype(np.float32)
    scores[:, [0, -1], 0] = [[1], [0.5]]  # both are there from the first frame to the last
    joints = rng.normal(size=(*shape, len(axes))).astype(np.float32) * (scores > 0)[..., None]
    order = rng.permutation(layout.num_joints)
    head = [f"{layout.joints[v]}_{end}" for v in order for end in (*axes, "score")]
    rows_wide, rows_long = [], []
    for m, t in np.ndindex(shape[:2]):
        numbers = []
        for v in order:
            lost = scores[m, t, v] == 0
            one = ["" if lost else repr(float(x)) for x in joints[m, t, v]]
            numbers += [*one, repr(float(scores[m, t, v]))]
            if not lost:
                rows_long.append(
                    f"{t + 7},{layout.joints[v]},{m},{','.join(numbers[-1 - len(one) :])},2,b a"
                )
        rows_wide.append(f"{m},{t + 7},2,b a,{','.join(numbers)}")
    forms = {
        "wide": ["person,frame,label,split," + ",".join(head), *rows_wide],
        "long": [f"frame,joint,person,{','.join(axes)},score,label,split", *rows_long],
    }
    for form in forms.values():
        folder = tmp_path_factory.mktemp("csv")
        clip = read(folder, "\n".join(form), layout=layout.name)["mine"]
        by_score = np.argsort(-scores.mean(axis=(1, 2)), kind="stable")
        np.testing.assert_array_equal(clip.joints, joints[by_score])
        np.testing.assert_array_equal(clip.scores, scores[by_score])
        assert (clip.label, clip.splits) == (2, ("b", "a"))


def test_clips_labels_and_classes(tmp_path: Path) -> None:
    rows = [
        f"a,0,wave,train,{cells(1)}",
        f"a,1,wave,train,{cells(2)}",
        f"b,5,jump,test,{cells(3)}",
        f"c,5.0,,,{cells(4)}",
    ]
    text = wide(rows, "clip,frame,label,split")
    clips = read(tmp_path, text)
    assert readers.find("csv").describe(tmp_path).classes == ("jump", "wave")
    assert {name: (clip.label, clip.splits, clip.num_frames) for name, clip in clips.items()} == {
        "a": (1, ("train",), 2),
        "b": (0, ("test",), 1),
        "c": (UNLABELLED, (), 1),
    }
    assert read(tmp_path, text, classes=("wave", "jump"))["a"].label == 0
    assert clips["a"].joints[0, 1, 0].tolist() == [2, 3]
    assert clips["a"].scores.min() == 1


def test_numbers_are_labels_and_missing_frames_are_lost(tmp_path: Path) -> None:
    rows = [f"a,0,12,{cells(1)}", "", f"a,3,12,{cells(2)}"]
    clip = read(tmp_path, wide(rows, "clip,frame,label"))["a"]
    assert clip.label == 12
    assert clip.scores.any(axis=2).tolist() == [[True, False, False, True]]


@pytest.mark.parametrize(
    ("frames", "options", "length"),
    [
        (["2", "9"], {}, 10),
        (["2.0", "9.0"], {}, 10),
        (["1", "9"], {}, 9),
        (["5000", "5003"], {}, 4),
        (["2", "9"], {"first": 1}, 9),
        (["2", "9"], {"first": "lowest"}, 8),
        (["5", "5"], {"first": 0}, 6),
    ],
)
def test_frames_before_the_first_row_are_lost(
    tmp_path: Path, frames: list[str], options: dict[str, Any], length: int
) -> None:
    rows = [f"a,{frame},{cells(1)}" for frame in dict.fromkeys(frames)]
    clip = read(tmp_path, wide(rows), **options)["a"]
    seen = clip.scores.any(axis=(0, 2))
    assert len(seen) == length
    assert np.flatnonzero(seen).tolist() == [
        length - 1 - int(float(frames[-1])) + int(float(frame)) for frame in dict.fromkeys(frames)
    ]


def test_a_byte_order_mark_and_quotes_are_no_matter(tmp_path: Path) -> None:
    rows = [f'"a, b",0,{cells(1)}', f'"a, b",1,{cells(1)}']
    assert list(read(tmp_path, "\ufeff" + wide(rows))) == ["a, b"]


def test_of_several_persons_the_surest_are_kept(tmp_path: Path) -> None:
    ends = ("x", "y", "score")
    rows = [
        f"a,{t},{m},{','.join(f'{m},1,{s}' for _ in range(13))}"
        for t in range(2)
        for m, s in ((1, 0.2), (2, 0.9), (3, 0.5))
    ]
    clip = read(tmp_path, wide(rows, "clip,frame,person", ends))["a"]
    assert clip.joints[:, 0, 0, 0].tolist() == [2, 3]
    one = read(tmp_path, wide(rows, "clip,frame,person", ends), persons=1)["a"]
    assert one.joints[:, :, 0, 0].tolist() == [[2, 2]]


ROW = f"a,0,{cells(1)}"
BAD = {
    "empty": ("", "must be a header"),
    "header only": (wide([]), "no row below"),
    "no frame": (wide([ROW], "clip,fram"), "a column `frame`"),
    "strange column": (wide([f"a,0,9,{cells(1)}"], "clip,frame,persn"), "did you mean 'person'"),
    "twice": (wide([f"a,0,0,{cells(1)}"], "clip,frame,frame"), "names column 'frame' twice"),
    "no coordinates": ("clip,frame\na,0", "no coordinates"),
    "few columns": (wide(["a,0,1"]), "line 2: it has 3 columns, the header 28"),
    "text": (wide([ROW.replace("2.0", "two") if "2.0" in ROW else ROW.replace("2", "two", 1)]),
             "stands where a number"),
    "infinite": (wide([ROW.replace("3", "inf", 1)]), "not finite"),
    "large": (wide([ROW.replace("3", "1e39", 1)]), "not finite"),
    "frame": (wide([f"a,-1,{cells(1)}"]), "frame is '-1'"),
    "person twice": (wide([ROW, ROW]), "person 0 comes twice in frame 0"),
    "apart": (wide([ROW, ROW.replace("a", "b", 1), ROW.replace("0", "1", 1)]), "stand together"),
    "labels": (wide([f"a,0,1,{cells(1)}", f"a,1,2,{cells(1)}"], "clip,frame,label"),
               "all rows of a clip must agree"),
    "no such layout": ("frame,nose_x,nose_y\n0,1,2", "1 joints, which are those of no layout"),
    "far": (wide([ROW, ROW.replace("0", "999999999", 1)]), "no frames of one clip"),
    "score": (wide([f"a,0,{cells(50, 3)}"], ends=("x", "y", "score")), "score is not between"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)) as error:
        read(tmp_path, text)
    assert "\n" not in str(error.value)
    assert "mine.csv" in str(error.value)


def test_what_does_not_fit_a_named_layout_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="column 'head_x' is no joint of layout 'coco17'"):
        read(tmp_path, wide([ROW]), layout="coco17")
    with pytest.raises(ValueError, match="no columns for joint 'left_eye' of layout 'coco17'"):
        read(tmp_path, "frame,nose_x,nose_y\n0,1,2", layout="coco17")
    long = "frame,joint,x,y\n0,{},1,2\n0,nose,3,4"
    with pytest.raises(ValueError, match="no joint 'noze'; did you mean 'nose'"):
        read(tmp_path, long.format("noze"), layout="coco17")
    with pytest.raises(ValueError, match="joint 'nose' comes twice in frame 0"):
        read(tmp_path, long.format("nose"), layout="coco17")
    with pytest.raises(ValueError, match="at least 1"):
        readers.find("csv", persons=0)
    with pytest.raises(ValueError, match="label 'wave' is no class; known: jump"):
        read(tmp_path, wide([f"a,0,wave,{cells(1)}"], "clip,frame,label"), classes=("jump",))


def test_files_of_one_source_agree(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(wide([ROW]))
    (tmp_path / "z.csv").write_text(wide([f"b,0,{cells(1, 3)}"], ends=("x", "y", "z")))
    with pytest.raises(ValueError, match=r"z.csv: it has \('x', 'y', 'z'\)"):
        list(readers.find("csv").read(tmp_path))
