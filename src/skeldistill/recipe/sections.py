"""The sections of a recipe: frozen data that checks itself and refuses what it does not know."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    model_serializer,
    model_validator,
)

from skeldistill.shelf import nearest


class Section(BaseModel):
    """A frozen part of a recipe that refuses keys it does not know."""

    # what is infinite trains nothing, and is lost in what is written of it
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

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

    model_config = ConfigDict(extra="allow")

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

    @model_validator(mode="after")
    def _acts(self) -> "LossTerm":
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(
                f"{self.name} would never act: it stops in epoch {self.stop} and starts in "
                f"{self.start}; let it stop later, or leave the loss out"
            )
        return self

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
    options: dict[str, Any] = Field(
        default_factory=dict,
        description="options of the reader; layout: a name, or a YAML file that states one",
    )
    labels: str | None = Field(
        default=None,
        description="labels and splits by clip id instead of the source's: a CSV id,label,split, a "
        "store, or `high` for the high view",
    )
    degradations: tuple[Part, ...] = Field(
        default=(), description="what makes this view worse, in order"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> "View":
        if self.store and (self.reader or self.source):
            raise ValueError("give either a store, or a reader with its source")
        if self.source and not self.reader:
            raise ValueError("a source needs the name of its reader")
        if self.labels and not self.reader:
            raise ValueError("labels are for what a reader reads; a store has its own")
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, plain: Callable[[Any], Any]) -> dict[str, Any]:
        # as before there were labels, so that what was marked by a hash of a view stays valid
        said: dict[str, Any] = plain(self)
        return said if self.labels else {k: v for k, v in said.items() if k != "labels"}

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
        description="pattern in clip ids; clips with the same match are held out, or keep their "
        "label, together",
    )
    paired: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of training clips that keep their high-quality match, if they have one",
    )
    labelled: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="share of training clips that keep their label; the others teach through their "
        "high-quality match alone",
    )
    seed: int = Field(
        default=0, ge=0, description="draws degradations, validation, pairing and labels, per clip"
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
    normalisation: Literal["clip", "image", "centre", "spine", "body", "none"] = Field(
        default="clip",
        description="clip: centred and scaled by the clip's joints, certain ones more; image: -1 "
        "to 1 over the image; centre: metres around the layout's centre in the first frame; "
        "spine: around the middle of the spine (CTR-GCN); body: and turned, the spine up and the "
        "shoulders across, for other cameras than those of training (2s-AGCN, PYSKL); none",
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
    mixup: float = Field(
        default=0.0,
        ge=0,
        description="above 0, training clips are mixed in pairs, both views alike, with weights "
        "from Beta(mixup, mixup)",
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
    compile: bool = Field(
        default=False,
        description="compile the teacher, and a student whose gradients are not revised, by "
        "torch.compile: minutes before the first step, for GPUs; results agree to rounding",
    )
    synchronise_batch_norm: bool = Field(
        default=True,
        description="of several processes: normalise batches over the clips of all; false: each "
        "over its own, with fewer exchanges, but then results depend on how many processes there "
        "are",
    )

    @model_validator(mode="after")
    def _smooths(self) -> "Training":
        if self.task_loss == "binary" and self.label_smoothing:
            raise ValueError(
                f"label_smoothing {self.label_smoothing:g} is of the softmax; set it to 0 with "
                "task_loss binary"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, plain: Callable[[Any], Any]) -> dict[str, Any]:
        # as before it could be said, so that what was finished stays so
        said: dict[str, Any] = plain(self)
        if self.synchronise_batch_norm:
            del said["synchronise_batch_norm"]
        return said


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
    clips: Literal["all", "paired", "labelled"] = Field(
        default="all",
        description="train only on clips with a high-quality match, or with a label; whoever has "
        "no teacher sees labelled clips alone",
    )
    losses: tuple[LossTerm, ...] = Field(
        default=(), description="what the teacher teaches; none: no teacher"
    )
    gradient_revision: bool | Literal["quick"] = Field(
        default=True,
        description="SKD eq. 12-14 on every distillation loss; quick: a quarter faster and a "
        "little off, see docs/performance.md",
    )
    teacher: str | tuple[str, ...] = Field(
        default="teacher",
        description="the method that teaches; of several, the mean of their probabilities does",
    )
    leave_out: tuple[NonNegativeInt, PositiveInt] | None = Field(
        default=None,
        description="of a teacher: [k, n] trains without the k-th, from 0, of n parts of its clips "
        "(whole recordings, see data.group); n such teachers together answer for every clip by "
        "those that did not train on it (cross-fitting)",
    )
    start_from: str | None = Field(
        default=None,
        description="a method of this recipe, or a checkpoint, whose weights it starts from",
    )
    train_only_head: bool = Field(
        default=False,
        description="with start_from: all but the head, and what nothing was carried over to, "
        "is frozen",
    )
    seed: int = Field(
        default=0,
        ge=0,
        description="chance of its own under every seed of the recipe: without it, methods with "
        "the same settings (several teachers) are the same training",
    )
    training: dict[str, Any] = Field(default_factory=dict, description="changes to `training`")
    sampling: dict[str, Any] = Field(default_factory=dict, description="changes to `sampling`")

    @model_validator(mode="after")
    def _part_of_some(self) -> "Method":
        if self.leave_out is None:
            return self
        part, parts = self.leave_out
        if part >= parts or parts < 2:
            raise ValueError(
                f"leave_out is [{part}, {parts}]; it is one part of several, counted from 0, such "
                "as [0, 3]"
            )
        if self.view != "high" or self.losses:
            raise ValueError("leave_out is for teachers: methods of view: high without losses")
        return self

    @model_validator(mode="after")
    def _head_of_something(self) -> "Method":
        if self.train_only_head and self.start_from is None:
            raise ValueError(
                "train_only_head needs start_from: without weights of before, a network whose head "
                "alone learns is one of chance"
            )
        return self

    @model_serializer(mode="wrap")
    def _without_unused(self, plain: Callable[[Any], Any]) -> dict[str, Any]:
        # as before they could be said, so that what was finished stays so
        said: dict[str, Any] = plain(self)
        unused = [name for name in ("seed", "leave_out") if not getattr(self, name)]
        return {name: value for name, value in said.items() if name not in unused}

    @property
    def teachers(self) -> tuple[str, ...]:
        """The methods that teach, if any do."""
        named = (self.teacher,) if isinstance(self.teacher, str) else self.teacher
        return named if self.losses else ()


def one_line(error: ValidationError) -> str:
    """What is wrong first, where it stands and how much more is wrong."""
    first = error.errors()[0]
    place = ".".join(str(step) for step in first["loc"])
    said = first["msg"].removeprefix("Value error, ")
    came = "" if first["type"] in ("value_error", "missing") else f" (got {first['input']!r})"
    more = f"; and {error.error_count() - 1} more" if error.error_count() > 1 else ""
    return f"{place + ': ' if place else ''}{said}{came}{more}"
