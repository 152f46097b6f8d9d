"""YOLOX (Ge et al. 2021): boxes of persons, from the network's outputs in either form."""

import numpy as np
from jaxtyping import Float, Float32, UInt8

from skeldistill.estimators import images
from skeldistill.estimators.onnx_files import Network

STRIDES = (8, 16, 32)
PAD = 114
"""The grey that YOLOX is trained to see beyond the picture."""
SAME = 0.45
"""Intersection over union above which two boxes are one person."""
PERSON = 0


def detect(
    network: Network, image: UInt8[np.ndarray, "h w 3"], confidence: float | int
) -> Float[np.ndarray, "people 4"]:
    """Boxes (left, top, right, bottom) of persons in pixels of the image, the surest first.

    Raises:
        ValueError: the network's outputs are those of no YOLOX.
    """
    picture, factor = _letterbox(image, network.size)
    outputs = network(picture)
    first = outputs[0]
    if first.ndim != 3 or first.shape[2] < 5:
        raise ValueError(f"{network.name} must give boxes (1, n, 5 or more), got {first.shape}")
    if first.shape[2] == 5:  # suppressed already
        boxes, scores = first[0, :, :4], first[0, :, 4]
        if len(outputs) > 1:
            person = outputs[1][0] == PERSON
            boxes, scores = boxes[person], scores[person]
    else:
        boxes, scores = _decode(first[0], network)
    sure = np.flatnonzero(scores >= confidence)
    order = sure[np.argsort(-scores[sure], kind="stable")]
    kept: list[int] = []
    for place in order.tolist():
        if all(images.overlap(boxes[place], boxes[other]) <= SAME for other in kept):
            kept.append(place)
    return boxes[kept].astype(np.float64) / factor


def _letterbox(
    image: UInt8[np.ndarray, "h w 3"], size: tuple[int, int]
) -> tuple[Float32[np.ndarray, "1 3 height width"], float]:
    """The picture in the upper left corner of the input, as large as fits, and its factor."""
    factor = min(size[0] / image.shape[0], size[1] / image.shape[1])
    h, w = (max(1, round(side * factor)) for side in image.shape[:2])
    canvas = np.full((*size, 3), PAD, np.float32)
    canvas[:h, :w] = images.resized(image, h, w)
    # blue, green, red, and not normalised: as YOLOX was trained
    return np.ascontiguousarray(canvas[..., ::-1].transpose(2, 0, 1)[None]), factor


def _decode(
    raw: Float32[np.ndarray, "anchors outputs"], network: Network
) -> tuple[Float32[np.ndarray, "anchors 4"], Float32[np.ndarray, " anchors"]]:
    """Boxes and scores from offsets to the cells of three grids."""
    height, width = network.size
    cells, strides = [], []
    for stride in STRIDES:
        ys, xs = np.mgrid[: height // stride, : width // stride]
        cells.append(np.stack([xs.ravel(), ys.ravel()], axis=1))
        strides.append(np.full((xs.size, 1), stride))
    cell, stride = np.concatenate(cells), np.concatenate(strides).astype(np.float32)
    if len(raw) != len(cell):
        raise ValueError(
            f"{network.name} must give {len(cell)} boxes for {height} x {width} pixels, "
            f"got {len(raw)}"
        )
    centre = (raw[:, :2] + cell) * stride
    half = np.exp(np.clip(raw[:, 2:4], -20, 20)) * stride / 2
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    return boxes.astype(np.float32), raw[:, 4] * raw[:, 5 + PERSON]
