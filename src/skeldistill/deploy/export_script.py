"""What the scripts beside exported networks have in common: a clip's file, and its preparation.

They are put together from the steps that one network needs, so that they read from top to bottom
without a choice. `x` is the joints, `sure` their scores.
"""

from skeldistill.deploy.recogniser import Recogniser

BEGINNING = '''"""Names the action of a clip{way}. Needs numpy and {library} alone.

python example.py CLIP{arguments}: a .npz or .json file with `joints` (persons, frames, {joints},
{coordinates}) in {units} and, if known, `scores` (persons, frames, {joints}), 0 (lost) to 1{more}.
"""

import json
import sys
from pathlib import Path

import numpy as np
import {library}
HERE, files = Path(__file__).parent, [one for one in map(Path, sys.argv[1:2]) if one.is_file()]
file = files[0] if files else sys.exit(f"{{sys.argv[1:]}} names no clip: python example.py CLIP")
names = ({names})
{variables} = (json.loads((HERE / f"{{n}}.json").read_text("utf-8")) for n in names)
try:
    clip = dict(np.load(file)) if file.suffix == ".npz" else json.loads(file.read_text("utf-8"))
    x = np.asarray(clip["joints"], np.float64)
except Exception as error:  # files are damaged in many ways
    sys.exit(f"{{file}}: no .npz or .json file with joints ({{type(error).__name__}}: {{error}})")
how = told["sampling"]
if x.shape[2:] != ({joints}, {coordinates}):
    sys.exit(f"{{file}}: joints of shape {{x.shape}}, not (.., .., {joints}, {coordinates})")
everybody = np.broadcast_to(x.any(axis=(2, 3))[..., None], x.shape[:3])
sure = np.asarray(clip.get("scores", everybody), np.float32)  # as in training
if sure.shape != x.shape[:3] or not np.isfinite(x).all() or not ((0 <= sure) & (sure <= 1)).all():
    sys.exit(f"{{file}}: joints must be finite, scores 0 to 1 and of shape {{x.shape[:3]}}")
'''

PERSONS = """\
best = np.sort(np.argsort(-sure.mean(axis=(1, 2)), kind="stable")[: how["persons"]])
absent = [(0, how["persons"] - len(best)), (0, 0), (0, 0)]
x, sure = np.pad(x[best], [*absent, (0, 0)]), np.pad(sure[best], absent)
"""

CERTAIN = """\
sure = sure * (sure >= how["least_score"])
"""

PLACE = """\
first = sure.any(axis=(1, 2)).argmax()  # of the persons, who is seen
def place(joints):  # where they are first seen together; if never, where anything is
    whole, some = (sure[first][:, joints] > 0).all(axis=1), sure[first] > 0
    t = (whole if whole.any() else some.any(axis=1)).argmax()
    return x[first, t][joints if whole.any() else some[t]].mean(axis=0) if some.any() else 0

"""

LINE = """\
def line(lines):  # the first of them that is seen, in the first frame in which it is
    for start, end in lines:
        whole = (sure[first][:, start + end] > 0).all(axis=1)
        if whole.any():
            at = x[first, whole.argmax()]
            return at[end].mean(axis=0) - at[start].mean(axis=0)
    return np.zeros(3)

"""

TURN = """\
def turn(line, axis):  # the shortest that brings the line onto the axis
    aim, length = np.eye(3)[axis], np.linalg.norm(line)
    unit = line / length if length > 1e-6 else aim
    if unit[axis] < -1 + 1e-9:  # half a turn
        return np.diag(2 * np.eye(3)[axis - 1] - 1)
    skew = np.cross(np.eye(3), np.cross(unit, aim))
    return np.eye(3) + skew + skew @ skew / (1 + unit[axis])

"""

NORMALISATION = {
    "clip": """\
x = x - (x * sure[..., None]).sum(axis=(0, 1, 2)) / max(sure.sum(), 1e-6)
x = x / np.sqrt(max((np.square(x) * sure[..., None]).sum() / max(sure.sum(), 1e-6), 1e-12))
""",
    "image": """\
if np.shape(clip.get("size")) != (2,):
    sys.exit(f"{file}: no size, the image's (height, width), which the network needs")
half = np.asarray(clip["size"])[::-1] / 2
x = (x - half) / half
""",
    "centre": f"""\
{PLACE}x = x - place([layout["centre_index"]])
""",
    "spine": f"""\
{PLACE}x = x - place(layout["trunk"]["origin"])
""",
    "body": f"""\
{PLACE}{LINE}{TURN}body = layout["trunk"]
x = x - place(body["origin"])
up = turn(line(body["up"]), 2)
x = x @ (turn(up @ line(body["across"]), 0) @ up).T
""",
    "none": "",
}

SEEN = """\
x, there = x * (sure > 0)[..., None], (sure > 0)[..., None]
"""

BONES = """\
there = there & there[:, :, layout["parents"]]
x = (x - x[:, :, layout["parents"]]) * there
"""

VELOCITIES = """\
after, then = (np.append(one[:, 1:], 0 * one[:, :1], axis=1) for one in (x, there))
x = (after - x) * (there & then.astype(bool))
"""

SCORES = """\
x = np.concatenate([x, sure[..., None]], axis=-1)
"""


def beginning(recogniser: Recogniser, files: tuple[str, ...], more: list[str], **words: str) -> str:
    """Reads the files that say how, and the clip.

    Args:
        recogniser: tells what clips it takes.
        files: names of the JSON files besides the layout, the labels and the preprocessing.
        more: what else a clip must have.
        words: `library`, `way` and `arguments`.
    """
    names = (*files, "layout", "labels", "preprocessing")
    if recogniser.sampling.normalisation == "image":
        more = ["and `size`, the image's (height, width)", *more]
    return BEGINNING.format(
        joints=recogniser.layout.num_joints,
        coordinates=recogniser.coordinates,
        units=recogniser.units,
        names=", ".join(f'"{name}"' for name in names),
        variables=", ".join((*files, "layout", "labels", "told")),
        more="".join(f",\n{words}" for words in more),
        **words,
    )


def preparation(recogniser: Recogniser) -> str:
    """From the frames that were chosen to what the network is shown."""
    sampling = recogniser.sampling
    steps = (
        CERTAIN if sampling.least_score else "",
        NORMALISATION[sampling.normalisation],
        SEEN,
        BONES if sampling.stream.startswith("bone") else "",
        VELOCITIES if sampling.stream.endswith("velocity") else "",
        SCORES if recogniser.network.channels > recogniser.coordinates else "",
    )
    return "".join(steps)
