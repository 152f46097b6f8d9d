"""Exports: the same scores elsewhere, and a folder that needs nothing of ours."""

import itertools
import json
import re
import runpy
import subprocess
import sys
import textwrap
import warnings
from dataclasses import replace

import jaxtyping
import numpy as np
import pytest
import torch
from exporting import about, clips_in, louder, made_once, saved, seasoned
from typer.testing import CliRunner

from skeldistill import networks
from skeldistill.cli import app, main
from skeldistill.clip import Clip
from skeldistill.deploy import export_example, export_folder, export_script
from skeldistill.deploy.export import export_onnx, export_torch, torch_scores
from skeldistill.deploy.export_measure import Measuring
from skeldistill.deploy.export_onnx import Agreement
from skeldistill.deploy.export_program import example, program_of
from skeldistill.deploy.export_step import export_step
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.layouts import PENN13
from skeldistill.networks import Network, msg3d, shiftgcn
from skeldistill.prediction import Prediction, presence

FILES = {"example.py", "labels.json", "layout.json", "preprocessing.json"}


def needs_onnx() -> None:
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package)


@pytest.fixture(scope="module", autouse=True)
def _unchecked_tracing():
    """Tracing meets numbers that are not known yet, which checks of shapes would fix."""
    trace = torch.export.export

    def unchecked(*given, **options):
        jaxtyping.config.update("jaxtyping_disable", True)
        try:
            return trace(*given, **options)
        finally:
            jaxtyping.config.update("jaxtyping_disable", False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.export, "export", unchecked)
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return saved(tmp_path_factory.mktemp("model") / "network.safetensors")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return clips_in(tmp_path_factory.mktemp("store") / "low.arrow")


@pytest.fixture(scope="module")
def exported(model, store, tmp_path_factory):
    """The folder that the command line writes, int8 included, and what it said."""
    needs_onnx()

    def make(folder):
        words = ["export", model, folder / "out", "--int8", "--store", store.path]
        ran = CliRunner().invoke(app, [*map(str, words), "--split", "test"])
        assert ran.exit_code == 0, ran.output
        (folder / "said").write_text(ran.output, encoding="utf-8")

    made = made_once(tmp_path_factory, "exported", make)
    return made / "out", (made / "said").read_text(encoding="utf-8")


def clip(rng, *, persons=2, frames=13, coordinates=2, size=None) -> Clip:
    """A clip with lost joints, and a second person who comes late."""
    joints = 50 + 20 * rng.normal(size=(persons, frames, 13, coordinates))
    scores = rng.uniform(0.1, 1, (persons, frames, 13)) * (rng.random((persons, frames, 13)) > 0.2)
    scores[1:, :3] = 0
    return Clip(
        id="clip",
        joints=(joints * (scores > 0)[..., None]).astype(np.float32),
        scores=scores.astype(np.float32),
        layout=PENN13,
        size=size,
    )


# ---------------------------------------------------------------- ONNX


def test_the_folder_holds_all_that_is_needed(exported):
    folder, said = exported
    assert {path.name for path in folder.iterdir()} == FILES | {"model.onnx", "model.int8.onnx"}
    assert json.loads((folder / "labels.json").read_text()) == ["run", "sit", "wave"]
    layout = json.loads((folder / "layout.json").read_text())
    assert layout["joints"] == list(PENN13.joints)
    assert layout["parents"] == PENN13.parents.tolist()
    told = json.loads((folder / "preprocessing.json").read_text())
    assert told["input"]["shape"] == [None, 2, None, 13, 3]
    assert told["clip"] == {"layout": "penn13", "coordinates": 2, "units": "pixels"}
    assert "takes any number of frames" in said


def test_difference_and_accuracies_are_said(exported, model, store):
    _, said = exported
    difference = float(re.search(r"model.onnx: largest difference to PyTorch (\S+)", said)[1])
    assert difference < 1e-5
    recogniser = Recogniser.load(model)
    rows = store.in_split("test")
    logits = recogniser.logits([store.clip(int(row)) for row in rows])
    right = 100 * (logits.argmax(axis=1) == store.labels[rows]).mean()
    assert f"PyTorch: top-1 {right:.2f} % of 12 clips" in said
    assert f"model.onnx: top-1 {right:.2f} % (+0.00) of 12 clips" in said
    assert "model.int8.onnx: top-1" in said
    assert "fitted to some" not in said  # other splits were there to fit to


@pytest.mark.parametrize(("n", "t"), [(1, 8), (4, 5), (2, 31)])
def test_onnx_takes_any_clips(exported, model, n, t):
    from skeldistill.deploy.export_onnx import OnnxScores

    recogniser = Recogniser.load(model)
    clips = np.random.default_rng(t).normal(size=(n, 2, t, 13, 3)).astype(np.float32)
    ours = torch_scores(recogniser.network)(clips)
    np.testing.assert_allclose(OnnxScores(exported[0] / "model.onnx")(clips), ours, atol=1e-5)
    rough = OnnxScores(exported[0] / "model.int8.onnx")(clips)
    assert np.abs(rough - ours).max() < 0.2 * np.abs(ours).max()


def test_the_file_tells_nothing_of_this_machine(exported):
    onnx = pytest.importorskip("onnx")
    content = (exported[0] / "model.onnx").read_bytes()
    assert b"site-packages" not in content
    assert b"stgcn.py" not in content
    model = onnx.load(str(exported[0] / "model.onnx"))
    assert [value.name for value in model.graph.input] == ["joints"]
    axes = model.graph.input[0].type.tensor_type.shape.dim
    assert [axis.dim_param or axis.dim_value for axis in axes] == ["n", 2, "t", 13, 3]
    norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    assert len(norms) == 1  # the input's: others are folded into convolutions


def test_int8_is_smaller(exported):
    import onnx

    def weights(name):
        graph = onnx.load(str(exported[0] / name)).graph
        bytes_ = {True: 0, False: 0}
        for tensor in graph.initializer:
            if len(tensor.dims) > 1:
                bytes_[tensor.data_type == onnx.TensorProto.INT8] += np.prod(tensor.dims)
        return bytes_

    assert weights("model.onnx")[True] == 0
    assert weights("model.int8.onnx")[True] > 5 * weights("model.int8.onnx")[False]


# ---------------------------------------------------------------- the example


def test_the_example_runs_alone(exported, model, tmp_path, rng):
    folder, _ = exported
    one = clip(rng)
    np.savez(tmp_path / "clip.npz", joints=one.joints, scores=one.scores)
    alone = "import sys; sys.modules['skeldistill'] = sys.modules['torch'] = None; import runpy; "
    script = f"{alone}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])"
    words = [sys.executable, "-c", script, str(folder / "example.py"), str(tmp_path / "clip.npz")]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    said, named = json.loads(ran.stdout), Recogniser.load(model).recognise(one)
    assert said["label"] == named.label
    np.testing.assert_allclose(said["probabilities"], named.probabilities, atol=1e-4)
    assert len((folder / "example.py").read_text().splitlines()) <= 46


SAMPLINGS = [
    *({"frame_choice": choice} for choice in ("uniform", "resize", "replay", "zeros")),
    *({"frame_choice": choice, "frames": 21} for choice in ("uniform", "resize", "zeros")),
    *({"normalisation": way} for way in ("clip", "image", "centre", "spine", "none")),
    *({"stream": stream} for stream in ("bone", "velocity", "bone_velocity")),
    {"least_score": 0.4, "test_clips": 3},
    {"frame_choice": "resize", "test_clips": 2, "least_score": 0.3, "stream": "bone"},
]


@pytest.mark.parametrize("whose", ["exported", "stepping"])
def test_the_example_asks_for_a_clip_in_one_line(whose, request, monkeypatch):
    folder = request.getfixturevalue(whose)[0]
    for given in ([], ["gone.npz"]):
        monkeypatch.setattr(sys, "argv", ["example.py", *given])
        asked = rf"^{re.escape(str(given))} names no clip: python example\.py CLIP"
        with pytest.raises(SystemExit, match=asked):
            runpy.run_path(str(folder / "example.py"))


@pytest.mark.parametrize("whose", ["exported", "stepping"])
def test_the_example_tells_joints_that_it_does_not_know(whose, request, tmp_path, monkeypatch):
    folder = request.getfixturevalue(whose)[0]
    clip = {"joints": np.ones((1, 4, 3, 2)).tolist(), "scores": np.ones((1, 4, 3)).tolist()}
    (tmp_path / "clip.json").write_text(json.dumps(clip), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["example.py", str(tmp_path / "clip.json")])
    with pytest.raises(SystemExit, match=r"clip\.json: joints of shape \(1, 4, 3, 2\), not"):
        runpy.run_path(str(folder / "example.py"))


NO_CLIPS = {
    "clip.json": [
        b'{"scores": []}',
        b"[1, 2]",
        b"{",
        b'{"joints": [[1], [1, 2]]}',
        b"\xff\xfe\x00",
    ],
    "clip.npz": [b"", b"no archive"],
}


@pytest.mark.parametrize("whose", ["exported", "stepping"])
@pytest.mark.parametrize(
    ("name", "content"), [(name, one) for name, some in NO_CLIPS.items() for one in some]
)
def test_the_example_names_a_file_without_joints(
    whose, name, content, request, tmp_path, monkeypatch
):
    folder = request.getfixturevalue(whose)[0]
    (tmp_path / name).write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["example.py", str(tmp_path / name)])
    with pytest.raises(SystemExit, match=rf"{name}: no \.npz or \.json file with joints \(\w+: "):
        runpy.run_path(str(folder / "example.py"))


BROKEN = [
    {"joints": np.full((2, 4, 13, 2), np.nan)},
    {"scores": np.ones((2, 4, 12))},
    {"scores": np.ones((4, 13))},
    {"scores": np.full((2, 4, 13), 1.5)},
    {"scores": np.full((2, 4, 13), np.nan)},
]


@pytest.mark.parametrize("whose", ["exported", "stepping"])
@pytest.mark.parametrize("broken", BROKEN, ids=lambda told: str([*told]))
def test_the_example_refuses_what_is_no_clip(whose, broken, request, tmp_path, monkeypatch):
    folder = request.getfixturevalue(whose)[0]
    np.savez(tmp_path / "clip.npz", **{"joints": np.ones((2, 4, 13, 2)), **broken})
    monkeypatch.setattr(sys, "argv", ["example.py", str(tmp_path / "clip.npz")])
    said = r"clip\.npz: joints must be finite, scores 0 to 1 and of shape \(2, 4, 13\)$"
    with pytest.raises(SystemExit, match=said):
        runpy.run_path(str(folder / "example.py"))


def test_the_example_asks_for_the_size_that_it_needs(exported, tmp_path, monkeypatch, capsys, rng):
    (tmp_path / "model.onnx").write_bytes((exported[0] / "model.onnx").read_bytes())
    recogniser = Recogniser.of(seasoned(networks.ST2sGCN), about(normalisation="image"))
    np.savez(tmp_path / "clip.npz", joints=clip(rng).joints)
    with pytest.raises(SystemExit, match=r"clip\.npz: no size, the image's \(height, width\)"):
        said_by_example(tmp_path, recogniser, tmp_path / "clip.npz", monkeypatch, capsys)


@pytest.mark.parametrize("least", [0.3, 0.7])
@pytest.mark.parametrize("choice", ["uniform", "resize"])
def test_a_joint_as_sure_as_the_least_score_is_kept(
    exported, least, choice, tmp_path, monkeypatch, capsys, rng
):
    (tmp_path / "model.onnx").write_bytes((exported[0] / "model.onnx").read_bytes())
    told = about(least_score=least, frame_choice=choice)
    recogniser = Recogniser.of(seasoned(networks.ST2sGCN), told)
    one = clip(rng)
    even = replace(one, scores=np.round(one.scores, 1))  # in single precision, as files have it
    np.savez(tmp_path / "clip.npz", joints=even.joints, scores=even.scores)
    said = said_by_example(tmp_path, recogniser, tmp_path / "clip.npz", monkeypatch, capsys)
    np.testing.assert_allclose(said, recogniser.recognise(even).probabilities, atol=1e-4)


def said_by_example(folder, recogniser, path, monkeypatch, capsys):
    script = export_example.onnx_example(recogniser)
    export_folder.write_folder(folder, recogniser, None, script)
    monkeypatch.setattr(sys, "argv", ["example.py", str(path)])
    runpy.run_path(str(folder / "example.py"))
    return json.loads(capsys.readouterr().out)["probabilities"]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
@pytest.mark.parametrize("persons", [1, 4])
def test_every_step_is_that_of_training(
    exported, sampling, persons, tmp_path, monkeypatch, capsys, rng
):
    (tmp_path / "model.onnx").write_bytes((exported[0] / "model.onnx").read_bytes())
    recogniser = Recogniser.of(seasoned(networks.ST2sGCN), about(**sampling))
    one = clip(rng, persons=persons, size=(90, 120))
    told = {"joints": one.joints.tolist(), "scores": one.scores.tolist(), "size": one.size}
    (tmp_path / "clip.json").write_text(json.dumps(told))
    said = said_by_example(tmp_path, recogniser, tmp_path / "clip.json", monkeypatch, capsys)
    np.testing.assert_allclose(said, recogniser.recognise(one).probabilities, atol=1e-4)


@pytest.mark.parametrize("filled", ["SlidingWindowAverage", "Hold"])
def test_lost_joints_are_filled_or_left_to_the_user(
    exported, filled, tmp_path, monkeypatch, capsys, rng
):
    (tmp_path / "model.onnx").write_bytes((exported[0] / "model.onnx").read_bytes())
    told = about()
    told["recipe"]["methods"]["SKD"]["completion"] = {"name": filled}
    recogniser = Recogniser.of(seasoned(networks.ST2sGCN), told)
    one = clip(rng)
    np.savez(tmp_path / "clip.npz", joints=one.joints, scores=one.scores)
    said = said_by_example(tmp_path, recogniser, tmp_path / "clip.npz", monkeypatch, capsys)
    same = np.allclose(said, recogniser.recognise(one).probabilities, atol=1e-4)
    assert same == export_example.fills(recogniser) == (filled == "SlidingWindowAverage")
    text = (tmp_path / "example.py").read_text()
    assert (f"after {filled} has filled its lost joints" in text) != same
    written = json.loads((tmp_path / "preprocessing.json").read_text())
    assert written["completion"]["name"] == filled
    assert written["completion"].get("window", 3) == 3


@pytest.mark.parametrize("normalisation", ["centre", "spine", "body"])
def test_three_dimensional_joints_without_scores(
    exported, normalisation, tmp_path, monkeypatch, capsys, rng
):
    (tmp_path / "model.onnx").write_bytes((exported[0] / "model.onnx").read_bytes())
    told = {**about(normalisation=normalisation), "coordinates": 3, "units": "metres"}
    recogniser = Recogniser.of(seasoned(networks.ST2sGCN), told)
    joints = rng.normal(size=(2, 9, 13, 3)).astype(np.float32)
    joints[1, 4:] = 0
    np.savez(tmp_path / "clip.npz", joints=joints)
    said = said_by_example(tmp_path, recogniser, tmp_path / "clip.npz", monkeypatch, capsys)
    named = recogniser.recognise(Clip(id="clip", joints=joints, layout=PENN13))
    np.testing.assert_allclose(said, named.probabilities, atol=1e-4)


@pytest.mark.parametrize("axis", [0, 2])
@pytest.mark.parametrize("upside", [1, -1])
def test_the_examples_turn_is_that_of_training(axis, upside, tmp_path):
    from skeldistill.data.upright import _turns

    script = tmp_path / "turn.py"
    script.write_text(textwrap.dedent(export_script.TURN), encoding="utf-8")
    turn = runpy.run_path(str(script), {"np": np})["turn"]
    for aside in (0, 1e-6, 0.3, 2):
        line = upside * np.eye(3)[axis] + [0, aside, 0]
        np.testing.assert_allclose(turn(line, axis), _turns(line[None], axis)[0], atol=1e-6)


# ---------------------------------------------------------------- torch.export


def test_a_program_runs_without_skeldistill(tmp_path, rng):
    recogniser, said = Recogniser.of(Tiny(PENN13), about()), []
    export_torch(recogniser, tmp_path / "out", say=said.append)
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES | {"model.pt2"}
    assert "model.pt2: largest difference to PyTorch" in said[0]
    one = clip(rng)
    np.savez(tmp_path / "clip.npz", joints=one.joints, scores=one.scores)
    alone = "import sys; sys.modules['skeldistill'] = None; import runpy; "
    script = f"{alone}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])"
    place = [str(tmp_path / "out" / "example.py"), str(tmp_path / "clip.npz")]
    ran = subprocess.run(
        [sys.executable, "-c", script, *place], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)["probabilities"]
    np.testing.assert_allclose(found, recogniser.recognise(one).probabilities, atol=1e-4)


def test_one_warning_of_torch_is_not_for_the_user(tmp_path, monkeypatch):
    save = torch.export.save

    def warned(program, path):
        warnings.warn("No complete tensor found in the group! Returning", stacklevel=2)
        warnings.warn("something else", stacklevel=2)
        save(program, path)

    monkeypatch.setattr(torch.export, "save", warned)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        export_torch(Recogniser.of(Tiny(PENN13), about()), tmp_path / "out")
    said = [str(one.message) for one in told]
    assert "something else" in said
    assert not any("No complete tensor" in one for one in said)


def test_another_export_takes_the_place_of_the_first_whole(store, tmp_path, monkeypatch):
    from skeldistill.deploy import export

    told = Agreement(frames=None, difference=0.0, largest=1.0)
    written = []

    def write(network, path, frames):
        path.write_text(f"network {len(written)}")
        written.append(path)
        return told

    monkeypatch.setattr(export, "require_packages", lambda: None)
    monkeypatch.setattr(export, "write_onnx", write)
    monkeypatch.setattr(export, "OnnxScores", lambda path: None)
    monkeypatch.setattr(export, "_measure", lambda *_: None)
    monkeypatch.setattr(export, "quantise", lambda big, small, _: small.write_text("int8"))
    recogniser, out = Recogniser.of(Tiny(PENN13), about()), tmp_path / "out"
    measuring = Measuring.of(recogniser, store.path, None)
    export.export_onnx(recogniser, out, measuring=measuring, int8=True)
    assert {path.name for path in out.iterdir()} == FILES | {"model.onnx", "model.int8.onnx"}
    assert "[model.int8.onnx]" in (out / "example.py").read_text()

    export.export_onnx(recogniser, out)
    assert {path.name for path in out.iterdir()} == FILES | {"model.onnx"}
    assert (out / "model.onnx").read_text() == "network 1"
    assert "int8" not in (out / "example.py").read_text()

    example = (out / "example.py").read_text()
    with pytest.raises(ValueError, match=r"out holds model\.onnx, which its example\.py"):
        export_torch(recogniser, out)
    assert {path.name for path in out.iterdir()} == FILES | {"model.onnx"}
    assert (out / "example.py").read_text() == example

    # a network is not left with the description of another, whatever happens between
    with monkeypatch.context() as broken:
        broken.setattr(export, "write_folder", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export.export_onnx(recogniser, out)
    assert {path.name for path in out.iterdir()} == FILES

    # nor does that stand in the way of the next one
    export.export_onnx(recogniser, out)
    assert {path.name for path in out.iterdir()} == FILES | {"model.onnx"}


@pytest.mark.parametrize("name", ["labels.json", "example.py", "preprocessing.json"])
@pytest.mark.parametrize("export_as", [export_onnx, export_torch, export_step])
def test_files_of_others_are_not_written_over(export_as, name, tmp_path):
    if export_as is not export_torch:
        needs_onnx()
    (tmp_path / name).write_text("[]")
    with pytest.raises(ValueError, match=f"holds a {name} that would be written over"):
        export_as(Recogniser.of(Tiny(PENN13), about()), tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "[]"}


def test_a_program_tells_how_few_frames_it_takes(model):
    network = Recogniser.load(model).network
    program = program_of(network, 16)
    run = program.program.module()
    assert program.frames is None
    few = example(network, program.fewest)
    run(few)
    with pytest.raises(AssertionError, match=f">= {program.fewest}"):
        run(few[:, :, 1:])


def test_a_program_takes_any_clips_and_leaves_the_network_as_it_was(model):
    network = Recogniser.load(model).network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    program = program_of(network, 8)
    assert program.frames is None
    module = program.program.module()
    for n, t in ((1, 8), (2, 5), (4, 31)):
        clips = torch.randn(n, 2, t, 13, 3)
        with torch.inference_mode():
            torch.testing.assert_close(module(clips), network(clips).logits, atol=1e-5, rtol=1e-4)
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


# ---------------------------------------------------------------- the shelf


def made(name: str) -> Network:
    part = networks.find(name)
    options = {"classes": 3, "persons": 1}
    try:
        return part(PENN13, **options, width=0.125)
    except TypeError:
        return part(PENN13, **options)


@pytest.mark.slow
@pytest.mark.parametrize("name", networks.SHELF)
def test_every_network_is_exported(name, tmp_path):
    needs_onnx()
    from skeldistill.deploy.export_onnx import write_onnx

    network = louder(made(name)).eval()
    frames = next(count for count in network.frame_counts if count >= 8)
    agreement = write_onnx(network, tmp_path / "model.onnx", frames)
    assert agreement.difference < 1e-4 * agreement.largest


class Tiny(Network):
    """The least that is a network."""

    feature_channels, temporal_stride = 1, 1

    def __init__(self, layout, *, classes=3, persons=2, channels=3) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels)
        self.classifier = torch.nn.Linear(1, classes)

    def forward(self, joints):
        self.check(joints)
        x = self.seen(joints.mean(dim=(2, 3, 4))[:, :1])
        features = joints.mean(dim=4)[:, :, None]
        return Prediction(self.classifier(x), features, presence(joints, joints.shape[2]))

    def seen(self, x):
        return x


class Moody(Tiny):
    """Looks at its values before it decides what to do, which no program can."""

    def seen(self, x):
        return -x if x.sum() > 0 else x


def test_what_cannot_be_exported_says_so_in_one_line():
    with pytest.raises(ValueError, match=r"Moody cannot be exported: torch.export says") as error:
        program_of(Moody(PENN13), 8)
    assert "\n" not in str(error.value)


def test_another_result_leaves_no_file(tmp_path, monkeypatch):
    from skeldistill.deploy import export_onnx

    monkeypatch.setattr(export_onnx, "NEAR", -1.0)
    with pytest.raises(ValueError, match=r"cannot be exported: .* largest difference"):
        export_torch(Recogniser.of(Tiny(PENN13), about()), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- step by step


class Short(networks.STGCN):
    """The two blocks that halve the frames."""

    dropped = (1, 2, 3, 4, 6, 7, 9, 10)


@pytest.fixture(scope="module")
def stepping(tmp_path_factory):
    """The folder of a step, and its network."""
    needs_onnx()
    from skeldistill.deploy.export_step import export_step

    network = seasoned(Short)
    recogniser = Recogniser.of(network, about())
    folder = made_once(tmp_path_factory, "step", lambda folder: export_step(recogniser, folder))
    return folder, network


def test_the_step_ends_with_the_scores_of_the_whole_clip(stepping):
    from skeldistill.deploy.export_step import run_clip
    from skeldistill.deploy.folding import folded
    from skeldistill.deploy.streaming_step import StreamingStep

    folder, network = stepping
    assert {path.name for path in folder.iterdir()} == {
        "step.onnx", "step.json", "start.npz", *FILES,
    }  # fmt: skip
    told = json.loads((folder / "step.json").read_text())
    prepared = json.loads((folder / "preprocessing.json").read_text())
    assert told["sampling"] == prepared["sampling"]
    assert not {"rotation", "mirror", "crop", "mixup"} & set(told["sampling"])
    with np.load(folder / "start.npz") as start:
        assert set(start) == set(told["state"])
    step = StreamingStep(folded(network))
    for n, t in ((1, 5), (3, 24)):
        clips = np.random.default_rng(t).normal(size=(n, 2, t, 13, 3)).astype(np.float32)
        ours = run_clip(folder / "step.onnx", step, clips)
        np.testing.assert_allclose(ours, torch_scores(network)(clips), atol=1e-5)


def test_the_step_of_a_recurrent_network_remembers_everything(tmp_path):
    needs_onnx()
    from skeldistill.deploy.export_step import export_step, run_clip
    from skeldistill.deploy.folding import folded
    from skeldistill.deploy.streaming_step import StreamingStep

    network = seasoned(networks.DeepLSTM)
    folder = tmp_path / "step"
    export_step(Recogniser.of(network, about()), folder)
    assert json.loads((folder / "step.json").read_text())["receptive_field"] is None
    clips = np.random.default_rng(0).normal(size=(2, 2, 9, 13, 3)).astype(np.float32)
    ours = run_clip(folder / "step.onnx", StreamingStep(folded(network)), clips)
    np.testing.assert_allclose(ours, torch_scores(network)(clips), atol=1e-5)


@pytest.mark.parametrize("name", ["ShiftGCN", pytest.param("MSG3D", marks=pytest.mark.slow)])
def test_the_step_of_a_network_whose_windows_are_laid_out_beforehand(name, tmp_path, monkeypatch):
    needs_onnx()
    monkeypatch.setattr(shiftgcn, "BLOCKS", ((64, 2), (128, 2)))
    monkeypatch.setattr(msg3d, "STAGES", ((96, 2), (192, 2)))
    from skeldistill.deploy.export_step import export_step, run_clip
    from skeldistill.deploy.folding import folded
    from skeldistill.deploy.streaming_step import StreamingStep

    network = seasoned(networks.find(name))
    folder = tmp_path / "step"
    export_step(Recogniser.of(network, about()), folder)
    step = StreamingStep(folded(network))
    for n, t in ((1, 8), (2, 40)):
        clips = np.random.default_rng(t).normal(size=(n, 2, t, 13, 3)).astype(np.float32)
        ours, theirs = run_clip(folder / "step.onnx", step, clips), torch_scores(network)(clips)
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * max(1.0, np.abs(theirs).max()))


@pytest.mark.parametrize("persons", [1, 3])
def test_the_steps_example_runs_alone(stepping, persons, tmp_path, rng):
    folder, network = stepping
    one = clip(rng, persons=persons)
    np.savez(tmp_path / "clip.npz", joints=one.joints, scores=one.scores)
    alone = "import sys; sys.modules['skeldistill'] = sys.modules['torch'] = None; import runpy; "
    script = f"{alone}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0])"
    words = [sys.executable, "-c", script, str(folder / "example.py"), str(tmp_path / "clip.npz")]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    every_frame = Recogniser.of(network, about(frames=one.joints.shape[1]))
    said, named = json.loads(ran.stdout), every_frame.recognise(one)
    assert said["label"] == named.label
    np.testing.assert_allclose(said["probabilities"], named.probabilities, atol=1e-4)
    assert len((folder / "example.py").read_text().splitlines()) <= 46


@pytest.mark.parametrize(
    "sampling",
    [
        *({"normalisation": way} for way in ("clip", "image", "centre", "spine", "none")),
        *({"stream": stream} for stream in ("bone", "velocity", "bone_velocity")),
        {"least_score": 0.4, "frame_choice": "resize", "test_clips": 3},
    ],
    ids=str,
)
def test_every_step_of_the_steps_example_is_that_of_training(
    stepping, sampling, tmp_path, monkeypatch, capsys, rng
):
    from skeldistill.deploy.export_step_example import step_example

    folder, network = stepping
    for name in ("step.onnx", "start.npz", "step.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    recogniser, one = Recogniser.of(network, about(**sampling)), clip(rng, size=(90, 120))
    prepared = export_folder.streamed(recogniser, 4)
    export_folder.write_beside(tmp_path, recogniser, prepared, step_example(recogniser))
    told = {"joints": one.joints.tolist(), "scores": one.scores.tolist(), "size": one.size}
    (tmp_path / "clip.json").write_text(json.dumps(told))
    monkeypatch.setattr(sys, "argv", ["example.py", str(tmp_path / "clip.json")])
    runpy.run_path(str(tmp_path / "example.py"))
    said = json.loads(capsys.readouterr().out)["probabilities"]
    every = {"frames": one.joints.shape[1], "frame_choice": "uniform", "test_clips": 1}
    named = Recogniser.of(network, about(**{**sampling, **every})).recognise(one)
    np.testing.assert_allclose(said, named.probabilities, atol=1e-4)
    assert len((tmp_path / "example.py").read_text().splitlines()) <= 51
    assert not any("averaged" in sentence for sentence in prepared["steps"])
    assert sum("All frames are taken" in sentence for sentence in prepared["steps"]) == 1


def test_the_steps_example_does_without_scores(stepping, tmp_path, monkeypatch, capsys, rng):
    folder, network = stepping
    joints = rng.normal(size=(2, 9, 13, 2)).astype(np.float32)
    joints[1, 4:] = 0
    np.savez(tmp_path / "clip.npz", joints=joints)
    monkeypatch.setattr(sys, "argv", ["example.py", str(tmp_path / "clip.npz")])
    runpy.run_path(str(folder / "example.py"))
    said = json.loads(capsys.readouterr().out)["probabilities"]
    named = Recogniser.of(network, about(frames=9)).recognise(
        Clip(id="clip", joints=joints, layout=PENN13)
    )
    np.testing.assert_allclose(said, named.probabilities, atol=1e-4)


def test_a_network_that_sees_whole_clips_has_no_step(tmp_path):
    needs_onnx()
    from skeldistill.deploy.export_step import export_step

    network = made("AGCN")
    recogniser = Recogniser.of(network, about(persons=1))
    with pytest.raises(ValueError, match="AGCN") as error:
        export_step(recogniser, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--int8"], "int8 needs clips"),
        (["--format", "torch", "--int8"], "--int8 goes with --format onnx"),
        (["--format", "step", "--store", "x.arrow"], "--store measures whole clips"),
        (["--split", "test"], "name it with --store"),
        (["--store", "nowhere.arrow"], "no store at"),
    ],
)
def test_wrong_words_are_one_clear_line(model, words, said, tmp_path, monkeypatch, capsys):
    line = ["skeldistill", "export", str(model), str(tmp_path / "out"), *words]
    monkeypatch.setattr(sys, "argv", line)
    with pytest.raises(SystemExit) as stopped:
        main()
    err = capsys.readouterr().err
    assert stopped.value.code == 1
    assert said in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_without_a_package_nothing_is_made(tmp_path, monkeypatch):
    from skeldistill.deploy.export import export_onnx

    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ValueError, match="needs the package 'onnx"):
        export_onnx(Recogniser.of(Tiny(PENN13), about()), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_model_is_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "model.safetensors").write_bytes(b"\x80\x04K\x01.")
    monkeypatch.setattr(sys, "argv", ["skeldistill", "export", str(tmp_path), "out"])
    with pytest.raises(SystemExit):
        main()
    assert "truncated or no checkpoint" in capsys.readouterr().err


def test_clips_of_other_classes_are_refused(model, tmp_path):
    from stores import named, small_store

    other = small_store(tmp_path / "other.arrow", named(6, "test"), classes=("a", "b", "c"))
    with pytest.raises(ValueError, match="other classes"):
        Measuring.of(Recogniser.load(model), other.path, None)


def test_a_network_without_anything_for_int8_is_refused(store, tmp_path, capfd):
    needs_onnx()
    recogniser = Recogniser.of(networks.DeepLSTM(PENN13, classes=3, persons=2, channels=3), about())
    measuring = Measuring.of(recogniser, store.path, "test")
    with pytest.raises(ValueError, match=r"^DeepLSTM has no product that int8 knows; leave --int8"):
        export_onnx(recogniser, tmp_path / "out", measuring=measuring, int8=True)
    assert not (tmp_path / "out").exists()
    assert "onnxruntime" not in capfd.readouterr().err


def test_int8_is_fitted_to_other_clips_where_there_are_any(model, store):
    recogniser = Recogniser.load(model)
    apart = Measuring.of(recogniser, store.path, "test")
    assert not apart.same
    assert not set(apart.fitted.tolist()) & set(apart.tested.tolist())
    assert Measuring.of(recogniser, store.path, None).same


def test_ties_count_against_the_network(model, store):
    measuring = Measuring.of(Recogniser.load(model), store.path, "test")
    tied = measuring.accuracies({"tied": lambda shown: np.zeros((len(shown), 3), np.float32)})
    assert tied == {"tied": 0.0}
    labels = itertools.cycle(store.labels[measuring.tested].tolist())
    right = measuring.accuracies(
        {"right": lambda shown: np.eye(3, dtype=np.float32)[[next(labels) for _ in shown]]}
    )
    assert right == {"right": 100.0}
