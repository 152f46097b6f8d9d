"""Answers: what the page and other programs are told, as JSON."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Float32
from pydantic import BaseModel

from skeldistill.clip import Clip
from skeldistill.deploy.following import Moment, Pose
from skeldistill.deploy.predict import Action
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.deploy.segments import Stretch
from skeldistill.layouts import Layout

TOP = 5
"""Actions that are told of what a network sees, the surest first."""

DIGITS = 6
"""Of a coordinate: a hundredth of a pixel, a millimetre at the end of a hall."""


class Refusal(BaseModel):
    """Why something was refused, in one line."""

    detail: str


class Likely(BaseModel):
    """An action and its probability."""

    label: str
    confidence: float


class Said(BaseModel):
    """What one network says. label is null where nobody was to be seen."""

    model: str
    label: str | None
    confidence: float
    top: list[Likely]

    @classmethod
    def of(
        cls, model: str, recogniser: Recogniser, probabilities: Float[np.ndarray, " k"] | None
    ) -> "Said":
        """The surest actions; None: nobody was to be seen."""
        if probabilities is None:
            return cls(model=model, label=None, confidence=0.0, top=[])
        top = _top(recogniser, probabilities)
        return cls(model=model, label=top[0].label, confidence=top[0].confidence, top=top)


class Recognised(BaseModel):
    """What every network says of a clip."""

    models: list[Said]


class Segment(BaseModel):
    """One action from when to when, in seconds; person is null where all are seen together."""

    person: int | None
    label: str | None
    confidence: float
    start: float
    end: float

    @classmethod
    def of(cls, action: Action) -> "Segment":
        """The action without its source and frames."""
        told = {name: round(getattr(action, name), 4) for name in ("confidence", "start", "end")}
        return cls(person=action.person, label=action.label, **told)


class Around(BaseModel):
    """What one network says of the window around some seconds, before anything is smoothed."""

    person: int | None
    start: float
    end: float
    top: list[Likely]

    @classmethod
    def of(cls, recogniser: Recogniser, who: int | None, stretch: Stretch) -> "Around":
        """The surest actions; none where nobody was to be seen."""
        somebody = bool(stretch.probabilities.any())
        return cls(
            person=who,
            start=round(stretch.start, 4),
            end=round(stretch.end, 4),
            top=_top(recogniser, stretch.probabilities) if somebody else [],
        )


class Followed(Said):
    """What one network says of a whole clip, who did what when in it, and what of each window."""

    segments: list[Segment]
    windows: list[Around]


class Person(BaseModel):
    """One person in one frame: joints (v, c) and scores (v)."""

    person: int
    joints: list[list[float]]
    scores: list[float]

    @classmethod
    def of(cls, who: int, pose: Pose) -> "Person":
        """A pose, in as many digits as can be seen."""
        return cls(person=who, joints=_rounded(pose.joints), scores=pose.scores.round(3).tolist())


class Moving(BaseModel):
    """One frame: its time in seconds, and who is in it."""

    time: float
    people: list[Person]

    @classmethod
    def of(cls, moment: Moment) -> "Moving":
        """A frame with everybody in it."""
        people = [Person.of(who, pose) for who, pose in moment.people.items()]
        return cls(time=round(moment.time, 4), people=people)


class Body(BaseModel):
    """How joints are drawn. bones: pairs of joints; sides: of each joint, left, right or middle."""

    name: str
    joints: list[str]
    bones: list[tuple[int, int]]
    sides: list[str]

    @classmethod
    def of(cls, layout: Layout) -> "Body":
        """The joints and bones of a layout."""
        lefts, rights = set(layout.mirror), set(layout.mirror.values())
        return cls(
            name=layout.name,
            joints=list(layout.joints),
            bones=list(layout.bone_indices),
            sides=[
                "left" if joint in lefts else "right" if joint in rights else "middle"
                for joint in layout.joints
            ],
        )


class Watched(BaseModel):
    """The skeletons of a clip or video, and what every network says of it."""

    name: str
    body: Body
    size: tuple[int, int] | None
    rate: float
    seconds: float
    frames: list[Moving]
    models: list[Followed]
    warnings: list[str] = []


class Begun(BaseModel):
    """A camera that may now send its frames.

    live: its address's last part. streaming: of each network, whether it runs frame by frame
    (else it is shown windows of frames). seconds: how long each network looks back.
    """

    live: str
    body: Body
    streaming: dict[str, bool]
    seconds: dict[str, float]


class LiveSaid(Said):
    """What one network says now. share: of what it has to see first, how much it has seen."""

    person: int | None
    share: float


class Seeing(BaseModel):
    """Who is in the newest frame of a camera, and what they do."""

    size: tuple[int, int] | None
    people: list[Person]
    models: list[LiveSaid]


class Model(BaseModel):
    """A network that answers here."""

    name: str
    network: str
    parameters: int
    layout: str
    joints: list[str]
    coordinates: int
    units: str
    persons: int
    frames: int
    classes: list[str]

    @classmethod
    def of(cls, name: str, recogniser: Recogniser) -> "Model":
        """What a program must know to send skeletons."""
        network = recogniser.network
        return cls(
            name=name,
            network=type(network).__name__,
            parameters=sum(weight.numel() for weight in network.parameters()),
            layout=recogniser.layout.name,
            joints=list(recogniser.layout.joints),
            coordinates=recogniser.coordinates,
            units=recogniser.units,
            persons=network.persons,
            frames=recogniser.sampling.frames,
            classes=list(recogniser.labels),
        )


class Served(BaseModel):
    """What is served. estimator: what finds people in videos; null: only skeletons are taken."""

    models: list[Model]
    estimator: str | None
    most_megabytes: float
    most_seconds: float


class Progress(BaseModel):
    """How much of a video has been watched, 0 to 1."""

    share: float


def said(models: Iterable[tuple[str, Recogniser]], clip: Clip, *, converting: bool) -> list[Said]:
    """What every network says of a clip."""
    seen = bool(clip.scores.any())
    return [
        Said.of(
            name,
            recogniser,
            recogniser.recognise(clip, converting=converting).probabilities if seen else None,
        )
        for name, recogniser in models
    ]


def _top(recogniser: Recogniser, probabilities: Float[np.ndarray, " k"]) -> list[Likely]:
    order = np.argsort(-probabilities, kind="stable")[:TOP].tolist()
    return [
        Likely(label=recogniser.labels[k], confidence=round(float(probabilities[k]), 4))
        for k in order
    ]


def _rounded(joints: Float32[np.ndarray, "v c"]) -> list[list[float]]:
    """As many digits as the largest coordinate leaves."""
    largest = float(np.abs(joints).max(initial=1e-6))
    decimals = max(0, DIGITS - 1 - int(np.floor(np.log10(largest))))
    return joints.astype(np.float64).round(min(decimals, 6)).tolist()
