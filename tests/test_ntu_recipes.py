"""The recipes of NTU RGB+D run on files written as PYSKL publishes them."""

import json
import pickle

import numpy as np
import pytest


def published(rng, joints: int, channels: int) -> dict:
    """As few clips as will do, of one or two people; scores and sizes are of 2-D joints alone."""
    annotations = []
    for i in range(16):
        persons, frames = 1 + i % 2, 30 + i
        place = rng.normal(size=(persons, frames, joints, channels))
        one = {
            "frame_dir": f"S001C001P{i + 1:03}R001A{i % 4 + 1:03}",
            "label": i % 4,
            "total_frames": frames,
            "keypoint": place.astype(np.float16),
        }
        if channels == 2:
            one["keypoint"] = (540 + 200 * place).astype(np.float16)
            one["keypoint_score"] = rng.uniform(0.3, 1, place.shape[:3]).astype(np.float16)
            one["img_shape"] = one["original_shape"] = (1080, 1920)
        annotations.append(one)
    ids = [one["frame_dir"] for one in annotations]
    split = {"xsub_train": ids[:8], "xsub_val": ids[8:], "xview_train": ids, "xview_val": ids}
    return {"split": split, "annotations": annotations}


@pytest.mark.parametrize(
    ("recipe", "methods"),
    [("ntu60-heterogeneous", "teacher,PLKD"), ("ntu60-occlusion-0.6", "teacher,SKD")],
)
def test_files_of_pyskl_are_all_that_is_needed(
    recipe, methods, rng, tmp_path, monkeypatch, skeldistill
):
    folder = tmp_path / "data" / "ntu60"
    folder.mkdir(parents=True)
    (folder / "ntu60_3danno.pkl").write_bytes(pickle.dumps(published(rng, 25, 3)))
    (folder / "ntu60_hrnet.pkl").write_bytes(pickle.dumps(published(rng, 17, 2)))
    monkeypatch.setenv("SKELDISTILL_DATA", str(tmp_path / "data"))
    small = ["training.epochs=1", "training.batch_size=4", "sampling.frames=8"]
    small += [f"{who}={{name: ST2sGCN, width: 0.125}}" for who in ("teacher", "student")]
    changes = [word for change in small for word in ("--set", change)]
    code, _, errors = skeldistill("run", recipe, "--methods", methods, *changes)
    assert code == 0, errors
    results = json.loads((tmp_path / "runs" / recipe / "results.json").read_text("utf-8"))
    assert {one["name"] for one in results["methods"]} == set(methods.split(","))
