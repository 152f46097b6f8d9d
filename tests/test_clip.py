"""A clip that exists is sound, and one that cannot be says why in one line."""

from typing import Any

import numpy as np
import pytest

from skeldistill.clip import UNLABELLED, Clip
from skeldistill.layouts import PENN13


def clip(**changes: Any) -> Clip:
    joints = np.ones((2, 3, 13, 2), np.float32)
    return Clip(**{"id": "a", "joints": joints, "layout": PENN13, **changes})


def test_knows_its_sizes_and_defaults() -> None:
    one = clip()
    assert (one.num_persons, one.num_frames) == (2, 3)
    assert (one.label, one.splits, one.subject, one.size) == (UNLABELLED, (), None, None)
    assert one.scores.dtype == np.float32
    assert (one.scores == 1).all()


def test_is_shown_without_its_numbers() -> None:
    assert repr(clip()).startswith("Clip(id='a', layout=Layout(name='penn13'), label=-1, ")
    assert len(repr(clip())) < 200


def test_frames_without_the_person_score_zero() -> None:
    joints = np.ones((2, 3, 13, 2), np.float32)
    joints[1, 2] = 0
    joints[0, 0, 5] = 0  # one joint at the origin of a person who is there
    scores = clip(joints=joints).scores
    assert (scores[1, 2] == 0).all()
    assert scores.sum() == 5 * 13


def test_another_view_keeps_the_rest() -> None:
    one = clip(label=3, splits=("train",), size=(10, 20))
    joints, scores = one.joints[:, ::2].copy(), one.scores[:, ::2] * 0.5
    other = one.with_joints(joints, scores.astype(np.float32))
    assert (other.id, other.label, other.splits, other.size) == ("a", 3, ("train",), (10, 20))
    assert other.num_frames == 2
    assert one.num_frames == 3


def numbers(shape: tuple[int, ...], fill: float = 1.0) -> np.ndarray:
    return np.full(shape, fill, np.float32)


def with_nan() -> np.ndarray:
    joints = numbers((1, 3, 13, 2))
    joints[0, 2, 4, 1] = np.nan
    return joints


BAD = {
    "other layout": ({"joints": numbers((1, 3, 17, 2))}, "has 17 joints but layout 'penn13'"),
    "four channels": ({"joints": numbers((1, 3, 13, 4))}, "have 4 coordinates"),
    "nobody": ({"joints": numbers((0, 3, 13, 2))}, "0 persons and 3 frames"),
    "no frame": ({"joints": numbers((1, 0, 13, 2))}, "1 persons and 0 frames"),
    "not a number": ({"joints": with_nan()}, r"\(0, 2, 4, 1\) is not a finite number"),
    "infinite": ({"joints": numbers((1, 3, 13, 2), np.inf)}, r"\(0, 0, 0, 0\) is not a finite"),
    "label": ({"label": -2}, "label is -2"),
    "scores above one": ({"scores": numbers((2, 3, 13), 1.5)}, "between 0 and 1"),
    "scores not numbers": ({"scores": numbers((2, 3, 13), np.nan)}, "between 0 and 1"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), BAD.values(), ids=BAD)
def test_what_is_unsound_is_one_clear_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        clip(**changes)
    assert str(error.value).startswith("clip 'a': ")
    assert "\n" not in str(error.value)
