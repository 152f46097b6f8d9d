"""Where a user keeps the papers' views: a file of his that names them, and what is missing."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from skeldistill.data.store import Store
from skeldistill.data.views import origins, place_of_origin
from skeldistill.recipe import Data, View, expanded
from skeldistill.reproduction.book import Division, known
from skeldistill.shelf import nearest

VIEWS = "views"
"""The folder of imported views, below that of the whole reproduction."""
SPLITS = "splits"
"""The one key of the file that is no view."""


class GivenView(View):
    """A view as the user has it."""

    note: str = Field(default="", description="in what it is not the paper's; stands in the report")

    @property
    def view(self) -> dict[str, Any]:
        """As a recipe spells it."""
        return self.model_dump(exclude={"note"})


@dataclass(frozen=True, kw_only=True)
class Given:
    """The user's file. divisions: by data set and name, where his splits are called otherwise.

    all_there: for plans, as if every view could be had.
    """

    views: Mapping[str, GivenView]
    divisions: Mapping[str, Mapping[str, Division]]
    all_there: bool = False

    def missing(self, name: str) -> str | None:
        """Why a view cannot be had, in a line; None if it is there."""
        if self.all_there:
            return None
        if name not in self.views:
            return f"{name} is not in the file of views; it needs {known().views[name].needs}"
        view = self.views[name]
        places = [place for place in (view.store or view.source, view.labels) if place]
        if not places:
            return None if view.reader else f"{name} has neither a store nor a reader"
        try:
            paths = [Path(expanded(place)) for place in places]
        except ValueError as error:
            return f"{name}: {error}"
        return next((f"{name}: there is no {path}" for path in paths if not path.exists()), None)

    def unsized(self, name: str) -> str | None:
        """Why the joints of a view that is there cannot be placed in its images, in a line.

        None if they can, or if there are files yet that only reading tells of.
        """
        view = self.views[name]
        if self.all_there or not view.store:
            return None
        path = Path(expanded(view.store))
        try:
            store = Store.open(path)
        except (OSError, ValueError) as error:
            return f"{name}: {error}"
        if (store.sizes > 0).all():
            return None
        return (
            f"{name}: {path} has clips without an image size; import it with option "
            "size=[height,width] or with labels of a store that knows sizes"
        )

    def division(self, data: str, name: str) -> Division:
        """A data set's division, by the user's names of splits if he gives any."""
        return self.divisions.get(data, {}).get(name) or known().data_sets[data].divisions[name]


def read(path: Path | None) -> Given:
    """Read a file of views; without one, no view is there.

    Raises:
        OSError: it cannot be read.
        ValueError: one line that says what is wrong with it.
    """
    if path is None:
        return Given(views={}, divisions={})
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, Mapping):
        raise ValueError(f"{path} must map names of views to where they are; see --example")
    return Given(
        views={name: _view(path, name, body) for name, body in data.items() if name != SPLITS},
        divisions=_divisions(path, data.get(SPLITS) or {}),
    )


def _view(path: Path, name: Any, body: Any) -> GivenView:
    if name not in known().views:
        raise ValueError(f"{path}: no view called {name!r}; {nearest(str(name), known().views)}")
    try:
        return GivenView.model_validate(body)
    except ValidationError as error:
        raise ValueError(f"{path}: {name}: {_said(error)}") from None


def _divisions(path: Path, data: Any) -> dict[str, dict[str, Division]]:
    made: dict[str, dict[str, Division]] = {}
    try:
        for name, divisions in dict(data).items():
            official = known().data_sets[name].divisions
            made[name] = {
                one: Division.model_validate(official[one].model_dump() | dict(body))
                for one, body in dict(divisions).items()
            }
    except ValidationError as error:
        raise ValueError(f"{path}: {SPLITS}: {_said(error)}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: {SPLITS} must say {{data set: {{division: {{train: ..., test: ...}}}}}} by "
            f"names that --example prints, got {error}"
        ) from None
    return made


def _said(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(step) for step in first["loc"])
    return f"{place + ': ' if place else ''}{first['msg'].removeprefix('Value error, ')}"


def imported(view: GivenView, folder: Path, *, quiet: bool) -> GivenView:
    """The same view as a store, made in the folder if a reader must read it, and kept there."""
    store, _ = origins(Data(high=_clean(view)), folder, quiet=quiet)
    return _as_store(view, store.path)


def if_made(view: GivenView, folder: Path) -> GivenView | None:
    """What `imported` would give, if it needs not make it."""
    try:
        path = place_of_origin(_clean(view), "high", folder)
    except (OSError, ValueError):
        return None
    return _as_store(view, path) if path.exists() else None


def _clean(view: GivenView) -> View:
    return View.model_validate(view.view | {"degradations": ()})


def _as_store(view: GivenView, path: Path) -> GivenView:
    return GivenView(store=str(path), degradations=view.degradations, note=view.note)


def example() -> str:
    """A file of views to fill in, as text."""
    lines = [
        "# Where the views of the papers' tables are. Take out those that you do not have.",
        "# A view is a store, or a reader with its source and options; $NAME is expanded.",
        "# Pose estimates take labels and splits from another view of the clips: `labels` names",
        "# its store, or a CSV id,label,split. Their files are called as the clips are there: of a",
        "# clip a/b the file b in a folder a, of NTU the videos without their `_rgb`.",
        "# They know no image sizes: `size` is (height, width); without it the store's are taken.",
        "# Another estimator may stand in for one of the papers': say so under `note`.",
        "# Splits called otherwise than by the readers:",
        '#   splits: {sysu: {setting 1: {train: "s1_{:02d}_train", test: "s1_{:02d}_test"}}}',
    ]
    for name, view in known().views.items():
        wrapped = textwrap.wrap(f"Needs {view.needs}. Layout {view.layout}.", 96)
        lines += ["", *(f"# {line}" for line in wrapped)]
        body = view.example.model_dump(exclude_defaults=True)
        text = yaml.safe_dump({name: body}, sort_keys=False, default_flow_style=None, width=200)
        lines.append(text.rstrip())
    return "\n".join(lines) + "\n"
