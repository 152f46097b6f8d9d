"""ONNX: a network's program as a file for ONNX Runtime, tried there before it gets its name."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from skeldistill.deploy.export_program import example, program_of, quietly, refused
from skeldistill.extras import require
from skeldistill.networks.network import Network

NEAR = 1e-4
"""How far scores may be from PyTorch's, in units of the largest score (1 at least)."""

PACKAGES = ("onnx", "onnxruntime", "onnxscript")
"""What writes such a file and tries it."""

INPUT, OUTPUT = "joints", "logits"
"""What the file calls what comes in and goes out."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How an exported network compares with PyTorch's on made-up clips.

    frames: the one number of frames that it takes; None if it takes as many as the network does.
    difference: the largest between two logits. largest: the largest logit.
    """

    frames: int | None
    difference: float
    largest: float

    @property
    def near(self) -> bool:
        """Whether rounding alone can make the difference."""
        return self.difference <= NEAR * max(1.0, self.largest)

    def __str__(self) -> str:
        return (
            f"largest difference to PyTorch {self.difference:.1e} (logits up to {self.largest:.3g})"
        )


class OnnxScores:
    """A file of ours in ONNX Runtime, on the CPU: joints ``(n, m, t, v, c)`` to logits."""

    def __init__(self, path: Path) -> None:
        runtime = require("onnxruntime", extra="export")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4  # what goes wrong is raised
        self.session = runtime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, joints: Float32[np.ndarray, "n m t v c"]) -> Float32[np.ndarray, "n k"]:
        """The logits of some clips."""
        return self.session.run([OUTPUT], {INPUT: joints})[0]


def require_packages() -> None:
    """Refuse, before anything is made, where a package is missing."""
    for package in PACKAGES:
        require(package, extra="export")


def write_onnx(network: Network, path: Path, frames: int) -> Agreement:
    """Write a network as ONNX, for any number of clips and, where possible, of frames.

    Args:
        network: left as it was; the file holds it with its batch norms folded.
        path: written as it is; the caller gives it its final name.
        frames: of a clip, as the network usually sees it.

    Raises:
        ValueError: the network cannot be exported, or says something else in ONNX Runtime.
    """
    agreement, refusal = None, None
    for any_frames in (True, False):
        try:
            program = program_of(network, frames, any_frames=any_frames)
            convert(program.program, path, [INPUT], [OUTPUT], _axes(program.frames))
            agreement = compare(network, OnnxScores(path), frames, program.frames)
        except Exception as error:  # of the exporter, or of the runtime
            refusal = refusal or error
            continue
        if agreement.near:
            return agreement
    if agreement is not None:
        raise ValueError(f"{type(network).__name__} cannot be exported: {agreement}")
    if isinstance(refusal, ValueError) and "cannot be exported" in str(refusal):
        raise refusal
    raise ValueError(refused(network, "the ONNX exporter", refusal)) from refusal


def convert(
    program: Any, path: Path, inputs: list[str], outputs: list[str], axes: dict[str, dict[int, str]]
) -> None:
    """A program of torch.export as one ONNX file, with nothing in it about where it was made.

    Args:
        program: of torch.export.
        path: the file.
        inputs: what they are to be called, in their order.
        outputs: likewise.
        axes: input or output -> axis -> what it is to be called; other axes are fixed.
    """
    onnx = require("onnx", extra="export")
    with quietly():
        made = torch.onnx.export(
            program,
            (),
            dynamo=True,
            input_names=inputs,
            output_names=outputs,
            verbose=False,
        )
    assert made is not None
    model = made.model_proto
    names = {}
    for value in (*model.graph.input, *model.graph.output):
        for axis, name in axes.get(value.name, {}).items():
            names[value.type.tensor_type.shape.dim[axis].dim_param] = name
    for value in (*model.graph.input, *model.graph.output):
        for axis in value.type.tensor_type.shape.dim:
            if axis.dim_param:
                axis.dim_param = names.get(axis.dim_param, axis.dim_param)
    # The exporter notes which file of this machine every operation came from.
    del model.graph.value_info[:]
    for noted in (model, model.graph, *model.graph.node, *model.functions):
        noted.ClearField("metadata_props")
        noted.ClearField("doc_string")
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.ClearField("metadata_props")
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


@torch.inference_mode()
def compare(network: Network, scores: Any, frames: int, fixed: int | None) -> Agreement:
    """Run both on made-up clips: one, several, and with more frames if that is possible."""
    clips = [example(network, frames, n) for n in (1, 5)]
    if fixed is None:
        more = next(count for count in network.frame_counts if count > frames)
        clips.append(example(network, more, 2))
    still = copy.deepcopy(network).eval()
    pairs = [(still(clip).logits.numpy(), scores(clip.numpy())) for clip in clips]
    return Agreement(
        frames=fixed,
        difference=float(max(np.abs(ours - theirs).max() for ours, theirs in pairs)),
        largest=float(max(np.abs(ours).max() for ours, _ in pairs)),
    )


def _axes(fixed: int | None) -> dict[str, dict[int, str]]:
    joints = {0: "n"} if fixed else {0: "n", 2: "t"}
    return {INPUT: joints, OUTPUT: {0: "n"}}
