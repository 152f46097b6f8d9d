"""Parts of an extraction: everybody that was found in one video, one file a video."""

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from skeldistill.archives import arrays
from skeldistill.deploy.video import open_video
from skeldistill.estimators import Estimator, Session
from skeldistill.estimators.at_work import AtWork
from skeldistill.files import whole
from skeldistill.readers.source_files import MOST_FRAMES
from skeldistill.readers.tracking import People


@dataclass(frozen=True, kw_only=True)
class Task:
    """A video to be extracted: the clip's id, its file, and the part to write.

    crashes: how many workers died of it before.
    """

    id: str
    path: Path
    part: Path
    crashes: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """All that was found in one video: what people are chosen from later, without decoding.

    size: (height, width) of the frames. rate: frames per second that the file claims. times:
    seconds of every frame since the first. views: what each estimator found, frame by frame. cut:
    what there is to say of a file whose frames end before it claims, or "".
    """

    size: tuple[int, int]
    rate: float
    times: Float64[np.ndarray, " t"]
    views: Mapping[str, list[People]]
    cut: str = ""


def look(task: Task, sessions: Mapping[str, Session], tell: Callable[[], None]) -> Part:
    """Decode a video once and show every frame to every estimator.

    Args:
        task: the video.
        sessions: the estimators by the names of their views.
        tell: is called after every frame.

    Raises:
        OSError, ValueError: one line, if it cannot be decoded or an estimator refuses it.
    """
    times: list[float] = []
    views: dict[str, list[People]] = {name: [] for name in sessions}
    with open_video(task.path) as video:
        for session in sessions.values():
            session.begin(task.path, task.id)
        for frame in video.frames():
            if frame.number >= MOST_FRAMES:
                raise ValueError(f"{task.path} has more than {MOST_FRAMES} frames; cut it")
            times.append(frame.time)
            for name, session in sessions.items():
                views[name].append(session(frame.image, frame.time))
            tell()
        return Part(
            size=video.size, rate=video.rate, times=np.array(times), views=views, cut=video.cut
        )


def open_all(views: Mapping[str, Estimator]) -> dict[str, Session]:
    """Every estimator with its weights loaded; none stays open if one cannot be."""
    sessions: dict[str, Session] = {}
    try:
        for name, estimator in views.items():
            sessions[name] = AtWork(estimator)
    except BaseException:
        close_all(sessions)
        raise
    return sessions


def close_all(sessions: Mapping[str, Session]) -> None:
    """Let go of all weights."""
    for session in sessions.values():
        session.close()


def write(path: Path, part: Part) -> None:
    """Write a part, whole or not at all."""
    held = {"size": np.array(part.size), "rate": np.array(part.rate), "times": part.times}
    held["cut"] = np.array(part.cut)
    for name, frames in part.views.items():
        held[f"{name}/count"] = np.array([len(people.scores) for people in frames])
        held[f"{name}/joints"] = np.concatenate([people.joints for people in frames])
        held[f"{name}/scores"] = np.concatenate([people.scores for people in frames])
    with whole(path) as partial:
        np.savez_compressed(partial, **held)  # type: ignore[arg-type]


def read(path: Path) -> Part:
    """A part as it was written; ValueError if it is damaged."""
    try:
        held = arrays(path)
        names = [name.removesuffix("/count") for name in held if name.endswith("/count")]
        height, width = held["size"].tolist()
        return Part(
            size=(height, width),
            rate=float(held["rate"]),
            times=held["times"],
            views={name: _frames(held, name) for name in names},
            cut=str(held["cut"]) if "cut" in held else "",  # parts of before had none
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} is damaged; delete it and extract again") from error


def is_whole(path: Path) -> bool:
    """Whether a part is there; one that was cut, as when the power fails, is not."""
    return path.is_file() and zipfile.is_zipfile(path)


def _frames(arrays: Mapping[str, np.ndarray], name: str) -> list[People]:
    ends = np.cumsum(arrays[f"{name}/count"])[:-1]
    return [
        People(joints, scores)
        for joints, scores in zip(
            np.split(arrays[f"{name}/joints"], ends),
            np.split(arrays[f"{name}/scores"], ends),
            strict=True,
        )
    ]
