"""The gap between two views that differ in clips."""

import numpy as np
import pytest

from skeldistill.training.answers import Answers, in_common
from skeldistill.training.evaluate import Said
from skeldistill.training.gap import between_views


def said(**rights: bool) -> Said:
    logits = np.array([[1, 0] if right else [0, 1] for right in rights.values()], np.float32)
    return Said(logits=logits, labels=np.zeros(len(rights), np.int64), ids=tuple(rights))


def test_by_hand():
    """On c1 to c4 the teacher is 75 points ahead of low, and SKD wins a third of them back."""
    answers = {
        "teacher": Answers.of([[said(c1=True, c2=True, only=True, c3=True, c4=True)]]),
        "low": Answers.of([[said(c4=True, c3=False, c2=False, c1=False, bad=False, worse=False)]]),
        "SKD": Answers.of([[said(c4=True, c3=False, c2=False, c1=True, bad=True, worse=True)]]),
    }
    found = between_views(answers, "teacher", "low")
    assert found is not None
    assert (found["clips"], found["only_high"], found["only_low"]) == (4, 1, 2)
    assert found["top1"] == {"teacher": 100, "low": 25, "SKD": 50}
    assert set(found["closed"]) == {"SKD"}
    assert found["closed"]["SKD"]["mean"] == pytest.approx(1 / 3)


def test_as_many_clips_in_both_views_need_not_be_the_same_ones():
    """JHMDB has 176 test clips in either view, of which 144 are in both."""
    answers = {
        "teacher": Answers.of([[said(a=True, b=True)], [said(c=True)]]),
        "low": Answers.of([[said(b=False, x=True)], [said(c=True)]]),
        "KL": Answers.of([[said(b=True, x=False)], [said(c=True)]]),
    }
    found = between_views(answers, "teacher", "low")
    assert found is not None
    assert found["top1"] == {"teacher": 100, "low": 50, "KL": 100}
    assert found["closed"]["KL"]["mean"] == 1


def test_views_without_a_clip_in_common_have_no_gap():
    answers = {"teacher": Answers.of([[said(a=True)]]), "low": Answers.of([[said(b=False)]])}
    assert between_views(answers, "teacher", "low") is None


def test_seeds_are_brought_to_one_order():
    answers = Answers.of([[said(a=True, b=False), said(b=True, a=False)]])
    assert answers.rights[0].tolist() == [[1, 0], [0, 1]]
    assert answers.accuracy == 50
    assert answers.only([["b"]]).rights[0].tolist() == [[0], [1]]
    assert in_common(answers, Answers.of([[said(c=True, b=True, a=True)]])) == [["b", "a"]]


def test_a_clip_that_only_some_seeds_were_asked_about_is_refused():
    with pytest.raises(ValueError, match="'b' was evaluated under some seeds only"):
        Answers.of([[said(a=True, b=False), said(a=True)]])
