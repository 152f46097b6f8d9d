"""The baselines of the benchmark of networks say the same as our networks, by other operations."""

import sys
from pathlib import Path

import pytest
import torch

from skeldistill import networks
from skeldistill.layouts import NTU25
from skeldistill.networks.blocks import Pointwise

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SAME = ("DeepLSTM", "ResTCN")
"""Networks that the authors compute as we do."""


@pytest.fixture(scope="module", autouse=True)
def importable():
    sys.path.insert(0, str(BENCHMARKS))
    yield
    sys.path.remove(str(BENCHMARKS))


def made(name, **options):
    from networks import awake

    torch.manual_seed(0)
    narrow = {} if name == "RankPooling" else {"width": 0.125}
    return awake(networks.find(name)(NTU25, classes=5, persons=2, **narrow, **options))


@pytest.mark.parametrize("name", networks.SHELF)
def test_the_authors_order_says_the_same(name):
    from networks import difference, drawn
    from official_order import FORWARD, in_official_order

    network = made(name).double()
    plain = in_official_order(network)
    other = [module for module in plain.modules() if "forward" in vars(module)]
    assert bool(other) == (name not in SAME)
    assert all(type(module) in FORWARD for module in other)
    assert not any("forward" in vars(module) for module in network.modules())
    joints = drawn(network, 2, network.fewer_frames(30)).double()
    with torch.no_grad():
        assert network(joints).logits.std() > 1e-4
        # Of liblinear's solver little more can be expected.
        assert difference(network, plain, joints) < (1e-4 if name == "RankPooling" else 1e-9)


def test_every_baseline_is_of_some_network():
    from official_order import FORWARD

    kinds = {type(module) for name in networks.SHELF for module in made(name).modules()}
    assert set(FORWARD) <= kinds
    assert Pointwise in kinds


def test_a_benchmark_tells_ratios_and_their_spread():
    from networks import RATIO, SMALL, measure

    figures = measure(SMALL, rounds=2, only=["DeepLSTM"])
    for n in SMALL.batches:
        ratio = RATIO.format("DeepLSTM", n)
        low, high = (figures[f"{ratio}, {side} quartile"] for side in ("lower", "upper"))
        assert 0 < low <= figures[ratio] <= high


def test_networks_that_disagree_are_not_timed():
    from networks import compared, drawn

    network, other = made("STGCN"), made("STGCN", partition="uniform")
    with pytest.raises(ValueError, match=r"STGCN: .* apart from the authors' order"):
        compared("STGCN", network, other, drawn(network, 1, 8), rounds=1)


def test_the_page_gets_a_column_for_each_number_of_clips():
    from networks import RATIO
    from networks_page import with_ratios

    lines = ["| network | stride |", "| --- | --- |", "| STGCN | 4 |", "| New | 4 |"]
    found = with_ratios(lines, {RATIO.format("STGCN", 1): 1.234, RATIO.format("STGCN", 8): 2.0})
    assert found[0] == "| network | stride | official / ours, 1 | official / ours, 8 |"
    assert found[2:] == ["| STGCN | 4 | 1.23 | 2.00 |", "| New | 4 |  |  |"]
