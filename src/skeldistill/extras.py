"""Optional packages: imported where they are used, with one line that says what to install."""

import importlib
from typing import Any


def require(package: str, *, extra: str) -> Any:
    """The module called `package`.

    Args:
        package: as it is imported, such as ``"av"`` or ``"onnxruntime"``.
        extra: of skeldistill, that brings the package.

    Raises:
        ValueError: it is not installed; the line says how to.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name != package.partition(".")[0]:
            raise  # the package is there, and lacks one of its own
        raise ValueError(
            f"needs the package {package!r}: pip install 'skeldistill[{extra}]'"
        ) from error
