"""Every network of the shelf beside the authors' order of operations: inference on one CPU thread.

python benchmarks/networks.py [--small] [--only STGCN,AGCN] [--clips 1,8] [--out figures.json]

Both have the same weights and must say the same before anything is timed. They take turns; figures
are medians of the processor's time, ratios are of neighbouring turns.
"""

import argparse
import inspect
import json
import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from official_order import in_official_order
from timing import turns
from torch import Tensor, nn

from skeldistill import layouts, networks
from skeldistill.networks.network import Network
from skeldistill.training.machine import machine

LAYOUT, CLASSES, TOLERANCE = "ntu25", 60, 1e-4
TURN = 0.2
"""Seconds that a turn takes at least, small networks being asked several times."""

RATIO = "{}, {} clips at once: official order / ours"


@dataclass(frozen=True, kw_only=True)
class Clips:
    """What networks are shown. frames: or the next fewer that a network takes."""

    frames: int = 300
    persons: int = 2
    batches: tuple[int, ...] = (1, 8)


SMALL = Clips(frames=64, persons=1)


def measure(
    clips: Clips = SMALL, rounds: int = 5, only: Iterable[str] = networks.SHELF
) -> dict[str, float]:
    """Milliseconds of both, and how many times ours is as fast, with its quartiles."""
    figures: dict[str, float] = {}
    for name in only:
        network = ready(name, clips)
        plain = in_official_order(network)
        for n in clips.batches:
            joints = drawn(network, n, network.fewer_frames(clips.frames))
            figures |= compared(name, network, plain, joints, rounds)
    return figures


def compared(
    name: str, network: Network, plain: Network, joints: Tensor, rounds: int
) -> dict[str, float]:
    """The figures of one network and one batch; ValueError if the two do not agree."""
    n = len(joints)
    with torch.inference_mode():
        apart = difference(network, plain, joints)
        if not apart <= TOLERANCE:
            raise ValueError(f"{name}: {apart:.1e} apart from the authors' order")
        began = time.process_time()
        network(joints)
        times = max(1, round(TURN / (time.process_time() - began)))
        spent = turns(
            {
                "ours": lambda: [network(joints) for _ in range(times)],
                "official order": lambda: [plain(joints) for _ in range(times)],
            },
            rounds,
            time.process_time,
        )
    ratios = [
        theirs / ours for ours, theirs in zip(spent["ours"], spent["official order"], strict=True)
    ]
    low, _, high = statistics.quantiles(ratios, n=4) if rounds > 1 else ratios * 3
    ratio = RATIO.format(name, n)
    return {
        **{
            f"{name}, {n} clips at once: ms, {what}": 1000 * statistics.median(seconds) / times
            for what, seconds in spent.items()
        },
        ratio: statistics.median(ratios),
        f"{ratio}, lower quartile": low,
        f"{ratio}, upper quartile": high,
    }


def difference(network: Network, plain: Network, joints: Tensor) -> float:
    """How far apart they are in scores and features, by the largest of each."""
    ours, theirs = network(joints), plain(joints)
    return max(
        float((one - other).abs().max() / other.abs().max().clamp(min=1))
        for one, other in zip(ours[:2], theirs[:2], strict=True)
    )


def ready(name: str, clips: Clips) -> Network:
    """A network as large as the authors'."""
    torch.manual_seed(0)
    part = networks.find(name)
    options = {"frames": clips.frames} if "frames" in inspect.signature(part).parameters else {}
    return awake(part(layouts.find(LAYOUT), classes=CLASSES, persons=clips.persons, **options))


@torch.no_grad()
def awake(network: Network) -> Network:
    """All its weights at work: no gate closed, no map faded out."""
    for weight in network.parameters():
        if weight.numel() == 1 or weight.std() < 1e-3:  # all alike: as they start
            weight += 0.1 * torch.randn_like(weight)
    norms = (nn.BatchNorm1d, nn.BatchNorm2d)
    for norm in (module for module in network.modules() if isinstance(module, norms)):
        norm.weight.uniform_(0.5, 1.5)
        norm.momentum = 0.5  # where a map happens to be dead, it is not blown up
    network.train()(drawn(network, 4, network.fewer_frames(32)))  # maps of usual size
    return network.eval().requires_grad_(False)


def drawn(network: Network, n: int, t: int) -> Tensor:
    shape = (n, network.persons, t, network.layout.num_joints, network.channels)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="64 frames of one person")
    parser.add_argument("--only", default=",".join(networks.SHELF), help="which, comma-separated")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", default="1,8", help="how many at once, comma-separated")
    parser.add_argument("--out", type=Path, help="also write the figures as JSON, to what is there")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    figures: dict[str, float] = {}
    if chosen.out and chosen.out.exists():
        figures = json.loads(chosen.out.read_text(encoding="utf-8"))["networks"]
    clips = SMALL if chosen.small else Clips()
    clips = replace(clips, batches=tuple(int(n) for n in chosen.clips.split(",")))
    for name in chosen.only.split(","):
        found = measure(clips, chosen.rounds, [name])
        for what, value in found.items():
            print(f"{what:<72} {value:>10,.2f}", flush=True)
        figures |= found
        if chosen.out:
            said = {"machine": machine(), "networks": figures}
            chosen.out.write_text(json.dumps(said, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
