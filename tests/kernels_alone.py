"""Triton's kernels on the CPU: interpreted, or compiled for GPUs that need not be there.

By itself: the type checks of the tests would stand between Triton and the source that it reads.
"""

import os
import sys

import torch

from skeldistill.losses import vertex_pairs
from skeldistill.losses.vertex_pairs import match_root, match_squared

SIZES = [(2, 70, 40, 24), (1, 33, 16, 48), (3, 5, 3, 7), (2, 1, 4, 4), (0, 3, 2, 2)]
"""Graphs, vertices, and channels of student and teacher."""

POINTERS = {"_distance_sums": 3, "_squared_pairs": 7, "_root_pairs": 12}


def said(match, student, teacher):
    """Values and gradient, each graph weighed in its own way."""
    student = student.clone().requires_grad_()
    values = match(student, teacher)
    (values * torch.arange(1.0, len(values) + 1)).sum().backward()
    return values.detach(), student.grad


def interpret() -> None:
    """The kernels say what tiles say."""
    torch.manual_seed(0)
    for match in (match_squared, match_root):
        for b, v, c, d in SIZES:
            student, teacher = torch.randn(b, c, v), torch.randn(b, d, v)
            vertex_pairs._suits_kernels = lambda _: False
            expected = said(match, student.double(), teacher.double())
            vertex_pairs._suits_kernels = lambda _: True
            assert len(vertex_pairs._kernels(student.device)) == 2
            for mine, tiled in zip(said(match, student, teacher), expected, strict=True):
                torch.testing.assert_close(mine, tiled.float(), rtol=1e-4, atol=1e-6)
            with torch.no_grad():
                torch.testing.assert_close(match(student, teacher), expected[0].float())
        same = torch.ones(1, 4, 40)
        values, gradient = said(match, same, same)
        assert values.isfinite().all()
        assert gradient.isfinite().all()


def compile_for(capability: int) -> None:
    """All kernels become machine code, at the width of ST-GCN."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from skeldistill.losses import pair_kernels

    every = {"SIDE": 32, "STEP": 32, "WIDTH": 256, "NEEDED": True, "SMALL": 1e-12}
    for name, pointers in POINTERS.items():
        kernel = getattr(pair_kernels, name)
        constants = {key: value for key, value in every.items() if key in kernel.arg_names}
        kinds = {
            argument: "constexpr"
            if argument in constants
            else "*fp32"
            if place < pointers
            else "i32"
            for place, argument in enumerate(kernel.arg_names)
        }
        made = triton.compile(
            ASTSource(fn=kernel, signature=kinds, constexprs=constants),
            target=GPUTarget("cuda", capability, 32),
            options={"num_warps": 8, "num_stages": 1},
        )
        assert made.asm["cubin"]
        assert made.metadata.shared <= 48 * 1024  # what every GPU has


if __name__ == "__main__":
    if os.environ.get("TRITON_INTERPRET"):
        interpret()
    else:
        compile_for(int(sys.argv[1]))
