"""ONNX files of estimators, run by ONNX Runtime, with errors of one line."""

from pathlib import Path

import numpy as np
from jaxtyping import Float32

from skeldistill.extras import require


class Network:
    """A network of one picture as input.

    Args:
        path: the ONNX file.
        what: says what it is for, in errors.
        threads: of ONNX Runtime; 0 takes all cores.

    Attributes:
        size: (height, width) of its input, as the file fixes them.

    Raises:
        ValueError: the file is no network, or not of pictures of a fixed size.
    """

    def __init__(self, path: Path, what: str, threads: int) -> None:
        onnxruntime = require("onnxruntime", extra="rtmpose")
        self.name = f"{what} {path}"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime has a dozen of its own, without a common one
            raise ValueError(f"{self.name} cannot be loaded ({_line(error)})") from error
        shapes = [one.shape for one in self._session.get_inputs()]
        if len(shapes) != 1 or len(shapes[0]) != 4 or shapes[0][1] != 3:
            raise ValueError(f"{self.name} must have one input (n, 3, h, w), it has {shapes}")
        height, width = shapes[0][2:]
        if not (isinstance(height, int) and isinstance(width, int)):
            raise ValueError(f"{self.name} must fix its input's height and width, got {shapes[0]}")
        self.size = (height, width)
        self._one_by_one = shapes[0][0] == 1
        self._input = self._session.get_inputs()[0].name

    def __call__(self, pictures: Float32[np.ndarray, "n 3 h w"]) -> list[np.ndarray]:
        """All its outputs, in the order of the file."""
        try:
            if not self._one_by_one:
                return self._session.run(None, {self._input: pictures})
            each = [self._session.run(None, {self._input: one[None]}) for one in pictures]
        except Exception as error:
            raise ValueError(f"{self.name} failed ({_line(error)})") from error
        return [np.concatenate(outputs) for outputs in zip(*each, strict=True)]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
