"""The model card: what a stranger must know before using a model."""

import hashlib
from collections.abc import Mapping
from typing import Any

import yaml

from skeldistill import __version__
from skeldistill.deploy.recogniser import Recogniser
from skeldistill.networks.network import Network
from skeldistill.recipe import Sampling
from skeldistill.terminal import counted

CARD = """---
{header}---

# {title}

{summary}

```python
import skeldistill

model = skeldistill.from_pretrained("OWNER/NAME")  # or the path of this folder
print(model.recognise(clip))  # a skeldistill.clip.Clip on layout {layout}
```

`pip install 'skeldistill[hub]'`; `skeldistill predict FOLDER SOURCE` names the actions in videos
and skeleton files, `skeldistill export FOLDER OUT --format onnx` makes a form for ONNX Runtime.

## Actions

{actions}

## Data

{data}

## Training

{training}

## Measured accuracy

{accuracy}

## Limits

{limits}
"""


SEAL = "\n<!-- as written by skeldistill: {digest} -->\n"
"""The last line of a card; it no longer fits once somebody has written into the card."""


def sealed(text: str) -> str:
    """A card that can be told from one that somebody has written into."""
    return text + SEAL.format(digest=hashlib.sha256(text.encode()).hexdigest()[:16])


def untouched(card: str) -> bool:
    """Whether nobody has written into a sealed card."""
    text, _, _ = card.rpartition(SEAL.partition("{")[0])
    return card == sealed(text)


def card(
    recogniser: Recogniser,
    about: Mapping[str, Any],
    measured: Mapping[str, Any],
    results: Mapping[str, Any],
    accuracy: str | None,
) -> str:
    """The card as Markdown.

    Args:
        recogniser: the model.
        about: what its checkpoint tells.
        measured: of its training run; may be empty.
        results: of its whole experiment; may be empty.
        accuracy: a sentence on what else was measured.
    """
    recipe = about.get("recipe") or {}
    method = about.get("method", "")
    network = type(recogniser.network).__name__
    title = recipe.get("title") or recipe.get("name") or f"{network} on {recogniser.layout.name}"
    header = {
        "library_name": "skeldistill",
        "tags": ["skeleton-based-action-recognition", "knowledge-distillation"],
    }
    return CARD.format(
        header=yaml.safe_dump(header, sort_keys=False),
        title=f"{title}: {method}" if method else title,
        summary=_summary(recogniser),
        layout=recogniser.layout.name,
        actions=", ".join(recogniser.labels),
        data=_lines(_data(recipe, about)),
        training=_lines(_training(recipe, method, about, recogniser.network)),
        accuracy=_lines(_accuracy(measured, results, method, _tested(recipe, about), accuracy)),
        limits=_lines(_limits(recogniser)),
    )


def _summary(recogniser: Recogniser) -> str:
    network = recogniser.network
    weights = sum(weight.numel() for weight in network.parameters())
    return (
        f"{type(network).__name__} with {weights:,} parameters names {network.classes} actions "
        f"from {recogniser.coordinates}-D skeletons of layout {recogniser.layout.name} "
        f"({recogniser.layout.num_joints} joints, {recogniser.units}). Made with skeldistill "
        f"{__version__}."
    )


def _data(recipe: Mapping[str, Any], about: Mapping[str, Any]) -> list[str]:
    views = recipe.get("data") or {}
    said = []
    for name in ("high", "low"):
        view = views.get(name) or {}
        origin = view.get("store") or view.get("source") or view.get("reader")
        worse = [part["name"] for part in view.get("degradations") or ()]
        if origin or worse:
            made = f"`{origin}`" if origin else "the high view"
            by = f" read by {view['reader']}" if view.get("reader") else ""
            also = f", made worse by {', '.join(worse)}" if worse else ""
            said.append(f"{name} view: {made}{by}{also}")
    fold, apart = _fold(recipe, about), views.get("validation")
    if fold and apart:
        said.append(
            f"trained on {100 * (1 - apart):.3g} % of split `{fold['train']}`; measured on the "
            f"rest of it, `{fold['test']}` was not looked at"
        )
    elif fold:
        said.append(f"trained on split `{fold['train']}`, held out: `{fold['test']}`")
    return said or ["not told by the checkpoint"]


def _fold(recipe: Mapping[str, Any], about: Mapping[str, Any]) -> Mapping[str, Any]:
    """The names of the splits; empty where the checkpoint does not tell them."""
    folds, fold = (recipe.get("data") or {}).get("folds") or [], about.get("fold", 0)
    return folds[fold] if isinstance(fold, int) and fold < len(folds) else {}


def _tested(recipe: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """What training was measured on."""
    fold = _fold(recipe, about)
    if fold and (recipe.get("data") or {}).get("validation"):
        return f"the rest of split `{fold['train']}` (`{fold['test']}` was not looked at)"
    return "the held-out split"


def _training(
    recipe: Mapping[str, Any], method: str, about: Mapping[str, Any], network: Network
) -> list[str]:
    told = (recipe.get("methods") or {}).get(method)
    if told is None:
        return [_imported(about)]
    said = [f"method `{method}`, seed {about.get('seed')}; everything is in `recipe.yaml`"]
    if told.get("losses"):
        terms = ", ".join(term["name"] for term in told["losses"])
        teacher = told.get("teacher")
        names = [teacher] if isinstance(teacher, str) else teacher or ()
        said.append(f"taught by {', '.join(f'`{name}`' for name in names)} with {terms}")
    else:
        said.append("not distilled")
    if told.get("start_from"):
        said.append(f"starting from the weights of `{told['start_from']}`")
    if told.get("completion"):
        said.append(f"lost joints filled by {told['completion']['name']}")
    if told.get("augmentation"):
        parts = ", ".join(part["name"] for part in told["augmentation"])
        said.append(f"{parts} drawn afresh in training")
    training = {**(recipe.get("training") or {}), **(told.get("training") or {})}
    if network.closed_form_passes:
        said.append("fitted in closed form")
    elif training:
        epochs = counted(training.get("epochs", 0), "epoch")
        said.append(f"{epochs} of batches of {training.get('batch_size')}")
    return said


def _imported(about: Mapping[str, Any]) -> str:
    """Where weights are from that another codebase trained."""
    imported = about.get("imported")
    if not isinstance(imported, Mapping):
        return "not told by the checkpoint"
    return (
        f"not trained here: weights of `{imported.get('file')}` (sha256 {imported.get('sha256')}), "
        "imported by their official names; say who trained them, and under which licence"
    )


def _accuracy(
    measured: Mapping[str, Any],
    results: Mapping[str, Any],
    method: str,
    tested: str,
    accuracy: str | None,
) -> list[str]:
    said = []
    if measured.get("top1") is not None:
        said.append(
            f"these weights, on {tested}: top-1 {measured['top1']:.2f} %, "
            f"top-5 {measured['top5']:.2f} % of {measured['clips']} clips"
        )
    for row in results.get("methods") or ():
        if row["name"] == method and len((row["top1"] or {}).get("values", ())) > 1:
            top = row["top1"]
            said.append(
                f"the same method over {len(top['values'])} trainings (folds and seeds): top-1 "
                f"{top['mean']:.2f} %, 95 % interval {max(top['low'], 0):.2f} to "
                f"{min(top['high'], 100):.2f}"
            )
    comparisons = results.get("comparisons") or ()
    said += [about["sentence"] for about in comparisons if about["method"] == method]
    if accuracy:
        said.append(accuracy)
    return said or ["nobody measured it, or nobody kept what was measured"]


def _limits(recogniser: Recogniser) -> list[str]:
    sampling: Sampling = recogniser.sampling
    said = [
        f"It knows its {recogniser.network.classes} actions alone, and names one of them whatever "
        "it is shown; a low confidence is the only hint.",
        f"It expects layout {recogniser.layout.name} in {recogniser.units} from an estimator like "
        "that of its training clips; with another, accuracy is unknown.",
        f"It sees {sampling.frames} frames of a clip and up to {sampling.persons} "
        f"person{'s' if sampling.persons > 1 else ''}; a clip should hold one action.",
        "Accuracy may differ between people, cameras and places that the training clips lack; "
        "do not decide about people by it alone.",
    ]
    return said


def _lines(items: list[str]) -> str:
    return "\n".join(f"- {item}" for item in items)
