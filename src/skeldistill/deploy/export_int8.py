"""Int8: an ONNX file whose products are of bytes, with scales measured on clips."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from skeldistill.deploy.export_onnx import INPUT
from skeldistill.deploy.export_program import quietly
from skeldistill.extras import require

QUANTISED = ("Conv", "MatMul", "Add", "Relu")
"""Operations done in bytes. Sums and units between two products are, too: else every map would be
brought back to floats there. The classifier and what normalises the input stay as they are."""

USUAL, SEVERE = 2, 4
"""What ONNX Runtime tells by itself (warnings on), and what is left of it while scales are set."""


def quantise(source: Path, target: Path, clips: Iterable[Float32[np.ndarray, "n m t v c"]]) -> bool:
    """Write an int8 form of an ONNX file of ours (static: scales do not change with the input).

    Weights have a scale for every output channel; maps have one each, from the smallest and the
    largest value that the clips lead to.

    Args:
        source: the file in floats.
        target: written as it is; the caller gives it its final name.
        clips: what the network is shown of some typical clips.

    Returns:
        Whether any weights became bytes; of other networks nothing is gained.
    """
    onnx = require("onnx", extra="export")
    runtime = require("onnxruntime", extra="export")
    from onnxruntime import quantization
    from onnxruntime.quantization.quant_utils import add_pre_process_metadata

    model = onnx.load(str(source))
    reader: Any = _Clips(iter(clips))  # a reader by what it does, not by its class
    add_pre_process_metadata(model)  # the exporter has simplified the graph already
    with quietly(), _severe_alone(runtime):
        quantization.quantize_static(
            model,
            str(target),
            reader,
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=list(QUANTISED),
            reduce_range=True,  # sums of full-range products overflow on CPUs without VNNI
        )
    weights = onnx.load(str(target)).graph.initializer
    return any(part.data_type == onnx.TensorProto.INT8 for part in weights)


@contextmanager
def _severe_alone(runtime: Any) -> Iterator[None]:
    """Calibration makes sessions of its own, which go by the runtime's usual severity alone."""
    runtime.set_default_logger_severity(SEVERE)
    try:
        yield
    finally:
        runtime.set_default_logger_severity(USUAL)


class _Clips:
    """Clips as ONNX Runtime's calibration asks for them."""

    def __init__(self, clips: Iterator[Float32[np.ndarray, "n m t v c"]]) -> None:
        self.clips = clips

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next clips, or None."""
        clips = next(self.clips, None)
        return None if clips is None else {INPUT: clips}
