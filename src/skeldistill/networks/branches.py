"""The three branches that ResGCN and EfficientGCN are shown: joints, velocities and bones."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks.network import Network
from skeldistill.networks.through_time import EachFrame, InTurn, Path, Window
from skeldistill.prediction import Prediction, presence

BRANCHES = ("joint", "velocity", "bone")
"""What the axis of branches holds, in the authors' order."""

ROOT = "spine_mid"
"""The joint that the authors measure from and hang all bones on (Kinect v2's second joint)."""


class ThreeBranchNetwork(Network):
    """A network that works on three branches, which it computes from the joints itself.

    A subclass defines `extract`, and makes `branches` and `classifier` in its constructor.
    """

    branches: "Branches"
    dropout: float = 0.0

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        return self.from_branches(self.branches(joints))

    def with_blanks(
        self, joints: Float[Tensor, "n m t v c"], blanked: Bool[Tensor, "t v"]
    ) -> Prediction:
        """Recognise clips where some of the branches is 0, angles too."""
        self.check(joints)
        return self.from_branches(self.branches(joints).masked_fill(blanked[..., None], 0))

    def from_branches(self, branches: Float[Tensor, "n i c t v m"]) -> Prediction:
        """Recognise a batch of clips whose branches are ready, in the authors' order of axes.

        Args:
            branches: joint, velocity and bone, as `Branches` makes them.

        Raises:
            ValueError: a size is not the one that the network was made for.
        """
        self._check_branches(branches)
        n, _, _, _, _, m = branches.shape
        x = self.extract([_folded(branches[:, i]) for i in range(len(BRANCHES))])
        pooled = x.unflatten(0, (n, m)).mean(dim=(1, 3, 4))
        pooled = functional.dropout(pooled, self.dropout, self.training)
        return Prediction(
            logits=self.classifier(pooled),
            features=x.unflatten(0, (n, m)),
            # Nobody is there: all joints are 0, and so is what is seen from the centre.
            present=presence(branches[:, 0].permute(0, 4, 2, 3, 1), x.shape[2]),
        )

    def extract(self, branches: list[Float[Tensor, "b c t v"]]) -> Float[Tensor, "b d s v"]:
        """The last map before pooling, for the persons of all clips."""
        raise AssertionError("every network of three branches defines extract")

    def _check_branches(self, branches: Float[Tensor, "n i c t v m"]) -> None:
        expected = (len(BRANCHES), self.branches.channels, self.layout.num_joints, self.persons)
        n, i, c, t, v, m = branches.shape
        if (i, c, v, m) != expected or n < 1 or t < 1:
            raise ValueError(
                f"{type(self).__name__} expects branches of shape (n, branch, channel, t, v, m) "
                f"with (branch, channel, v, m) {expected}, got shape {tuple(branches.shape)}"
            )


class Chain(nn.ModuleList):
    """Modules one after another that share the adjacency."""

    def forward(
        self, x: Float[Tensor, "b c t v"], adjacency: Float[Tensor, "k v v"]
    ) -> Float[Tensor, "b d s v"]:
        """Through all of them."""
        for module in self:
            x = module(x, adjacency)
        return x


class Branches(nn.Module):
    """Joints -> the three branches, equal to the authors' feeder.

    joint: the position, and seen from the centre. velocity: how far a joint moves in one frame,
    and in two; 0 in the last two frames. bone: a joint seen from its parent, and the angle
    between that bone and each axis (pi/2 where there is no bone, lost and absent joints included).

    Lost joints count as lying at 0, as for the authors. Bones hang on the middle of the spine where
    the layout has that joint (as for the authors on NTU RGB+D), otherwise on its own centre.

    Args:
        layout: the joints and bones.
        channels: input channels of a joint.
        score: whether the last channel says how sure a joint is; all branches then end with it,
            unchanged. Otherwise it is one more coordinate, as for the authors.
    """

    def __init__(self, layout: Layout, channels: int, *, score: bool) -> None:
        super().__init__()
        self.coordinates = channels - score
        self.channels = 2 * self.coordinates + score
        self.centre = layout.index(ROOT) if ROOT in layout.joints else layout.centre_index
        parents = torch.from_numpy(hung_on(self.centre, layout.parents))
        self.register_buffer("parents", parents, persistent=False)

    parents: Tensor

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Float[Tensor, "n i d t v m"]:
        """All branches, in the authors' order of axes."""
        laid = torch.stack([self.joint(joints), self.velocity(joints), self.bone(joints)])
        return laid.permute(1, 0, 5, 3, 4, 2)

    def joint(self, joints: Float[Tensor, "n m t v c"]) -> Float[Tensor, "n m t v d"]:
        """Where each joint is, and where from the centre."""
        x, score = joints.tensor_split([self.coordinates], dim=-1)
        return torch.cat([x, x - x[..., self.centre, None, :], score], dim=-1)

    def velocity(self, joints: Float[Tensor, "n m t v c"]) -> Float[Tensor, "n m t v d"]:
        """How each joint moves."""
        x, score = joints.tensor_split([self.coordinates], dim=-1)
        return torch.cat([*velocities(x), score], dim=-1)

    def bone(self, joints: Float[Tensor, "n m t v c"]) -> Float[Tensor, "n m t v d"]:
        """Each joint seen from its parent."""
        x, score = joints.tensor_split([self.coordinates], dim=-1)
        return torch.cat([*bones(x, self.parents), score], dim=-1)

    def through_time(self) -> tuple[Path, Path, Path]:
        """The three branches of a map of joints, frame by frame."""
        # The last two frames of a clip have no velocity; a channel of ones says where it ends.
        velocity = Window(partial(_on_map, self._ahead), before=0, after=2)
        return (
            EachFrame(partial(_on_map, self.joint)),
            InTurn(EachFrame(_marked), velocity),
            EachFrame(partial(_on_map, self.bone)),
        )

    def _ahead(self, marked: Float[Tensor, "n m t v c"]) -> Float[Tensor, "n m s v d"]:
        """The velocities of all frames but the last two, which are only looked at."""
        joints, exists = marked.tensor_split([-1], dim=-1)
        moving = joints[..., : self.coordinates]
        one, two = (both[:, :, :-2] * exists[:, :, 2:] for both in velocities(moving))
        return torch.cat([one, two, joints[:, :, :-2, :, self.coordinates :]], dim=-1)


def velocities(
    x: Float[Tensor, "n m t v c"],
) -> tuple[Float[Tensor, "n m t v c"], Float[Tensor, "n m t v c"]]:
    """How far each joint moves in one frame, and in two; 0 in the last two frames."""
    past = x[:, :, :-2]
    one, two = x[:, :, 1:-1] - past, x[:, :, 2:] - past
    last = (0, 0, 0, 0, 0, min(2, x.shape[2]))
    return functional.pad(one, last), functional.pad(two, last)


def bones(
    x: Float[Tensor, "n m t v c"], parents: Int[Tensor, " v"]
) -> tuple[Float[Tensor, "n m t v c"], Float[Tensor, "n m t v c"]]:
    """Each joint seen from its parent, and the angles between that bone and the axes."""
    bone = x - x[..., parents, :]
    length = torch.linalg.vector_norm(bone, dim=-1, keepdim=True)
    return bone, torch.arccos(bone / (length + 1e-4))


def hung_on(root: int, parents: Int[np.ndarray, " v"]) -> Int[np.ndarray, " v"]:
    """The parents of the same tree when it hangs on another joint; the root is its own."""
    turned = parents.copy()
    joint, below = root, root
    while True:
        above = int(parents[joint])
        turned[joint] = below
        if above == joint:
            return turned
        joint, below = above, joint


def narrowed(channels: float) -> int:
    """The multiple of 8 that is nearest to a scaled number of channels."""
    return max(8, 8 * round(channels / 8))


def initialise(network: nn.Module, classifier: nn.Linear) -> None:
    """Draw weights as both networks' authors do: He et al. by fan-out, the classifier N(0, 0.001).

    Biases are 0, and normalisation begins as no change.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            fan_out = module.weight.numel() // module.weight.shape[1]
            nn.init.normal_(module.weight, 0.0, math.sqrt(2 / fan_out))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.normal_(classifier.weight, 0.0, 0.001)


def _on_map(
    function: Callable[[Float[Tensor, "b 1 t v c"]], Float[Tensor, "b 1 s v d"]],
    x: Float[Tensor, "b c t v"],
) -> Float[Tensor, "b d s v"]:
    """A function of joints for a map."""
    return function(x.permute(0, 2, 3, 1)[:, None]).flatten(0, 1).permute(0, 3, 1, 2)


def _marked(x: Float[Tensor, "b c t v"]) -> Float[Tensor, "b d t v"]:
    """A channel of ones behind the others."""
    return torch.cat([x, torch.ones_like(x[:, :1])], dim=1)


def _folded(branch: Float[Tensor, "n c t v m"]) -> Float[Tensor, "b c t v"]:
    """Persons join the clips; no copy where the memory is as `Branches` lays it."""
    return branch.permute(0, 4, 1, 2, 3).flatten(0, 1)
