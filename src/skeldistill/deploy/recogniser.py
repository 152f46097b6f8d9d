"""The recogniser: a trained network with all it needs to name the action in a clip."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64
from pydantic import ValidationError

from skeldistill import checkpoint, completions
from skeldistill.clip import Clip, applied
from skeldistill.data.convert import convert, sources
from skeldistill.data.joined import Joined
from skeldistill.data.sampling import plain
from skeldistill.data.shown import shown, with_scores
from skeldistill.deploy.saved import network_file
from skeldistill.deploy.windows import MOST_FRAMES, Span
from skeldistill.layouts import Layout
from skeldistill.networks.network import Network
from skeldistill.readers.reader import Source
from skeldistill.recipe import Part, Sampling
from skeldistill.shelf import build

IN_SPACE = ("metres", "millimetres")
"""Units of 3-D joints, by which older checkpoints are told apart."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Named:
    """The action that a network sees.

    label: the action's name. confidence: its probability. probabilities: of all actions, ``(k,)``.
    """

    label: str
    confidence: float
    probabilities: Float64[np.ndarray, " k"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Recogniser:
    """Names the action in clips, which it prepares exactly as the network's training did.

    Args:
        network: in evaluation mode.
        sampling: from a clip to what the network sees.
        coordinates: of a joint, 2 or 3, in `units`.
        units: "pixels", "metres" ... as the training clips had them.
        classes: the actions' names; () where nobody named them: they are called by number.
        completion: what fills lost joints first, if training did so.
        clip_frames: the usual length of a training clip, where it is known.
        clip_seconds: the same in seconds, where the clips' source told their pace.
        device: where the network is.

    Raises:
        ValueError: the classes, or the channels of a joint, are not those of the network.
    """

    network: Network
    sampling: Sampling
    coordinates: int
    units: str
    classes: tuple[str, ...]
    completion: Part | None = None
    clip_frames: int | None = None
    clip_seconds: float | None = None
    device: torch.device | None = None

    def __post_init__(self) -> None:
        if self.classes and len(self.classes) != self.network.classes:
            raise ValueError(
                f"the network tells {self.network.classes} actions apart but "
                f"{len(self.classes)} are named; it was saved by something else"
            )
        channels = self.coordinates + with_scores(self.sampling, self.coordinates)
        if (channels, self.sampling.persons) != (self.network.channels, self.network.persons):
            raise ValueError(
                f"the network takes {self.network.channels} channels of {self.network.persons} "
                f"persons but its sampling gives {channels} of {self.sampling.persons}; it was "
                "saved by something else"
            )
        self._fill  # noqa: B018  # an unknown completion is refused now, not at the first clip

    @classmethod
    def load(cls, path: Path | str, device: torch.device | None = None) -> "Recogniser":
        """The recogniser of a checkpoint, a run's folder, or an exported folder.

        Raises:
            OSError: there is no such file, or the folder holds no network.
            ValueError: the file is no checkpoint, or does not say how clips are prepared.
        """
        file = network_file(Path(path))
        network, about = checkpoint.load(file)
        try:
            return cls.of(network, about, device)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(step) for step in first["loc"])
            raise ValueError(f"{file}: {place}: {first['msg']}") from None
        except (ValueError, TypeError, AttributeError) as error:  # whatever the file tells
            raise ValueError(f"{file}: {error}") from None

    @classmethod
    def of(
        cls, network: Network, about: Mapping[str, Any], device: torch.device | None = None
    ) -> "Recogniser":
        """The recogniser of a network and what its checkpoint tells about it (`checkpoint.load`).

        Raises:
            ValueError: it does not tell how clips are prepared.
        """
        try:
            told = dict(about["sampling"])
            units, classes = str(about["units"]), tuple(map(str, about["classes"]))
        except (KeyError, TypeError):
            raise ValueError(
                "the checkpoint does not tell its sampling, units and classes; "
                "save it with `skeldistill train`"
            ) from None
        sampling = Sampling(**told)
        usual, seconds = about.get("clip_frames"), about.get("clip_seconds")
        long = isinstance(seconds, float) and 0 < seconds <= MOST_FRAMES
        return cls(
            network=network.to(device).eval(),
            sampling=sampling,
            coordinates=_coordinates(about, units, network.channels, sampling),
            units=units,
            classes=classes,
            completion=checkpoint.completion_of(about),
            clip_frames=usual if isinstance(usual, int) and usual > 0 else None,
            clip_seconds=seconds if long else None,
            device=device,
        )

    @property
    def usual(self) -> Span:
        """How long a clip of its training was, in seconds if their source told their pace."""
        if self.clip_seconds is not None:
            return Span(length=self.clip_seconds, seconds=True)
        return Span(length=float(self.clip_frames or self.sampling.frames), seconds=False)

    @property
    def layout(self) -> Layout:
        """The joints that the network works on."""
        return self.network.layout

    @property
    def labels(self) -> tuple[str, ...]:
        """The name of every action; its number where nobody named it."""
        return self.classes or tuple(map(str, range(self.network.classes)))

    def check(self, source: Source, *, converting: bool = False) -> None:
        """Refuse a source whose clips the network cannot take, before any is read.

        Args:
            source: what the clips' reader, store or estimator says of them.
            converting: joints of another layout will be converted where that is well defined.

        Raises:
            ValueError: one line that says what differs: layout, coordinates or units.
        """
        self._check_layout(source.layout, converting)
        if not source.layout.same_as(self.layout):
            sources(source.layout, self.layout)  # refuses joints that cannot be said
        self._check_coordinates(source.channels)
        if source.units != self.units:
            raise ValueError(
                f"the network was trained on joints in {self.units} but these are in "
                f"{source.units}; bring them to {self.units}, or state units {self.units} if "
                "they are in those already"
            )

    def recognise(self, clip: Clip, *, converting: bool = False) -> Named:
        """Name the action of a clip.

        Args:
            clip: its joints in the units of the training clips.
            converting: convert joints of another layout where that is well defined.

        Raises:
            ValueError: the clip's layout or coordinates are not those of the network.
        """
        return self.named(self.logits([clip], converting=converting)[0])

    def logits(
        self, clips: Sequence[Clip], *, converting: bool = False
    ) -> Float32[np.ndarray, "n k"]:
        """What the network says of some clips, averaged over the frame choices as in testing.

        Raises:
            ValueError: a clip's layout or coordinates are not those of the network.
        """
        total = np.zeros((len(clips), self.network.classes), np.float32)
        for seen in self.shown(clips, converting=converting):
            with torch.inference_mode():
                said = self.network(torch.from_numpy(seen).to(self.device)).logits
            total = total + said.float().cpu().numpy()
        return total / self.sampling.test_clips

    def shown(
        self, clips: Sequence[Clip], *, converting: bool = False
    ) -> Iterator[Float32[np.ndarray, "n m t v c"]]:
        """What the network is shown of some clips, once for each frame choice of testing.

        Raises:
            ValueError: a clip's layout or coordinates are not those of the network.
        """
        joined = Joined.of([self._ready(clip, converting) for clip in clips])
        rows, sizes = np.arange(len(clips)), self._image_sizes(clips)
        for turn in range(self.sampling.test_clips):
            choice = plain(len(clips), self.sampling, turn)
            yield shown(joined, rows, choice, self.sampling, self.layout, self.coordinates, sizes)

    def named(self, logits: Float32[np.ndarray, " k"]) -> Named:
        """The surest action of some logits."""
        raised = np.exp(logits.astype(np.float64) - logits.max())
        probabilities = raised / raised.sum()
        best = int(probabilities.argmax())
        return Named(
            label=self.labels[best],
            confidence=float(probabilities[best]),
            probabilities=probabilities,
        )

    @cached_property
    def _fill(self) -> completions.Completion | None:
        if self.completion is None:
            return None
        part = completions.find(self.completion.name)
        return build("completion", part, self.completion.options)

    def _ready(self, clip: Clip, converting: bool) -> tuple[np.ndarray, np.ndarray]:
        """A clip's joints and scores on the network's layout, completed as in training."""
        self._check_layout(clip.layout, converting)
        self._check_coordinates(clip.joints.shape[-1])
        joints, scores = clip.joints, clip.scores
        if not clip.layout.same_as(self.layout):
            joints, scores = convert(joints, scores, clip.layout, self.layout)
        if self._fill is not None:
            joints, scores = applied(self._fill, joints, scores, layout=self.layout)
        return joints, scores

    def _check_layout(self, layout: Layout, converting: bool) -> None:
        if layout.same_as(self.layout) or converting:
            return
        raise ValueError(
            f"the network works on layout {self.layout.name!r} but the joints are "
            f"{layout.name!r}; convert them (`skeldistill data convert`, or --convert of predict "
            f"and serve), or take skeletons in {self.layout.name!r}"
        )

    def _check_coordinates(self, coordinates: int) -> None:
        if coordinates != self.coordinates:
            raise ValueError(
                f"the network was trained on joints of {self.coordinates} coordinates but these "
                f"have {coordinates}; take skeletons from a source like that of its training"
            )

    def _image_sizes(self, clips: Sequence[Clip]) -> Float32[np.ndarray, "n 2"] | None:
        if self.sampling.normalisation != "image":
            return None
        unsized = [clip.id for clip in clips if clip.size is None]
        if unsized:
            raise ValueError(
                f"clip {unsized[0]!r} has no image size, which the network's normalisation needs; "
                "take a source that knows it"
            )
        return np.array([clip.size for clip in clips], np.float32)


def _coordinates(about: Mapping[str, Any], units: str, channels: int, sampling: Sampling) -> int:
    """How many coordinates the training clips' joints had; older checkpoints do not say it."""
    told = about.get("coordinates")
    if told is not None:
        return int(told)
    return 2 if channels == 2 or (sampling.confidence and units not in IN_SPACE) else 3
