"""Asked: what programs may send, as JSON; nothing else is let in."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST_PERSONS = 20

Number = Annotated[float, Field(allow_inf_nan=False)]


class Sent(BaseModel):
    """What programs send: unknown fields are refused, and text is no number."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Skeletons(Sent):
    """One clip of skeletons."""

    joints: list[list[list[list[Number]]]] = Field(
        max_length=MOST_PERSONS,
        description="(m, t, v, c): persons, frames, joints, 2 or 3 coordinates, in the units of "
        "the training clips; lost joints are 0",
    )
    scores: list[list[list[Number]]] | None = Field(
        default=None, description="(m, t, v): 0 (lost) to 1; left out: 1 where a person is"
    )
    layout: str | None = Field(default=None, description="of the joints; left out: the network's")
    units: str | None = Field(default=None, description="pixels, metres ...; checked if given")
    size: tuple[int, int] | None = Field(default=None, description="(height, width) of the picture")
    rate: Number | None = Field(default=None, gt=0, le=1000, description="frames per second")
    name: str = Field(default="skeletons", max_length=200)


class LiveFrame(Sent):
    """The people in one frame of a camera, found by whoever sends it."""

    joints: list[list[list[Number]]] = Field(
        max_length=MOST_PERSONS, description="(m, v, c), as in Skeletons"
    )
    scores: list[list[Number]] | None = Field(default=None, description="(m, v)")
    size: tuple[int, int] | None = Field(default=None, description="(height, width) of the picture")


class LiveBegin(Sent):
    """How the frames of a camera will come."""

    layout: str | None = Field(
        default=None, description="of the joints, if skeletons are sent instead of pictures"
    )
