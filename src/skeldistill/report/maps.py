"""What networks make of the same clips: their features in the plane, their responses by joint."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from skeldistill.report.reading import Results, number

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
        with np.load(path) as arrays:
            held = {name: arrays[name] for name in arrays.files}
        return results | {"maps": _maps(held)}
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}); delete it and run again") from error


def _maps(held: dict[str, np.ndarray]) -> dict[str, Any]:
    labels = held["labels"]
    entries = []
    for place, name in enumerate(held["methods"].tolist()):
        responses = held.get(f"responses{place}")
        entries.append(
            {
                "name": name,
                "responses": None if responses is None else responses.astype(float).tolist(),
                **_placed(held[f"features{place}"], labels),
            }
        )
    return {"ids": held["ids"].tolist(), "labels": labels.tolist(), "methods": entries}


def _placed(features: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Points of classes with three clips or more, and how well these stand apart."""
    counts = np.bincount(labels)
    rows = np.flatnonzero(counts[labels] >= 3)
    if len(rows) < LEAST or len(set(labels[rows].tolist())) < 2:
        return {"points": None, "rows": [], "silhouette": None}
    from sklearn.metrics import silhouette_score

    table = features[rows].astype(np.float64)
    apart = number(float(silhouette_score(table, labels[rows])))
    return {"points": project(table).tolist(), "rows": rows.tolist(), "silhouette": apart}


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
