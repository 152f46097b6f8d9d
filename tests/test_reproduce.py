"""The papers' tables as data, what is run for them, and what is set beside the printed figures."""

import csv
import io
import json
import re
import shutil
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import yaml
from scipy import stats
from stores import named, small_experiment, small_store

from skeldistill import layouts, losses, networks
from skeldistill.losses import LossContext
from skeldistill.networks import STGCN, ST2sGCN, STsGCN
from skeldistill.recipe import parse
from skeldistill.report import reproduce as report
from skeldistill.reproduction import figures
from skeldistill.reproduction import plan as planning
from skeldistill.reproduction import reproduce as running
from skeldistill.reproduction.book import books, known, select
from skeldistill.reproduction.earlier import earlier, set_aside
from skeldistill.reproduction.plan import plan, seconds, size
from skeldistill.reproduction.rate import fastest
from skeldistill.reproduction.recipes import (
    Setting,
    experiments,
    methods,
    views_needed,
)
from skeldistill.reproduction.share import Shared, key
from skeldistill.reproduction.views import Given, GivenView, example, read
from skeldistill.shelf import build
from skeldistill.training.task import Task

PAPER = Setting(family="paper", seeds=(0,))
NOTHING = Given(views={}, divisions={})
EVERYTHING = replace(NOTHING, all_there=True)
SMALL = (
    "sampling.frames=8",
    "sampling.persons=1",
    "sampling.normalisation=clip",
    "training.epochs=2",
    "training.batch_size=8",
    "training.learning_rate=0.001",
    "teacher.width=0.125",
    "student.width=0.125",
)

COUNTED = {
    "skd-I": 8,
    "skd-II": 52,
    "skd-III": 14,
    "skd-IV": 4,
    "skd-V": 32,
    "skd-VI": 24,
    "skd-VII": 20,
    "skd-VIII": 8,
    "plkd-1": 42,
    "plkd-2": 42,
    "plkd-3": 56,
    "plkd-4": 8,
    "plkd-5": 32,
}
"""Figures of each printed table, counted by hand; costs apart."""


def by_name(table, row, column, block=0):
    return next(
        cell
        for cell in select([table])
        if (cell.at[0].name, cell.at[1].name, cell.block) == (row, column, block)
    )


def ids(cell):
    return f"{cell.table.name} {cell.block} {cell.row} {cell.column}"


# the data


def test_every_figure_is_there():
    assert Counter(cell.table.name for cell in select()) == COUNTED
    printed = Counter(cell.table.name for cell in select() if cell.printed is None)
    assert printed == {"skd-VIII": 1}  # the one that cannot be read


def test_every_printed_cost_is_there():
    with_costs = Counter(
        table.name
        for book in books()
        for table in book.tables
        for block in table.blocks
        for row in block.rows
        if row.costs
    )
    assert with_costs == {"skd-II": 13, "skd-III": 7}


@pytest.mark.parametrize(
    ("table", "row", "settings", "column", "printed"),
    [
        ("skd-I", "SKD(PifPaf-ResNet, ST-GCN, k=1)", "", "Top-1", 81.87),
        ("skd-II", "SKD(PifPaf-ShflNet, ST-2sGCN, k=1)", "", "CV Top-5", 98.21),
        ("skd-III", "LQS-SWA-S(OpenPose, ST-GCN, k=1/10)", "", "Top-1", 21.44),
        ("skd-V", "SKD*(MS-G3D)", "", "0.6", 83.26),
        (
            "skd-VI",
            "SKD(PifPaf-ShflNet, ST-GCN, k=1)",
            "L_T + L_KL + L_edge",
            "CS Top-1",
            78.32,
        ),
        ("skd-VIII", "L_edge", "", "CV w Adaption + w/o GR", 0.06),
        ("plkd-1", "Student (w/ KD)", "PifPaf-ResNet152, OP 0.6", "Top1", 80.52),
        ("plkd-2", "Student (w/ KD)", "PifPaf-MobileNetv3Small, OP 0.6", "Setting2", 81.14),
        ("plkd-3", "PA-ResGCN-B19 [44]", "PifPaf-MobileNetv3Small, -", "Setting1", 86.79),
        (
            "plkd-4",
            "Student",
            "PifPaf-ShuffleNetv2x1, L_c + Global MSC, global feature-based",
            "CV",
            86.11,
        ),
        ("plkd-5", "Student (w/ KD)", "PifPaf-ShuffleNetv2x1, 100%", "CS", 83.27),
    ],
)
def test_figures_stand_where_they_are_printed(table, row, settings, column, printed):
    found = [
        cell.printed
        for cell in select([table])
        if (cell.at[0].name, cell.at[0].settings, cell.at[1].name) == (row, settings, column)
    ]
    assert found
    assert found[0] == printed


def test_a_figure_that_is_printed_twice_is_the_same_twice():
    """The baselines of SKD's ablations are those of its Table II, PLKD's of its Table 1."""
    second = {c.at[1].name: c.printed for c in select(["skd-II"]) if c.row == 3}
    for table in ("skd-VI", "skd-VII"):
        last = max(c.row for c in select([table]))
        assert {c.at[1].name: c.printed for c in select([table]) if c.row == last} == second
    students = [c for c in select(["plkd-1", "plkd-2"]) if c.block == 0 and "w/o" in c.at[0].name]
    figures = [c.printed for c in students]
    assert figures[: len(figures) // 2] == figures[len(figures) // 2 :]


def test_tables_are_picked_by_name_or_by_paper():
    assert {c.table.name for c in select(["PLKD", "skd-i"])} == {
        "skd-I",
        *(name for name in COUNTED if name.startswith("plkd")),
    }
    with pytest.raises(ValueError, match="did you mean 'skd-VI'"):
        select(["skd-6VI"])


def test_parameters_of_table_two_are_units_of_two_to_the_twentieth():
    """As the table's note says: with an adaptation layer of 256 to 256 channels and its bias."""
    printed = {}
    for cell in select(["skd-II"]):
        assert cell.at[0].costs is not None
        printed[cell.about.student] = cell.at[0].costs.parameters[1]
    for name, kind in (("ST-GCN", STGCN), ("ST-sGCN", STsGCN), ("ST-2sGCN", ST2sGCN)):
        made = kind(layouts.find("coco17"), classes=60)
        count = sum(weight.numel() for weight in made.parameters())
        assert round((count + 256 * 256 + 256) / 2**20, 2) == printed[name]


def test_plkd_has_nine_blocks_and_the_skd_that_it_quotes_has_ten():
    for cell in select():
        skd = cell.book.name == "skd" or cell.about.method == "SKD"
        for name in {cell.about.teacher, cell.about.student} & {"ST-GCN", "ST-GCN of SKD"}:
            assert name is not None
            part = cell.book.networks[name].part.name
            assert part == ("STGCN" if skd else "STGCN9"), ids(cell)


# recipes


@pytest.fixture(scope="module", params=["paper", "strong"])
def everything(request):
    """The experiments of all cells, were all data there."""
    setting = Setting(family=request.param, seeds=(0, 1))
    return experiments(select(), EVERYTHING, setting, planning.Path("made"))


def test_every_cell_has_a_valid_recipe(everything):
    asked = {ids(cell) for experiment in everything for cell, _ in experiment.cells}
    assert asked == {ids(cell) for cell in select()}
    folders = [experiment.folder for experiment in everything]
    assert len(set(folders)) == len(folders) < len(asked)


def test_every_recipe_makes_its_networks_and_losses(everything):
    """Names, options, numbers of frames, and losses that suit both sides' joints."""
    made = {}
    for experiment in everything:
        recipe, cell = experiment.recipe, experiment.cells[0][0]
        views = [known().views[name] for name in planning.sides(cell, EVERYTHING, recipe.family)]
        for name, method in recipe.methods.items():
            view = views[0 if method.view == "high" else 1]
            part = planning.network_part(recipe, method)
            frames = recipe.sampling_of(name).frames
            key = (view.layout, view.channels, json.dumps(part.model_dump()), frames)
            if key not in made:
                options = {"classes": 5, "persons": 1, "channels": 3, **part.options}
                options |= {"width": 0.0625} if part.name != "RankPooling" else {}
                network = build(
                    "network", networks.find(part.name), options, layouts.find(view.layout)
                )
                assert frames in network.frame_counts
                made[key] = network
            if method.losses:
                teacher = planning.network_part(recipe, recipe.methods[method.teacher])
                high = views[0]
                taught_by = made[
                    high.layout, high.channels, json.dumps(teacher.model_dump()), frames
                ]
                about = LossContext(
                    student_layout=made[key].layout,
                    teacher_layout=taught_by.layout,
                    student_channels=made[key].feature_channels,
                    teacher_channels=taught_by.feature_channels,
                    classes=5,
                )
                for term in method.losses:
                    build("loss", losses.find(term.name), term.options, about)


def test_cells_of_one_setting_share_an_experiment(everything):
    shared = [
        {cell.table.name for cell, _ in experiment.cells}
        for experiment in everything
        if "KL+node" in experiment.recipe.methods
    ]
    assert len(shared) == 2  # CS and CV
    assert all({"skd-II", "skd-VI", "skd-VII", "skd-VIII"} <= tables for tables in shared)


def test_as_printed():
    """SKD IV-A 4 and PLKD 4.3."""
    skd, plkd = (
        experiments([cell], EVERYTHING, PAPER, planning.Path())[-1].recipe
        for cell in (
            by_name("skd-II", "SKD(PifPaf-ShflNet, ST-GCN, k=1)", "CS Top-1"),
            by_name("plkd-1", "Student (w/ KD)", "CS"),
        )
    )
    assert (skd.sampling.frames, skd.sampling.persons, skd.sampling.frame_choice) == (
        300,
        2,
        "replay",
    )
    assert (skd.training.epochs, skd.training.batch_size, skd.training.weight_decay) == (
        60,
        16,
        1e-4,
    )
    assert skd.training.milestones == (15, 30, 45)
    assert skd.training.task_loss == "binary"
    assert [term.name for term in skd.methods["SKD"].losses] == ["ReversedKL", "GraphMatching"]
    assert plkd.training.milestones == (30, 40, 50)
    assert plkd.sampling.frame_choice == "zeros"
    assert plkd.methods["PLKD"].gradient_revision is False
    # metres for the teacher, pixels for the student
    assert plkd.sampling_of("teacher").normalisation == "centre"
    assert plkd.sampling_of("PLKD").normalisation == "image"


@pytest.mark.parametrize(
    ("settings", "weights"),
    [
        ("L_T + L_KL + L_node", {"node": 1.0}),
        ("L_T + L_KL + L_edge", {"edge": 1.0}),
        ("L_T + L_KL + L_GM", {"node": 0.5, "edge": 0.5}),
    ],
)
def test_losses_weigh_as_table_six_prints(settings, weights):
    cell = next(cell for cell in select(["skd-VI"]) if cell.at[0].settings == settings)
    (made,) = experiments([cell], EVERYTHING, PAPER, planning.Path())
    about = LossContext(
        student_layout=layouts.COCO17,
        teacher_layout=layouts.COCO17,
        student_channels=8,
        teacher_channels=8,
        classes=5,
    )
    term = made.recipe.methods[made.cells[0][1]].losses[1]
    assert losses.GraphMatching(about, **term.options).weights == weights


def test_a_cell_needs_only_the_views_that_it_uses():
    teacher, plain, *_ = (
        by_name("skd-I", row, "Top-1")
        for row in ("HQS-T(Human, ST-GCN, k=1)", "LQS-S(PifPaf-ResNet, ST-GCN, k=1)")
    )
    assert views_needed(teacher, "paper") == ("penn/human",)
    assert views_needed(plain, "paper") == ("penn/pifpaf-resnet152-penn13",)
    fine_tuned = by_name("skd-IV", "SKD(ST-GCN)", "0.3")
    assert set(views_needed(fine_tuned, "paper")) == {"ntu120/kinect", "ntu60/kinect"}


def test_methods_bring_what_they_start_from():
    cell = by_name("plkd-3", "3S-RA-GCN [15]", "CS")
    assert list(methods(cell, "paper")) == ["one stream", "3S-RA-GCN"]


def test_classes_that_do_not_occur_are_told():
    cell = by_name("skd-IV", "ST-GCN [18]", "0.3")
    assert known().data_sets["ntu120"].classes == 120
    assert any("120 outputs, of which ten occur" in note for note in cell.table.notes)


def test_every_seed_is_fine_tuned_from_its_own_network(tmp_path):
    setting = Setting(family="paper", seeds=(0, 3))
    cell = by_name("skd-IV", "ST-GCN [18]", "0.6")
    pretrained, *tuned = experiments([cell], EVERYTHING, setting, tmp_path)
    assert [one.recipe.seeds for one in tuned] == [(0,), (3,)]
    for one in tuned:
        start = one.recipe.methods["LQS"].start_from
        assert start is not None
        assert start.startswith(str(pretrained.folder))
        assert f"seed{one.recipe.seeds[0]}" in start
        assert one.after == [pretrained]


def test_another_setting_has_another_folder_and_more_seeds_have_not(tmp_path):
    cell = by_name("skd-I", "HQS-T(Human, ST-GCN, k=1)", "Top-1")

    def folder(**changed):
        return experiments([cell], EVERYTHING, replace(PAPER, **changed), tmp_path)[0].folder

    assert folder(seeds=(0, 1, 2)) == folder()
    assert folder(changes=("training.epochs=2",)) != folder()
    assert folder(family="strong") != folder()


# the user's file


def test_the_example_is_a_file_of_views_and_names_all(tmp_path):
    (tmp_path / "views.yaml").write_text(example(), encoding="utf-8")
    given = read(tmp_path / "views.yaml")
    assert set(given.views) == set(known().views)
    assert given.missing("sysu/kinect") is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- penn/human", "must map names"),
        ("penn/humn: {store: a}", "did you mean 'penn/human'"),
        ("penn/human: {source: a}", "needs the name of its reader"),
        ("penn/human: {stor: a}", "did you mean 'store'"),
        ("splits: {sysu: {setting 3: {train: a}}}", "splits must say"),
        ("splits: {sysu: {setting 1: {trian: a}}}", "did you mean 'train'"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(tmp_path, text, said):
    (tmp_path / "views.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(said)) as raised:
        read(tmp_path / "views.yaml")
    assert "\n" not in str(raised.value)


def test_splits_may_have_names_of_the_users_own(tmp_path):
    (tmp_path / "views.yaml").write_text(
        'splits: {sysu: {setting 1: {train: "s{}_a", test: "s{}_b", repeats: 2}}}'
    )
    given = read(tmp_path / "views.yaml")
    folds = given.division("sysu", "setting 1").folds()
    assert folds == [{"train": "s1_a", "test": "s1_b"}, {"train": "s2_a", "test": "s2_b"}]
    official = given.division("sysu", "setting 2").folds()
    assert len(official) == 30
    assert official[29]["test"] == "setting2_seeded30_test"


def test_divisions_are_those_of_the_readers():
    from skeldistill.readers import NTU, SYSU, KineticsSkeleton, Penn

    readers = {
        "penn": Penn(),
        "ntu60": NTU(),
        "ntu120": NTU(actions=120),
        "kinetics400": KineticsSkeleton(),
        "sysu": SYSU(),
    }
    for name, data_set in known().data_sets.items():
        official = {(one.train, one.test): one.clips for one in readers[name].divisions}
        for division in data_set.divisions.values():
            for fold in division.folds():
                clips = official[fold["train"], fold["test"]]
                assert clips in (None, division.clips)


# the plan


def _pretended(said, frames):
    return planning.Size(parameters=len(said), multiply_adds=frames)


def test_a_plan_is_complete_without_any_data(monkeypatch):
    monkeypatch.setattr(planning, "_size", _pretended)
    made = plan(select(), NOTHING, PAPER, rate=1e9)
    found = [(table["name"], row) for table, _, row in report.rows(made)]
    assert Counter(name for name, row in found for _ in row["cells"]) == COUNTED
    for _, row in found:
        assert row["hours"] > 0
        assert row["views"]
        assert all(view["name"] in view["missing"] for view in row["views"])
    assert made["hours_there"] == 0
    by_table = sum(table["hours"] for table in made["tables"])
    assert made["hours"] < by_table  # tables share trainings, and so do rows of one
    assert by_table != pytest.approx(sum(row["hours"] for _, row in found))


def test_what_openpifpaf_no_longer_publishes_is_said():
    said = NOTHING.missing("ntu60/pifpaf-shufflenetv2x1")
    assert said is not None
    assert "ShuffleNetV2x1" in said
    assert "0.11.0" in said
    assert "registration" in NOTHING.missing("ntu60/kinect")
    assert "\n" not in said


def test_hours_by_hand():
    """Penn's teacher: 1,258 clips, 60 epochs; SKD goes back once more for each of three losses."""
    cells = [by_name("skd-I", f"{row}, ST-GCN, k=1)", "Top-1") for row in ("HQS-T(Human",)]
    cells += [by_name("skd-I", "SKD(PifPaf-ResNet, ST-GCN, k=1)", "Top-1")]
    (experiment,) = experiments(cells, EVERYTHING, PAPER, planning.Path())
    one = size(experiment, "teacher").multiply_adds
    assert seconds(experiment, "teacher", 1e9) == pytest.approx(1258 * 60 * one / 1e9)
    assert seconds(experiment, "SKD", 1e9) == pytest.approx(
        1258 * 60 * one * (1 + 3 * 2 / 3 + 1 / 3) / 1e9
    )


@pytest.mark.parametrize("name", ["STGCN", "ASGCN", "ShiftGCN", "DeepLSTM", "PAResGCNB19"])
def test_counting_without_numbers_is_counting(name):
    said = {
        "layout": "penn13",
        "name": name,
        "options": {"classes": 3, "persons": 1, "channels": 3, "width": 0.125},
    }
    found = planning._size(json.dumps(said), 16)
    made = networks.find(name)(layouts.find("penn13"), **said["options"])
    assert found.multiply_adds == planning.cost.multiply_adds(made, 16) > 0
    assert found.parameters == planning.cost.parameters(made)


# running


@pytest.fixture(scope="module")
def penn(tmp_path_factory):
    """Two views of a few made-up clips on Penn's joints, and the user's file."""
    folder = tmp_path_factory.mktemp("penn")
    clips = named(12, "train") + named(6, "test", 12)
    small_store(folder / "human.arrow", clips, size=(480, 640))
    small_store(folder / "pifpaf.arrow", clips, seed=1, size=(480, 640))
    views = {
        "penn/human": {"store": str(folder / "human.arrow")},
        "penn/pifpaf-resnet152-penn13": {
            "store": str(folder / "pifpaf.arrow"),
            "note": "made up",
            "degradations": [{"name": "Jitter", "deviation": 0.01}],
        },
    }
    (folder / "views.yaml").write_text(yaml.safe_dump(views), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def results(penn):
    setting = Setting(family="paper", seeds=(0, 1), changes=SMALL)
    given = read(penn / "views.yaml")
    cells = [c for c in select(["skd-I", "plkd-1"]) if c.at[1].name in ("Top-1", "Top1", "CS")]
    return running.reproduce(cells, given, setting, penn / "made")


def test_what_the_views_allow_is_run(results):
    assert results["failed"] == {}
    cells = {
        (table["name"], row["name"]): cell
        for table, _, row in report.rows(results)
        for cell in row["cells"]
        if cell["ours"]
    }
    assert len(cells) == 5  # four rows of SKD's Table I, and PLKD's teacher on annotation
    for cell in cells.values():
        assert len(cell["ours"]["values"]) == 2
        assert cell["difference"]["mean"] == pytest.approx(cell["ours"]["mean"] - cell["printed"])
        width = cell["ours"]["high"] - cell["ours"]["low"]
        assert cell["difference"]["high"] - cell["difference"]["low"] == pytest.approx(width)


def test_costs_stand_beside(results):
    row = results["tables"][0]["blocks"][0]["rows"][3]
    assert 0 < row["parameters"] < 100_000  # of the narrow network that ran
    assert row["multiply_adds"] > 0
    assert row["latency_ms"] > 0
    assert row["seconds"] > 0


def test_what_cannot_be_run_says_what_is_missing(results):
    lacking = [
        cell["why"]
        for table in results["tables"][1:]
        for _, _, row in report.rows({"tables": [table]})
        for cell in row["cells"]
        if not cell["ours"]
    ]
    assert lacking
    assert all(why and all("needs" in line for line in why) for why in lacking)
    figures = report._figures(results["tables"][1]["blocks"][0]["rows"][0]["cells"][0])
    assert figures == ("84.56", "needs ntu60/kinect", "–")


def test_what_stood_in_for_a_view_is_said(results):
    rows = results["tables"][0]["blocks"][0]["rows"]
    assert rows[0]["stand_ins"] == []
    assert rows[3]["stand_ins"] == ["penn/pifpaf-resnet152-penn13: made up"]


def test_every_experiment_is_an_ordinary_one(results, penn):
    folders = list((penn / "made" / "experiments").iterdir())
    assert folders
    for folder in folders:
        held = json.loads((folder / "results.json").read_text(encoding="utf-8"))
        assert held["methods"]


def test_what_is_done_is_not_done_again(results, penn, monkeypatch):
    from skeldistill.training import perform

    def refuse(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr(perform, "fit", refuse)
    setting = Setting(family="paper", seeds=(0, 1), changes=SMALL)
    again = running.reproduce(select(["skd-I"]), read(penn / "views.yaml"), setting, penn / "made")
    mine = again["tables"][0]["blocks"][0]["rows"][3]["cells"][0]["ours"]
    assert mine == results["tables"][0]["blocks"][0]["rows"][3]["cells"][0]["ours"]


def test_an_equal_training_is_taken_over(results, penn, monkeypatch):
    """Without occlusion in the way, the teacher is the same whatever students will see."""
    from skeldistill.training import perform

    monkeypatch.setattr(perform, "fit", lambda *_, **__: pytest.fail("trained again"))
    given = read(penn / "views.yaml")
    alone = replace(given, views={"penn/human": given.views["penn/human"]})
    setting = Setting(family="paper", seeds=(0, 1), changes=SMALL)
    cell = by_name("skd-I", "HQS-T(Human, ST-GCN, k=1)", "Top-1")
    before = len(list((penn / "made" / "experiments").iterdir()))
    found = running.reproduce([cell], alone, setting, penn / "made")
    assert len(list((penn / "made" / "experiments").iterdir())) == before + 1
    ours = found["tables"][0]["blocks"][0]["rows"][0]["cells"][0]["ours"]
    assert ours == results["tables"][0]["blocks"][0]["rows"][0]["cells"][0]["ours"]


def test_a_training_that_has_changed_since_is_not_taken_over(results, penn, tmp_path):
    shared = Shared(penn / "made")
    index = json.loads((penn / "made" / "shared.json").read_text(encoding="utf-8"))
    setting = Setting(family="paper", seeds=(0, 1), changes=SMALL)
    given = read(penn / "views.yaml")
    cell = by_name("skd-I", "HQS-T(Human, ST-GCN, k=1)", "Top-1")
    (experiment,) = experiments([cell], given, setting, tmp_path)
    task = experiment.tasks("teacher")[0]
    changed = {name: entry | {"fingerprint": "other"} for name, entry in index.items()}
    shared._read = lambda: changed
    assert not shared.adopt(task)
    shared._read = lambda: index
    assert shared.adopt(task)
    assert task.done
    assert not shared.adopt(task)


def test_only_equal_trainings_are_shared(results, penn):
    given = read(penn / "views.yaml")
    setting = Setting(family="paper", seeds=(0, 1), changes=SMALL)
    wider = replace(setting, changes=(*SMALL, "student.width=0.25", "teacher.width=0.25"))
    keys = []
    for one in (setting, wider):
        (experiment,) = experiments(select(["skd-I"]), given, one, penn / "made")
        assert key(experiment.tasks("SKD")[0]) is None  # it depends on its teacher, too
        for method in ("teacher", "LQS", "LQS-SWA"):
            keys += [key(task) for task in experiment.tasks(method)]
    assert None not in keys
    assert len(set(keys)) == len(keys) == 12


@pytest.mark.parametrize("lacking", ["nothing", "shares of labels", "labels", "classes"])
def test_trainings_are_shared_unless_the_other_view_enters_them(tmp_path, lacking):
    told = small_experiment(tmp_path, ["teacher"])
    clips = named(24, "train") + named(12, "test", 24)
    if lacking == "labels":
        small_store(tmp_path / "high.arrow", [("clip000", -1, "train"), *clips[1:]])
    if lacking == "classes":
        small_store(tmp_path / "high.arrow", clips, classes=())
    if lacking == "shares of labels":
        told["data"]["labelled"] = 0.5
    keys = []
    for name, some in (("all", clips), ("half", clips[::2])):
        low = small_store(tmp_path / f"{name}.arrow", some)
        told["data"]["low"] = {"store": str(low.path)}
        one = Task(recipe=parse(told), root=tmp_path / name, method="teacher", fold=0, seed=0)
        keys.append(key(one))
    assert None not in keys
    assert (keys[0] == keys[1]) == (lacking == "nothing")


def test_losses_are_told_before_their_weight(tmp_path):
    """Table VIII: lambda is 0.5, so node and edge are twice what enters the sum."""
    cell = by_name("skd-VIII", "L_node", "CS w Adaption + w/o GR")
    (experiment,) = experiments([cell], EVERYTHING, PAPER, tmp_path)
    task = experiment.tasks("SKD without revision")[0]
    task.folder.mkdir(parents=True)
    history = [{"terms": {"node": 9.0, "edge": 9.0}}, {"terms": {"node": 0.3, "edge": 0.02}}]
    (task.folder / "measured.json").write_text(json.dumps({"top1": 50, "history": history}))
    assert figures.value(task, "node") == pytest.approx(0.6)
    assert figures.value(task, "edge") == pytest.approx(0.04)
    assert figures.value(task, "top1") == 50


def test_the_interval_of_an_accuracy_is_of_distinct_clips(tmp_path):
    """SYSU's thirty divisions share clips: answers that are all alike know ten clips, not 300."""
    cell = by_name("plkd-1", "Teacher", "Setting2", block=2)
    setting = replace(PAPER, seeds=(0, 1))
    (experiment,) = experiments([cell], EVERYTHING, setting, tmp_path)
    tasks = experiment.tasks("teacher")
    assert len(tasks) == 60
    labels, ids = np.arange(10) % 6, [f"clip{place}" for place in range(10)]
    logits = np.eye(6, dtype=np.float32)[labels]
    logits[7:] = 0  # a tie is not right
    for task in tasks:
        task.folder.mkdir(parents=True)
        np.savez(task.folder / "said.npz", logits=logits, labels=labels, ids=ids)
    half = 100 * stats.t.ppf(0.975, 9) * np.sqrt(0.7 * 0.3 / 9)
    found = figures.interval(tasks, "top1", [70.0] * 60)
    assert (found.mean, found.low) == (pytest.approx(70), pytest.approx(70 - half))
    assert figures.interval(tasks, "top5", [70.0] * 60).mean == pytest.approx(70)
    assert figures.interval(tasks, "node", [0.5, 0.5]).low == 0.5


def test_tables_made_before_stay(results, penn, tmp_path):
    """In the papers' order; what is asked for now replaces what it was, and nothing else does."""
    folder = shutil.copytree(penn / "made", tmp_path / "made")
    path = folder / "reproduce.json"
    path.write_text(json.dumps(results | {"commands": ["first"]}), encoding="utf-8")
    setting = Setting(family="paper", seeds=(0, 1), changes=SMALL)
    cell = by_name("plkd-1", "Teacher", "Top1", block=1)
    found = running.reproduce([cell], read(penn / "views.yaml"), setting, folder, command="now")
    assert found["commands"] == ["first", "now"]
    assert [table["name"] for table in found["tables"]] == ["skd-I", "plkd-1"]
    assert found["tables"][0] == results["tables"][0]
    first, second = (
        [row["cells"] for _, _, row in report.rows({"tables": one["tables"][1:]})]
        for one in (results, found)
    )
    assert first == second
    assert json.loads(path.read_text(encoding="utf-8")) == found

    held = json.loads(path.read_text(encoding="utf-8"))
    for table in held["tables"]:
        for _, _, row in report.rows({"tables": [table]}):
            row["cells"][0]["ours"] = {"mean": 1.0, "low": None, "high": None, "values": [1.0]}
    path.write_text(json.dumps(held), encoding="utf-8")
    found = running.reproduce([cell], read(penn / "views.yaml"), setting, folder, command="now")
    means = [
        cell["ours"]["mean"]
        for _, _, row in report.rows(found)
        for cell in row["cells"]
        if cell["ours"]
    ]
    assert [mean for mean in means if mean != 1] == [
        row["cells"][0]["ours"]["mean"]
        for _, block, row in report.rows({"tables": results["tables"][1:]})
        if block["title"] == cell.table.blocks[1].title and row["name"] == "Teacher"
    ]


def test_a_figure_outlives_views_that_are_not_at_hand(results, penn, tmp_path):
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "reproduce.json").write_text(json.dumps(results), encoding="utf-8")
    setting = Setting(family="paper", seeds=(0, 1), changes=SMALL)
    found = running.reproduce(select(["skd-I"]), NOTHING, setting, folder)
    first, second = (
        [row["cells"][0] for _, _, row in report.rows({"tables": one["tables"][:1]})]
        for one in (results, found)
    )
    assert first == second
    assert found["tables"][0]["blocks"][0]["rows"][3]["stand_ins"]


def test_tables_under_other_settings_are_kept_apart(skeldistill, results, penn, tmp_path):
    folder = shutil.copytree(penn / "made", tmp_path / "made")
    (folder / "reproduce.json").write_text(json.dumps(results), encoding="utf-8")
    (folder / "reproduce.md").write_text("of before", encoding="utf-8")

    def ask(table, seeds):
        options = [word for change in SMALL for word in ("--set", change)]
        options += ["--views", penn / "views.yaml", "--out", folder, "--seeds", seeds]
        code, _, err = skeldistill("reproduce", table, *options)
        assert code == 0, err
        held = json.loads((folder / "reproduce.json").read_text(encoding="utf-8"))
        return [table["name"] for table in held["tables"]], " ".join(err.split())

    names, err = ask("skd-I", "0")
    assert names == ["skd-I"]
    assert "holds tables under other settings (family paper; seeds 0, 1; sampling" in err
    (kept,) = (folder / "other-settings").iterdir()
    assert json.loads((kept / "reproduce.json").read_text(encoding="utf-8")) == results
    assert (kept / "reproduce.md").read_text(encoding="utf-8") == "of before"
    names, err = ask("skd-I", "0,1")  # back again, they are found
    assert names == ["skd-I", "plkd-1"]
    assert "seeds 0; sampling" in err
    assert "other settings" not in ask("skd-I", "0,1")[1]


@pytest.mark.parametrize(
    ("text", "said"), [("{", "cannot be read"), ('{"format": 1', "is by another version")]
)
def test_tables_that_cannot_be_read_on_are_kept_apart(tmp_path, text, said):
    if said == "is by another version":
        text += ', "family": "paper", "seeds": [0], "changes": [], "tables": [], "commands": []}'
    (tmp_path / "reproduce.json").write_text(text, encoding="utf-8")
    line = set_aside(tmp_path, PAPER)
    assert said in line
    assert [path.name for path in tmp_path.iterdir()] == ["other-settings"]
    (kept,) = (tmp_path / "other-settings").rglob("reproduce.json")
    assert kept.read_text(encoding="utf-8") == text
    assert str(kept.parent) in line
    assert set_aside(tmp_path, PAPER) == ""
    assert earlier(tmp_path, PAPER).cells == {}


def test_one_experiment_that_cannot_be_takes_no_others_with_it(penn, tmp_path):
    setting = Setting(family="paper", seeds=(0,), changes=(*SMALL, "training.epochs=1"))
    given = read(penn / "views.yaml")
    small_store(tmp_path / "other.arrow", named(6, "odd"))
    broken = GivenView(store=str(tmp_path / "other.arrow"))
    given = replace(given, views={**given.views, "penn/pifpaf-resnet152": broken})
    cells = [
        by_name("plkd-1", "Student (w/o KD)", "Top1", block=1),
        by_name("skd-I", "HQS-T(Human, ST-GCN, k=1)", "Top-1"),
    ]
    found = running.reproduce(cells, given, setting, tmp_path / "made")
    teacher, student = (row["cells"][0] for _, _, row in report.rows(found))
    assert student["ours"] is None
    assert len(found["failed"]) == 1
    assert "split" in student["why"][0]
    assert teacher["ours"] is not None


IN_IMAGES = tuple(change for change in SMALL if "normalisation" not in change)
"""As the papers place joints."""


@pytest.fixture
def pifpaf(tmp_path):
    """NTU's Kinect as a store, and the files that OpenPifPaf leaves of its videos."""
    clips = named(12, "xsub_train") + named(6, "xsub_test", 12)
    ntu = layouts.find("ntu25")
    kinect = small_store(tmp_path / "kinect.arrow", clips, layout=ntu, channels=3)
    (tmp_path / "videos").mkdir()
    for clip_id, label, _ in clips:
        pose = [100.0 * (label + 1), 500.0, 0.9] * 17
        one = {"category_id": 1, "keypoints": pose}
        lines = [json.dumps({"frame": t, "predictions": [one]}) for t in range(12)]
        (tmp_path / "videos" / f"{clip_id}.avi.openpifpaf.json").write_text("\n".join(lines))
    example = known().views["ntu60/pifpaf-shufflenetv2x1"].example
    estimated = example.model_copy(
        update={"source": str(tmp_path / "videos"), "labels": str(kinect.path)}
    )
    return {
        "ntu60/kinect": GivenView(store=str(kinect.path)),
        "ntu60/pifpaf-shufflenetv2x1": GivenView(**estimated.model_dump()),
    }


def test_a_cell_runs_from_openpifpafs_own_files(pifpaf, tmp_path):
    setting = Setting(family="paper", seeds=(0,), changes=(*IN_IMAGES, "training.epochs=1"))
    cell = by_name("plkd-1", "Student (w/ KD)", "CS")
    found = running.reproduce([cell], replace(NOTHING, views=pifpaf), setting, tmp_path / "made")
    assert found["failed"] == {}
    (said,) = (row["cells"][0] for _, _, row in report.rows(found))
    assert said["ours"]["values"]
    made = plan(
        [cell], replace(NOTHING, views=pifpaf), setting, rate=1e9, root=tmp_path / "made"
    )  # which knows the view by its files, and the run by the store that it made of them
    assert made["hours"] > 0
    assert made["hours_left"] == 0


def test_without_image_sizes_no_teacher_is_trained_in_vain(pifpaf, tmp_path, monkeypatch):
    setting = Setting(family="paper", seeds=(0,), changes=IN_IMAGES)
    cell = by_name("plkd-1", "Student (w/ KD)", "CS")
    name = "ntu60/pifpaf-shufflenetv2x1"
    unsized = pifpaf[name].model_copy(update={"options": {}})
    given = replace(NOTHING, views={**pifpaf, name: unsized})
    found = running.reproduce([cell], given, setting, tmp_path / "made")
    assert ["without an image size" in line for line in found["failed"].values()] == [True]
    assert not list((tmp_path / "made").rglob("measured.json"))
    monkeypatch.setattr(planning, "_size", _pretended)
    (store,) = (tmp_path / "made/views").glob("*.arrow")
    given = replace(NOTHING, views={**pifpaf, name: GivenView(store=str(store))})
    for changes, why in ((IN_IMAGES, "clips without an image size"), (SMALL, None)):
        made = plan([cell], given, replace(setting, changes=changes), rate=1e9)
        (row,) = (row for _, _, row in report.rows(made))
        missing = {view["name"]: view["missing"] for view in row["views"]}
        assert missing["ntu60/kinect"] is None
        assert (missing[name] is None) if why is None else (why in missing[name])


def test_a_change_that_some_networks_refuse_takes_no_others_with_it(penn, tmp_path):
    """PR-GCN wants frames in thirties; its row has no views here, and so no say either."""
    given = read(penn / "views.yaml")
    setting = Setting(family="paper", seeds=(0,), changes=(*SMALL, "training.epochs=1"))
    teacher = by_name("skd-I", "HQS-T(Human, ST-GCN, k=1)", "Top-1")
    rival = by_name("plkd-3", "PR-GCN [42]", "CS")
    found = running.reproduce([teacher, rival], given, setting, tmp_path / "made")
    rows = [row for _, _, row in report.rows(found)]
    assert rows[0]["cells"][0]["ours"] is not None
    assert rows[1]["parameters"] is None
    assert rows[1]["cells"][0]["missing"] == ["ntu60/pifpaf-shufflenetv2x1"]


def test_a_network_is_carried_to_another_data_set(tmp_path):
    """SKD's Table IV starts from its Table V, which is trained first although nobody asked."""
    clips = {"ntu60": "xsub", "ntu120": "mini"}
    for name, split in clips.items():
        small_store(
            tmp_path / f"{name}.arrow",
            named(12, f"{split}_train") + named(6, f"{split}_test", 12),
            layout=layouts.find("ntu25"),
            channels=3,
        )
    views = {f"{name}/kinect": GivenView(store=str(tmp_path / f"{name}.arrow")) for name in clips}
    setting = Setting(family="paper", seeds=(0,), changes=(*SMALL, "training.epochs=1"))
    cell = by_name("skd-IV", "ST-GCN [18]", "0.3")
    given = replace(NOTHING, views=views)
    found = running.reproduce([cell], given, setting, tmp_path / "made")
    assert found["failed"] == {}
    (said,) = (row["cells"][0] for _, _, row in report.rows(found))
    assert said["ours"]["values"]
    assert said["missing"] == []
    pretrained = list((tmp_path / "made/experiments").glob("skd-ntu60-*/fold0/LQS/seed0"))
    assert len(pretrained) == 1
    made = plan([cell], given, setting, rate=1e9, root=tmp_path / "made")
    assert made["hours"] > 0
    assert made["hours_left"] == 0


# the outlets


def test_a_terminal_is_spared_tables_without_any_figure(results):
    empty = results["tables"][1] | {"name": "empty", "blocks": results["tables"][1]["blocks"][:1]}
    *_, named, why, other = report.as_text({"tables": [results["tables"][0], empty]})
    assert str(named) == "Nothing measured of empty."
    assert {str(why)[:22], str(other)[:22]} == {"Not run: ntu60/kinect ", "Not run: ntu60/pifpaf-"}


def test_the_table_of_numbers_holds_every_figure(results):
    lines = list(csv.DictReader(io.StringIO(report.as_csv(results))))
    assert len(lines) == sum(len(row["cells"]) for _, _, row in report.rows(results))
    assert float(lines[0]["printed"]) == 83.43
    assert lines[0]["runs"] == "2"
    assert float(lines[0]["ours"]) - 83.43 == pytest.approx(float(lines[0]["difference"]))


def test_markdown_is_one_line_a_figure(results):
    text = report.as_markdown(results)
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    tables = len(results["tables"])
    assert len(lines) == 2 * tables + sum(len(r["cells"]) for _, _, r in report.rows(results))
    assert "Not run: ntu60/kinect" in text
    assert "Note: Graph matching needs the same joints" in text


def test_latex_is_one_line_a_figure_and_a_rule_between_rows(results):
    text = report.as_latex(results)
    lines = [line for line in text.splitlines() if line.endswith(r" \\")]
    found = [row for _, _, row in report.rows(results)]
    tables = len(results["tables"])
    assert len(lines) == tables + sum(len(row["cells"]) for row in found)
    assert text.count(r"\midrule") == len(found)
    assert text.count(r"\begin{tabular}{llrrr") == text.count(r"\end{tabular}") == tables
    assert "% Not run: ntu60/kinect" in text


def test_printed_costs_are_shown_as_printed():
    setting = Setting(family="paper", seeds=(0,), changes=SMALL)
    cells = [by_name("skd-II", "LQS-S(PifPaf-ShflNet, ST-sGCN, k=1)", "CS Top-1")]
    made = planning.laid_out(
        cells, lambda row: planning.costs(row[0], EVERYTHING, setting) | _blank(row)
    )
    headings, (line,) = report._grid(made[0])
    shown = dict(zip(headings, line, strict=True))
    assert shown["Parameters, printed"] == "2.28 + 1.89 M"
    assert shown["FLOPs, printed"] == "103.64 + 5.77 G"
    assert shown["Seconds, printed"] == "16.8 + 0.0047 s"


def _blank(row):
    cells = [
        {"column": c.at[1].name, "measure": "top1", "printed": c.printed, "why": [], "missing": []}
        | {"ours": None, "difference": None}
        for c in row
    ]
    return {"cells": cells, "latency_ms": None, "seconds": None, "stand_ins": []}


def test_from_the_command_line(skeldistill, results, penn):
    options = [word for change in SMALL for word in ("--set", change)]
    code, out, err = skeldistill(
        "reproduce", "skd-I", "--views", penn / "views.yaml", "--out", penn / "made",
        "--seeds", "0,1", *options,
    )  # fmt: skip
    assert code == 0, err
    assert "9 of 22 printed figures were measured" in out  # with those of the table before
    assert "Nothing measured" not in out
    assert "83.43" in out
    page = (penn / "made/reproduce.html").read_text(encoding="utf-8")
    assert "Table I: quantitative results on Penn Action" in page
    assert "http" not in page
    assert json.loads((penn / "made/reproduce.json").read_text())["tables"]


def test_a_plan_from_the_command_line(skeldistill, monkeypatch):
    monkeypatch.setattr(planning, "training_rate", lambda: 5e9)
    code, out, err = skeldistill("reproduce", "skd-I", "--plan")
    assert code == 0, err
    assert "penn/human (missing)" in " ".join(out.split())
    assert "ResNet152 weights" in " ".join(out.split())
    assert "G multiply-adds of clips a second" in " ".join(out.split())


def test_a_plan_of_everything_is_a_line_for_each_table(skeldistill, monkeypatch, penn):
    monkeypatch.setattr(planning, "training_rate", lambda: 5e9)
    monkeypatch.setattr(planning, "_size", _pretended)
    code, out, err = skeldistill(
        "reproduce", "--plan", "--views", penn / "views.yaml", "--out", penn / "made"
    )
    assert code == 0, err
    told = [re.sub(r"[│┃|]", " ", line).split() for line in out.splitlines()]
    lines = {words[0]: words[-6:-4] for words in told if words and words[0] in COUNTED}
    assert {name: int(cells) for name, (cells, _) in lines.items()} == COUNTED
    had = {name: int(there) for name, (_, there) in lines.items() if there != "0"}
    assert had == {"skd-I": 8, "plkd-1": 2, "plkd-3": 2}
    assert "penn/human (there)" not in out
    assert "Still to do" in out


def test_the_example_from_the_command_line(skeldistill):
    code, out, _ = skeldistill("reproduce", "--example")
    assert code == 0
    assert set(yaml.safe_load(out)) == set(known().views)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("skd-9",), "no table called 'skd-9'"),
        (("--family", "papr"), "did you mean 'paper'"),
        (("--seeds", "a"), "whole numbers"),
        (("skd-I", "--plan", "--set", "training.epoch=2"), "epochs"),
        (("skd-I", "--views", "nowhere.yaml"), "nowhere.yaml"),
    ],
)
def test_a_mistake_is_one_line(skeldistill, words, said):
    code, _, err = skeldistill("reproduce", *words)
    assert code == 1
    assert said in err
    assert len(err.strip().splitlines()) == 1


def test_a_rate_is_measured():
    assert planning.training_rate() > 1e6


def test_a_step_is_as_long_as_the_fastest_one():
    """Three steps at least, and more while there is time: a busy moment is waited out."""
    now = 0.0

    def fast(lengths, seconds):
        def step():
            nonlocal now
            now += lengths.pop(0)

        return fastest(step, lambda: now, limit=lambda: now, seconds=seconds)

    assert fast([4.0, 3.0, 2.0, 1.0], seconds=5.0) == 2.0
    assert fast([0.5, 0.5, 0.25, 0.5, 0.125, 9.0], seconds=1.8) == 0.125


def test_what_is_finished_is_no_longer_to_do(results, penn, monkeypatch):
    monkeypatch.setattr(planning, "_size", _pretended)
    given, cells = read(penn / "views.yaml"), select(["skd-I", "plkd-1"])
    before = {path: path.stat().st_mtime_ns for path in penn.rglob("*")}

    def planned(seeds, root):
        setting = Setting(family="paper", seeds=seeds, changes=SMALL)
        return plan(cells, given, setting, rate=1e9, root=root)

    made = planned((0, 1), penn / "made")
    assert {path: path.stat().st_mtime_ns for path in penn.rglob("*")} == before
    first, second = made["tables"]
    assert (first["hours_left"], made["hours_left_there"]) == (0, 0)
    assert 0 < made["hours_there"] < made["hours_left"] < made["hours"]
    assert made["hours_left"] == pytest.approx(made["hours"] - made["hours_there"])
    assert second["blocks"][1]["rows"][0]["hours_left"] == 0  # the teacher on annotation
    assert second["blocks"][1]["rows"][1]["hours_left"] > 0
    third = planned((0, 1, 2), penn / "made")
    assert third["hours_left_there"] == pytest.approx(third["hours_there"] / 3)
    elsewhere = planned((0, 1), penn / "elsewhere")
    assert elsewhere["hours_left"] == elsewhere["hours"] == made["hours"]


def test_penn_action_gives_the_teachers(real_data, tmp_path):
    """What Penn's labels alone allow: SKD's and PLKD's teachers on annotation, top-1 and top-5."""
    real = {"penn/human": GivenView(reader="penn", source=str(real_data("penn_action/labels")))}
    given = replace(NOTHING, views=real)
    able = [
        (cell.table.name, cell.at[1].name)
        for cell in select()
        if not any(given.missing(view) for view in views_needed(cell, "paper"))
    ]
    assert able == [
        ("skd-I", "Top-1"),
        ("skd-I", "Top-5"),
        ("plkd-1", "Top1"),
        ("plkd-1", "Top5"),
    ]
