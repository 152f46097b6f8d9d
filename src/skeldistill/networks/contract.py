"""What a network must state and say, refused in one line where it does not.

The networks of the shelf are held to it by the tests; those of one's own are not always tested.
"""

from jaxtyping import Float
from torch import Tensor

from skeldistill.networks.network import Network
from skeldistill.prediction import Prediction

STATED = ("feature_channels", "temporal_stride", "classifier")
"""What others ask of every network, beside what its base class knows."""


def require_stated(network: object) -> None:
    """Refuse a network that could not be trained, compared or kept.

    Raises:
        ValueError: it is no `Network`, has no `forward`, does not state something, or does not keep
            an argument.
    """
    name = type(network).__name__
    if not isinstance(network, Network):
        raise ValueError(f"{name} is no network of ours; derive it from skeldistill's Network")
    if type(network).forward is Network.forward:
        raise ValueError(f"network {name} does not define forward, which says a Prediction")
    for what in STATED:
        if not hasattr(network, what):
            raise ValueError(
                f"network {name} does not state {what}; set self.{what} when it is made"
            )
    network.options()


def require_said(network: Network, joints: Float[Tensor, "n m t v c"], said: object) -> Prediction:
    """What a network said of some clips, if it has the shapes that losses count on.

    Sizes that do not fit would be broadcast by some losses, and teach nonsense.

    Raises:
        ValueError: it is no `Prediction`, or one of its tensors has another shape.
    """
    name = type(network).__name__
    if not isinstance(said, Prediction):
        raise ValueError(
            f"network {name} gives {type(said).__name__}; forward returns "
            "Prediction(logits, features, present)"
        )
    n, m, _, v, _ = joints.shape
    s = _frames(said.present)
    expected = {
        "logits": ("(n, k)", (n, network.classes)),
        "features": (
            "(n, m, c, t', v)",
            (n, m, network.feature_channels, s, v if network.keeps_joints else 1),
        ),
        "present": ("(n, m, t')", (n, m, s)),
    }
    for what, (axes, shape) in expected.items():
        came = getattr(said, what)
        if not isinstance(came, Tensor) or tuple(came.shape) != shape:
            raise ValueError(
                f"network {name} gives {what} of {_told(came)}, where {axes} is {shape} for clips "
                f"of shape {tuple(joints.shape)}"
            )
    return said


def _told(came: object) -> str:
    return (
        f"shape {tuple(came.shape)}" if isinstance(came, Tensor) else f"type {type(came).__name__}"
    )


def _frames(present: object) -> int:
    """How many strided frames there are; 1 stands for what has no such axis."""
    return present.shape[-1] if isinstance(present, Tensor) and present.ndim else 1
