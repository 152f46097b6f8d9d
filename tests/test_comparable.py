"""What cannot be matched vertex with vertex is refused before anything is trained."""

import pytest
from stores import small_experiment

from skeldistill import recipe
from skeldistill.training.perform import check
from skeldistill.training.task import Task


@pytest.fixture
def told(tmp_path):
    return small_experiment(tmp_path, ["teacher", "SKD", "PLKD"], test=8)


def checked(told, tmp_path, method="SKD"):
    check(Task(recipe=recipe.parse(told), root=tmp_path / "run", method=method, fold=0, seed=0))


def test_maps_of_other_sizes(told, tmp_path):
    told["methods"] = {"teacher": {"sampling": {"frames": 16}}, "SKD": None, "PLKD": None}
    with pytest.raises(ValueError, match=r"maps of the same .* \(1, 2, 13\) .* \(1, 4, 13\)"):
        checked(told, tmp_path)
    checked(told, tmp_path, "PLKD")


@pytest.mark.parametrize("choice", ["replay", "zeros"])
def test_frames_of_other_moments(told, tmp_path, choice):
    checked(told, tmp_path)
    told["data"]["low"]["degradations"] = [{"name": "DroppedFrames", "keep": 3}]
    checked(told, tmp_path)  # chosen as moments of the clip
    told["sampling"]["frame_choice"] = choice
    with pytest.raises(ValueError, match=rf"frames in the student's view .*{choice}.*HeldFrames"):
        checked(told, tmp_path)
    checked(told, tmp_path, "PLKD")
    told["data"]["low"]["degradations"] = [{"name": "HeldFrames", "keep": 3}]
    checked(told, tmp_path)


def test_frames_chosen_in_two_ways(told, tmp_path):
    told["methods"] = {"teacher": {"sampling": {"frame_choice": "zeros"}}, "SKD": None}
    with pytest.raises(ValueError, match="student's frames are chosen by 'uniform'"):
        checked(told, tmp_path)


def test_a_head_alone_needs_a_body_of_before():
    told = {"name": "a", "data": {"high": {"store": "a.arrow"}}}
    with pytest.raises(ValueError, match=r"methods.low.*train_only_head needs start_from"):
        recipe.parse({**told, "methods": {"low": {"train_only_head": True}}})
