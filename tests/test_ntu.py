"""NTU RGB+D: who of the bodies are people, the official splits, and lists of missing clips."""

from pathlib import Path

import numpy as np
import pytest
from format_files import skeleton_text

from skeldistill.clip import Clip
from skeldistill.readers import NTU
from skeldistill.readers.ntu import XSUB_60, XSUB_120

NAME = "S001C002P003R002A060.skeleton"
STANDING = np.random.default_rng(0).uniform((-0.2, -0.9, 3), (0.2, 0.9, 3.2), (25, 3))
FRAMES = 20


def moving(step: float, frames: int = FRAMES, away: float = 0.0) -> np.ndarray:
    """A body that goes to its right by `step` a frame."""
    return STANDING + (away, 0, 0) + np.arange(frames)[:, None, None] * np.array([step, 0, 0])


def read(
    folder: Path, bodies: dict[int, dict[int, np.ndarray]], name: str = NAME, **options: object
) -> Clip:
    """The clip of bodies given by id, then frame."""
    frames = [
        [(number, joints[t]) for number, joints in bodies.items() if t in joints]
        for t in range(FRAMES)
    ]
    (folder / name).write_text(skeleton_text(frames))
    (clip,) = NTU(**options).read(folder / name)
    return clip


def over(joints: np.ndarray, start: int = 0) -> dict[int, np.ndarray]:
    return {start + t: joints[t] for t in range(len(joints))}


def test_numbers_come_as_they_are(tmp_path: Path) -> None:
    joints = moving(0.01)
    clip = read(tmp_path, {5: over(joints)})
    np.testing.assert_allclose(clip.joints[0], joints, rtol=1e-6)
    assert (clip.scores == 1).all()
    assert (clip.label, clip.subject, clip.camera) == (59, 3, 2)
    assert clip.extra == {"setup": 1, "replication": 2}
    plane = read(tmp_path, {5: over(joints)}, plane=True)
    np.testing.assert_allclose(plane.joints[0], 100 * joints[..., :2], rtol=1e-5)
    assert (plane.size, plane.id) == ((1080, 1920), clip.id)


def test_who_moves_most_comes_first(tmp_path: Path) -> None:
    bodies = {1: moving(0.01), 2: moving(0.05), 3: moving(0.03, away=1)}
    for persons, order in ((1, [2]), (2, [2, 3]), (5, [2, 3, 1])):
        clip = read(tmp_path, {i: over(one) for i, one in bodies.items()}, persons=persons)
        assert clip.num_persons == len(order)
        for person, number in enumerate(order):
            np.testing.assert_allclose(clip.joints[person], bodies[number], rtol=1e-5)


def test_short_and_wide_bodies_are_no_people(tmp_path: Path) -> None:
    short = over(moving(0.5, frames=11))
    wide = over(moving(0.2)[..., [1, 0, 2]])  # lies down
    person = over(moving(0.01))
    for noise in (short, wide):
        assert read(tmp_path, {1: noise, 2: person}).num_persons == 1
        assert read(tmp_path, {1: noise, 2: person}, denoise=False).num_persons == 2
        assert read(tmp_path, {1: noise}).num_persons == 1  # rather noise than nobody
    assert read(tmp_path, {1: over(moving(0.5, frames=12)), 2: person}).num_persons == 2


def test_wide_in_seven_of_ten_frames_is_too_much(tmp_path: Path) -> None:
    person, lying = moving(0.01), moving(0.01)[..., [1, 0, 2]]
    for frames, persons in ((13, 2), (14, 1)):  # of 20; the limit is 0.69754
        half = {t: lying[t] if t < frames else person[t] for t in range(FRAMES)}
        assert read(tmp_path, {1: half, 2: over(person)}).num_persons == persons


def test_wider_than_four_fifths_of_the_height_is_too_wide(tmp_path: Path) -> None:
    person, high = moving(0.01), np.ptp(STANDING[:, 1])
    for share, persons in ((0.79, 2), (0.81, 1)):
        broad = moving(0)
        broad[:, 0, 0] = STANDING[:, 0].min() + share * high
        broad[:, 1, 0] = STANDING[:, 0].min()
        assert read(tmp_path, {1: over(broad), 2: over(person)}).num_persons == persons


def test_tracks_that_never_overlap_are_one_person(tmp_path: Path) -> None:
    track = moving(0.01)
    first, second = dict(list(over(track).items())[:5]), dict(list(over(track).items())[8:])
    clip = read(tmp_path, {1: first, 2: second}, denoise=False)
    assert clip.num_persons == 1
    lost = ~clip.scores[0].any(axis=1)
    assert np.flatnonzero(lost).tolist() == [5, 6, 7]
    np.testing.assert_allclose(clip.joints[0, 8:], track[8:], rtol=1e-6)


def test_nobody_is_a_clip_of_lost_joints(tmp_path: Path) -> None:
    clip = read(tmp_path, {})
    assert clip.joints.shape == (1, FRAMES, 25, 3)
    assert not clip.scores.any()


def test_what_kinect_could_not_say_is_lost(tmp_path: Path) -> None:
    read(tmp_path, {1: over(moving(0.01))})
    lines = (tmp_path / NAME).read_text().splitlines()
    lines[4] = "-1.#INF 0.5 3 1 1 1.#QNAN 7 0 0 0 0 2"
    lines[5] = " ".join([*lines[5].split()[:11], "1"])
    lines[6] = " ".join([*lines[6].split()[:11], "0"])
    (tmp_path / NAME).write_text("\n".join(lines))
    for plane in (False, True):
        (clip,) = NTU(plane=plane).read(tmp_path)
        assert clip.scores[0, 0, :4].tolist() == [0, 0.5, 0, 1]
        assert not clip.joints[0, 0, [0, 2]].any()


@pytest.mark.parametrize(
    ("name", "actions", "splits"),
    [
        ("S001C001P001R001A001", 60, ("xsub_train", "xview_test")),
        ("S001C002P003R001A001", 60, ("xsub_test", "xview_train")),
        ("S017C003P038R001A060", 60, ("xsub_train", "xview_train")),
        ("S018C001P045R001A061", 120, ("xsub_train", "xset_train", "mini_train")),
        ("S019C001P044R001A120", 120, ("xsub_test", "xset_test")),
        ("S032C001P103R001A120", 120, ("xsub_train", "xset_train")),
        ("S032C001P106R001A120", 120, ("xsub_test", "xset_train")),
    ],
)
def test_official_splits(tmp_path: Path, name: str, actions: int, splits: tuple[str, ...]) -> None:
    clip = read(tmp_path, {1: over(moving(0.1))}, f"{name}.skeleton", actions=actions)
    assert clip.splits == splits
    assert clip.label == int(name[-3:]) - 1


def test_as_many_subjects_train_as_the_papers_say() -> None:
    assert (len(XSUB_60), len(XSUB_120), max(XSUB_120)) == (20, 53, 103)
    assert XSUB_60 <= XSUB_120


def test_listed_clips_are_left_out(tmp_path: Path) -> None:
    files = tmp_path / "skeletons"
    files.mkdir()
    for number in (1, 2, 3):
        read(files, {1: over(moving(0.1))}, f"S001C001P001R001A00{number}.skeleton")
    missing = tmp_path / "missing.txt"
    header = "These samples have missing skeletons:\n\nName\n"
    for text in (f"{header}S001C001P001R001A002\n", "S001C001P001R001A002.skeleton"):
        missing.write_text(text)
        reader = NTU(missing=str(missing))
        assert [clip.label for clip in reader.read(files)] == [0, 2]
        assert reader.describe(files).num_clips == 2
    missing.write_text("".join(f"S001C001P001R001A00{number}\n" for number in (1, 2, 3)))
    with pytest.raises(ValueError, match="leaves out"):
        NTU(missing=missing).describe(files)


@pytest.mark.parametrize("text", ["", "nothing\n", "S001C001P001R001A001\nand more\n"])
def test_strange_lists_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "missing.txt").write_text(text)
    with pytest.raises(ValueError, match=r"missing\.txt: it must name clips as"):
        NTU(missing=tmp_path / "missing.txt")


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (0, "1000000000000", "1000000000000 frames"),
        (0, "0", "option `missing`"),
        (0, "21", "ends before the number of bodies in frame 20"),
        (1, "1000000000000", "frame 0"),
        (1, "x", "the number of bodies in frame 0 is 'x'"),
        (3, "24", "a body of 24 joints"),
        (4, "1 2 3", "column"),
        (4, "1 2 x 4 5 6 7 8 9 10 11 2", "x"),
        (4, "1e99 2 3 4 5 6 7 8 9 10 11 2", "float32"),
        (4, "1 2 3 4 5 6 7 8 9 10 11 3", "tracking state"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, line: int, text: str, message: str) -> None:
    read(tmp_path, {1: over(moving(0.01))})
    lines = (tmp_path / NAME).read_text().splitlines()
    lines[line] = text
    (tmp_path / NAME).write_text("\n".join(lines))
    with pytest.raises(ValueError, match=message) as error:
        list(NTU().read(tmp_path))
    assert NAME in str(error.value)
    assert "\n" not in str(error.value)


def test_actions_beyond_sixty_ask_for_the_option(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pass option `actions` 120"):
        read(tmp_path, {1: over(moving(0.1))}, "S018C001P045R001A061.skeleton")
