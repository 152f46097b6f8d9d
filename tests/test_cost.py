"""Costs: counted by hand, the official figures, and nothing changed by measuring."""

import csv
import io

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

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


def test_products_that_are_added_in_place_count():
    network = networks.find("CTRGCN")(NTU25, classes=60, persons=2, channels=3, width=0.125)
    plain = FlopCounterMode(display=False)
    clip = torch.zeros(1, network.persons, 64, 25, 3)
    with torch.inference_mode(), plain, pytest.MonkeyPatch.context() as patch:
        # PyTorch's own counter knows the other form alone
        patch.setattr(Tensor, "baddbmm_", lambda *given: torch.baddbmm(*given))
        network.eval()(clip)
    assert cost.multiply_adds(network, 64) == plain.get_total_flops() // 2


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


# ---------------------------------------------------------------- the command


def test_cost_as_a_sheet_says_what_was_measured(skeldistill):
    words = ("cost", "PRGCN", "--layout", "penn13", "--frames", 50, "--format", "csv")
    code, out, _ = skeldistill(*words)
    assert code == 0
    (row,) = csv.DictReader(io.StringIO(out))
    network = networks.PRGCN(PENN13, classes=60)
    assert row["network"] == "PRGCN"
    assert row["parameters"] == f"{cost.parameters(network):,}"
    assert row["multiply-adds"] == f"{cost.multiply_adds(network, 30) / 1e9:.2f} G"
    assert row["memory"] == f"{cost.peak_memory(network, 30) / 1e6:.1f} MB"
    assert row["frames"] == "30 (a multiple of 30)"
    assert (row["stride"], row["shown"]) == ("30", "one stream")
    assert row["paper"] == "Li, Yi, Abu Farha and Gall, RA-L 2021"


def test_cost_of_all_as_a_page_has_a_row_for_each(skeldistill):
    words = ("--layout", "penn13", "--frames", 8, "--persons", 1, "--format", "markdown")
    code, out, _ = skeldistill("cost", "all", *words)
    assert code == 0
    head, rule, *body = (line.strip("| ").split(" | ") for line in out.splitlines())
    assert [row[0] for row in body] == list(networks.SHELF)
    assert {len(row) for row in (head, rule, *body)} == {9}
    shown = {row[0]: row[7] for row in body}
    assert {name for name, what in shown.items() if what == "three branches"} == {
        "EfficientGCNB0", "EfficientGCNB2", "EfficientGCNB4", "PAResGCNB19", "RAGCN", "ResGCNB19"
    }  # fmt: skip
    assert {row[0] for row in body if row[8] == "ours"} == {"LiveGCN"}


@pytest.mark.parametrize(("asked", "taken"), [(300, 300), (299, 270), (30, 30), (8, 30)])
def test_frames_that_a_network_takes(asked, taken):
    network = networks.PRGCN(PENN13, classes=2, width=0.125)
    assert network.fewer_frames(asked) == taken
    head = networks.ASGCN(PENN13, classes=2, width=0.125, reconstruction=True)
    assert head.frame_limits == "257 to 320"
    assert (head.fewer_frames(8), head.fewer_frames(999)) == (257, 320)
    assert STGCN(PENN13, classes=2, width=0.125).frame_limits == "any"
