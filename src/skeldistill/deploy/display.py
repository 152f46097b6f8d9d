"""Display: how the pictures of a video are meant to be turned before anybody looks at them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8


@dataclass(frozen=True)
class Display:
    """What a file's display matrix says, in quarter turns.

    rotation: degrees, counter-clockwise, by which pictures are turned: 0, 90, 180 or 270.
    mirrored: whether left and right are swapped before, as front cameras have it.
    """

    rotation: int = 0
    mirrored: bool = False

    @classmethod
    def of(cls, picture: Any) -> "Display":
        """What a decoded picture says of itself."""
        told = [one for one in picture.side_data if one.type.name == "DISPLAYMATRIX"]
        if not told:
            return cls()
        # a pixel at (x, y) is meant to be seen at (a x + c y, b x + d y), y downwards
        a, b, _, c, d = np.frombuffer(told[0], np.int32)[:5].astype(float)
        mirrored = a * d < b * c
        if mirrored:
            a, b = -a, -b
        return cls(round(np.degrees(np.arctan2(-b, a)) / 90) % 4 * 90, bool(mirrored))

    def size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) of a picture that is stored in that size, as it is seen."""
        return (height, width) if self.rotation % 180 == 0 else (width, height)

    def upright(self, image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "g u 3"]:
        """A stored picture as it is meant to be seen."""
        if self.mirrored:
            image = image[:, ::-1]
        return np.ascontiguousarray(np.rot90(image, self.rotation // 90))
