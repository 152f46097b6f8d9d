"""What networks make of the same clips: in the plane, each alone or two at once; by joint."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from skeldistill.archives import arrays
from skeldistill.report.reading import Results, best_distilled, number, plain, teacher

LEAST = 6
"""Clips below which a map of them says nothing."""


def added(results: Results, path: Path) -> Results:
    """The results with what a run kept in ``features.npz``; as they are where it kept nothing.

    Args:
        results: of the run.
        path: of ``features.npz``.

    Raises:
        ValueError: the file is none of a run.
    """
    if not path.is_file():
        return results
    try:
        return results | {"maps": _maps(arrays(path), results)}
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it and run again") from error


def _maps(held: dict[str, np.ndarray], results: Results) -> dict[str, Any]:
    labels = held["labels"]
    rows = _mapped(labels)
    entries = []
    for place, name in enumerate(held["methods"].tolist()):
        responses = held.get(f"responses{place}")
        entries.append(
            {
                "name": name,
                "responses": None if responses is None else responses.astype(float).tolist(),
                **_placed(held[f"features{place}"], labels, rows),
            }
        )
    return {
        "ids": held["ids"].tolist(),
        "labels": labels.tolist(),
        "methods": entries,
        "pairs": _pairs(held, results, rows),
    }


def _mapped(labels: np.ndarray) -> np.ndarray:
    """The clips of classes with three or more; none where a map of them says nothing."""
    rows = np.flatnonzero(np.bincount(labels)[labels] >= 3)
    few = len(rows) < LEAST or len(set(labels[rows].tolist())) < 2
    return rows[:0] if few else rows


def _placed(features: np.ndarray, labels: np.ndarray, rows: np.ndarray) -> dict[str, Any]:
    """The points of one network, and how well its classes stand apart."""
    if not len(rows):
        return {"points": None, "rows": [], "silhouette": None}
    from sklearn.metrics import silhouette_score

    table = features[rows].astype(np.float64)
    stand_apart = number(float(silhouette_score(table, labels[rows])))
    return {"points": project(table).tolist(), "rows": rows.tolist(), "silhouette": stand_apart}


def _pairs(held: dict[str, np.ndarray], results: Results, rows: np.ndarray) -> list[dict[str, Any]]:
    """The distilled student in one plane with the plain one, and in one with the teacher.

    Logits are what SKD's authors embed, and what can be compared: features of networks that were
    trained apart lie in spaces of their own, while every network has one logit for each class. The
    mean over classes is taken out, since no probability depends on it.
    """
    logits = {
        name: held[f"logits{place}"].astype(np.float64)[rows]
        for place, name in enumerate(held["methods"].tolist())
        if f"logits{place}" in held
    }
    logits = {name: table - table.mean(axis=1, keepdims=True) for name, table in logits.items()}
    student = (best_distilled(results) or {}).get("name")
    if student not in logits or not len(rows):
        return []
    pairs = []
    for other in (plain(results), teacher(results)):
        if other is None or other["name"] not in logits:
            continue
        both = logits[student], logits[other["name"]]
        pairs.append(
            {
                "names": [student, other["name"]],
                "points": [half.tolist() for half in np.split(project(np.vstack(both)), 2)],
                "rows": rows.tolist(),
                "apart": number(apart(*both)),
            }
        )
    return pairs


def apart(one: Float[np.ndarray, "n k"], other: Float[np.ndarray, "n k"]) -> float:
    """How far two networks are apart on a clip, against how far on any two different clips.

    The mean distance between both networks' points of a clip, over that between one's point of a
    clip and the other's of another clip: 0 where both say the same, 1 where a clip is no nearer to
    itself than to the others.
    """
    from scipy.spatial.distance import cdist

    distances = cdist(one, other)
    same = np.eye(len(one), dtype=bool)
    different = float(distances[~same].mean())
    return float(distances[same].mean()) / different if different else 0.0


def project(features: Float[np.ndarray, "n c"], seed: int = 0) -> Float[np.ndarray, "n 2"]:
    """The points in the plane by t-SNE (van der Maaten and Hinton 2008), the same every time.

    The perplexity is 30, or a third of the clips where there are fewer than 90.
    """
    from sklearn.manifold import TSNE

    spread = float(features.std())
    scaled = (features - features.mean(axis=0)) / (spread or 1.0)
    rng = np.random.RandomState(seed)  # scikit-learn takes no Generator
    if scaled.shape[1] < 2 or spread == 0:  # no two directions to begin with
        scaled = scaled + 1e-6 * rng.standard_normal((len(scaled), 1))
        scaled = np.hstack([scaled, 1e-6 * rng.standard_normal((len(scaled), 1))])
    method = TSNE(perplexity=min(30.0, (len(scaled) - 1) / 3), init="pca", random_state=rng)
    return method.fit_transform(scaled).astype(np.float64)
