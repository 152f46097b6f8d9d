"""Models to share: a folder with weights, recipe and model card, and loading one from anywhere.

The folder is what `huggingface_hub` uploads as a repository of its own:
``hf upload OWNER/NAME FOLDER``.
"""

import copy
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import torch
import yaml

from skeldistill import checkpoint
from skeldistill.deploy.export_folder import refuse_to_write_over
from skeldistill.deploy.hub_card import card, sealed, untouched
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.deploy.saved import network_file
from skeldistill.extras import require
from skeldistill.files import write_text

MODEL, RECIPE, CARD = "model.safetensors", "recipe.yaml", "README.md"
"""What the folder holds."""

REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")
"""What a repository is called: owner/name."""


def export_hub(
    path: Path,
    folder: Path,
    *,
    accuracy: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> None:
    """Write a folder that others can load: weights, recipe, and a model card with what is known.

    What was measured in training is read from ``measured.json`` beside the network and
    ``results.json`` of its experiment, where they are. Paths of the machine that it was trained on
    are cut to the names of the files.

    Args:
        path: a checkpoint, or a run's folder.
        folder: made if it does not exist.
        accuracy: a sentence on what was measured just now.
        say: takes what is to be said, line by line.

    Raises:
        OSError: there is no such file.
        ValueError: it is no checkpoint, or does not say how clips are prepared; the folder has a
            recipe or a README that no export wrote, or a README that was filled in.
    """
    _refuse_what_would_be_lost(folder)
    file = network_file(path)
    network, about = checkpoint.load(file)
    recogniser = Recogniser.of(network, about)
    about = without_paths(about)
    measured = _read(file.parent / "measured.json")
    results = _results(file, about, measured)
    text = card(recogniser, about, measured, results, accuracy)
    checkpoint.save(folder / MODEL, network, about=about)
    (folder / RECIPE).unlink(missing_ok=True)  # of what was there before
    if about.get("recipe"):
        told = yaml.safe_dump(about["recipe"], sort_keys=False, allow_unicode=True)
        write_text(folder / RECIPE, told)
    write_text(folder / CARD, sealed(text))
    say(f"{MODEL}, {RECIPE}, {CARD}: read the card and fill in what nobody but you knows")


def from_pretrained(
    path_or_repository: Path | str,
    *,
    revision: str | None = None,
    device: torch.device | None = None,
) -> Recogniser:
    """The recogniser of an exported folder, a checkpoint, a run, or a Hugging Face repository.

        skeldistill.from_pretrained("OWNER/NAME").recognise(clip)

    Only the weights are fetched, and nothing that is fetched is run.

    Args:
        path_or_repository: a path if there is such a file or folder, else ``owner/name``.
        revision: a branch, tag or commit of the repository.
        device: where the network is to run.

    Raises:
        OSError: there is no such path or repository, or it cannot be reached.
        ValueError: what it holds is no model of ours, or huggingface_hub is not installed.
    """
    path = Path(path_or_repository)
    if path.exists():
        return Recogniser.load(path, device)
    if not REPOSITORY.fullmatch(str(path_or_repository)):
        raise FileNotFoundError(
            f"no model at {path_or_repository}; give a file, a folder, or a repository OWNER/NAME"
        )
    hub = require("huggingface_hub", extra="hub")
    try:
        fetched = hub.hf_hub_download(str(path_or_repository), MODEL, revision=revision)
    except Exception as error:  # of the library, of the network below it, or of its server
        why = " ".join(str(error).split())[:200]
        raise OSError(
            f"no path {path_or_repository}, and no {MODEL} of such a repository ({why})"
        ) from error
    return Recogniser.load(Path(fetched), device)


def without_paths(about: Mapping[str, Any]) -> dict[str, Any]:
    """The same description, absolute paths of its recipe cut to file names."""
    told = copy.deepcopy(dict(about))
    recipe = told.get("recipe")
    if not isinstance(recipe, dict):
        return told
    # a recipe's other texts are no paths, but may look like one: `data.group` is a pattern
    views = recipe.get("data") or {}
    for view in ("high", "low"):
        if view in views:
            views[view] = _named(views[view])
    if recipe.get("methods"):
        recipe["methods"] = _named(recipe["methods"])
    return told


def _refuse_what_would_be_lost(folder: Path) -> None:
    """Refuse a folder with an experiment's recipe, or a card that somebody has written into."""
    if not (folder / MODEL).exists():
        refuse_to_write_over(folder, (RECIPE, CARD))
    elif (folder / CARD).exists() and not untouched((folder / CARD).read_text(encoding="utf-8")):
        raise ValueError(
            f"{folder / CARD} was filled in since it was written; move it away, export, and carry "
            "over what you wrote"
        )


def _named(told: Any) -> Any:
    """The same with every absolute path, however deep, as `_name` has it."""
    if isinstance(told, str):
        return _name(told)
    if isinstance(told, Mapping):
        return {key: _named(value) for key, value in told.items()}
    return [_named(value) for value in told] if isinstance(told, list | tuple) else told


def _name(path: str) -> str:
    """The last part of an absolute path; others, and `$NAME/...`, stay."""
    for kind in (PurePosixPath(path), PureWindowsPath(path)):
        if kind.is_absolute() or path.startswith("~"):
            return kind.name
    return path


def _read(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing if there is none."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _results(file: Path, about: Mapping[str, Any], measured: Mapping[str, Any]) -> dict[str, Any]:
    """The experiment's results, if the network still stands in its folder (fold/method/seed).

    They are of this very training if they tell its history: a recipe may have been changed since
    they were written, and keeps its name.
    """
    folders, history = file.absolute().parents, measured.get("history")
    told = _read(folders[3] / "results.json") if len(folders) > 3 else {}
    rows = [row for row in told.get("methods") or () if row["name"] == about.get("method")]
    histories = [curve["epochs"] for row in rows for curve in row.get("curves") or ()]
    return told if history and history in histories else {}
