"""The part matrix: eq. (12)-(13) of PLKD on cases small enough to count."""

import numpy as np
import pytest
import torch

from skeldistill.data.streams import stream
from skeldistill.distillation.part_matrix import count_misclassified, occlude_part, part_weights
from skeldistill.layouts import JHMDB15, MEDIAPIPE33, PARTS, PENN13


@pytest.mark.parametrize("layout", [JHMDB15, MEDIAPIPE33])
@pytest.mark.parametrize("part", PARTS)
def test_occluding_a_part_loses_its_joints_and_no_others(layout, part):
    joints = torch.rand(2, 1, 4, layout.num_joints, 3) + 1
    before = joints.clone()
    found = occlude_part(joints, layout, part)
    for v, name in enumerate(layout.joints):
        expected = torch.zeros(2, 1, 4, 3) if name in layout.parts[part] else joints[..., v, :]
        assert (found[..., v, :] == expected).all()
    assert (joints == before).all()


@pytest.mark.parametrize("part", PARTS)
def test_bones_of_an_occluded_part_are_those_of_joints_that_are_lost(part, rng):
    """As if the joints had been lost before the bones were made of them."""
    joints = rng.normal(size=(2, 1, 4, 13, 2)).astype(np.float32)
    seen = np.ones(joints.shape[:-1], bool)
    scores = torch.ones(2, 1, 4, 13, 1)

    def shown(seen):
        return torch.cat([torch.from_numpy(stream("bone", joints, PENN13, seen)), scores], dim=-1)

    lost = PENN13.part_members[PARTS.index(part)]
    expected = shown(seen & ~lost)
    expected[..., torch.from_numpy(lost), 2] = 0
    found = occlude_part(shown(seen), PENN13, part, bones=True, coordinates=2)
    torch.testing.assert_close(found, expected)


def test_an_unknown_part_names_the_nearest():
    with pytest.raises(ValueError, match="no part called 'left_arms'; did you mean 'left_arm'"):
        occlude_part(torch.zeros(1, 1, 1, 15, 2), JHMDB15, "left_arms")


def test_counts_by_hand():
    labels = torch.tensor([0, 0, 0, 2])
    said = torch.tensor([[0, 0, 0, 2], [1, 0, 0, 2], [1, 2, 0, 0], [1, 1, 1, 1], [0, 0, 2, 2]])
    logits = torch.nn.functional.one_hot(said, 3).float()
    expected = torch.tensor([[0, 1 / 3, 2 / 3, 1, 1 / 3], [0, 0, 0, 0, 0], [0, 0, 1, 1, 0]])
    torch.testing.assert_close(count_misclassified(logits, labels, 3), expected)


def test_weights_are_a_softmax_over_parts():
    ratios = np.array([[0.0, 0.5, 1.0, 0.0, 0.0], [0.0] * 5])
    found = part_weights(ratios)
    raised = np.exp(ratios)
    np.testing.assert_allclose(found, raised / raised.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found[1], 0.2)  # a class without clips: all parts alike
    torch.testing.assert_close(part_weights(torch.from_numpy(ratios)), found)
