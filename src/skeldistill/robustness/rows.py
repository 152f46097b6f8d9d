"""What a sweep says of every method: accuracies, what is kept of the teacher's, comparisons."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from skeldistill.robustness.answers import Swept, alike, together
from skeldistill.training.answers import Answers
from skeldistill.training.statistics import Interval, accuracy, compare


@dataclass(frozen=True, kw_only=True, eq=False)
class Method:
    """A method of an experiment: name, as the results tell it, and its networks."""

    name: str
    swept: Sequence[Swept]

    @property
    def view(self) -> str:
        """The view that it sees."""
        task = self.swept[0].task
        return task.recipe.methods[task.method].view

    def at(self, key: str) -> Interval:
        """Its accuracy under a setting, percent."""
        return _accuracy(together(self.swept, lambda one: one.asked[key]))

    def worse(self) -> Answers:
        """For each clip, over how many of the settings that are not clean it was named rightly."""
        return together(self.swept, Swept.worse)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Whose clean accuracy (percent) all methods are told relative to."""

    name: str
    accuracy: float


def best_clean(methods: Sequence[Method]) -> Reference:
    """Where no run has a teacher: the method that is best on skeletons that nothing made worse."""
    best = max(methods, key=lambda method: method.at("clean").mean)
    return Reference(name=best.name, accuracy=best.at("clean").mean)


def rows(
    methods: Sequence[Method], names: Sequence[str], reference: Reference
) -> list[dict[str, Any]]:
    """One row a method, with a curve for each of the degradations `names`.

    Raises:
        ValueError: the reference names no clip rightly.
    """
    if not reference.accuracy:
        raise ValueError(f"{reference.name} names no clip rightly, so nothing is relative to it")
    return [
        {
            "name": method.name,
            "view": method.view,
            "runs": len(method.swept),
            "clean": asdict(method.at("clean")),
            "kept": asdict(_relative(_accuracy(method.worse()), reference)),
            "curves": {
                name: [asdict(method.at(f"{name} {severity}")) for severity in range(1, 6)]
                for name in names
            },
        }
        for method in methods
    ]


def comparisons(methods: Sequence[Method]) -> list[dict[str, Any]]:
    """The student that names most clips rightly over all settings, against every other one.

    Methods of the high view are among them only where there are no others. Those that were asked
    about other clips, in other folds or under other seeds are left out.
    """
    students = [method for method in methods if method.view == "low"] or methods
    best = max(students, key=lambda method: _accuracy(method.worse()).mean)
    said, found = best.worse(), []
    for other in students:
        if other is not best and alike(best.swept, other.swept):
            theirs = other.worse().only(said.ids)
            found.append(
                compare(said.rights, theirs.rights, ids=said.ids).plain(best.name, other.name)
            )
    return found


def _accuracy(answers: Answers) -> Interval:
    return accuracy(answers.rights, ids=answers.ids)


def _relative(interval: Interval, reference: Reference) -> Interval:
    """In percent of the reference, which is taken as known."""
    ends = (interval.low, interval.high)
    low, high = (None if end is None else 100 * end / reference.accuracy for end in ends)
    return replace(interval, mean=100 * interval.mean / reference.accuracy, low=low, high=high)
