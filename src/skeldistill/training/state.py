"""The state of a training on disk, so that an interrupted run goes on exactly."""

import csv
import io
import logging
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.precision import Precision
from torch import nn

from skeldistill import processes
from skeldistill.files import whole

LOG = logging.getLogger(__name__)

STATE = "state.pt"
BEFORE = "state-before.pt"
LOG_FILE = "log.csv"
GROUPS = ("terms", "conflicts", "strengths", "skipped")


def save(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: list[dict[str, Any]],
    precision: Precision | None = None,
) -> None:
    """Keep all that training changes; the state before stays as well, in case this is lost.

    Args:
        folder: of the training.
        model: its weights are kept.
        optimizer: its momentum is kept.
        history: of all epochs up to now.
        precision: of 16-mixed, the scale of the loss is kept.
    """
    kept = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": history,
        "precision": precision.state_dict() if precision is not None else {},
    }
    content = io.BytesIO()
    torch.save(kept, content)
    with whole(folder / STATE) as partial:
        partial.write_bytes(content.getbuffer())
        if (folder / STATE).exists():
            (folder / STATE).replace(folder / BEFORE)
    write_log(folder / LOG_FILE, history)


def begin(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    precision: Precision | None = None,
) -> list[dict[str, Any]]:
    """Go on as `load` does, or keep the state before the first step; the history up to now.

    So a training that stops in its first epoch has a state as well.
    """
    history = load(folder, model, optimizer, precision)
    if history is None and processes.first():
        save(folder, model, optimizer, [], precision)
    return history or []


def load(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    precision: Precision | None = None,
) -> list[dict[str, Any]] | None:
    """Fill what `save` has kept from the newest sound state; its history, or None without a state.

    A state that a crash, a full disk or a disk's decay has damaged is passed over, with a warning
    in the log.
    """
    broken = []
    for name in (STATE, BEFORE):
        if not (folder / name).exists():
            continue
        found = _read(folder / name)
        if found is None:
            broken.append(name)
            continue
        model.load_state_dict(found["model"])
        optimizer.load_state_dict(found["optimizer"])
        if precision is not None and found.get("precision"):  # states of before had none
            precision.load_state_dict(found["precision"])
        if broken:
            epoch = len(found["history"])
            LOG.warning("%s is broken; going on after epoch %d, from %s", broken[0], epoch, name)
        return found["history"]
    if broken:
        LOG.warning("%s in %s broken; beginning anew", " and ".join(broken), folder)
    return None


def _read(path: Path) -> dict[str, Any] | None:
    """What a file of `save` holds; None if it is not as it was written, be it by one bit."""
    try:
        # It has a checksum of every part, at which torch does not look.
        with zipfile.ZipFile(path) as archive:
            if archive.testzip() is not None:
                return None
        return torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception:  # damaged names and sizes can fail in any way
        return None


def forget(folder: Path) -> None:
    """Remove the state of a training that is done."""
    for name in (STATE, BEFORE):
        (folder / name).unlink(missing_ok=True)


def write_log(path: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """The history as a table, for those who would rather open it than TensorBoard.

    A training that goes on may have begun when less was kept.
    """
    columns = ["epoch", "learning_rate", "loss", "top1", "seconds"]
    for group in GROUPS:
        names = {name for entry in history for name in entry.get(group, {})}
        columns += [f"{group}.{name}" for name in sorted(names)]
    with whole(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        for entry in history:
            row = {key: entry[key] for key in columns if key in entry}
            for group in GROUPS:
                row |= {f"{group}.{name}": value for name, value in entry.get(group, {}).items()}
            writer.writerow(row)
