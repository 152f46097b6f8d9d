"""What networks see: kept by a run, projected, and drawn."""

import json

import numpy as np
import pytest
import torch
from fake_results import fake
from stores import small_experiment

from skeldistill import recipe
from skeldistill.prediction import Prediction
from skeldistill.report import embeddings, figures, maps, overlap, page, responses, strips
from skeldistill.training.features import (
    CLASSES,
    KEPT,
    OF_EACH,
    _is_kept,
    chosen,
    joint_responses,
    most_that_share,
    shared,
)


@pytest.fixture(scope="module")
def results():
    """Made-up results with what three made-up networks saw; the last keeps no joints."""
    rng = np.random.default_rng(1)
    held = fake(classes=4, clip_count=3, frames=8)
    ids = [clip["id"] for clip in held["clips"]] + [f"other-{i}" for i in range(17)]
    labels = [clip["label"] for clip in held["clips"]] + [i % 4 for i in range(17)]
    entries = []
    for name, joints in (("teacher", 17), ("student", 17), ("SKD + completion", None)):
        strength = None if joints is None else rng.random((20, joints)).tolist()
        points = rng.standard_normal((20, 2)).tolist()
        entries.append(
            {
                "name": name,
                "responses": strength,
                "points": points,
                "rows": list(range(20)),
                "silhouette": 0.25,
            }
        )
    pairs = [
        {
            "names": ["SKD + completion", other],
            "points": rng.standard_normal((2, 20, 2)).tolist(),
            "rows": list(range(20)),
            "apart": 0.5,
        }
        for other in ("student", "teacher")
    ]
    maps_of_all = {"ids": ids, "labels": labels, "methods": entries, "pairs": pairs}
    return held | {"maps": maps_of_all}


def words(figure):
    return [text.get_text() for axes in figure.axes for text in [*axes.texts, axes.title]]


def test_every_clip_is_one_dot_in_every_panel(results):
    drawn = embeddings.figure(results)
    assert len(drawn.axes) == 3
    for axes in drawn.axes:
        assert sum(len(dots.get_offsets()) for dots in axes.collections) == 20
    assert words(drawn)[0] == "teacher\nsilhouette 0.25"


def test_two_networks_in_one_plane_have_two_marks_for_every_clip(results):
    drawn = overlap.figure(results)
    assert words(drawn)[0] == "SKD + completion and student\napart 0.50"
    for axes, pair in zip(drawn.axes, results["maps"]["pairs"], strict=True):
        marks = [np.asarray(dots.get_offsets()) for dots in axes.collections]
        assert sorted(map(tuple, np.vstack(marks[1::2]))) == sorted(map(tuple, pair["points"][0]))
        assert sorted(map(tuple, np.vstack(marks[::2]))) == sorted(map(tuple, pair["points"][1]))
    assert "What two networks say of the same clips" in page.render(results)


def kept(logits, *, of=("teacher", "student", "SKD + completion"), labels=None):
    """What a run keeps, of networks that said something of the same clips."""
    labels = np.repeat(np.arange(2), 5) if labels is None else labels
    held = {
        "ids": np.array([f"c{i}" for i in range(10)]),
        "labels": labels,
        "methods": np.array(of),
    }
    for place, table in enumerate(logits):
        held |= {f"features{place}": table, f"logits{place}": table}
    return held


def written(held, tmp_path):
    np.savez(tmp_path / "features.npz", **held)
    return maps.added(fake(), tmp_path / "features.npz")["maps"]["pairs"]


def test_the_distilled_student_is_put_beside_the_plain_one_and_the_teacher(tmp_path):
    rng = np.random.default_rng(0)
    teacher, student = rng.standard_normal((2, 10, 4))
    plain, taught = written(kept([teacher, student, teacher + 7.0]), tmp_path)
    assert plain["names"] == ["SKD + completion", "student"]
    assert taught["names"] == ["SKD + completion", "teacher"]
    assert taught["apart"] == pytest.approx(0)  # what is added to all logits changes no answer
    assert 0.5 < plain["apart"] < 1.5
    assert np.shape(taught["points"]) == (2, 10, 2)


def test_without_logits_or_a_distilled_student_there_are_no_pairs(tmp_path):
    tables = np.random.default_rng(0).standard_normal((3, 10, 4))
    older = {key: value for key, value in kept(tables).items() if not key.startswith("logits")}
    assert written(older, tmp_path) == []
    assert written(kept(tables[:2], of=("teacher", "student")), tmp_path) == []
    assert written(kept(tables, labels=np.arange(10)), tmp_path) == []


def test_apart_by_hand():
    one = np.array([[0.0, 0.0], [4.0, 0.0]])
    assert maps.apart(one, one + np.array([0.0, 3.0])) == pytest.approx(3 / 5)
    assert maps.apart(one, one) == 0
    assert maps.apart(np.zeros((2, 2)), np.zeros((2, 2))) == 0


def test_networks_without_joints_are_named_and_not_drawn(results):
    said = words(responses.figure(results))
    assert "teacher\n(high view)" in said
    assert not [word for word in said if word.startswith("SKD")]
    assert responses.without_joints(results) == ["SKD + completion"]
    assert "no joint has a response of its own: SKD + completion" in page.render(results)


def test_responses_of_networks_of_any_size_stand_on_one_scale(results):
    held = json.loads(json.dumps(results))
    even, few = held["maps"]["methods"][:2]
    even["responses"] = [[1000.0] * 17] * 20
    few["responses"] = [[3.0, *[0.0] * 16]] * 20
    drawn = [
        dots for dots in responses.figure(held).axes[0].collections if dots.get_array() is not None
    ]
    told = np.concatenate([np.asarray(dots.get_array()) for dots in drawn])
    assert sorted(set(told.round(9))) == [0, 1, 17]  # means over joints
    areas = np.concatenate([dots.get_sizes() for dots in drawn])
    assert np.allclose(areas, responses.AREA * told / 17)
    assert {dots.get_clim() for dots in drawn} == {(0, 17)}


def test_a_strip_says_what_each_model_said(results):
    said = words(strips.figure(results))
    assert sum(word in ("✓", "✗") for word in said) == 9
    assert "teacher (sees high):" in said


def test_names_are_drawn_as_they_are(results):
    odd = results | {"classes": ["a $x_{ $ & <script>", *results["classes"][1:]]}
    html = page.render(odd)
    assert '<script>"' not in html
    assert html.count("<script") == 2
    assert "&lt;script&gt;" in html


def test_a_page_with_figures_is_small(results):
    assert len(page.render(results)) < 3_000_000


def test_responses_by_a_naive_loop():
    torch.manual_seed(0)
    features = torch.randn(2, 2, 5, 3, 4)
    present = torch.tensor([[[1, 1, 0], [0, 0, 0]], [[1, 1, 1], [0, 1, 1]]]).bool()
    found = joint_responses(Prediction(torch.zeros(2, 3), features, present))
    for n in range(2):
        for v in range(4):
            norms = [
                sum(float(features[n, m, c, s, v]) ** 2 for c in range(5)) ** 0.5
                for m in range(2)
                for s in range(3)
                if present[n, m, s]
            ]
            assert float(found[n, v]) == pytest.approx(sum(norms) / len(norms), rel=1e-5)


class Counted(tuple):
    """Ids that count how often somebody goes through them."""

    passes = 0

    def __iter__(self):
        type(self).passes += 1
        return super().__iter__()


def test_clips_of_all_methods_are_found_in_one_pass_over_each():
    methods = [Counted("dabc"), Counted("abcd"), Counted("bxcd")]
    assert shared(methods) == ["d", "b", "c"]
    assert Counted.passes == len(methods)
    assert most_that_share(methods) == ((0, 1, 2), ["d", "b", "c"])


def test_of_methods_that_share_no_clip_the_most_are_kept():
    assert most_that_share([["a"], ["b", "c"], ["c", "b"]]) == ((1, 2), ["b", "c"])
    assert most_that_share([["a"], ["b"]]) == ((1,), ["b"])


def test_the_most_frequent_classes_are_chosen_and_the_shown_clips_too():
    labels = np.repeat(np.arange(CLASSES + 2), 3)
    labels = np.concatenate([labels, np.full(2 * OF_EACH, CLASSES + 1)])
    ids = [f"c{i}" for i in range(len(labels))]
    rare = ids[3 * CLASSES]  # of a class that is not among the most frequent
    kept = chosen(ids, labels, [rare])
    by_class = [sum(labels[int(c[1:])] == k for c in kept) for k in range(CLASSES + 2)]
    assert rare in kept
    assert by_class[CLASSES + 1] == OF_EACH
    assert by_class[: CLASSES - 1] == [3] * (CLASSES - 1)
    assert kept == [c for c in ids if c in set(kept)]


@pytest.mark.parametrize("channels", [1, 6])
def test_a_projection_keeps_clusters_apart_and_is_the_same_again(channels):
    rng = np.random.default_rng(0)
    centres = np.repeat([[0.0], [8.0]], 10, axis=0)
    table = centres + 0.1 * rng.standard_normal((20, channels))
    points = maps.project(table)
    assert np.array_equal(points, maps.project(table))
    middle = points[:10].mean(axis=0), points[10:].mean(axis=0)
    apart = np.linalg.norm(middle[0] - middle[1])
    assert apart > 2 * np.linalg.norm(points[:10] - middle[0], axis=1).mean()


def test_damaged_features_are_named_in_one_line(tmp_path):
    path = tmp_path / "features.npz"
    np.savez(path, labels=np.arange(9))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(
        ValueError, match=r"features\.npz cannot be read .*; delete it and run again"
    ):
        maps.added(fake(), path)
    assert not _is_kept(path, "")


def test_a_run_keeps_features_and_report_draws_them(tmp_path, skeldistill, monkeypatch):
    parsed = recipe.parse(small_experiment(tmp_path, ["teacher", "low", "SKD"]))
    (tmp_path / "small.yaml").write_text(parsed.to_yaml())
    root = tmp_path / "run"
    code, _, err = skeldistill("run", tmp_path / "small.yaml", "--out", root)
    assert code == 0, err
    with np.load(root / "features.npz") as held:
        assert held["methods"].tolist() == ["teacher", "low", "SKD"]
        assert len(held["features0"]) == len(held["ids"]) == 12
        assert held["responses2"].shape == (12, 13)
        assert held["logits2"].shape == (12, len(np.unique(held["labels"])))
        assert {f"{one}{place}" for one in KEPT for place in range(3)} < set(held.files)
    assert 'id="networks"' in (root / "report.html").read_text(encoding="utf-8")
    before = (root / "features.npz").stat().st_mtime_ns
    assert skeldistill("report", root, "--features")[0] == 0
    assert (root / "features.npz").stat().st_mtime_ns == before  # nothing is asked twice
    monkeypatch.setattr("skeldistill.training.features.KEPT", ("features",))
    assert skeldistill("report", root, "--features")[0] == 0
    assert (root / "features.npz").stat().st_mtime_ns > before  # other things are to be kept
    names = {path.name for path in (root / "figures").iterdir()}
    drawn = ("accuracy", "features", "overlap", "responses", "strips")
    assert {f"{name}.{end}" for name in drawn for end in ("png", "svg")} <= names
    (root / "features.npz").write_bytes(b"broken")
    with pytest.raises(ValueError, match="delete it"):
        maps.added(json.loads((root / "results.json").read_text()), root / "features.npz")


def test_without_features_nothing_is_added(tmp_path):
    held = fake()
    assert maps.added(held, tmp_path / "features.npz") is held
    with pytest.raises(ValueError, match="--features"):
        figures.FIGURES["features"](held)
