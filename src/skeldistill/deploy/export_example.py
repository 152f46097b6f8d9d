"""The example that stands beside an exported network: a script that needs none of our code.

The tests run every step's script against `Recogniser`.
"""

from textwrap import indent

from skeldistill.completions.guess import GUESS
from skeldistill.deploy.export_script import PERSONS, beginning, preparation
from skeldistill.deploy.recogniser import Recogniser

FILLED = "SlidingWindowAverage"
"""The completion that the script knows; for others it says that they must be done before."""

FILLING = """\
# A lost joint is filled with the mean of where it was seen in the frames around.
seen, reach = x * (sure > 0)[..., None], told["completion"]["window"] // 2
filled, surer = x.copy(), sure.copy()
for i in range(x.shape[1]):
    near = slice(max(0, i - reach), i + reach + 1)
    count = np.maximum((sure[:, near] > 0).sum(axis=1), 1)
    lost = (sure[:, i] == 0) & (sure[:, near] > 0).any(axis=1)
    filled[:, i][lost] = (seen[:, near].sum(axis=1) / count[..., None])[lost]
    surer[:, i][lost] = {guess} * (sure[:, near].sum(axis=1, dtype=float) / count)[lost]
x, sure = filled, surer
"""

ONE_CHOICE = """\
t, moments = x.shape[1], (np.arange(how["frames"]) + 0.5) / how["frames"]
"""

SEVERAL_CHOICES = """\
t, joints, scores, logits = x.shape[1], x, sure, 0
for turn in range(how["test_clips"]):
    moments = (np.arange(how["frames"]) + (turn + 0.5) / how["test_clips"]) / how["frames"]
"""

FRAMES = {
    "uniform": """\
chosen = np.minimum((moments * t).astype(int), t - 1)
x, sure = {x}[:, chosen], {sure}[:, chosen]
""",
    "replay": """\
chosen = np.arange(how["frames"]) % t
x, sure = {x}[:, chosen], {sure}[:, chosen]
""",
    "zeros": """\
chosen = np.minimum(np.arange(how["frames"]), t - 1)
x, sure = {x}[:, chosen], {sure}[:, chosen]
sure[:, t:] = 0
""",
    "resize": """\
exact = np.clip(moments * t - 0.5, 0, t - 1)
before = exact.astype(int)
after = np.minimum(before + 1, t - 1)
share = np.where({sure}[:, before] == 0, 1, np.float32(exact - before)[:, None])
share = np.where(({sure}[:, after] == 0) & ({sure}[:, before] > 0), 0, share)
x = {x}[:, before] * (1 - share[..., None]) + {x}[:, after] * share[..., None]
sure = {sure}[:, before] * (1 - share) + {sure}[:, after] * share
""",
}

ONNX = """\
options = onnxruntime.SessionOptions()
options.log_severity_level = 3
model = str(HERE / (sys.argv[2] if len(sys.argv) > 2 else "model.onnx"))
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
"""

TORCH = """\
model = torch.export.load(HERE / "model.pt2").module()
"""

RUN_ONNX = """\
said = session.run(["logits"], {"joints": x[None].astype(np.float32)})[0][0]
"""

RUN_TORCH = """\
said = model(torch.from_numpy(x[None].astype(np.float32)))[0].numpy()
"""

ADD = """\
logits = logits + said / how["test_clips"]
"""

END = """\
odds = np.exp({logits} - {logits}.max())
print(json.dumps({{"label": labels[odds.argmax()], "probabilities": (odds / odds.sum()).tolist()}}))
"""


def onnx_example(recogniser: Recogniser, *, int8: bool = False) -> str:
    """The script that runs ``model.onnx``, or its int8 form, with numpy and onnxruntime alone."""
    arguments = " [model.int8.onnx]" if int8 else ""
    return _script(recogniser, "onnxruntime", arguments, ONNX, RUN_ONNX)


def torch_example(recogniser: Recogniser) -> str:
    """The script that runs ``model.pt2`` with numpy and torch alone."""
    return _script(recogniser, "torch", "", TORCH, RUN_TORCH)


def fills(recogniser: Recogniser) -> bool:
    """Whether the script itself does all that was done to the training clips."""
    part = recogniser.completion
    return part is None or (part.name == FILLED and not part.options.get("smooth"))


def _script(recogniser: Recogniser, library: str, arguments: str, opening: str, run: str) -> str:
    sampling, part, more = recogniser.sampling, recogniser.completion, []
    if not fills(recogniser):
        assert part is not None
        more.append(f"after {part.name} has filled its lost joints")
    several = sampling.test_clips > 1
    names = {"x": "joints", "sure": "scores"} if several else {"x": "x", "sure": "sure"}
    chosen = FRAMES[sampling.frame_choice].format(**names)
    turn = chosen + preparation(recogniser) + run + (ADD if several else "")
    steps = (
        beginning(recogniser, (), more, library=library, way="", arguments=arguments),
        opening,
        FILLING.format(guess=float(GUESS)) if part is not None and fills(recogniser) else "",
        PERSONS,
        SEVERAL_CHOICES + indent(turn, "    ") if several else ONE_CHOICE + turn,
        END.format(logits="logits" if several else "said"),
    )
    return "".join(steps)
