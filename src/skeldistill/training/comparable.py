"""Comparable pairs: what losses that match vertex with vertex need, looked at before training."""

import numpy as np

from skeldistill.data.checking import same_joints
from skeldistill.data.dataset import Examples, Side
from skeldistill.data.pairing import SOLITARY
from skeldistill.data.sampling import persons_by_score
from skeldistill.losses.graph_matching import require_same_sizes
from skeldistill.networks.network import Network
from skeldistill.recipe import Data, Fold

FRAME_BY_FRAME = ("replay", "zeros")
"""Choices that show a clip's frames as they follow each other, whatever moment they are of."""

STRAY = 0.1
"""Views may differ by so much in their number of frames, such as by one that a decoder loses."""


def require_comparable(student: Network, teacher: Network, examples: Examples) -> None:
    """Refuse pairs whose maps have other vertices, or the same vertices at other moments.

    Args:
        student: what its map will be follows from what it says of itself.
        teacher: likewise.
        examples: the training clips, both sides.

    Raises:
        ValueError: one line that says what differs.
    """
    assert examples.teacher is not None
    require_same_sizes(_size(student, examples.student), _size(teacher, examples.teacher))
    _require_same_moments(examples.student, examples.teacher, examples)


def crowded_note(examples: Examples) -> str | None:
    """One line if some pairs show other people to student and teacher; None if none does.

    Each view shows the people whom it is most certain of, and in a crowd these may be others.
    """
    assert examples.teacher is not None
    matched = examples.clips.teacher_rows != SOLITARY
    places = examples.clips.rows[matched], examples.clips.teacher_rows[matched]
    sides = examples.student, examples.teacher
    people = [side.store.num_persons[rows] for side, rows in zip(sides, places, strict=True)]
    crowded = np.maximum(*people) > examples.student.sampling.persons
    if examples.student.sampling.persons != examples.teacher.sampling.persons or not crowded.any():
        return None
    mine, theirs = (
        persons_by_score(side.store, rows[crowded], side.sampling.persons, side.layout.num_joints)
        for side, rows in zip(sides, places, strict=True)
    )
    apart = int((mine != theirs).any(axis=1).sum())
    if not apart:
        return None
    return (
        f"in {apart} of {matched.sum()} pairs of clips the student is shown other people than its "
        f"teacher: more than sampling.persons ({examples.student.sampling.persons}) are there, and "
        "each view shows those whom it is most certain of; raise it, or leave one person in a clip"
    )


def unmatched_note(examples: Examples, data: Data) -> str | None:
    """One line if fewer clips have a match than ``data.paired`` lets keep theirs; else None.

    Who keeps it is drawn among all clips, and some of them the high view may lack.
    """
    matched, clips = len(examples.clips.only_paired()), len(examples)
    rounding = len(np.unique(examples.clips.labels)) / 2  # it is drawn class by class
    if data.paired == 1 or matched >= data.paired * clips - rounding:
        return None
    return (
        f"{matched} of {clips} training clips ({matched / clips:.0%}) have a high-quality match, "
        f"fewer than data.paired {data.paired:g} lets keep theirs: the high view lacks the others"
    )


def unseen_note(examples: Examples, tested: Examples, fold: Fold) -> str | None:
    """One line if nothing is tested, or actions that no training clip has; None otherwise."""
    if not len(tested):
        return (
            f"the high view has no clip that is tested (split {fold.test!r}, or held out), so this "
            "is trained and not measured"
        )
    unseen = ~np.isin(tested.clips.labels, examples.clips.labels)
    if not unseen.any():
        return None
    return (
        f"{unseen.sum()} of {len(unseen)} clips that are tested are of actions which no training "
        f"clip of split {fold.train!r} has"
    )


def copies_note(examples: Examples, tested: Examples) -> str | None:
    """One line if clips are tested that were trained on under another id; None if none was.

    Some data sets hold a recording twice, such as under two cameras.
    """
    train, test = examples.student.store, tested.student.store
    known = {int(train.checksums[row]): row for row in examples.clips.rows[::-1].tolist()}
    rows = tested.clips.rows[np.isin(test.checksums[tested.clips.rows], list(known))]
    pairs = [(row, known[int(test.checksums[row])]) for row in rows.tolist()]
    copies = [(row, other) for row, other in pairs if same_joints(test, row, train, other)]
    if not copies:
        return None
    row, other = copies[0]
    return (
        f"{len(copies)} of {len(tested)} clips that are tested hold the very same joints as a "
        f"training clip, such as {test.ids[row]!r} and {train.ids[other]!r}: they are no clips "
        "that the networks have never seen; `skeldistill data check` tells of them"
    )


def _size(network: Network, side: Side) -> tuple[int, int, int]:
    """Persons, frames and joints of the network's last map of a clip."""
    frames = -(-side.sampling.frames // network.temporal_stride)
    return side.sampling.persons, frames, network.layout.num_joints if network.keeps_joints else 1


def _require_same_moments(student: Side, teacher: Side, examples: Examples) -> None:
    choices = student.sampling.frame_choice, teacher.sampling.frame_choice
    if not set(choices) & set(FRAME_BY_FRAME):
        return
    if choices[0] != choices[1]:
        raise ValueError(
            f"GraphMatching compares frame with frame, but the student's frames are chosen by "
            f"{choices[0]!r} and the teacher's by {choices[1]!r}; take one sampling.frame_choice"
        )
    matched = examples.clips.teacher_rows != SOLITARY
    rows = examples.clips.rows[matched]
    mine = student.store.num_frames[rows]
    theirs = teacher.store.num_frames[examples.clips.teacher_rows[matched]]
    apart = np.abs(mine - theirs) > np.maximum(1, STRAY * np.maximum(mine, theirs))
    if apart.any():
        first = int(np.argmax(apart))
        raise ValueError(
            f"GraphMatching compares frame with frame, but clip {student.store.ids[rows[first]]!r} "
            f"has {mine[first]} frames in the student's view and {theirs[first]} in the teacher's, "
            f"so that sampling.frame_choice {choices[0]!r} shows other moments; take 'uniform' or "
            "'resize', or a view that holds frames (HeldFrames)"
        )
