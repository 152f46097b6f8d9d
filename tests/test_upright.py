"""Bodies moved to the origin and turned upright: beside PYSKL's way, one clip at a time."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from skeldistill import degradations, layouts
from skeldistill.data.joined import Joined
from skeldistill.data.sampling import Choice, plain, sample
from skeldistill.layouts.trunk import trunk
from skeldistill.recipe import Sampling

NTU25 = layouts.find("ntu25")


def seen(joints, scores=None, layout=NTU25, choice=None, **sampling):
    """One clip ``(m, t, v, 3)`` as a network is shown it, all frames."""
    scores = np.ones(joints.shape[:3], np.float32) if scores is None else scores
    settings = Sampling(
        frames=joints.shape[1], persons=len(joints), **{"normalisation": "body", **sampling}
    )
    ragged = Joined.of([(joints.astype(np.float32), scores.astype(np.float32))])
    shown, _ = sample(
        ragged, np.arange(1), choice or plain(1, settings), settings, layout, joints.shape[-1]
    )
    return shown[0]


def shortest(line, aim):
    """PYSKL's rotation_matrix of the angle between, here by SciPy."""
    axis = np.cross(line, aim)
    angle = np.arccos(line @ aim / np.linalg.norm(line))
    return Rotation.from_rotvec(angle * axis / np.linalg.norm(axis)).as_matrix()


def as_in_pyskl(joints, base=0, middle=1, left=4, right=8):
    moved = joints - joints[0, 0, middle]
    for start, end, aim in ((base, middle, [0, 0, 1]), (left, right, [1, 0, 0])):
        line = moved[0, 0, end] - moved[0, 0, start]
        moved = moved @ shortest(line, np.array(aim, float)).T
    return moved


def test_as_in_pyskl(rng):
    joints = rng.normal(size=(2, 7, 25, 3)) + np.array([0.3, 0.1, 3.0])
    np.testing.assert_allclose(seen(joints), as_in_pyskl(joints), atol=1e-5)
    only_moved = joints - joints[0, 0, 1]
    np.testing.assert_allclose(seen(joints, normalisation="spine"), only_moved, atol=1e-5)


def test_kinects_first_layout_has_its_own_spine(rng):
    joints = rng.normal(size=(1, 5, 20, 3))
    shown = seen(joints, layout=layouts.find("kinect20"))
    np.testing.assert_allclose(shown, as_in_pyskl(joints), atol=1e-5)


def test_layouts_without_a_spine_take_the_middles_of_hips_and_shoulders(rng):
    layout = layouts.find("coco17")
    joints = rng.normal(size=(1, 4, 17, 3))
    shown = seen(joints, layout=layout).astype(np.float64)
    hips, shoulders = (
        shown[0, 0, [layout.index(f"{side}_{joint}") for side in ("left", "right")]]
        for joint in ("hip", "shoulder")
    )
    np.testing.assert_allclose((hips.mean(axis=0) + shoulders.mean(axis=0)) / 2, 0, atol=1e-6)
    # the last turn brings the shoulders across
    across = shoulders[1] - shoulders[0]
    np.testing.assert_allclose(across / np.linalg.norm(across), [1, 0, 0], atol=1e-5)


@pytest.mark.parametrize("turn", Rotation.random(6, random_state=1).as_matrix())
def test_it_is_no_matter_where_the_camera_stands(turn, rng):
    joints = rng.normal(size=(2, 6, 25, 3))
    # square shoulders: else the second turn tilts the spine, by how much depends on the camera
    joints[0, 0, 8] = joints[0, 0, 4] + np.cross(joints[0, 0, 1] - joints[0, 0, 0], [0.3, 1, 0.2])
    elsewhere = joints @ turn.T + [1.0, -2.0, 4.0]
    np.testing.assert_allclose(seen(elsewhere), seen(joints), atol=2e-5)


def test_a_mirrored_body_is_the_mirror_image(rng):
    joints = rng.normal(size=(1, 6, 25, 3))
    mirrored = joints[:, :, NTU25.mirrored] * [-1, 1, 1]
    expected = seen(joints)[:, :, NTU25.mirrored] * [-1, 1, 1]
    np.testing.assert_allclose(seen(mirrored), expected, atol=1e-5)


def test_lines_are_taken_where_they_are_first_seen(rng):
    joints = np.repeat(rng.normal(size=(1, 1, 25, 3)), 5, axis=1)
    scores = np.ones(joints.shape[:3])
    scores[0, :3, [4, 8]] = 0
    scores[0, :2, 1] = 0
    shown = seen(joints, scores)
    np.testing.assert_allclose(shown[0, 4], as_in_pyskl(joints)[0, 4], atol=1e-5)
    assert not shown[0, 0, [1, 4, 8]].any()


def test_of_a_body_without_shoulders_the_hips_tell(rng):
    joints = rng.normal(size=(1, 5, 25, 3))
    scores = np.ones(joints.shape[:3])
    scores[..., 8] = 0
    expected = as_in_pyskl(joints, left=12, right=16)
    expected[:, :, 8] = 0
    np.testing.assert_allclose(seen(joints, scores), expected, atol=1e-5)


def test_what_is_never_seen_turns_nothing(rng):
    joints = rng.normal(size=(1, 5, 25, 3))
    scores = np.zeros(joints.shape[:3])
    scores[..., 3] = 1
    moved = joints[0, :, 3] - joints[0, 0, 3]
    np.testing.assert_allclose(seen(joints, scores)[0, :, 3], moved, atol=1e-6)
    assert not seen(joints, np.zeros(joints.shape[:3])).any()


def test_half_turns_keep_what_they_can():
    joints = np.zeros((1, 1, 25, 3))
    joints[0, 0, 0], joints[0, 0, 1] = [0, 0, 0], [0, 0, -1]  # upside down
    joints[0, 0, 4], joints[0, 0, 8] = [0, -1, -2], [0, 1, -2]
    shown = seen(joints)[0, 0]
    np.testing.assert_allclose(shown[0], [0, 0, -1], atol=1e-6)
    np.testing.assert_allclose(shown[8] - shown[4], [2, 0, 0], atol=1e-6)
    joints[0, 0, 0], joints[0, 0, 1] = [0, 0, 0], [0, 0, 1]  # upright, seen from behind
    joints[0, 0, 4], joints[0, 0, 8] = [1, 0, 2], [-1, 0, 2]
    shown = seen(joints)[0, 0]
    np.testing.assert_allclose(shown[0], [0, 0, -1], atol=1e-6)
    np.testing.assert_allclose(shown[8] - shown[4], [2, 0, 0], atol=1e-6)


def test_chance_turns_it_around_its_own_upright_axis(rng):
    joints = rng.normal(size=(1, 3, 25, 3))
    choice = plain(1, Sampling(frames=3))
    quarter = Choice(**{**vars(choice), "angles": np.array([np.pi / 2])})
    shown, turned = seen(joints), seen(joints, choice=quarter)
    np.testing.assert_allclose(turned[..., 2], shown[..., 2], atol=1e-5)
    np.testing.assert_allclose(turned[..., 0], -shown[..., 1], atol=1e-5)


def test_flat_joints_and_layouts_without_a_trunk_are_refused(rng):
    with pytest.raises(ValueError, match="'body' turns 3-D bodies, and these joints have 2"):
        seen(rng.normal(size=(1, 3, 25, 2)))
    told = NTU25.to_dict()
    renamed = {"left_hip": "left_pelvis"}

    def with_other_names(value):
        if isinstance(value, dict):
            return {renamed.get(key, key): with_other_names(one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [with_other_names(one) for one in value]
        return renamed.get(value, value)

    layout = layouts.Layout.from_dict(with_other_names(told))
    with pytest.raises(ValueError, match="has no left_hip, which normalisation by the trunk needs"):
        trunk(layout)


@pytest.mark.parametrize("normalisation", ["centre", "spine", "body"])
def test_whoever_is_seen_first_is_the_first_person(normalisation, rng):
    joints = rng.normal(size=(1, 6, 25, 3)) * 0.3 + np.array([0.2, 0.1, 3.7])
    both = np.stack([0 * joints[0], joints[0]])
    scores = np.ones(both.shape[:3])
    scores[0] = 0
    alone = seen(joints, scores[1:], normalisation=normalisation)
    second = seen(both, scores, normalisation=normalisation)
    np.testing.assert_allclose(second[1], alone[0], atol=1e-6)


@pytest.mark.parametrize("normalisation", ["centre", "spine", "body"])
@pytest.mark.parametrize("lost", ["trunk", "all but a hand"])
def test_a_clip_whose_trunk_is_never_seen_still_lies_around_the_origin(normalisation, lost, rng):
    joints = rng.normal(size=(1, 6, 25, 3)) * 0.3 + np.array([0.2, 0.1, 3.7])
    scores = np.ones(joints.shape[:3])
    scores[:, :, [0, 1, 2, 3, 20] if lost == "trunk" else [*range(11), *range(12, 25)]] = 0
    scores[:, :2] = 0
    shown = seen(joints, scores, normalisation=normalisation)
    assert np.abs(shown).max() < 2
    first = shown[0, 2][scores[0, 2] > 0]
    np.testing.assert_allclose(first.mean(axis=0), 0, atol=1e-5)


def test_hips_and_shoulders_say_where_up_is_when_the_spine_is_lost(rng):
    joints = rng.normal(size=(1, 4, 25, 3))
    scores = np.ones(joints.shape[:3])
    scores[:, :, [0, 1, 20]] = 0
    hips, up = joints[0, 0, [12, 16]].mean(axis=0), np.array([0.3, -1.0, 0.2])
    half = np.cross(up, [0.5, 0.1, 1.0])  # square shoulders: the second turn keeps what stands
    joints[0, 0, [4, 8]] = [hips + up - half, hips + up + half]
    shown = seen(joints, scores)[0, 0].astype(np.float64)
    upwards = shown[[4, 8]].mean(axis=0) - shown[[12, 16]].mean(axis=0)
    across = shown[8] - shown[4]
    np.testing.assert_allclose(upwards / np.linalg.norm(upwards), [0, 0, 1], atol=1e-5)
    np.testing.assert_allclose(across / np.linalg.norm(across), [1, 0, 0], atol=1e-5)


@pytest.mark.parametrize("normalisation", ["clip", "centre", "spine", "body"])
@pytest.mark.parametrize("name", sorted(set(degradations.SHELF) - {"IdentitySwitch"}))
def test_no_degradation_moves_a_body_away_from_where_networks_know_it(name, normalisation):
    """Else a robustness curve would show the normalisation's fall and not the network's."""
    rng = np.random.default_rng(0)
    worse = degradations.at_severity(name, 5)
    for _ in range(5):
        joints = (0.3 * rng.normal(size=(1, 60, 25, 3)) + [0.2, 0.1, 3.7]).astype(np.float32)
        scores = np.ones(joints.shape[:3], np.float32)
        joints, scores = worse(joints, scores, layout=NTU25, rng=rng)
        shown = seen(joints, scores, normalisation=normalisation)
        there = (scores > 0).any(axis=(0, 2))
        if there.any():
            first = int(there.argmax())
            around = shown[0, first][scores[0, first] > 0].mean(axis=0)
            assert np.abs(around).max() < 1.5
