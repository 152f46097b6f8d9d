"""SimCC (Li et al. 2022), RTMPose's head: a joint's column and row are two classifications."""

import numpy as np
from jaxtyping import Float, Float32, UInt8

from skeldistill.estimators import images
from skeldistill.estimators.onnx_files import Network

MEAN = np.array([123.675, 116.28, 103.53], np.float32)
SPREAD = np.array([58.395, 57.12, 57.375], np.float32)
"""Of ImageNet's red, green and blue: what RTMPose was trained with."""
WIDER = 1.25
"""A box is widened so much: the joints at the ends of the limbs are often beyond it."""


def locate(
    network: Network, image: UInt8[np.ndarray, "h w 3"], boxes: Float[np.ndarray, "people 4"]
) -> Float32[np.ndarray, "people v 3"]:
    """Joints of the persons in the boxes: x, y in pixels of the image, and score 0 to 1.

    Raises:
        ValueError: the network's outputs are not the two of SimCC.
    """
    wide = np.stack([_widened(box, network.size) for box in boxes])
    height, width = network.size
    # RTMPose was trained on crops whose first pixel lies on the box's corner, not half a pixel in
    step = (wide[:, 2:] - wide[:, :2]) / (width, height)
    shown = wide + np.tile((1 - step) / 2, 2)
    crops = np.stack([images.crop(image, box, height, width, outside=0.0) for box in shown])
    outputs = network(np.ascontiguousarray(((crops - MEAN) / SPREAD).transpose(0, 3, 1, 2)))
    if len(outputs) != 2 or any(one.ndim != 3 for one in outputs):
        raise ValueError(
            f"{network.name} must give columns and rows (n, v, bins), got "
            f"{[one.shape for one in outputs]}"
        )
    columns, rows = outputs
    # bins are finer than pixels (RTMPose: two in each), evenly over the input from its first pixel
    share = np.stack(
        [columns.argmax(axis=2) / columns.shape[2], rows.argmax(axis=2) / rows.shape[2]], axis=2
    )
    corner, side = wide[:, None, :2], wide[:, None, 2:] - wide[:, None, :2]
    # the lower of both maxima; they are no probabilities and may pass 1
    scores = np.clip(np.minimum(columns.max(axis=2), rows.max(axis=2)), 0, 1)
    return np.concatenate([corner + share * side, scores[..., None]], axis=2).astype(np.float32)


def _widened(box: Float[np.ndarray, " 4"], size: tuple[int, int]) -> Float[np.ndarray, " 4"]:
    """The box around the same middle, larger, with the proportions of the network's input."""
    middle, sides = (box[:2] + box[2:]) / 2, np.maximum(box[2:] - box[:2], 1) * WIDER
    proportion = size[1] / size[0]
    width = max(sides[0], sides[1] * proportion)
    half = np.array([width, width / proportion]) / 2
    return np.concatenate([middle - half, middle + half])
