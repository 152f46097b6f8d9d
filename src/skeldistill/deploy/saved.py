"""Where saved networks are: found without torch, so that a slip in a path is told at once."""

from pathlib import Path

NETWORKS = ("network.safetensors", "model.safetensors")
"""What the network is called in the folder of a run, and in an exported one."""


def network_file(path: Path) -> Path:
    """The file of a network; of a run's or an exported folder, the one that stands in it.

    Raises:
        FileNotFoundError: there is none; one line that says where there are some.
    """
    if path.is_file():
        return path
    if not path.is_dir():
        raise FileNotFoundError(f"no checkpoint at {path}")
    for name in NETWORKS:
        if (path / name).is_file():
            return path / name
    inside = sorted(path.glob(f"fold*/*/seed*/{NETWORKS[0]}"))
    hint = f"; name one of its runs, such as {inside[0].parent}" if inside else ""
    raise FileNotFoundError(f"{path} has no {' or '.join(NETWORKS)}{hint}")
