"""A recipe says everything, refuses what it does not know, and survives its own YAML."""

import json
import re

import pytest
import yaml
from jsonschema import Draft202012Validator

from skeldistill import recipe
from skeldistill.recipe import LossTerm
from skeldistill.recipe.reading import changed
from skeldistill.training.task import Task

LEAST = {"name": "least", "data": {"high": {"reader": "synthetic"}}}


def test_the_resolved_recipe_is_itself_a_recipe():
    resolved = recipe.parse(LEAST)
    assert recipe.parse(yaml.safe_load(resolved.to_yaml())) == resolved
    assert "milestones" in resolved.to_yaml()


def test_options_alone_are_those_of_the_default_network():
    resolved = recipe.parse({**LEAST, "student": {"width": 0.25}})
    named = recipe.parse({**LEAST, "student": {"name": "STGCN", "width": 0.25}})
    assert resolved.student == named.student
    assert resolved.teacher.name == resolved.student.name


def test_the_resolved_paper_recipe_is_itself_a_recipe():
    resolved = recipe.parse({**LEAST, "family": "paper"})
    assert resolved.sampling.frames == 300
    assert resolved.training.milestones == (15, 30, 45)
    assert recipe.parse(yaml.safe_load(resolved.to_yaml())) == resolved


def test_what_the_recipe_says_goes_before_its_family():
    resolved = recipe.parse({**LEAST, "family": "paper", "sampling": {"frames": 7}})
    assert resolved.sampling.frames == 7
    assert resolved.sampling.frame_choice == "replay"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dat": {}}, "did you mean 'data'?"),
        ({"data": {"hihg": {}}}, "data: unknown key 'hihg'; did you mean 'high'?"),
        ({"training": {"epochs": 0}}, "training.epochs"),
        ({"training": {"epochs": "many"}}, "got 'many'"),
        ({"methods": ["SDK"]}, "did you mean 'SKD'?"),
        ({"methods": {"SKD": {"teacher": "techer"}, "teacher": None}}, "did you mean 'teacher'?"),
        (
            {"methods": {"low": {"training": {"epoch": 3}}}},
            "methods.low.training: unknown key 'epoch'; did you mean 'epochs'?",
        ),
        ({"methods": {"low": {"sampling": {"frames": 0}}}}, "methods.low.sampling: frames: Input"),
        ({"training": {"learning_rate": float("inf")}}, "learning_rate: Input should be a finite"),
        ({"methods": {"low": {"sampling": {"rotation": float("inf")}}}}, "a finite number"),
        (
            {"methods": {"KL": {"losses": [{"name": "KL", "weight": float("inf")}]}}},
            "methods.KL.losses.0.weight: Input should be a finite number",
        ),
        ({"family": "strnog"}, "family: Input should be"),
        ({"family": ["strong"]}, "family: Input should be"),
        ({"methods": {"KL": {"teacher": "KL"}}}, "KL needs KL"),
        ({"methods": {"KL": {"teacher": "low"}, "low": None}}, "'low', which never sees the high"),
        (
            {"methods": {"KL": {"teacher": "b"}, "b": {"start_from": "KL"}}},
            "KL needs b needs KL",
        ),
        (
            {"methods": {"teacher": {}, "KL": {"losses": ["KL", "KL"]}}},
            "methods.KL.losses names a loss twice",
        ),
        ({"seeds": []}, "seeds"),
        ({"seeds": [-1]}, "seeds.0"),
        ({"training": 3}, "training: Input should be"),
        ({"methods": {"low": 3}}, "methods.low: Input should be"),
        ({"methods": "SKD"}, "methods: Input should be"),
        ({"methods": [["SKD"]]}, "no ready-made method"),
        ({"methods": []}, "methods"),
        ({"name": "../elsewhere"}, "name '../elsewhere' is to name a folder"),
        ({"name": ".."}, "no slashes"),
        ({"data": {"high": {"store": "a", "reader": "b"}}}, "either a store"),
    ],
)
def test_mistakes_are_one_line_that_says_what_to_do(change, said):
    with pytest.raises(ValueError, match=r".") as caught:
        recipe.parse({**LEAST, **change})
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_mapping_or_no_yaml_is_refused(tmp_path):
    for text in ("- a\n- b\n", "a: [", "\x00"):
        path = tmp_path / "recipe.yaml"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match=r"recipe\.yaml"):
            recipe.load(path)


def test_set_changes_what_is_deep_and_what_is_in_lists(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**LEAST, "methods": ["teacher", "SKD"]}), encoding="utf-8")
    changed = recipe.load(
        path,
        [
            "training.epochs=3",
            "data.high.options.clips=9",
            "methods.SKD.gradient_revision=false",
            "seeds=[4, 5]",
        ],
    )
    assert changed.training.epochs == 3
    assert changed.data.high.options == {"clips": 9}
    assert changed.methods["SKD"].gradient_revision is False
    assert [term.name for term in changed.methods["SKD"].losses] == ["KL", "GraphMatching"]
    assert changed.seeds == (4, 5)
    with pytest.raises(ValueError, match=r"section.key=value"):
        recipe.load(path, ["training.epochs"])


def test_set_within_the_usual_methods_keeps_the_others():
    parsed = recipe.parse(changed(LEAST, "methods.low.training.epochs=3"))
    assert list(parsed.methods) == list(recipe.DEFAULT_METHODS)
    assert parsed.training_of("low").epochs == 3


@pytest.mark.parametrize(
    "methods",
    [["low+completion", "teacher", "SKD"], dict.fromkeys(("low+completion", "teacher", "SKD"))],
)
def test_set_within_a_ready_made_method_keeps_the_rest_of_it(methods):
    data = {**LEAST, "methods": methods}
    for change in ("methods.low+completion.completion.window=7", "methods.SKD.losses.1.balance=1"):
        data = changed(data, change)
    parsed = recipe.parse(data)
    completion = parsed.methods["low+completion"].completion
    assert completion == recipe.Part(name="SlidingWindowAverage", window=7)
    assert [t.name for t in parsed.methods["SKD"].losses] == ["KL", "GraphMatching"]
    assert parsed.methods["SKD"].losses[1].options == {"balance": 1}
    assert recipe.METHODS["low+completion"]["completion"]["window"] == 3


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("sampling.frames=[8", "--set sampling.frames=[8: the value is not YAML"),
        ("name.x=3", "there is nothing below 'x'; leave out 'x'"),
        ("name", "write it as section.key=value"),
    ],
)
def test_what_set_cannot_change_is_one_line(change, said):
    with pytest.raises(ValueError, match=r".") as caught:
        changed({"name": "x"}, change)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_ready_made_method_can_be_asked_for():
    resolved = recipe.parse({**LEAST, "methods": list(recipe.METHODS)})
    assert set(resolved.methods) == set(recipe.METHODS)


def test_a_method_changes_only_its_own_training():
    resolved = recipe.parse(
        {**LEAST, "methods": {"low": {"training": {"epochs": 2}}, "teacher": {}}}
    )
    assert resolved.training_of("low").epochs == 2
    assert resolved.training_of("teacher") == resolved.training


def test_weights_of_a_loss_follow_its_schedule():
    term = LossTerm(name="KL", weight=2.0, start=1, stop=5, ramp=3)
    assert [term.weight_at(epoch) for epoch in range(6)] == [0, 0.5, 1.0, 1.5, 2.0, 0]


def test_the_schema_knows_every_section():
    schema = json.loads(json.dumps(recipe.schema()))
    assert {"Sampling", "Training", "Method"} <= set(schema["$defs"])


@pytest.fixture(scope="module")
def allowed():
    return Draft202012Validator(recipe.schema()).is_valid


@pytest.mark.parametrize("path", recipe.shipped().values(), ids=lambda path: path.stem)
def test_the_schema_allows_every_recipe_that_ships_and_what_is_made_of_it(path, allowed):
    assert allowed(yaml.safe_load(path.read_text(encoding="utf-8")))
    assert allowed(yaml.safe_load(recipe.load(path).to_yaml()))


@pytest.mark.parametrize(
    ("change", "right"),
    [
        ({}, True),
        ({"methods": ["teacher", "SKD"]}, True),
        ({"methods": {"teacher": None, "KL": {"losses": ["KL"]}}}, True),
        ({"student": {"width": 0.25}, "teacher": "CTRGCN", "training": None}, True),
        ({"methods": ["SDK"]}, False),
        ({"methods": {"low": {"training": {"epoch": 3}}}}, False),
        ({"student": {"name": 3}}, False),
        ({"trainin": {}}, False),
    ],
)
def test_the_schema_allows_what_is_read_and_nothing_else(change, right, allowed):
    told = {**LEAST, **change}
    assert allowed(told) is right
    if right:
        recipe.parse(told)
    else:
        with pytest.raises(ValueError, match="recipe: "):
            recipe.parse(told)


def test_variables_in_paths_are_filled_in_or_named(monkeypatch):
    monkeypatch.setenv("SKELETONS", "/skeletons")
    assert recipe.expanded("$SKELETONS/penn") == "/skeletons/penn"
    with pytest.raises(ValueError, match="NO_SUCH_PLACE"):
        recipe.expanded("${NO_SUCH_PLACE}/penn")


def test_a_loss_that_would_never_act_is_refused():
    with pytest.raises(ValueError, match="never act: it stops in epoch 3 and starts in 3"):
        LossTerm(name="KL", start=3, stop=3)
    assert LossTerm(name="KL", start=3, stop=4).weight_at(3) == 1.0


def test_a_loss_that_would_start_after_the_training_is_refused():
    late = {"low": {"losses": [{"name": "KL", "start": 5}]}, "teacher": {"view": "high"}}
    told = {**LEAST, "methods": late, "training": {"epochs": 6}}
    recipe.parse(told)
    told["training"] = {"epochs": 5}
    with pytest.raises(
        ValueError, match=r"methods\.low\.losses: KL would never act: .* 5, .* of 5"
    ):
        recipe.parse(told)


def test_a_threshold_that_would_undo_a_completion_is_refused():
    told = {**LEAST, "methods": ["low", "low+completion"], "sampling": {"least_score": 0.3}}
    with pytest.raises(
        ValueError,
        match=r"methods\.low\+completion: sampling\.least_score 0\.3 .*"
        r"\{name: ConfidenceOcclusion, threshold: 0\.3\}",
    ):
        recipe.parse(told)
    recipe.parse({**told, "methods": ["low"]})


def test_smoothed_labels_are_of_the_softmax():
    told = {
        **LEAST,
        "methods": ["low"],
        "training": {"task_loss": "binary", "label_smoothing": 0.1},
    }
    with pytest.raises(ValueError, match=r"training: .*label_smoothing 0\.1 is of the softmax"):
        recipe.parse(told)


@pytest.mark.parametrize("other", ["KL: soft", "kl? soft"])
def test_methods_that_would_share_a_folder_are_refused(other):
    with pytest.raises(ValueError, match=f"'KL; soft' and {re.escape(repr(other))} would share"):
        recipe.parse({**LEAST, "methods": {"KL; soft": {}, other: {}}})


def test_what_does_not_change_a_training_is_not_in_what_marks_it(tmp_path):
    def settings(**training) -> dict:
        parsed = recipe.parse({**LEAST, "methods": ["teacher"], "training": training})
        return Task(recipe=parsed, root=tmp_path, method="teacher", fold=0, seed=0).settings

    assert settings() == settings(compile=True) == settings(synchronise_batch_norm=True)
    assert settings(synchronise_batch_norm=False) != settings()


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system"]
)
def test_values_of_the_command_line_make_no_objects(text):
    with pytest.raises(ValueError, match="is not YAML"):
        recipe.changed({"name": "a"}, f"name={text}")


def test_a_date_is_text():
    assert recipe.changed({}, "name=2026-11-30") == {"name": "2026-11-30"}
    assert recipe.changed({}, "name=[1, 2.5, true, null]") == {"name": [1, 2.5, True, None]}


def test_an_augmentation_of_the_high_view_that_is_none_is_refused():
    told = {**LEAST, "methods": {"low": {"augment": "high"}}}
    with pytest.raises(ValueError, match=r"methods\.low: augment: high has no augmentation"):
        recipe.parse(told)
    told["methods"]["low"]["augmentation"] = [{"name": "Jitter"}]
    assert recipe.parse(told).methods["low"].augment == "high"
