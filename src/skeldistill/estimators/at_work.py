"""An estimator at work, held to what others count on: a slip is one line that names it."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from skeldistill.estimators.estimator import Estimator, Session
from skeldistill.readers.tracking import People


class AtWork:
    """The session of an estimator, whose answers have the form that tracking and stores need.

    Those of the shelf are held to it by the tests; those of one's own are not always tested, and
    the libraries beneath raise what they like.
    """

    def __init__(self, estimator: Estimator) -> None:
        """Load the weights; OSError or ValueError, in one line, if they are not there."""
        self._name = type(estimator).__name__
        self._joints = estimator.layout.num_joints
        self._session: Session = estimator.open()

    def begin(self, path: Path | None, name: str) -> None:
        """Forget the last video; see `Session`."""
        self._session.begin(path, name)

    def __call__(self, image: UInt8[np.ndarray, "h w 3"], time: float) -> People:
        """Everybody in the next frame.

        Raises:
            OSError, ValueError: one line, if it failed or answers with anything but `People`.
        """
        try:
            found = self._session(image, time)
        except (OSError, ValueError):
            raise
        except Exception as error:
            raise ValueError(
                f"estimator {self._name} failed {time:.2f} seconds after the first frame: "
                f"{type(error).__name__}: {error}"
            ) from error
        return self._checked(found)

    def close(self) -> None:
        """Let go of the weights."""
        self._session.close()

    def _checked(self, found: Any) -> People:
        if not isinstance(found, People):
            raise ValueError(
                f"estimator {self._name} answers with a {type(found).__name__}; it must be "
                "tracking.People(joints, scores)"
            )
        shape, scores = np.shape(found.joints), np.shape(found.scores)
        if len(shape) != 3 or shape[1] != self._joints or shape[2] not in (2, 3):
            raise ValueError(
                f"estimator {self._name} answers with joints of shape {shape}; they must be "
                f"(people, {self._joints}, 2 or 3)"
            )
        if scores != shape[:2]:
            raise ValueError(
                f"estimator {self._name} answers with scores of shape {scores}; they must be "
                f"{shape[:2]}, as the joints are"
            )
        return found
