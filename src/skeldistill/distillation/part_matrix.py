"""The action-specific part matrix, PLKD eq. (12)-(13): which parts tell which action.

A part whose loss makes the teacher miss an action tells of that action.
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from skeldistill.layouts import PARTS, Layout
from skeldistill.shelf import nearest


def occlude_part(
    joints: Float[Tensor, "n m t v c"],
    layout: Layout,
    part: str,
    *,
    bones: bool = False,
    coordinates: int | None = None,
) -> Float[Tensor, "n m t v c"]:
    """The same clips with the joints of one part lost (set to 0); the input stays untouched.

    Args:
        joints: what a network is shown.
        layout: of the joints.
        part: one of `PARTS`.
        bones: joints are seen from their parents, so that those that hang on a lost one are lost
            to the network as well; only their scores are known.
        coordinates: the first channels, which scores may follow; all of them by default.

    Raises:
        ValueError: no part of that name; names the nearest one.
    """
    if part not in PARTS:
        raise ValueError(f"no part called {part!r}; {nearest(part, PARTS)}")
    members = torch.as_tensor(layout.part_members[PARTS.index(part)], device=joints.device)
    hidden = joints.masked_fill(members[:, None], 0)
    if bones:
        hanging = members[torch.as_tensor(layout.parents, device=joints.device)]
        hidden[..., :coordinates].masked_fill_(hanging[:, None], 0)
    return hidden


def count_misclassified(
    logits_per_part: Float[Tensor, "p n k"], labels: Int[Tensor, " n"], classes: int
) -> Float[Tensor, "k p"]:
    """The share of each class's clips that the teacher gets wrong without each part: eq. (12).

    Args:
        logits_per_part: the teacher's scores for the clips with the first, the second ... part
            of `PARTS` occluded.
        labels: classes of the clips.
        classes: how many classes there are; one without clips has zeros.
    """
    wrong = (logits_per_part.argmax(dim=2) != labels).double()
    shown = torch.nn.functional.one_hot(labels, classes).double()
    ratio = (wrong @ shown).T / shown.sum(dim=0).clamp(min=1).unsqueeze(1)
    return ratio.to(logits_per_part.dtype)


def part_weights(
    misclassified: Float[Tensor, "k p"] | Float[np.ndarray, "k p"],
) -> Float[Tensor, "k p"]:
    """E, how much each part weighs for each class: eq. (13), a softmax over the parts.

    Args:
        misclassified: ratios of eq. (12), as `count_misclassified` gives them.
    """
    return torch.softmax(torch.as_tensor(misclassified), dim=1)
