"""One task of an experiment: one method, trained on one fold under one seed, and evaluated."""

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skeldistill.archives import arrays
from skeldistill.data.store import Store
from skeldistill.data.views import open_views
from skeldistill.recipe import Data, Method, Part, Recipe, expanded, folder_name
from skeldistill.training.evaluate import Said

NETWORK, SAID, MEASURED = "network.safetensors", "said.npz", "measured.json"


@dataclass(frozen=True, kw_only=True)
class Task:
    """A method, fold and seed of a recipe, and where its results are kept."""

    recipe: Recipe
    root: Path
    method: str
    fold: int
    seed: int

    @property
    def folder(self) -> Path:
        """The task's own folder."""
        return self.root / f"fold{self.fold}" / folder_name(self.method) / f"seed{self.seed}"

    @property
    def needs(self) -> list["Task"]:
        """The tasks that must be done before: the teacher's, and the one it starts from."""
        return [self.sibling(name) for name in self.recipe.needs(self.method)]

    @property
    def chance(self) -> int:
        """What all chance of the training comes from: the run's seed, and the method's own."""
        return self.seed + 10_007 * self.recipe.methods[self.method].seed

    @property
    def start(self) -> Path | None:
        """The checkpoint it starts from: of another method of the recipe, or any file."""
        name = self.recipe.methods[self.method].start_from
        if name is None:
            return None
        own = name in self.recipe.methods
        return self.sibling(name).folder / NETWORK if own else Path(expanded(name))

    @property
    def settings(self) -> dict[str, Any]:
        """What the recipe says of this training, but for its views and other methods."""
        recipe, method = self.recipe, self.recipe.methods[self.method]
        return {
            "data": _plain(recipe.data),
            "fold": recipe.data.folds[self.fold].model_dump(),
            "method": method.model_dump(mode="json"),
            "network": network_part(recipe, method).model_dump(),
            "sampling": recipe.sampling_of(self.method).model_dump(),
            # compiled or not, what comes out is the same but for rounding
            "training": recipe.training_of(self.method).model_dump(
                mode="json", exclude={"compile"}
            ),
            "seed": self.seed,
        }

    @property
    def views(self) -> str:
        """What both views held when they were first looked at, as `mark_of` says."""
        return _views_mark(self.recipe.data.model_dump_json(), self.root)

    @property
    def fingerprint(self) -> str:
        """Changes with everything that the outcome depends on, and with nothing else.

        Raises:
            OSError: a checkpoint from outside the experiment that it starts from is not there.
        """
        return _mark(self._told([task.fingerprint for task in self.needs]))

    @property
    def kind(self) -> str:
        """The same for every fold and seed: changes with everything else that `fingerprint` does.

        Raises:
            OSError: as `fingerprint` does.
        """
        told = self._told([task.kind for task in self.needs])
        return _mark({name: one for name, one in told.items() if name not in ("fold", "seed")})

    def _told(self, needs: list[str]) -> dict[str, Any]:
        """All that the outcome depends on; of the tasks that it needs, these marks."""
        recipe, method = self.recipe, self.recipe.methods[self.method]
        said = self.settings | {"views": self.views, "needs": needs}
        if method.start_from and method.start_from not in recipe.methods:
            assert self.start is not None
            said["start"] = _digest(self.start)
        return said

    @property
    def done(self) -> bool:
        """Whether the task was finished, as the recipe stands now."""
        try:
            return self.measured()["fingerprint"] == self.fingerprint
        except (OSError, ValueError, KeyError):
            return False

    def measured(self) -> dict[str, Any]:
        """What was measured: accuracies, seconds, and the history of training."""
        return json.loads((self.folder / MEASURED).read_text(encoding="utf-8"))

    def said(self) -> Said:
        """What the trained network said of every evaluated clip."""
        return said_in(self.folder)

    def sibling(self, method: str) -> "Task":
        """Another method's task on the same fold under the same seed."""
        return Task(
            recipe=self.recipe, root=self.root, method=method, fold=self.fold, seed=self.seed
        )


def said_in(folder: Path) -> Said:
    """What the network of a finished task said of every evaluated clip, from the task's folder.

    Raises:
        ValueError: the file is damaged.
    """
    try:
        held = arrays(folder / SAID)
    except ValueError as error:
        told = f"{folder / SAID} is damaged ({error})"
        raise ValueError(f"{told}; delete its folder, and `skeldistill run` again") from error
    return Said(logits=held["logits"], labels=held["labels"], ids=tuple(held["ids"].tolist()))


def _plain(data: Data) -> dict[str, Any]:
    """What both views are used for; what they hold is marked by itself."""
    said = data.model_dump(mode="json", exclude={"folds", "high", "low"})
    if data.labelled == 1:
        del said["labelled"]  # as before it could be said, so that finished trainings stay valid
    if data.paired < 1:
        said["teacher"] = (
            "paired clips alone"  # until 0.1 high clips without a match were with them
        )
    return said


def _mark(said: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


@functools.lru_cache(maxsize=8)
def _views_mark(data: str, root: Path) -> str:
    return mark_of(*open_views(Data.model_validate_json(data), root / "views", quiet=True))


def mark_of(high: Store, low: Store) -> str:
    """What both views hold: clips are the same under another path, and changed ones are not."""
    return f"{high.fingerprint} {low.fingerprint}"


def require_same_views(before: str, now: str) -> None:
    """Refuse one table of two data sets.

    Args:
        before: what the views held (`mark_of`) when the run began.
        now: what they hold.

    Raises:
        ValueError: one line that says which view is another.
    """
    held = zip(("high", "low"), before.split(), now.split(), strict=True)
    others = [f"data.{name}" for name, one, other in held if one != other]
    if others:
        raise ValueError(
            f"{' and '.join(others)} changed while the run went on, and its trainings would be of "
            "two data sets; run again, and all of them are of what is there now"
        )


def look_again() -> None:
    """Forget what was seen in stores, which may have been written anew since."""
    _views_mark.cache_clear()


def _digest(path: Path) -> str:
    """What a checkpoint holds, under whatever path it lies."""
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint to start from at {path}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def network_part(recipe: Recipe, method: Method) -> Part:
    """The network of a method, as the recipe names it."""
    return recipe.teacher if method.network == "teacher" else recipe.student
