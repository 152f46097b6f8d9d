"""The contract of a network: joints in, Prediction out."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from skeldistill.layouts import Layout
from skeldistill.networks.through_time import Path
from skeldistill.prediction import Prediction


class Network(nn.Module):
    """Every network on the shelf is made as ``Name(layout, classes=..., persons=..., **options)``.

    It keeps every argument of its constructor as an attribute of the same name, so that a
    checkpoint can tell how to make it again.

    layout: the joints it works on. persons: the length of the axis ``m`` it was made for.
    channels: input channels (2-D joints and their score, or 3-D joints: 3 by default).
    feature_channels: width of ``Prediction.features``. temporal_stride: how many input frames
    one frame of the features stands for. classifier: the last layer, pooled features to logits.
    width: factor of the network's own channels. frame_counts: how many frames clips may have; any
    number unless a network says otherwise.
    lowest_feature: below which ``Prediction.features`` never are (0 after a ReLU).
    keeps_joints: whether the last axis of the features is the layout's joints; networks that mix
    all joints at once have one vertex there, and losses that compare joints refuse them.
    foretold_frames: the last frames of a training clip that the network does not see (in `learn`)
    but must foretell; a teacher is not shown them either.
    closed_form_passes: 0 for networks that learn by gradients; others are fitted by
    `fit_closed_form`, which is shown the training clips so many times.
    """

    layout: Layout
    classes: int
    persons: int
    channels: int
    feature_channels: int
    temporal_stride: int
    classifier: nn.Module
    frame_counts: range = range(1, 2**31)
    lowest_feature: float = 0.0
    keeps_joints: bool = True
    foretold_frames: int = 0
    closed_form_passes: int = 0

    def __init__(
        self, layout: Layout, *, classes: int, persons: int, channels: int = 3, width: float = 1.0
    ) -> None:
        super().__init__()
        if min(classes, persons, channels) < 1 or not 0 < width < math.inf:
            raise ValueError(
                f"classes, persons, channels and width must be positive numbers, got {classes}, "
                f"{persons}, {channels} and {width}"
            )
        self.layout, self.classes, self.persons, self.channels = layout, classes, persons, channels
        self.width = width

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        raise AssertionError("every network defines forward")

    def with_blanks(
        self, joints: Float[Tensor, "n m t v c"], blanked: Bool[Tensor, "t v"]
    ) -> Prediction:
        """Recognise clips where some of what the network is shown is 0.

        A network that first computes branches of the joints blanks those, all of their channels.
        """
        return self(joints.masked_fill(blanked[..., None], 0))

    def through_time(self) -> Path:
        """How the joints' map ``(b, c, t, v)`` passes the network, to run frame by frame.

        A network that has it scores by `classifier` the mean of its last map over frames, joints
        and persons (see `skeldistill.networks.through_time`).

        Raises:
            ValueError: the network has no such way.
        """
        raise ValueError(
            f"{type(self).__name__} cannot run frame by frame (it has no through_time); call it on "
            "windows of frames, or take a network that can, such as STGCN"
        )

    def learn(
        self,
        joints: Float[Tensor, "n m t v c"],
        labels: Int[Tensor, " n"],
        judge: Callable[[Tensor], Tensor],
    ) -> Prediction:
        """Recognise a batch in a step of training, and say what the network adds to the task loss.

        A network with losses of its own fills ``Prediction.losses`` here; others are just called.

        Args:
            joints: of the clips.
            labels: their actions; -1 of clips whose action is not known.
            judge: the task loss of whatever scores ``(n, k)`` of these clips; it leaves out those
                without a label.
        """
        return self(joints)

    def fit_closed_form(
        self, batches: Iterable[tuple[Float[Tensor, "_ m t v c"], Int[Tensor, " _"]]]
    ) -> None:
        """Fit the weights to clips and their labels, instead of training by gradients."""
        raise AssertionError(f"{type(self).__name__} learns by gradients")

    def official_names(self) -> dict[str, str]:
        """The authors' name of every tensor -> its name here; several codebases may stand in one.

        `renamed` makes it from the modules' names.
        """
        return {name: name for name in self.state_dict()}

    def inherited(self, source: "Network") -> dict[str, Tensor]:
        """What another network's state has for this one to start from, by the names here."""
        return source.state_dict()

    def options(self) -> dict[str, Any]:
        """The arguments it was made with, but for the layout.

        Raises:
            ValueError: one of them is not kept, so that nothing could make the network again.
        """
        names = [name for name in inspect.signature(type(self)).parameters if name != "layout"]
        for name in names:
            if not hasattr(self, name):
                raise ValueError(
                    f"network {type(self).__name__} does not keep its argument {name!r}, without "
                    f"which a checkpoint cannot make it again; set self.{name} when it is made"
                )
        return {name: getattr(self, name) for name in names}

    def train(self, mode: bool = True) -> "Network":
        """Switch to training; every part with only frozen weights stays in evaluation mode.

        Otherwise the statistics of its normalisation would drift although it is frozen.
        """
        super().train(mode)
        for part in self.modules():
            weights = list(part.parameters())
            if part is not self and weights and not any(one.requires_grad for one in weights):
                part.eval()
        return self

    def check(self, joints: Float[Tensor, "..."]) -> None:
        """Refuse a batch of the wrong shape in one line (cheap: looks at sizes only)."""
        expected = (self.persons, self.layout.num_joints, self.channels)
        if joints.ndim != 5:
            raise ValueError(
                f"{type(self).__name__} expects joints of shape (n, m, t, v, c) with (m, v, c) "
                f"{expected}, got shape {tuple(joints.shape)}"
            )
        n, m, t, v, c = joints.shape
        if (m, v, c) != expected:
            raise ValueError(
                f"{type(self).__name__} expects (persons, joints, channels) {expected} for layout "
                f"{self.layout.name!r}, got {(m, v, c)}"
            )
        if n < 1 or t < 1:
            raise ValueError(
                f"{type(self).__name__} got {n} clips of {t} frames; give one at least"
            )
        self._check_frames(t)

    @property
    def frame_limits(self) -> str:
        """How many frames clips may have, in words."""
        counts = self.frame_counts
        if counts == Network.frame_counts:
            return "any"
        return (
            f"a multiple of {counts.step}" if counts.step > 1 else f"{counts.start} to {counts[-1]}"
        )

    def fewer_frames(self, t: int) -> int:
        """The most frames, up to t, that clips may have; the least they must, if that is more."""
        counts = self.frame_counts
        return max(counts[0], min(t - (t - counts.start) % counts.step, counts[-1]))

    def _check_frames(self, t: int) -> None:
        counts = self.frame_counts  # an export's symbolic t would be sought in it one by one
        if t >= counts.start and t < counts.stop and (t - counts.start) % counts.step == 0:
            return
        raise ValueError(
            f"{type(self).__name__} needs {self.frame_limits} frames, got {t}; sample or pad the "
            "clips to that"
        )


def renamed(names: Iterable[str], modules: Mapping[str, str]) -> dict[str, str]:
    """The official name of every tensor -> its name here, from the names of the modules.

    Args:
        names: all names here, such as a ``state_dict()``.
        modules: official name -> name here, of modules or single tensors, without leading or
            trailing dots. Tensors of no such module have no official name.
    """
    return {
        official + name.removeprefix(own): name
        for name in names
        for official, own in modules.items()
        if name == own or name.startswith(f"{own}.")
    }
