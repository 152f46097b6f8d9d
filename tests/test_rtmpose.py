"""RTMPose on networks made by hand, and how pictures are prepared for them."""

import dataclasses
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skeldistill import estimators
from skeldistill.estimators import (
    Estimator,
    RTMPose,
    images,
    simcc,
    yolox,
)
from skeldistill.layouts import HALPE26

BLANK = np.zeros((48, 64, 3), np.uint8)
MODEL = "models/pose_landmarker_full.task"


def test_a_crop_of_the_whole_is_the_picture(rng):
    picture = rng.integers(0, 256, (9, 7, 3)).astype(np.uint8)
    box = np.array([0.0, 0, 7, 9])
    np.testing.assert_allclose(images.crop(picture, box, 9, 7), picture, atol=1e-4)
    np.testing.assert_array_equal(images.resized(picture, 9, 7), picture)


@settings(max_examples=25, deadline=None)
@given(
    st.floats(-5, 5), st.floats(-5, 5), st.floats(0.5, 15), st.floats(0.5, 15), st.integers(0, 99)
)
def test_crops_are_bilinear(left, top, width, height, seed):
    picture = np.random.default_rng(seed).uniform(0, 255, (6, 8, 3)).astype(np.float32)
    box = np.array([left, top, left + width, top + height])
    made = images.crop(picture, box, 4, 5, outside=-1.0)
    for row in range(4):
        for column in range(5):
            y = top + (row + 0.5) * height / 4 - 0.5
            x = left + (column + 0.5) * width / 5 - 0.5
            if not (-0.5 <= y <= 5.5 and -0.5 <= x <= 7.5):
                continue
            total = np.zeros(3)
            y, x = min(max(y, 0), 5), min(max(x, 0), 7)
            for j in range(6):
                for i in range(8):
                    total += max(0, 1 - abs(y - j)) * max(0, 1 - abs(x - i)) * picture[j, i]
            np.testing.assert_allclose(made[row, column], total, atol=0.05)


def test_beyond_the_picture_is_what_was_asked_for():
    white = np.full((4, 4, 3), 255, np.uint8)
    made = images.crop(white, np.array([-4.0, 0, 4, 4]), 4, 8, outside=7.0)
    assert (made[:, :4] == 7).all()
    assert (made[:, 4:] == 255).all()
    assert (images.crop(white, np.array([-4.0, 0, 4, 4]), 4, 8) == 255).all()


def test_smaller_pictures_keep_their_mean_and_proportion(rng):
    picture = rng.integers(0, 256, (120, 161, 3)).astype(np.uint8)
    small = images.shrunk(picture, 30)
    assert small.shape == (30, 40, 3)
    assert small.std() < 0.5 * picture.std()  # averaged, not picked
    assert abs(small.mean() - picture.mean()) < 2
    assert images.shrunk(picture, 120) is picture
    assert images.shrunk(picture, None) is picture


@settings(max_examples=30, deadline=None)
@given(st.integers(8, 200), st.integers(8, 200), st.integers(1, 8))
def test_tiles_cover_the_picture_and_overlap(height, width, count):
    cover = np.zeros((height, width), int)
    pieces = images.tiles(height, width, count)
    for piece in pieces[1:] if count > 1 else pieces:
        assert cover[piece].size
        cover[piece] += 1
    assert len(pieces) == (1 if count == 1 else 1 + count**2)
    assert cover.min() == 1
    if count > 1 and min(height, width) > 40:
        assert (cover > 1).any()


def test_overlap_of_boxes_by_hand():
    one = np.array([0.0, 0, 2, 2])
    assert images.overlap(one, one) == 1
    assert images.overlap(one, one + 1) == pytest.approx(1 / 7)
    assert images.overlap(one, one + 2) == 0
    assert images.overlap(one * 0, one * 0) == 0


def test_who_is_found_twice_is_counted_once(rng):
    body = np.concatenate([rng.uniform(0, 100, (33, 2)), np.full((33, 1), 0.8)], axis=1)
    again = body + np.array([3.0, 0, 0.1])
    half = body.copy()
    half[20:, 0] += 70  # guessed beyond the border of a tile
    half[20:, 2] = 0.01
    other = body + np.array([60.0, 0, 0])
    found = images.distinct(np.stack([body, again, half, other]).astype(np.float32))
    np.testing.assert_allclose(found, np.stack([again, other]), rtol=1e-6)
    assert images.distinct(np.zeros((0, 33, 3), np.float32)).shape == (0, 33, 3)


def onnx_of(path: Path, size: tuple[int, int], outputs: dict[str, np.ndarray]) -> str:
    """A network that gives these outputs for every picture, whatever it shows."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        # one zero for each picture of the batch, as many as it has
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "nothing"], ["zero"]),
    ]
    constants = [onnx.numpy_helper.from_array(np.float32(0), "nothing")]
    told = []
    for name, value in outputs.items():
        shape = np.array([-1] + [1] * (value.ndim - 1))
        constants += [
            onnx.numpy_helper.from_array(value.astype(np.float32), f"{name}_constant"),
            onnx.numpy_helper.from_array(shape, f"{name}_shape"),
        ]
        nodes += [
            helper.make_node("Reshape", ["zero", f"{name}_shape"], [f"{name}_zero"]),
            helper.make_node("Add", [f"{name}_zero", f"{name}_constant"], [name]),
        ]
        told.append(helper.make_tensor_value_info(name, kinds.FLOAT, ["n", *value.shape[1:]]))
    shape = ["n", 3, *size]
    graph = helper.make_graph(
        nodes,
        "made",
        [helper.make_tensor_value_info("picture", kinds.FLOAT, shape)],
        told,
        initializer=constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return str(path)


def simcc_outputs(joints: int, columns: list[int], rows: list[int], score: float) -> dict:
    made = {"x": np.zeros((1, joints, 2 * 24)), "y": np.zeros((1, joints, 2 * 32))}
    for joint in range(joints):
        made["x"][0, joint, columns[joint % len(columns)]] = score + 1
        made["y"][0, joint, rows[joint % len(rows)]] = score
    return made


def rtmpose(tmp_path: Path, boxes: dict, joints: int = 17, score: float = 0.6, **options: Any):
    pose = simcc_outputs(joints, [0, 24, 12], [0, 32, 63], score)
    return RTMPose(
        detector=onnx_of(tmp_path / "detector.onnx", (64, 64), boxes),
        pose=onnx_of(tmp_path / "pose.onnx", (32, 24), pose),
        **options,
    )


def look(estimator: Estimator, image: np.ndarray = BLANK):
    with closing(estimator.open()) as session:
        session.begin(None, "a")
        return session(image, 0.0)


def test_joints_are_where_the_networks_say(tmp_path):
    # the picture, 48 x 64, fills the detector's 64 x 64 from the corner, so boxes are its pixels
    boxes = {
        "dets": np.array([[[10, 10, 26, 34, 0.5], [30, 4, 54, 36, 0.9], [0, 0, 9, 9, 0.1]]]),
        "labels": np.array([[0, 0, 0]]),
    }
    people = look(rtmpose(tmp_path, boxes))
    assert people.joints.shape == (2, 17, 2)  # the third is too unsure
    np.testing.assert_allclose(people.scores, 0.6)  # the lower of both maxima
    # the surest first: middle (42, 20), 24 x 32 pixels, wider by 1.25: 30 x 40
    corner, size = np.array([42 - 15, 20 - 20]), np.array([30, 40])
    np.testing.assert_allclose(people.joints[0, 0], corner, atol=1e-4)
    np.testing.assert_allclose(people.joints[0, 1], corner + size / 2, atol=1e-4)
    np.testing.assert_allclose(people.joints[0, 2], corner + size * (1 / 4, 63 / 64), atol=1e-4)
    # 16 x 24 becomes 18 x 24 as the input is, then 22.5 x 30
    np.testing.assert_allclose(people.joints[1, 0], (18 - 11.25, 22 - 15), atol=1e-4)


def test_where_nobody_is_detected_is_nobody(tmp_path):
    boxes = {"dets": np.array([[[0, 0, 64, 48, 0.29]]]), "labels": np.array([[0]])}
    assert look(rtmpose(tmp_path, boxes)).joints.shape == (0, 17, 2)
    boxes = {"dets": np.array([[[0, 0, 64, 48, 0.9]]]), "labels": np.array([[3]])}  # a car
    assert look(rtmpose(tmp_path, boxes)).joints.shape == (0, 17, 2)


def test_boxes_of_one_person_are_one(tmp_path):
    box = [10, 10, 26, 34]
    boxes = {"dets": np.array([[[*box, 0.5], [11, *box[1:], 0.9], [40, 10, 60, 40, 0.8]]])}
    assert len(look(rtmpose(tmp_path, boxes)).joints) == 2
    assert len(look(rtmpose(tmp_path, boxes, people=1)).joints) == 1


def test_raw_outputs_of_yolox_are_decoded(tmp_path):
    raw = np.zeros((1, 64 + 16 + 4, 85), np.float32)
    raw[0, 10, :6] = [0.5, 0.25, np.log(2), np.log(3), 0.9, 0.8]  # stride 8: column 2, row 1
    raw[0, 64 + 5, :6] = [0, 0, 0, 0, 0.5, 0.5]  # too unsure
    raw[0, 83, :7] = [0, 0, 0, 0, 1, 0, 1]  # another class
    estimator = rtmpose(tmp_path, {"raw": raw})
    network = estimators.rtmpose.Network(Path(str(estimator.detector)), "detector", 1)
    twice = np.zeros((96, 128, 3), np.uint8)  # shown at half its size
    (box,) = yolox.detect(network, twice, 0.3)
    centre, side = np.array([2.5, 1.25]) * 8, np.array([16, 24])
    np.testing.assert_allclose(box, 2 * np.concatenate([centre - side / 2, centre + side / 2]))


class Watching(estimators.rtmpose.Network):
    """Another network that keeps what it was shown."""

    def __init__(self, network: estimators.rtmpose.Network) -> None:
        self.name, self.size = network.name, network.size
        self.network, self.shown = network, []

    def __call__(self, pictures: np.ndarray) -> list[np.ndarray]:
        self.shown.append(pictures)
        return self.network(pictures)


def test_pictures_are_prepared_as_the_networks_were_trained(tmp_path):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[..., 0] = 255
    canvas, factor = yolox._letterbox(picture, (96, 96))
    assert factor == 1.5
    np.testing.assert_array_equal(canvas[0, :, 0, 0], [0, 0, 255])  # blue, green, red
    assert (canvas[0, :, 72:] == 114).all()
    boxes = {"dets": np.array([[[10, 10, 26, 34, 0.5]]])}
    network = estimators.rtmpose.Network(Path(str(rtmpose(tmp_path, boxes).pose)), "pose", 1)
    watching = Watching(network)
    simcc.locate(watching, picture, np.array([[20.0, 10.0, 36.0, 30.0]]))
    red, green = (255 - 123.675) / 58.395, -116.28 / 57.12
    np.testing.assert_allclose(watching.shown[0][0, :2, 16, 12], [red, green], rtol=1e-5)
    assert watching.shown[0].shape == (1, 3, 32, 24)


def brightest(path: Path, size: tuple[int, int]) -> estimators.rtmpose.Network:
    """A pose network whose joints all say where the brightest column and row of its input are."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes, constants, told = [], [onnx.numpy_helper.from_array(np.array([1]), "one")], []
    for name, length, others in (("x", size[1], [1, 2]), ("y", size[0], [1, 3])):
        # pixel i is bin 2 i, as RTMPose learns it
        spread = np.kron(np.eye(length, dtype=np.float32), np.float32([[1, 0]]))
        constants.append(onnx.numpy_helper.from_array(spread, f"{name}_bins"))
        nodes += [
            helper.make_node("ReduceMax", ["picture"], [f"{name}_max"], axes=others, keepdims=0),
            helper.make_node("MatMul", [f"{name}_max", f"{name}_bins"], [f"{name}_flat"]),
            helper.make_node("Unsqueeze", [f"{name}_flat", "one"], [name]),
        ]
        told.append(helper.make_tensor_value_info(name, kinds.FLOAT, ["n", 1, 2 * length]))
    picture = helper.make_tensor_value_info("picture", kinds.FLOAT, ["n", 3, *size])
    graph = helper.make_graph(nodes, "brightest", [picture], told, initializer=constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return estimators.rtmpose.Network(path, "pose network", 1)


def test_a_crop_and_its_joints_go_together_at_every_size(tmp_path):
    network = brightest(tmp_path / "brightest.onnx", (64, 48))
    picture = np.zeros((90, 120, 3), np.uint8)
    picture[37, 61] = 255
    for half in (4, 8, 12, 20, 30):  # half a box, from five times larger to as large as it gets
        box = np.array([[61.0 - half, 37 - half, 61 + half, 37 + half]])
        found = simcc.locate(network, picture, box)[0, 0]
        step = 2 * half * 1.25 / 48
        np.testing.assert_allclose(found[:2], (61, 37), atol=max(0.02, 0.51 * step * (step > 1)))


def test_crops_are_those_of_the_training(tmp_path):
    # mmpose warps: pixel (i, j) of the input lies at corner + (i, j) * step of the picture
    network = brightest(tmp_path / "brightest.onnx", (64, 48))
    ramp = np.add.outer(2 * np.arange(100), np.arange(100)).astype(np.uint8)[..., None]
    watching = Watching(network)
    simcc.locate(watching, ramp[:80, :80].repeat(3, axis=2), np.array([[30.0, 24, 48, 48]]))
    step = 24 * 1.25 / 64  # 18 x 24 has the input's proportions
    rows, columns = 36 - 15 + step * np.arange(64), 39 - 11.25 + step * np.arange(48)
    expected = (np.add.outer(2 * rows, columns) - 123.675) / 58.395
    np.testing.assert_allclose(watching.shown[0][0, 0], expected, atol=1e-4)


def test_a_tier_names_both_files(tmp_path):
    boxes = {"dets": np.array([[[10, 10, 26, 34, 0.5]]])}
    good = rtmpose(tmp_path, boxes)
    for option, what in (("detector", "detector"), ("pose", "pose")):
        path = Path(str(getattr(good, option)))
        path.rename(tmp_path / f"rtmpose-balanced-{what}.onnx")
    tier = estimators.parse(f"rtmpose:tier=balanced,folder={tmp_path}")
    assert look(tier).joints.shape == (1, 17, 2)
    files = {"detector": tier.detector, "pose": tier.pose}
    assert tier.about() == RTMPose(**files).about()
    feet = RTMPose(tier="balanced", joints="halpe26")
    assert feet.pose == str(Path("weights/rtmpose-balanced-pose-halpe26.onnx"))
    with pytest.raises(FileNotFoundError, match="fetch-weights"):
        feet.open()
    with pytest.raises(ValueError, match="did you mean 'balanced'"):
        RTMPose(tier="balancd")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"joints": "halpe26"}, "finds 17 joints but halpe26 has 26; set joints"),
        ({"detector": "pose"}, "must give boxes"),
        ({"pose": "detector"}, "must give columns and rows"),
    ],
)
def test_networks_of_another_kind_are_one_line(tmp_path, change, message):
    boxes = {"dets": np.array([[[10, 10, 26, 34, 0.5]]]), "labels": np.array([[0]])}
    good = rtmpose(tmp_path, boxes)
    files = {"pose": good.pose, "detector": good.detector}
    changed = dataclasses.replace(good, **{key: files.get(v, v) for key, v in change.items()})
    if "detector" in change:
        flat = onnx_of(tmp_path / "flat.onnx", (64, 64), {"x": np.zeros((1, 3))})
        changed = dataclasses.replace(good, detector=flat)
    with pytest.raises(ValueError, match=message) as refused:
        look(changed)
    assert "\n" not in str(refused.value)


def test_halpe_has_26_joints(tmp_path):
    boxes = {"dets": np.array([[[10, 10, 26, 34, 0.5]]])}
    estimator = rtmpose(tmp_path, boxes, joints=26)
    estimator = dataclasses.replace(estimator, joints="halpe26")
    assert estimator.layout is HALPE26
    assert look(estimator).joints.shape == (1, 26, 2)


def test_a_file_that_is_no_network_is_one_line(tmp_path):
    pytest.importorskip("onnxruntime")
    (tmp_path / "a.onnx").write_text("no network", encoding="utf-8")
    bad = RTMPose(detector=str(tmp_path / "a.onnx"), pose=str(tmp_path / "a.onnx"))
    with pytest.raises(ValueError, match=r"detector .*a\.onnx cannot be loaded") as refused:
        bad.open()
    assert "\n" not in str(refused.value)


def test_answers_depend_on_the_files_not_on_their_place(tmp_path):
    boxes = {"dets": np.array([[[10, 10, 26, 34, 0.5]]])}
    one = rtmpose(tmp_path, boxes)
    moved = Path(str(one.pose)).rename(tmp_path / "moved.onnx")
    assert dataclasses.replace(one, detector=one.detector, pose=str(moved)).about() == {
        **rtmpose(tmp_path, boxes).about()
    }
    before = one.about()
    assert rtmpose(tmp_path, boxes, score=0.5).about() != before
