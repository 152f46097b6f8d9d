"""Weights on disk: our own checkpoints, and the authors' weights by their own names.

A checkpoint of ours is one safetensors file that also tells, as JSON, how to make the network
again and whatever the caller wants to be known about it. No file is ever executed.
"""

import json
import pickle
import warnings
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as to_bytes
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from skeldistill import layouts, networks
from skeldistill.files import write_bytes
from skeldistill.layouts import Layout
from skeldistill.networks.network import Network
from skeldistill.recipe import Part
from skeldistill.shelf import build

KEY = "skeldistill"
"""Where our JSON stands among the metadata of the safetensors file."""

VERSION = 1
"""The version of that JSON."""

OTHERS = "it has objects of other classes beside them; save the state_dict alone"
"""Of files that hold what cannot even be left unread."""

WRAPPERS = ("state_dict", "model_state_dict", "model_state", "model", "net", "weights")
"""Under which names others keep the weights inside a file."""

PREFIXES = ("module.", "model.")
"""What others put before every name (data-parallel training, a surrounding module)."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What became of an official state dict, all by official names.

    mapped: tensors that filled the network. missing: tensors of the network that it did not have
    (they keep their values). unexpected: tensors that the network has no place for.
    """

    mapped: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing was missing and nothing left over."""
        return not self.missing and not self.unexpected


def save(path: Path | str, network: Network, *, about: Mapping[str, Any]) -> None:
    """Write a network with what is known about it, whole or not at all.

    Args:
        path: the file, overwritten if it exists.
        network: any network of the shelf; its weights may be on any device.
        about: plain containers: class names, sampling, recipe, provenance.

    Raises:
        ValueError: `about` holds something that JSON cannot.
    """
    description = {
        "version": VERSION,
        "network": type(network).__name__,
        "layout": network.layout.to_dict(),
        "options": network.options(),
        "about": dict(about),
    }
    try:
        text = json.dumps(description)
    except TypeError as error:
        raise ValueError(f"a checkpoint keeps plain containers only: {error}") from None
    tensors = {
        name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()
    }
    write_bytes(Path(path), to_bytes(tensors, metadata={KEY: text}))


def load(path: Path | str) -> tuple[Network, dict[str, Any]]:
    """The network of a checkpoint, ready to evaluate (on the CPU), and what is known about it.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is truncated, not ours, or of a network that this version does not know.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is truncated or no checkpoint: {_line(error)}") from None
    if KEY not in metadata:
        raise ValueError(f"{path} holds weights but is no checkpoint of ours; see load_official")
    try:
        network, about = _remade(json.loads(metadata[KEY]))
        network.load_state_dict(tensors)
    except KeyError as error:
        raise ValueError(f"{path}: the description lacks {error}") from None
    except (ValueError, TypeError, AttributeError, RuntimeError) as error:
        raise ValueError(f"{path}: {_line(error)}") from None
    return network.eval(), about


def load_official(network: Network, state_dict: Mapping[str, Tensor]) -> Loaded:
    """Fill a network with weights under the names that its authors gave them.

    Prefixes such as ``module.`` are understood. Shapes must agree but for axes of length 1 (a
    classifier may be a linear layer or a 1x1 convolution). Nothing is changed if any disagrees.

    Raises:
        ValueError: a shape disagrees, no tensor fits at all, or some stand there twice.
    """
    names = network.official_names()
    own = network.state_dict()
    given = {_bare(name, names): tensor for name, tensor in state_dict.items()}
    if len(given) < len(state_dict):
        raise ValueError(
            f"{len(state_dict) - len(given)} weights stand twice in it, with and without a prefix "
            "such as 'module.'; keep one set"
        )
    mapped = [name for name in given if name in names]
    if not mapped:
        first = next(iter(state_dict), "none")
        raise ValueError(
            f"none of the {len(state_dict)} tensors (first: {first!r}) is a weight of "
            f"{type(network).__name__}; pick the network that the weights were trained in"
        )
    for name in mapped:
        ours, theirs = own[names[name]].shape, given[name].shape
        if _without_ones(ours) != _without_ones(theirs):
            raise ValueError(
                f"{name} has shape {tuple(theirs)} but {type(network).__name__} needs "
                f"{tuple(ours)}; its layout, partition, classes or width differ"
            )
    with torch.no_grad():
        for name in mapped:
            target = own[names[name]]
            target.copy_(given[name].reshape(target.shape))
    return Loaded(
        mapped=tuple(mapped),
        missing=_missing(network, mapped),
        unexpected=tuple(name for name in given if name not in names),
    )


def read_weights(path: Path | str) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors``, ``.pt`` or ``.pth`` file, unwrapped, without running it.

    What training frameworks keep beside the weights (mmengine its logs) is left unread.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is broken, holds no tensors, or needs code to be run.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings(action="ignore"):  # about files that are refused anyway
            content = _unpickled(path)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is broken or holds more than weights, which is not run: {_line(error)}"
        ) from None
    except Exception as error:  # a broken file can fail in any way inside the unpickler
        raise ValueError(f"{path} holds no weights, or is broken: {_line(error)}") from None
    while isinstance(content, Mapping):
        inside = next((content[name] for name in WRAPPERS if name in content), None)
        tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
        # beside the weights there may be a tensor of another kind, such as the best accuracy
        if tensors and not (isinstance(inside, Mapping) and inside):
            return tensors
        content = inside
    if isinstance(content, _Unread):
        raise ValueError(
            f"{path} holds more than weights, which is not run: where they should be, it has an "
            "object of a class that is not known here"
        )
    raise ValueError(f"{path} holds no weights; looked at the top and under {', '.join(WRAPPERS)}")


class _Unread:
    """Stands for any object of a class that is not known here; keeps nothing of it."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


def _unpickled(path: Path) -> Any:
    """What a file of ``torch.save`` holds; objects of other classes are `_Unread`."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        try:
            foreign = get_unsafe_globals_in_checkpoint(path)
        except ValueError:  # a file as before PyTorch 1.6, in which other classes cannot be told
            raise pickle.UnpicklingError(OTHERS) from None
        if not foreign:
            raise
    try:
        with safe_globals([(_Unread, name) for name in foreign]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # objects that are filled item by item, such as a defaultdict
        raise pickle.UnpicklingError(OTHERS) from None


def completion_of(about: Mapping[str, Any]) -> Part | None:
    """What filled lost joints of a network's view, if anything did, as its checkpoint tells."""
    recipe = about.get("recipe") or {}
    told = recipe.get("methods", {}).get(about.get("method"), {}).get("completion")
    return None if told is None else Part.model_validate(told)


def carry_over(
    source: Network, target: Network, *, other_actions: bool = False, other_inputs: bool = False
) -> tuple[str, ...]:
    """Start a network from another one: copy every learned tensor of equal name and shape.

    The graph stays the target's own. What differs (a classifier for other classes, weights of
    joints on another layout) keeps the target's values.

    Args:
        source: what is copied from.
        target: what is started.
        other_actions: the classes are others, so that as many of them are no reason to keep them.
        other_inputs: the channels are others, such as depth instead of scores, be they as many.

    Returns:
        The names of the target's learned tensors that were not copied.

    Raises:
        ValueError: nothing fits.
    """
    theirs, ours = target.inherited(source), target.state_dict()
    learned = _learned(target)
    # what is of another kind may have the same shape
    apart: set[str] = set()
    if source.layout.joints != target.layout.joints:
        apart |= _of_joints(target)
    if other_actions:
        apart |= _depending(target, target.layout, classes=target.classes + 1)
    if other_inputs:
        apart |= _depending(target, target.layout, channels=target.channels + 1)
    fitting = [
        name
        for name in learned
        if name in theirs and name not in apart and theirs[name].shape == ours[name].shape
    ]
    if not fitting:
        raise ValueError(
            f"no weight of {type(source).__name__} fits {type(target).__name__}; "
            "start from the same network, of the same width"
        )
    with torch.no_grad():
        for name in fitting:
            ours[name].copy_(theirs[name])
    return tuple(name for name in learned if name not in fitting)


def freeze_all_but_head(network: Network, fresh: Collection[str] = ()) -> None:
    """Let only the classifier learn, and what starts anew; the rest keeps its statistics, too.

    Args:
        network: what to freeze.
        fresh: names of weights that nothing was carried over to, as `carry_over` gives them.
    """
    for name, weight in network.named_parameters():
        weight.requires_grad_(name in fresh)
    network.classifier.requires_grad_(True)
    network.train(network.training)


def _remade(description: Mapping[str, Any]) -> tuple[Network, dict[str, Any]]:
    if description["version"] != VERSION:
        raise ValueError(f"checkpoint of version {description['version']}; known: {VERSION}")
    network = build(
        "network",
        networks.find(description["network"]),
        description["options"],
        Layout.from_dict(description["layout"]),
    )
    return network, description["about"]


def _learned(network: Network) -> list[str]:
    """Names of weights and running statistics: all but the graph and the counters."""
    weights = [name for name, _ in network.named_parameters()]
    statistics = (".running_mean", ".running_var")
    return weights + [name for name, _ in network.named_buffers() if name.endswith(statistics)]


def _of_joints(network: Network) -> set[str]:
    """Names of the tensors with values for each joint: their shapes follow the layout's."""
    joints = network.layout.num_joints
    # one more or less may round to the same kernel over joints (AGCN's attention)
    other = next(one for one in layouts.SHELF.values() if abs(one.num_joints - joints) > 1)
    return _depending(network, other)


def _depending(network: Network, layout: Layout, **options: Any) -> set[str]:
    """Names of the tensors whose shapes follow what is other here: the layout, or some options."""
    with torch.device("meta"):
        like = build("network", type(network), {**network.options(), **options}, layout)
        shapes = {name: tensor.shape for name, tensor in like.state_dict().items()}
    return {
        name for name, tensor in network.state_dict().items() if shapes.get(name) != tensor.shape
    }


def _missing(network: Network, mapped: Sequence[str]) -> tuple[str, ...]:
    """Official names of the learned tensors that nothing filled, one for each.

    Where several codebases have a name for it, that which most resembles the names that came.
    """
    names = network.official_names()
    filled = {names[name] for name in mapped}
    begun = {name[:length] for name in mapped for length in range(len(name) + 1)}
    missing: dict[str, str] = {}
    for official, own in names.items():
        better = own not in missing or _shared(official, begun) > _shared(missing[own], begun)
        if own not in filled and better:
            missing[own] = official
    learned = set(_learned(network))
    return tuple(official for own, official in missing.items() if own in learned)


def _shared(name: str, begun: Set[str]) -> int:
    """How many of its first letters are also the beginning of a name that came."""
    return max(length for length in range(len(name) + 1) if name[:length] in begun)


def _bare(name: str, known: Mapping[str, str]) -> str:
    while name not in known:
        prefix = next((prefix for prefix in PREFIXES if name.startswith(prefix)), None)
        if prefix is None:
            break
        name = name.removeprefix(prefix)
    return name


def _without_ones(shape: torch.Size) -> list[int]:
    return [size for size in shape if size != 1]


def _line(error: Exception) -> str:
    """The beginning of an error, on one line."""
    text = " ".join(str(error).split())
    return text if len(text) <= 200 else f"{text[:200]} ..."
