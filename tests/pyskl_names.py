"""What PYSKL's state dicts hold, network by network: every tensor's name and shape.

Written down from the structure of its modules, independently of our networks.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

TEN = tuple(
    (*widths, 2 if i in (4, 7) else 1)
    for i, widths in enumerate(
        [(3, 64), *[(64, 64)] * 3, (64, 128), *[(128, 128)] * 2, (128, 256), *[(256, 256)] * 2]
    )
)
"""(channels in, channels out, stride) of the ten blocks."""

Named = Iterator[tuple[str, tuple[int, ...]]]


def conv(name: str, d: int, c: int, *kernel: int) -> Named:
    yield f"{name}.weight", (d, c, *kernel)
    yield f"{name}.bias", (d,)


def norm(name: str, c: int) -> Named:
    for kind in ("weight", "bias", "running_mean", "running_var"):
        yield f"{name}.{kind}", (c,)
    yield f"{name}.num_batches_tracked", ()


def over_time(name: str, d: int, c: int, frames: int) -> Named:
    yield from conv(f"{name}.conv", d, c, frames, 1)
    yield from norm(f"{name}.bn", d)


def residual(name: str, i: int, d: int, c: int) -> Named:
    if i and c != d:
        yield from over_time(f"{name}.residual", d, c, 1)


def down(name: str, d: int, c: int) -> Named:
    if c != d:
        yield from conv(f"{name}.down.0", d, c, 1, 1)
        yield from norm(f"{name}.down.1", d)


def stgcn(v: int, m: int) -> Named:
    yield from norm("backbone.data_bn", v * 3)
    for i, (c, d, _) in enumerate(TEN):
        name = f"backbone.gcn.{i}"
        yield f"{name}.gcn.A", (3, v, v)
        yield f"{name}.gcn.PA", (3, v, v)
        yield from norm(f"{name}.gcn.bn", d)
        yield from conv(f"{name}.gcn.conv", 3 * d, c, 1, 1)
        yield from over_time(f"{name}.tcn", d, d, 9)
        yield from residual(name, i, d, c)


def aagcn(v: int, m: int, attention: bool = True) -> Named:
    yield "backbone.A", (3, v, v)
    yield from norm("backbone.data_bn", m * v * 3)
    for i, (c, d, _) in enumerate(TEN):
        name = f"backbone.gcn.{i}"
        yield f"{name}.gcn.A", (3, v, v)
        yield f"{name}.gcn.alpha", (1,)
        for k in range(3):
            yield from conv(f"{name}.gcn.conv_a.{k}", d // 4, c, 1, 1)
            yield from conv(f"{name}.gcn.conv_b.{k}", d // 4, c, 1, 1)
            yield from conv(f"{name}.gcn.conv_d.{k}", d, c, 1, 1)
        if attention:
            yield from conv(f"{name}.gcn.conv_ta", 1, d, 9)
            yield from conv(f"{name}.gcn.conv_sa", 1, d, v if v % 2 else v - 1)
            yield from conv(f"{name}.gcn.fc1c", d // 2, d)
            yield from conv(f"{name}.gcn.fc2c", d, d // 2)
        yield from down(f"{name}.gcn", d, c)
        yield from norm(f"{name}.gcn.bn", d)
        yield from over_time(f"{name}.tcn", d, d, 9)
        yield from residual(name, i, d, c)


def agcn(v: int, m: int) -> Named:
    yield from aagcn(v, m, attention=False)


def stgcnpp(v: int, m: int) -> Named:
    yield from norm("backbone.data_bn", v * 3)
    for i, (c, d, _) in enumerate(TEN):
        name = f"backbone.gcn.{i}"
        yield f"{name}.gcn.A", (3, v, v)
        yield from norm(f"{name}.gcn.bn", d)
        yield from conv(f"{name}.gcn.conv", 3 * d, c, 1, 1)
        yield from down(f"{name}.gcn", d, c)
        for j in range(6):
            share = d - 5 * (d // 6) if j == 0 else d // 6
            branch = f"{name}.tcn.branches.{j}"
            if j == 5:
                yield from conv(branch, share, d, 1, 1)
                continue
            yield from conv(f"{branch}.0", share, d, 1, 1)
            yield from norm(f"{branch}.1", share)
            if j < 4:
                yield from conv(f"{branch}.3.conv", share, share, 3, 1)
        yield from norm(f"{name}.tcn.transform.0", d)
        yield from conv(f"{name}.tcn.transform.2", d, d, 1, 1)
        yield from norm(f"{name}.tcn.bn", d)
        yield from residual(name, i, d, c)


def scales(name: str, d: int, c: int, frames: int, dilated: int) -> Named:
    """MSTCN: dilated branches, the largest of three frames, the frame alone."""
    share = d // (dilated + 2)
    for j in range(dilated + 2):
        yield from conv(f"{name}.branches.{j}.0", share, c, 1, 1)
        yield from norm(f"{name}.branches.{j}.1", share)
        if j < dilated:
            yield from over_time(f"{name}.branches.{j}.3", share, share, frames)
        elif j == dilated:
            yield from norm(f"{name}.branches.{j}.4", share)


def ctrgcn(v: int, m: int) -> Named:
    yield "backbone.A", (3, v, v)
    yield from norm("backbone.data_bn", m * v * 3)
    for i, (c, d, _) in enumerate(TEN):
        name = f"backbone.net.{i}"
        related = 8 if c <= 16 else c // 8
        yield f"{name}.gcn1.A", (3, v, v)
        yield f"{name}.gcn1.alpha", (1,)
        for k in range(3):
            unit = f"{name}.gcn1.convs.{k}"
            for number, (wide, narrow) in enumerate(
                ((related, c), (related, c), (d, c), (d, related)), start=1
            ):
                yield from conv(f"{unit}.conv{number}", wide, narrow, 1, 1)
        yield from down(f"{name}.gcn1", d, c)
        yield from norm(f"{name}.gcn1.bn", d)
        yield from scales(f"{name}.tcn1", d, d, frames=5, dilated=2)
        yield from residual(name, i, d, c)


def msg3d(v: int, m: int) -> Named:
    yield "backbone.A", (v, v)
    yield from norm("backbone.data_bn", m * v * 3)
    for i, (c, d) in enumerate(((3, 96), (96, 192), (192, 384)), start=1):
        inner = d if i == 1 else c
        for w, frames in enumerate((3, 5)):
            name = f"backbone.gcn3d{i}.gcn3d.{w}"
            for kind in ("A", "PA"):
                yield f"{name}.gcn3d.1.{kind}", (6, frames * v, frames * v)
            yield from conv(f"{name}.gcn3d.1.mlp.layers.0", inner, 6 * c, 1, 1)
            yield from norm(f"{name}.gcn3d.1.mlp.layers.1", inner)
            yield from conv(f"{name}.out_conv", d, inner, 1, frames, 1)
            yield from norm(f"{name}.out_bn", d)
        for kind in ("A", "PA"):
            yield f"backbone.sgcn{i}.0.{kind}", (13, v, v)
        yield from conv(f"backbone.sgcn{i}.0.mlp.layers.0", inner, 13 * c, 1, 1)
        yield from norm(f"backbone.sgcn{i}.0.mlp.layers.1", inner)
        for name, narrow in ((f"sgcn{i}.1", inner), (f"sgcn{i}.2", d), (f"tcn{i}", d)):
            yield from scales(f"backbone.{name}", d, narrow, frames=3, dilated=4)
            if i > 1 and name.endswith(".1"):
                yield from over_time(f"backbone.{name}.residual", d, narrow, 1)


def state_dict(network, v: int, m: int, classes: int, head: str) -> dict[str, Tensor]:
    """A state dict of one of the functions above, drawn at random, with its head."""
    width = 384 if network is msg3d else 256
    generator = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in (*network(v, m), *conv(f"cls_head.{head}", classes, width)):
        if name.endswith("tracked"):
            state[name] = torch.tensor(3)
        elif name.endswith("running_var") or (name.endswith("weight") and len(shape) == 1):
            state[name] = 0.5 + torch.rand(shape, generator=generator)
        else:
            fan = max(1, int(torch.tensor(shape[1:]).prod()))
            state[name] = torch.randn(shape, generator=generator) / fan**0.5
    if network is stgcn:  # every block brings the same graph
        graph = state["backbone.gcn.0.gcn.A"]
        state |= {name: graph for name in state if name.endswith(".gcn.A")}
    return state
