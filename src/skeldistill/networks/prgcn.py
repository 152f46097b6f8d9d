"""PR-GCN (Li, Yi, Abu Farha and Gall, RA-L 2021): joints are refined; poses meet their motion."""

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks import adjacency
from skeldistill.networks.blocks import GraphConvolution, Pointwise, initialise
from skeldistill.networks.network import Network, renamed
from skeldistill.prediction import Prediction, presence

REFINED = 2
"""Coordinates that refinement moves; the third is OpenPose's score to the authors."""

LAST = 5
"""Frames that are averaged before the last graph convolution."""


class PRGCN(Network):
    """PR-GCN: refines the pose of noisy joints, then lets poses and their motion meet five times.

    Equal to the authors' network, whose weights it loads. Pooling is theirs: the mean over frames
    and joints, then, for every channel, the person in whom it is largest. Like theirs it refines
    the first two coordinates only, so that the depth of 3-D joints stays as it came.

    Clips must have a multiple of 30 frames, since frames are halved, then cut to a third and
    averaged by fives.

    Args:
        layout: the joints and bones.
        classes: how many actions.
        persons: how many persons of a clip it sees.
        channels: input channels of a joint.
        width: factor of all widths, rounded to multiples of 8.
    """

    temporal_stride = 2 * 3 * LAST
    frame_counts = range(temporal_stride, 2**31, temporal_stride)

    adjacency: Float[Tensor, "k v v"]

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        width: float = 1.0,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        quarter, half, full, self.feature_channels = (
            max(8, 8 * round(size * width / 8)) for size in (32, 64, 128, 256)
        )
        # Only where the learned graphs of all layers start from; official files hold it.
        graph = torch.from_numpy(adjacency.spatial(layout))
        self.register_buffer("adjacency", graph)
        self.normalisation = nn.BatchNorm1d(layout.num_joints * channels)
        self.refinement = nn.Sequential(
            Pointwise(channels, quarter),
            OverJoints(quarter, quarter, graph),
            OverFrames(quarter, half),
            OverJoints(half, half, graph),
            Pointwise(half, channels),
        )
        self.of_poses = OverFrames(channels, half)
        self.of_motions = OverFrames(channels, half)
        self.motions = nn.ModuleList(
            [
                OverFrames(half, half),
                OverFrames(half, half, stride=2),
                OverJoints(half, half, graph),
                OverFrames(half, half),
                OverFrames(half, half, stride=3),
            ]
        )
        widths = [half] * len(self.motions) + [full]
        self.meetings = nn.ModuleList(
            OverJoints(before + half, after, graph) for before, after in pairwise(widths)
        )
        self.attention = ChannelAttention(full)
        self.last = OverJoints(full, self.feature_channels, graph)
        self.classifier = nn.Linear(self.feature_channels, classes)
        initialise(self)

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        n, m, t, v, c = joints.shape
        x = self.normalisation(joints.reshape(n * m * t, v * c))
        x = self.refined(x.view(n * m, t, v, c).permute(0, 3, 1, 2))
        motion, x = self.of_motions(since_the_frame_before(x)), self.of_poses(x)
        for move, meet in zip(self.motions, self.meetings, strict=True):
            motion = move(motion)
            x = meet(torch.cat([shortened(x, motion.shape[2]), motion], dim=1))
        x = self.attention(x.unflatten(2, (-1, LAST)).mean(dim=3))
        x = self.last(x).unflatten(0, (n, m))
        return Prediction(
            logits=self.classifier(x.mean(dim=(3, 4)).amax(dim=1)),
            features=x,
            present=presence(joints, x.shape[3]),
        )

    def refined(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c t v"]:
        """Joints, each moved to where they should rather be: the pose refinement module."""
        shift = self.refinement(x)[:, :REFINED]
        return x + functional.pad(shift, (0, 0, 0, 0, 0, x.shape[1] - shift.shape[1]))

    def official_names(self) -> dict[str, str]:
        """The names of sj-li/PR-GCN."""
        modules = {
            "A": "adjacency",
            "data_bn": "normalisation",
            "conv_shift_1": "refinement.0",
            "conv_shift_2": "refinement.4",
            "cSE_t.conv1": "attention.first",
            "cSE_t.conv2": "attention.second",
            "fcn": "classifier",
        }
        over_frames = {
            "tcn_shift": "refinement.2",
            "tcn_pos_in": "of_poses",
            "tcn_motion_in": "of_motions",
        }
        over_joints = {
            "gcn_shift_1": "refinement.1",
            "gcn_shift_2": "refinement.3",
            "gcn_end": "last",
        }
        for i, layer in enumerate(self.motions):
            kind = over_joints if isinstance(layer, OverJoints) else over_frames
            kind[f"tcn.{i}"] = f"motions.{i}"
            over_joints[f"gcn.{i}"] = f"meetings.{i}"
        for official, own in over_frames.items():
            modules[f"{official}.tcn"] = f"{own}.layers"
        for official, own in over_joints.items():
            modules |= {
                f"{official}.A": f"{own}.adjacency",
                f"{official}.gcn.conv": f"{own}.graph.convolution",
                f"{official}.bn": f"{own}.normalisation",
                f"{official}.residual": f"{own}.residual",
            }
        return renamed(self.state_dict(), modules)


class OverJoints(nn.Module):
    """Graph convolution over a learned graph, and what came in added."""

    def __init__(self, channels_in: int, channels_out: int, graph: Float[Tensor, "k v v"]) -> None:
        super().__init__()
        self.adjacency = nn.Parameter(graph + 1e-4)
        self.graph = GraphConvolution(channels_in, channels_out, len(graph))
        self.normalisation = nn.BatchNorm2d(channels_out)
        self.residual: nn.Module = nn.Identity()
        if channels_in != channels_out:
            self.residual = nn.Sequential(
                Pointwise(channels_in, channels_out), nn.BatchNorm2d(channels_out)
            )

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d t v"]:
        """Gather from all joints, mix channels."""
        y = self.normalisation(self.graph(x, self.adjacency))
        return functional.relu(y + self.residual(x))


class OverFrames(nn.Module):
    """Convolution over three frames, normalised before and after."""

    def __init__(self, channels_in: int, channels_out: int, *, stride: int = 1) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(channels_in),
            nn.Conv2d(channels_in, channels_out, (3, 1), (stride, 1), (1, 0)),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
        )

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d s v"]:
        """Every `stride`-th frame, with its neighbours."""
        return self.layers(x)


class ChannelAttention(nn.Module):
    """How much each channel of a person matters, from its mean: squeeze and excitation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Linear(channels, 2 * channels)
        self.second = nn.Linear(2 * channels, channels)

    def forward(self, x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c t v"]:
        """Weigh channels."""
        weights = torch.sigmoid(self.second(functional.relu(self.first(x.mean(dim=(2, 3))))))
        return x * weights[:, :, None, None]


def since_the_frame_before(x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b c t v"]:
    """How far each joint has moved since the frame before; 0 in the first frame."""
    return functional.pad(x[:, :, 1:] - x[:, :, :-1], (0, 0, 1, 0))


def shortened(x: Float[Tensor, "b c t v"], frames: int) -> Float[Tensor, "b c s v"]:
    """The largest value of each group of frames, of which so many groups are made."""
    return x if x.shape[2] == frames else x.unflatten(2, (frames, -1)).amax(dim=3)
