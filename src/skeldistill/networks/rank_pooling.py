"""Feature Encoding (Fernando, Gavves, Oramas, Ghodrati and Tuytelaars, CVPR 2015): rank pooling."""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks.network import Network
from skeldistill.prediction import Prediction, presence

TOLERANCE = 0.1
"""How far from its place a frame may be ranked for nothing (liblinear's default, as theirs)."""

PENALTY = 1.0
"""C of each clip's regression, as theirs."""

NEWTON_STEPS, GRADIENT_STEPS = 4, 24


class RankPooling(Network):
    """Feature Encoding: a clip is the direction in which its frames can be told to be in order.

    A frame's features are its joints. They are smoothed (each frame becomes the mean of all frames
    up to it), made less uneven (the root of each value, with its sign) and brought to length 1.
    A support vector regression then finds the direction along which they grow with time; the same
    is done backwards, and the two directions are what a linear support vector machine classifies.
    Absent frames have no place in the order; the directions of the present persons are averaged.

    It is not trained but fitted, by scikit-learn, in one go: no loss but the labels' can teach it.
    As a teacher it is like any other network. Its features are the smoothed frames.

    Args:
        layout: the joints.
        classes: how many actions.
        persons: how many persons of a clip it sees.
        channels: input channels of a joint.
        penalty: C of the classifier, above 0; with more, training clips are fitted more closely.
    """

    temporal_stride = 1
    lowest_feature = float("-inf")
    closed_form_passes = 4  # each augmented afresh

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        penalty: float = 1.0,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels)
        if not penalty > 0:
            raise ValueError(f"RankPooling needs a penalty above 0, got {penalty}")
        self.penalty = penalty
        self.feature_channels = 2 * channels
        self.classifier = nn.Linear(2 * layout.num_joints * channels, classes)

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        n, m, t, v, c = joints.shape
        present = presence(joints, t)
        forwards, backwards = self._smoothed(joints, present)
        described = self._described(forwards, backwards, present)
        maps = [smoothed.view(n, m, t, v, c) for smoothed in (forwards, backwards)]
        return Prediction(
            logits=self.classifier(described),
            features=torch.cat(maps, dim=4).permute(0, 1, 4, 2, 3),
            present=present,
        )

    def describe(self, joints: Float[Tensor, "n m t v c"]) -> Float[Tensor, "n d"]:
        """What is classified: the direction of the frames in order, and of those reversed."""
        self.check(joints)
        present = presence(joints, joints.shape[2])
        return self._described(*self._smoothed(joints, present), present)

    @torch.no_grad()
    def fit_closed_form(
        self, batches: Iterable[tuple[Float[Tensor, "_ m t v c"], Int[Tensor, " _"]]]
    ) -> None:
        """Fit one support vector machine for each class, against all others.

        A class without clips, or with nothing but its clips, is never told from the others.

        Raises:
            ValueError: there is no clip.
        """
        from sklearn.svm import LinearSVC

        seen = [(self.describe(joints), labels) for joints, labels in batches]
        if not seen:
            raise ValueError("RankPooling needs clips to be fitted to, got none")
        described = torch.cat([one for one, _ in seen]).double().cpu().numpy()
        labels = torch.cat([one for _, one in seen]).cpu().numpy()
        weight = np.zeros((self.classes, described.shape[1]))
        bias = np.full(self.classes, -1.0)
        for label in np.unique(labels):
            bias[label] = 1.0
            if (labels != label).any():
                # Its primal form is solved without chance.
                machine = LinearSVC(C=self.penalty, dual=False, max_iter=10_000)  # pyright: ignore
                machine.fit(described, labels == label)
                weight[label] = machine.coef_[0]
                bias[label] = np.atleast_1d(machine.intercept_)[0]
        assert isinstance(self.classifier, nn.Linear)
        self.classifier.weight.copy_(torch.from_numpy(weight))
        self.classifier.bias.copy_(torch.from_numpy(bias))

    def _smoothed(
        self, joints: Float[Tensor, "n m t v c"], present: Bool[Tensor, "n m t"]
    ) -> tuple[Float[Tensor, "b t d"], Float[Tensor, "b t d"]]:
        """Both ways, for every person."""
        frames, there = joints.flatten(0, 1).flatten(2), present.flatten(0, 1)
        backwards = smooth(frames.flip(1), there.flip(1)).flip(1)
        return smooth(frames, there), backwards

    def _described(
        self,
        forwards: Float[Tensor, "b t d"],
        backwards: Float[Tensor, "b t d"],
        present: Bool[Tensor, "n m t"],
    ) -> Float[Tensor, "n e"]:
        there = present.flatten(0, 1)
        both = torch.cat([forwards, backwards.flip(1)])
        found = rank(both, torch.cat([there, there.flip(1)]))
        # slices, not chunks: of these the ONNX exporter makes a sequence that it cannot fold
        each = there.shape[0]
        directions = torch.cat([found[:each], found[each:]], dim=1)
        persons = functional.normalize(directions, dim=1).unflatten(0, present.shape[:2])
        count = present.any(dim=2).sum(dim=1, keepdim=True).clamp(min=1)
        return persons.sum(dim=1) / count


def smooth(frames: Float[Tensor, "b t d"], present: Bool[Tensor, "b t"]) -> Float[Tensor, "b t d"]:
    """The time-varying mean, the signed root of its values, at length 1; absent frames are 0."""
    weight = present.to(frames.dtype)[:, :, None]
    mean = (frames * weight).cumsum(dim=1) / weight.cumsum(dim=1).clamp(min=1)
    rooted = mean.sign() * mean.abs().sqrt()
    return functional.normalize(rooted, dim=2) * weight


def rank(frames: Float[Tensor, "b t d"], present: Bool[Tensor, "b t"]) -> Float[Tensor, "b d"]:
    """The direction w along which frames come in order: ``w . x_t`` is near t.

    A linear support vector regression without offset: the least of
    ``|w|^2 / 2 + C sum_t max(0, |w . x_t - t| - 0.1)^2`` over the present frames. Newton's method
    on this piecewise quadratic function, each step solved for all clips at once, where a library
    takes one clip after another.

    Args:
        frames: of length 1, 0 where nobody is.
        present: frames without anybody have no place in the order.
    """
    with torch.autocast(frames.device.type, enabled=False):
        frames = frames if frames.dtype == torch.float64 else frames.float()
        there = present.to(frames.dtype)
        place = there.cumsum(dim=1)
        w = frames.new_zeros(frames.shape[0], frames.shape[2])
        itself = torch.eye(frames.shape[2], dtype=frames.dtype, device=frames.device)
        for _ in range(NEWTON_STEPS):
            error = place - _along(frames, w)
            outside = there * (error.abs() > TOLERANCE)
            wanted = outside * (place - TOLERANCE * error.sign())
            weighted = (2 * PENALTY * outside[:, :, None] * frames).transpose(1, 2)
            matrix = torch.baddbmm(itself, weighted, frames)
            right = _back(frames, 2 * PENALTY * wanted)
            exported = torch.compiler.is_compiling()
            w = approached(matrix, right, w) if exported else solved(matrix, right)
        return w


def solved(matrix: Float[Tensor, "b d d"], right: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    """The w of ``matrix w = right``; matrices are symmetric and positive definite."""
    factor, _ = torch.linalg.cholesky_ex(matrix)
    return torch.cholesky_solve(right[:, :, None], factor).squeeze(2)


def approached(
    matrix: Float[Tensor, "b d d"], right: Float[Tensor, "b d"], w: Float[Tensor, "b d"]
) -> Float[Tensor, "b d"]:
    """The same by conjugate gradients from w on, in steps that are enough for frames of length 1.

    For exports: ONNX has no operation that solves equations.
    """
    tiny = torch.finfo(matrix.dtype).tiny
    w, right = w[:, :, None], right[:, :, None]
    rest = right - matrix @ w
    way, left = rest, rest.transpose(1, 2) @ rest
    for _ in range(GRADIENT_STEPS):
        turned = matrix @ way
        step = left / (way.transpose(1, 2) @ turned).clamp(min=tiny)
        w, rest = torch.addcmul(w, step, way), torch.addcmul(rest, step, turned, value=-1)
        before, left = left, rest.transpose(1, 2) @ rest
        way = torch.addcmul(rest, left / before.clamp(min=tiny), way)
    return w.squeeze(2)


def _along(frames: Float[Tensor, "b t d"], w: Float[Tensor, "b d"]) -> Float[Tensor, "b t"]:
    return (frames @ w[:, :, None]).squeeze(2)


def _back(frames: Float[Tensor, "b t d"], values: Float[Tensor, "b t"]) -> Float[Tensor, "b d"]:
    return (values[:, None, :] @ frames).squeeze(1)
