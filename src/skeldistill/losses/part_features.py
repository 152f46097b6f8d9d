"""Features of the five body parts (PLKD 3.3.1), and of the whole body."""

import functools

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from skeldistill.layouts import Layout
from skeldistill.losses.loss import precise, without_autocast
from skeldistill.prediction import Prediction


def part_features(prediction: Prediction, layout: Layout) -> Float[Tensor, "n p c"]:
    """One vector for each of the five parts: what its joints say on average.

    The mean over the joints of the part, frames and persons. Absent persons and padded frames
    weigh nothing, central joints are in no part (PLKD leaves both open), and a clip without
    anybody has zeros.

    Args:
        prediction: of any network on `layout`.
        layout: says which joints make a part.

    Raises:
        ValueError: the features have another number of joints than the layout.
    """
    return _parts(_over_persons(prediction), layout).transpose(1, 2)


def part_map(
    prediction: Prediction, layout: Layout, segments: int = 1
) -> Float[Tensor, "n c segments p"]:
    """Part features over equal stretches of time: a small graph that any two layouts share.

    A stretch in which nobody is there takes the features of the whole clip.

    Args:
        prediction: of any network on `layout`.
        layout: says which joints make a part.
        segments: how many stretches.
    """
    features = precise(prediction.features)
    present = prediction.present.to(features.dtype)
    frames = torch.eye(present.shape[2], dtype=features.dtype, device=features.device)
    stretches = functional.adaptive_avg_pool1d(frames.unsqueeze(0), segments)[0]  # s segments
    shown = (features * present[:, :, None, :, None]).sum(dim=1)  # n c s v
    with without_autocast(features):
        shown = torch.einsum("ncsv,sg->ncgv", shown, stretches)
        share = (present.sum(dim=1) @ stretches)[:, None, :, None]
    whole = _over_persons(prediction).unsqueeze(2)
    empty = share == 0
    return _parts(torch.where(empty, whole, shown / share.masked_fill(empty, 1)), layout)


def global_features(prediction: Prediction) -> Float[Tensor, "n c"]:
    """One vector for the whole clip: the mean over joints, present frames and present persons."""
    return _over_persons(prediction).mean(dim=2)


def _over_persons(prediction: Prediction) -> Float[Tensor, "n c v"]:
    """The mean over the frames in which somebody is there, of everybody who is."""
    features = precise(prediction.features)
    present = prediction.present.to(features.dtype)
    weights = present / present.sum(dim=(1, 2), keepdim=True).clamp(min=1)
    return (features * weights[:, :, None, :, None]).sum(dim=(1, 3))


def _parts(features: Float[Tensor, "n c *s v"], layout: Layout) -> Float[Tensor, "n c *s p"]:
    """The mean over the joints of every part."""
    if features.shape[-1] != layout.num_joints:
        raise ValueError(
            f"features have {features.shape[-1]} joints but layout {layout.name!r} has "
            f"{layout.num_joints}; part features need the layout that the network was made for"
        )
    with without_autocast(features):
        return features @ _mean_of_parts(layout, features.dtype, features.device)


@functools.lru_cache(maxsize=16)
def _mean_of_parts(
    layout: Layout, dtype: torch.dtype, device: torch.device
) -> Float[Tensor, "v p"]:
    """What every joint weighs in the mean of each part; kept, since sending it takes a wait."""
    with torch.inference_mode(False):  # a step of training may ask again
        members = torch.as_tensor(layout.part_members, dtype=dtype)
        return (members / members.sum(dim=1, keepdim=True)).T.to(device)
