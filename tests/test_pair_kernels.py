"""The edge loss on GPUs, as far as it can be tested without one."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from skeldistill.losses import vertex_pairs

ALONE = Path(__file__).parent / "kernels_alone.py"
with_triton = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None,
    reason="no Triton (beside PyTorch for CPUs: pip install --no-deps triton)",
)


def run(*arguments: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, ALONE, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@with_triton
@pytest.mark.extras
def test_kernels_say_what_tiles_say():
    run(TRITON_INTERPRET="1")


@with_triton
@pytest.mark.slow
@pytest.mark.parametrize("capability", ["80", "90"])
def test_kernels_compile(capability, tmp_path):
    run(capability, TRITON_CACHE_DIR=str(tmp_path))


def test_without_triton_there_are_tiles(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    monkeypatch.delitem(sys.modules, "skeldistill.losses.pair_kernels", raising=False)
    monkeypatch.setattr(vertex_pairs, "_suits_kernels", lambda _: True)
    vertex_pairs._kernels.cache_clear()
    student, teacher = torch.randn(2, 2, 4, 9)
    found = vertex_pairs.match_root(student, teacher)
    monkeypatch.undo()
    vertex_pairs._kernels.cache_clear()
    torch.testing.assert_close(found, vertex_pairs.match_root(student, teacher))
