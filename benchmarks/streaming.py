"""What one frame costs, frame by frame, against the same network over a whole clip of 300."""

import torch
from timing import in_turn

from skeldistill import layouts, networks
from skeldistill.deploy.streaming import Stream

FRAMES = 300

NETWORKS = {
    "ST-GCN, ntu25, 2 persons": ("STGCN", "ntu25", 2),
    "ST-GCN, coco17, 1 person": ("STGCN", "coco17", 1),
    "LiveGCN, ntu25, 2 persons": ("LiveGCN", "ntu25", 2),
    "LiveGCN, coco17, 1 person": ("LiveGCN", "coco17", 1),
}

OTHERS = {
    "Shift-GCN, ntu25, 2 persons": ("ShiftGCN", "ntu25", 2),
    "MS-G3D, ntu25, 2 persons": ("MSG3D", "ntu25", 2),
}
"""Measured with ``--full``."""


def measure(*, others: bool = False) -> dict[str, float]:
    """Milliseconds of a frame and of a whole clip, and their ratio, on one thread."""
    figures = {}
    for what, (name, layout, persons) in {**NETWORKS, **(OTHERS if others else {})}.items():
        torch.manual_seed(0)
        make = networks.find(name)
        network = make(layouts.find(layout), classes=60, persons=persons).eval()
        clip = torch.randn(1, persons, FRAMES, network.layout.num_joints, 3)
        stream = Stream(network, features=False)

        def frames(stream: Stream = stream, clip: torch.Tensor = clip) -> None:
            for i in range(FRAMES):
                stream.push(clip[:, :, i])

        def whole(network: networks.Network = network, clip: torch.Tensor = clip) -> None:
            with torch.inference_mode():
                network(clip)

        seconds = in_turn({"frames": frames, "whole": whole}, rounds=5)
        frame = seconds["frames"] / FRAMES
        figures |= {
            f"ms a frame, {what}": 1000 * frame,
            f"ms a whole clip (baseline), {what}": 1000 * seconds["whole"],
            f"whole clip / frame, {what}": seconds["whole"] / frame,
        }
    return figures
