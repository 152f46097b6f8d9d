"""Readers and estimators of one's own: what they do not keep of a contract is one line."""

import re
from dataclasses import dataclass

import numpy as np
import pytest
from predicting import Alone

from skeldistill.data.importing import import_source
from skeldistill.estimators.at_work import AtWork
from skeldistill.layouts import COCO17
from skeldistill.readers.reader import Source
from skeldistill.readers.tracking import People

IMAGE = np.zeros((4, 6, 3), np.uint8)


@dataclass(frozen=True, kw_only=True)
class Plain:
    """A reader that gives what came from a file, and no clips."""

    def describe(self, path):
        return Source(layout=COCO17, channels=2, units="pixels")

    def read(self, path):
        yield {"id": "a", "joints": np.ones((1, 3, 17, 2))}


@pytest.mark.parametrize("labelled", [False, True])
def test_a_reader_that_gives_no_clips_is_named(tmp_path, labelled):
    (tmp_path / "labels.csv").write_text("id,label,split\na,jump,train\n")
    labels = tmp_path / "labels.csv" if labelled else None
    with pytest.raises(ValueError, match=r"^reader Plain gives a dict where a Clip belongs"):
        import_source(Plain(), tmp_path, tmp_path / "a.arrow", labels=labels)
    assert not (tmp_path / "a.arrow").exists()


class Finder(Alone):
    """Answers as it is told."""

    layout = COCO17

    def __init__(self, answer):
        self.answer, self.closed = answer, False

    def __call__(self, image, time):
        return self.answer()

    def close(self):
        self.closed = True


def zeros(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


def unchecked(joints: np.ndarray, scores: np.ndarray) -> People:
    """People as a program without checks of types makes them."""
    found = object.__new__(People)
    for name, value in {"joints": joints, "scores": scores, "ids": None}.items():
        object.__setattr__(found, name, value)
    return found


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: zeros(1, 17, 3), "estimator Finder answers with a ndarray; it must be"),
        (lambda: None, "estimator Finder answers with a NoneType; it must be"),
        (
            lambda: unchecked(zeros(1, 16, 2), zeros(1, 16)),
            "estimator Finder answers with joints of shape (1, 16, 2); they must be (people, 17",
        ),
        (
            lambda: unchecked(zeros(17, 2), zeros(17)),
            "estimator Finder answers with joints of shape (17, 2)",
        ),
        (
            lambda: unchecked(zeros(2, 17, 2), zeros(1, 17)),
            "answers with scores of shape (1, 17); they must be (2, 17)",
        ),
        (
            lambda: 1 / 0,
            "estimator Finder failed 0.50 seconds after the first frame: ZeroDivisionError: ",
        ),
    ],
)
def test_an_answer_that_nobody_can_take_is_one_line(answer, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        AtWork(Finder(answer))(IMAGE, 0.5)


def test_what_an_estimator_says_comes_through(tmp_path):
    people = People(zeros(2, 17, 3), zeros(2, 17))
    finder = Finder(lambda: people)
    session = AtWork(finder)
    session.begin(None, "a")
    assert session(IMAGE, 0.0) is people
    session.close()
    assert finder.closed


def test_what_it_refuses_in_its_own_words_stays_so():
    def refuse():
        raise OSError("no camera")

    with pytest.raises(OSError, match=r"^no camera$"):
        AtWork(Finder(refuse))(IMAGE, 0.0)
