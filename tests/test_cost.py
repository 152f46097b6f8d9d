"""Costs: counted by hand, the official figures, and nothing changed by measuring."""

import pytest
import torch

from skeldistill import cost, networks
from skeldistill.layouts import COCO17, NTU25, PENN13
from skeldistill.networks import STGCN
from skeldistill.networks.stgcn import BLOCKS


def by_hand(
    frames: int, joints: int, persons: int, partitions: int, *, classes: int, gather_first: bool
) -> int:
    """Multiply-adds of ST-GCN: graph sums, 1x1, 9x1 and residual convolutions, classifier."""
    total, before, t = 0, 3, frames
    for number, (channels, stride) in enumerate(BLOCKS):
        points = persons * t * joints
        total += points * joints * partitions * (before if gather_first else channels)
        total += points * partitions * before * channels
        t = -(-t // stride)
        points = persons * t * joints
        total += points * 9 * channels * channels
        if number and before != channels:
            total += points * before * channels
        before = channels
    return total + before * classes


@pytest.mark.parametrize(
    ("layout", "partition", "partitions", "official"),
    [(NTU25, "spatial", 3, 17.09), (COCO17, "distance", 2, 10.42)],
)
def test_multiply_adds_are_the_official_ones_but_for_the_cheaper_order(
    layout, partition, partitions, official
):
    network = STGCN(layout, classes=60, partition=partition)
    sizes = (300, layout.num_joints, 2, partitions)
    theirs = by_hand(*sizes, classes=60, gather_first=False)
    assert round(theirs / 1e9, 2) == official
    # The bias of a joint is the weighted sum of its partitions' biases.
    biases = sum(channels for channels, _ in BLOCKS) * partitions * layout.num_joints
    ours = by_hand(*sizes, classes=60, gather_first=True) + biases
    assert cost.multiply_adds(network, 300) == ours < theirs


@pytest.mark.parametrize("name", networks.SHELF)
def test_measuring_leaves_the_network_alone(name):
    network = networks.find(name)(PENN13, classes=4).train()
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    random, threads = torch.get_rng_state(), torch.get_num_threads()
    frames = next(count for count in network.frame_counts if count >= 8)
    price = cost.measure(network, frames, repeats=2)
    assert network.training
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(before[k], tensor) for k, tensor in network.state_dict().items())
    assert price.parameters == sum(weight.numel() for weight in network.parameters())
    assert price.latency_ms > 0
    assert price.multiply_adds > 0
    assert price.peak_memory > 0


def test_the_price_grows_with_the_clip():
    network = STGCN(PENN13, classes=4, width=0.125)
    short, long = (cost.measure(network, frames, repeats=1) for frames in (16, 64))
    assert short.parameters == long.parameters
    assert 3.9 < long.multiply_adds / short.multiply_adds < 4.1
    assert 3.0 < long.peak_memory / short.peak_memory < 4.1


def test_peak_memory_of_a_chain_by_hand():
    class Chain(STGCN):
        def forward(self, joints):
            doubled = joints * 2  # 4 bytes a number: the input was made before
            tripled = doubled.repeat(3, 1, 1, 1, 1)
            del doubled
            tripled.add_(1)
            return tripled.view(-1) + 1

    joints = 2 * 8 * 13 * 3
    # at most: tripled and its sum (3 + 3); doubled and tripled are less (1 + 3)
    assert cost.peak_memory(Chain(PENN13, classes=2, width=0.125), 8) == 4 * joints * 6


def test_a_clip_without_frames_has_no_cost():
    with pytest.raises(ValueError, match="at least 1 frame"):
        cost.measure(STGCN(PENN13, classes=2, width=0.125), 0)
