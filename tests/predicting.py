"""What tests of prediction share: small networks, clips, videos, and frames in which people act."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from skeldistill import checkpoint
from skeldistill.clip import Clip
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.layouts import PENN13, Layout
from skeldistill.networks import STGCN
from skeldistill.networks.network import Network
from skeldistill.prediction import Prediction, presence
from skeldistill.recipe import Sampling

CLASSES = ("left", "right")


class Sides(Network):
    """Says "left" of people at negative x and "right" of those at positive x: knows no more."""

    def __init__(self, layout: Layout, *, classes: int = 2, persons: int = 1, channels: int = 2):
        super().__init__(layout, classes=classes, persons=persons, channels=channels)
        self.feature_channels, self.temporal_stride = 1, 1
        self.classifier = nn.Identity()

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        self.check(joints)
        x = joints[..., 0].flatten(1).mean(dim=1)
        return Prediction(
            logits=torch.stack([-x, x], dim=1),
            features=joints[..., :1].permute(0, 1, 4, 2, 3),
            present=presence(joints, joints.shape[2]),
        )


class Alone:
    """An estimator that is its own session; those made of it say whom they see."""

    layout = PENN13

    def about(self):
        return {}

    def open(self):
        return self

    def begin(self, path, name):
        pass

    def close(self):
        pass


def sides(persons: int = 1, frames: int = 4) -> Recogniser:
    """A recogniser whose answers are known beforehand: 1 / (1 + exp(-2 x)) for "right"."""
    return Recogniser(
        network=Sides(PENN13, persons=persons),
        sampling=Sampling(frames=frames, persons=persons, normalisation="none", confidence=False),
        coordinates=2,
        units="pixels",
        classes=CLASSES,
    )


def acting(places: Sequence[float | None], name: str = "film") -> Clip:
    """A person who stands at some x in each frame, or is not there."""
    joints = np.zeros((1, len(places), 13, 2), np.float32)
    scores = np.zeros((1, len(places), 13), np.float32)
    for t, place in enumerate(places):
        if place is not None:
            joints[0, t], scores[0, t] = (place, 1.0), 1.0
    return Clip(id=name, joints=joints, scores=scores, layout=PENN13)


def small_checkpoint(path: Path, *, layout: Layout = PENN13, **changes: object) -> Path:
    """An untrained network that tells three actions apart, as training would have saved it."""
    torch.manual_seed(0)
    sampling = Sampling(frames=8)
    network = STGCN(layout, classes=3, persons=1, channels=3, width=0.125).eval()
    about = {
        "classes": ["run", "sit", "wave"],
        "units": "pixels",
        "coordinates": 2,
        "clip_frames": 12,
        "sampling": sampling.model_dump(mode="json"),
        "method": "low",
        "recipe": {"methods": {"low": {"completion": None}}},
    }
    checkpoint.save(path, network, about=about | changes)
    return path


def write_video(path: Path, frames: int = 20, rate: int = 10, size: tuple[int, int] = (48, 64)):
    """A grey video whose frames get lighter."""
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        for number in range(frames):
            image = np.full((*size, 3), 10 * number % 256, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path
