"""Actional links of AS-GCN (Li et al., CVPR 2019, section 3.1): which joints move together.

For every person an encoder sees how all joints move and gives each ordered pair of joints one of
three types; the first means no link. A decoder that must foretell the next frame by those links
alone teaches it, before the network itself is trained; in evaluation nobody needs the decoder.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from skeldistill.networks.network import renamed

TYPES = 3
"""Types of links, no link included."""

SHARE = 0.1
"""What all actional links of a joint weigh together."""

TEMPERATURE = 0.5
"""Of the softmax whose gradient stands in for that of the choice."""

PRIOR = (0.95, 0.025, 0.025)
"""How often each type is expected."""

VARIANCE = 5e-4
"""Of the error in foretelling a frame."""

GATES = ("reset", "input", "new")
"""Of the decoder's recurrent unit."""


class Pairs(nn.Module):
    """All ordered pairs of different joints, in the order of a matrix's rows (sender, receiver)."""

    senders: Int[Tensor, " e"]
    receivers: Int[Tensor, " e"]

    def __init__(self, joints: int) -> None:
        super().__init__()
        self.joints = joints
        senders = torch.arange(joints).repeat_interleave(joints - 1)
        others = torch.arange(joints - 1).repeat(joints)
        receivers = others + (others >= senders)  # nobody sends to itself
        self.register_buffer("senders", senders, persistent=False)
        self.register_buffer("receivers", receivers, persistent=False)

    def joined(
        self, joints: Float[Tensor, "b v h"], weight: Float[Tensor, "o i"]
    ) -> Float[Tensor, "b e o"]:
        """A linear layer over (receiver, sender) of every pair, its halves done once a joint."""
        receiver, sender = (functional.linear(joints, half) for half in weight.chunk(2, dim=1))
        return receiver[:, self.receivers] + sender[:, self.senders]

    def received(self, pairs: Float[Tensor, "b e h"]) -> Float[Tensor, "b v h"]:
        """The sum of the pairs in which a joint is the receiver."""
        nothing = pairs.new_zeros(pairs.shape[0], self.joints, pairs.shape[2])
        return nothing.index_add(1, self.receivers, pairs)

    def graphs(self, chosen: Float[Tensor, "b e k"]) -> Float[Tensor, "b l v v"]:
        """Links of each type but the first, with the joint itself; columns sum to `SHARE`."""
        places = self.senders * self.joints + self.receivers
        links = chosen[:, :, 1:].transpose(1, 2)
        graphs = links.new_zeros(*links.shape[:2], self.joints**2).index_copy(2, places, links)
        itself = torch.eye(self.joints, dtype=links.dtype, device=links.device)
        graphs = graphs.unflatten(2, itself.shape) + itself
        return SHARE * graphs / graphs.sum(dim=2, keepdim=True)


class LinkEncoder(nn.Module):
    """How likely each type is for each pair: from joints to pairs, to joints, and to pairs again.

    Args:
        joints: how many joints.
        inputs: how many numbers describe a joint's motion (frames times channels).
        hidden: width of all layers.
        dropout: probability inside the layers.
    """

    def __init__(
        self, joints: int, inputs: int, *, hidden: int = 128, dropout: float = 0.5
    ) -> None:
        super().__init__()
        self.hidden = hidden
        self.pairs = Pairs(joints)
        self.motion = Perceptron(inputs, hidden, dropout)
        self.pair = Perceptron(2 * hidden, hidden, dropout)
        self.joint = Perceptron(hidden, hidden, dropout)
        self.pair_again = Perceptron(3 * hidden, hidden, dropout)
        self.types = nn.Linear(hidden, TYPES)
        nn.init.xavier_normal_(self.types.weight)
        nn.init.constant_(self.types.bias, 0.1)

    def forward(self, motion: Float[Tensor, "b v i"]) -> Float[Tensor, "b e k"]:
        """The score of every type for every pair (eq. 3 and 4)."""
        first, again = self.pair.first, self.pair_again.first
        pairs = self.pairs.joined(self.motion(motion), first.weight) + first.bias
        pairs = self.pair.rest(pairs)
        joints = self.joint(self.pairs.received(pairs) / self.pairs.joints)
        of_joints, of_pairs = again.weight.split((2 * self.hidden, self.hidden), dim=1)
        pairs = functional.linear(pairs, of_pairs, again.bias)
        return self.types(self.pair_again.rest(pairs + self.pairs.joined(joints, of_joints)))

    @staticmethod
    def official_names(official: str, own: str) -> dict[str, str]:
        """The authors' names of its modules."""
        layers = {"mlp1": "motion", "mlp2": "pair", "mlp3": "joint", "mlp4": "pair_again"}
        parts = {"fc1": "first", "fc2": "second", "bn": "normalisation"}
        names = {
            f"{official}.{layer}.{part}": f"{own}.{layers[layer]}.{parts[part]}"
            for layer in layers
            for part in parts
        }
        return names | {f"{official}.fc_out": f"{own}.types"}


class Perceptron(nn.Module):
    """Two linear layers with exponential units, normalised."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(inputs, outputs), nn.Linear(outputs, outputs)
        self.normalisation = nn.BatchNorm1d(outputs)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.first, self.second):
            nn.init.xavier_normal_(layer.weight)
            nn.init.constant_(layer.bias, 0.1)

    def forward(self, x: Float[Tensor, "b r i"]) -> Float[Tensor, "b r o"]:
        """Both layers, for every row."""
        return self.rest(self.first(x))

    def rest(self, x: Float[Tensor, "b r o"]) -> Float[Tensor, "b r o"]:
        """What follows the first linear layer."""
        x = functional.elu(self.second(self.dropout(functional.elu(x))))
        return self.normalisation(x.flatten(0, 1)).view_as(x)


def choose(
    scores: Float[Tensor, "b e k"], uniform: Float[Tensor, "b e k"] | None
) -> Float[Tensor, "b e k"]:
    """One type for each pair, as ones and zeros (eq. 5), with the gradient of a softmax.

    Args:
        scores: the encoder's.
        uniform: random numbers between 0 and 1, by which a type is drawn as often as its score
            says. None takes the likeliest, so that evaluation is not left to chance (the authors
            draw there, too).
    """
    if uniform is not None:
        scores = scores - torch.log(1e-10 - torch.log(uniform + 1e-10))
    soft = torch.softmax(scores / TEMPERATURE, dim=2)
    hard = functional.one_hot(soft.argmax(dim=2), TYPES).to(soft.dtype)
    return hard + (soft - soft.detach())


class LinkLearner(nn.Module):
    """Trains an encoder before the network that uses it (the authors: ten epochs, Adam, 0.0005).

    The loss is that of foretelling every frame from the one before, and of straying from `PRIOR`.
    Only the encoder is needed afterwards.

    Args:
        encoder: ``ASGCN(...).links``, or one of its own.
        channels: coordinates of a joint.
        dropout: probability in the decoder.
    """

    def __init__(self, encoder: LinkEncoder, *, channels: int = 3, dropout: float = 0.5) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = LinkDecoder(encoder.pairs.joints, channels, encoder.hidden, dropout)

    def forward(
        self, joints: Float[Tensor, "b v t c"], uniform: Float[Tensor, "b e k"] | None = None
    ) -> Float[Tensor, ""]:
        """The loss over some persons, a mean over joints; `uniform` as in `choose`, or drawn."""
        return foretelling_loss(self.encoder, self.decoder, joints, uniform)

    def official_names(self) -> dict[str, str]:
        """The names of the authors' AdjacencyLearn (limaosen0/AS-GCN)."""
        modules = LinkEncoder.official_names("encoder", "encoder")
        modules |= LinkDecoder.official_names("decoder", "decoder")
        return renamed(self.state_dict(), modules)


def foretelling_loss(
    encoder: LinkEncoder,
    decoder: "LinkDecoder",
    joints: Float[Tensor, "b v t c"],
    uniform: Float[Tensor, "b e k"] | None = None,
) -> Float[Tensor, ""]:
    """How badly links foretell every frame, and how far they stray from `PRIOR`."""
    scores = encoder(joints.flatten(2))
    chosen = choose(scores, torch.rand_like(scores) if uniform is None else uniform)
    error = decoder(joints, chosen) - joints[:, :, 1:]
    likelihood = torch.log_softmax(scores, dim=2)
    prior = torch.tensor(PRIOR, dtype=scores.dtype, device=scores.device).log()
    straying = likelihood.exp() * (likelihood - prior)
    return (error.square().sum() / (2 * VARIANCE) + straying.sum()) / joints[:, :, 0, 0].numel()


class LinkDecoder(nn.Module):
    """Foretells every frame from the one before it, by what linked joints tell each other."""

    def __init__(self, joints: int, channels: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.pairs = Pairs(joints)
        self.hidden = hidden
        # Official files hold layers for the first type, too: no link, nothing told.
        self.messages = nn.ModuleList(Message(hidden, dropout) for _ in range(TYPES))
        self.heard = nn.ModuleDict({g: nn.Linear(hidden, hidden, bias=False) for g in GATES})
        self.seen = nn.ModuleDict({g: nn.Linear(channels, hidden) for g in GATES})
        self.out = nn.Sequential(
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, channels),
        )

    def forward(
        self, joints: Float[Tensor, "b v t c"], chosen: Float[Tensor, "b e k"]
    ) -> Float[Tensor, "b v s c"]:
        """All frames but the first, each foretold from the true one before it (eq. 6)."""
        memory = joints.new_zeros(*joints.shape[:2], self.hidden)
        foretold = []
        for frame in joints[:, :, :-1].unbind(2):
            memory = self._remembered(frame, self._told(memory, chosen), memory)
            foretold.append(frame + self.out(memory))
        return torch.stack(foretold, dim=2)

    @staticmethod
    def official_names(official: str, own: str) -> dict[str, str]:
        """The authors' names of its modules."""
        names = {f"{official}.out_fc{i + 1}": f"{own}.out.{3 * i}" for i in range(3)}
        for kind in range(TYPES):
            names[f"{official}.msg_fc1.{kind}"] = f"{own}.messages.{kind}.first"
            names[f"{official}.msg_fc2.{kind}"] = f"{own}.messages.{kind}.second"
        for gate in GATES:
            names[f"{official}.hidden_{gate[0]}"] = f"{own}.heard.{gate}"
            names[f"{official}.input_{gate[0]}"] = f"{own}.seen.{gate}"
        return names

    def _told(
        self, memory: Float[Tensor, "b v h"], chosen: Float[Tensor, "b e k"]
    ) -> Float[Tensor, "b v h"]:
        told = [
            message(memory, self.pairs) * share
            for message, share in list(zip(self.messages, chosen.split(1, dim=2), strict=True))[1:]
        ]
        return self.pairs.received(torch.stack(told).sum(dim=0) / (TYPES - 1))

    def _remembered(
        self,
        frame: Float[Tensor, "b v c"],
        told: Float[Tensor, "b v h"],
        memory: Float[Tensor, "b v h"],
    ) -> Float[Tensor, "b v h"]:
        told = told / frame.shape[2]  # by the number of coordinates, as the authors do
        heard = {gate: layer(told) for gate, layer in self.heard.items()}
        seen = {gate: layer(frame) for gate, layer in self.seen.items()}
        kept = torch.sigmoid(seen["input"] + heard["input"])
        reset = torch.sigmoid(seen["reset"] + heard["reset"])
        new = torch.tanh(seen["new"] + reset * heard["new"])
        return (1 - kept) * new + kept * memory


class Message(nn.Module):
    """What a joint tells another over a link of one type."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(2 * hidden, hidden), nn.Linear(hidden, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, memory: Float[Tensor, "b v h"], pairs: Pairs) -> Float[Tensor, "b e h"]:
        """Two layers over what both of them remember."""
        told = torch.tanh(pairs.joined(memory, self.first.weight) + self.first.bias)
        return torch.tanh(self.second(self.dropout(told)))
