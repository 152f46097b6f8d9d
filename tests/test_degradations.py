"""Laws of every degradation on the shelf; what each one means: test_degradation_effects."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from degradation_clips import degraded, same, some_clip
from hypothesis import given, settings
from hypothesis import strategies as st

from skeldistill import degradations
from skeldistill.clip import Clip
from skeldistill.degradations import SHELF, apply, at_severity, clip_rng, degrade
from skeldistill.degradations.body_size import body_size
from skeldistill.layouts import COCO17, NTU25, PENN13


@pytest.mark.parametrize("name", SHELF)
@settings(deadline=None, max_examples=60)
@given(
    severity=st.integers(0, 5),
    seed=st.integers(0, 2**32 - 1),
    persons=st.integers(1, 3),
    frames=st.sampled_from([1, 2, 3, 11, 70]),
    layout=st.sampled_from([COCO17, NTU25, PENN13]),
    channels=st.sampled_from([2, 3]),
    lost=st.sampled_from([0.0, 0.5, 1.0]),
)
def test_laws(name, severity, seed, persons, frames, layout, channels, lost):
    hold_laws(at_severity(name, severity), severity, seed, persons, frames, layout, channels, lost)


@pytest.mark.parametrize("name", [name for name in SHELF if at_severity(name, 3).shown])
@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("layout", [COCO17, NTU25, PENN13], ids=lambda layout: layout.name)
def test_laws_of_what_acts_on_what_is_shown(name, severity, layout):
    """It says where, and that is what a clip loses: one that is drawn, or with shown: false."""
    part = at_severity(name, severity)
    harder = replace(part, shown=False)
    for frames in (1, 60, 300):
        hold_laws(harder, severity, 0, 2, frames, layout, 3, 0.1)
        blanked = part.blanked(frames, layout)
        assert (blanked.shape, blanked.dtype) == ((frames, layout.num_joints), bool)
        clip = some_clip(0, frames=frames, layout=layout, lost=0)
        for each in (part, harder):
            worse, scores = degraded(each, clip, layout)
            assert np.array_equal(scores == 0, np.broadcast_to(blanked, scores.shape))
            assert np.array_equal(worse[scores > 0], clip[0][scores > 0])
    with pytest.raises(ValueError, match=r"makes no view .*robustness.*shown: false") as error:
        degradations.for_clips(name, part.severities[severity - 1])
    assert "\n" not in str(error.value)
    options = {**part.severities[severity - 1], "shown": False}
    assert degradations.for_clips(name, options) == harder


def hold_laws(part, severity, seed, persons, frames, layout, channels, lost):
    joints, scores = some_clip(
        seed, persons=persons, frames=frames, layout=layout, channels=channels, lost=lost
    )
    before = joints.copy(), scores.copy()
    worse, sure = degraded(part, (joints, scores), layout, seed)

    assert same(before, (joints, scores))
    assert not np.shares_memory(worse, joints)
    assert not np.shares_memory(sure, scores)
    assert same((worse, sure), degraded(part, (joints, scores), layout, seed))
    assert worse.dtype == sure.dtype == np.float32
    left = worse.shape[1]
    assert worse.shape == (persons, left, layout.num_joints, channels)
    assert sure.shape == worse.shape[:3]
    assert 1 <= left <= frames
    assert left == frames or part.shortens
    assert np.isfinite(worse).all()
    assert sure.min() >= 0
    assert sure.max() <= 1
    assert not worse[sure == 0].any()
    if lost == 1:
        assert not sure.any()
    if severity == 0:
        assert same((worse, sure), before)


@pytest.mark.parametrize("name", SHELF)
def test_severities_are_calibrated(name):
    """Each of the five does damage, never less than the one before, and the last one most."""
    clip = some_clip(1, frames=120, layout=NTU25, channels=3, lost=0)
    size = float(body_size(*clip).mean())
    damages = [0.0]
    for severity in range(1, 6):
        part = at_severity(name, severity)
        results = [degraded(part, clip, NTU25, seed) for seed in range(12)]
        damages.append(np.mean([damage(clip, result, size) for result in results]))
    assert np.all(np.diff(damages) >= 0), damages
    assert 0 < damages[1] < damages[-1]
    assert len(SHELF[name].severities) == 5


def damage(clip, result, size):
    """Mean way of a joint in body sizes, at most 1; a lost joint counts 1."""
    frames = np.arange(clip[1].shape[1]) * result[1].shape[1] // clip[1].shape[1]
    joints, scores = result[0][:, frames], result[1][:, frames]
    moved = np.minimum(np.linalg.norm(joints - clip[0], axis=-1) / size, 1)
    return np.where(scores > 0, moved, 1).mean()


@pytest.mark.parametrize("name", SHELF)
def test_what_draws_depends_on_the_seed(name):
    clip = some_clip(2, persons=3, frames=60)
    part = at_severity(name, 3)
    rng = np.random.default_rng(0)
    untouched = rng.bit_generator.state
    first = part(*clip, layout=COCO17, rng=rng)
    if rng.bit_generator.state == untouched:
        return  # no chance in it
    assert not all(same(first, degraded(part, clip, seed=seed)) for seed in range(1, 9))


@pytest.mark.parametrize("name", SHELF)
def test_the_shelf_is_in_order(name):
    assert SHELF[name].__name__ == name
    assert degradations.find(name) is SHELF[name]
    part = at_severity(name, 3)
    assert part == at_severity(name, 3)
    with pytest.raises(AttributeError):
        part.severities = ()


@pytest.mark.parametrize("severity", [-1, 6])
def test_other_severities_are_refused(severity):
    with pytest.raises(ValueError, match="severity must be a whole number from 0 to 5"):
        at_severity("Jitter", severity)


WRONG = [
    ("JointOcclusion", {"probability": 1.2}),
    ("JointOcclusion", {"probability": float("nan")}),
    ("ClipJointOcclusion", {"probability": -0.1}),
    ("BurstOcclusion", {"probability": 0.2, "burst": 0.5}),
    ("ConfidenceOcclusion", {"threshold": 2.0}),
    ("PartOcclusion", {"share": 2.0}),
    ("LostPerson", {"probability": 2.0}),
    ("LostFrames", {"probability": 0.2, "burst": float("inf")}),
    ("BlockDropout", {"share": -1.0}),
    ("HeldFrames", {"keep": 0}),
    ("InterpolatedFrames", {"keep": -3}),
    ("DroppedFrames", {"keep": 0}),
    ("RandomFrames", {"keep": 0}),
    ("Jitter", {"deviation": -0.1}),
    ("Jitter", {"deviation": float("inf")}),
    ("Quantisation", {"step": float("nan")}),
    ("ScaleDrift", {"deviation": -1.0}),
    ("TranslationDrift", {"deviation": -1.0}),
    ("LeftRightSwap", {"probability": 3.0}),
    ("IdentitySwitch", {"probability": 3.0}),
    ("RAGCNFrames", {"frames": 11}),
    ("RAGCNFrames", {"frames": -2}),
    ("RAGCNParts", {"part": 6}),
]


@pytest.mark.parametrize(("name", "options"), WRONG)
def test_wrong_options_are_one_line(name, options):
    with pytest.raises(ValueError, match=rf"^{name}\.\w+ must .*got") as error:
        SHELF[name](**options)
    assert "\n" not in str(error.value)


def test_every_part_refuses_something():
    assert {name for name, _ in WRONG} == set(SHELF)


def test_unknown_names_get_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'JointOcclusion'"):
        degradations.find("JointOclusion")
    with pytest.raises(ValueError, match="did you mean 'left_arm'"):
        SHELF["PartOcclusion"](part="leftarm")


# chance


def test_chance_belongs_to_the_clip():
    draw = clip_rng(0, "clip").random()
    assert clip_rng(0, "clip").random() == draw
    others = [clip_rng(1, "clip"), clip_rng(0, "other"), clip_rng(0, "clip", epoch=0)]
    assert len({draw, *(rng.random() for rng in others), clip_rng(0, "clip", 1).random()}) == 5


def test_chance_is_the_same_in_every_process():
    """A number written down once, and another process with another hash salt."""
    assert clip_rng(7, "Übung/0001", 3).bit_generator.random_raw(2).tolist() == [
        1759571078576461960,
        1537859951079176223,
    ]
    code = (
        "from skeldistill.degradations import clip_rng;"
        "print(clip_rng(7, 'Übung/0001', 3).bit_generator.random_raw(2).tolist())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONHASHSEED": "5"},
    )
    assert out.stdout.strip() == "[1759571078576461960, 1537859951079176223]"


def test_parts_work_in_order_and_draw_apart():
    clip = some_clip(3, frames=40)
    jitter = SHELF["Jitter"](deviation=0.1)
    held = SHELF["HeldFrames"](keep=10)
    trembling, _ = apply([held, jitter], *clip, COCO17, np.random.default_rng(0))
    frozen, _ = apply([jitter, held], *clip, COCO17, np.random.default_rng(0))
    assert np.array_equal(frozen[:, 0], frozen[:, 9])
    assert not np.array_equal(trembling[:, 0], trembling[:, 9])
    # Another first part, the same chance for the second.
    lost = [
        apply([first, SHELF["JointOcclusion"](probability=0.5)], *clip, COCO17,
              np.random.default_rng(0))[1] == 0
        for first in (jitter, SHELF["LeftRightSwap"](probability=0.0))
    ]  # fmt: skip
    assert np.array_equal(*lost)
    assert same(apply([], *clip, COCO17, np.random.default_rng(0)), clip)


def test_degrade_keeps_all_but_the_joints():
    joints, scores = some_clip(4)
    clip = Clip(id="a", joints=joints, scores=scores, layout=COCO17, label=3, splits=("test",))
    parts = [at_severity("JointOcclusion", 3), at_severity("DroppedFrames", 2)]
    worse = degrade(clip, parts, seed=0)
    assert (worse.id, worse.label, worse.splits, worse.num_frames) == ("a", 3, ("test",), 7)
    assert np.array_equal(worse.joints, degrade(clip, parts, seed=0).joints)
    assert not np.array_equal(worse.joints, degrade(clip, parts, seed=0, epoch=0).joints)
    assert degrade(clip, [], seed=0) is clip
