"""One training where several experiments ask for the same: plain ones need no other view.

A teacher on complete skeletons is the same whatever its students will see; it is trained once, and
the other experiments get a copy.
"""

import hashlib
import json
import shutil
from pathlib import Path

from skeldistill.clip import UNLABELLED
from skeldistill.data.views import open_views
from skeldistill.files import write_text
from skeldistill.recipe import Method, Recipe
from skeldistill.training.task import MEASURED, NETWORK, SAID, Task

INDEX = "shared.json"
"""In the folder of the reproduction: where which training is."""


def key(task: Task) -> str | None:
    """What a training's outcome depends on; None for one that more than its own view enters."""
    recipe, method = task.recipe, task.recipe.methods[task.method]
    if not _is_plain(recipe, method):
        return None
    high, low = open_views(recipe.data, task.root / "views", quiet=True)
    seen, other = (high, low) if method.view == "high" else (low, high)
    asked = (
        recipe.data.paired < 1 or method.clips == "paired",  # whose clips have a match
        recipe.data.labelled < 1 or (seen.labels == UNLABELLED).any(),  # whose label is known
        not (seen.classes and other.classes),  # how many classes there are
    )
    said = task.settings | {
        "seen": seen.fingerprint,
        "other": other.fingerprint if any(asked) else None,
    }
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _is_plain(recipe: Recipe, method: Method) -> bool:
    from_high = bool(method.augmentation) and method.augment == "high"
    entering = (method.losses, method.mix, method.start_from, from_high, recipe.data.validation)
    return not any(entering)


class Shared:
    """The trainings of a reproduction that others may take over.

    Args:
        root: the folder of the reproduction.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def adopt(self, task: Task) -> bool:
        """Give an unfinished task the outcome of an equal one, if there is one."""
        found = self._read().get(key(task) or "")
        if found is None or task.done:
            return False
        source = self.root / found["folder"]
        try:
            measured = json.loads((source / MEASURED).read_text(encoding="utf-8"))
            if measured["fingerprint"] != found["fingerprint"]:
                return False  # it has been trained anew since, on something else
            task.folder.mkdir(parents=True, exist_ok=True)
            for name in (NETWORK, SAID):
                shutil.copy2(source / name, task.folder / name)
        except (OSError, ValueError, KeyError):
            return False
        measured["fingerprint"] = task.fingerprint
        write_text(task.folder / MEASURED, json.dumps(measured))  # last: it says that all is done
        return True

    def offer(self, task: Task) -> None:
        """Let others have a finished task's outcome."""
        name = key(task)
        if name is None or not task.done:
            return
        known = self._read()
        if name not in known:
            known[name] = {
                "folder": str(task.folder.relative_to(self.root)),
                "fingerprint": task.measured()["fingerprint"],
            }
            write_text(self.root / INDEX, json.dumps(known, indent=1))

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            return json.loads((self.root / INDEX).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
