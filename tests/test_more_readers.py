"""Readers against files that were written by hand, and against real ones where there are any."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from format_files import FRAMES, WRITERS, body
from scipy.io import loadmat, savemat

from skeldistill import readers
from skeldistill.clip import UNLABELLED, Clip

FIRST = "a01_s01_e00_v01.json"
SKELETONS = json.dumps({"skeletons": [[[7, 8, 9]] * 20] * 3})

every_format = pytest.mark.parametrize("name", WRITERS)


def all_of(name: str, path: Path, **options: object) -> dict[str, Clip]:
    clips = list(readers.find(name, **options).read(path))
    assert len({clip.id for clip in clips}) == len(clips)
    return {clip.id: clip for clip in clips}


@pytest.fixture
def written(tmp_path: Path, rng: np.random.Generator) -> Callable[[str], Path]:
    return lambda name: WRITERS[name](tmp_path, rng)


@every_format
def test_what_is_described_comes(name: str, written: Callable[[str], Path]) -> None:
    path = written(name)
    source = readers.find(name).describe(path)
    clips = list(readers.find(name).read(path))
    again = list(readers.find(name).read(path))
    assert source.num_clips == len(clips) > 0
    assert len({clip.id for clip in clips}) == len(clips)
    for clip, same in zip(clips, again, strict=True):
        assert clip.id == same.id
        np.testing.assert_array_equal(clip.joints, same.joints)
        assert clip.layout is source.layout
        assert clip.joints.shape[3] == source.channels
        assert clip.label in range(UNLABELLED, len(source.classes) or 60)
        assert not clip.joints[clip.scores == 0].any()
        assert clip.num_frames in (FRAMES, 3)
        assert clip.scores.max() > 0.5


@pytest.mark.parametrize("name", ["alphapose", "coco_result", "csv", "openpifpaf", "openpose"])
def test_the_size_of_images_may_be_said(name: str, written: Callable[[str], Path]) -> None:
    path = written(name)
    assert {clip.size for clip in all_of(name, path).values()} == {None}
    assert {clip.size for clip in all_of(name, path, size=[1080, 1920]).values()} == {(1080, 1920)}
    with pytest.raises(ValueError, match=r"size must be \(height, width\) in pixels, got \[0, 9\]"):
        readers.find(name, size=[0, 9])
    with pytest.raises(ValueError, match="size: Input should be a valid tuple"):
        readers.find(name, size=1080)


@pytest.mark.parametrize(
    "name",
    ["alphapose", "coco_result", "csv", "kinetics_skeleton", "ntu", "openpifpaf", "openpose"],
)
def test_whom_a_reader_leaves_out_is_told(name: str, written: Callable[[str], Path]) -> None:
    path = written(name)
    few, many = all_of(name, path, persons=1), all_of(name, path, persons=9)
    for clip in few.values():
        everybody = many[clip.id]
        assert clip.num_persons == 1
        crowded = everybody.num_persons > 1
        assert clip.extra.get("people") == (everybody.num_persons if crowded else None)
        assert "people" not in everybody.extra
    assert name == "csv" or any("people" in clip.extra for clip in few.values())


def test_an_import_says_how_many_clips_had_more_people(
    skeldistill: Callable[..., tuple[int, str, str]], written: Callable[[str], Path]
) -> None:
    path = written("kinetics_skeleton")
    words = ("data", "import", "kinetics_skeleton", path, "a.arrow")
    _, out, _ = skeldistill(*words, "--option", "persons=1")
    assert out.splitlines()[1:] == [
        "2 of 2 clips have more people than were kept, up to 3; --option persons=3 keeps all"
    ]
    _, out, _ = skeldistill(*words, "--option", "persons=3")
    assert out.splitlines() == ["a.arrow: 2 clips, layout openpose18"]


@every_format
def test_no_clip_is_in_both_halves_of_a_split(name: str, written: Callable[[str], Path]) -> None:
    for clip in readers.find(name).read(written(name)):
        families = [split.rpartition("_")[0] for split in clip.splits]
        assert len(set(families)) == len(families)


@every_format
def test_a_path_that_is_not_there_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nothing_here"):
        readers.find(name).describe(tmp_path / "nothing_here")
    with pytest.raises(ValueError, match=r"name "):
        readers.find(name).describe(tmp_path)


@pytest.mark.parametrize(
    "name", ["ntu", "nw_ucla", "openpose", "openpifpaf", "kinetics_skeleton", "utd_mhad"]
)
def test_reads_the_real_thing(name: str, real_data: Callable[[str], Path]) -> None:
    path = real_data(f"fixtures/{name}")
    clips = list(readers.find(name).read(path))
    assert readers.find(name).describe(path).num_clips == len(clips) > 0
    for clip in clips:
        assert clip.scores.max() > 0.7
        assert clip.num_persons <= 2


def test_reads_real_arrays(real_data: Callable[[str], Path]) -> None:
    kinect, openpose = sorted(real_data("fixtures/npy").glob("*.npy"))
    (clip,) = readers.find("stgcn_npy").read(kinect)
    assert (clip.layout.name, clip.num_frames) == ("ntu25", 72)
    with pytest.raises(ValueError, match="looks like scores"):
        list(readers.find("stgcn_npy").read(openpose))
    (clip,) = readers.find("stgcn_npy", layout="body25").read(openpose)
    assert (clip.joints.shape[3], clip.num_frames) == (2, 117)
    assert 0 < clip.scores.mean() < 1


def test_scores_are_not_taken_for_depths(tmp_path: Path, rng: np.random.Generator) -> None:
    array = np.zeros((3, FRAMES, 25, 1), np.float32)
    array[:2, ..., 0] = body(rng, FRAMES, 25, 2).transpose(2, 0, 1)
    array[2] = rng.uniform(0.1, 1, array.shape[1:])
    np.save(tmp_path / "sure.npy", array)  # all of it may be a body close to a camera
    assert all_of("stgcn_npy", tmp_path / "sure.npy")["sure"].layout.name == "ntu25"
    array[:, -3:] = 0  # padding
    np.save(tmp_path / "padded.npy", array)
    assert all_of("stgcn_npy", tmp_path / "padded.npy")["padded"].layout.name == "ntu25"
    array[:, :, 7] = 0
    np.save(tmp_path / "clip.npy", array)
    with pytest.raises(ValueError, match=r"looks like scores, .* layout=body25 .* layout=ntu25"):
        readers.find("stgcn_npy").describe(tmp_path / "clip.npy")
    clip = all_of("stgcn_npy", tmp_path / "clip.npy", layout="body25")["clip"]
    assert (clip.joints.shape[3], clip.scores[0, :, 7].any()) == (2, False)
    assert all_of("stgcn_npy", tmp_path / "clip.npy", layout="ntu25")["clip"].joints.shape[3] == 3


def test_nw_ucla_has_its_published_numbers(real_data: Callable[[str], Path]) -> None:
    clips = list(readers.find("nw_ucla").read(real_data("nw_ucla")))
    assert Counter(clip.splits for clip in clips) == {("train",): 1020, ("test",): 464}
    assert {clip.label for clip in clips} == set(range(10))
    assert {clip.subject for clip in clips} == set(range(1, 11))
    assert min(clip.num_frames for clip in clips) == 1
    first = next(clip for clip in clips if clip.id == "a01_s01_e00_v01")
    data = json.loads((real_data("nw_ucla/all_sqe") / f"{first.id}.json").read_text())
    np.testing.assert_array_equal(first.joints[0], np.array(data["skeletons"], np.float32))


def test_openpose_keeps_every_number_of_the_surest(real_data: Callable[[str], Path]) -> None:
    folder = real_data("fixtures/openpose")
    clips = all_of("openpose", folder, persons=3)
    assert list(clips) == ["1001", "1002", "1003", "1004", "1005"]
    clip = clips["1001"]
    for t, file in enumerate(sorted((folder / "1001_JSON").iterdir())):
        people = json.loads(file.read_text())["people"]
        poses = [np.array(one["pose_keypoints_2d"], np.float32).reshape(25, 3) for one in people]
        for person in range(clip.num_persons):
            mine = np.column_stack([clip.joints[person, t], clip.scores[person, t]])
            assert any(np.allclose(mine, pose) for pose in poses)
    means = clip.scores.mean(axis=(1, 2))
    assert list(means) == sorted(means, reverse=True)


def test_utd_mhad_joints_are_named_rightly(real_data: Callable[[str], Path]) -> None:
    folder = real_data("fixtures/utd_mhad")
    raw = loadmat(folder / "a1_s1_t1_skeleton.mat")["d_skel"]
    words = (folder / "Skeleton_joint_order.txt").read_text().splitlines()
    order = [line.split(".")[1].strip("; ") for line in words if line[:1].isdigit()]
    (clip,) = readers.find("utd_mhad").read(folder)
    assert len(order) == 20
    for place, joint in enumerate(order):
        ours = clip.joints[0, :, clip.layout.index(joint.replace("center", "centre"))]
        np.testing.assert_allclose(ours, raw[place].T, rtol=1e-6)


def test_labels_and_splits_of_nw_ucla(written: Callable[[str], Path]) -> None:
    clips = all_of("nw_ucla", written("nw_ucla"))
    told = {
        name: (clip.label, clip.splits, clip.subject, clip.camera) for name, clip in clips.items()
    }
    assert told == {
        "a01_s01_e00_v01": (0, ("train",), 1, 1),
        "a12_s10_e03_v03": (9, ("test",), 10, 3),
        "a08_s02_e01_v02": (6, ("train",), 2, 2),
    }


def test_kinetics_keeps_the_two_surest(written: Callable[[str], Path]) -> None:
    path = written("kinetics_skeleton")
    source = readers.find("kinetics_skeleton").describe(path)
    assert source.classes == ("class 0", "class 1")
    clips = all_of("kinetics_skeleton", path)
    assert [clip.splits for clip in clips.values()] == [("train",), ("val",)]
    np.testing.assert_allclose(clips["id_train"].scores[:, :, 0].T, [[0.6, 0.4]] * FRAMES)
    assert list(all_of("kinetics_skeleton", path / "kinetics_train")) == ["id_train"]
    labels = path / "kinetics_val_label.json"
    told = json.loads(labels.read_text())
    told["gone"] = {"has_skeleton": False, "label": "unknown", "label_index": -1}
    labels.write_text(json.dumps(told))
    assert readers.find("kinetics_skeleton").describe(path).classes == source.classes
    labels.write_text(labels.read_text().replace("true", "false"))
    assert list(all_of("kinetics_skeleton", path)) == ["id_train"]


def test_kinetics_can_be_counted_from_the_images_middle_as_in_the_arrays(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pose = (rng.uniform(0.01, 0.9, (18, 2)) + rng.uniform(0, 0.01, (FRAMES, 18, 2))).round(3)
    score = rng.uniform(0.1, 1, (FRAMES, 18)).round(3)
    pose[:, 4], score[:, 4] = 0, 0
    data = [
        {"frame_index": t + 1, "skeleton": [{"pose": p, "score": s}]}
        for t, (p, s) in enumerate(
            zip(pose.reshape(FRAMES, -1).tolist(), score.tolist(), strict=True)
        )
    ]
    data = json.dumps({"data": data, "label": "x", "label_index": 0})
    (tmp_path / "clip.json").write_text(data)
    # as ST-GCN's feeder makes its array
    array = np.zeros((3, 30, 18, 2), np.float32)
    array[:2, :FRAMES, :, 0] = pose.transpose(2, 0, 1)
    array[2, :FRAMES, :, 0] = score
    array[:2] -= 0.5
    array[:2, array[2] == 0] = 0
    np.save(tmp_path / "clip.npy", array)
    clip = all_of("kinetics_skeleton", tmp_path / "clip.json", centred=True)["clip"]
    same = all_of("stgcn_npy", tmp_path / "clip.npy")["clip"]
    np.testing.assert_array_equal(clip.joints, same.joints)
    np.testing.assert_array_equal(clip.scores, same.scores)
    assert clip.joints.min() < -0.4
    plain = all_of("kinetics_skeleton", tmp_path / "clip.json")["clip"]
    there = plain.scores > 0
    np.testing.assert_allclose(plain.joints[there], clip.joints[there] + 0.5, atol=1e-6)


def test_missing_frames_of_openpose_are_lost(written: Callable[[str], Path]) -> None:
    path = written("openpose") / "dance"
    (path / "dance_000000000005_keypoints.json").unlink()
    (path / "dance_000000000007_keypoints.json").write_text('{"people": []}')
    clip = all_of("openpose", path)["dance"]
    seen = clip.scores.any(axis=2)
    expected = [t not in (5, 7) for t in range(FRAMES)]
    assert seen.tolist() == [expected, expected]


def test_openpose_that_calls_two_videos_the_same_tells_them_by_folder(tmp_path: Path) -> None:
    pose = {"people": [{"pose_keypoints_2d": [1.0] * 75}]}
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "video_000000000000_keypoints.json").write_text(json.dumps(pose))
    assert list(all_of("openpose", tmp_path)) == ["a/video", "b/video"]


def test_openpifpaf_reads_videos_and_images(written: Callable[[str], Path]) -> None:
    clips = all_of("openpifpaf", written("openpifpaf"))
    assert {name: clip.joints.shape for name, clip in clips.items()} == {
        "run": (2, FRAMES, 17, 2),
        "walk": (2, 3, 17, 2),
    }
    np.testing.assert_array_equal(clips["walk"].joints, clips["run"].joints[:, :3])


def test_openpifpaf_tells_clips_of_several_folders_apart(tmp_path: Path) -> None:
    frame = json.dumps({"frame": 1, "predictions": []})
    for folder, video in (("a", "video1.avi"), ("a", "video2.avi"), ("b", "video1.avi")):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / f"{video}.openpifpaf.json").write_text(frame)
    assert list(all_of("openpifpaf", tmp_path)) == ["a/video1", "a/video2", "b/video1"]
    assert list(all_of("openpifpaf", tmp_path / "a")) == ["video1", "video2"]


def test_openpifpaf_skips_what_is_no_person(tmp_path: Path) -> None:
    car = {"keypoints": [1.0] * 72, "category_id": 3}
    person = {"keypoints": [-3.0, -3.0, 0.0] * 16 + [5.0, 6.0, 0.7]}
    (tmp_path / "street.jpg.predictions.json").write_text(json.dumps([car, person]))
    clip = all_of("openpifpaf", tmp_path)["street"]
    assert clip.joints[0, 0, 16].tolist() == [5, 6]
    assert np.flatnonzero(clip.joints.any(axis=-1)).tolist() == [16]


def test_jhmdb_splits_and_units(written: Callable[[str], Path]) -> None:
    path = written("jhmdb")
    clips = all_of("jhmdb", path)
    assert list(clips) == ["brush_hair/one", "brush_hair/two", "wave/one", "wave/two"]
    assert clips["wave/one"].splits == ("split1_test", "split2_train", "split3_test")
    assert clips["wave/two"].label == 20
    worlds = all_of("jhmdb", path, world=True)
    np.testing.assert_allclose(worlds["wave/one"].joints * 100, clips["wave/one"].joints, rtol=1e-5)
    file = path / "joint_positions" / "wave" / "one" / "joint_positions.mat"
    (alone,) = readers.find("jhmdb").read(file)
    assert (alone.id, alone.splits) == ("wave/one", clips["wave/one"].splits)


def test_sysu_halves_classes_and_subjects(written: Callable[[str], Path], tmp_path: Path) -> None:
    path = written("sysu")
    clips = all_of("sysu", path)
    for repeat in range(1, 31):
        first = [
            one
            for one, clip in clips.items()
            if f"setting1_seeded{repeat:02d}_train" in clip.splits
        ]
        assert Counter(name.split("video")[1] for name in first) == {"1": 2, "2": 2, "12": 2}
        second = [
            one
            for one, clip in clips.items()
            if f"setting2_seeded{repeat:02d}_train" in clip.splits
        ]
        assert sorted(Counter(name.split("/")[0] for name in second).values()) == [3, 3]
    assert len({clip.splits for clip in clips.values()}) > 6
    other = all_of("sysu", path, seed=1)
    assert any(other[name].splits != clips[name].splits for name in clips)
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps({"one_train": ["anna/video1"], "one_test": ["ben/video1", "x/y"]}))
    given = all_of("sysu", path, splits=str(mine))
    assert {name: clip.splits for name, clip in given.items() if clip.splits} == {
        "anna/video1": ("one_train",),
        "ben/video1": ("one_test",),
    }


def test_seeded_splits_stay_as_they_are(written: Callable[[str], Path]) -> None:
    clips = all_of("sysu", written("sysu"))
    train = [name for name, clip in clips.items() if "setting2_seeded01_train" in clip.splits]
    assert sorted({name.split("/")[0] for name in train}) == ["ben", "carl"]


def test_matlab_drops_the_axis_of_a_single_frame(tmp_path: Path, rng: np.random.Generator) -> None:
    joints = body(rng, 1, 20, 3)
    savemat(tmp_path / "a1_s1_t1_skeleton.mat", {"d_skel": joints[0]})
    (clip,) = readers.find("utd_mhad").read(tmp_path)
    assert clip.joints.shape == (1, 1, 20, 3)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("ntu", {"actions": 61}, "60 or 120"),
        ("ntu", {"persons": 0}, "at least 1"),
        ("openpose", {"layout": "coco17"}, "body25 or openpose18"),
        ("openpose", {"persons": 0}, "at least 1"),
        ("openpifpaf", {"persons": 0}, "at least 1"),
        ("kinetics_skeleton", {"persons": -1}, "at least 1"),
        ("stgcn_npy", {"layout": "ntu52"}, "did you mean 'ntu25'"),
        ("ctrgcn_npz", {"layout": "ntu52"}, "did you mean 'ntu25'"),
    ],
)
def test_wrong_options_are_told(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        readers.find(name, **options)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("a07_s01_e00_v01.json", '{"skeletons": []}', "no action 7"),
        ("walk.json", '{"skeletons": []}', "name must be as a01_s01_e00_v01.json"),
        (FIRST, '{"skeletons": [[[1, 2]]]}', "any x 20 x 3"),
        (FIRST, SKELETONS.replace("[7,", '["7",', 1), "lists of numbers"),
        (FIRST, SKELETONS.replace("[7,", "[true,", 1), "lists of numbers"),
        (FIRST, SKELETONS.replace("[7,", "[null,", 1), "lists of numbers"),
        (FIRST, SKELETONS.replace("[7,", "[1e39,", 1), "not a finite number"),
        (FIRST, "[NaN]", "NaN where a number belongs"),
        (FIRST, "[" * 100000, "no JSON"),
        (FIRST, "[]", "needs 'skeletons' as list"),
        (FIRST, '{"skeletons": []}', "any x 20 x 3"),
    ],
)
def test_what_is_wrong_with_json_is_told(
    tmp_path: Path, file: str, text: str, message: str
) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        list(readers.find("nw_ucla").read(tmp_path))
    assert str(tmp_path / file) in str(error.value)
    assert "\n" not in str(error.value)


def test_every_reader_on_the_shelf_is_exported() -> None:
    assert set(WRITERS) <= set(readers.SHELF)
    assert {part.__name__ for part in readers.SHELF.values()} <= set(readers.__all__)
