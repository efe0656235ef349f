"""A class outside of its range is refused by every artifact, as PyTorch refuses it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import pocketrec
from pocketrec.convert.rewrite.one_hot import OneHotRule
from pocketrec.errors import PocketrecError
from pocketrec.pipeline.convert import Conversion

CLASSES = 5


class Coded(nn.Module):
    """The genre of every place as numbers of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(CLASSES, 2)

    def forward(self, genres: Tensor) -> Tensor:
        scores: Tensor = self.head(F.one_hot(genres.long(), CLASSES).float().sum(1))
        return scores


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Coded, Conversion]:
    module = Coded().eval()
    example = torch.tensor([[0, 4, 2], [1, 1, 3]], dtype=torch.int32)
    return module, pocketrec.convert_module(module, (example,), tmp_path_factory.mktemp("coded") / "out")


def answer(found: Conversion, target: str, genres: list[list[int]]) -> np.ndarray:
    with pocketrec.open(found.artifacts[target]) as artifact:
        outputs: Mapping[str, np.ndarray] = artifact.run({found.inputs[0]: np.array(genres, np.int32)})
    return outputs[found.outputs[0]]


@pytest.mark.parametrize("target", ["onnx", "coreml"])
def test_known_classes_give_the_modules_numbers(converted: tuple[Coded, Conversion], target: str) -> None:
    module, found = converted
    genres = [[4, 4, 0], [3, 0, 1]]
    np.testing.assert_allclose(
        answer(found, target, genres), module(torch.tensor(genres)).detach().numpy(), rtol=1e-5
    )


@pytest.mark.parametrize("target", ["onnx", "coreml"])
@pytest.mark.parametrize("wrong", [5, 7, 2**31 - 1, -1, -5])
def test_another_class_is_refused_as_pytorch_refuses_it(
    converted: tuple[Coded, Conversion], target: str, wrong: int
) -> None:
    module, found = converted
    genres = [[0, wrong, 1], [2, 2, 2]]
    with pytest.raises(RuntimeError):
        module(torch.tensor(genres))
    with pytest.raises(PocketrecError):
        answer(found, target, genres)


@pytest.mark.parametrize("count", [-1, 0])
def test_a_number_of_classes_that_is_not_stated_is_left_alone(count: int) -> None:
    assert OneHotRule().replace(F.one_hot, (torch.tensor([1]), count), {}) is NotImplemented
    assert OneHotRule().replace(F.one_hot, (torch.tensor([1]),), {}) is NotImplemented
