"""AS-GCN (Li et al., CVPR 2019): links of the body and links of the action, side by side."""

from collections.abc import Callable
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks import adjacency
from skeldistill.networks.asgcn_layers import FUTURE, Block, Reconstruction
from skeldistill.networks.asgcn_links import (
    VARIANCE,
    LinkDecoder,
    LinkEncoder,
    choose,
    foretelling_loss,
)
from skeldistill.networks.blocks import initialise
from skeldistill.networks.network import Network, renamed
from skeldistill.prediction import Prediction, presence

BLOCKS = ((64, 1),) * 3 + ((128, 2),) + ((128, 1),) * 2 + ((256, 2),) + ((256, 1),) * 2
"""(channels, stride in time) of the nine blocks."""

HOPS = 4
"""How many bones the links of the body reach."""


class ASGCN(Network):
    """AS-GCN: nine blocks over the links of the body and over links found for every person.

    Equal to the authors' network, whose weights it loads, with those of their encoder of links
    (merge their two files). Pooling is theirs: the mean over frames and joints, then persons.

    In training links are drawn at random; in evaluation the likeliest are taken. The authors
    train the encoder before the rest, see `LinkLearner`, and leave it so; here the task trains it
    further unless it is frozen, and so does its own loss with `link_learning`. In training they
    also compute the second block twice and drop the first result, which moves its running
    statistics twice; a momentum does the same here.

    Args:
        layout: the joints and bones.
        classes: how many actions.
        persons: how many persons of a clip it sees.
        channels: input channels of a joint.
        width: factor of all widths, rounded to multiples of 8.
        dropout: probability after each block's convolution over time.
        actional_weight: factor of the actional links (lambda of eq. 9).
        link_frames: frames, evenly chosen, by which links are found.
        reconstruction: have the head that foretells the frames after the clip (section 3.3), see
            `forecast`. Clips must then have 257 to 320 frames, of which its strides leave five. In
            training they are seen without their last ten frames, which the head must foretell, and
            must have 267 to 330.
        reconstruction_weight: of the mean squared error of these frames, of the first person only.
        link_learning: have the encoder's own loss (`foretelling_loss`) beside the task's, with the
            decoder that it needs. Its weight is 0.001, which makes the error of foretelling the
            plain sum of squares; the authors have that loss alone for ten epochs, under Adam, to
            which a factor means nothing.
    """

    temporal_stride = 4
    second_block_momentum: ClassVar[float] = 1 - (1 - 0.1) ** 2

    adjacency: Float[Tensor, "k v v"]

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        width: float = 1.0,
        dropout: float = 0.5,
        actional_weight: float = 0.5,
        link_frames: int = 50,
        reconstruction: bool = False,
        reconstruction_weight: float = 0.01,
        link_learning: bool = False,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        self.dropout, self.actional_weight = dropout, actional_weight
        self.link_frames, self.reconstruction = link_frames, reconstruction
        self.reconstruction_weight, self.link_learning = reconstruction_weight, link_learning
        if link_frames < 1 + link_learning or not reconstruction_weight >= 0:
            raise ValueError(
                f"ASGCN needs link_frames of at least {1 + link_learning} and "
                f"reconstruction_weight of at least 0, got {link_frames} and "
                f"{reconstruction_weight}"
            )
        self.register_buffer("adjacency", torch.from_numpy(adjacency.spatial(layout, HOPS)))
        self.normalisation = nn.BatchNorm1d(layout.num_joints * channels)
        blocks: list[Block] = []
        for full, stride in BLOCKS:
            blocks.append(
                Block(
                    blocks[-1].channels if blocks else channels,
                    narrowed(full, width),
                    self.adjacency,
                    stride=stride,
                    dropout=dropout,
                    residual=bool(blocks),
                )
            )
        for norm in (blocks[1].graph_normalisation, blocks[1].temporal_normalisation):
            norm.momentum = self.second_block_momentum
        self.blocks = nn.ModuleList(blocks)
        self.feature_channels = blocks[-1].channels
        self.classifier = nn.Linear(self.feature_channels, classes)
        self.head: Reconstruction | None = None
        if reconstruction:
            self.head = Reconstruction(
                self.feature_channels,
                narrowed(128, width),
                channels,
                self.adjacency,
                dropout=dropout,
            )
            self.frame_counts = self.head.frame_counts(self.temporal_stride)
            self.foretold_frames = FUTURE
        initialise(self)
        self.links = LinkEncoder(
            layout.num_joints, link_frames * channels, hidden=narrowed(128, width)
        )
        self.decoder: LinkDecoder | None = None
        if link_learning:
            self.decoder = LinkDecoder(layout.num_joints, channels, self.links.hidden, 0.5)

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        return self.with_links(joints, self.actional_links(joints))

    def with_links(
        self, joints: Float[Tensor, "n m t v c"], links: Float[Tensor, "b l v v"]
    ) -> Prediction:
        """Recognise clips of whose persons (b = n m) the actional links are known."""
        self.check(joints)
        n, m, t, v, c = joints.shape
        x = self.normalisation(joints.reshape(n * m * t, v * c))
        x = x.view(n * m, t, v, c).permute(0, 3, 1, 2)
        links = self.actional_weight * links
        for block in self.blocks:
            x = block(x, self.adjacency, links)
        pooled = x.mean(dim=(2, 3)).view(n, m, -1).mean(dim=1)
        return Prediction(
            logits=self.classifier(pooled),
            features=x.unflatten(0, (n, m)),
            present=presence(joints, x.shape[2]),
        )

    def learn(
        self,
        joints: Float[Tensor, "n m t v c"],
        labels: Int[Tensor, " n"],
        judge: Callable[[Tensor], Tensor],
    ) -> Prediction:
        """Recognise a batch, with the losses of `reconstruction` and `link_learning`, if any."""
        losses: list[tuple[str, Tensor]] = []
        if self.head is None:
            said = self(joints)
        else:
            self._check_with_future(joints.shape[2])
            joints, future = joints.tensor_split([-FUTURE], dim=2)
            said, foretold = self.forecast(joints)
            error = functional.mse_loss(foretold[:, 0].to(future.dtype), future[:, 0])
            losses.append(("reconstruction", self.reconstruction_weight * error))
        if self.decoder is not None:
            with torch.autocast(joints.device.type, enabled=False):
                loss = foretelling_loss(self.links, self.decoder, self._motion(joints))
            losses.append(("links", 2 * VARIANCE * loss))
        return said._replace(losses=tuple(losses))

    def _check_with_future(self, t: int) -> None:
        if t - FUTURE not in self.frame_counts:
            raise ValueError(
                f"ASGCN with reconstruction needs {self.frame_counts[0] + FUTURE} to "
                f"{self.frame_counts[-1] + FUTURE} frames in training, of which the last {FUTURE} "
                f"are foretold, got {t}; sample or pad the clips to that"
            )

    def _motion(self, joints: Float[Tensor, "n m t v c"]) -> Float[Tensor, "b v f c"]:
        """The frames by which the links of every person are found."""
        chosen = torch.arange(self.link_frames, device=joints.device)
        chosen = chosen * joints.shape[2] // self.link_frames
        return joints.index_select(2, chosen).flatten(0, 1).transpose(1, 2)

    def actional_links(self, joints: Float[Tensor, "n m t v c"]) -> Float[Tensor, "b l v v"]:
        """The actional links of every person, one graph for each type."""
        with torch.autocast(joints.device.type, enabled=False):  # a choice allows no rough scores
            scores = self.links(self._motion(joints).flatten(2))
            uniform = torch.rand_like(scores) if self.training else None
            return self.links.pairs.graphs(choose(scores, uniform))

    def forecast(
        self, joints: Float[Tensor, "n m t v c"]
    ) -> tuple[Prediction, Float[Tensor, "n m f v c"]]:
        """Recognise clips, and foretell the ten frames after them.

        How it learns to is said under `reconstruction`.

        Raises:
            ValueError: the network was made without ``reconstruction=True``.
        """
        self.check(joints)
        links = self.actional_links(joints)
        prediction = self.with_links(joints, links)
        return prediction, self.reconstructed(prediction.features, joints[:, :, -1], links)

    def reconstructed(
        self,
        features: Float[Tensor, "n m d s v"],
        last: Float[Tensor, "n m v c"],
        links: Float[Tensor, "b l v v"],
    ) -> Float[Tensor, "n m f v c"]:
        """The frames after a clip, from its features, last frame and links (section 3.3)."""
        if self.head is None:
            raise ValueError("ASGCN has no head that reconstructs; make it reconstruction=True")
        future = self.head(
            features.flatten(0, 1), last.flatten(0, 1), self.adjacency, self.actional_weight * links
        )
        return future.unflatten(0, features.shape[:2])

    def official_names(self) -> dict[str, str]:
        """The names of limaosen0/AS-GCN, of the network and of the encoder of links."""
        modules = {"A": "adjacency", "data_bn": "normalisation", "fcn": "classifier"}
        modules |= LinkEncoder.official_names("encoder", "links")
        for i in range(len(self.blocks)):
            modules |= Block.official_names(f"class_layer_{i}", f"blocks.{i}")
            modules[f"edge_importance.{i}"] = f"blocks.{i}.graph.importance"
        if self.head is not None:
            modules |= self.head.official_names("head")
        if self.decoder is not None:
            modules |= LinkDecoder.official_names("decoder", "decoder")
        return renamed(self.state_dict(), modules)


def narrowed(channels: int, width: float) -> int:
    """A number of channels by a factor, a multiple of 8."""
    return max(8, 8 * round(channels * width / 8))
