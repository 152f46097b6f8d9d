"""Labelling: actions and splits for clips whose files do not name them, as estimators' files."""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path

from skeldistill.clip import UNLABELLED, Clip
from skeldistill.data.store import Store
from skeldistill.readers.csv_columns import UNKNOWN, numbered, whole_number
from skeldistill.readers.reader import Reader, Source, clips_of
from skeldistill.terminal import counted

COLUMNS = ("id", "label", "split")
ENDINGS = (".csv", ".txt")


@dataclass(frozen=True, kw_only=True)
class Labels:
    """For clips by their ids: the class (a place among `classes`) and the splits.

    sizes: (height, width) of the images of those whose store knows it.
    """

    classes: tuple[str, ...]
    clips: Mapping[str, tuple[int, tuple[str, ...]]]
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Labels":
        """From a CSV file ``id,label,split``, or from a store of other views of the same clips.

        A label is a number from 0 (-1 or nothing: not known) or a name; names are numbered by
        alphabet. The column `split` may be left out, or name several splits with spaces between.

        Raises:
            OSError: the file cannot be read.
            ValueError: it is no such file.
        """
        if path.suffix.lower() not in ENDINGS:
            store = Store.open(path)
            about = zip(store.ids.tolist(), store.labels.tolist(), store.splits, strict=True)
            sizes = zip(store.ids.tolist(), store.sizes.tolist(), strict=True)
            return cls(
                classes=store.classes,
                clips={name: (label, one) for name, label, one in about},
                sizes={name: (one[0], one[1]) for name, one in sizes if min(one) > 0},
            )
        try:
            return _from_csv(path)
        except (csv.Error, ValueError) as error:
            raise ValueError(f"{path}: {' '.join(str(error).split())}") from error


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A reader whose clips get labels and splits by their ids; those not named get neither.

    Flat clips of unknown image size get the one that the labels' store has: both are of one video.
    """

    reader: Reader
    labels: Labels

    def describe(self, path: Path) -> Source:
        """What the reader says, with the labels' classes."""
        return replace(self.reader.describe(path), classes=self.labels.classes)

    def read(self, path: Path) -> Iterator[Clip]:
        """The reader's clips, labelled and sized.

        Raises:
            ValueError: none of the clips is among the labels.
        """
        found, last = 0, ""
        for clip in clips_of(self.reader, path):
            last = clip.id
            label, splits = self.labels.clips.get(clip.id, (UNLABELLED, ()))
            found += clip.id in self.labels.clips
            flat = clip.joints.shape[3] == 2
            size = clip.size or (self.labels.sizes.get(clip.id) if flat else None)
            yield replace(clip, label=label, splits=splits, size=size)
        if not found:
            some = ", ".join(map(repr, list(self.labels.clips)[:3]))
            raise ValueError(
                f"the labels name none of the clips; they name {some or 'nothing'} and so on, the "
                f"clips are called as {last!r}"
            )


def unmet(
    file: Path, told: Collection[str], known: Sequence[tuple[str, ...]], called: str
) -> list[str]:
    """What a table of labels names that is not there, and what it does not name, a line each.

    Args:
        file: the table.
        told: the ids that it names.
        known: the names of what there is, the first one its id.
        called: what that is, such as "clip".
    """
    there = {name for names in known for name in names}
    strange = [name for name in told if name not in there]
    unnamed = [names[0] for names in known if not any(name in told for name in names)]
    said = []
    if strange:
        near = get_close_matches(strange[0], unnamed, n=1)
        hint = f" (is it {near[0]!r}?)" if near else ""
        said.append(
            f"{file}: {len(strange)} of {counted(len(told), 'row')} left out, which name no "
            f"{called}; the first is {strange[0]!r}{hint}"
        )
    if unnamed:
        said.append(
            f"{file}: {len(unnamed)} of {counted(len(known), called)} not named, which stay "
            f"without label; the first is {unnamed[0]!r}"
        )
    return said


def _from_csv(path: Path) -> Labels:
    with path.open(newline="", encoding="utf-8-sig") as text:
        rows = [row for row in csv.reader(text, strict=True) if row]
    header = [name.strip() for name in rows[0]] if rows else []
    if header not in (list(COLUMNS), list(COLUMNS[:2])):
        raise ValueError(f"its first line must be id,label or id,label,split, got {header}"[:200])
    wrong = next((row for row in rows[1:] if len(row) != len(header)), None)
    if wrong is not None:
        raise ValueError(f"a line has {len(wrong)} columns, the header {len(header)}")
    names = sorted({row[1].strip() for row in rows[1:]} - {"", *UNKNOWN})
    by_number = numbered(names)
    place = {
        name: whole_number(name, "a label") if by_number else at for at, name in enumerate(names)
    }
    clips: dict[str, tuple[int, tuple[str, ...]]] = {}
    for row in rows[1:]:
        clip, label = row[0].strip(), place.get(row[1].strip(), UNLABELLED)
        splits = row[2].split() if len(row) > 2 else ()
        before, others = clips.get(clip, (label, ()))
        if before != label:
            raise ValueError(f"clip {clip!r} stands in two lines with different labels")
        clips[clip] = (label, tuple(dict.fromkeys((*others, *splits))))
    return Labels(classes=() if by_number else tuple(names), clips=clips)
