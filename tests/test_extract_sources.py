"""Which videos are extracted, and what is known of them."""

import textwrap
from pathlib import Path

import pytest

from skeldistill.deploy.extract_sources import (
    Footage,
    find,
    labelled_by_csv,
    labelled_by_folders,
    missed,
)

pytest.importorskip("av")


def test_ids_tell_videos_apart(tmp_path):
    for name in ("a.mp4", "a.AVI", "b/a.mp4", ".hidden.mp4", "notes.txt", "b/c.d.mov"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [video.id for video in find(tmp_path)] == ["a.AVI", "a.mp4", "b/a", "b/c.d"]
    (tmp_path / "list.txt").write_text("b/a.mp4\n\nb/../a.mp4\n", encoding="utf-8")
    assert [video.id for video in find(tmp_path / "list.txt")] == ["a", "b/a"]
    assert [video.id for video in find(tmp_path / "a.mp4")] == ["a"]


@pytest.mark.parametrize(
    ("files", "source", "message"),
    [
        ({}, ".", "has no video"),
        ({}, "nowhere", "no .*nowhere; name a folder"),
        ({"l.txt": ""}, "l.txt", "names no video"),
        ({"l.txt": "a.mp4"}, "l.txt", "which is no file"),
        ({"l.txt": "a.mp4\na.mp4", "a.mp4": ""}, "l.txt", "names video 'a.mp4' twice"),
    ],
)
def test_sources_that_name_nothing_are_one_line(tmp_path, files, source, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises((ValueError, OSError), match=message):
        find(tmp_path / source)


def footage(*names: str) -> list[Footage]:
    return [Footage(id=name, path=Path(f"{name}.mp4")) for name in names]


def test_folders_name_classes_and_splits():
    videos, classes = labelled_by_folders(footage("train/run/a", "test/run/b", "x/clap/c"))
    assert classes == ("clap", "run")
    assert [video.label for video in videos] == [1, 1, 0]
    assert [video.splits for video in videos] == [("train",), ("test",), ()]
    for name in ("a", "train/a"):
        with pytest.raises(ValueError, match=f"video '{name}' is in no folder of a class"):
            labelled_by_folders(footage("run/b", name))


def table(tmp_path: Path, text: str) -> Path:
    (tmp_path / "labels.csv").write_text(textwrap.dedent(text).lstrip(), encoding="utf-8")
    return tmp_path / "labels.csv"


def test_a_table_names_labels_and_more(tmp_path):
    file = table(
        tmp_path,
        """
        video,label,split,subject,camera,remark
        a.mp4,run,s1_train s2_test,3,,quick
        b,clap,s1_test,,7,
        elsewhere,sit,,,,
        """,
    )
    videos, classes = labelled_by_csv(footage("a", "b", "c"), file)
    assert classes == ("clap", "run", "sit")
    assert [video.label for video in videos] == [1, 0, -1]
    assert [video.splits for video in videos] == [("s1_train", "s2_test"), ("s1_test",), ()]
    assert [(video.subject, video.camera) for video in videos] == [
        (3, None),
        (None, 7),
        (None, None),
    ]
    videos, classes = labelled_by_csv(footage("a"), table(tmp_path, "video,label\na,12\n"))
    assert (classes, videos[0].label) == ((), 12)


def test_numbers_are_told_as_programs_write_them(tmp_path):
    for text in ("a,0\nb,2\nc,10\nd,-1\n", "a,0.0\nb,2.0\nc,10.0\nd,\n"):
        file = table(tmp_path, "video,label\n" + text)
        videos, classes = labelled_by_csv(footage("a", "b", "c", "d"), file)
        assert (classes, [video.label for video in videos]) == ((), [0, 2, 10, -1])
    named = table(tmp_path, "video,label\na,run\nb,-1\n")
    videos, classes = labelled_by_csv(footage("a", "b"), named)
    assert (classes, [video.label for video in videos]) == (("run",), [0, -1])


def test_what_a_table_and_the_videos_do_not_share_is_told(tmp_path):
    file = table(tmp_path, "video,label\nwave_01,wave\nwalk_1.mp4,walk\nrun-01,run\nsit_01.mp4,\n")
    videos = footage("wave_01", "walk_01", "run_01", "sit_01")
    assert missed(videos, file) == [
        f"{file}: 2 of 4 rows left out, which name no video; the first is 'walk_1.mp4' "
        "(is it 'walk_01'?)",
        f"{file}: 2 of 4 videos not named, which stay without label; the first is 'walk_01'",
    ]
    assert len(missed(videos[:1], file)) == 1
    assert missed(videos[:1], table(tmp_path, "video,label\nwave_01.mp4,wave\n")) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\na,run\n", "must name the columns video and label, it is 'name,label'"),
        ("", "must name the columns"),
        ("video,label\nb,run\n", "names none of the 1 videos; the first one is 'a'"),
        ("video,label\na,run\na,run\n", "line 3: video 'a' comes twice"),
        ("video,label,subject\na,run,x\n", "line 2: subject must be a number, got 'x'"),
    ],
)
def test_tables_that_are_none_are_one_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        labelled_by_csv(footage("a"), table(tmp_path, text))
    with pytest.raises(OSError, match="absent"):
        labelled_by_csv(footage("a"), tmp_path / "absent.csv")
