"""The views of a recipe as far as they are made, for those who want to know and not to wait."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from skeldistill import recipe
from skeldistill.data.store import Store
from skeldistill.data.views import check_origins, described, place_of_derived, place_of_origin


@dataclass(frozen=True, kw_only=True)
class Planned:
    """What `planned` finds.

    high, low: the views, if they are made. to_make: what would be made, in order, in words.
    """

    high: Store | None
    low: Store | None
    to_make: tuple[str, ...]


def planned(
    data: recipe.Data,
    completed: Iterable[tuple[str, recipe.Part]],
    folder: Path,
) -> Planned:
    """What `views.open_views` and `views.derived` would find and make; nothing is written.

    Args:
        data: the recipe's section.
        completed: view ("high", "low") and completion, for all that will be asked for.
        folder: where made stores are kept.

    Raises:
        OSError, ValueError: one line on a store or source that is not there.
    """
    check_origins(data)
    to_make: list[str] = []
    origin = _origin(data.high, "high", folder, None, to_make)
    high = _worse(origin, data.high, "high", data.seed, folder, to_make)
    if data.low.has_origin:
        origin = _origin(data.low, "low", folder, origin, to_make)
    low = _worse(origin, data.low, "low", data.seed, folder, to_make)
    views = {"high": high, "low": low}
    for name, completion in completed:
        view = views[name]
        told = described((), completion, data.seed)
        place = place_of_derived(view, told, folder) if view is not None else None
        line = f"{name} completed by {completion.name}"
        if (place is None or not place.exists()) and line not in to_make:
            to_make.append(line)
    return Planned(high=high, low=low, to_make=tuple(to_make))


def _origin(
    view: recipe.View, name: str, folder: Path, high: Store | None, to_make: list[str]
) -> Store | None:
    if view.store:
        return Store.open(place_of_origin(view, name, folder))
    source = Path(recipe.expanded(view.source)) if view.source else None
    if source is not None and not source.exists():
        raise FileNotFoundError(f"data.{name}.source: there is no {source}")
    if high is not None or view.labels != "high":
        place = place_of_origin(view, name, folder, high)
        if place.exists():
            return Store.open(place)
    to_make.append(f"{name} read by {view.reader}" + (f" from {source}" if source else ""))
    return None


def _worse(
    store: Store | None, view: recipe.View, name: str, seed: int, folder: Path, to_make: list[str]
) -> Store | None:
    """The view after the recipe's degradations."""
    worse, chance = view.degradations, "high:" if name == "high" else ""
    if not worse:
        return store
    if store is not None:
        place = place_of_derived(store, described(worse, None, seed, chance), folder)
        if place.exists():
            return Store.open(place)
    to_make.append(f"{name} made worse by {' + '.join(part.name for part in worse)}")
    return None
