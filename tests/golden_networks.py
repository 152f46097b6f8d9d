"""What every network with golden numbers is held to, whatever its own file tests besides."""

from collections.abc import Mapping
from typing import Any

import golden_rule
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from skeldistill.checkpoint import load_official
from skeldistill.cost import parameters
from skeldistill.networks import Network


def weights(
    golden: Mapping[str, Any], starts: Mapping[str, np.ndarray] | None = None
) -> dict[str, Tensor]:
    """The official state dict of a golden file."""
    return {k: torch.from_numpy(v) for k, v in golden_rule.state_dict(golden, starts).items()}


def joints(golden: Mapping[str, Any]) -> Tensor:
    """The clips of a golden file as our networks take them, from axes (n, c, t, v, m)."""
    return torch.from_numpy(golden_rule.inputs(golden)["x"]).permute(0, 4, 2, 3, 1).contiguous()


def is_the_authors_graph(matrices: Tensor, golden: Mapping[str, Any]) -> None:
    constants, matrices = golden["graph_constants"][0], matrices.detach().double()
    places = torch.arange(1.0, matrices.shape[-1] + 1).double()
    assert list(matrices.shape) == constants["shape"]
    assert int((matrices != 0).sum()) == constants["nonzero"]
    assert matrices.sum().item() == pytest.approx(constants["sum"], rel=1e-8)
    assert (matrices * places[:, None]).sum().item() == pytest.approx(constants["row_moment"])
    assert (matrices * places).sum().item() == pytest.approx(constants["col_moment"])


def equals_the_authors(
    network: Network, golden: Mapping[str, Any], state: Mapping[str, Tensor], clips: Tensor
) -> None:
    """Size, logits and features; single precision within the stated tolerance, double to 1e-6."""
    network.eval()
    assert parameters(network) == golden["parameter_count"]["trainable"]
    assert load_official(network, state).complete
    expected = torch.tensor(golden["outputs"]["logits"], dtype=torch.float64)
    last = golden["last_feature_map"]
    with torch.no_grad():
        single = network(clips)
        double = network.double()(clips.double())
    assert (single.logits - expected).abs().max() < golden["tolerance_fp32"]["logits"]
    torch.testing.assert_close(double.logits, expected, rtol=1e-6, atol=1e-6)
    features = double.features.reshape(last["shape"])
    assert features.mean().item() == pytest.approx(last["mean"], rel=1e-6)
    assert features.std(correction=0).item() == pytest.approx(last["std"], rel=1e-6)
    some = torch.tensor(last["flat_indices"])
    values = torch.tensor(last["values"], dtype=torch.float64)
    torch.testing.assert_close(features.flatten()[some], values, rtol=1e-6, atol=1e-6)
    error = single.features.flatten()[some] - values
    assert error.abs().max() < last["tolerance_fp32"]


def same_gradients(network: Network, state: Mapping[str, Tensor], clips: Tensor, twin: Any) -> None:
    """In training, logits, gradients and statistics equal those of a twin in the authors' order.

    twin: (official state dict, joints, in training) -> logits; it updates the running statistics.
    """
    load_official(network, state)
    network.double().train()
    theirs = {k: v.double().clone() for k, v in state.items()}
    learned = {k: v.requires_grad_() for k, v in theirs.items() if ".running_" not in k}
    said, expected = network(clips).logits, twin(theirs, clips, training=True)
    torch.testing.assert_close(said, expected, rtol=1e-8, atol=1e-8)
    labels = torch.arange(len(clips)) * 7
    functional.cross_entropy(said, labels).backward()
    functional.cross_entropy(expected, labels).backward()
    names, ours = network.official_names(), dict(network.named_parameters())
    for official, weight in learned.items():
        gradient = ours[names[official]].grad
        assert gradient is not None, official
        assert weight.grad is not None, official
        difference = (gradient.reshape(weight.shape) - weight.grad).abs().max()
        assert difference < 1e-8 * max(1.0, weight.grad.abs().max().item()), official
    own = network.state_dict()
    for official, value in theirs.items():
        if ".running_" in official:
            torch.testing.assert_close(own[names[official]], value, rtol=1e-8, atol=1e-8)


class Layers:
    """Layers straight from an official state dict, for twins in the authors' order."""

    def __init__(self, state: Mapping[str, Tensor], training: bool = False) -> None:
        self.state = state
        self.training = training

    def normalised(self, x: Tensor, name: str) -> Tensor:
        mean, var, weight, bias = (
            self.state[f"{name}.{kind}"]
            for kind in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(x, mean, var, weight, bias, training=self.training)

    def convolved(self, x: Tensor, name: str, stride=1, padding=0, dilation=1) -> Tensor:
        weight, bias = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        return functional.conv2d(x, weight, bias, (stride, 1), (padding, 0), (dilation, 1))

    def down(self, x: Tensor, name: str, conv: str, norm: str, stride: int = 1) -> Tensor:
        """A residual: changed where the state says how."""
        if f"{name}.{conv}.weight" not in self.state:
            return x
        return self.normalised(self.convolved(x, f"{name}.{conv}", stride), f"{name}.{norm}")

    def classified(self, x: Tensor, name: str, n: int) -> Tensor:
        """The mean over frames and joints, then persons, and its scores."""
        pooled = x.mean(dim=(2, 3)).view(n, len(x) // n, -1).mean(dim=1)
        return functional.linear(pooled, self.state[f"{name}.weight"], self.state[f"{name}.bias"])
