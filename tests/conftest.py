"""What every test may use."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from skeldistill.cli import main

DATA = Path(
    os.environ.get("SKELDISTILL_DATA", Path(__file__).parent.parent.parent / "shared" / "data")
)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Gives the path of real data by its name below SKELDISTILL_DATA, or skips the test."""

    def path(name: str) -> Path:
        if not (DATA / name).exists():
            pytest.skip(f"no {name} below {DATA} (set SKELDISTILL_DATA)")
        return DATA / name

    return path


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that is the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture
def skeldistill(monkeypatch, capsys, tmp_path) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line in an empty folder: its exit status, output and errors."""
    monkeypatch.chdir(tmp_path)

    def run(*words) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["skeldistill", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            main()
        said = capsys.readouterr()
        return stopped.value.code or 0, said.out, said.err

    return run
