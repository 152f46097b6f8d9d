"""Whole clips on one CPU thread: ST-GCN and the small student, in PyTorch and in ONNX Runtime.

The baseline is plain eager ST-GCN: the authors' order of operations and layout, in PyTorch. All
figures are of the processor's time, so that other programs do not count.
"""

import copy
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from released import in_authors_order
from timing import in_turn

from skeldistill import cost, layouts, networks
from skeldistill.deploy.export_int8 import quantise
from skeldistill.deploy.export_onnx import OnnxScores, write_onnx
from skeldistill.deploy.folding import folded
from skeldistill.networks.network import Network

LAYOUT, FRAMES, PERSONS, CLASSES = "ntu25", 300, 2, 60
MATRIX = 1024
"""Side of the matrices that the processor's rate is measured with."""

Run = Callable[[], object]


def measure(rounds: int = 5, compiled: bool = False) -> dict[str, float]:
    """Milliseconds a clip, ratios to plain eager, and shares of the matrix-product rate.

    Args:
        rounds: how often each is timed.
        compiled: also by torch.compile, which takes minutes to prepare.
    """
    shape = (1, PERSONS, FRAMES, layouts.find(LAYOUT).num_joints, 3)
    clip = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode(False):
        figures: dict[str, float] = {}
        rate = _rate(Path(folder), rounds)
        figures["10^9 multiply-adds a second, matrix product"] = rate
        for name in ("STGCN", "LiveGCN"):
            torch.manual_seed(0)
            network = networks.find(name)(
                layouts.find(LAYOUT), classes=CLASSES, persons=PERSONS
            ).eval()
            runs = _runs(network, clip, Path(folder), compiled)
            seconds = in_turn(runs, rounds, time.process_time)
            figures |= _figures(name, seconds, cost.multiply_adds(network, FRAMES) / 1e9, rate)
    return figures


def _runs(network: Network, clip: torch.Tensor, folder: Path, compiled: bool) -> dict[str, Run]:
    """Everything that says the same of the clip (int8 nearly so)."""
    network.requires_grad_(False)
    fast, array = folded(network), clip.numpy()
    write_onnx(network, folder / "model.onnx", 16)
    others = np.random.default_rng(0).normal(size=(4, *clip.shape)).astype(np.float32)
    quantise(folder / "model.onnx", folder / "int8.onnx", others)
    exact, rough = OnnxScores(folder / "model.onnx"), OnnxScores(folder / "int8.onnx")
    runs: dict[str, Run] = {
        "eager": lambda: network(clip).logits,
        "folded": lambda: fast(clip).logits,
        "ONNX Runtime": lambda: exact(array),
        "ONNX Runtime, int8": lambda: rough(array),
    }
    if isinstance(network, networks.STGCN):
        plain = copy.deepcopy(network)
        in_authors_order(plain)
        runs = {"plain eager": lambda: plain(clip).logits, **runs}
    if compiled:
        quick = torch.compile(fast)
        runs["compiled"] = lambda: quick(clip).logits
    expected = network(clip).logits
    for name, run in runs.items():
        if "int8" not in name:
            np.testing.assert_allclose(np.asarray(run()), expected, rtol=1e-3, atol=1e-4)
    return runs


def _figures(
    name: str, seconds: dict[str, float], multiply_adds: float, rate: float
) -> dict[str, float]:
    baseline = "plain eager" if "plain eager" in seconds else "eager"
    figures = {f"{name}, 10^9 multiply-adds a clip": multiply_adds}
    for way, spent in seconds.items():
        figures[f"{name}, {way}: ms a clip"] = 1000 * spent
        figures[f"{name}, {way}: clips a second"] = 1 / spent
        figures[f"{name}, {way}: times as fast as {baseline}"] = seconds[baseline] / spent
        figures[f"{name}, {way}: % of the matrix-product rate"] = 100 * multiply_adds / spent / rate
    return figures


def _rate(folder: Path, rounds: int) -> float:
    """The best of two libraries at a product of matrices, in 10^9 multiply-adds a second."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    left = np.random.default_rng(0).normal(size=(MATRIX, MATRIX)).astype(np.float32)
    given, said = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [MATRIX, MATRIX])
        for name in ("joints", "logits")
    )
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["joints", "right"], ["logits"])],
        "product",
        [given],
        [said],
        [numpy_helper.from_array(left, "right")],
    )
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=9), folder / "p.onnx")
    product, tensor = OnnxScores(folder / "p.onnx"), torch.from_numpy(left)
    seconds = in_turn(
        {"onnxruntime": lambda: product.session.run(None, {"joints": left}),
         "torch": lambda: tensor @ tensor},
        rounds,
        time.process_time,
    )  # fmt: skip
    return MATRIX**3 / min(seconds.values()) / 1e9
