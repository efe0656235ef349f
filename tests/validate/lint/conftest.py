"""Models as others make them, with coremltools and torch.onnx at their defaults; once per session."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch
from torch import Tensor, nn

ITEMS = 70_000


class Careless(nn.Module):
    """What a float16 conversion makes dangerous: ranking, hashes, masks, ids among dense features."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item, self.small, self.other = (nn.Embedding(rows, 4) for rows in (ITEMS, 1_000, 5_000))
        self.again = nn.Parameter(self.small.weight.detach().T.clone())

    def forward(self, ids: Tensor, dense: Tensor) -> tuple[Tensor, ...]:
        rows = self.small(ids)
        attention = rows @ rows.transpose(1, 2)
        attention = attention.masked_fill((ids == 0)[:, None], -3.4e38).softmax(-1)
        user = (attention @ rows).mean(1) + self.item(ids)[:, -1]
        best, places = (user @ self.item.weight.T).topk(3)
        hashed = self.small((ids.long() * 2654435761) % 997).sum(1)
        dense_ids = self.other(dense[:, :2].long()).sum(1)
        return best, places, hashed + self.again[:, ids[:, 0]].T, dense_ids + dense[:, 2:]


class Plain(nn.Module):
    """Nothing that a converter could spoil."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item = nn.Embedding(200, 16)

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = self.item(ids).mean(1) @ self.item.weight.T
        return scores


def to_coreml(module: nn.Module, inputs: dict[str, Tensor], path: Path, **options: Any) -> Path:
    """The package as coremltools writes it for a traced module."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module.eval(), tuple(inputs.values()))  # type: ignore[no-untyped-call]
        types = [
            ct.TensorType(
                name=name,
                shape=options.pop(f"{name}_shape", each.shape),
                dtype=np.float32 if each.is_floating_point() else np.int32,
            )
            for name, each in inputs.items()
        ]
        model = ct.convert(
            traced,
            inputs=types,
            convert_to="mlprogram",
            skip_model_load=True,
            **{"minimum_deployment_target": ct.target.iOS17, **options},
        )
        model.save(str(path))
    return path


def to_onnx(module: nn.Module, inputs: dict[str, Tensor], path: Path, **options: Any) -> Path:
    """The file as torch.onnx writes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(), tuple(inputs.values()), str(path), dynamo=True, verbose=False, **options
        )
    return path


IDS = torch.arange(12).reshape(2, 6)


@pytest.fixture(scope="session")
def careless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    inputs = {"ids": IDS, "dense": torch.rand(2, 6)}
    return to_coreml(Careless(), inputs, tmp_path_factory.mktemp("careless") / "careless.mlpackage")


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_coreml(
        Plain(),
        {"ids": IDS},
        tmp_path_factory.mktemp("plain") / "plain.mlpackage",
        compute_precision=ct.precision.FLOAT32,
        outputs=[ct.TensorType(name="scores")],
    )


@pytest.fixture(scope="session")
def ranged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return to_coreml(
        Plain(),
        {"ids": IDS},
        tmp_path_factory.mktemp("ranged") / "ranged.mlpackage",
        ids_shape=(ct.RangeDim(1, 8, default=2), ct.RangeDim(1, 50, default=6)),
        outputs=[ct.TensorType(name="scores")],
    )
