"""Arrays of ST-GCN and CTR-GCN: labels, padding, persons, scores."""

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from format_files import FRAMES, WRITERS

from skeldistill import readers


@pytest.fixture
def written(tmp_path: Path, rng: np.random.Generator) -> Callable[[str], Path]:
    return lambda name: WRITERS[name](tmp_path, rng)


def test_npy_labels_and_padding(written: Callable[[str], Path]) -> None:
    path = written("stgcn_npy")
    clips = {clip.id: clip for clip in readers.find("stgcn_npy").read(path)}
    assert [(clip.label, clip.splits) for clip in clips.values()] == [
        (0, ("train",)), (1, ("train",)), (2, ("train",)), (0, ("val",)), (1, ("val",)),
    ]  # fmt: skip
    data = np.load(path / "train_data.npy")
    clip = clips["S001C001P001R001A002_train"]
    np.testing.assert_array_equal(clip.joints[0], data[1, :, :FRAMES, :, 0].transpose(1, 2, 0))


def test_a_body_that_is_centred_on_a_joint_has_not_lost_it(tmp_path: Path) -> None:
    data = np.random.default_rng(0).normal(size=(1, 3, 10, 25, 2)).astype(np.float32)
    data -= data[:, :, :, 1:2]  # as 2s-AGCN does
    data[0, :, 4:6, :, 1] = 0  # the second person is away
    np.save(tmp_path / "val_data.npy", data)
    (clip,) = readers.find("stgcn_npy").read(tmp_path)
    assert clip.scores[0].all()
    assert clip.scores[1].all(axis=1).tolist() == [frame not in (4, 5) for frame in range(10)]
    assert not clip.scores[1, 4:6].any()


def test_npy_of_two_dimensions_has_scores(tmp_path: Path, rng: np.random.Generator) -> None:
    data = np.zeros((1, 3, 10, 18, 2), np.float32)
    data[0, :, :6, :, 0] = rng.uniform(0.1, 1, (3, 6, 18))
    data[0, 2, 2] = 0
    np.save(tmp_path / "val_data.npy", data)
    (clip,) = readers.find("stgcn_npy").read(tmp_path)
    assert clip.joints.shape == (1, 6, 18, 2)
    np.testing.assert_array_equal(clip.scores[0], data[0, 2, :6, :, 0])
    assert not clip.joints[0, 2].any()


def test_npz_takes_labels_one_hot_or_not(written: Callable[[str], Path], tmp_path: Path) -> None:
    path = written("ctrgcn_npz")
    assert [clip.label for clip in readers.find("ctrgcn_npz").read(path)] == [0, 7, 59]
    data = dict(np.load(path))
    np.savez_compressed(
        path, **{key: data[key].argmax(1) if key[0] == "y" else data[key] for key in data}
    )
    assert [clip.label for clip in readers.find("ctrgcn_npz").read(path)] == [0, 7, 59]


def test_npz_persons_and_joints_stand_where_ctrgcn_puts_them(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    data = rng.normal(size=(1, 12, 2, 25, 3)).astype(np.float32)
    data[:, 9:] = 0
    x, y = data.reshape(1, 12, 150), np.array([4])
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    train, test = readers.find("ctrgcn_npz").read(tmp_path)
    assert (train.id, test.id, train.label) == ("train_000000", "test_000000", 4)
    np.testing.assert_array_equal(train.joints, data[0, :9].swapaxes(0, 1))
    x[:, :, :75] = 0
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    assert next(readers.find("ctrgcn_npz").read(tmp_path)).scores.any(axis=(1, 2)).tolist() == [
        False,
        True,
    ]


def test_several_archives_ask_for_one(tmp_path: Path) -> None:
    for name in ("NTU60_CS.npz", "NTU60_CV.npz"):
        np.savez(tmp_path / name, x_train=np.zeros(1))
    with pytest.raises(ValueError, match=r"has several \.npz; name one"):
        readers.find("ctrgcn_npz").describe(tmp_path)
    with pytest.raises(ValueError, match="has no array 'x_test'"):
        readers.find("ctrgcn_npz").describe(tmp_path / "NTU60_CV.npz")


@pytest.mark.parametrize(
    ("names", "labels", "message"),
    [
        (["a"], [0, 1], "1 names and 2 labels for 2 clips"),
        (["a", 3], [0, 1], "clip 3 has label 1"),
        (["a", "b"], [0, -2], "clip 'b' has label -2"),
        (["a", "b"], [0, 0.5], "clip 'b' has label 0.5"),
    ],
)
def test_strange_label_pickles_are_told(
    tmp_path: Path, names: list[object], labels: list[object], message: str
) -> None:
    np.save(tmp_path / "train_data.npy", np.ones((2, 3, 4, 25, 1), np.float32))
    (tmp_path / "train_label.pkl").write_bytes(pickle.dumps((names, labels)))
    with pytest.raises(ValueError, match=message):
        list(readers.find("stgcn_npy").read(tmp_path))


def test_label_pickle_that_would_run_code_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "train_data.npy", np.ones((1, 3, 4, 25, 1), np.float32))
    (tmp_path / "train_label.pkl").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(ValueError, match=r"train_label\.pkl is refused: it asks for os\.system"):
        list(readers.find("stgcn_npy").read(tmp_path))
