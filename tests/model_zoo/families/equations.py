"""What the tests of equations share: small sizes, and a module's weights for a few lines of NumPy."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Doubles = npt.NDArray[np.float64]
FEATURES = ("user", "item", "genre", "year", "age", "gender", "occupation", "hour", "weekday")
SIZES = {f"num_{name}s": 5 for name in FEATURES}


class Weights:
    """A module's weights by name, in float64."""

    def __init__(self, module: nn.Module) -> None:
        self.arrays = {name: doubles(each) for name, each in module.state_dict().items()}

    def __getitem__(self, name: str) -> Doubles:
        return self.arrays[name]

    def linear(self, name: str, x: Doubles) -> Doubles:
        """x Wᵀ + b, of a layer without b x Wᵀ."""
        product: Doubles = x @ self[f"{name}.weight"].T
        return product + self.arrays.get(f"{name}.bias", np.zeros(1))

    def perceptron(self, name: str, x: Doubles, layers: int) -> Doubles:
        """Layers of `nets.perceptron`: each with ReLU and, in eval mode, no dropout."""
        for layer in range(layers):
            x = np.maximum(self.linear(f"{name}.{3 * layer}", x), 0)
        return x

    def scorer(self, name: str, x: Doubles, layers: int) -> Doubles:
        """A perceptron of so many layers and one number, `[B]`."""
        return self.linear(f"{name}.{3 * layers}", self.perceptron(name, x, layers))[:, 0]


def softmax(logits: Doubles) -> Doubles:
    powers = np.exp(logits)
    shares: Doubles = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def sigmoid(x: Doubles) -> Doubles:
    return 1 / (1 + np.exp(-x))


def doubles(tensor: Tensor) -> Doubles:
    return tensor.detach().numpy().astype(np.float64)


def drawn(*shape: int) -> Tensor:
    """Numbers of the normal distribution, the same at every call."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def scattered(module: nn.Module) -> nn.Module:
    """The module with all weights drawn, so that none is near zero."""
    generator = torch.Generator().manual_seed(2)
    for each in module.parameters():
        each.data = 0.5 * torch.randn(each.shape, generator=generator)
    return module
