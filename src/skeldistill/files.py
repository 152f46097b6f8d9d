"""Files that are whole or absent: written under a temporary name, then renamed."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Gives a temporary path beside `path`; it takes its name only if the block ends well.

    The folder is made if it does not exist. After an error or an interrupt nothing remains.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: some writers choose the format, or add a suffix, by it. Machine and
    # process keep two students that ask one teacher at once out of each other's files.
    name = f".{path.stem}.{platform.node()}.{os.getpid()}.partial{path.suffix}"
    partial = path.with_name(name)
    try:
        yield partial
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")
