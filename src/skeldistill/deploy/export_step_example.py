"""The example that stands beside an exported step: a stored clip, frame after frame.

All frames are taken as they come, so it is shorter than the one for whole clips
(`skeldistill.deploy.export_example`); the tests run it against the network.
"""

from skeldistill.deploy.export_script import PERSONS, beginning, preparation
from skeldistill.deploy.recogniser import Recogniser

RUN = """\
session = onnxruntime.InferenceSession(HERE / "step.onnx", providers=["CPUExecutionProvider"])
state, t, size = dict(np.load(HERE / "start.npz")), x.shape[1], step["frames"]
steps = -(-t // size) + step["lag"]
x = np.pad(np.float32(x), [(0, 0), (step["phase"], steps * size - t), (0, 0), (0, 0)])[None]
for i in range(steps):
    state["length"][:] = t if (i + 1) * size > t else state["length"]  # known once it ends
    given = {one.name: state[one.name] for one in session.get_inputs() if one.name in state}
    logits, *after = session.run(None, {"frames": x[:, :, i * size : (i + 1) * size], **given})
    state = dict(zip(step["state"], after))
odds = np.exp(logits[0] - logits.max())
print(json.dumps({"label": labels[odds.argmax()], "probabilities": (odds / odds.sum()).tolist()}))
"""


def step_example(recogniser: Recogniser) -> str:
    """The script that runs ``step.onnx`` over a stored clip with numpy and onnxruntime alone."""
    more = []
    if recogniser.completion is not None:
        more.append(f"after {recogniser.completion.name} has filled its lost joints")
    words = {"library": "onnxruntime", "way": ", frame by frame", "arguments": ""}
    opening = beginning(recogniser, ("step",), more, **words)
    return opening + PERSONS + preparation(recogniser) + RUN
