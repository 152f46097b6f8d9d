"""Encoding: pictures and their times to a video, whole or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np

from skeldistill.extras import require
from skeldistill.files import whole

CODECS = ("libx264", "mpeg4")
"""The first that the installed FFmpeg has is taken."""


@contextmanager
def encoder(
    path: Path, size: tuple[int, int], rate: float, aspect: float = 1.0
) -> Iterator[Callable[[np.ndarray, float], None]]:
    """Gives a function that adds a picture at a time in seconds.

    Args:
        path: its ending chooses the container.
        size: (height, width) of the pictures.
        rate: frames per second, as some containers claim it.
        aspect: how much broader than high a pixel is to be shown.
    """
    av = require("av", extra="video")
    codec = next((name for name in CODECS if name in av.codecs_available), None)
    if codec is None:
        raise ValueError(f"overlay {path}: FFmpeg has none of {', '.join(CODECS)}")
    height, width = (side + side % 2 for side in size)  # both codecs want even sides
    last = -1
    claimed = Fraction(rate).limit_denominator(1000) or Fraction(1, 1000)
    try:
        with whole(path) as partial, av.open(str(partial), "w") as container:
            stream = container.add_stream(codec, rate=claimed)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.time_base = Fraction(1, 1000)
            stream.codec_context.sample_aspect_ratio = Fraction(aspect).limit_denominator(1000)
            if path.suffix.lower() == ".avi":
                stream.codec_context.max_b_frames = 0  # it cannot say when they are shown

            def add(image: np.ndarray, time: float) -> None:
                nonlocal last
                rows, columns = height - image.shape[0], width - image.shape[1]
                even = np.pad(image, ((0, rows), (0, columns), (0, 0)), mode="edge")
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
                last = max(last + 1, round(1000 * time))
                frame.pts, frame.time_base = last, Fraction(1, 1000)
                container.mux(stream.encode(frame))

            yield add
            container.mux(stream.encode())
    except av.error.FFmpegError as error:
        raise ValueError(f"overlay {path} cannot be written ({error.strerror})") from error
