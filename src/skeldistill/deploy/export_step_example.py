"""The example that stands beside an exported step: a stored clip, frame after frame.

Like the one for whole clips (`skeldistill.deploy.export_example`) it is put together from the steps
that this one network needs, and the tests run it against the network. It is shorter, as all frames
are taken as they come.
"""

from textwrap import dedent

from skeldistill.deploy.export_example import NORMALISATION, SCORES, SEEN
from skeldistill.deploy.recogniser import Recogniser

BEGINNING = '''"""Names the action of a clip, frame by frame. Needs numpy and onnxruntime alone.

python example.py CLIP: a .npz or .json file with `joints` (persons, frames, {joints},
{coordinates}) in {units} and, if known, `scores` (persons, frames, {joints}), 0 (lost) to 1{more}.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
HERE = Path(__file__).parent
file = Path(sys.argv[1] if sys.argv[1:] else sys.exit("name a clip: python example.py CLIP"))
names = ("step", "layout", "labels", "preprocessing")
step, layout, labels, how = (json.loads((HERE / f"{{n}}.json").read_text("utf-8")) for n in names)
clip = dict(np.load(file)) if file.suffix == ".npz" else json.loads(file.read_text("utf-8"))
x = np.asarray(clip["joints"], np.float64)
if x.shape[2:] != ({joints}, {coordinates}):
    sys.exit(f"{{file}}: joints of shape {{x.shape}}, not (.., .., {joints}, {coordinates})")
everybody = np.broadcast_to(x.any(axis=(2, 3))[..., None], x.shape[:3])
sure = np.asarray(clip.get("scores", everybody), np.float64)
best = np.sort(np.argsort(-sure.mean(axis=(1, 2)), kind="stable")[: how["sampling"]["persons"]])
x, sure = x[best], sure[best]
'''

CERTAIN = """\
sure = sure * (sure >= how["sampling"]["least_score"])
"""

BONES = """\
there = there & there[:, :, layout["parents"]]
x = (x - x[:, :, layout["parents"]]) * there
"""

VELOCITIES = """\
after, then = (np.append(one[:, 1:], 0 * one[:, :1], axis=1) for one in (x, there))
x = (after - x) * (there & then.astype(bool))
"""

RUN = """\
session = onnxruntime.InferenceSession(HERE / "step.onnx", providers=["CPUExecutionProvider"])
state, t, size = dict(np.load(HERE / "start.npz")), x.shape[1], step["frames"]
steps = -(-t // size) + step["lag"]
around = [(0, step["shape"][1] - len(x)), (step["phase"], steps * size - t), (0, 0), (0, 0)]
frames = np.pad(x, around).astype(np.float32)[None]
for i in range(steps):
    state["length"][:] = t if (i + 1) * size > t else state["length"]  # known once it ends
    given = {one.name: state[one.name] for one in session.get_inputs() if one.name in state}
    logits, *after = session.run(None, {"frames": frames[:, :, i * size : (i + 1) * size], **given})
    state = dict(zip(step["state"], after))
odds = np.exp(logits[0] - logits.max())
print(json.dumps({"label": labels[odds.argmax()], "probabilities": (odds / odds.sum()).tolist()}))
"""


def step_example(recogniser: Recogniser) -> str:
    """The script that runs ``step.onnx`` over a stored clip with numpy and onnxruntime alone."""
    sampling = recogniser.sampling
    more = []
    if sampling.normalisation == "image":
        more.append("and `size`, the image's (height, width)")
    if recogniser.completion is not None:
        more.append(f"after {recogniser.completion.name} has filled its lost joints")
    beginning = BEGINNING.format(
        joints=recogniser.layout.num_joints,
        coordinates=recogniser.coordinates,
        units=recogniser.units,
        more="".join(f",\n{words}" for words in more),
    )
    steps = (
        beginning,
        CERTAIN if sampling.least_score else "",
        dedent(NORMALISATION[sampling.normalisation]),
        dedent(SEEN),
        BONES if sampling.stream.startswith("bone") else "",
        VELOCITIES if sampling.stream.endswith("velocity") else "",
        dedent(SCORES) if recogniser.network.channels > recogniser.coordinates else "",
        RUN,
    )
    return "".join(steps)
