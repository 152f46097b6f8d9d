"""MS-G3D (Liu et al., CVPR 2020): joints near and far, and the same joints over several frames."""

from functools import partial

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks import adjacency
from skeldistill.networks.blocks import normalised_persons
from skeldistill.networks.msg3d_layers import (
    BRANCHES,
    MultiScaleGraph,
    MultiScaleTemporal,
    Window,
    disentangled,
    over_frames,
)
from skeldistill.networks.network import Network, renamed
from skeldistill.networks.through_time import EachFrame, InTurn, Path, Together, added, path
from skeldistill.prediction import Prediction, presence

STAGES = ((96, 1), (192, 2), (384, 2))
"""(channels, stride in time) of the three stages."""

WINDOWS = (3, 5)
"""Frames of the windows over which joints are mixed in space and time at once."""


class MSG3D(Network):
    """MS-G3D: three stages that add a spatial path and windows in space-time, then mix frames.

    Equal to the authors' network, whose weights it loads. Pooling is theirs: the mean over frames
    and joints, then over persons.

    Args:
        layout: the joints and bones.
        classes: how many actions.
        persons: how many persons of a clip it sees.
        channels: input channels of a joint.
        width: factor of the channels 96, 192 and 384, rounded to multiples of 6 (the branches).
        scales: up to how many bones apart, less one, joints of one frame are mixed.
        window_scales: the same for the joints of a window.
        pyskl: as PYSKL and mmaction2 build it, so that their weights load: graphs are read the
            other way round and normalised by column, and belong to the weights.
    """

    temporal_stride = 4

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        width: float = 1.0,
        scales: int = 13,
        window_scales: int = 6,
        pyskl: bool = False,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        self.scales, self.window_scales = scales, window_scales
        self.pyskl = pyskl
        if min(classes, persons, channels, scales, window_scales) < 1 or not width > 0:
            raise ValueError(
                "classes, persons, channels, scales, window_scales and width must be positive, got "
                f"{classes}, {persons}, {channels}, {scales}, {window_scales} and {width}"
            )
        # Only the weights of PYSKL bring their graph.
        bones = torch.from_numpy(adjacency.bones(layout)).float()
        self.register_buffer("bones", bones, persistent=pyskl)
        self.normalisation = nn.BatchNorm1d(persons * layout.num_joints * channels)
        between = adjacency.hops(layout, layout.num_joints)
        stages: list[Stage] = []
        for full, stride in STAGES:
            stages.append(
                Stage(
                    stages[-1].channels if stages else channels,
                    BRANCHES * max(1, round(full * width / BRANCHES)),
                    between,
                    stride=stride,
                    scales=scales,
                    window_scales=window_scales,
                    first=not stages,
                    pyskl=pyskl,
                )
            )
        self.stages = nn.ModuleList(stages)
        self.feature_channels = stages[-1].channels
        self.classifier = nn.Linear(self.feature_channels, classes)

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        n, m = joints.shape[:2]
        x = joints.flatten(0, 1).permute(0, 3, 1, 2)
        x = normalised_persons(x, self.normalisation, m)
        for stage in self.stages:
            x = stage(x)
        pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
        return Prediction(
            logits=self.classifier(pooled),
            features=x.unflatten(0, (n, m)),
            present=presence(joints, x.shape[2]),
        )

    def through_time(self) -> Path:
        """Normalisation, then stage after stage."""
        normalise = partial(
            normalised_persons, normalisation=self.normalisation, persons=self.persons
        )
        return InTurn(EachFrame(normalise), *(path(stage) for stage in self.stages))

    def official_names(self) -> dict[str, str]:
        """The names of kenziyuliu/MS-G3D; with `pyskl`, those of PYSKL and mmaction2."""
        prefix, learned = ("backbone.", "PA") if self.pyskl else ("", "A_res")
        modules = {f"{prefix}data_bn": "normalisation", f"{prefix}A": "bones"}
        heads = ("cls_head.fc_cls", "cls_head.fc") if self.pyskl else ("fc",)
        modules |= dict.fromkeys(heads, "classifier")
        for i in range(len(STAGES)):
            own, spatial = f"stages.{i}", f"{prefix}sgcn{i + 1}"
            graphs = {f"{spatial}.0": f"{own}.graph"}
            for w in range(len(WINDOWS)):
                official, window = f"{prefix}gcn3d{i + 1}.gcn3d.{w}", f"{own}.windows.{w}"
                graphs[f"{official}.gcn3d.1"] = window
                modules[f"{official}.out_conv"] = f"{window}.collapse"
                modules[f"{official}.out_bn"] = f"{window}.collapse_normalisation"
            for official, graph in graphs.items():
                modules |= {
                    f"{official}.A": f"{graph}.adjacency",
                    f"{official}.{learned}": f"{graph}.learned",
                    f"{official}.mlp.layers.0": f"{graph}.mixing",
                    f"{official}.mlp.layers.1": f"{graph}.normalisation",
                }
            temporal = {
                f"{spatial}.1": "first",
                f"{spatial}.2": "second",
                f"{prefix}tcn{i + 1}": "last",
            }
            for official, name in temporal.items():
                modules |= MultiScaleTemporal.official_names(official, f"{own}.{name}")
        return renamed(self.state_dict(), modules)


class Stage(nn.Module):
    """One STGC block (section 3.4): the spatial path and all windows added, then frames mixed."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        between: Float[np.ndarray, "v v"],
        *,
        stride: int,
        scales: int,
        window_scales: int,
        first: bool,
        pyskl: bool,
    ) -> None:
        super().__init__()
        self.channels = channels_out
        inner = channels_out if first else channels_in  # the first stage widens at once
        near = disentangled(between, scales, pyskl)
        self.graph = MultiScaleGraph(channels_in, inner, near, pyskl)
        self.first = MultiScaleTemporal(inner, channels_out, stride)
        self.second = MultiScaleTemporal(channels_out, channels_out, activated=False)
        self.windows = nn.ModuleList()
        for frames in WINDOWS:
            within = disentangled(over_frames(between, frames), window_scales, pyskl)
            self.windows.append(
                Window(
                    channels_in, inner, channels_out, within, pyskl, frames=frames, stride=stride
                )
            )
        self.last = MultiScaleTemporal(channels_out, channels_out)

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d s v"]:
        """One stage; a stride of 2 halves the frames."""
        y = self.second(self.first(self.graph(x)))
        for window in self.windows:
            y = y + window(x)
        return self.last(y.relu_())

    def through_time(self) -> Path:
        """The stage, frame by frame."""
        spatial = InTurn(EachFrame(self.graph), path(self.first), path(self.second))
        every = Together(spatial, *(path(window) for window in self.windows), combine=added)
        return InTurn(every, EachFrame(functional.relu), path(self.last))
