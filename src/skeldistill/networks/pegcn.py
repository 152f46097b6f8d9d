"""PE-GCN (Yu, Yoon and Jeon, 2020): predictive encoding, against noisy skeletons."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.networks.agcn import AGCN
from skeldistill.networks.network import Network, renamed
from skeldistill.networks.stgcn import STGCN
from skeldistill.prediction import Prediction
from skeldistill.shelf import pick

BACKBONES: dict[str, type[AGCN] | type[STGCN]] = {"AGCN": AGCN, "STGCN": STGCN}
"""The networks that can be predictively encoded."""


class PEGCN(Network):
    """PE-GCN: a recurrent layer predicts the clean features of a person from the noisy ones.

    Equal to the authors' network, whose weights it loads (the two files of theirs in one
    dictionary). What it says passes the recurrent layer, a GRU; what it says without stands in
    ``network.encoder(joints)``. The authors' GRU runs, by the order of its axes, along the clips
    of a batch, so that a prediction depends on the clips before it. Here it runs along the
    persons of a clip, unless `across_batch` asks for the authors' way.

    It is trained as by its authors, on every clip and the same clip with noise; what it then says
    is of the noisy one. To the task loss of that, it adds those of the encoder alone on the clean
    and on the noisy clip, and 0.1 times the `coding_loss`.

    Args:
        layout: the joints and bones.
        classes: how many actions.
        persons: how many persons of a clip it sees.
        channels: input channels of a joint.
        backbone: "AGCN" (the authors') or "STGCN".
        width: factor of the backbone's channels.
        across_batch: the GRU runs along the clips of the batch, each person place on its own.
        noisy_joints: of a clip are at most replaced by noise in training, see `with_noisy_joints`;
            with 0 there is no noise and no loss of its own.
        coding_weight: of the `coding_loss`.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        classes: int,
        persons: int = 2,
        channels: int = 3,
        backbone: str = "AGCN",
        width: float = 1.0,
        across_batch: bool = False,
        noisy_joints: int = 5,
        coding_weight: float = 0.1,
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        self.backbone, self.across_batch = backbone, across_batch
        if not 0 <= noisy_joints <= layout.num_joints or not coding_weight >= 0:
            raise ValueError(
                f"PEGCN needs noisy_joints from 0 to {layout.num_joints} and coding_weight of at "
                f"least 0, got {noisy_joints} and {coding_weight}"
            )
        self.noisy_joints, self.coding_weight = noisy_joints, coding_weight
        part = pick("backbone", BACKBONES, backbone)
        self.encoder = part(
            layout, classes=classes, persons=persons, channels=channels, width=width
        )
        self.feature_channels = self.encoder.feature_channels
        self.temporal_stride = self.encoder.temporal_stride
        self.recurrent = nn.GRUCell(self.feature_channels, self.feature_channels)

    @property
    def classifier(self) -> nn.Module:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The encoder's last layer, which scores predicted features too."""
        return self.encoder.classifier

    def forward(self, joints: Float[Tensor, "n m t v c"]) -> Prediction:
        """Recognise a batch of clips."""
        self.check(joints)
        said = self.encoder(joints)
        return said._replace(logits=self.score(self.predict(pooled(said))))

    def predict(self, noisy: Float[Tensor, "n m c"]) -> Float[Tensor, "n m c"]:
        """What the features of every person would be without the noise."""
        steps = noisy if self.across_batch else noisy.transpose(0, 1)
        predicted = [torch.zeros_like(steps[0])]
        for step in steps:
            predicted.append(self.recurrent(step, predicted[-1]))
        return torch.stack(predicted[1:], dim=0 if self.across_batch else 1)

    def score(self, persons: Float[Tensor, "n m c"]) -> Float[Tensor, "n k"]:
        """The scores of clips from the features of their persons."""
        return self.classifier(persons.mean(dim=1))

    def learn(
        self,
        joints: Float[Tensor, "n m t v c"],
        labels: Int[Tensor, " n"],
        judge: Callable[[Tensor], Tensor],
    ) -> Prediction:
        """Recognise clips with noise, and be judged on what the same clips are without it, too."""
        self.check(joints)
        if self.noisy_joints == 0:
            return self(joints)
        return self.denoise(joints, with_noisy_joints(joints, None, self.noisy_joints), judge)

    def denoise(
        self,
        clean: Float[Tensor, "n m t v c"],
        noisy: Float[Tensor, "n m t v c"],
        judge: Callable[[Tensor], Tensor],
    ) -> Prediction:
        """Recognise clips with noise that are known without it, with the authors' losses."""
        encoded, degraded = self.encoder(clean), self.encoder(noisy)
        predicted = self.predict(pooled(degraded))
        coding = self.coding_weight * coding_loss(predicted, pooled(encoded))
        return degraded._replace(
            logits=self.score(predicted),
            losses=(
                ("clean", judge(encoded.logits)),
                ("noisy", judge(degraded.logits)),
                ("coding", coding),
            ),
        )

    def official_names(self) -> dict[str, str]:
        """The names of andreYoo/PeGCNs: of its two files, and of its two objects.

        With the ST-GCN backbone, which the authors did not publish, ST-GCN's names take the place
        of AGCN's.
        """
        modules = {}
        for official, own in self.encoder.official_names().items():
            modules |= {official: f"encoder.{own}", f"model.{official}": f"encoder.{own}"}
        for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            modules |= {f"{rnn}.{kind}_l0": f"recurrent.{kind}" for rnn in ("rnn", "ar_model.rnn")}
        return renamed(self.state_dict(), modules)


def pooled(said: Prediction) -> Float[Tensor, "n m c"]:
    """The features of every person: the mean over frames and joints."""
    return said.features.mean(dim=(3, 4))


def coding_loss(
    predicted: Float[Tensor, "n m c"], encoded: Float[Tensor, "n m c"]
) -> Float[Tensor, ""]:
    """Tell from predicted features whose clean features they are, among the clips of the batch.

    Binary cross-entropy over all pairs of clips, their scalar product being the score, each
    person place on its own. The authors' code reads its matrices in another order of axes than it
    holds them (a view where a transposition is meant), which mixes features of different clips;
    this is what is meant.
    """
    scores = predicted.transpose(0, 1) @ encoded.permute(1, 2, 0)  # (m, n, n)
    same = torch.eye(len(predicted), dtype=scores.dtype, device=scores.device)
    return functional.binary_cross_entropy_with_logits(scores, same.expand_as(scores))


def with_noisy_joints(
    joints: Float[Tensor, "n m t v c"], generator: torch.Generator | None, most: int = 5
) -> Float[Tensor, "n m t v c"]:
    """Clips in which some joints are anywhere: the noise that the authors train against.

    In each clip, 1 to `most` joints, the same in all its frames and persons; each of their
    coordinates is drawn from the range of that coordinate over the person's joints in that frame.
    Absent persons stay absent. Without a generator chance is PyTorch's own, as that of dropout.

    Raises:
        ValueError: `most` is below 1 or above the number of joints.
    """
    n, _, _, v, _ = joints.shape
    if not 1 <= most <= v:
        raise ValueError(f"most must lie between 1 and the {v} joints, got {most}")
    device = joints.device
    count = torch.randint(1, most + 1, (n, 1), generator=generator, device=device)
    place = torch.rand(n, v, generator=generator, device=device).argsort(dim=1).argsort(dim=1)
    chosen = (place < count)[:, None, None, :, None]
    low, high = joints.aminmax(dim=3, keepdim=True)  # 0 and 0 where nobody is
    share = torch.rand(joints.shape, generator=generator, device=device, dtype=joints.dtype)
    return torch.where(chosen, low + share * (high - low), joints)
