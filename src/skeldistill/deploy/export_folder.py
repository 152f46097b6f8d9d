"""The folder of an exported network: all that is needed to run it without skeldistill."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from skeldistill import __version__, completions
from skeldistill.deploy.export_onnx import INPUT, OUTPUT
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.deploy.saved import ELSEWHERE
from skeldistill.files import write_text
from skeldistill.layouts.trunk import trunk
from skeldistill.recipe import Part
from skeldistill.shelf import build

FORMAT = 1
"""The version of preprocessing.json."""

DESCRIBING = [
    "preprocessing.json",
    "layout.json",
    "labels.json",
    "example.py",
    "step.json",
    "start.npz",
]
"""What the other files are called."""

WRITER = "skeldistill"
"""By this in preprocessing.json an export of ours is known."""

TRAINING_ONLY = ("rotation", "scaling", "shear", "mirror", "noise", "crop", "mixup")
"""What a recipe's sampling holds that happens in training alone."""


def refuse_others(folder: Path, *own: str) -> None:
    """Refuse a folder whose files are about another kind of export, or nothing of ours.

    Raises:
        ValueError: it holds a network that is none of `own`, or no network but files of the names
            that an export writes.
    """
    for name in ELSEWHERE:
        if name not in own and (folder / name).exists():
            raise ValueError(
                f"{folder} holds {name}, which its example.py and preprocessing.json are about; "
                "name another folder, or remove it"
            )
    if not any((folder / name).exists() for name in own) and not _interrupted(folder):
        refuse_to_write_over(folder, DESCRIBING)


def _interrupted(folder: Path) -> bool:
    """Whether it holds what an export wrote that did not come to its network."""
    try:
        told = json.loads((folder / "preprocessing.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(told, dict) and str(told.get("written_with")).startswith(WRITER)


def refuse_to_write_over(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder that holds files of these names, which no export wrote."""
    for name in names:
        if (folder / name).exists():
            raise ValueError(
                f"{folder} holds a {name} that would be written over; name another folder, or "
                "remove it"
            )


def forget(folder: Path) -> None:
    """Remove the networks of the last export, which are not what is described from now on."""
    for name in ELSEWHERE:
        (folder / name).unlink(missing_ok=True)


def write_folder(folder: Path, recogniser: Recogniser, frames: int | None, example: str) -> None:
    """Write preprocessing.json, layout.json, labels.json and example.py beside the network.

    Args:
        folder: the network's.
        recogniser: tells how clips are prepared.
        frames: the one number of frames that the exported network takes; None for any.
        example: the script.
    """
    write_beside(folder, recogniser, preprocessing(recogniser, frames), example)


def write_beside(
    folder: Path, recogniser: Recogniser, prepared: Mapping[str, Any], example: str
) -> None:
    """Write how clips are prepared, layout.json, labels.json and example.py."""
    layout = recogniser.layout
    told: dict[str, Any] = {
        "preprocessing": prepared,
        "layout": {
            **layout.to_dict(),
            "parents": layout.parents.tolist(),
            "centre_index": layout.centre_index,
        },
        "labels": list(recogniser.labels),
    }
    if recogniser.sampling.normalisation in BY_TRUNK:
        told["layout"]["trunk"] = asdict(trunk(layout))
    for name, content in told.items():
        text = json.dumps(content, indent=2, ensure_ascii=False)
        write_text(folder / f"{name}.json", f"{text}\n")
    write_text(folder / "example.py", example)


def preprocessing(recogniser: Recogniser, frames: int | None) -> dict[str, Any]:
    """Every step from a clip's joints to what the network is shown, as data and in words."""
    sampling = recogniser.sampling
    shown = sampling.model_dump(mode="json", exclude=set(TRAINING_ONLY))
    shown["confidence"] = recogniser.network.channels > recogniser.coordinates
    network = recogniser.network
    shape = [None, network.persons, frames, network.layout.num_joints, network.channels]
    return {
        "format": FORMAT,
        "written_with": f"{WRITER} {__version__}",
        "network": type(network).__name__,
        "input": {"name": INPUT, "axes": "n m t v c", "shape": shape, "type": "float32"},
        "output": {"name": OUTPUT, "axes": "n k", "shape": [None, network.classes]},
        "clip": {
            "layout": network.layout.name,
            "coordinates": recogniser.coordinates,
            "units": recogniser.units,
        },
        "completion": _completion(recogniser.completion),
        "sampling": shown,
        "steps": steps(recogniser),
    }


def streamed(recogniser: Recogniser, frames: int) -> dict[str, Any]:
    """The same for a network that takes all frames of a clip as they come, so many in a step."""
    told = preprocessing(recogniser, frames)
    told["input"]["name"] = "frames"
    how = recogniser.sampling
    chosen = FRAMES[how.frame_choice].format(frames=how.frames, clips=how.test_clips)
    every = "All frames are taken, in order; training showed it " + chosen[0].lower() + chosen[1:]
    told["steps"] = [
        every if sentence == chosen else sentence
        for sentence in told["steps"]
        if not sentence.startswith(AVERAGED)
    ]
    return told


def steps(recogniser: Recogniser) -> list[str]:
    """What is done to a clip, in order, one sentence each."""
    sampling, fill = recogniser.sampling, recogniser.completion
    said = [
        "A lost joint has score 0 and coordinates 0. Without scores, all joints of a person who "
        "is seen in a frame have score 1.",
        f"Lost joints are filled by {fill.name}." if fill else "",
        f"Persons: the {sampling.persons} of the highest mean score, in the order of the file; "
        "what the clip lacks of them is all 0.",
        FRAMES[sampling.frame_choice].format(frames=sampling.frames, clips=sampling.test_clips),
        f"Scores below {sampling.least_score} become 0." if sampling.least_score else "",
        NORMALISATION[sampling.normalisation],
        "Joints of score 0 get coordinates 0.",
        "Bones: each joint less its parent (layout.json: parents), 0 where either is all 0."
        if sampling.stream.startswith("bone")
        else "",
        "Velocities: the next frame less this one, 0 in the last frame and where either is all 0."
        if sampling.stream.endswith("velocity")
        else "",
        "Scores become one more channel, after the coordinates."
        if recogniser.network.channels > recogniser.coordinates
        else "",
        f"{AVERAGED} {sampling.test_clips} frame choices." if sampling.test_clips > 1 else "",
    ]
    return [sentence for sentence in said if sentence]


AVERAGED = "Logits are averaged over"

FRAMES = {
    "uniform": "Of t frames, {frames} are taken: frame floor(t (i + (turn + 0.5) / {clips}) / "
    "{frames}) for i from 0, turn counting the frame choices from 0.",
    "resize": "The clip is resized linearly in time to {frames} frames, the i-th at "
    "t (i + (turn + 0.5) / {clips}) / {frames} - 0.5, held at both ends; where a joint is lost in "
    "one of the two frames the other's is taken.",
    "replay": "The clip is repeated from its start until there are {frames} frames.",
    "zeros": "The first {frames} frames are taken; after the clip's end all is 0.",
}

UNSEEN = "if it never is, the mean of all that is seen in the first frame in which anything is"

NORMALISATION = {
    "clip": "One centre for all persons and frames, the mean of all joints weighted by score, is "
    "subtracted; then all is divided by the root of the weighted mean of the squared distances.",
    "image": "Coordinates become (x - width / 2) / (width / 2) and (y - height / 2) / "
    "(height / 2).",
    "centre": f"The first person's centre joint (layout.json: centre_index), where it is first "
    f"seen, is subtracted; {UNSEEN}.",
    "spine": f"The middle of the first person's spine (layout.json: trunk.origin, their mean), in "
    f"the first frame in which it is seen, is subtracted; {UNSEEN}.",
    "body": f"The middle of the first person's spine (layout.json: trunk.origin, their mean), in "
    f"the first frame in which it is seen, is subtracted; {UNSEEN}. Then all is turned, by the "
    "shortest turn, so that the first line of trunk.up that is ever seen (from the mean of its "
    "first joints to that of its second) is the z axis, and once more so that the first one of "
    "trunk.across is the x axis; lines are taken in the first frame in which all of them is seen.",
    "none": "Coordinates stay as they are.",
}

BY_TRUNK = ("spine", "body")
"""Normalisations that ask where the trunk is."""


def _completion(part: Part | None) -> dict[str, Any] | None:
    """The completion's name with all its options, those that nobody set included."""
    if part is None:
        return None
    made = build("completion", completions.find(part.name), part.options)
    return {"name": part.name, **asdict(made)}
