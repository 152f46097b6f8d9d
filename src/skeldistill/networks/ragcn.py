"""RA-GCN (Song, Zhang and Wang, ICIP 2019; TCSVT 2021): streams that look where others do not."""

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks.adjacency import distance
from skeldistill.networks.branches import ROOT
from skeldistill.networks.network import Network, renamed
from skeldistill.networks.ragcn_layers import BLOCKS, Classifiers, Stream, pooled
from skeldistill.prediction import Prediction, presence

BRANCHES = 3
"""Joints, their velocities, and joints seen from the centre."""

HOPS = 2
"""How many bones a graph convolution reaches."""


class RAGCN(Network):
    """RA-GCN: ST-GCNs side by side, of which each is shown what those before it do not look at.

    Equal to the authors' network, whose weights it loads. The scores of its streams are added; its
    features are those of all streams, one after another in the axis of channels. Pooling is theirs:
    the mean over frames and joints, then over persons.

    Every stream has a mask, one factor for each frame, joint and person, by which all it is shown
    is multiplied. Masks are learned, as the authors' are, and after every batch of training those
    of all streams but the first are also made anew from that batch (`activation`): evaluation sees
    what the last batch left. As their softmax runs over all joints of all frames, what it leaves
    out is one place at most. A clip of another length than the masks reads them evenly.

    The authors begin with a network of one stream, and all streams of the larger one as copies of
    the trained one: what ``start_from`` does in a recipe.

    Args:
        layout: the joints and bones.
        classes: how many actions.
        persons: how many persons of a clip it sees; each has its own input normalisation.
        channels: input channels of a joint.
        streams: how many (the authors: 1 to 3).
        frames: of the masks, as many as clips have.
        width: factor of the channels 64, 128 and 256, rounded to multiples of 8.
        dropout: probability before each block's convolution over time.
        threshold: of 1 minus the softmax, up to which a place is hidden from the later streams (the
            authors' first version: 0.1).
        binary: show all other places as they are; without, weigh them by 1 minus the softmax (the
            first version).
        stream_losses: have the task loss of every stream beside that of their sum (the authors'
            second version).
    """

    temporal_stride = 4

    adjacency: Float[Tensor, "k v v"]

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        streams: int = 3,
        frames: int = 300,
        width: float = 1.0,
        dropout: float = 0.5,
        threshold: float = 0.3,
        binary: bool = True,
        stream_losses: bool = True,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        if min(streams, frames) < 1 or not 0 <= threshold <= 1:
            raise ValueError(
                f"RAGCN needs streams and frames of at least 1 and threshold from 0 to 1, got "
                f"{streams}, {frames} and {threshold}"
            )
        self.streams, self.frames, self.dropout = streams, frames, dropout
        self.threshold, self.binary, self.stream_losses = threshold, binary, stream_losses
        self.centre = layout.index(ROOT) if ROOT in layout.joints else layout.centre_index
        self.register_buffer("adjacency", torch.from_numpy(distance(layout, HOPS)))
        shown = persons * layout.num_joints
        self.masks = nn.ParameterList(torch.ones(frames * shown) for _ in range(streams))
        networks = [
            Stream(BRANCHES * channels, shown, self.adjacency, width=width, dropout=dropout)
            for _ in range(streams)
        ]
        self.networks = nn.ModuleList(networks)
        self.feature_channels = sum(network.channels for network in networks)
        self.heads = Classifiers(self.feature_channels, streams, classes)

    @property
    def classifier(self) -> nn.Module:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The last layers of all streams, and the sum of what they say."""
        return self.heads

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        return self._recognised(self.branches(joints))

    def with_blanks(
        self, joints: Float[Tensor, "n m t v c"], blanked: Bool[Tensor, "t v"]
    ) -> Prediction:
        """Recognise clips where some of the branches is 0, as the authors test occlusion."""
        self.check(joints)
        return self._recognised(self.branches(joints).masked_fill(blanked[..., None], 0))

    def branches(self, joints: Float[Tensor, "n m t v c"]) -> Float[Tensor, "n m t v d"]:
        """Joints, how far they move until the next frame (0 in the last), and from the centre."""
        velocity = functional.pad(joints.diff(dim=2), (0, 0, 0, 0, 0, 1))
        return torch.cat([joints, velocity, joints - joints[..., self.centre, None, :]], dim=-1)

    def from_branches(self, branches: Float[Tensor, "n i c t v m"]) -> Prediction:
        """Recognise a batch of clips whose branches are ready, in the authors' order of axes.

        Args:
            branches: joint, velocity, and joint seen from the centre, as `branches` makes them.

        Raises:
            ValueError: a size is not the one that the network was made for.
        """
        expected = (BRANCHES, self.channels, self.layout.num_joints, self.persons)
        n, i, c, t, v, m = branches.shape
        if (i, c, v, m) != expected or n < 1 or t < 1:
            raise ValueError(
                f"RAGCN expects branches of shape (n, branch, channel, t, v, m) with "
                f"(branch, channel, v, m) {expected}, got shape {tuple(branches.shape)}"
            )
        return self._recognised(branches.permute(0, 5, 3, 4, 1, 2).flatten(4))

    def _recognised(self, x: Float[Tensor, "n m t v d"]) -> Prediction:
        features = torch.cat(
            [
                network(x * self.mask(stream, x.shape[2]), self.adjacency)
                for stream, network in enumerate(self.networks)
            ],
            dim=2,
        )
        return Prediction(
            logits=self.heads(pooled(features)),
            features=features,
            present=presence(x[..., : self.channels], features.shape[3]),
        )

    def mask(self, stream: int, t: int) -> Float[Tensor, "m t v 1"]:
        """What a stream is shown of clips of t frames."""
        mask = self.masks[stream].view(self.frames, -1, self.persons, 1)
        if t != self.frames:
            mask = mask[torch.arange(t, device=mask.device) * self.frames // t]
        return mask.permute(2, 0, 1, 3)

    def learn(
        self,
        joints: Float[Tensor, "n m t v c"],
        labels: Int[Tensor, " n"],
        judge: Callable[[Tensor], Tensor],
    ) -> Prediction:
        """Recognise a batch, judge every stream by itself, and make the masks anew."""
        said = self(joints)
        self.renew_masks(said.features, said.named(labels), joints.shape[2])
        if not self.stream_losses:
            return said
        each = self.heads.each(pooled(said.features))
        losses = [(f"stream_{i}", judge(scores)) for i, scores in enumerate(each, start=1)]
        return said._replace(losses=tuple(losses))

    @torch.no_grad()
    def renew_masks(
        self, features: Float[Tensor, "n m c s v"], labels: Int[Tensor, " n"], t: int
    ) -> None:
        """Hide from every stream what the streams before it look at in some clips of t frames."""
        moments = torch.arange(self.frames, device=features.device) * t // self.frames
        parts = features.chunk(self.streams, dim=2)
        shown: Tensor | float = 1.0
        for stream in range(1, self.streams):
            mask, weights = self.masks[stream], self.heads.weights(stream - 1)[labels]
            with torch.autocast(features.device.type, enabled=False):
                seen = activation(parts[stream - 1].to(mask.dtype), weights)
            shown = shown * unseen(seen, self.threshold, binary=self.binary)
            mask.copy_(shown[moments // self.temporal_stride].flatten())

    def inherited(self, source: Network) -> dict[str, Tensor]:
        """Every stream starts as the one of a network with one stream; the masks do not."""
        state = source.state_dict()
        if not (isinstance(source, RAGCN) and source.streams == 1):
            return state
        copies = dict(state)
        for part in ("networks", "heads"):
            for name in [name for name in state if name.startswith(f"{part}.0.")]:
                for stream in range(1, self.streams):
                    copies[name.replace(".0.", f".{stream}.", 1)] = state[name]
        return copies

    def official_names(self) -> dict[str, str]:
        """The names of RA-GCN v1 and v2 (Thomas-yx/RA-GCNv1)."""
        modules = {"A": "adjacency"}
        for i in range(self.streams):
            official = f"stgcn_stream.{i}"
            modules |= {
                f"mask_stream.{i}": f"masks.{i}",
                f"{official}.A": "adjacency",
                f"{official}.data_bn": f"networks.{i}.normalisation",
                f"{official}.fcn": f"heads.{i}",
            }
            for j in range(len(BLOCKS)):
                layer, own = f"{official}.st_gcn_networks.{j}", f"networks.{i}.blocks.{j}"
                modules |= {
                    f"{official}.edge_importance.{j}": f"{own}.importance",
                    f"{layer}.gcn.conv": f"{own}.graph.convolution",
                    f"{layer}.tcn.0": f"{own}.graph_normalisation",
                    f"{layer}.tcn.3": f"{own}.temporal",
                    f"{layer}.tcn.4": f"{own}.temporal_normalisation",
                    f"{layer}.residual": f"{own}.residual",
                }
        return renamed(self.state_dict(), modules)


def activation(
    features: Float[Tensor, "n m c s v"], weights: Float[Tensor, "n c"]
) -> Float[Tensor, "s v m"]:
    """Where a stream looks for the actions shown: class activation, a mean over clips.

    Args:
        features: of the stream.
        weights: of its classifier for the action of each clip.

    Returns:
        A softmax over all places.
    """
    seen = torch.einsum("nc,nmcsv->svm", weights, features) / len(features)
    return torch.softmax(seen.flatten(), dim=0).view_as(seen)


def unseen(
    seen: Float[Tensor, "s v m"], threshold: float, *, binary: bool
) -> Float[Tensor, "s v m"]:
    """What the next stream is shown: 0 where 1 - `seen` is at most the threshold."""
    rest = 1 - seen
    kept = (rest > threshold).to(rest.dtype)
    return kept if binary else rest * kept
