import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from fake_results import fake
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from skeldistill.report import charts, clips, curves, figures, reading, sheets, tables


@pytest.fixture(scope="module")
def results() -> dict:
    return fake()


def test_a_name_cannot_break_out_of_a_table(results: dict):
    name = 'a, "b" & 50% | x_1 $^~\\ {#} [bold] *i* <c>\nnext'
    hostile = json.loads(json.dumps(results | {"comparisons": []}))
    hostile["methods"][1]["name"] = name
    read = list(csv.DictReader(io.StringIO(tables.as_csv(hostile))))
    assert read[1]["name"] == name
    assert float(read[1]["top1_mean"]) == results["methods"][1]["top1"]["mean"]
    assert len(read) == len(results["methods"])
    latex = tables.as_latex(hostile)
    assert (
        r"a, "
        r'"b" \& 50\% \textbar{} x\_1 \$\textasciicircum{}\textasciitilde{}\textbackslash{} '
        r"\{\#\} [bold] *i* \textless{}c\textgreater{} next & 63.7 $\pm$ 0.5 &"
    ) in latex
    assert {line.count(" & ") for line in latex.splitlines() if line.endswith(r"\\")} == {6}
    lines = tables.as_markdown(hostile).splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")} == {8}
    assert r"\[bold\] \*i\* \<c\> next" in lines[3]
    console = Console(width=300, record=True, file=io.StringIO())
    console.print(tables.as_text(hostile))
    assert "[bold] *i* <c>" in console.export_text()


def test_other_tables_say_what_the_results_say(results: dict):
    found = sheets.sheets(results)
    assert list(found) == ["comparisons", "classes", "quality"]
    read = {
        name: list(csv.DictReader(io.StringIO(sheet.as_csv()))) for name, sheet in found.items()
    }
    for line, entry in zip(read["comparisons"], results["comparisons"], strict=True):
        assert line == {key: str(entry[key]) for key in line}
        assert {"cohens_h", "odds_ratio", "mcnemar_p"} < set(line)
    for k, line in enumerate(read["classes"]):
        assert line.pop("class") == results["classes"][k]
        assert line == {m["name"]: str(m["per_class"][k]) for m in results["methods"]}
    for line, group in zip(read["quality"], results["by_quality"], strict=True):
        assert (int(line["clips"]), float(line["gap"])) == (group["clips"], group["gap"])
        assert float(line["SKD"]) == group["top1"]["SKD"]
    assert sheets.sheets({"methods": []}) == {}


def test_other_tables_in_latex(results: dict):
    hostile = json.loads(json.dumps(results))
    hostile["comparisons"] = [
        results["comparisons"][0] | {"method": "50% & _", "difference": -1.25, "mcnemar_p": 1e-9}
    ]
    hostile["by_quality"][0]["gap"] = None
    said = {name: sheet.as_latex() for name, sheet in sheets.sheets(hostile).items()}
    line = next(line for line in said["comparisons"].splitlines() if line.startswith("50"))
    assert line.startswith(
        r"50\% \& \_ & student + augmentation & $-$1.2 & 2.2 & 12.8 & 0.012 & 31"
    )
    assert line.endswith(r"12 & $<$0.001 & 2.52 & 0.15 \\")
    assert r"none & 90 & -- & 84.2" in said["quality"]
    for text in said.values():
        counts = {line.count(" & ") for line in text.splitlines() if line.endswith(r"\\")}
        assert len(counts) == 1


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "\u2013"),
        ({"mean": None}, "\u2013"),
        ({"mean": float("nan")}, "\u2013"),
        ({"mean": 71.25, "low": None, "high": None}, "71.2"),
        ({"mean": 70.0, "low": 68.5, "high": 71.5}, "70.0 ± 1.5"),
        ({"mean": 70.0, "low": 64.8, "high": 74.4}, "70.0 ± 4.8"),
        ({"mean": 70.0, "low": 66.0, "high": 71.0}, "70.0 (66.0 to 71.0)"),
    ],
)
def test_score(value: dict | None, said: str):
    assert tables.score(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "\u2013"), (999, "999"), (999_600, "1 M"), (3_071_234, "3.07 M"), (19.4e9, "19.4 G")],
)
def test_quantity(value: float | None, said: str):
    assert tables.quantity(value) == said


@pytest.mark.parametrize(
    ("value", "said"), [(None, "\u2013"), (12.345, "12.3 ms"), (999.7, "1 s"), (1234.5, "1.23 s")]
)
def test_latency(value: float | None, said: str):
    assert tables.latency(value) == said


@pytest.mark.parametrize("name", ["[wave]", "*wave*"])
def test_no_name_is_an_argument_of_the_line_before(results: dict, name: str):
    """As LaTeX takes a bracket or a star after a rule, or after the end of a line."""
    hostile = results | {"classes": [name, *results["classes"][1:]]}
    lines = sheets.classes(hostile).as_latex().splitlines()
    assert lines[lines.index(r"\midrule") + 1].startswith(f"{{}}{name} & ")


def test_a_legend_leaves_no_name_out(results: dict):
    """Matplotlib leaves out what begins with an underscore."""
    hidden = json.loads(json.dumps(results))
    for method in hidden["methods"]:
        method["name"] = f"_{method['name']}"
    said = [entry.get_text() for entry in figures.per_class(hidden).legends[0].get_texts()]
    assert [name.strip("\u200b") for name in said] == ["_teacher", "_student", "_SKD + completion"]


def simple(scores: dict[str, tuple[str, str, float]], *comparisons: tuple) -> dict:
    """Results of two runs a method from name -> (kind, view, mean top-1)."""
    keys = ("method", "against", "difference", "low", "high", "above_noise")
    low, high = scores["S"][2], scores["T"][2]

    def closed(mean: float) -> dict | None:
        share = (mean - low) / (high - low) if high > low else None
        return None if share is None else {"mean": share, "low": share - 0.1, "high": share + 0.1}

    return {
        "seeds": [0, 1],
        "methods": [
            {"name": n, "kind": k, "view": v, "top1": {"mean": m, "values": [m, m]}}
            | ({"gap_closed": closed(m)} if v == "low" and n != "S" else {})
            for n, (k, v, m) in scores.items()
        ],
        "comparisons": [dict(zip(keys, entry, strict=True)) for entry in comparisons],
    }


TRIO = {
    "T": ("teacher", "high", 80.0),
    "S": ("plain", "low", 60.0),
    "D": ("distilled", "low", 70.0),
}
OPENING = "On low-quality skeletons D reaches 70.0 %, the plain student 60.0 %, the teacher on "


@pytest.mark.parametrize(
    ("changed", "comparisons", "ending"),
    [
        ({}, [], "closes 50 % of the gap."),
        (
            {},
            [("D", "S", 10.0, 4.0, 16.0, True)],
            "closes 50 % of the gap, and its lead over the plain student is above noise.",
        ),
        (
            {},
            [("S", "D", -10.0, -22.0, 2.0, False)],
            "but its lead over the plain student is within",
        ),
        ({"S": ("plain", "low", 75.0)}, [], "no distilled student does better than the plain one."),
        ({"T": ("teacher", "high", 55.0)}, [], "so there is no gap to close."),
        (
            {"A": ("plain", "low", 72.0)},
            [],
            "that is not distilled, A, reaches 72.0 %, which is no worse.",
        ),
    ],
)
def test_summary(changed: dict, comparisons: list, ending: str):
    said = reading.summary(simple(TRIO | changed, *comparisons))
    assert ending in said
    assert said.startswith(OPENING) == ("S" not in changed)


def test_a_share_of_a_gap_that_may_be_chance_is_not_told():
    results = simple(TRIO)
    results["methods"][-1]["gap_closed"] |= {"low": None, "high": None}
    assert "distilled student is 10.0 points ahead of the plain one." in reading.summary(results)
    assert [row.gap for row in tables.rows(results)] == [None] * 3


def test_teacher_and_plain_student_are_those_of_the_figures():
    """A recipe may name another teacher, or a changed student, before those."""
    first = {"X": ("teacher", "high", 75.0), "P": ("plain", "low", 45.0)}
    results = simple(first | TRIO, ("D", "S", 10.0, 4.0, 16.0, True))
    assert reading.plain(results)["name"] == "S"
    assert reading.teacher(results)["name"] == "X"
    results["gap"] = {"teacher": "T", "plain": "S"}
    results["comparisons"] = []
    assert [reading.plain(results)["name"], reading.teacher(results)["name"]] == ["S", "T"]
    assert reading.plain({"methods": results["methods"]})["name"] == "P"


@pytest.mark.parametrize(
    ("comparison", "won"),
    [
        (("D", "S", 10.0, 4.0, 16.0, True), True),
        (("S", "D", -10.0, -16.0, -4.0, True), True),
        (("D", "S", 10.0, -4.0, 24.0, False), False),
        (("D", "S", -10.0, -16.0, -4.0, True), False),
        (("D", "T", -10.0, -16.0, -4.0, True), False),
    ],
)
def test_only_a_lead_above_noise_is_highlighted(comparison: tuple, won: bool):
    found = reading.winner(simple(TRIO, comparison))
    assert (found is not None) == won


def test_the_strongest_plain_rival_decides():
    scores = TRIO | {"A": ("plain", "low", 69.0)}
    easy = ("D", "S", 10.0, 4.0, 16.0, True)
    hard = ("D", "A", 1.0, -3.0, 5.0, False)
    assert reading.winner(simple(scores, easy, hard)) is None


@pytest.mark.parametrize(
    ("comparisons", "won"),
    [
        ([("A", "S", 15.0, 9.0, 21.0, True), ("D", "A", -5.0, -9.0, -1.0, True)], True),
        ([("A", "S", 15.0, 9.0, 21.0, True), ("D", "A", -5.0, -11.0, 1.0, False)], False),
        ([("A", "S", 15.0, 9.0, 21.0, True)], False),
    ],
)
def test_a_student_without_a_teacher_must_lead_over_the_distilled_ones(comparisons, won):
    scores = TRIO | {"A": ("plain", "low", 75.0)}
    assert (reading.winner(simple(scores, *comparisons)) is not None) == won


def test_nobody_leads_over_a_rival_without_a_comparison():
    scores = TRIO | {"A": ("plain", "low", 75.0), "B": ("plain", "low", 74.0)}
    lead = [("A", "S", 15.0, 9.0, 21.0, True), ("D", "A", -5.0, -9.0, -1.0, True)]
    assert reading.winner(simple(scores, *lead)) is None


def test_confusion_change_by_hand():
    scores = simple(TRIO)
    for entry, table in zip(
        scores["methods"], ([[4, 0], [0, 4]], [[2, 2], [0, 4]], [[3, 1], [0, 4]]), strict=True
    ):
        entry["confusion"] = table
    change = charts.confusions(scores)[-1]
    assert change.cells == {0: {0: 0.25, 1: -0.25}, 1: {}}
    assert [(sign, path) for sign, _, path in change.shades] == [
        ("less", "M1 0h1v1h-1z"),
        ("more", "M0 0h1v1h-1z"),
    ]
    assert charts.class_accuracy(scores["methods"][1]) == [50.0, 100.0]
    assert [row["gain"] for row in charts.per_class(scores)["rows"]] == [25.0, 0.0]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8))
def test_an_axis_holds_every_value_and_has_few_ticks(values: list[float]):
    scale = charts.axis(values)
    assert all(-0.02 <= scale.place(value) <= 100.02 for value in values)
    assert 2 <= len(scale.ticks) <= 8


@pytest.mark.parametrize("value", [0.0, 100.0, 99.99, 1e-9])
def test_an_axis_of_one_value_at_its_bounds_has_a_length(value: float):
    scale = charts.axis([value], least=0.0, most=100.0)
    assert 0 <= scale.low < scale.high <= 100
    assert 0 <= scale.place(value) <= 100


def test_lost_joints_stay_where_they_were_last_seen():
    gone = [None, None]
    frames = [[[1, 1], gone, gone], [[0.0, 0.0], [5, 5], gone], [[3, 3], [6, 6], gone]]
    joints, lost = clips.arrange({"joints": frames, "lost": [[0, 0, 0], [0, 0, 0], [0, 1, 0]]})
    assert joints[:, :2].tolist() == [[[1, 1], [5, 5]], [[1, 1], [5, 5]], [[3, 3], [6, 6]]]
    assert lost.tolist() == [[False, True, True], [True, False, True], [False, True, True]]
    assert np.isnan(joints[:, 2]).all()


def test_views_in_the_same_picture_share_their_box_and_know_their_sides(results: dict):
    first = clips.clips(results)[0]
    high, low = ({"joints": results["clips"][0][q]["joints"]} for q in ("high", "low"))
    arrays = {"high": clips.arrange(high)[0], "low": clips.arrange(low)[0]}
    boxes = clips.common_boxes(arrays)
    assert (boxes["high"] == boxes["low"]).all()
    apart = clips.common_boxes({"high": arrays["high"], "low": arrays["low"] / 1000})
    assert (apart["high"] != apart["low"]).any()
    assert {side for _, _, side in first["views"][0]["bones"]} == {"left", "right"}
    assert first["true"] == "golf swing"


def test_curves_are_mean_and_band_over_runs():
    runs = [[3.0, 1.0], [1.0, 1.0]]
    method = {"curves": [{"epochs": [{"loss": v} for v in values]} for values in runs]}
    found = curves.line(method, "loss", lambda epoch: epoch.get("loss"))
    assert found == curves.Line("loss", (1, 2), (2.0, 1.0), (1.0, 1.0), (3.0, 1.0))
    long = {"curves": [{"epochs": [{"loss": float(k)} for k in range(1000)]}]}
    thin = curves.line(long, "loss", lambda epoch: epoch.get("loss"))
    assert len(thin.epochs) <= curves.MOST_POINTS + 1
    assert thin.epochs[-1] == 1000


def test_figures_are_written_as_png_and_svg(results: dict, tmp_path: Path):
    odd = results | {"methods": [results["methods"][k] for k in (0, 1, 6)]}
    odd["classes"] = ["a $x_{ $ & <b>", *odd["classes"][1:]]
    names = sorted(path.name for path in figures.save(odd, tmp_path))
    drawn = set(figures.FIGURES) - {
        "features",
        "overlap",
        "responses",
    }  # these need what a run keeps
    assert names == sorted(f"{name}.{end}" for name in drawn for end in ("png", "svg"))
    assert "&lt;b&gt;" in (tmp_path / "confusion.svg").read_text(encoding="utf-8")
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("draw", [figures.confusion, figures.per_class, figures.part_matrix])
def test_long_names_of_classes_leave_room_for_what_is_drawn(results: dict, draw):
    names = [
        f"{name} while somebody else in the room looks on and says nothing about it"
        for name in results["classes"]
    ]
    figure = draw(results | {"classes": names})
    figure.draw_without_rendering()
    whole = figure.get_window_extent()
    panel = figure.axes[0].get_window_extent()
    panels = sum(axes.get_title() != "" for axes in figure.axes) or 1
    assert panel.width > 0.4 * whole.width / panels
    assert panel.height > 0.3 * whole.height


@pytest.mark.parametrize("name", figures.FIGURES)
def test_a_figure_without_data_says_so(name: str):
    with pytest.raises(ValueError, match="nothing to draw"):
        figures.FIGURES[name]({"methods": []})
