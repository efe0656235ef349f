"""FBGEMM's jagged operators are plain ops with the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite.fbgemm import JaggedRule

_LENGTH = 5


def _offsets(lengths: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(lengths[:1]), lengths.cumsum(0)])


def _padded(values: Tensor, offsets: list[Tensor], lengths: list[int], padding: float) -> Tensor:
    rows = [values[a:b] for a, b in zip(offsets[0][:-1], offsets[0][1:], strict=True)]
    result = torch.full((len(rows), lengths[0], *values.shape[1:]), padding, dtype=values.dtype)
    for row, each in zip(result, rows, strict=True):
        row[: len(each)] = each[: lengths[0]]
    return result


def _jagged(dense: Tensor, offsets: list[Tensor], total: Any = None) -> tuple[Tensor, list[Tensor]]:
    counts = offsets[0].diff()
    return torch.cat([row[:count] for row, count in zip(dense, counts, strict=True)]), offsets


@pytest.fixture(scope="module", autouse=True)
def operators() -> Iterator[None]:
    """The operators as FBGEMM declares them, written down from their documentation."""
    make: Any = torch.library.Library
    library: Any = make("fbgemm", "DEF")  # it goes with the fixture
    library.define("asynchronous_complete_cumsum(Tensor t_in) -> Tensor")
    library.define(
        "jagged_to_padded_dense(Tensor values, Tensor[] offsets, SymInt[] max_lengths, "
        "float padding_value=0.) -> Tensor"
    )
    library.define(
        "dense_to_jagged(Tensor dense, Tensor[] x_offsets, SymInt? total_L=None) -> (Tensor, Tensor[])"
    )
    library.impl("asynchronous_complete_cumsum", _offsets, "CPU")
    library.impl("jagged_to_padded_dense", _padded, "CPU")
    library.impl("dense_to_jagged", _jagged, "CPU")
    yield
    library._destroy()


class Jagged(nn.Module):
    """Sequences that are computed row by row as jagged ones, and padded again."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item, self.layer = nn.Embedding(30, 4), nn.Linear(4, 4)

    def forward(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        ops: Any = torch.ops.fbgemm
        offsets = ops.asynchronous_complete_cumsum(lengths)
        rows, _ = ops.dense_to_jagged(self.item(ids), [offsets])
        rows = torch.nn.functional.silu(self.layer(rows)) + rows
        return ops.jagged_to_padded_dense(rows, [offsets], [_LENGTH], 0.5), offsets[1:] - offsets[:-1]


def drawn(*lengths: int) -> tuple[Tensor, Tensor]:
    return torch.randint(0, 30, (len(lengths), _LENGTH)), torch.tensor(lengths)


def test_both_targets_compute_rows_in_their_places_for_any_batch(far: Callable[..., Any]) -> None:
    found = far(Jagged(), drawn(5, 2, 3, 1), drawn(1, 1, 5, 4, 2, 0, 3), drawn(4))
    assert JaggedRule.name in {each.name for each in found.rewrites}


class Given(nn.Module):
    """Jagged values and their lengths as inputs, padded to five."""

    def forward(self, values: Tensor, lengths: Tensor) -> Tensor:
        ops: Any = torch.ops.fbgemm
        offsets = ops.asynchronous_complete_cumsum(lengths)
        result: Tensor = ops.jagged_to_padded_dense(values, [offsets], [_LENGTH], -1.0)
        return result


def test_both_targets_pad_jagged_inputs(far: Callable[..., Any]) -> None:
    def given(*lengths: int) -> tuple[Tensor, Tensor]:
        return torch.randn(8, 3), torch.tensor(lengths)

    far(Given(), given(4, 0, 3, 1), given(1, 5, 0, 2), given(2, 2, 2, 2), fixed=True)
