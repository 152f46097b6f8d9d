"""The three branches: the authors' numbers, a twin in loops, and the networks that take them."""

import json
import math
from itertools import pairwise

import golden_rule
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from skeldistill import layouts, networks
from skeldistill.layouts import KINECT20, NTU25, PENN13
from skeldistill.networks.branches import Branches, ThreeBranchNetwork, hung_on

every_layout = pytest.mark.parametrize("layout", layouts.SHELF.values(), ids=list(layouts.SHELF))
shelf = pytest.mark.parametrize(
    "name", [n for n, part in networks.SHELF.items() if issubclass(part, ThreeBranchNetwork)]
)


def in_loops(x: np.ndarray, parents: np.ndarray, centre: int) -> np.ndarray:
    """Branches of one clip (m, t, v, c), joint by joint, as (branch, channel, t, v, m)."""
    persons, frames, joints, c = x.shape
    made = np.zeros((3, 2 * c, frames, joints, persons))
    for m in range(persons):
        for t in range(frames):
            for v in range(joints):
                here = x[m, t, v]
                made[0, :, t, v, m] = [*here, *(here - x[m, t, centre])]
                if t + 2 < frames:
                    made[1, :, t, v, m] = [*(x[m, t + 1, v] - here), *(x[m, t + 2, v] - here)]
                bone = here - x[m, t, parents[v]]
                length = math.sqrt(sum(bone**2)) + 1e-4
                made[2, :, t, v, m] = [*bone, *(math.acos(b / length) for b in bone)]
    return made


def test_equal_the_authors_branches():
    golden = load_file(golden_rule.GOLDEN / "preprocessing.safetensors")
    about = json.loads((golden_rule.GOLDEN / "preprocessing.json").read_text())
    joints = torch.from_numpy(golden["effgcn.in"]).permute(3, 1, 2, 0)[None]
    branches = Branches(NTU25, 3, score=False)
    np.testing.assert_array_equal(branches.parents, golden["effgcn.connect_joint"])
    made = branches(joints)[0]
    for i, branch in enumerate(("joint", "velocity", "bone")):
        expected = torch.from_numpy(golden[f"effgcn.{branch}"])
        tolerance = about["suggested_abs_tolerance"]
        torch.testing.assert_close(made[i], expected, rtol=0, atol=tolerance)


@settings(deadline=None, max_examples=15)
@given(
    layout=st.sampled_from([PENN13, KINECT20]),
    sizes=st.tuples(st.integers(1, 2), st.integers(1, 5), st.integers(2, 3)),
    seed=st.integers(0, 99),
)
def test_equal_a_twin_in_loops(layout, sizes, seed):
    m, t, c = sizes
    x = np.random.default_rng(seed).normal(size=(m, t, layout.num_joints, c))
    x[0, 0] = 0
    made = Branches(layout, c, score=False)(torch.from_numpy(x)[None])[0]
    expected = in_loops(x, layout.parents, layout.centre_index)
    torch.testing.assert_close(made, torch.from_numpy(expected), rtol=1e-9, atol=1e-9)


@every_layout
def test_a_tree_can_hang_on_any_joint(layout):
    bones = {frozenset(bone) for bone in layout.bone_indices}
    for root in range(layout.num_joints):
        parents = hung_on(root, layout.parents)
        assert parents[root] == root
        own = {frozenset((v, int(parents[v]))) for v in range(layout.num_joints) if v != root}
        assert own == bones
        for joint in range(layout.num_joints):
            for _ in range(layout.num_joints):
                joint = parents[joint]
            assert joint == root


def test_bones_hang_on_the_layouts_centre_but_where_the_authors_have_another():
    assert Branches(PENN13, 2, score=False).centre == PENN13.index("head")
    assert NTU25.centre == "spine_shoulder"
    assert Branches(NTU25, 3, score=False).centre == NTU25.index("spine_mid")


def test_a_score_is_carried_unchanged():
    joints = torch.randn(2, 2, 6, 13, 3)
    plain = Branches(PENN13, 2, score=False)(joints[..., :2])
    branches = Branches(PENN13, 3, score=True)
    made = branches(joints)
    assert branches.channels == made.shape[2] == 5
    torch.testing.assert_close(made[:, :, :4], plain)
    for i in range(3):
        torch.testing.assert_close(made[:, i, 4].permute(0, 3, 1, 2), joints[..., 2])


def test_nobody_has_no_position_and_right_angles():
    made = Branches(PENN13, 3, score=False)(torch.zeros(1, 1, 4, 13, 3))
    assert (made[:, :2] == 0).all()
    assert (made[:, 2, :3] == 0).all()
    torch.testing.assert_close(made[:, 2, 3:], torch.full_like(made[:, 2, 3:], math.pi / 2))


def test_long_bones_along_an_axis_have_an_angle():
    joints = torch.zeros(1, 1, 200, 13, 2)
    joints[..., 0] = torch.rand(200, 13) * 1e4  # rounded, the cosine is 1
    assert Branches(PENN13, 2, score=False)(joints).isfinite().all()


def test_gradients_reach_the_joints():
    joints = torch.randn(1, 1, 4, 13, 3)
    joints[:, :, 2:] = 0
    joints.requires_grad_()
    Branches(PENN13, 3, score=False)(joints).square().sum().backward()
    assert joints.grad is not None
    assert joints.grad.isfinite().all()


# ---------------------------------------------------------------- networks


def made(name: str, **options) -> ThreeBranchNetwork:
    torch.manual_seed(0)
    network = networks.find(name)(PENN13, **{"classes": 4, "width": 0.125, **options})
    assert isinstance(network, ThreeBranchNetwork)
    return network.eval()


@shelf
def test_joints_and_their_branches_are_one(name):
    network = made(name)
    joints = torch.randn(2, 2, 6, 13, 3)
    joints[1, 1] = 0
    joints[0, :, 3:] = 0
    ready = network.branches(joints).contiguous()  # another order in memory
    said = network(joints)
    for ours, theirs in zip(said, network.from_branches(ready), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert said.present.tolist() == [[[True, False], [True, False]], [[True, True], [False, False]]]


@shelf
def test_takes_a_score(name):
    joints = torch.rand(2, 1, 6, 13, 3)
    assert made(name, persons=1, score=True)(joints).logits.isfinite().all()
    with pytest.raises(ValueError, match="must be positive"):
        made(name, channels=1, score=True)


@pytest.mark.parametrize(
    "shape", [(2, 2, 6, 4, 13, 2), (2, 3, 5, 4, 13, 2), (2, 3, 6, 4, 12, 2), (0, 3, 6, 4, 13, 2)]
)
@shelf
def test_branches_of_a_wrong_shape_are_one_clear_line(name, shape):
    with pytest.raises(ValueError, match=r"\(3, 6, 13, 2\), got shape") as error:
        made(name).from_branches(torch.zeros(shape))
    assert "\n" not in str(error.value)


@shelf
def test_is_drawn_as_the_authors_draw(name):
    torch.manual_seed(0)
    network = networks.find(name)(PENN13, classes=60)
    assert network.classifier.weight.std().item() == pytest.approx(0.001, rel=0.1)
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    for module in convolutions:
        fan_out = module.out_channels * module.kernel_size[0]
        few = 6 / math.sqrt(module.weight.numel())
        assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_out), rel=few)
        assert module.bias is not None
        assert (module.bias == 0).all()


@shelf
def test_width_scales_every_channel(name):
    whole = networks.find(name)(PENN13, classes=2).feature_channels
    for width in (0.125, 0.5):
        assert abs(made(name, width=width).feature_channels - width * whole) <= 4
    sizes = [sum(w.numel() for w in made(name, width=w_).parameters()) for w_ in (0.25, 0.5, 1.0)]
    assert all(smaller < larger for smaller, larger in pairwise(sizes))
