"""What a frozen teacher knows of its training clips, asked once and kept beside it.

The action-specific part matrix (PLKD eq. 12-13) and the bank of part features need one pass of
the teacher over all of its clips, and five more with a part occluded. The answers are kept in the
teacher's folder until the teacher or its clips change, and are memory-mapped from there: the
trainings of one machine that ask the same teacher share one copy of its bank.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import Tensor

from skeldistill.clip import UNLABELLED
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

AT_ONCE = 64
"""Clips that the teacher is asked about at a time."""


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
    known, rows = ask(teacher, high, folder), high.clips.rows
    if any(loss.bank for loss in asking):
        others = _other_matches(clips, rows)
        if len(others):
            more = _seen(teacher, replace(high, clips=others))
            known |= {name: torch.cat([known[name], said]) for name, said in more.items()}
            rows = np.concatenate([rows, others.rows])
    places = torch.from_numpy(_places(clips, rows))
    labels = torch.where(known["present"], known["labels"], UNLABELLED)
    for loss in asking:
        if isinstance(loss, PartContrastive):
            if loss.part_matrix:
                loss.set_part_weights(part_weights(known["misclassified"]))
            if loss.bank:
                loss.set_bank(known["parts"], labels, places)
        elif loss.bank:
            loss.set_bank(known["whole"], labels, places)


def ask(teacher: Network, high: Examples, folder: Path) -> dict[str, Tensor]:
    """The kept answers, or new ones if there are none for this teacher and these clips.

    Returns:
        misclassified: E of eq. (12), ``(k, p)``. parts: part features, ``(n, p, c)``, unless the
        teacher's features have no joints. whole: global features, ``(n, c)``. labels: ``(n,)``.
        present: whether it sees anybody, ``(n,)``.
    """
    mark = fingerprint(teacher, high)
    path = folder / FILE
    known = _kept(path, mark)
    if known is None:
        write_bytes(path, to_bytes(_asked(teacher, high), metadata={"fingerprint": mark}))
        known = _kept(path, mark)
        assert known is not None, f"{path} was changed while it was read"
    return known


def _kept(path: Path, mark: str) -> dict[str, Tensor] | None:
    """The answers in the file, memory-mapped; None if it has none for this mark."""
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            if file.metadata().get("fingerprint") != mark:
                return None
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError:
        return None  # cut short: asked anew


def fingerprint(teacher: Network, high: Examples) -> str:
    """Changes with the teacher's weights, its clips, and how it sees them."""
    digest = hashlib.sha256(b"who sees nobody has no answer")  # answers of before are not kept
    for name, tensor in sorted(teacher.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    digest.update(high.student.store.fingerprint.encode())
    digest.update(high.student.sampling.model_dump_json().encode())
    digest.update(np.ascontiguousarray(high.clips.rows).tobytes())
    return digest.hexdigest()


@torch.inference_mode()
def _asked(teacher: Network, high: Examples) -> dict[str, Tensor]:
    known = _seen(teacher, high)
    device = next(teacher.parameters()).device
    occluded: list[list[Tensor]] = [[] for _ in PARTS]
    for batch in high.testing(AT_ONCE):
        joints = batch.joints.to(device)
        for place, part in enumerate(PARTS):
            hidden = occlude_part(
                joints,
                teacher.layout,
                part,
                bones=high.student.sampling.stream.startswith("bone"),
                coordinates=high.student.store.channels,
            )
            occluded[place].append(teacher(hidden).logits.cpu())
    logits = torch.stack([torch.cat(one) for one in occluded])
    missed = count_misclassified(logits, known["labels"], teacher.classes)
    return known | {"misclassified": missed.contiguous()}


@torch.inference_mode()
def _seen(teacher: Network, high: Examples) -> dict[str, Tensor]:
    """Features of clips, whole and by part, and their classes: unlabelled ones as it names them."""
    teacher.eval()
    device = next(teacher.parameters()).device
    known: dict[str, list[Tensor]] = {"whole": [], "labels": [], "present": []}
    if teacher.keeps_joints:
        known["parts"] = []
    for batch in high.testing(AT_ONCE):
        said = teacher(batch.joints.to(device))
        if teacher.keeps_joints:
            known["parts"].append(part_features(said, teacher.layout).cpu())
        known["whole"].append(global_features(said).cpu())
        known["present"].append(said.present.flatten(1).any(dim=1).cpu())
        known["labels"].append(said.named(batch.labels.to(device)).cpu())
    return {name: torch.cat(said).contiguous() for name, said in known.items()}


def _other_matches(clips: Clips, rows: Int64[np.ndarray, " b"]) -> Clips:
    """The student's clips that the teacher has not learnt from, by their high-quality matches.

    Such as those whose action nobody has named.
    """
    theirs = clips.some((clips.teacher_rows != SOLITARY) & ~np.isin(clips.teacher_rows, rows))
    return replace(theirs, rows=theirs.teacher_rows)


def _places(clips: Clips, rows: Int64[np.ndarray, " b"]) -> Int64[np.ndarray, " b"]:
    """Where each high-quality clip stands among the student's; beyond the end if nowhere."""
    place = {int(row): i for i, row in enumerate(clips.teacher_rows) if row != SOLITARY}
    return np.array([place.get(int(row), len(clips) + i) for i, row in enumerate(rows)], np.int64)
