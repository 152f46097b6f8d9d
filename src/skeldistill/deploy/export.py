"""Export: a trained network as files that run where skeldistill is not.

    export_onnx(Recogniser.load("network.safetensors"), Path("out"))    # ONNX Runtime
    export_torch(Recogniser.load("network.safetensors"), Path("out"))   # torch alone

The folder holds the network and all that is needed to run it: how clips are prepared
(preprocessing.json), the actions' names (labels.json), the joints (layout.json), and example.py.
"""

import copy
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32

from skeldistill.deploy.export_example import fills, onnx_example, torch_example
from skeldistill.deploy.export_folder import forget, refuse_others, write_folder
from skeldistill.deploy.export_int8 import quantise
from skeldistill.deploy.export_measure import Measuring, Scores
from skeldistill.deploy.export_onnx import (
    Agreement,
    OnnxScores,
    compare,
    require_packages,
    write_onnx,
)
from skeldistill.deploy.export_program import Program, program_of, refused
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.files import whole
from skeldistill.networks.network import Network

Say = Callable[[str], None]
"""Takes a line for the user."""

Tell = Callable[[int, int], None]
"""Takes how many clips of how many are done."""


def export_onnx(
    recogniser: Recogniser,
    folder: Path,
    *,
    measuring: Measuring | None = None,
    int8: bool = False,
    say: Say = lambda _: None,
    tell: Tell = lambda *_: None,
) -> None:
    """Write ``model.onnx`` and what is needed to run it; with `int8`, ``model.int8.onnx`` too.

    The files are run in ONNX Runtime, and what came of it is said, before they get their names. An
    earlier export of this kind in the folder is replaced, with its ``model.int8.onnx``.

    Args:
        recogniser: the network, and how clips are prepared for it.
        folder: made if it does not exist.
        measuring: clips to measure the accuracy on; int8 needs them.
        int8: also write a smaller and faster form, whose accuracy is said to differ.
        say: takes what is to be said, line by line.
        tell: takes how far measuring is.

    Raises:
        ValueError: the network cannot be exported; int8 without clips, or of a network that has
            nothing for it; the folder holds an export of another kind.
    """
    network, sampling = recogniser.network, recogniser.sampling
    if int8 and measuring is None:
        raise ValueError("int8 needs clips to set its scales by; name a store (--store)")
    require_packages()
    refuse_others(folder, "model.onnx", "model.int8.onnx")
    with ExitStack() as files:
        partial = files.enter_context(whole(folder / "model.onnx"))
        agreement = write_onnx(network, partial, sampling.frames)
        say(f"model.onnx: {agreement}; {_takes(agreement.frames)}")
        runners = {"PyTorch": torch_scores(network), "model.onnx": OnnxScores(partial)}
        if int8:
            assert measuring is not None
            smaller = files.enter_context(whole(folder / "model.int8.onnx"))
            if not quantise(partial, smaller, measuring.calibration()):
                raise ValueError(
                    f"{type(network).__name__} has no product that int8 knows; leave --int8 away"
                )
            runners["model.int8.onnx"] = OnnxScores(smaller)
        if measuring is not None:
            _measure(measuring, runners, say, tell)
        example = onnx_example(recogniser, int8=int8)
        _describe(folder, recogniser, agreement.frames, example, say)


def export_torch(
    recogniser: Recogniser,
    folder: Path,
    *,
    measuring: Measuring | None = None,
    say: Say = lambda _: None,
    tell: Tell = lambda *_: None,
) -> None:
    """Write ``model.pt2``, which ``torch.export.load`` opens, and what is needed to run it.

    Raises:
        ValueError: the network cannot be exported; the folder holds an export of another kind.
    """
    network = recogniser.network
    refuse_others(folder, "model.pt2")
    with whole(folder / "model.pt2") as partial:
        scores, agreement, fewest = _torch_file(network, partial, recogniser.sampling.frames)
        say(f"model.pt2: {agreement}; {_takes(agreement.frames, fewest)}")
        if measuring is not None:
            _measure(measuring, {"PyTorch": torch_scores(network), "model.pt2": scores}, say, tell)
        _describe(folder, recogniser, agreement.frames, torch_example(recogniser), say)


def torch_scores(network: Network) -> Scores:
    """The network itself as a function of arrays."""
    still = copy.deepcopy(network).cpu().eval()

    def scores(joints: Float32[np.ndarray, "n m t v c"]) -> Float32[np.ndarray, "n k"]:
        with torch.inference_mode():
            return still(torch.from_numpy(joints)).logits.numpy()

    return scores


def _torch_file(network: Network, path: Path, frames: int) -> tuple[Scores, Agreement, int]:
    """A file for any number of frames, or where that cannot be, for the usual one.

    Returns:
        What it says, how near that is, and the fewest frames that it takes.
    """
    refusal: Exception | None = None
    for any_frames in (True, False):
        program = program_of(network, frames, any_frames=any_frames)
        _save(program, path)
        scores = _loaded(path)
        try:
            agreement = compare(network, scores, frames, program.frames)
        except Exception as error:  # what the tracer took for granted does not hold
            refusal = error
            continue
        if agreement.near:
            return scores, agreement, program.fewest
        refusal = ValueError(str(agreement))
    raise ValueError(refused(network, "torch.export", refusal)) from refusal


def _save(program: Program, path: Path) -> None:
    with warnings.catch_warnings():
        # it is about weights that are not on the CPU; these are
        warnings.filterwarnings("ignore", "No complete tensor found in the group", UserWarning)
        torch.export.save(program.program, path)


def _loaded(path: Path) -> Scores:
    module = torch.export.load(path).module()

    def scores(joints: Float32[np.ndarray, "n m t v c"]) -> Float32[np.ndarray, "n k"]:
        with torch.inference_mode():
            return module(torch.from_numpy(joints)).numpy()

    return scores


def _measure(measuring: Measuring, runners: dict, say: Say, tell: Tell) -> None:
    accuracies = measuring.accuracies(runners, tell)
    plain = accuracies["PyTorch"]
    for name, accuracy in accuracies.items():
        change = "" if name == "PyTorch" else f" ({accuracy - plain:+.2f})"
        say(f"{name}: top-1 {accuracy:.2f} %{change} of {len(measuring.tested)} clips")
    if "model.int8.onnx" in runners and measuring.same:
        say("int8 was fitted to some of these clips; with --split it is fitted to others")


def _describe(
    folder: Path, recogniser: Recogniser, frames: int | None, example: str, say: Say
) -> None:
    """Describe a network before it gets its name, so that none is beside another's words."""
    forget(folder)
    write_folder(folder, recogniser, frames, example)
    if not fills(recogniser):
        assert recogniser.completion is not None
        say(
            f"note: training filled lost joints by {recogniser.completion.name}, which example.py "
            "leaves to you"
        )


def _takes(frames: int | None, fewest: int = 1) -> str:
    if frames is not None:
        return f"takes {frames} frames"
    return "takes any number of frames" + (f" from {fewest} on" if fewest > 1 else "")
