"""The recogniser prepares clips as training does, and refuses those it was not made for."""

import numpy as np
import pytest
import torch
from predicting import CLASSES, acting, sides, small_checkpoint
from stores import named, small_store

from skeldistill import checkpoint
from skeldistill.clip import Clip
from skeldistill.data.convert import convert
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import SOLITARY, Clips
from skeldistill.data.views import derived
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.layouts import COCO17, JHMDB15, MEDIAPIPE33, NTU25, PENN13
from skeldistill.networks import STGCN
from skeldistill.readers.reader import Source
from skeldistill.recipe import Part, Sampling
from skeldistill.training.evaluate import evaluate


def everything(store):
    rows = np.arange(len(store))
    return Clips(rows=rows, teacher_rows=np.full(len(rows), SOLITARY), labels=store.labels)


SAMPLINGS = [
    Sampling(frames=8),
    Sampling(frames=8, least_score=0.4, stream="bone", test_clips=3),
    Sampling(frames=16, frame_choice="resize", normalisation="image", stream="velocity"),
    Sampling(frames=9, frame_choice="zeros", normalisation="centre", confidence=False),
    Sampling(frames=20, frame_choice="replay", normalisation="none", persons=2),
]


@pytest.mark.parametrize("completion", [None, Part(name="SlidingWindowAverage")])
@pytest.mark.parametrize("sampling", SAMPLINGS)
def test_logits_are_those_of_evaluation(tmp_path, rng, sampling, completion):
    made = small_store(tmp_path / "made.arrow", named(6, "test"))
    store = worsened(tmp_path / "low.arrow", made, rng)
    torch.manual_seed(1)
    channels = 2 + sampling.confidence
    network = STGCN(PENN13, classes=3, persons=sampling.persons, channels=channels, width=0.125)
    seen = derived(store, (), completion, 0, tmp_path / "views", quiet=True)
    said = evaluate(
        network.eval(),
        Examples(clips=everything(store), student=Side(store=seen, sampling=sampling)),
    )
    method = {"completion": completion.model_dump() if completion else None}
    about = {
        "classes": list(store.classes),
        "units": "pixels",
        "sampling": sampling.model_dump(mode="json"),
        "method": "low",
        "recipe": {"methods": {"low": method}},
    }
    checkpoint.save(tmp_path / "network.safetensors", network, about=about)
    recogniser = Recogniser.load(tmp_path)
    clips = [store.clip(row) for row in range(len(store))]
    np.testing.assert_allclose(recogniser.logits(clips), said.logits, atol=1e-6)
    for clip, row in zip(clips, said.logits, strict=True):
        found = recogniser.recognise(clip)
        assert found.label == store.classes[int(row.argmax())]
        assert found.confidence == pytest.approx(float(found.probabilities.max()))
        assert float(found.probabilities.sum()) == pytest.approx(1)


def worsened(path, store, rng):
    """Clips of one to three persons of some frames, with lost joints, scores and image sizes."""
    from skeldistill.data.store import Store
    from skeldistill.data.store_writer import StoreWriter

    source = Source(layout=store.layout, channels=2, units="pixels", classes=store.classes)
    with StoreWriter(path, source) as writer:
        for row in range(len(store)):
            clip = store.clip(row)
            people = 1 + row % 3
            joints = np.concatenate([clip.joints[:, : 5 + row]] * people) + 1
            scores = rng.uniform(0.01, 1, joints.shape[:3]).astype(np.float32)
            scores[rng.random(scores.shape) < 0.3] = 0
            joints[scores == 0] = 0
            writer.write(
                Clip(
                    id=clip.id,
                    joints=joints,
                    scores=scores,
                    layout=clip.layout,
                    label=clip.label,
                    size=(480, 640),
                )
            )
    return Store.open(path)


def test_probabilities_are_the_softmax_of_the_logits():
    named_ = sides().recognise(acting([1.0] * 5))
    assert named_.label == "right"
    assert named_.confidence == pytest.approx(1 / (1 + np.exp(-2.0)), abs=1e-6)


def test_huge_logits_stay_numbers():
    assert sides().recognise(acting([1e4] * 5)).confidence == 1.0


def test_joints_of_another_layout_are_converted_when_asked(tmp_path, rng):
    recogniser = Recogniser.load(small_checkpoint(tmp_path / "a.safetensors", layout=JHMDB15))
    joints = rng.normal(200, 50, (1, 9, 33, 2)).astype(np.float32)
    scores = rng.uniform(0.1, 1, (1, 9, 33)).astype(np.float32)
    clip = Clip(id="a", joints=joints, scores=scores, layout=MEDIAPIPE33)
    # also told by commands without --convert
    with pytest.raises(ValueError, match=r"'jhmdb15'.*'mediapipe33'.*`skeldistill data convert`"):
        recogniser.recognise(clip)
    by_hand = convert(joints, scores, MEDIAPIPE33, JHMDB15)
    same = Clip(id="a", joints=by_hand[0], scores=by_hand[1], layout=JHMDB15)
    np.testing.assert_array_equal(
        recogniser.logits([clip], converting=True), recogniser.logits([same])
    )


@pytest.mark.parametrize(
    ("source", "converting", "said"),
    [
        (Source(layout=COCO17, channels=2, units="pixels"), False, "'penn13' but .* 'coco17'"),
        (Source(layout=PENN13, channels=3, units="pixels"), False, "2 coordinates .* have 3"),
        (Source(layout=PENN13, channels=2, units="metres"), False, "in pixels but .* in metres"),
        (Source(layout=JHMDB15, channels=2, units="pixels"), False, "'penn13' but .* 'jhmdb15'"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(source, converting, said):
    with pytest.raises(ValueError, match=said):
        sides().check(source, converting=converting)


def test_what_fits_or_converts_is_taken(tmp_path):
    sides().check(Source(layout=PENN13, channels=2, units="pixels"))
    recogniser = Recogniser.load(small_checkpoint(tmp_path / "a.safetensors", layout=JHMDB15))
    recogniser.check(Source(layout=MEDIAPIPE33, channels=2, units="pixels"), converting=True)
    faces = Recogniser.load(small_checkpoint(tmp_path / "b.safetensors", layout=COCO17))
    with pytest.raises(ValueError, match=r"nothing for .*left_eye"):
        faces.check(Source(layout=JHMDB15, channels=2, units="pixels"), converting=True)


def test_a_folder_is_as_good_as_its_file(tmp_path):
    small_checkpoint(tmp_path / "run" / "fold0" / "low" / "seed0" / "network.safetensors")
    small_checkpoint(tmp_path / "exported" / "model.safetensors")
    assert Recogniser.load(tmp_path / "run/fold0/low/seed0").labels == ("run", "sit", "wave")
    assert Recogniser.load(tmp_path / "exported").clip_frames == 12
    with pytest.raises(OSError, match=r"name one of its runs, such as .*fold0/low/seed0"):
        Recogniser.load(tmp_path / "run")
    with pytest.raises(OSError, match="no checkpoint at"):
        Recogniser.load(tmp_path / "nothing")


def test_older_checkpoints_say_by_their_units_how_many_coordinates_they_have(tmp_path):
    old = small_checkpoint(tmp_path / "a.safetensors", coordinates=None, clip_frames=None)
    assert Recogniser.load(old).coordinates == 2
    space = small_checkpoint(
        tmp_path / "b.safetensors", layout=NTU25, coordinates=None, units="metres"
    )
    assert Recogniser.load(space).coordinates == 3


def test_actions_without_names_are_called_by_number(tmp_path):
    path = small_checkpoint(tmp_path / "a.safetensors", classes=[])
    assert Recogniser.load(path).labels == ("0", "1", "2")
    assert sides().labels == CLASSES


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"classes": ["one"]}, "3 actions apart but 1 are named"),
        ({"coordinates": 3, "units": "metres", "sampling": {"persons": 2}}, "1 persons"),
        ({"sampling": {"frames": -1}}, "frames"),
        ({"sampling": {"frmaes": 8}}, "frmaes"),
        ({"sampling": None}, "does not tell its sampling"),
        ({"recipe": {"methods": {"low": {"completion": {"name": "Magic"}}}}}, "Magic"),
        ({"recipe": ["low"]}, "a.safetensors: "),
    ],
)
def test_a_checkpoint_that_tells_nonsense_is_one_line(tmp_path, changes, said):
    path = small_checkpoint(tmp_path / "a.safetensors", **changes)
    with pytest.raises(ValueError, match=said) as refused:
        Recogniser.load(path)
    assert "\n" not in str(refused.value)


def test_a_clip_without_an_image_size_is_refused_where_it_is_needed():
    recogniser = sides()
    object.__setattr__(recogniser, "sampling", Sampling(normalisation="image", confidence=False))
    with pytest.raises(ValueError, match="'film' has no image size"):
        recogniser.recognise(acting([1.0]))
