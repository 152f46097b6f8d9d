"""RTMPose: a person detector (YOLOX), then a pose network on every box, as local ONNX files.

Jiang et al. 2023, "RTMPose: Real-Time Multi-Person Pose Estimation based on MMPose".
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from skeldistill import layouts
from skeldistill.estimators import simcc, yolox
from skeldistill.estimators.estimator import sha256, weights
from skeldistill.estimators.onnx_files import Network
from skeldistill.extras import require
from skeldistill.layouts import COCO17, HALPE26, Layout
from skeldistill.readers import tracking
from skeldistill.readers.tracking import People
from skeldistill.shelf import pick

LAYOUTS = (COCO17, HALPE26)
TIERS = ("lightweight", "balanced", "performance")


@dataclass(frozen=True, kw_only=True)
class RTMPose:
    """RTMPose on the boxes of YOLOX, through ONNX Runtime; where nobody is detected is nobody.

    The published tiers differ by their files alone: lightweight is YOLOX-tiny with RTMPose-s,
    balanced YOLOX-m with RTMPose-m, performance YOLOX-x with RTMPose-x. Lightweight beside
    performance is the recommended pair of qualities. Sizes are read from the files.

    Tested on stand-in files alone, since no official weights could be fetched: look at an overlay.

    Args:
        tier: "lightweight", "balanced" or "performance": takes both files from `folder`, as
            ``skeldistill fetch-weights`` calls them; each may be given besides.
        folder: where the files of the tier are.
        detector: YOLOX as ONNX, with or without non-maximum suppression in it.
        pose: RTMPose as ONNX, with its two SimCC outputs.
        joints: "coco17", or "halpe26" for the models of body with feet.
        people: how many to look at in a frame at most, the surest boxes first.
        confidence: 0 to 1; boxes below it are nobody.
        threads: of ONNX Runtime; 0 takes all cores.

    Raises:
        ValueError: an option is out of range.
    """

    tier: str | None = None
    folder: str = "weights"
    detector: str | None = None
    pose: str | None = None
    joints: str = "coco17"
    people: int = 20
    confidence: float | int = 0.3
    threads: int = 0

    def __post_init__(self) -> None:
        if layouts.find(self.joints) not in LAYOUTS:
            raise ValueError(f"rtmpose: joints {self.joints!r} must be coco17 or halpe26")
        if self.tier is not None:
            self._take_from_tier(pick("tier", {one: one for one in TIERS}, self.tier))
        if self.people < 1:
            raise ValueError(f"rtmpose: people must be at least 1, got {self.people}")
        if not 0 <= self.confidence <= 1:
            raise ValueError(f"rtmpose: confidence must be 0 to 1, got {self.confidence}")
        if self.threads < 0:
            raise ValueError(f"rtmpose: threads must be 0 or more, got {self.threads}")

    def _take_from_tier(self, tier: str) -> None:
        feet = "-halpe26" if layouts.find(self.joints) is HALPE26 else ""
        for option, what in (("detector", "detector"), ("pose", f"pose{feet}")):
            if getattr(self, option) is None:
                path = Path(self.folder) / f"rtmpose-{tier}-{what}.onnx"
                object.__setattr__(self, option, str(path))

    @property
    def layout(self) -> Layout:
        """The joints that the pose network finds."""
        return layouts.find(self.joints)

    def about(self) -> Mapping[str, Any]:
        """Options, the runtime's version and the checksums of both files."""
        require("onnxruntime", extra="rtmpose")
        options = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("threads", "tier", "folder"):  # the files say it, or it changes nothing
            del options[name]
        return {
            "estimator": "RTMPose",
            "version": metadata.version("onnxruntime"),
            **options,
            "detector": sha256(weights(self.detector, "rtmpose", "detector")),
            "pose": sha256(weights(self.pose, "rtmpose", "pose")),
        }

    def open(self) -> "DetectingThenPosing":
        """Load both files."""
        return DetectingThenPosing(self)


class DetectingThenPosing:
    """Both networks, called separately: without a box there is nothing to pose."""

    def __init__(self, options: RTMPose) -> None:
        self._options = options
        detector = weights(options.detector, "rtmpose", "detector")
        pose = weights(options.pose, "rtmpose", "pose")
        self._detector = Network(detector, "detector", options.threads)
        self._pose = Network(pose, "pose network", options.threads)

    def begin(self, path: Path | None, name: str) -> None:
        """Every frame is looked at on its own, so there is nothing to forget."""

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], time: float) -> People:
        """The joints of everybody detected."""
        boxes = yolox.detect(self._detector, image, self._options.confidence)
        boxes = boxes[: self._options.people]
        if not len(boxes):
            return tracking.nobody(self._options.layout)
        found = simcc.locate(self._pose, image, boxes)
        if found.shape[1] != self._options.layout.num_joints:
            raise ValueError(
                f"{self._pose.name} finds {found.shape[1]} joints but {self._options.joints} has "
                f"{self._options.layout.num_joints}; set joints=coco17 or joints=halpe26"
            )
        return tracking.seen(found)

    def close(self) -> None:
        """ONNX Runtime lets go by itself."""
