"""Official weights: from the file of another codebase to a model that runs, teaches and starts."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from skeldistill import checkpoint, networks
from skeldistill.checkpoint import Loaded
from skeldistill.data.shown import with_scores
from skeldistill.deploy.saved import NETWORKS
from skeldistill.layouts import COCO17, Layout
from skeldistill.networks.network import Network
from skeldistill.recipe import Sampling
from skeldistill.shelf import build, pick

LARGEST = 2**20
"""Bytes of a file that may be a list of actions."""


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How a codebase prepares the clips that its networks are shown in testing.

    sampling: from a clip to what the network sees. coordinates: of a joint. units: of the clips.
    note: in what the codebase's own preparation differs, or what the clips must be; "" for nothing.
    """

    sampling: Sampling
    coordinates: int
    units: str
    note: str = ""


PREPARATIONS: Mapping[str, Preparation] = {
    "pyskl-2d": Preparation(
        sampling=Sampling(frames=100, persons=2, normalisation="image", test_clips=10),
        coordinates=2,
        units="pixels",
        note="PYSKL repeats clips of fewer than 100 frames where frames are taken twice here",
    ),
    "pyskl-3d": Preparation(
        sampling=Sampling(
            frames=100, persons=2, normalisation="body", confidence=False, test_clips=10
        ),
        coordinates=3,
        units="metres",
        note="bodies are turned upright; of a network that was trained with align_spine=False, as "
        "DG-STGCN, set normalisation=spine",
    ),
    "st-gcn-2d": Preparation(
        sampling=Sampling(frames=300, persons=2, frame_choice="zeros", normalisation="none"),
        coordinates=2,
        units="normalised",
        note="coordinates from -0.5 to 0.5, as in the authors' Kinetics arrays (reader stgcn_npy, "
        "or kinetics_skeleton with option centred=true)",
    ),
    "st-gcn-3d": Preparation(
        sampling=Sampling(
            frames=300, persons=2, frame_choice="zeros", normalisation="none", confidence=False
        ),
        coordinates=3,
        units="metres",
        note="joints as the camera has them, neither centred nor turned",
    ),
    "ctr-gcn": Preparation(
        sampling=Sampling(
            frames=64, persons=2, frame_choice="resize", normalisation="spine", confidence=False
        ),
        coordinates=3,
        units="metres",
        note="the authors keep the middle 95 % of a clip, all of it is seen here",
    ),
}
"""By codebase and kind of skeletons. mmaction2 prepares clips as PYSKL does."""


def preparation(name: str, changes: Mapping[str, Any], units: str | None = None) -> Preparation:
    """A codebase's preparation with changes to its sampling.

    Raises:
        ValueError: there is no such codebase or key of sampling, or a value cannot be.
    """
    told: Preparation = pick("preparation", PREPARATIONS, name)
    try:
        sampling = Sampling(**(told.sampling.model_dump() | dict(changes)))
    except ValueError as error:
        line = " ".join(str(error).split())
        raise ValueError(f"sampling of {name}: {line[:200]}") from None
    return Preparation(
        sampling=sampling,
        coordinates=told.coordinates,
        units=units or told.units,
        note=told.note,
    )


def actions(text: str) -> tuple[int, tuple[str, ...]]:
    """How many actions there are, and their names: from a number, or a file of one name a line.

    Raises:
        OSError: there is no such file.
        ValueError: it names fewer than two actions, or one of them twice.
    """
    if text.isdecimal():
        if int(text) < 2:
            raise ValueError(f"--classes {text}: a network tells two actions apart at least")
        return int(text), ()
    path = Path(text)
    if path.stat().st_size > LARGEST:
        raise ValueError(f"{path} is too large for a list of actions")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text; write one action a line") from None
    names = tuple(name for line in lines if (name := line.strip()))
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if len(names) < 2 or twice is not None:
        found = f"{twice!r} twice" if twice else f"{len(names)} actions"
        raise ValueError(f"{path} names {found}; write one action a line, from label 0 on")
    return len(names), names


def import_weights(
    network: str,
    file: Path,
    folder: Path,
    *,
    layout: Layout,
    classes: tuple[int, Sequence[str]],
    prepared: Preparation,
    options: Mapping[str, Any] | None = None,
    partial: bool = False,
) -> Loaded:
    """Write a model's folder from official weights: as a finished run's, ready for everything.

    Nothing in the file is run. The network is run once, so that a folder that is written works.

    Args:
        network: of the shelf, by name.
        file: a ``.pth``, ``.pt`` or ``.safetensors`` of the authors, PYSKL, mmaction2 ...
        folder: what is written; its ``network.safetensors`` is replaced.
        layout: the joints that the network was trained on, in their order.
        classes: how many actions, and their names; none if nobody names them.
        prepared: how clips are prepared for it.
        options: of the network, where they are not the usual ones.
        partial: also write a network that the file does not fill: to start a training from.

    Returns:
        What was mapped, missing and left over, by the official names.

    Raises:
        OSError: there is no such file, or the folder cannot be written to.
        ValueError: one line: the file holds no weights, or those of another network.
    """
    _refuse_other_bones(layout, prepared)
    made = _made(network, layout, classes[0], prepared, options or {})
    loaded = checkpoint.load_official(made, checkpoint.read_weights(file))
    if loaded.missing and not partial:
        raise ValueError(
            f"{file} lacks {len(loaded.missing)} tensors of {network}, such as "
            f"{loaded.missing[0]!r}; see whether the network and its options are those of the "
            "weights, or take what there is (--partial) to start a training from"
        )
    _refuse_nonsense(made, prepared.sampling, file)
    checkpoint.save(
        folder / NETWORKS[0],
        made,
        about={
            "classes": list(classes[1]),
            "units": prepared.units,
            "coordinates": prepared.coordinates,
            "sampling": prepared.sampling.model_dump(mode="json"),
            "imported": {
                "file": file.name,
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                "missing": list(loaded.missing),
                "left_over": list(loaded.unexpected),
            },
        },
    )
    return loaded


def _refuse_other_bones(layout: Layout, prepared: Preparation) -> None:
    """PYSKL and mmaction2 hang COCO's hips on the nose where they make bones (not in the graph)."""
    flat = prepared.coordinates == 2 and layout.joints == COCO17.joints
    if flat and prepared.sampling.stream.startswith("bone"):
        raise ValueError(
            "PYSKL's bones of coco17 hang the hips on the nose and ours on the shoulders, so the "
            "network would be shown other bones; import its joint stream (sampling.stream joint, "
            "or velocity for jm)"
        )


def _made(
    name: str, layout: Layout, classes: int, prepared: Preparation, options: Mapping[str, Any]
) -> Network:
    sampling = prepared.sampling
    derived = {
        "classes": classes,
        "persons": sampling.persons,
        "channels": prepared.coordinates + with_scores(sampling, prepared.coordinates),
    }
    if given := next((key for key in derived if key in options), None):
        raise ValueError(
            f"option {given} of the network follows from the classes and the sampling; "
            "change those instead"
        )
    made: Network = build("network", networks.find(name), {**options, **derived}, layout)
    return made.eval()


def _refuse_nonsense(network: Network, sampling: Sampling, file: Path) -> None:
    """Run the network once: it must take clips of that length, and say numbers."""
    shape = (1, network.persons, sampling.frames, network.layout.num_joints, network.channels)
    generator = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        said = network(torch.rand(shape, generator=generator)).logits
    if not said.isfinite().all():
        raise ValueError(f"{file} holds weights that are no numbers; fetch it anew")
