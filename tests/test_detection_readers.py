"""AlphaPose's and COCO's flat lists of people: clips and frames by name, trackers' ids, scores."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from skeldistill import readers
from skeldistill.clip import Clip
from skeldistill.readers import tracking
from skeldistill.readers.detections import place
from skeldistill.readers.tracking import UNTRACKED, identity

POSE = np.random.default_rng(0).uniform(10, 90, (17, 2))


def person(image: Any, right: float, score: float = 0.9, **more: Any) -> dict[str, Any]:
    pose = np.column_stack([POSE + np.array([right, 0]), np.full(17, score)])
    return {"image_id": image, "category_id": 1, "keypoints": pose.reshape(-1).tolist(), **more}


def read(name: str, path: Path, data: Any, **options: Any) -> dict[str, Clip]:
    if path.suffix != ".json":
        path = path / "clip.json"
    path.write_text(json.dumps(data))
    return {clip.id: clip for clip in readers.find(name, **options).read(path)}


@pytest.mark.parametrize(
    ("image", "clip", "number"),
    [
        ("12.jpg", "video", 12),
        ("walk_0012.jpg", "walk", 12),
        ("walk-0012", "walk", 12),
        ("walk/0012.png", "walk", 12),
        ("images/walk/img_00012.jpg", "images/walk/img", 12),
        ("images\\walk\\00012.jpg", "images/walk", 12),
        ("/data/../walk/3.jpg", "data/walk", 3),
        ("clip.v2_007.mp4", "clip.v2", 7),
        ("2020_7", "2020", 7),
    ],
)
def test_an_images_name_says_clip_and_frame(image: str, clip: str, number: int) -> None:
    assert place(image, "video") == (clip, number)


def test_a_name_without_number_is_told() -> None:
    with pytest.raises(ValueError, match=r"'walk\.jpg' needs a number at the end"):
        place("walk.jpg", "video")


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3), (0, 0), ([4], 4), (2.0, 2), (-1, -1), ([-1], -1), (2.5, -1), (None, -1), ("3", -1),
     (True, -1), ([1, 2], -1), (10**30, -1), ([[1]], -1)],
)  # fmt: skip
def test_ids_of_trackers(value: Any, expected: int) -> None:
    assert identity(value) == expected
    assert UNTRACKED == -1


@pytest.mark.parametrize(("name", "key"), [("alphapose", "idx"), ("coco_result", "track_id")])
def test_people_who_cross_keep_the_ids_of_their_tracker(
    tmp_path: Path, name: str, key: str
) -> None:
    # one walks right and one left; in the middle they stand where the other did
    steps = [0, 40, 80, 120]
    entries = [
        person(f"{t}.jpg", right, score, **{key: number})
        for t in range(4)
        for number, right, score in ((5, steps[t], 0.9), (3, steps[3 - t], 0.5))
    ]
    clip = read(name, tmp_path, entries)["clip"]
    moved = clip.joints[:, :, 0, 0] - POSE[0, 0]
    np.testing.assert_allclose(moved, [steps, steps[::-1]], atol=1e-4)
    np.testing.assert_allclose(clip.scores[:, 0, 0], [0.9, 0.5], rtol=1e-6)


@pytest.mark.parametrize("ids", [(-1, -1), (2, 2), (2, None), (None, None)])
def test_ids_that_do_not_tell_people_apart_are_not_used(
    tmp_path: Path, ids: tuple[Any, Any]
) -> None:
    entries = [
        person(f"{t}.jpg", right, idx=number)
        for t in range(3)
        for number, right in zip(ids, (0, 500), strict=True)
    ]
    clip = read("alphapose", tmp_path, entries)["clip"]
    assert clip.num_persons == 2
    assert np.ptp(clip.joints[:, :, 0, 0], axis=1).max() < 1e-3


def test_openpose_and_openpifpaf_use_ids_where_there_are_any(tmp_path: Path) -> None:
    (tmp_path / "pose").mkdir()
    (tmp_path / "paf").mkdir()
    lines = []
    for t in range(2):  # both jump to the other's place from one frame to the next
        bodies = [(1, POSE + 100 * t, 0.9), (2, POSE + 100 * (1 - t), 0.5)]
        triples = [
            (one, np.column_stack([pose, np.full(17, s)]).reshape(-1)) for one, pose, s in bodies
        ]
        found = [{"keypoints": list(x), "category_id": 1, "id_": one} for one, x in triples]
        lines.append(json.dumps({"frame": t, "predictions": found}))
        people = [{"person_id": [one], "pose_keypoints_2d": [*x, *x[:3]]} for one, x in triples]
        file = tmp_path / "pose" / f"a_{t:012d}_keypoints.json"
        file.write_text(json.dumps({"people": people}))
    (tmp_path / "paf" / "a.openpifpaf.json").write_text("\n".join(lines))
    for name, folder in (("openpose", "pose"), ("openpifpaf", "paf")):
        (clip,) = readers.find(name).read(tmp_path / folder)
        np.testing.assert_allclose(clip.joints[0, :, 0, 0] - POSE[0, 0], [0, 100], atol=1e-3)


def test_following_falls_back_to_nearness() -> None:
    joints = np.zeros((1, 17, 2), np.float32) + POSE.astype(np.float32)
    scores = np.ones((1, 17), np.float32)
    tracked = tracking.People(joints, scores, np.array([4]))
    assert len(tracking.follow([tracked, tracking.People(joints, scores)])) == 1
    other = tracking.People(joints, scores, np.array([5]))
    assert len(tracking.follow([tracked, other])) == 2  # the same place, but somebody else


def test_frames_without_anybody_are_lost_and_scores_are_kept(tmp_path: Path) -> None:
    clip = read("alphapose", tmp_path, [person("2.jpg", 0, 0.25), person("5.jpg", 0, 2.5)])["clip"]
    assert clip.joints.shape == (1, 6, 17, 2)
    assert clip.scores[0, :, 0].tolist() == [0, 0, 0.25, 0, 0, 1]


@pytest.mark.parametrize("name", ["alphapose", "coco_result"])
def test_a_clip_begins_where_its_source_counts_from(tmp_path: Path, name: str) -> None:
    def lengths(numbers: dict[str, list[int]], **options: Any) -> dict[str, int]:
        entries = [person(f"{clip}_{t}.jpg", 0) for clip, mine in numbers.items() for t in mine]
        clips = read(name, tmp_path, entries, **options)
        for clip, mine in numbers.items():  # whatever is added is before the first person
            assert clips[clip].scores[0, -1 - max(mine) + min(mine), 0] > 0
        return {clip: one.num_frames for clip, one in clips.items()}

    assert lengths({"walk": [3, 9]}) == {"walk": 10}
    assert lengths({"walk": [3, 9], "run": [1, 2]}) == {"walk": 9, "run": 2}
    assert lengths({"walk": [3, 9], "run": [0, 2]}) == {"walk": 10, "run": 3}
    # cut from the middle of a longer video
    assert lengths({"walk": [5000, 5099], "run": [0, 2]}) == {"walk": 100, "run": 3}
    assert lengths({"walk": [3, 4, 5]}) == {"walk": 3}
    assert lengths({"walk": [3, 4, 5]}, first=0) == {"walk": 6}
    assert lengths({"walk": [3, 4, 5]}, first=2) == {"walk": 4}
    assert lengths({"walk": [3, 9]}, first="lowest") == {"walk": 7}
    assert lengths({"walk": [60_000, 119_999]}) == {"walk": 60_000}  # else longer than an hour
    with pytest.raises(ValueError, match="frame 3, before the first by option `first`, 4"):
        lengths({"walk": [3, 9]}, first=4)


def test_alphapose_finds_files_in_folders(tmp_path: Path) -> None:
    for video in ("run", "walk"):
        (tmp_path / video).mkdir()
        file = tmp_path / video / "alphapose-results.json"
        file.write_text(json.dumps([person("0.jpg", 0)]))
    clips = list(readers.find("alphapose").read(tmp_path))
    assert [clip.id for clip in clips] == ["run", "walk"]
    (alone,) = readers.find("alphapose").read(tmp_path / "run" / "alphapose-results.json")
    assert alone.id == "run"


@pytest.mark.parametrize(("count", "layout"), [(17, "coco17"), (133, "coco17"), (26, "halpe26"),
                                               (136, "halpe26"), (25, "body25")])  # fmt: skip
def test_whole_bodies_give_their_first_joints(tmp_path: Path, count: int, layout: str) -> None:
    entry = {"image_id": "0.jpg", "keypoints": [float(i % 7) + 1 for i in range(3 * count)]}
    path = tmp_path / "a.json"
    clip = read("alphapose", path, [entry])["a"]
    assert clip.layout.name == layout
    first = np.reshape(entry["keypoints"], (-1, 3))[: clip.layout.num_joints, :2]
    np.testing.assert_array_equal(clip.joints[0, 0], first)


def test_coco_images_may_be_listed(tmp_path: Path) -> None:
    listed = tmp_path / "images.json"
    names = ["walk/000.jpg", "walk/001.jpg", "walk/002.jpg", "sit/005.jpg"]
    images = [{"id": 70 + i, "file_name": name} for i, name in enumerate(names)]
    listed.write_text(json.dumps({"images": images}))
    entries = [person(70, 0), person(72, 0)]
    clips = read("coco_result", tmp_path, entries, images=str(listed))
    assert set(clips) == {"walk", "sit"}
    assert clips["walk"].scores.any(axis=2).tolist() == [[True, False, True]]
    assert not clips["sit"].scores.any()
    images = [{"id": t, "file_name": f"walk/{t}.jpg"} for t in range(2, 12)]
    listed.write_text(json.dumps({"images": images}))
    named = read("coco_result", tmp_path, [person(5, 0)], images=str(listed))["walk"]
    assert named.num_frames == 10  # the list has those without anybody, and begins with 2
    with pytest.raises(ValueError, match="image 99, which the list of images lacks"):
        read("coco_result", tmp_path, [person(99, 0)], images=str(listed))


def test_coco_images_say_their_size(tmp_path: Path) -> None:
    sizes = {"walk/1": (480, 640), "walk/2": (480, 640), "sit/1": (480, 640), "sit/2": (640, 480)}
    images = [
        {"id": number, "file_name": f"{name}.jpg", "height": height, "width": width}
        for number, (name, (height, width)) in enumerate(sizes.items())
    ]
    images += [{"id": 9, "file_name": "run/1.jpg", "height": 480, "width": None}]
    entries = [person(image["id"], 0) for image in images]
    listed = tmp_path / "images.json"
    listed.write_text(json.dumps({"images": images}))
    annotations = {"images": images, "annotations": entries}
    for clips in (
        read("coco_result", tmp_path, entries, images=str(listed)),
        read("coco_result", tmp_path, annotations),
    ):
        found = {name: clip.size for name, clip in clips.items()}
        assert found == {"walk": (480, 640), "sit": None, "run": None}
    said = read("coco_result", tmp_path, annotations, size=[9, 16])
    assert {clip.size for clip in said.values()} == {(9, 16)}


def test_coco_annotations_say_what_is_visible(tmp_path: Path) -> None:
    pose = person(1, 0)["keypoints"]
    pose[2::3] = [0, 1, 2, *[2] * 14]
    car = {"image_id": 1, "category_id": 3, "keypoints": [1.0]}
    data = {
        "images": [{"id": 1, "file_name": "walk_1.jpg"}],
        "annotations": [{"image_id": 1, "category_id": 1, "keypoints": pose}, car],
    }
    clip = read("coco_result", tmp_path, data)["walk"]
    assert clip.scores[0, 0, :3].tolist() == [0, 0.5, 1]
    assert not clip.joints[0, 0, 0].any()


def test_numbered_images_are_one_clip(tmp_path: Path) -> None:
    clips = read("coco_result", tmp_path / "dance.json", [person(3, 0), person(4, 0)])
    assert {name: clip.num_frames for name, clip in clips.items()} == {"dance": 2}


BAD = {
    "object": ("alphapose", {"0.jpg": {"bodies": []}}, "must be a list of people"),
    "nobody": ("alphapose", [], "nobody in any image"),
    "number": ("alphapose", [{"image_id": 3, "keypoints": [1] * 51}], "'image_id' as str"),
    "image": ("coco_result", [{"image_id": None, "keypoints": [1] * 51}], "a number or a name"),
    "pairs": ("alphapose", [{"image_id": "1.jpg", "keypoints": [1, 2]}], "has 2 keypoint numbers"),
    "joints": ("alphapose", [{"image_id": "1.jpg", "keypoints": [1] * 57}], "has 19 joints"),
    "text": ("alphapose", [{"image_id": "1.jpg", "keypoints": ["a"] * 51}], "lists of numbers"),
    "mixed": (
        "alphapose",
        [{"image_id": f"{t}.jpg", "keypoints": [1] * n} for t, n in ((0, 51), (1, 78))],
        "a person has 26 joints, layout 'coco17' has 17",
    ),
    "huge": ("coco_result", [{"image_id": 1, "keypoints": [1e39] * 51}], "no finite number"),
}


@pytest.mark.parametrize(("name", "data", "said"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, name: str, data: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        read(name, tmp_path, data)
    assert "\n" not in str(error.value)


def test_a_clip_in_two_files_is_refused(tmp_path: Path) -> None:
    for file in ("a", "b"):
        (tmp_path / f"{file}.json").write_text(json.dumps([person("walk_1.jpg", 0)]))
    for name in ("alphapose", "coco_result"):
        with pytest.raises(ValueError, match="clip 'walk' is in another file too"):
            list(readers.find(name).read(tmp_path))


@pytest.mark.parametrize("name", ["alphapose", "coco_result"])
def test_options_are_checked(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        readers.find(name, persons=0)
    for first in (-1, "lowst"):
        with pytest.raises(ValueError, match=r"first must be a number from 0, or lowest"):
            readers.find(name, first=first)
    with pytest.raises(ValueError, match="did you mean 'coco17'"):
        readers.find(name, layout="coco71")
