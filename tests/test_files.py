"""Files are whole or absent, whoever else writes them."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skeldistill.files import cut, readable, whole, write_text


def test_a_file_takes_its_name_only_at_the_end(tmp_path):
    path = tmp_path / "deep" / "a.txt"
    with whole(path) as partial:
        partial.write_text("half", encoding="utf-8")
        assert not path.exists()
    assert path.read_text(encoding="utf-8") == "half"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "before")

    def fail():
        with whole(path) as partial:
            partial.write_text("after", encoding="utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text(encoding="utf-8") == "before"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_a_failure_leaves_no_folder_that_was_made_for_it(tmp_path):
    def fail(path, beside=None):
        with whole(path) as partial:
            partial.touch()
            if beside:
                (path.parent / beside).touch()
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail(tmp_path / "new" / "deep" / "a.txt")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="on purpose"):
        fail(tmp_path / "new" / "deep" / "a.txt", beside="b.txt")
    assert [path.name for path in tmp_path.rglob("*.txt")] == ["b.txt"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="on purpose"):
        fail(tmp_path / "empty" / "a.txt")
    assert (tmp_path / "empty").is_dir()


def test_a_link_is_written_through_and_a_pipe_is_refused(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "deep" / "a.txt")
    write_text(tmp_path / "link.txt", "through")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "deep" / "a.txt").read_text(encoding="utf-8") == "through"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "other").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "other"):
        with pytest.raises(ValueError, match=rf"{name} is a device or a pipe"):
            write_text(tmp_path / name, "lost")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_two_processes_write_one_file_without_meeting(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    with whole(path) as mine:
        monkeypatch.setattr(os, "getpid", lambda: 1)
        with whole(path) as other:
            assert mine != other
            other.write_text("other", encoding="utf-8")
        mine.write_text("mine", encoding="utf-8")
    assert path.read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("name", ["a" * 251 + ".txt", "\u8bad" * 83 + ".txt"])
def test_the_longest_names_can_be_written(tmp_path, name):
    write_text(tmp_path / name, "long")
    assert [one.name for one in tmp_path.iterdir()] == [name]


def test_temporary_files_of_long_names_do_not_meet(tmp_path):
    names = ["a" * 200 + end for end in ("x.txt", "y.txt")]
    with whole(tmp_path / names[0]) as one, whole(tmp_path / names[1]) as other:
        assert one != other
        one.write_text("x", encoding="utf-8")
        other.write_text("y", encoding="utf-8")
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@given(name=st.text(), most=st.integers(0, 40))
def test_a_name_is_cut_between_letters(name, most):
    name = readable(name)
    kept = cut(name, most)
    assert name.startswith(kept)
    assert len(kept.encode()) <= most
    assert kept == name or len(name[: len(kept) + 1].encode()) > most
