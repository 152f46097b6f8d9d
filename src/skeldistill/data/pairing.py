"""Which clips are trained and tested on, and which high clip belongs to which low one.

Every choice is drawn from the clips' own ids, so that it is the same on every machine and in
every run, whatever the order of the files.
"""

import hashlib
import re
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from skeldistill import recipe
from skeldistill.clip import UNLABELLED
from skeldistill.data.store import Store

SOLITARY = -1
"""The teacher row of a clip without a high-quality match."""


@dataclass(frozen=True, kw_only=True)
class Clips:
    """Clips of one view, by their rows in its store, and their matches in the teacher's.

    rows, teacher_rows (or `SOLITARY`), labels (or `UNLABELLED`): ``(n,)``.
    """

    rows: Int64[np.ndarray, " n"]
    teacher_rows: Int64[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.rows)

    def only_paired(self) -> "Clips":
        """Those that have a high-quality match."""
        return self.some(self.teacher_rows != SOLITARY)

    def only_labelled(self) -> "Clips":
        """Those whose action is known."""
        return self.some(self.labels != UNLABELLED)

    def some(self, kept: Bool[np.ndarray, " n"]) -> "Clips":
        """Some of them."""
        return Clips(
            rows=self.rows[kept], teacher_rows=self.teacher_rows[kept], labels=self.labels[kept]
        )


def training_clips(store: Store, high: Store, fold: recipe.Fold, data: recipe.Data) -> Clips:
    """The training clips of a view, less the validation part, each with its match if it has one.

    With ``data.paired`` below 1, that share of the clips (rounded, class by class) keeps its match;
    with ``data.labelled`` below 1, about that share keeps its label, clips of one recording
    (``data.group``) together. A label that one view knows holds for both. Clips with neither match
    nor label, of which nothing can be learnt, are left out.
    """
    rows = store.in_split(fold.train)
    rows = rows[~_held_out(store, rows, store, fold, data)]
    _refuse_leaks(store, high, fold)
    matches = _training_matches(store, rows, high, fold.train)
    if data.paired < 1:
        kept = _chosen(store, rows, data.paired, f"paired:{data.seed}", groups=None)
        matches = np.where(kept, matches, SOLITARY)
    labels = store.labels[rows]
    labels = np.where(labels == UNLABELLED, _theirs(high, matches), labels)
    labels = np.where(_named(store, rows, data), labels, UNLABELLED)
    clips = Clips(rows=rows, teacher_rows=matches, labels=labels)
    return clips.some((labels != UNLABELLED) | (matches != SOLITARY))


def paired_ids(
    store: Store, split: str, share: float, seed: int = 0, high: Store | None = None
) -> list[str]:
    """The clips of a training split that keep their match when only a share does.

    The same that ``data.paired`` of a recipe with this ``data.seed`` keeps, if it holds no clips
    out: so many of each class (rounded), by the hash of their ids, hence the same on every machine
    and for every method. The share is of all clips, so that it does not depend on `high`.

    Args:
        store: the low view.
        split: whose clips are trained on.
        share: of the clips of each class.
        seed: draws them.
        high: the high view, so that clips which have no match there are left out; without it
            every clip counts as having one.

    Raises:
        ValueError: there is no such split, or the share is not above 0 and up to 1, or the views
            label a clip differently.
    """
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, got {share}")
    rows = store.in_split(split)
    kept = _chosen(store, rows, share, f"paired:{seed}", groups=None)
    if high is not None:
        kept &= _training_matches(store, rows, high, split) != SOLITARY
    return _ids(store, rows[kept])


def teacher_clips(high: Store, low: Store, fold: recipe.Fold, data: recipe.Data) -> Clips:
    """The training clips of the high view: but for what is held out, unpaired or unlabelled.

    A label that the low view alone knows holds for both. High clips that no low clip matches belong
    to them, as many as keep their label; but not where
    only a share of the clips keeps its match (``data.paired``, PLKD Table 5): the teacher then has
    the paired part alone. While some recordings are held out, high clips of which nothing tells the
    recording (their ids do not match ``data.group``) are left out, too: they may be of those.
    """
    _refuse_leaks(low, high, fold)
    rows = high.in_split(fold.train)
    if data.validation or data.paired < 1 or data.labelled < 1:
        usable = training_clips(low, high, fold, data).only_paired().only_labelled()
        rows = rows[~_held_out(high, rows, low, fold, data)]
        paired = np.isin(high.ids[rows], low.ids[usable.rows])
        alone = rows[~np.isin(high.ids[rows], low.ids)]
        alone = alone[_named_alone(high, alone, low, fold, data)]
        if data.validation:
            alone = alone[_of_known_recording(high, alone, data)]
        if data.paired < 1:
            alone = alone[:0]
        rows = np.sort(np.concatenate([rows[paired], alone]))
    return Clips(
        rows=rows, teacher_rows=rows, labels=_known_labels(high, rows, low)
    ).only_labelled()


def parts_of(
    store: Store, rows: Int64[np.ndarray, " n"], count: int, data: recipe.Data
) -> Int64[np.ndarray, " n"]:
    """Which of so many parts each row belongs to: recordings as a whole, each class spread evenly.

    Args:
        store: of the rows.
        rows: which are divided.
        count: of the parts.
        data: what is one recording (``data.group``), and the seed.
    """
    groups = _groups(store, rows, data)
    label_of = dict(zip(reversed(groups), reversed(store.labels[rows].tolist()), strict=True))
    order = sorted(label_of, key=lambda one: (label_of[one], _draw(f"parts:{data.seed}:{one}")))
    part_of = {group: place % count for place, group in enumerate(order)}
    return np.array([part_of[group] for group in groups], np.int64)


def evaluation_clips(
    store: Store, high: Store, low: Store, fold: recipe.Fold, data: recipe.Data
) -> Clips:
    """The clips of a view that methods are compared on: the test split, or the validation part.

    The low view's training clips decide what is held out, whichever view is asked for. A label
    that one view knows holds for both. Held-out clips without a label are looked at by nobody.
    Of the high view there may be none: a teacher need not be tested.

    Args:
        store: the view, or what was made from it.
        high: the high view.
        low: the low view.
        fold: whose clips.
        data: what is held out.

    Raises:
        ValueError: the low view has none, or a test clip has no label, or another in the other
            view.
    """
    if data.validation:
        rows = store.in_split(fold.train)
        rows = rows[_held_out(store, rows, low, fold, data)]
        if not len(rows) and not _held_out(low, low.in_split(fold.train), low, fold, data).any():
            raise ValueError(f"no clip of split {fold.train!r} is held out for validation")
        rows = rows[_known_labels(store, rows, high, low) != UNLABELLED]
    elif fold.test in low.split_names and fold.test not in store.split_names:
        rows = np.zeros(0, np.int64)
    else:
        rows = store.in_split(fold.test)
    solitary = np.full(len(rows), SOLITARY, np.int64)
    return Clips(rows=rows, teacher_rows=solitary, labels=_labels(store, rows, high, low))


def match(store: Store, rows: Int64[np.ndarray, " n"], high: Store) -> Int64[np.ndarray, " n"]:
    """The high store's row of the clip with the same id, or `SOLITARY`.

    Raises:
        ValueError: a clip has another label in the other view.
    """
    place = {clip_id: row for row, clip_id in enumerate(_ids(high))}
    matches = np.array([place.get(clip_id, SOLITARY) for clip_id in _ids(store, rows)], np.int64)
    own, theirs = store.labels[rows], _theirs(high, matches)
    wrong = np.flatnonzero((own != UNLABELLED) & (theirs != UNLABELLED) & (own != theirs))
    if len(wrong):
        row = rows[wrong[0]]
        raise ValueError(
            f"clip {store.ids[row]!r} has label {store.labels[row]} in {store.path.name} but "
            f"{theirs[wrong[0]]} in {high.path.name}"
        )
    return matches


def _theirs(high: Store, matches: np.ndarray) -> np.ndarray:
    """The matches' labels; of solitary clips, none."""
    return np.where(matches == SOLITARY, UNLABELLED, high.labels[matches])


def _training_matches(store: Store, rows: np.ndarray, high: Store, split: str) -> np.ndarray:
    """The matches that may be learnt from: those in the high view's own training split."""
    matches = match(store, rows, high)
    return np.where(np.isin(matches, high.in_split(split)), matches, SOLITARY)


def _known_labels(store: Store, rows: np.ndarray, *views: Store) -> np.ndarray:
    """Labels, and where a view has none those of the same clips in the other views."""
    labels = store.labels[rows]
    for view in views:
        unknown = labels == UNLABELLED
        if not unknown.any():
            break
        labels = np.where(unknown, _theirs(view, match(store, rows, view)), labels)
    return labels


def _labels(store: Store, rows: np.ndarray, *views: Store) -> np.ndarray:
    """Labels that must be known."""
    labels = _known_labels(store, rows, *views)
    if (labels == UNLABELLED).any():
        clip_id = store.ids[rows[np.argmax(labels == UNLABELLED)]]
        raise ValueError(
            f"clip {clip_id!r} in {store.path.name} has no label; nothing can be measured on it"
        )
    return labels


def _refuse_leaks(low: Store, high: Store, fold: recipe.Fold) -> None:
    trained = [(view, _ids(view, view.in_split(fold.train))) for view in (low, high)]
    for asked in (low, high):
        if fold.test not in asked.split_names:
            continue  # nobody is tested on this view, or it is told when somebody is
        test = set(_ids(asked, asked.in_split(fold.test)))
        for view, train in trained:
            leaked = [clip_id for clip_id in train if clip_id in test]
            if leaked:
                raise ValueError(
                    f"{len(leaked)} clips (such as {leaked[0]!r}) are in training split "
                    f"{fold.train!r} of {view.path.name} and in test split {fold.test!r} of "
                    f"{asked.path.name}"
                )


def _held_out(
    store: Store, rows: np.ndarray, low: Store, fold: recipe.Fold, data: recipe.Data
) -> np.ndarray:
    """Which rows belong to the groups that hold a clip of the low view's validation part."""
    if not data.validation:
        return np.zeros(len(rows), bool)
    deciding = low.in_split(fold.train)
    groups = _groups(low, deciding, data)
    chosen = _chosen(low, deciding, data.validation, f"validation:{data.seed}", groups)
    held = [groups[place] for place in np.flatnonzero(chosen)]
    return np.isin(_groups(store, rows, data), held)


def _named(store: Store, rows: np.ndarray, data: recipe.Data) -> np.ndarray:
    """Which rows keep their label."""
    if data.labelled == 1:
        return np.ones(len(rows), bool)
    groups = _groups(store, rows, data)
    return _chosen(store, rows, data.labelled, f"labelled:{data.seed}", groups)


def _named_alone(
    high: Store, rows: np.ndarray, low: Store, fold: recipe.Fold, data: recipe.Data
) -> np.ndarray:
    """Which high rows, all without a low clip, keep their label.

    Those whose recording keeps it in the low view; of recordings that only the high view has, the
    same share.
    """
    theirs = low.in_split(fold.train)
    theirs = theirs[~_held_out(low, theirs, low, fold, data)]
    named = _named(low, theirs, data).tolist()
    known = dict(zip(_groups(low, theirs, data), named, strict=True))  # chosen as a whole
    recordings = _groups(high, rows, data)
    kept = np.array([known.get(one, False) for one in recordings], bool)
    new = np.array([one not in known for one in recordings], bool)
    kept[new] = _named(high, rows[new], data)
    return kept


def _of_known_recording(store: Store, rows: np.ndarray, data: recipe.Data) -> np.ndarray:
    """Which ids tell their recording; without a pattern every clip is one of its own."""
    pattern = re.compile(data.group)
    return np.array([bool(pattern.search(clip_id)) for clip_id in _ids(store, rows)], bool)


def _groups(store: Store, rows: np.ndarray, data: recipe.Data) -> list[str]:
    """What is held out together: clips of one recording, named by a pattern in their ids."""
    try:
        pattern = re.compile(data.group)
    except re.error as error:
        raise ValueError(f"data.group {data.group!r} is no pattern: {error}") from error
    groups = []
    for clip_id in _ids(store, rows):
        found = pattern.search(clip_id) if data.group else None
        groups.append(found.group() if found else clip_id)
    return groups


def _ids(store: Store, rows: np.ndarray | None = None) -> list[str]:
    return (store.ids if rows is None else store.ids[rows]).tolist()


def _chosen(
    store: Store, rows: np.ndarray, share: float, salt: str, groups: list[str] | None
) -> np.ndarray:
    """About this share of each class's clips, by the hash of their ids (or groups).

    A group of several classes is chosen as a whole where one of them needs it.
    """
    groups = groups or _ids(store, rows)
    order = np.array([_draw(f"{salt}:{group}") for group in groups])
    chosen = np.zeros(len(rows), bool)
    for label in np.unique(store.labels[rows]):
        mine = np.flatnonzero(store.labels[rows] == label)
        wanted = round(share * len(mine))
        for group in np.unique(order[mine]):  # in the order of their hashes
            if chosen[mine].sum() >= wanted:
                break
            chosen[mine[order[mine] == group]] = True
    return np.isin(order, order[chosen])


def _draw(text: str) -> int:
    # A cryptographic hash: a checksum would rank ids alike under every seed.
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big")
