"""What a frozen teacher knows of its training clips, asked once and kept beside it.

The action-specific part matrix (PLKD eq. 12-13) and the bank of part features need one pass of
the teacher over all of its clips, and five more with a part occluded. The answers are kept in the
teacher's folder until the teacher or its clips change.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from skeldistill.data.dataset import Examples
from skeldistill.data.pairing import SOLITARY, Clips
from skeldistill.distillation.part_matrix import count_misclassified, occlude_part, part_weights
from skeldistill.files import write_bytes
from skeldistill.layouts import PARTS
from skeldistill.losses.global_contrastive import GlobalContrastive
from skeldistill.losses.loss import Loss
from skeldistill.losses.part_contrastive import PartContrastive
from skeldistill.losses.part_features import global_features, part_features
from skeldistill.networks.network import Network

FILE = "knowledge.safetensors"


def share_knowledge(
    losses: Sequence[Loss], teacher: Network, high: Examples, clips: Clips, *, folder: Path
) -> None:
    """Give every loss that asks for it the part matrix and the bank.

    Args:
        losses: of the student.
        teacher: trained.
        high: the teacher's training clips, as it sees them.
        clips: the student's training clips, whose places a bank refers to.
        folder: the teacher's, where the answers are kept.
    """
    asking = [
        loss
        for loss in losses
        if isinstance(loss, PartContrastive | GlobalContrastive)
        and (loss.bank or getattr(loss, "part_matrix", False))
    ]
    if not asking:
        return
    known = ask(teacher, high, folder)
    places = torch.from_numpy(_places(clips, high))
    for loss in asking:
        if isinstance(loss, PartContrastive):
            if loss.part_matrix:
                loss.set_part_weights(part_weights(known["misclassified"]))
            if loss.bank:
                loss.set_bank(known["parts"], known["labels"], places)
        elif loss.bank:
            loss.set_bank(known["whole"], known["labels"], places)


def ask(teacher: Network, high: Examples, folder: Path) -> dict[str, Tensor]:
    """The kept answers, or new ones if there are none for this teacher and these clips.

    Returns:
        misclassified: E of eq. (12), ``(k, p)``. parts: part features, ``(n, p, c)``, unless the
        teacher's features have no joints. whole: global features, ``(n, c)``. labels: ``(n,)``.
    """
    mark = fingerprint(teacher, high)
    path = folder / FILE
    if path.exists():
        try:
            with safe_open(path, "pt") as file:
                if file.metadata().get("fingerprint") == mark:
                    return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError:
            pass  # cut short: asked anew below
    known = _asked(teacher, high)
    write_bytes(path, to_bytes(known, metadata={"fingerprint": mark}))
    return known


def fingerprint(teacher: Network, high: Examples) -> str:
    """Changes with the teacher's weights, its clips, and how it sees them."""
    digest = hashlib.sha256()
    for name, tensor in sorted(teacher.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    digest.update(high.student.store.fingerprint.encode())
    digest.update(high.student.sampling.model_dump_json().encode())
    digest.update(np.ascontiguousarray(high.clips.rows).tobytes())
    return digest.hexdigest()


@torch.inference_mode()
def _asked(teacher: Network, high: Examples, batch_size: int = 64) -> dict[str, Tensor]:
    teacher.eval()
    device = next(teacher.parameters()).device
    parts, whole, labels = [], [], []
    occluded: list[list[Tensor]] = [[] for _ in PARTS]
    for batch in high.testing(batch_size):
        batch = batch.to(device)
        said = teacher(batch.joints)
        if teacher.keeps_joints:
            parts.append(part_features(said, teacher.layout).cpu())
        whole.append(global_features(said).cpu())
        labels.append(batch.labels.cpu())
        for place, part in enumerate(PARTS):
            hidden = occlude_part(batch.joints, teacher.layout, part)
            occluded[place].append(teacher(hidden).logits.cpu())
    every = torch.cat(labels)
    logits = torch.stack([torch.cat(one) for one in occluded])
    known = {
        "misclassified": count_misclassified(logits, every, teacher.classes).contiguous(),
        "whole": torch.cat(whole).contiguous(),
        "labels": every,
    }
    return known | ({"parts": torch.cat(parts).contiguous()} if parts else {})


def _places(clips: Clips, high: Examples) -> Int64[np.ndarray, " b"]:
    """Where each of the teacher's clips stands among the student's; beyond the end if nowhere."""
    place = {int(row): i for i, row in enumerate(clips.teacher_rows) if row != SOLITARY}
    rows = high.clips.rows
    return np.array([place.get(int(row), len(clips) + i) for i, row in enumerate(rows)], np.int64)
