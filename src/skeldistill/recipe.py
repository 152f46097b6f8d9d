"""The recipe: one experiment as frozen, checked data; YAML in, YAML and JSON Schema out.

A recipe names data, networks, training and the methods to compare. What it leaves out comes from
its family (`strong` or `paper`); the resolved recipe states everything and is a recipe itself.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from skeldistill.shelf import nearest


class Section(BaseModel):
    """A frozen part of a recipe that refuses keys it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and cls.model_config.get("extra") == "forbid":
            for key in data:
                if key not in cls.model_fields:
                    raise ValueError(f"unknown key {key!r}; {nearest(str(key), cls.model_fields)}")
        return data


class Part(Section):
    """A part of a shelf by name, with its options beside the name."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field(description="the part's name on its shelf")

    @model_validator(mode="before")
    @classmethod
    def _name_alone(cls, data: Any) -> Any:
        return {"name": data} if isinstance(data, str) else data

    @property
    def options(self) -> dict[str, Any]:
        """All that stands beside the part's own fields."""
        return dict(self.model_extra or {})


class LossTerm(Part):
    """A distillation loss with its weight and when it acts."""

    weight: float = Field(default=1.0, ge=0, description="factor of the loss (alpha of PLKD eq. 4)")
    start: int = Field(default=0, ge=0, description="first epoch in which it acts")
    stop: int | None = Field(default=None, description="first epoch in which it no longer acts")
    ramp: int = Field(
        default=0, ge=0, description="epochs over which its weight grows from 0 to full"
    )

    def weight_at(self, epoch: int) -> float:
        """The weight in an epoch, counted from 0."""
        if epoch < self.start or (self.stop is not None and epoch >= self.stop):
            return 0.0
        return self.weight * min(1.0, (epoch - self.start + 1) / (self.ramp + 1))


class View(Section):
    """Where one view of the clips comes from: a store, or files that a reader takes."""

    store: str | None = Field(default=None, description="a store made by `skeldistill data import`")
    reader: str | None = Field(default=None, description="name of a reader, with `source`")
    source: str | None = Field(default=None, description="what the reader reads; $NAME is expanded")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the reader")
    degradations: tuple[Part, ...] = Field(
        default=(), description="what makes this view worse, in order"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "View":
        if self.store and (self.reader or self.source):
            raise ValueError("give either a store, or a reader with its source")
        if self.source and not self.reader:
            raise ValueError("a source needs the name of its reader")
        return self

    @property
    def has_origin(self) -> bool:
        """Whether the view has files of its own; the low view may degrade the high one instead."""
        return bool(self.store or self.reader)


class Fold(Section):
    """One division into training and test clips, by the names of official splits."""

    train: str = "train"
    test: str = "test"


class Data(Section):
    """The two views of the clips, and which are trained and tested on."""

    high: View
    low: View = Field(
        default_factory=lambda: View(), description="without a store or reader: the high view"
    )
    folds: tuple[Fold, ...] = Field(default=(Fold(),), min_length=1)
    validation: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="share of the training clips held out; above 0, methods are evaluated on it "
        "and the test split is never looked at",
    )
    group: str = Field(
        default="",
        description="pattern in clip ids; clips with the same match are held out together",
    )
    paired: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of training clips that keep their high-quality match",
    )
    seed: int = Field(
        default=0, ge=0, description="draws degradations, validation and pairing, per clip"
    )


class Sampling(Section):
    """From a clip to the array a network sees; the same choice for both views."""

    frames: int = Field(default=64, ge=1, description="frames a network sees")
    persons: int = Field(
        default=1, ge=1, description="persons a network sees; the most certain come first"
    )
    frame_choice: Literal["uniform", "resize", "replay", "zeros"] = Field(
        default="uniform",
        description="uniform: one frame from each of equal stretches (drawn in training, middle "
        "in testing); resize: linear in time; replay: from the start again; zeros: after the end",
    )
    normalisation: Literal["clip", "image", "centre", "none"] = Field(
        default="clip",
        description="clip: centred and scaled by the clip's joints, certain ones more; image: -1 to 1 over "
        "the image; centre: metres around the layout's centre in the first frame; none",
    )
    confidence: bool = Field(
        default=True, description="2-D joints carry their score as third channel"
    )
    least_score: float = Field(
        default=0.0, ge=0, lt=1, description="joints that the source is less sure of count as lost"
    )
    stream: Literal["joint", "bone", "velocity", "bone_velocity"] = "joint"
    rotation: float = Field(
        default=0.0, ge=0, description="largest random turn in training, degrees"
    )
    scaling: float = Field(
        default=0.0, ge=0, lt=1, description="largest random change of size in training"
    )
    shear: float = Field(default=0.0, ge=0, description="largest random shear in training")
    mirror: float = Field(
        default=0.0, ge=0, le=1, description="probability of swapping left and right"
    )
    noise: float = Field(default=0.0, ge=0, description="standard deviation of random joint noise")
    crop: float = Field(
        default=1.0, gt=0, le=1, description="least share of the clip's time kept in training"
    )
    test_clips: int = Field(default=1, ge=1, description="frame choices averaged in testing")


class Training(Section):
    """How a network is trained; the same for every method that is compared."""

    epochs: int = Field(default=60, ge=1)
    batch_size: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    nesterov: bool = True
    weight_decay: float = Field(default=5e-4, ge=0)
    schedule: Literal["cosine", "steps"] = "cosine"
    milestones: tuple[int, ...] = Field(
        default=(), description="epochs after which steps divide by ten"
    )
    warmup: int = Field(default=5, ge=0, description="epochs of linear warm-up")
    task_loss: Literal["softmax", "binary"] = Field(
        default="softmax",
        description="softmax cross-entropy (PLKD eq. 2) or SKD's eq. 2 over classes",
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    batches: Literal["shuffled", "class_aware"] = Field(
        default="shuffled",
        description="class_aware: clips come in pairs of one class (PLKD's positives)",
    )
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"


class Method(Section):
    """One row of the comparison: who is trained on what, and taught by whom."""

    view: Literal["high", "low"] = "low"
    network: Literal["teacher", "student"] = "student"
    completion: Part | None = Field(
        default=None, description="fills lost joints of the view, always"
    )
    augmentation: tuple[Part, ...] = Field(
        default=(),
        description="degradations drawn afresh for every clip and epoch, in training only",
    )
    augment: Literal["high", "low"] = Field(
        default="low", description="the view that augmentation starts from in training"
    )
    mix: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="probability that a clip is trained on in its high view (same layout) instead",
    )
    clips: Literal["all", "paired"] = Field(
        default="all", description="paired: train only on clips with a high-quality match"
    )
    losses: tuple[LossTerm, ...] = Field(
        default=(), description="what the teacher teaches; none: no teacher"
    )
    gradient_revision: bool = Field(
        default=True, description="SKD eq. 12-14 on every distillation loss"
    )
    teacher: str = Field(default="teacher", description="the method that teaches")
    start_from: str | None = Field(
        default=None,
        description="a method of this recipe, or a checkpoint, whose weights it starts from",
    )
    train_only_head: bool = Field(
        default=False, description="with start_from: all but the head is frozen"
    )
    training: dict[str, Any] = Field(default_factory=dict, description="changes to `training`")
    sampling: dict[str, Any] = Field(default_factory=dict, description="changes to `sampling`")


SLIDING = {"name": "SlidingWindowAverage", "window": 3}
SKD_LOSSES = ({"name": "KL"}, {"name": "GraphMatching"})
METHODS: dict[str, dict[str, Any]] = {
    "teacher": {"view": "high", "network": "teacher"},
    "low": {},
    "low+completion": {"completion": SLIDING},
    "low+augmentation": {"augmentation": ({"name": "JointOcclusion", "probability": 0.3},)},
    "low+high": {"mix": 0.5},
    "KL": {"losses": ({"name": "KL"},)},
    "SKD": {"losses": SKD_LOSSES},
    "SKD+completion": {"losses": SKD_LOSSES, "completion": SLIDING},
    "SKD+high": {"losses": SKD_LOSSES, "mix": 0.5},
    "GlobalMSC": {"losses": ({"name": "GlobalContrastive"},)},
    "PLKD": {"losses": ({"name": "PartContrastive"},)},
    "SKD+PLKD": {"losses": (*SKD_LOSSES, {"name": "PartContrastive"})},
}
"""The methods that a recipe may ask for by name alone."""

DEFAULT_METHODS = ("teacher", "low", "low+completion", "low+augmentation", "SKD", "SKD+completion")

FAMILIES: dict[str, dict[str, Any]] = {
    "strong": {
        "sampling": {"rotation": 15.0, "scaling": 0.1},
        "training": {},
    },
    "paper": {
        "sampling": {
            "frames": 300,
            "persons": 2,
            "frame_choice": "replay",
            "normalisation": "image",
        },
        "training": {
            "schedule": "steps",
            "milestones": (15, 30, 45),
            "weight_decay": 1e-4,
            "warmup": 0,
        },
    },
}
"""What each family sets when the recipe does not: `paper` as SKD IV-A prints it."""


class Recipe(Section):
    """One experiment: every method, fold and seed that `skeldistill run` will run."""

    name: str = Field(description="a short name for folders and reports")
    title: str = Field(default="", description="a line for people")
    family: Literal["strong", "paper"] = "strong"
    data: Data
    sampling: Sampling = Sampling()
    training: Training = Training()
    teacher: Part = Part(name="STGCN")
    student: Part = Part(name="STGCN")
    methods: dict[str, Method] = Field(description="by name; a list takes the ready-made ones")
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise ValueError("a recipe is a mapping with at least `name` and `data`")
        resolved = dict(data)
        family = FAMILIES.get(resolved.get("family", "strong"), {})
        for section, defaults in family.items():
            resolved[section] = {**defaults, **(resolved.get(section) or {})}
        methods = resolved.get("methods", DEFAULT_METHODS)
        if isinstance(methods, Mapping):
            methods = {
                name: METHODS.get(name, {}) | dict(body or {}) for name, body in methods.items()
            }
        else:
            methods = {name: _ready_made(name) for name in methods}
        resolved["methods"] = methods
        return resolved

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        for name, method in self.methods.items():
            if method.losses and method.teacher not in self.methods:
                raise ValueError(
                    f"methods.{name}.teacher is {method.teacher!r}, which is no method; "
                    f"{nearest(method.teacher, self.methods)}"
                )
            if method.losses and method.teacher == name:
                raise ValueError(f"methods.{name} is its own teacher")
            self.training_of(name)
            self.sampling_of(name)
        return self

    def training_of(self, method: str) -> Training:
        """How a method is trained: the recipe's training with the method's own changes."""
        return Training(**{**self.training.model_dump(), **self.methods[method].training})

    def sampling_of(self, method: str) -> Sampling:
        """How a method samples: the recipe's sampling with the method's own changes."""
        return Sampling(**{**self.sampling.model_dump(), **self.methods[method].sampling})

    def to_yaml(self) -> str:
        """The resolved recipe: nothing left out, and a valid recipe itself."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def load(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe, change it as `--set a.b=c` asks, and check it.

    Raises:
        OSError: the file cannot be read.
        ValueError: one line that says what is wrong with the recipe.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    for change in changes:
        data = _changed(data, change)
    return parse(data, where=str(path))


def parse(data: Any, where: str = "recipe") -> Recipe:
    """Check plain containers as a recipe; ValueError says in one line what is wrong."""
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise ValueError(f"{where}: {_one_line(error)}") from None


def expanded(source: str) -> str:
    """A path with `$NAME` and `~` filled in; ValueError names a variable that is not set."""
    missing = [name for name in re.findall(r"\$\{?(\w+)", source) if name not in os.environ]
    if missing:
        raise ValueError(
            f"{source!r} needs the environment variable {missing[0]}, which is not set"
        )
    return os.path.expandvars(str(Path(source).expanduser()))


def _ready_made(name: str) -> dict[str, Any]:
    if name not in METHODS:
        raise ValueError(f"no ready-made method called {name!r}; {nearest(name, METHODS)}")
    return METHODS[name]


def _changed(data: Any, change: str) -> Any:
    """A copy of `data` with one `a.b=c` applied."""
    path, equals, text = change.partition("=")
    if not equals or not path:
        raise ValueError(f"--set {change}: write it as section.key=value")
    return _put(data, path.split("."), yaml.safe_load(text), change)


def _put(data: Any, keys: list[str], value: Any, change: str) -> Any:
    if not keys:
        return value
    key, rest = keys[0], keys[1:]
    if isinstance(data, list) and all(isinstance(item, str) for item in data) and data:
        data = dict.fromkeys(data)  # a list of ready-made methods
    if isinstance(data, list):
        if not key.isdigit() or int(key) >= len(data):
            raise ValueError(f"--set {change}: {key!r} is no place in a list of {len(data)}")
        return [
            _put(old, rest, value, change) if i == int(key) else old for i, old in enumerate(data)
        ]
    data = dict(data or {})
    return {**data, key: _put(data.get(key), rest, value, change)}


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(step) for step in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    came = "" if first["type"] in ("value_error", "missing") else f" (got {first['input']!r})"
    more = f"; and {error.error_count() - 1} more" if error.error_count() > 1 else ""
    return f"{place + ': ' if place else ''}{said}{came}{more}"
