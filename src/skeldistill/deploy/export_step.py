"""The streaming step as ONNX: one file that takes the next frames and a state, and gives both back.

    state = dict(numpy.load("start.npz"))                      # of one clip
    logits, *state = session.run(None, {"frames": x, **state})  # and so on, frame after frame

What a state holds and how a clip is ended stands in `skeldistill.deploy.streaming_step` and, for
those who have only the folder, in ``step.json``.
"""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.export import Dim

from skeldistill import __version__
from skeldistill.deploy.export_folder import forget, refuse_others, streamed, write_beside
from skeldistill.deploy.export_onnx import Agreement, convert, require_packages
from skeldistill.deploy.export_program import example, quietly, refused
from skeldistill.deploy.export_step_example import step_example
from skeldistill.deploy.folding import folded
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.deploy.streaming_step import StreamingStep
from skeldistill.extras import require
from skeldistill.files import whole, write_text
from skeldistill.networks.network import Network
from skeldistill.networks.through_time import ENDLESS

NEXT = "next_"
"""Before the name of a state that comes out."""

ENDING = (
    "To end a clip of T frames, write T into the state called length, go on with frames of 0, and "
    "stop when ceil(T / frames) + lag steps are done in all; logits are then the whole clip's."
)


class OpenStep(nn.Module):
    """A step whose state is tensors with one row for each clip, and nothing else."""

    def __init__(self, step: StreamingStep) -> None:
        super().__init__()
        self.step = step
        self.names = step.state_names

    def start(self, n: int) -> list[Tensor]:
        """The state of so many clips before their first frame."""
        return _plain(self.step.start(n))

    def forward(
        self, frames: Float[Tensor, "n m t v c"], state: list[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """The logits up to now, and the state after these frames."""
        said, after = self.step(frames, state)
        return said.logits, _plain(after)


def _plain(state: Sequence[Tensor]) -> list[Tensor]:
    """The same values as they lie in files."""
    return [part.contiguous() for part in state]


def export_step(
    recogniser: Recogniser, folder: Path, *, say: Callable[[str], None] = lambda _: None
) -> None:
    """Write ``step.onnx``, the state that a clip begins with, how both are used, and an example.

    Raises:
        ValueError: the network cannot run so, or says something else in ONNX Runtime; the
            folder holds an export of another kind.
    """
    require_packages()
    refuse_others(folder, "step.onnx")
    network = recogniser.network
    step = StreamingStep(folded(network))
    with whole(folder / "step.onnx") as partial:
        write_step(step, partial)
        agreement = compare_step(network, partial, step)
        if not agreement.near:
            raise ValueError(refused(network, "its step", ValueError(str(agreement))))
        say(f"step.onnx: {agreement}; result {step.delay} frames after a frame")
        state = zip(step.state_names, OpenStep(step).start(1), strict=True)
        arrays: dict[str, Any] = {name: part.numpy() for name, part in state}
        forget(folder)
        with whole(folder / "start.npz") as first:
            np.savez(first, **arrays)
        prepared = streamed(recogniser, step.frames)
        told = _described(recogniser, step, prepared["sampling"])
        text = json.dumps(told, indent=2, ensure_ascii=False)
        write_text(folder / "step.json", f"{text}\n")
        write_beside(folder, recogniser, prepared, step_example(recogniser))
    if recogniser.completion is not None:
        say(
            f"note: training filled lost joints by {recogniser.completion.name}, which example.py "
            "leaves to you"
        )


def write_step(step: StreamingStep, path: Path) -> None:
    """Write a step as ONNX, for any number of clips at once.

    Raises:
        ValueError: the exporter cannot follow it.
    """
    network = step.network
    n = 3  # neither 1 nor 2, which would be taken for a number that never changes
    module = OpenStep(step).eval()
    state = module.start(n)
    axes: Any = ({0: Dim.DYNAMIC}, [{0: Dim.DYNAMIC} for _ in state])
    inputs = ["frames", *step.state_names]
    outputs = ["logits", *(NEXT + name for name in step.state_names)]
    try:
        with quietly(), torch.no_grad():
            program = torch.export.export(
                module, (example(network, step.frames, n), state), dynamic_shapes=axes
            )
        convert(program, path, inputs, outputs, {name: {0: "n"} for name in (*inputs, *outputs)})
    except Exception as error:  # whatever the tracer or the exporter could not follow
        raise ValueError(refused(network, "the ONNX exporter", error)) from error


def compare_step(network: Network, path: Path, step: StreamingStep) -> Agreement:
    """Run whole clips through the file, step by step, and compare with the network."""
    frames = next(count for count in network.frame_counts if count > 2 * step.frames)
    clips = example(network, frames, 2)
    with torch.inference_mode():
        whole_clip = copy.deepcopy(network).eval()(clips).logits.numpy()
    ours = run_clip(path, step, clips.numpy())
    return Agreement(
        frames=step.frames,
        difference=float(np.abs(ours - whole_clip).max()),
        largest=float(np.abs(whole_clip).max()),
    )


def run_clip(
    path: Path, step: StreamingStep, clips: Float32[np.ndarray, "n m t v c"]
) -> Float32[np.ndarray, "n k"]:
    """The logits of whole clips, all of whose frames go through a file of `write_step`."""
    runtime = require("onnxruntime", extra="export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what goes wrong is raised
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    n, _, t, *_ = clips.shape
    steps = -(-t // step.frames) + step.lag
    padded = np.zeros((*clips.shape[:2], steps * step.frames + step.phase, *clips.shape[3:]))
    padded[:, :, step.phase : step.phase + t] = clips
    padded = padded.astype(np.float32)
    start = zip(step.state_names, OpenStep(step).start(n), strict=True)
    state = {name: part.numpy() for name, part in start}
    taken = {value.name for value in session.get_inputs()}
    logits = np.zeros((0,), np.float32)
    for i in range(steps):
        if i * step.frames + step.frames > t:
            state["length"] = np.full_like(state["length"], t)
        shown = padded[:, :, i * step.frames : (i + 1) * step.frames]
        given = {name: part for name, part in state.items() if name in taken}
        logits, *after = session.run(None, {"frames": shown, **given})
        state = dict(zip(step.state_names, after, strict=True))
    return logits


def _described(
    recogniser: Recogniser, step: StreamingStep, sampling: Mapping[str, Any]
) -> dict[str, Any]:
    network = recogniser.network
    layout = network.layout
    return {
        "written_with": f"skeldistill {__version__}",
        "network": type(network).__name__,
        "frames": step.frames,
        "phase": step.phase,
        "lag": step.lag,
        "delay": step.delay,
        "receptive_field": step.receptive_field if step.receptive_field < ENDLESS else None,
        "shape": ["n", network.persons, step.frames, layout.num_joints, network.channels],
        "state": step.state_names,
        "use": [
            "Joints are normalised as in training, (n, m, frames, v, c) for each step.",
            f"The first step begins with {step.phase} frames of 0 that stand before the clip.",
            f"Give each state back under its own name: {NEXT}NAME of one step is NAME of the next.",
            "The state of a new clip is one row of start.npz; rows of a state are independent.",
            ENDING,
        ],
        "sampling": sampling,
        "layout": layout.to_dict(),
    }
