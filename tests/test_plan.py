"""What a run would do: as it is then done, and told without a trace."""

import shutil
from pathlib import Path

import pytest
import yaml
from stores import small_experiment

from skeldistill import recipe
from skeldistill.report.remaining import duration
from skeldistill.training import state
from skeldistill.training.experiment import list_tasks, run
from skeldistill.training.perform import perform
from skeldistill.training.remaining import remaining

METHODS = ["teacher", "low+completion", "SKD"]


@pytest.fixture
def told(tmp_path):
    return small_experiment(tmp_path, METHODS, seeds=(0, 1), epochs=4)


def files(folder: Path) -> set[tuple[str, int]]:
    return {(str(path), path.stat().st_mtime_ns) for path in folder.rglob("*")}


def counts(found) -> dict[str, tuple[int, int, int]]:
    return {row.method: (row.done, row.begun, row.to_do) for row in found.rows}


class Killed(Exception):
    pass


def kill(step) -> None:
    if step.epoch == 3:
        raise Killed


def test_before_a_run_all_is_to_do_and_nothing_is_written(told, tmp_path):
    before = files(tmp_path)
    found = remaining(recipe.parse(told), tmp_path / "run")
    assert files(tmp_path) == before
    assert found.to_make == (
        "low made worse by JointOcclusion",
        "low completed by SlidingWindowAverage",
    )
    assert counts(found) == dict.fromkeys(METHODS, (0, 0, 2))
    assert not found.compared
    assert {row.clips for row in found.rows} == {None}
    assert {row.seconds for row in found.rows} == {None}


def test_a_view_that_is_mixed_in_completed_is_one_to_make(told, tmp_path):
    filled = {"view": "low", "completion": "SlidingWindowAverage"}
    told["methods"], told["seeds"] = {"teacher": {}, "filled": filled}, [0]
    run(recipe.parse(told), tmp_path / "run")
    told["methods"]["filled"] = filled | {"mix": 0.5}
    before = files(tmp_path)
    found = remaining(recipe.parse(told), tmp_path / "run")
    assert files(tmp_path) == before
    assert found.to_make == ("high completed by SlidingWindowAverage",)


def test_what_is_done_begun_and_changed(told, tmp_path):
    parsed, root = recipe.parse(told), tmp_path / "run"
    teacher, filled, *_ = list_tasks(parsed, root)
    perform(teacher)
    with pytest.raises(Killed):
        perform(filled, kill)
    before = files(tmp_path)
    found = remaining(parsed, root)
    assert files(tmp_path) == before
    assert found.to_make == ()
    assert counts(found) == {"teacher": (1, 0, 1), "low+completion": (0, 1, 1), "SKD": (0, 0, 2)}
    first, second, third = found.rows
    assert first.clips == (24, 24)
    assert first.steps == (4 * 3, 4 * 3)
    assert first.seconds == teacher.measured()["seconds"]
    log = (filled.folder / state.LOG_FILE).read_text(encoding="utf-8").splitlines()
    place = log[0].split(",").index("seconds")
    epoch = sum(float(line.split(",")[place]) for line in log[1:]) / 3
    assert second.seconds == pytest.approx((1 + 4) * epoch)  # one epoch of one, all of the other
    assert (second.timed, third.timed, third.seconds) == (1, 0, None)

    told["training"]["epochs"] = 5
    found = remaining(recipe.parse(told), root)
    assert counts(found) == dict.fromkeys(METHODS, (0, 0, 2))
    assert [row.changed for row in found.rows] == [1, 0, 0]


def test_a_method_that_learns_from_clips_with_a_match_has_fewer(told, tmp_path):
    told["data"]["paired"] = 0.5
    told["methods"] = {"teacher": {}, "low": {}, "few": {"view": "low", "clips": "paired"}}
    parsed = recipe.parse(told | {"seeds": [0]})
    perform(list_tasks(parsed, tmp_path / "run")[0])
    found = {row.method: row.clips for row in remaining(parsed, tmp_path / "run").rows}
    assert found == {"teacher": (12, 12), "low": (24, 24), "few": (12, 12)}


def test_after_a_run_nothing_is_left(told, tmp_path):
    told["methods"], told["seeds"] = ["teacher"], [0]
    parsed = recipe.parse(told)
    run(parsed, tmp_path / "run")
    (row,) = remaining(parsed, tmp_path / "run").rows
    assert (row.done, row.begun, row.to_do, row.seconds) == (1, 0, 0, 0.0)


def test_views_that_are_gone_are_not_made_to_see_what_is_done(told, tmp_path):
    told["methods"], told["seeds"] = ["teacher"], [0]
    parsed, root = recipe.parse(told), tmp_path / "run"
    run(parsed, root)
    shutil.rmtree(root / "views")
    before = files(tmp_path)
    found = remaining(parsed, root)
    assert files(tmp_path) == before
    assert not found.compared
    assert counts(found) == {"teacher": (1, 0, 0)}


def test_the_command_says_it_in_a_table(skeldistill, told, tmp_path):
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(told), encoding="utf-8")
    before = files(tmp_path)
    code, out, _ = skeldistill("run", "mine.yaml", "--plan")
    assert code == 0
    assert files(tmp_path) == before
    assert "View to make: low made worse by JointOcclusion" in out
    assert "no training of runs/small has been timed yet" in out
    for method in METHODS:
        assert method in out
    code, _, err = skeldistill("run", "mine.yaml", "--plan", "--restart")
    assert code == 1
    assert "give one" in err


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"student": {"name": "STGCN", "widht": 2}}, "no option 'widht'"),
        ({"methods": {"teacher": {}, "KL": {"losses": [{"name": "Kl"}]}}}, "no loss called 'Kl'"),
    ],
)
def test_what_a_run_would_refuse_is_no_plan_once_all_views_are_there(changed, said, told, tmp_path):
    told |= {"methods": ["teacher", "low"]} | changed
    told["data"]["low"] = {}
    before = files(tmp_path)
    with pytest.raises(ValueError, match=said):
        remaining(recipe.parse(told), tmp_path / "run")
    assert files(tmp_path) == before


def test_a_source_that_is_not_there_is_one_line(told, tmp_path):
    told["data"]["low"] = {"reader": "openpose", "source": str(tmp_path / "nowhere")}
    with pytest.raises(OSError, match=r"there is no .*nowhere"):
        remaining(recipe.parse(told), tmp_path / "run")


@pytest.mark.parametrize(
    ("seconds", "said"), [(40.0, "40 s"), (89.0, "89 s"), (720.0, "12 min"), (12600.0, "3.5 h")]
)
def test_durations_are_for_readers(seconds, said):
    assert duration(seconds) == said
