"""What the tests of exports share: a small trained-looking network and its clips."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from stores import named, small_store

from skeldistill import checkpoint, networks, recipe
from skeldistill.data.store import Store
from skeldistill.layouts import PENN13
from skeldistill.networks import Network
from skeldistill.training.turns import alone_in

CLASSES = ("run", "sit", "wave")

RECIPE = {
    "name": "small",
    "title": "Small clips",
    "data": {
        "high": {"store": "/home/somebody/secret/high.arrow"},
        "low": {"store": "/home/somebody/secret/low.arrow"},
    },
    "training": {"epochs": 3, "batch_size": 4},
    "teacher": {"name": "STGCN"},
    "student": {"name": "STGCN"},
}


def seasoned(part: type[Network], **options) -> Network:
    """A narrow network whose batch norms know these very clips, so that its scores differ."""
    torch.manual_seed(0)
    given = {"classes": 3, "persons": 2, "channels": 3, "width": 0.125, **options}
    network = louder(part(PENN13, **given))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.momentum = 1.0
    clips = torch.randn(6, network.persons, 16, 13, network.channels)
    with torch.no_grad():
        network.train()(clips)
    return network.eval()


def louder(network: Network) -> Network:
    """Scores as far apart as those of a trained network."""
    if isinstance(network.classifier, torch.nn.Linear):
        network.classifier.weight.data *= 50
    return network


def about(**sampling) -> dict:
    """What a checkpoint tells."""
    told = {"frames": 8, "persons": 2, "confidence": True, **sampling}
    return {
        "classes": list(CLASSES),
        "units": "pixels",
        "coordinates": 2,
        "sampling": recipe.Sampling(**told).model_dump(mode="json"),
        "method": "SKD",
        "recipe": recipe.parse(RECIPE).model_dump(mode="json"),
        "fold": 0,
        "seed": 1,
    }


def saved(path: Path, name: str = "ST2sGCN", **sampling) -> Path:
    """A checkpoint of a small network."""
    checkpoint.save(path, seasoned(networks.find(name)), about=about(**sampling))
    return path


def clips_in(path: Path) -> Store:
    """Twelve clips to test on and twelve others."""
    return small_store(path, [*named(12, "test"), *named(12, "train", 12)], frames=11)


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """A folder that takes long to make: of several processes with tests one makes it for all."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    folder = root / name / "made"
    with alone_in(folder.parent):
        if not folder.exists():
            make(folder.with_name("partial"))
            folder.with_name("partial").rename(folder)
    return folder
