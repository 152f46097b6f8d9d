"""The recipe: one experiment as frozen, checked data."""

from collections.abc import Mapping
from typing import Any, Literal

import yaml
from pydantic import Field, NonNegativeInt, ValidationError, model_validator

from skeldistill.recipe.ready_made import DEFAULT_METHODS, FAMILIES, spelt_out
from skeldistill.recipe.sections import Data, Method, Part, Sampling, Section, Training, one_line
from skeldistill.shelf import nearest

NETWORK = "STGCN"
"""The network of teacher and student where the recipe names none."""


class Recipe(Section):
    """One experiment: every method, fold and seed that `skeldistill run` will run."""

    name: str = Field(description="a short name for folders and reports")
    title: str = Field(default="", description="a line for people")
    family: Literal["strong", "paper"] = "strong"
    data: Data
    sampling: Sampling = Sampling()
    training: Training = Training()
    teacher: Part = Part(name=NETWORK)
    student: Part = Part(name=NETWORK)
    methods: dict[str, Method] = Field(
        min_length=1, description="by name; a list takes the ready-made ones"
    )
    seeds: tuple[NonNegativeInt, ...] = Field(default=(0, 1, 2), min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise ValueError("a recipe is a mapping with at least `name` and `data`")
        resolved = dict(data)
        name = resolved.get("family", "strong")
        family = FAMILIES.get(name, {}) if isinstance(name, str) else {}  # refused as what it is
        for section, defaults in family.items():
            given = resolved.get(section) or {}
            if isinstance(given, Mapping):  # anything else is refused as what it is
                resolved[section] = {**defaults, **given}
        for side in ("teacher", "student"):
            if isinstance(resolved.get(side), Mapping):  # options alone are the default's
                resolved[side] = {"name": NETWORK, **resolved[side]}
        resolved["methods"] = spelt_out(resolved.get("methods", DEFAULT_METHODS))
        return resolved

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if not self.name.strip(". ") or set(self.name) & set("/\\"):
            raise ValueError(f"name {self.name!r} is to name a folder: take letters, no slashes")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds {list(self.seeds)} names one twice, which would count twice")
        folders: dict[str, str] = {}
        for name, method in self.methods.items():
            other = folders.setdefault(folder_name(name).casefold(), name)
            if other != name:
                raise ValueError(
                    f"methods {other!r} and {name!r} would share the folder {folder_name(name)!r}; "
                    "let their names differ in letters or digits"
                )
            self._refuse_circle(name, ())
            self._check_teachers(name, method)
            twice = [term.name for term in method.losses]
            if len(set(twice)) != len(twice):
                raise ValueError(f"methods.{name}.losses names a loss twice: {', '.join(twice)}")
            for section, checked in (
                ("training", self.training_of),
                ("sampling", self.sampling_of),
            ):
                try:
                    checked(name)
                except ValidationError as error:  # a section by itself knows no place
                    raise ValueError(f"methods.{name}.{section}: {one_line(error)}") from None
            self._refuse_in_vain(name, method)
        return self

    def needs(self, method: str) -> list[str]:
        """The methods whose networks a method needs: its teacher's, and the one it starts from."""
        asked = self.methods[method]
        return [*asked.teachers, *(name for name in (asked.start_from,) if name in self.methods)]

    @property
    def main_teacher(self) -> str | None:
        """The first method of the high view that teaches, or else the first of that view."""
        teaching = [name for method in self.methods.values() for name in method.teachers]
        seeing = [name for name in (*teaching, *self.methods) if self.methods[name].view == "high"]
        return next(iter(seeing), None)

    def _refuse_in_vain(self, name: str, method: Method) -> None:
        """Refuse settings of which one undoes the other."""
        least = self.sampling_of(name).least_score
        if least and method.completion:
            raise ValueError(
                f"methods.{name}: sampling.least_score {least:g} would drop joints after "
                f"{method.completion.name} has filled them; leave it at 0, and put "
                f"{{name: ConfidenceOcclusion, threshold: {least:g}}} among the view's "
                "degradations, which come before"
            )
        if method.augment == "high" and not method.augmentation:
            raise ValueError(
                f"methods.{name}: augment: high has no augmentation that would make the high view "
                "worse; name one, or leave augment out"
            )
        epochs = self.training_of(name).epochs
        late = next((term for term in method.losses if term.start >= epochs), None)
        if late is not None:
            raise ValueError(
                f"methods.{name}.losses: {late.name} would never act: it starts in epoch "
                f"{late.start}, counted from 0, of {epochs}; start it sooner, or leave it out"
            )

    def _check_teachers(self, name: str, method: Method) -> None:
        if method.losses and not method.teachers:
            raise ValueError(f"methods.{name}.teacher names nobody; name a method, or several")
        for teacher in method.teachers:
            if teacher not in self.methods:
                raise ValueError(
                    f"methods.{name}.teacher is {teacher!r}, which is no method; "
                    f"{nearest(teacher, self.methods)}"
                )
            if self.methods[teacher].view == "low" and not self.methods[teacher].mix:
                raise ValueError(
                    f"methods.{name}.teacher is {teacher!r}, which never sees the high view that "
                    "it would teach from; name a method with view: high"
                )
        bodies = [self.methods[teacher] for teacher in method.teachers]
        for place, body in enumerate(bodies):
            if body in bodies[:place]:
                same = method.teachers[bodies.index(body)], method.teachers[place]
                raise ValueError(
                    f"methods.{name}.teacher names {same[0]!r} and {same[1]!r}, which would be the "
                    f"same training; set methods.{same[1]}.seed: 1"
                )
        self._check_parts(name, method)
        shown = [(self.sampling_of(t), self.methods[t].completion) for t in method.teachers]
        if any(one != shown[0] for one in shown):
            raise ValueError(
                f"methods.{name}.teacher names methods that sample or complete differently "
                f"({', '.join(method.teachers)}); all of them are shown the same frames"
            )

    def _check_parts(self, name: str, method: Method) -> None:
        """Teachers that leave out parts of their clips must leave out all of them between them."""
        left = [self.methods[teacher].leave_out for teacher in method.teachers]
        parts = next((one[1] for one in left if one), None)
        if parts is None:
            return
        if sorted(one or (0, 0) for one in left) != [(part, parts) for part in range(parts)]:
            raise ValueError(
                f"methods.{name}.teacher names methods that leave out {left}; {parts} teachers "
                f"with leave_out [0, {parts}] to [{parts - 1}, {parts}] answer for every clip once"
            )
        if self.sampling_of(name).mixup:
            raise ValueError(
                f"methods.{name} mixes clips (sampling.mixup), so that no teacher has left both of "
                "them out; set mixup to 0, or take another teacher"
            )

    def all_needs(self, method: str) -> list[str]:
        """What a method needs, and what that needs, each after its own needs."""
        found: dict[str, None] = {}
        for needed in self.needs(method):
            found |= dict.fromkeys((*self.all_needs(needed), needed))
        return list(found)

    def _refuse_circle(self, method: str, above: tuple[str, ...]) -> None:
        if method in above:
            circle = " needs ".join((*above[above.index(method) :], method))
            raise ValueError(f"methods need each other in a circle: {circle}")
        if method in self.methods:
            for needed in self.needs(method):
                self._refuse_circle(needed, (*above, method))

    def training_of(self, method: str) -> Training:
        """How a method is trained: the recipe's training with the method's own changes."""
        return Training(**{**self.training.model_dump(), **self.methods[method].training})

    def sampling_of(self, method: str) -> Sampling:
        """How a method samples: the recipe's sampling with the method's own changes."""
        return Sampling(**{**self.sampling.model_dump(), **self.methods[method].sampling})

    def to_yaml(self) -> str:
        """The resolved recipe: nothing left out, and a valid recipe itself."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def folder_name(method: str) -> str:
    """A method's name as a folder's."""
    return "".join(letter if letter.isalnum() or letter in "+-_." else "_" for letter in method)
