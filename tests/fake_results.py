"""Made-up results of a comparison, shaped like the real ones, for tests of what reads them."""

import numpy as np

from skeldistill.layouts import COCO17, JHMDB15, Layout


def score(center: float, spread: float, runs: int, rng: np.random.Generator) -> dict:
    values = np.clip(center + spread * rng.standard_normal(runs), 0, 100)
    half = None if runs == 1 else 2.5 * values.std(ddof=1) / np.sqrt(runs)
    middle = float(values.mean())
    low, high = (None, None) if half is None else (middle - half, middle + half)
    return {"mean": middle, "low": low, "high": high, "values": values.tolist()}


def confusion(classes: int, right: float, rng: np.random.Generator) -> np.ndarray:
    table = np.zeros((classes, classes), int)
    for true in range(classes):
        share = np.clip(right + 0.15 * rng.standard_normal(), 0.05, 1)
        wrong = rng.dirichlet(np.full(classes, 0.15)) * (1 - share)
        wrong[true] += share
        table[true] = rng.multinomial(45, wrong)
    return table


def run_curve(terms: tuple[str, ...], rng: np.random.Generator) -> dict:
    epochs = []
    for epoch in range(1, 31):
        fall = np.exp(-epoch / 10) + 0.05 * rng.random()
        named = {name: (0.02 if name == "edge" else 2.0) * fall for name in ("task", *terms)}
        epochs.append(
            {
                "epoch": epoch,
                "learning_rate": 0.1 * (1 - epoch / 30),
                "loss": sum(named.values()),
                "top1": 95 * (1 - fall) + 2,
                "terms": named,
                "conflicts": {name: 0.3 + 0.2 * rng.random() for name in terms},
                "strengths": dict.fromkeys(terms, 0.02),
            }
        )
    return {"fold": 0, "seed": 0, "epochs": epochs}


def walk(layout: Layout, frames: int, rng: np.random.Generator, low: bool) -> dict:
    """A stick figure that swings its limbs; the low view trembles and loses joints."""
    height = {"head": -70, "nose": -70, "shoulder": -48, "neck": -52, "elbow": -25, "wrist": -5}
    height |= {"eye": -74, "ear": -72, "belly": -20, "hip": 0, "knee": 42, "ankle": 85}
    side = {"left": 1, "right": -1}
    swing = np.sin(np.linspace(0, 4 * np.pi, frames))
    joints = np.zeros((frames, layout.num_joints, 2))
    for v, joint in enumerate(layout.joints):
        words = joint.split("_")
        sign = side.get(words[0], 0)
        reach = {"elbow": 12, "wrist": 30, "knee": 12, "ankle": 28}.get(words[-1], 0)
        joints[:, v, 0] = 320 + 14 * sign + sign * reach * swing + np.arange(frames)
        joints[:, v, 1] = 240 + height[words[-1]] - 0.4 * reach * abs(swing)
    lost = np.zeros(joints.shape[:2], int)
    if low:
        joints += 3 * rng.standard_normal(joints.shape)
        lost = (rng.random(lost.shape) < 0.2).astype(int)
        joints[lost == 1] = 0
    return {
        "bones": [list(bone) for bone in layout.bone_indices],
        "joints": joints.round(1).tolist(),
        "lost": lost.tolist(),
        "fps": 25.0,
    }


METHODS = [
    ("teacher", "teacher", "high", 84.2, ()),
    ("student", "plain", "low", 63.9, ()),
    ("student + completion", "plain", "low", 65.4, ()),
    ("student + augmentation", "plain", "low", 67.1, ()),
    ("SKD", "distilled", "low", 73.8, ("KL", "node", "edge")),
    ("SKD + completion", "distilled", "low", 74.6, ("KL", "node", "edge")),
    ("PLKD", "distilled", "low", 72.0, ("part contrastive",)),
]


def quality() -> list[dict]:
    bounds = [(0.0, 0.0, 90), (0.01, 0.12, 30), (0.13, 0.4, 30), (0.42, 0.9, 29), (1.0, 1.0, 12)]
    groups = []
    for least, most, clips in bounds:
        top1 = {m[0]: m[3] - (0 if m[2] == "high" else 60 * most) for m in METHODS}
        gap = (top1["teacher"] - top1["student"]) * clips / 191
        groups.append({"least": least, "most": most, "clips": clips, "top1": top1, "gap": gap})
    return groups


def method(entry: tuple, names: list[str], runs: int, rng: np.random.Generator) -> dict:
    name, kind, view, center, terms = entry
    table = confusion(len(names), center / 100, rng)
    gap = (center - 63.9) / (84.2 - 63.9)
    return {
        "name": name,
        "kind": kind,
        "view": view,
        "network": "STGCN",
        "description": f"{kind} on {view}-quality skeletons",
        "top1": score(center, 1.6, runs, rng),
        "top5": score(min(center + 18, 99), 0.5, runs, rng),
        "gap_closed": None
        if view == "high" or name == "student"
        else {"mean": gap, "low": gap - 0.1, "high": gap + 0.1},
        "parameters": 3_071_234,
        "multiply_adds": 1_940_000_000,
        "latency_ms": 12.345,
        "seconds": 210.0,
        "confusion": table.tolist(),
        "per_class": (100 * np.diag(table) / table.sum(1)).tolist(),
        "curves": [run_curve(terms, rng) for _ in range(runs)],
    } | ({"part_matrix": rng.random((len(names), 5)).tolist()} if name == "PLKD" else {})


def fake(
    *, classes: int = 12, runs: int = 5, clip_count: int = 3, frames: int = 40, seed: int = 0
) -> dict:
    rng = np.random.default_rng(seed)
    actions = ("golf swing", "pull up", "wave", "sit down", "throw", "kick ball", "jump rope")
    names = [f"{actions[k % 7]} {k}" if k >= 7 else actions[k] for k in range(classes)]
    entries = [method(entry, names, runs, rng) for entry in METHODS]
    shown = [
        {
            "id": f"clip-{i:04d}",
            "label": i % classes,
            "high": walk(COCO17, frames, rng, low=False),
            "low": walk(JHMDB15 if i % 3 == 2 else COCO17, frames, rng, low=True),
            "said": {m["name"]: int(rng.choice([i, i + 1]) % classes) for m in entries},
        }
        for i in range(clip_count)
    ]
    above = runs > 1
    pairs = [("SKD + completion", 7.5, 2.2, 12.8, above), ("PLKD", 4.9, -0.3, 10.1, False)]
    return {
        "format": 1,
        "name": "fake",
        "title": "Cheap skeletons, good teachers",
        "created": "2025-01-31T12:00:00",
        "version": "0.1.0",
        "machine": {"processor": "a fast one", "cores": 2, "torch": "2.13", "python": "3.11"},
        "seconds": 4321.0,
        "recipe": {"name": "fake"},
        "recipe_yaml": "name: fake\ntraining:\n  epochs: 30\n",
        "command": "skeldistill run fake.yaml",
        "evaluated_on": "test",
        "classes": names,
        "folds": [{"train": "train", "test": "test"}],
        "seeds": list(range(runs)),
        "methods": entries,
        "comparisons": [
            {
                "method": name,
                "against": "student + augmentation",
                "difference": difference,
                "low": low,
                "high": high,
                "p": 0.012,
                "gained": 31,
                "lost": 12,
                "mcnemar_p": 0.0054,
                "odds_ratio": 31.5 / 12.5,
                "cohens_h": 0.15,
                "seeds": runs,
                "sentence": f"{name} is better than student + augmentation by {difference} "
                f"points, 95 % interval {low} to {high}.",
                "above_noise": surely,
            }
            for name, difference, low, high, surely in pairs
        ],
        "gap": {
            "teacher": "teacher",
            "plain": "student",
            "clips": 170,
            "only_high": 21,
            "only_low": 9,
            "top1": {m[0]: m[3] for m in METHODS},
        },
        "by_quality": quality(),
        "clips": shown,
    }
