"""The example that stands beside an exported network: a script that needs none of our code.

It is put together from the steps that this one network needs, so that it reads from top to bottom
without a choice; the tests run every step's script against `Recogniser`.
"""

from skeldistill.completions.guess import GUESS
from skeldistill.deploy.recogniser import Recogniser

FILLED = "SlidingWindowAverage"
"""The completion that the script knows; for others it says that they must be done before."""

BEGINNING = '''"""Names the action of one clip. Needs {needs}.

python example.py CLIP{arguments}

CLIP is a .npz or .json file with `joints` (persons, frames, joints, coordinates), in {units},
of which there are (.., .., {joints}, {coordinates}), and `scores` (persons, frames, joints)
from 0 (lost) to 1, if they are known{more}.
"""

import json
import sys
from pathlib import Path

import numpy as np
import {library}

HERE = Path(__file__).parent
if not sys.argv[1:]:
    sys.exit("name a clip: python example.py CLIP{arguments}")
file = Path(sys.argv[1])
layout, labels, told = (
    json.loads((HERE / f"{{name}}.json").read_text(encoding="utf-8"))
    for name in ("layout", "labels", "preprocessing")
)
how = told["sampling"]
clip = dict(np.load(file)) if file.suffix == ".npz" else json.loads(file.read_text("utf-8"))
joints = np.asarray(clip["joints"], np.float64)
if joints.ndim != 4 or joints.shape[2:] != ({joints}, {coordinates}):
    sys.exit(f"{{file}}: joints of shape {{joints.shape}}, not (.., .., {joints}, {coordinates})")
everybody = np.broadcast_to(joints.any(axis=(2, 3))[..., None], joints.shape[:3])
scores = np.asarray(clip["scores"] if "scores" in clip else everybody, np.float64)
'''

ONNX = """
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
model = HERE / (sys.argv[2] if len(sys.argv) > 2 else "model.onnx")
session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
"""

TORCH = """
model = torch.export.load(HERE / "model.pt2").module()
"""

FILLING = """
# A lost joint is filled with the mean of where it was seen in the frames around.
seen, reach = joints * (scores > 0)[..., None], told["completion"]["window"] // 2
filled, sure = joints.copy(), scores.copy()
for i in range(joints.shape[1]):
    near = slice(max(0, i - reach), i + reach + 1)
    count = np.maximum((scores[:, near] > 0).sum(axis=1), 1)
    lost = (scores[:, i] == 0) & (scores[:, near] > 0).any(axis=1)
    filled[:, i][lost] = (seen[:, near].sum(axis=1) / count[..., None])[lost]
    sure[:, i][lost] = {guess} * (scores[:, near].sum(axis=1) / count)[lost]
joints, scores = filled, sure
"""

PERSONS = """
# The most certain persons, in the order of the file; those that the clip lacks are all 0.
order = np.sort(np.argsort(-scores.mean(axis=(1, 2)), kind="stable")[: how["persons"]])
absent = [(0, how["persons"] - len(order)), (0, 0), (0, 0)]
joints, scores = np.pad(joints[order], [*absent, (0, 0)]), np.pad(scores[order], absent)

t, logits = joints.shape[1], 0
for turn in range(how["test_clips"]):
    moments = (np.arange(how["frames"]) + (turn + 0.5) / how["test_clips"]) / how["frames"]
"""

FRAMES = {
    "uniform": """\
    chosen = np.minimum((moments * t).astype(int), t - 1)
    x, sure = joints[:, chosen], scores[:, chosen]
""",
    "replay": """\
    chosen = np.arange(how["frames"]) % t
    x, sure = joints[:, chosen], scores[:, chosen]
""",
    "zeros": """\
    chosen = np.minimum(np.arange(how["frames"]), t - 1)
    x, sure = joints[:, chosen], scores[:, chosen].copy()
    sure[:, t:] = 0
""",
    "resize": """\
    exact = np.clip(moments * t - 0.5, 0, t - 1)
    before = exact.astype(int)
    after = np.minimum(before + 1, t - 1)
    share = np.where(scores[:, before] == 0, 1, (exact - before)[:, None])
    share = np.where((scores[:, after] == 0) & (scores[:, before] > 0), 0, share)
    x = joints[:, before] * (1 - share[..., None]) + joints[:, after] * share[..., None]
    sure = scores[:, before] * (1 - share) + scores[:, after] * share
""",
}

CERTAIN = """\
    sure = sure * (sure >= how["least_score"])
"""

PLACE = """\
    def place(joints):  # where they are first seen together; if never, where anything is
        whole, some = (sure[0][:, joints] > 0).all(axis=1), sure[0] > 0
        t = (whole if whole.any() else some.any(axis=1)).argmax()
        return x[0, t][joints if whole.any() else some[t]].mean(axis=0) if some.any() else 0

"""

LINE = """\
    def line(lines):  # the first of them that is seen, in the first frame in which it is
        for start, end in lines:
            whole = (sure[0][:, start + end] > 0).all(axis=1)
            if whole.any():
                at = x[0, whole.argmax()]
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
    half = np.asarray(clip["size"])[::-1] / 2
    x = (x - half) / half
""",
    "centre": f"""\
{PLACE}    x = x - place([layout["centre_index"]])
""",
    "spine": f"""\
{PLACE}    x = x - place(layout["trunk"]["origin"])
""",
    "body": f"""\
{PLACE}{LINE}{TURN}    body = layout["trunk"]
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
    there, parents = there & there[:, :, layout["parents"]], layout["parents"]
    x = (x - x[:, :, parents]) * there
"""

VELOCITIES = """\
    moved = (x[:, 1:] - x[:, :-1]) * (there[:, 1:] & there[:, :-1])
    x = np.concatenate([moved, np.zeros_like(x[:, :1])], axis=1)
"""

SCORES = """\
    x = np.concatenate([x, sure[..., None]], axis=-1)
"""

RUN_ONNX = """\
    shown = x[None].astype(np.float32)
    logits = logits + session.run(["logits"], {"joints": shown})[0][0] / how["test_clips"]
"""

RUN_TORCH = """\
    shown = torch.from_numpy(x[None].astype(np.float32))
    logits = logits + model(shown)[0].numpy() / how["test_clips"]
"""

END = """
probabilities = np.exp(logits - logits.max())
probabilities = (probabilities / probabilities.sum()).tolist()
best = int(np.argmax(probabilities))
print(json.dumps({"label": labels[best], "probabilities": probabilities}))
"""


def onnx_example(recogniser: Recogniser, *, int8: bool = False) -> str:
    """The script that runs ``model.onnx``, or its int8 form, with numpy and onnxruntime alone."""
    needs = {"needs": "numpy and onnxruntime alone", "library": "onnxruntime"}
    return _script(recogniser, needs, " [model.int8.onnx]" if int8 else "", ONNX, RUN_ONNX)


def torch_example(recogniser: Recogniser) -> str:
    """The script that runs ``model.pt2`` with numpy and torch alone."""
    needs = {"needs": "numpy and torch alone", "library": "torch"}
    return _script(recogniser, needs, "", TORCH, RUN_TORCH)


def fills(recogniser: Recogniser) -> bool:
    """Whether the script itself does all that was done to the training clips."""
    part = recogniser.completion
    return part is None or (part.name == FILLED and not part.options.get("smooth"))


def _script(
    recogniser: Recogniser, needs: dict[str, str], arguments: str, opening: str, run: str
) -> str:
    sampling = recogniser.sampling
    more = []
    if sampling.normalisation == "image":
        more.append("and `size`, the image's (height, width)")
    if not fills(recogniser):
        assert recogniser.completion is not None
        more.append(f"after {recogniser.completion.name} has filled its lost joints")
    beginning = BEGINNING.format(
        joints=recogniser.layout.num_joints,
        coordinates=recogniser.coordinates,
        units=recogniser.units,
        arguments=arguments,
        more="".join(f",\n{words}" for words in more),
        **needs,
    )
    own = recogniser.completion is not None and fills(recogniser)
    steps = (
        beginning,
        opening,
        FILLING.format(guess=float(GUESS)) if own else "",
        PERSONS,
        FRAMES[sampling.frame_choice],
        CERTAIN if sampling.least_score else "",
        NORMALISATION[sampling.normalisation],
        SEEN,
        BONES if sampling.stream.startswith("bone") else "",
        VELOCITIES if sampling.stream.endswith("velocity") else "",
        SCORES if _with_scores(recogniser) else "",
        run,
        END,
    )
    return "".join(steps)


def _with_scores(recogniser: Recogniser) -> bool:
    return recogniser.network.channels > recogniser.coordinates
