"""Files of every format, written by the formats' descriptions and not by this project's code."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.io import savemat

FRAMES = 14
ENDS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")


def body(rng: np.random.Generator, frames: int, joints: int, channels: int) -> np.ndarray:
    """Somebody who stands and sways: (t, v, c), nowhere 0."""
    pose = rng.uniform(1, 3, (joints, channels))
    pose[:, 1] *= 3
    return pose + 0.05 * rng.standard_normal((frames, 1, channels)).cumsum(axis=0)


def nw_ucla(folder: Path, rng: np.random.Generator) -> Path:
    for name in ("a01_s01_e00_v01", "a12_s10_e03_v03", "a08_s02_e01_v02"):
        skeletons = body(rng, FRAMES, 20, 3).tolist()
        data = {"file_name": name, "skeletons": skeletons, "label": 1}
        (folder / f"{name}.json").write_text(json.dumps(data))
    return folder


def skeleton_text(frames: list[list[tuple[int, np.ndarray]]]) -> str:
    """A .skeleton file from (body's id, its joints (25, 3)) for every body of every frame."""
    lines = [str(len(frames))]
    for bodies in frames:
        lines.append(str(len(bodies)))
        for number, joints in bodies:
            lines += [f"{number} 0 1 1 0 0 0 0.1 -0.2 2", "25"]
            for x, y, z in joints:
                lines.append(f"{x:.7g} {y:.7g} {z:.7g} 9 9 {100 * x:.7g} {100 * y:.7g} 0 0 0 0 2")
    return "\r\n".join(lines) + "\r\n"


def ntu(folder: Path, rng: np.random.Generator) -> Path:
    one, two = body(rng, FRAMES, 25, 3), body(rng, FRAMES, 25, 3)
    for name in ("S001C001P001R001A011", "S002C002P003R001A060", "S017C003P040R002A001"):
        frames = [[(7, one[t]), (72057594037931101, two[t])] for t in range(FRAMES)]
        (folder / f"{name}.skeleton").write_text(skeleton_text(frames))
    return folder


def kinetics_skeleton(folder: Path, rng: np.random.Generator) -> Path:
    for split, label in (("train", 0), ("val", 1)):
        (folder / f"kinetics_{split}").mkdir()
        people = [body(rng, FRAMES, 18, 2) / 10 for _ in range(3)]
        data = [
            {
                "frame_index": t + 1,
                "skeleton": [
                    {
                        "pose": np.round(one[t], 3).reshape(-1).tolist(),
                        "score": [0.2 + 0.2 * i] * 18,
                    }
                    for i, one in enumerate(people)
                ],
            }
            for t in range(FRAMES)
        ]
        clip = {"data": data, "label": f"class {label}", "label_index": label}
        (folder / f"kinetics_{split}" / f"id_{split}.json").write_text(json.dumps(clip))
        about = {f"id_{split}": {"has_skeleton": True, **{k: clip[k] for k in clip if k != "data"}}}
        (folder / f"kinetics_{split}_label.json").write_text(json.dumps(about))
    return folder


def openpose(folder: Path, rng: np.random.Generator) -> Path:
    for video in ("dance", "run_2"):
        people = [body(rng, FRAMES, 18, 2) * 100 for _ in range(2)]
        (folder / video).mkdir()
        for t in range(FRAMES):
            poses = [np.column_stack([one[t], np.full(18, 0.8)]).reshape(-1) for one in people]
            data = {"people": [{"person_id": [-1], "pose_keypoints_2d": list(p)} for p in poses]}
            (folder / video / f"{video}_{t:012d}_keypoints.json").write_text(json.dumps(data))
    return folder


def openpifpaf(folder: Path, rng: np.random.Generator) -> Path:
    people = [body(rng, FRAMES, 17, 2) * 100 for _ in range(2)]
    lines = []
    for t in range(FRAMES):
        poses = [np.column_stack([one[t], np.full(17, 0.8)]).reshape(-1) for one in people]
        found = [{"keypoints": list(p), "category_id": 1, "score": 0.8} for p in poses]
        lines.append(json.dumps({"frame": t, "predictions": found}))
        if t < 3:
            image = folder / f"walk_{t:03d}.jpg.predictions.json"
            image.write_text(json.dumps(found))
    (folder / "run.mp4.openpifpaf.json").write_text("\n".join(lines) + "\n")
    return folder


def alphapose(folder: Path, rng: np.random.Generator) -> Path:
    for video in ("dance", "run"):
        people = [body(rng, FRAMES, 17, 2) * 100 for _ in range(2)]
        (folder / video).mkdir()
        entries = [
            {
                "image_id": f"{t}.jpg",
                "category_id": 1,
                "keypoints": np.column_stack([one[t], np.full(17, 0.8)]).reshape(-1).tolist(),
                "score": 2.9,
                "box": [0.0, 0.0, 9.0, 9.0],
                "idx": [7 - i],
            }
            for t in range(FRAMES)
            for i, one in enumerate(people)
        ]
        (folder / video / "alphapose-results.json").write_text(json.dumps(entries))
    return folder


def coco_result(folder: Path, rng: np.random.Generator) -> Path:
    for video in ("dance", "run"):
        people = [body(rng, FRAMES, 17, 2) * 100 for _ in range(2)]
        entries = [
            {
                "image_id": f"{video}/{t:06d}.jpg" if video == "run" else t,
                "category_id": 1,
                "keypoints": np.column_stack([one[t], np.full(17, 0.8)]).reshape(-1).tolist(),
                "score": 0.8,
            }
            for t in range(FRAMES)
            for one in people
        ]
        (folder / f"{video}.json").write_text(json.dumps(entries))
    return folder


def csv(folder: Path, rng: np.random.Generator) -> Path:
    limbs = [f"{side}_{end}" for end in ENDS for side in ("left", "right")]
    joints = ["head", *limbs]
    places = body(rng, FRAMES, 13, 2)
    wide = "clip,frame,label,split," + ",".join(f"{j}_x,{j}_y,{j}_score" for j in joints) + "\n"
    long = "clip,frame,person,joint,x,y,score,label,split\n"
    for t, frame in enumerate(places):
        cells = ",".join(f"{x:.6g},{y:.6g},0.9" for x, y in frame)
        wide += f"run,{t},1,train,{cells}\n"
        for joint, (x, y) in zip(joints, frame, strict=True):
            long += f"sit,{t},4,{joint},{x:.6g},{y:.6g},0.9,0,test\n"
    (folder / "wide.csv").write_text(wide)
    (folder / "long.csv").write_text(long)
    return folder


def jhmdb(folder: Path, rng: np.random.Generator) -> Path:
    (folder / "splits").mkdir()
    for action in ("brush_hair", "wave"):
        for name in ("one", "two"):
            clip = folder / "joint_positions" / action / name
            clip.mkdir(parents=True)
            pixels = (body(rng, FRAMES, 15, 2) * 30).transpose(2, 1, 0)
            data = {"pos_img": pixels, "pos_world": pixels / 100, "viewpoint": "NE"}
            savemat(clip / "joint_positions.mat", data)
        for split in (1, 2, 3):
            lists = f"one.avi {1 + split % 2} \ntwo.avi {2 - split % 2} \n"
            (folder / "splits" / f"{action}_test_split{split}.txt").write_text(lists)
    return folder


def sysu(folder: Path, rng: np.random.Generator) -> Path:
    for subject in ("anna", "ben", "carl", "dora"):
        for action in (1, 2, 12):
            clip = folder / "3DvideoNorm" / subject / f"video{action}"
            clip.mkdir(parents=True)
            savemat(clip / "sklWorld.mat", {"SW": body(rng, FRAMES, 20, 3).transpose(1, 2, 0)})
    return folder


def utd_mhad(folder: Path, rng: np.random.Generator) -> Path:
    for name in ("a1_s1_t1", "a2_s2_t4", "a10_s1_t2"):
        joints = body(rng, FRAMES, 20, 3).transpose(1, 2, 0)
        savemat(folder / f"{name}_skeleton.mat", {"d_skel": joints}, do_compression=True)
    return folder


def stgcn_npy(folder: Path, rng: np.random.Generator) -> Path:
    for split, count in (("train", 3), ("val", 2)):
        data = np.zeros((count, 3, 30, 25, 2), np.float32)
        for index in range(count):
            data[index, :, :FRAMES, :, 0] = body(rng, FRAMES, 25, 3).transpose(2, 0, 1)
        np.save(folder / f"{split}_data.npy", data)
        names = [f"S001C001P00{i}R001A00{i + 1}_{split}.skeleton" for i in range(count)]
        with (folder / f"{split}_label.pkl").open("wb") as file:
            pickle.dump((names, list(range(count))), file)
    return folder


def ctrgcn_npz(folder: Path, rng: np.random.Generator) -> Path:
    data = np.zeros((3, 30, 2, 25, 3), np.float32)
    for index in range(3):
        data[index, :FRAMES, 0] = body(rng, FRAMES, 25, 3)
    data, labels = data.reshape(3, 30, 150), np.eye(60)[[0, 7, 59]]
    np.savez(
        folder / "NTU60_CS.npz",
        x_train=data[:2], y_train=labels[:2], x_test=data[2:], y_test=labels[2:],
    )  # fmt: skip
    return folder / "NTU60_CS.npz"


WRITERS: dict[str, Callable[[Path, np.random.Generator], Path]] = {
    writer.__name__: writer
    for writer in (
        alphapose, coco_result, csv, ctrgcn_npz, jhmdb, kinetics_skeleton, ntu, nw_ucla,
        openpifpaf, openpose, stgcn_npy, sysu, utd_mhad,
    )
}  # fmt: skip
