"""Where saved networks are: found without torch, so that a slip in a path is told at once."""

from pathlib import Path

NETWORKS = ("network.safetensors", "model.safetensors")
"""What the network is called in the folder of a run, and in one of `export --format hub`."""

ELSEWHERE = ("model.onnx", "model.int8.onnx", "model.pt2", "step.onnx")
"""What it is called in exports that other programs run, which skeldistill cannot load again."""


def network_file(path: Path) -> Path:
    """The file of a network; of a run's folder or a hub export, the one that stands in it.

    Raises:
        FileNotFoundError: there is none; one line that says where there are some.
    """
    if path.is_file() and path.name not in ELSEWHERE:
        return path
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint at {path}")
    for name in NETWORKS:
        if (path / name).is_file():
            return path / name
    for file in (path, *(path / name for name in ELSEWHERE)):
        if file.is_file():
            raise FileNotFoundError(
                f"{file} is an export for other programs, which the example.py beside it runs; "
                "name the run that it was made of, or export that with --format hub"
            )
    inside = sorted(path.glob(f"fold*/*/seed*/{NETWORKS[0]}"))
    hint = f"; name one of its runs, such as {inside[0].parent}" if inside else ""
    raise FileNotFoundError(f"{path} has no {' or '.join(NETWORKS)}{hint}")
