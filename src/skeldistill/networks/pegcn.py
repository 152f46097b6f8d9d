"""PE-GCN (Yu, Yoon and Jeon, 2020): predictive encoding, against noisy skeletons."""

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

    Trained on clean clips alone it is a backbone with a GRU; `training_losses` are the authors'.

    Args:
        layout: the joints and bones.
        classes: how many actions.
        persons: how many persons of a clip it sees.
        channels: input channels of a joint.
        backbone: "AGCN" (the authors') or "STGCN".
        width: factor of the backbone's channels.
        across_batch: the GRU runs along the clips of the batch, each person place on its own.
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
    ) -> None:
        super().__init__(layout, classes=classes, persons=persons, channels=channels, width=width)
        self.backbone, self.across_batch = backbone, across_batch
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

    def training_losses(
        self,
        clean: Float[Tensor, "n m t v c"],
        noisy: Float[Tensor, "n m t v c"],
        labels: Int[Tensor, " n"],
    ) -> dict[str, Float[Tensor, ""]]:
        """The authors' losses, to be added up, of clips and the same clips with noise.

        Three task losses (on what is predicted from the noisy clips, on the clean clips and on the
        noisy ones) and 0.1 times the `coding_loss`.
        """
        self.check(clean)
        self.check(noisy)
        encoded, degraded = self.encoder(clean), self.encoder(noisy)
        predicted = self.predict(pooled(degraded))
        return {
            "predicted": functional.cross_entropy(self.score(predicted), labels),
            "clean": functional.cross_entropy(encoded.logits, labels),
            "noisy": functional.cross_entropy(degraded.logits, labels),
            "coding": 0.1 * coding_loss(predicted, pooled(encoded)),
        }

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
    joints: Float[Tensor, "n m t v c"], generator: torch.Generator, most: int = 5
) -> Float[Tensor, "n m t v c"]:
    """Clips in which some joints are anywhere: the noise that the authors train against.

    In each clip, 1 to `most` joints, the same in all its frames and persons; each of their
    coordinates is drawn from the range of that coordinate over the person's joints in that frame.
    Absent persons stay absent.

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
