"""Two finished methods of any two experiments, compared on the clips that both were asked about."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from skeldistill import recipe as recipes
from skeldistill.training.answers import Answers, in_common
from skeldistill.training.evaluate import Said
from skeldistill.training.statistics import Comparison, compare
from skeldistill.training.task import MEASURED, SAID, said_in


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a method of an experiment said.

    root: the experiment's folder. said: by fold, then by seed.
    """

    root: Path
    method: str
    said: dict[int, dict[int, Said]]

    @property
    def name(self) -> str:
        """``experiment:method``."""
        return f"{self.root.name or self.root.resolve().name}:{self.method}"


@dataclass(frozen=True, kw_only=True)
class Between:
    """Two methods on the same clips.

    accuracies: of both, percent. clips: how many answers were compared, counted once for each
    fold; distinct: how many clips those are. folds, seeds: the compared ones of `method` and
    `against`, seed by seed. left_out: clips that only one of them was asked about.
    """

    method: str
    against: str
    accuracies: tuple[float, float]
    clips: int
    distinct: int
    folds: tuple[int, ...]
    seeds: tuple[tuple[int, int], ...]
    left_out: int
    comparison: Comparison

    @property
    def sentence(self) -> str:
        """The outcome in plain words."""
        return self.comparison.sentence(self.method, self.against)

    def plain(self) -> dict[str, Any]:
        """Everything as plain values."""
        above = self.comparison.above_noise
        return {**asdict(self), "above_noise": above, "sentence": self.sentence}


def open_finished(text: str) -> Finished:
    """A finished method by ``RUN:method``, or by ``RUN`` alone where it has one distilled student.

    Only what the trainings left beside their networks is read, so neither the data nor the
    networks are needed, and the recipe may be one of an older version if a method is named.

    Raises:
        ValueError: no such experiment or method, none of its trainings is finished, or they are
            of several recipes.
    """
    root, method = _parted(text)
    method = method or _only_method(root)
    said: dict[int, dict[int, Said]] = {}
    kinds: dict[str, str] = {}
    for measured in sorted(root.glob(f"fold*/{recipes.folder_name(method)}/seed*/{MEASURED}")):
        folder = measured.parent
        fold, seed = folder.parents[1].name.removeprefix("fold"), folder.name.removeprefix("seed")
        if fold.isdigit() and seed.isdigit() and (folder / SAID).is_file():
            said.setdefault(int(fold), {})[int(seed)] = said_in(folder)
            kind = json.loads(measured.read_text(encoding="utf-8")).get("kind")
            if kind is not None:  # older versions did not tell
                kinds.setdefault(kind, f"fold{fold}/{folder.parent.name}/seed{seed}")
    if not said:
        known = sorted({path.parents[1].name for path in root.glob(f"fold*/*/seed*/{MEASURED}")})
        raise ValueError(
            f"{root} has no finished method {method!r}; it has {', '.join(known) or 'none'}"
        )
    if not all(one.ids for seeds in said.values() for one in seeds.values()):
        raise ValueError(
            f"{root}: {method!r} was tested on no clip, so there is nothing to compare"
        )
    if len(kinds) > 1:
        one, other = list(kinds.values())[:2]
        raise ValueError(
            f"{root}: {one} and {other} were trained under other settings or on other data, and "
            "are no seeds of one method; `skeldistill run` again those that are old, or delete them"
        )
    return Finished(root=root, method=method, said=said)


def _parted(text: str) -> tuple[Path, str | None]:
    """The experiment's folder and the method; a colon may stand in the folder's name too."""
    if Path(text).is_dir():
        return Path(text), None
    folder, _, method = text.rpartition(":")
    if not folder or not Path(folder).is_dir():
        raise ValueError(f"{text}: no such experiment; give its folder, as in runs/demo:SKD")
    return Path(folder), method


def _only_method(root: Path) -> str:
    methods = recipes.of_experiment(root).methods
    found = [name for name, one in methods.items() if one.losses] or list(methods)
    if len(found) != 1:
        raise ValueError(f"{root} has several methods; name one, as in {root}:{found[-1]}")
    return found[0]


def between(method: Finished, against: Finished) -> Between:
    """Compare two finished methods clip by clip.

    Folds are paired by number and clips by id. Seeds that both have are paired; where there are
    none, as many of each as both have, in order.

    Raises:
        ValueError: no fold or clip in common, or other labels for the same clips.
    """
    folds = sorted(set(method.said) & set(against.said))
    if not folds:
        raise ValueError(f"{method.name} and {against.name} have no fold in common")
    seeds = _seeds(method, against, folds)
    mine, other = (
        Answers.of([[one.said[fold][pair[side]] for pair in seeds] for fold in folds])
        for side, one in enumerate((method, against))
    )
    common = [sorted(fold) for fold in in_common(mine, other)]
    for fold, ids in zip(folds, common, strict=True):
        if not ids:
            raise ValueError(
                f"{method.name} and {against.name} were evaluated on other clips in fold {fold}; "
                "compare experiments on the same data and folds"
            )
        _agree(method.said[fold][seeds[0][0]], against.said[fold][seeds[0][1]], ids)
    clips = sum(map(len, common))
    asked = sum(len(fold) for one in (mine, other) for fold in one.ids)
    mine, other = mine.only(common), other.only(common)
    names = _names(method, against)
    return Between(
        method=names[0],
        against=names[1],
        accuracies=(mine.accuracy, other.accuracy),
        clips=clips,
        distinct=len(set().union(*common)),
        folds=tuple(folds),
        seeds=tuple(seeds),
        left_out=asked - 2 * clips,
        comparison=compare(mine.rights, other.rights, ids=common),
    )


def _names(method: Finished, against: Finished) -> tuple[str, str]:
    """What both are called: with their paths where folders elsewhere have one name."""
    if method.name != against.name or method.root.resolve() == against.root.resolve():
        return method.name, against.name
    return f"{method.root}:{method.method}", f"{against.root}:{against.method}"


def _seeds(method: Finished, against: Finished, folds: list[int]) -> list[tuple[int, int]]:
    own = set.intersection(*(set(method.said[fold]) for fold in folds))
    others = set.intersection(*(set(against.said[fold]) for fold in folds))
    if common := sorted(own & others):
        return [(seed, seed) for seed in common]
    pairs = list(zip(sorted(own), sorted(others), strict=False))
    if not pairs:
        raise ValueError(
            f"{method.name} or {against.name} has no seed that is finished in every fold; "
            "let `skeldistill run` finish"
        )
    return pairs


def _agree(a: Said, b: Said, common: list[str]) -> None:
    if a.logits.shape[1] != b.logits.shape[1]:
        raise ValueError(
            f"one experiment tells {a.logits.shape[1]} actions apart and the other "
            f"{b.logits.shape[1]}; they are of other data"
        )
    places = [dict(zip(one.ids, one.labels.tolist(), strict=True)) for one in (a, b)]
    other = next((clip for clip in common if places[0][clip] != places[1][clip]), None)
    if other is not None:
        raise ValueError(
            f"clip {other!r} has label {places[0][other]} in one experiment and "
            f"{places[1][other]} in the other; they are of other data"
        )
