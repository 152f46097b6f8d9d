"""Archives of arrays that a run keeps beside its networks."""

import zipfile
import zlib
from pathlib import Path

import numpy as np


def arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an archive (.npz), by name.

    Raises:
        OSError: it is not there.
        ValueError: it is damaged, as after a copy that was broken off; says how.
    """
    try:
        # Opened here, as numpy would leave a damaged one open.
        with path.open("rb") as file, np.load(file) as held:
            return {name: held[name] for name in held.files}
    except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(" ".join(str(error).split())) from error
