"""Live: a camera's frames as somebody sends them, and what is done in them now."""

import io
import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from skeldistill.deploy.following import Following, Pose
from skeldistill.deploy.serve_answers import Begun, Body, LiveSaid, Person, Said, Seeing
from skeldistill.deploy.serve_engines import Engine, Streamed, engine
from skeldistill.deploy.serve_guard import Refused, in_one_line
from skeldistill.deploy.serve_watching import Serving
from skeldistill.deploy.sources import RATE
from skeldistill.estimators.at_work import AtWork
from skeldistill.layouts import Layout
from skeldistill.readers.tracking import People

IDLE = 30.0
"""Seconds after which a camera that sends nothing is let go."""

MOST_PICTURE = 4 * 10**6
"""Bytes of one picture, and pixels of it."""


class Live:
    """One camera, whose frames come one by one.

    Args:
        serving: with an estimator, if pictures come.
        layout: of the joints, if skeletons come; None: pictures do.

    Raises:
        Refused: the estimator cannot look at a camera.
    """

    def __init__(self, serving: Serving, layout: Layout | None) -> None:
        self._serving = serving
        self.pictures = layout is None and serving.estimator is not None
        self._session = None
        self.layout = layout or serving.layout
        self._following = Following()
        self._coordinates: int | None = None
        self._engines: dict[str, Engine] = {}
        self.seconds: dict[str, float] = {}
        for name, recogniser in serving.models.items():
            span = serving.span(recogniser)
            self.seconds[name] = span.length if span.seconds else span.length / RATE
            self._engines[name] = engine(
                recogniser, self.seconds[name], converting=serving.converting
            )
        self._number, self._begun, self._time = 0, 0.0, 0.0
        self.lock = threading.Lock()
        if self.pictures:
            assert serving.estimator is not None
            self.layout = serving.estimator.layout
            with in_one_line("the camera"), ExitStack() as failing:
                self._session = AtWork(serving.estimator)
                failing.callback(self.close)
                self._session.begin(None, "live")
                failing.pop_all()
        self.touched = time.monotonic()

    def begun(self, key: str) -> Begun:
        """What whoever sends the frames is told."""
        return Begun(
            live=key,
            body=Body.of(self.layout),
            streaming={name: isinstance(one, Streamed) for name, one in self._engines.items()},
            seconds=self.seconds,
        )

    def look(self, content: bytes, now: float) -> Seeing:
        """The next picture.

        Raises:
            Refused: it is no picture, or the estimator cannot look at it.
        """
        if self._session is None:
            raise Refused(415, "pictures are not taken here; send skeletons as JSON")
        image = picture(content)
        height, width = image.shape[:2]
        with in_one_line("the picture"):
            found = self._session(image, self._clock(now))
        return self._step(found, (height, width))

    def take(self, people: Sequence[Pose], size: tuple[int, int] | None, now: float) -> Seeing:
        """The people of the next frame.

        Raises:
            Refused: a network cannot take them; it is as if they had not been sent.
        """
        for one in people[:1]:
            coordinates = one.joints.shape[1]
            if self._coordinates not in (None, coordinates):
                raise Refused(422, f"joints had {self._coordinates} coordinates before")
            self._serving.check(self.layout, coordinates, size)
            self._coordinates = coordinates
        self._clock(now)
        empty = np.zeros((0, self.layout.num_joints, self._coordinates or 2), np.float32)
        joints = np.stack([one.joints for one in people]) if people else empty
        scores = np.stack([one.scores for one in people]) if people else empty[..., 0]
        return self._step(People(joints, scores), size)

    def close(self) -> None:
        """Let go of the estimator."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _clock(self, now: float) -> float:
        """Seconds since the first frame; they grow."""
        if not self._number:
            self._begun = now
        else:
            self._time = max(now - self._begun, self._time + 1e-3)
        self.touched = time.monotonic()
        return self._time

    def _step(self, found: People, size: tuple[int, int] | None) -> Seeing:
        moment = self._following.step(self._number, self._time, found)
        self._number += 1
        models: list[LiveSaid] = []
        for name, one in self._engines.items():
            recogniser = self._serving.models[name]
            with in_one_line(name):  # joints that this network cannot take
                told = one.push(moment, self.layout, size)
            for who, (probabilities, share) in told.items():
                answer = Said.of(name, recogniser, probabilities).model_dump()
                models.append(LiveSaid(**answer, person=who, share=round(share, 3)))
        people = [Person.of(who, pose) for who, pose in moment.people.items()]
        return Seeing(size=size, people=people, models=models)


class Lives:
    """The cameras that are watched, some at most; those that fall silent are let go."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._lives: dict[str, Live] = {}
        self._opening = 0
        self._lock = threading.Lock()

    def begin(self, layout: Layout | None) -> Begun:
        """Another camera; it is known by a key that cannot be guessed.

        Args:
            layout: of the joints that are sent instead of pictures.

        Raises:
            Refused: there are too many, or the estimator cannot look at a camera.
        """
        self.let_go()
        with self._lock:
            if len(self._lives) + self._opening >= self._serving.limits.cameras:
                raise Refused(503, "too many cameras are watched; try again in a moment")
            self._opening += 1
        try:
            live = Live(self._serving, layout)  # loads weights: nobody else waits for that
        finally:
            with self._lock:
                self._opening -= 1
        key = secrets.token_urlsafe(16)
        with self._lock:
            self._lives[key] = live
        return live.begun(key)

    def find(self, key: str) -> Live:
        """The camera of a key.

        Raises:
            Refused: there is none.
        """
        with self._lock:
            if key not in self._lives:
                raise Refused(404, "no such camera is watched (any more); begin anew")
            return self._lives[key]

    def end(self, key: str) -> None:
        """Let a camera go."""
        live = self.find(key)
        with self._lock:
            self._lives.pop(key, None)
        with live.lock:
            live.close()

    def close(self) -> None:
        """Let all cameras go."""
        for key in list(self._lives):
            self.end(key)

    def let_go(self) -> None:
        """Let those go that have sent nothing for too long."""
        now = time.monotonic()
        with self._lock:
            for key, live in list(self._lives.items()):
                if now - live.touched > IDLE and live.lock.acquire(blocking=False):
                    del self._lives[key]
                    live.close()
                    live.lock.release()


def picture(content: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """A JPEG or PNG file, upright, red, green and blue; its claimed size is checked first.

    Raises:
        Refused: it is none, or too large.
    """
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG")) as image:
            if image.width * image.height > MOST_PICTURE:
                raise Refused(413, f"a picture of {image.width} x {image.height} pixels")
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # 16 bits of grey, which would all become white
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            return np.asarray(upright.convert("RGB"))
    except Refused:
        raise
    except Exception:  # damaged pictures fail in many ways
        raise Refused(400, "that is no JPEG or PNG picture that can be decoded") from None
