"""Masks beyond float16 give what PyTorch gives, rows that are masked throughout included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.convert.capture.capture import capture
from pocketrec.convert.coreml import passes
from pocketrec.convert.coreml.lower import to_coreml
from pocketrec.validate.coreml_program import CoreMLInterpreter

INFINITE, LOWEST = -torch.inf, torch.finfo(torch.float32).min
FINITE = (LOWEST, -1e9)
Attend = Callable[[Tensor, Tensor, float], Tensor]


def fill(scores: Tensor, masked: Tensor, value: float) -> Tensor:
    return scores.masked_fill(masked, value).softmax(-1)


def add(scores: Tensor, masked: Tensor, value: float) -> Tensor:
    return (scores + torch.where(masked, value, 0.0)).softmax(-1)


def multiply(scores: Tensor, masked: Tensor, value: float) -> Tensor:
    return (scores + masked.float() * value).softmax(-1)


def subtract(scores: Tensor, masked: Tensor, value: float) -> Tensor:
    return (scores - masked.float() * -value).softmax(-1)


def causal(scores: Tensor, masked: Tensor, value: float) -> Tensor:
    ahead = torch.full((6, 6), value).triu(1)
    return (scores + ahead).masked_fill(masked, value).softmax(-1)


def cleaned(scores: Tensor, masked: Tensor, value: float) -> Tensor:
    return scores.masked_fill(masked, value).softmax(-1).nan_to_num(0.0)


def logarithm(scores: Tensor, masked: Tensor, value: float) -> Tensor:
    return scores.masked_fill(masked, value).log_softmax(-1).exp()


Case = tuple[Attend, float]
CASES: list[Case] = [
    *((attend, value) for attend in (fill, add, multiply, subtract, causal, logarithm) for value in FINITE),
    *((attend, INFINITE) for attend in (fill, add, causal, cleaned)),
]


class Attention(nn.Module):
    """Ids, 0 for padding, to an output for each case; then a maximum, then PyTorch's own attention."""

    def __init__(self, cases: list[Case], *, more: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table, self.head, self.cases, self.more = nn.Embedding(100, 8), nn.Linear(8, 8), cases, more

    def forward(self, ids: Tensor) -> tuple[Tensor, ...]:
        rows, masked = self.table(ids), (ids == 0)[:, None]
        scores = rows @ rows.transpose(1, 2)
        read = [attend(scores, masked, value) @ rows for attend, value in self.cases]
        if self.more:
            padding = (ids == 0)[..., None]
            pooled = (rows.masked_fill(padding, value).amax(1, keepdim=True) for value in FINITE)
            read += [each.expand(-1, 6, -1) * ~padding for each in pooled]
            seen = ~masked.expand(-1, 6, -1)
            read.append(nn.functional.scaled_dot_product_attention(rows, rows, rows, seen))
        return tuple(self.head(each) for each in read)


def make_ids() -> Tensor:
    ids = torch.randint(1, 100, (3, 6), dtype=torch.int32, generator=torch.Generator().manual_seed(0))
    ids[1, :3] = 0
    ids[2] = 0
    return ids


Pair = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


def both(module: Attention, path: Path) -> list[Pair]:
    """What the float16 Core ML program and the module give for each output."""
    ids = make_ids()
    with torch.no_grad():
        expected = [each.numpy() for each in module.eval()(ids)]
    outputs = tuple(
        Output(name=f"y{number}", meaning="score", shape=(3, 6, 8)) for number in range(len(expected))
    )
    feature = Feature(name="ids", kind="length", shape=(3, 6))
    contract = Contract(functions={"main": Signature(inputs=(feature,), outputs=outputs)})
    captured = capture(module, contract, "main", [{"ids": ids}, {"ids": ids.flip(0)}])
    with CoreMLInterpreter(to_coreml(captured, path / "masked.mlpackage")) as runtime:
        given = runtime.run({"ids": ids.numpy()})
    return [(given[each.name].astype(np.float32), y) for each, y in zip(outputs, expected, strict=True)]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[Pair]:
    return both(Attention(CASES, more=True), tmp_path_factory.mktemp("masks"))


@pytest.mark.parametrize("case", [each for each in CASES if each[1] != INFINITE])
def test_a_finite_mask_stays_finite_in_float16(pairs: list[Pair], case: Case) -> None:
    given, expected = pairs[CASES.index(case)]
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(given, expected, atol=5e-3)


@pytest.mark.parametrize("case", [each for each in CASES if each[1] == INFINITE])
def test_an_infinite_mask_gives_nan_where_pytorch_does(pairs: list[Pair], case: Case) -> None:
    given, expected = pairs[CASES.index(case)]
    assert np.isnan(expected).any() == (case[0] is not cleaned)
    np.testing.assert_allclose(given, expected, atol=5e-3)


@pytest.mark.parametrize("number", range(len(FINITE)))
def test_an_empty_maximum_times_zero_is_zero(pairs: list[Pair], number: int) -> None:
    given, expected = pairs[len(CASES) + number]
    np.testing.assert_allclose(given, expected, atol=5e-3)


def test_scaled_dot_product_attention_gives_zeros_for_a_row_without_keys(pairs: list[Pair]) -> None:
    given, expected = pairs[-1]
    np.testing.assert_allclose(given, expected, atol=5e-3)


def test_without_the_pass_the_masked_row_is_nan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = passes.recommender_pipeline

    def without(**options: Any) -> object:
        pipeline = real(**options)
        pipeline.remove_passes({"pocketrec::float16_masks"})
        return pipeline

    monkeypatch.setattr(passes, "recommender_pipeline", without)
    ((given, expected),) = both(Attention([(fill, LOWEST)], more=False), tmp_path)
    assert np.isnan(given).any()
    assert not np.isnan(expected).any()
