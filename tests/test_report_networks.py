"""What networks see: kept by a run, projected, and drawn."""

import json

import numpy as np
import pytest
import torch
from fake_results import fake
from stores import small_experiment

from skeldistill import recipe
from skeldistill.prediction import Prediction
from skeldistill.report import embeddings, figures, maps, page, responses, strips
from skeldistill.training.features import CLASSES, OF_EACH, chosen, joint_responses, shared


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
    return held | {"maps": {"ids": ids, "labels": labels, "methods": entries}}


def words(figure):
    return [text.get_text() for axes in figure.axes for text in [*axes.texts, axes.title]]


def test_every_clip_is_one_dot_in_every_panel(results):
    drawn = embeddings.figure(results)
    assert len(drawn.axes) == 3
    for axes in drawn.axes:
        assert sum(len(dots.get_offsets()) for dots in axes.collections) == 20
    assert words(drawn)[0] == "teacher\nsilhouette 0.25"


def test_networks_without_joints_are_named_and_not_drawn(results):
    said = words(responses.figure(results))
    assert "teacher\n(high view)" in said
    assert not [word for word in said if word.startswith("SKD")]
    assert responses.without_joints(results) == ["SKD + completion"]
    assert "no joint has a response of its own: SKD + completion" in page.render(results)


def test_the_strongest_joint_is_one(results):
    drawn = responses.figure(results)
    shares = [
        np.asarray(dots.get_array())
        for dots in drawn.axes[0].collections
        if dots.get_array() is not None
    ]
    assert len(shares) > 0
    assert all(share.max() == 1 and share.min() >= 0 for share in shares)


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


def test_a_run_keeps_features_and_report_draws_them(tmp_path, skeldistill):
    parsed = recipe.parse(small_experiment(tmp_path, ["teacher", "low", "SKD"]))
    (tmp_path / "small.yaml").write_text(parsed.to_yaml())
    root = tmp_path / "run"
    code, _, err = skeldistill("run", tmp_path / "small.yaml", "--out", root)
    assert code == 0, err
    with np.load(root / "features.npz") as held:
        assert held["methods"].tolist() == ["teacher", "low", "SKD"]
        assert len(held["features0"]) == len(held["ids"]) == 12
        assert held["responses2"].shape == (12, 13)
    assert 'id="networks"' in (root / "report.html").read_text(encoding="utf-8")
    before = (root / "features.npz").stat().st_mtime_ns
    assert skeldistill("report", root, "--features")[0] == 0
    assert (root / "features.npz").stat().st_mtime_ns == before  # nothing is asked twice
    names = {path.name for path in (root / "figures").iterdir()}
    drawn = ("accuracy", "features", "responses", "strips")
    assert {f"{name}.{end}" for name in drawn for end in ("png", "svg")} <= names
    (root / "features.npz").write_bytes(b"broken")
    with pytest.raises(ValueError, match="delete it"):
        maps.added(json.loads((root / "results.json").read_text()), root / "features.npz")


def test_without_features_nothing_is_added(tmp_path):
    held = fake()
    assert maps.added(held, tmp_path / "features.npz") is held
    with pytest.raises(ValueError, match="--features"):
        figures.FIGURES["features"](held)
