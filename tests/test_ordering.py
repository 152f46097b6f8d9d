"""People in the order of the other view: who is who, in the same space and in another."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeldistill.clip import Clip
from skeldistill.data import ordering
from skeldistill.data.comparing import compare
from skeldistill.data.importing import import_source
from skeldistill.data.ordering import match_people, order
from skeldistill.data.rewriting import rewrite
from skeldistill.data.store import Store, StoreWriter
from skeldistill.layouts import PENN13, Layout
from skeldistill.readers.ntu import NTU
from skeldistill.readers.reader import Source


def people(
    rng: np.random.Generator, count: int, layout: Layout = PENN13, frames: int = 9
) -> np.ndarray:
    """Bodies about 60 pixels wide, 200 apart, who move their joints a little."""
    bodies = rng.normal(0, 30, (count, 1, layout.num_joints, 2))
    bodies = bodies + rng.normal(0, 3, (count, frames, layout.num_joints, 2))
    bodies[..., 0] += 200 * np.arange(count)[:, None, None]
    return bodies.astype(np.float32)


def clip(joints: np.ndarray, layout: Layout = PENN13, name: str = "a", **about) -> Clip:
    return Clip(id=name, joints=joints, layout=layout, label=0, splits=("train",), **about)


def stored(path: Path, clips: Sequence[Clip], units: str = "pixels") -> Store:
    first = clips[0]
    source = Source(layout=first.layout, channels=first.joints.shape[-1], units=units)
    with StoreWriter(path, source, provenance={"reader": "test"}) as writer:
        for one in clips:
            writer.write(one)
    return Store.open(path)


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(4)), st.integers(0, 2**32 - 1), st.booleans())
def test_shuffled_people_are_found(places: list[int], seed: int, same_space: bool) -> None:
    """Noise, lost joints, another length; in the other space also another scale and place."""
    rng = np.random.default_rng(seed)
    theirs = people(rng, 4)
    own = theirs[places][:, ::2] + rng.normal(0, 5, (4, 5, 13, 2))
    if not same_space:
        own = own / 150 + np.array([3, -2])
    scores = (rng.random((4, 5, 13)) > 0.3).astype(np.float32)
    scores[..., 0] = 1  # nobody is lost altogether
    shuffled = clip(np.where(scores[..., None] > 0, own, 0).astype(np.float32), scores=scores)
    match = match_people(shuffled, clip(theirs), same_space=same_space)
    assert match == [places.index(person) for person in range(4)]


def test_one_person_is_told_by_place_where_both_have_one_space(rng: np.random.Generator) -> None:
    """Poses say the wrong one, by a little; the places say who it is."""
    two = people(rng, 2)
    two[1] = two[0] + rng.normal(0, 1, two[0].shape) + np.array([300, 0])
    apart = np.array([300, 0], np.float32)
    assert match_people(clip(two[:1] + apart), clip(two), same_space=True) == [None, 0]
    assert match_people(clip(two[1:] - apart), clip(two), same_space=True) == [0, None]
    assert match_people(clip(two), clip(two[1:] - apart), same_space=True) == [0]


def test_one_person_is_told_by_pose_where_spaces_differ(rng: np.random.Generator) -> None:
    both = people(rng, 2)
    assert match_people(clip(both[1:] / 200 + 5), clip(both), same_space=False) == [None, 0]


def test_two_people_of_ntu_in_space_and_in_the_image(
    tmp_path: Path, real_data: Callable[[str], Path]
) -> None:
    """Kinect's metres tell the order, and the colour image's pixels are brought into it."""
    source = real_data("fixtures/ntu")
    space = import_source(NTU(), source, tmp_path / "space.arrow", progress=False)
    image = import_source(NTU(plane=True), source, tmp_path / "image.arrow", progress=False)
    clips = [image.clip(row) for row in range(len(image))]
    turned = [one.with_joints(one.joints[::-1].copy(), one.scores[::-1].copy()) for one in clips]
    low = rewrite(image, tmp_path / "low.arrow", turned, {}, quiet=True)
    told = [one.line for one in compare(low, space) if "first two people" in one.line]
    assert len(told) == 1
    made, lines = order(low, space, tmp_path / "made.arrow", quiet=True)
    assert lines == [f"1 clip ('S001C003P008R002A058') {ordering.ORDERED}"]
    assert made.fingerprint == image.fingerprint
    assert not [one.line for one in compare(made, space) if "first two people" in one.line]


def test_passers_by_and_gaps(tmp_path: Path, rng: np.random.Generator) -> None:
    three = people(rng, 3)
    high = stored(
        tmp_path / "high.arrow",
        [
            clip(three[:2], name="swapped"),
            clip(three[:2], name="second"),
            clip(three[:1], name="crowd"),
        ],
    )
    low = stored(
        tmp_path / "low.arrow",
        [
            clip(three[[1, 0]], name="swapped"),
            clip(three[1:2], name="second"),
            clip(three[[2, 0]], name="crowd"),
            clip(three[[2, 0]], name="alone"),
        ],
    )
    made, lines = order(low, high, tmp_path / "made.arrow", quiet=True)
    np.testing.assert_array_equal(made.joints(0), three[:2])
    np.testing.assert_array_equal(made.joints(1), np.stack([np.zeros_like(three[0]), three[1]]))
    assert not made.scores(1)[0].any()
    np.testing.assert_array_equal(made.joints(2), three[::2])
    np.testing.assert_array_equal(made.joints(3), three[[2, 0]])
    assert lines == [
        f"1 clip ('swapped') {ordering.ORDERED}",
        f"1 clip ('second') {ordering.EMPTY}",
        f"1 clip ('crowd') {ordering.BEHIND}",
        f"1 clip ('alone') {ordering.SOLITARY}",
    ]
    assert made.provenance["ordered"] == {"like": str(high.path), "only_matched": False}
    assert made.provenance["reader"] == "test"

    alone, lines = order(low, high, tmp_path / "alone.arrow", only_matched=True, quiet=True)
    np.testing.assert_array_equal(alone.joints(2), three[:1])
    assert f"1 clip ('crowd') {ordering.LEFT_OUT}" in lines


def test_images_of_another_size_are_one_space(tmp_path: Path, rng: np.random.Generator) -> None:
    """Half the size: without it the second person would be where the first one is."""
    pose = people(rng, 1)
    high = stored(
        tmp_path / "high.arrow",
        [clip(np.concatenate([pose + 200, pose + 400]), size=(1000, 1000))],
    )
    low = stored(tmp_path / "low.arrow", [clip((pose + 400) / 2, size=(500, 500))])
    made, _ = order(low, high, tmp_path / "made.arrow", quiet=True)
    assert made.num_persons[0] == 2
    np.testing.assert_array_equal(made.joints(0)[1:], (pose + 400) / 2)


def test_sizes_are_no_matter_where_coordinates_are_no_pixels(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    space = np.concatenate([people(rng, 2), rng.normal(0, 30, (2, 9, 13, 1))], axis=-1)
    space = space.astype(np.float32)
    high = stored(tmp_path / "high.arrow", [clip(space, size=(1000, 1000))], "metres")
    low = stored(tmp_path / "low.arrow", [clip(space[::-1], size=(500, 500))], "metres")
    made, _ = order(low, high, tmp_path / "made.arrow", quiet=True)
    np.testing.assert_array_equal(made.joints(0), space)


def test_who_is_nowhere_near_is_left_alone_only_if_anybody_matches(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    """Two sensors in metres need not have one origin: then people are told by the shift."""
    both = people(rng, 2)
    high = stored(tmp_path / "high.arrow", [clip(both)])
    low = stored(tmp_path / "low.arrow", [clip(both[::-1] + np.float32(5000))])
    made, lines = order(low, high, tmp_path / "made.arrow", quiet=True)
    np.testing.assert_array_equal(made.joints(0), both + np.float32(5000))
    assert lines == [f"1 clip ('a') {ordering.ORDERED}"]


def test_nobody_seen_is_left_as_it_is(tmp_path: Path, rng: np.random.Generator) -> None:
    both = people(rng, 2)
    high = stored(tmp_path / "high.arrow", [clip(both)])
    low = stored(tmp_path / "low.arrow", [clip(np.zeros_like(both))])
    made, lines = order(low, high, tmp_path / "made.arrow", quiet=True)
    assert lines == [f"1 clip ('a') {ordering.NOBODY}"]
    assert made.num_persons[0] == 2


def test_what_cannot_be_ordered_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    one = stored(tmp_path / "one.arrow", [clip(people(rng, 2))])
    other = stored(tmp_path / "other.arrow", [clip(people(rng, 2), name="b")])
    with pytest.raises(ValueError, match=r"one\.arrow and other\.arrow have no id in common"):
        order(one, other, tmp_path / "made.arrow", quiet=True)
    renamed = {joint: f"{joint}_marker" for joint in PENN13.joints[3:]}
    layout = Layout(
        name="markers",
        joints=tuple(renamed.get(joint, joint) for joint in PENN13.joints),
        bones={renamed.get(a, a): renamed.get(b, b) for a, b in PENN13.bones.items()},
        centre=renamed.get(PENN13.centre, PENN13.centre),
        mirror={renamed.get(a, a): renamed.get(b, b) for a, b in PENN13.mirror.items()},
        parts={
            part: tuple(renamed.get(joint, joint) for joint in joints)
            for part, joints in PENN13.parts.items()
        },
    )
    few = stored(tmp_path / "few.arrow", [clip(people(rng, 1, layout), layout)])
    with pytest.raises(ValueError, match="'markers' have 3 joints in common, and 4 are needed"):
        order(one, few, tmp_path / "made.arrow", quiet=True)
    with pytest.raises(ValueError, match="name another file"):
        order(one, one, one.path, quiet=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "few.arrow",
        "one.arrow",
        "other.arrow",
    ]
