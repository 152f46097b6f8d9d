"""Archives of arrays (.npz) that the program itself has written."""

import zipfile
import zlib
from pathlib import Path

import numpy as np


def arrays(path: Path, *names: str) -> dict[str, np.ndarray]:
    """The arrays of an archive by name: those that are asked for, or all.

    Raises:
        OSError: it is not there.
        KeyError: it lacks one that is asked for.
        ValueError: it is damaged, as after a copy that was broken off; says how.
    """
    try:
        # Opened here, as numpy would leave a damaged one open.
        with path.open("rb") as file, np.load(file) as held:
            found = {name: held[name] for name in names or held.files}
    except (EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(" ".join(str(error).split())) from error
    if not all(isinstance(one, np.ndarray) for one in found.values()):
        raise ValueError("something in it is no array")
    return found
